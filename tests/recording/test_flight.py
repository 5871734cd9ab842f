"""The flight recorder keeps what a case needs, forgets the rest, and says what it could not keep."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from talking import NS, Talk, message

from wirecase.live import LivePipeline
from wirecase.model import Diagnosis
from wirecase.pipeline import Options, diagnose
from wirecase.recording.cases import CaseMaker, Job, Making, Outcome, make
from wirecase.recording.flight import FlightRecorder, Policy
from wirecase.sources.live.ring import Kind


class Maker(CaseMaker):
    """Keeps the captures that cases would be made of."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Making(str(folder)))
        self.folder = folder
        self.jobs: list[Job] = []
        self.overrun = False

    @property
    def busy(self) -> bool:
        return self.overrun

    def submit(self, job: Job) -> None:
        shutil.copy(job.ring, self.folder / f"{job.number}.pcapng")
        job.ring = str(self.folder / f"{job.number}.pcapng")
        self.jobs.append(job)

    def collect(self, *, wait: bool = False) -> list[Outcome]:
        return []

    def shown(self, job: int = 0) -> Diagnosis:
        return diagnose(Options([self.jobs[job].ring]))


class Rig:
    def __init__(self, folder: Path, policy: Policy) -> None:
        self.clock = 0.0
        self.maker = Maker(folder)
        self.flight = FlightRecorder(policy, self.maker, clock=lambda: self.clock)
        self.live = LivePipeline(
            Options([]), record=self.flight.record, listen=self.flight.listen, closed=self.flight.closed,
            found=self.flight.found, clock=lambda: int(self.clock * NS),
        )  # fmt: skip

    def feed(self, talk: Talk, seconds: float = 0.0) -> None:
        """Feed what was said, and let time pass as a session does."""
        batch = talk.batch()
        if batch.starts:
            self.live.feed(batch)
        talk.now += int(seconds * NS)
        for _ in range(max(int(seconds / 0.5), 1)):
            self.clock += seconds / max(int(seconds / 0.5), 1)
            self.live.pass_time()
            self.flight.pass_time(talk.now)


@pytest.fixture
def rig(tmp_path: Path) -> Callable[..., Rig]:
    def build(**policy: object) -> Rig:
        return Rig(tmp_path, Policy(**policy))  # type: ignore[arg-type]

    return build


def _faults(found: Diagnosis) -> set[str]:
    return {one.rule for one in found.findings if one.severity == "error"}


def test_a_fault_after_hours_of_calls_is_a_small_case(rig: Callable[..., Rig]) -> None:
    """Memory stays flat, and what is written stands by itself: headers, windows, the call."""
    it = rig(keep=60.0, keep_bytes=1 << 20)
    talk = Talk()
    sizes = []
    for _ in range(30):
        for _ in range(20):
            talk.call("/pkg.Service/Get", bytes(9000))
        it.feed(talk, 5.0)
        sizes.append(it.flight.size)
    assert max(sizes[5:]) < (1 << 20) + 200_000
    assert max(sizes[20:]) <= max(sizes[5:15]) + 50_000
    assert not it.maker.jobs
    broken = talk.page("/pkg.Service/Broken")
    it.feed(talk)
    it.feed(talk, 5.0)
    (job,) = it.maker.jobs
    assert job.forgotten_streams > 300
    found = it.maker.shown()
    assert "http-error-with-body" in _faults(found)
    (fault,) = [one for one in found.findings if one.rule == "http-error-with-body"]
    assert (fault.path, fault.stream) == ("/pkg.Service/Broken", broken)
    assert not [one for one in found.findings if one.rule.startswith(("fc-", "h2-", "hpack-", "obs-gap", "obs-mid"))]
    assert Path(job.ring).stat().st_size < 2 << 20


def test_a_case_comes_of_it(rig: Callable[..., Rig], tmp_path: Path) -> None:
    it = rig()
    talk = Talk()
    for _ in range(200):
        talk.call("/pkg.Service/Get", bytes(2000))
    talk.page("/pkg.Service/Broken")
    it.feed(talk)
    it.feed(talk, 5.0)
    outcome = make(it.maker.jobs[0], Making(str(tmp_path)))
    assert outcome.case is not None, outcome.why
    found = diagnose(Options([outcome.case]))
    assert "http-error-with-body" in _faults(found)
    assert found.calls.total == 1
    assert outcome.findings[0]["path"] == "/pkg.Service/Broken"


def test_the_same_fault_twice_is_two_cases_one_for_each(rig: Callable[..., Rig], tmp_path: Path) -> None:
    it = rig()
    talk = Talk()
    times = []
    for _ in range(2):
        talk.call("/pkg.Service/Get", bytes(2000))
        talk.page("/pkg.Service/Broken")
        it.feed(talk)
        it.feed(talk, 5.0)
    assert len(it.maker.jobs) == 2
    for job in it.maker.jobs:
        outcome = make(job, Making(str(tmp_path)))
        assert outcome.case is not None, outcome.why
        found = diagnose(Options([outcome.case]))
        assert found.calls.total == 1
        (fault,) = [one for one in found.findings if one.rule == "http-error-with-body"]
        times.append(fault.time or 0)
        assert [one["time"] for one in outcome.findings if one["rule"] == fault.rule] == [fault.time]
        moment = datetime.datetime.fromtimestamp(times[-1] / NS, datetime.UTC)
        assert Path(outcome.case).name.startswith(moment.strftime("%Y%m%dT%H%M%S"))
    assert times[1] - times[0] >= 5 * NS


def test_a_stream_that_is_open_for_long_is_cut_at_messages(rig: Callable[..., Rig]) -> None:
    it = rig(keep=60.0, keep_bytes=1 << 20)
    talk = Talk()
    long = talk.begin("/pkg.Service/Watch")
    talk.answer(long)
    for number in range(400):
        talk.body(long, message(number.to_bytes(4, "big") * 5000))
        if number % 10 == 0:
            it.feed(talk, 1.0)
    assert it.flight.size < 2 << 20
    talk.send(1, bytes((0, 0, 9, 0, 0)) + long.to_bytes(4, "big") + b"Cno grpc!")
    talk.tell(Kind.rst, 1)
    talk.tell(Kind.closed, 0)
    it.feed(talk, 5.0)
    (job,) = it.maker.jobs
    assert job.forgotten_messages > 300
    found = it.maker.shown()
    assert "grpc-invalid-compression-flag" in _faults(found)
    assert not [one for one in found.findings if one.rule.startswith(("fc-", "h2-", "grpc-desync"))]


def test_findings_that_follow_each_other_are_one_case(rig: Callable[..., Rig]) -> None:
    it = rig()
    talk = Talk()
    talk.page("/pkg.Service/One")
    it.feed(talk)
    talk.page("/pkg.Service/Two")
    it.feed(talk, 0.5)
    it.feed(talk, 5.0)
    assert len(it.maker.jobs) == 1
    assert {stream for _, stream in it.maker.jobs[0].named} == {1, 3}
    talk.page("/pkg.Service/Three")
    it.feed(talk, 60.0)
    it.feed(talk, 5.0)
    assert len(it.maker.jobs) == 2


@pytest.mark.parametrize(("on", "asked"), [("error", 0), ("warning", 0), ("info", 1)])
def test_only_what_was_asked_for_makes_a_case(rig: Callable[..., Rig], on: str, asked: int) -> None:
    it = rig(on=on)
    talk = Talk()
    stream = talk.begin("/pkg.Service/Fails")
    talk.answer(stream)
    talk.end(stream, "13")  # an application's own status
    it.feed(talk)
    it.feed(talk, 5.0)
    assert len(it.maker.jobs) == asked


def test_what_is_not_kept_is_counted(rig: Callable[..., Rig]) -> None:
    it = rig(most_cases=1)
    for number in (1, 2, 3):
        talk = Talk(number)
        talk.page("/pkg.Service/Broken")
        it.maker.overrun = number == 1
        it.feed(talk)
        it.feed(talk, 5.0)
    assert it.flight.not_kept == {
        "too many faults at once": 1,
        "there are 1 cases already (--max-cases)": 1,
    }


def test_a_connection_that_is_over_is_forgotten(rig: Callable[..., Rig]) -> None:
    it = rig()
    for number in range(1, 50):
        talk = Talk(number)
        talk.call("/pkg.Service/Get", bytes(100))
        for side in (0, 1):
            talk.tell(Kind.fin, side)
        talk.tell(Kind.closed, 0)
        it.feed(talk, 60.0)
        it.live.pipeline.pass_time(talk.now + 600 * NS)
        it.flight.pass_time(talk.now)
    assert it.flight.connections <= 1
    assert it.flight.size < 10_000


def test_what_is_no_http2_is_kept_from_its_beginning_and_bounded(rig: Callable[..., Rig]) -> None:
    it = rig(on="warning")
    plain = Talk(9)
    plain.batch()  # what h2 said is not what this is about
    plain.tell(Kind.closed, 0)
    plain.number = 10
    plain.tell(Kind.opened, 0, b"127.0.0.1:4100 127.0.0.1:5000")
    plain.tell(Kind.established, 1)
    plain.tell(Kind.data, 0, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    for _ in range(100):
        plain.tell(Kind.data, 1, b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" + bytes(20_000))
    it.feed(plain)
    assert it.flight.size < 600_000
