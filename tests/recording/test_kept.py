"""What the flight recorder keeps tells the same as what passed."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path

import pytest
from captured import ACK, MS, PSH, Capture
from h2_bytes import CONTINUATION, HEADERS, PING, frame, settings, settings_ack

from wirecase.case.pcapng import section
from wirecase.http2.facts import ControlFrame
from wirecase.http2.sync import PREFACE
from wirecase.pipeline import Options, Pipeline, diagnose
from wirecase.recording.entries import COST, Messages
from wirecase.recording.flight import Listener
from wirecase.recording.kept import RAW, KeptConnection
from wirecase.recording.rewriting import write
from wirecase.recording.transcript import Flow
from wirecase.recording.writer import Blocks
from wirecase.session.session import Session

FIXTURES = Path(__file__).parents[2] / "fixtures"
_NOT_KEPT = ("obs-", "tcp-peer-silent", "tcp-retransmission", "tcp-zero-window", "proxy-legs-", "proxy-upstream-race")
"""Limits of the capture, what only TCP's own packets show, and what only two connections beside each other do."""
_NEEDS_BYTES = ("h2-bad-preface", "h2-hpack-size-ignored")
"""What shows in bytes that are no frames, or in the form of a header block: kept as long as a connection is short."""
NAMES = sorted(
    path.parent.name
    for path in FIXTURES.glob("*/capture.pcapng")
    if not path.parent.name.startswith(("tls-", "healthy-tls", "obs-keylog", "container-", "incident"))
)


def _rules(path: str | Path) -> tuple[dict[int, set[str]], dict[int, KeptConnection]]:
    kept: dict[int, KeptConnection] = {}

    def record(session: Session) -> KeptConnection:
        kept[session.index] = one = KeptConnection(session)
        return one

    found = diagnose(Options([str(path)]), record=record, listen=lambda one, inner: Listener(kept[one.index], inner))
    rules: dict[int, set[str]] = defaultdict(set)
    for finding in found.findings:
        for place in finding.occurrences:
            if place.connection is not None and not finding.rule.startswith(_NOT_KEPT):
                rules[place.connection].add(finding.rule)
    return rules, kept


def _written(kept: KeptConnection) -> set[str]:
    with tempfile.NamedTemporaryFile(suffix=".pcapng") as file:
        write(kept, file)
        file.flush()
        found = diagnose(Options([file.name]))
    assert not found.accounting.unbalanced
    return {one.rule for one in found.findings if not one.rule.startswith(_NOT_KEPT)}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_shows_what_was_found(name: str) -> None:
    rules, kept = _rules(FIXTURES / name / "capture.pcapng")
    for index, one in kept.items():
        silent = {"tcp-peer-silent", "grpc-deadline"} if name == "tcp-peer-silent" else set()
        assert _written(one) - silent == rules[index] - silent, f"connection {index}, as it came"
        if one.is_framed:
            if one.raw is not None:
                one.forget_raw()
            gone = {rule for rule in rules[index] if rule.startswith(_NEEDS_BYTES)} | silent
            if name.startswith(("obs-one-direction", "obs-snaplen")):
                gone |= rules[index]  # holes make a certain finding less certain, and never add one
            assert _written(one) - gone == rules[index] - gone, f"connection {index}, by frames"


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_messages_are_found_at_any_cut(step: int) -> None:
    bodies = [b"", b"a", b"bc" * 50, b"", b"d" * 300]
    data = b"".join(b"\0" + len(one).to_bytes(4, "big") + one for one in bodies)
    messages = Messages()
    for at in range(0, len(data), step):
        messages.feed(data[at : at + step])
    starts = [0]
    for one in bodies:
        starts.append(starts[-1] + 5 + len(one))
    assert list(messages.starts) == starts
    assert messages.at == len(data)


def test_a_flood_that_comes_at_one_moment_is_kept_in_bounded_room() -> None:
    capture = Capture()
    connection = capture.connect().hello()
    pings = b"".join(frame(PING, payload=number.to_bytes(8, "big")) for number in range(3500))
    for _ in range(6):
        connection.packet(0, PSH | ACK, pings)
        capture.now -= MS  # all of them within one moment
    sizes: list[int] = []

    class Watched(KeptConnection):
        def frame(self, frame: ControlFrame) -> None:
            super().frame(frame)
            sizes.append(len(self.control))
            if len(sizes) % 5000 == 0:
                assert self.size == sum(len(one.data) + COST for one in self.control)

    pipeline = Pipeline(Options([]), record=Watched)
    pipeline.feed(capture.batch())
    pipeline.settle()
    assert len(sizes) > 21_000
    assert max(sizes) == 4096


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("greets", ["first", "last"])
def test_garbage_is_kept_with_what_says_that_it_is(greets: str, how: str, tmp_path: Path) -> None:
    """Far more of it than is kept; the server's few bytes stay, whenever they come."""
    file = tmp_path / "garbage.pcapng"
    blocks = Blocks()
    flow = Flow(blocks, "127.0.0.1:4000", "127.0.0.1:5000")
    flow.opened(1)
    flow.established(2)
    if greets == "first":
        flow.data(1, 3, memoryview(settings()))
    for number in range(20):
        flow.data(0, 4 + number, memoryview(b"\xa5\x5a" * 25_000))
    if greets == "last":
        flow.data(1, 50, memoryview(settings()))
    getattr(flow, how)(0, 60)
    file.write_bytes(section((), "wirecase") + blocks.take())
    rules, kept = _rules(file)
    assert "h2-bad-preface" in rules[0]
    assert _written(kept[0]) == rules[0]
    assert kept[0].size < 2 * RAW


def test_a_header_block_without_end_stands_where_it_began(tmp_path: Path) -> None:
    """Written behind the FIN that followed it, it would be no part of the stream."""
    file = tmp_path / "continuation.pcapng"
    blocks = Blocks()
    flow = Flow(blocks, "127.0.0.1:4000", "127.0.0.1:5000")
    flow.opened(1)
    flow.established(2)
    flow.data(0, 3, memoryview(PREFACE + settings() + settings_ack()))
    flow.data(1, 4, memoryview(settings() + settings_ack()))
    flow.data(0, 5, memoryview(frame(HEADERS, stream=1, payload=b"\x83") + frame(CONTINUATION, stream=1) * 30_000))
    flow.fin(0, 6)
    file.write_bytes(section((), "wirecase") + blocks.take())
    rules, kept = _rules(file)
    assert rules[0] == {"h2-continuation-flood"}
    assert kept[0].raw is None
    assert _written(kept[0]) == rules[0]
