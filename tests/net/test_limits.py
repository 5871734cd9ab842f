"""Bounded memory, any bytes, several sources, and what is left out on purpose."""

from __future__ import annotations

import gc
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from net_wire import ACK, RST, SYN, T0, Frame, Recorder, Talk, assemble, batches, ethernet, ip4, read_pcap, tcp

from wirecase.model import Accounting
from wirecase.net import Assembler, TcpConnection, half, table
from wirecase.net import link as links
from wirecase.net.half import HELD_OVERHEAD, SIDE_CAP

DATA = Path(__file__).parent / "data"
SECOND = 10**9


class Quiet:
    """A listener that counts."""

    def __init__(self) -> None:
        self.bytes = 0
        self.gaps = 0

    def run(self, side: int, data: bytes, marks: Any) -> None:
        self.bytes += len(data)

    def stretch(self, stretch: Any) -> None:
        self.bytes += len(stretch.raw)

    def gap(self, side: int, length: int, reason: str, mark: Any) -> None:
        self.gaps += 1

    def ended(self, side: int, how: str, mark: Any) -> None:
        pass

    def closed(self, reason: str) -> None:
        pass


@given(
    st.lists(st.binary(max_size=120), min_size=1, max_size=12), st.sampled_from(sorted(links.SUPPORTED)), st.booleans()
)
@settings(max_examples=150, deadline=None)
def test_any_bytes(frames: list[bytes], link: int, columns: bool) -> None:
    assemble([(T0, data, len(data) + 7) for data in frames], link, columns=columns)


_SAMPLES = {path.stem: read_pcap(path) for path in sorted(DATA.glob("*.pcap")) if path.stat().st_size < 10_000}


@given(st.sampled_from(sorted(_SAMPLES)), st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=100, deadline=None)
def test_mutated_captures(name: str, rng: Any, columns: bool) -> None:
    link, frames = _SAMPLES[name]
    mutated: list[Frame] = []
    for time, data, length in frames:
        turn = rng.random()
        if turn < 0.1:
            place = rng.randrange(len(data))
            data = data[:place] + rng.randbytes(rng.randrange(6)) + data[place + rng.randrange(6) :]
        elif turn < 0.2:
            place = rng.randrange(20, min(len(data), 70))
            data = data[:place] + bytes((rng.randrange(256),)) + data[place + 1 :]
        mutated.append((time + rng.randrange(-(10**6), 10**7), data, max(length, len(data))))
    assemble(mutated, link, columns=columns, size=rng.choice((5, 1000)))


@pytest.mark.parametrize("columns", [False, True])
def test_waiting_bytes_are_capped(columns: bool) -> None:
    talk = Talk(step=1000).handshake().packet(0, payload=b"first")
    talk.sent[0] += 1000  # lost on the way: nobody acknowledges anything behind it
    payload = bytes(60_000)
    count = SIDE_CAP // (60_000 + HELD_OVERHEAD) + 3
    for _ in range(count):
        talk.packet(0, payload=payload)
    (one,) = assemble(talk.frames, columns=columns).connections
    # The gap was declared when the store was full, not at the end: a later packet comes after it.
    assert [call[:3] for call in one.calls][:2] == [("run", 0, b"first"), ("gap", 0, 1000)]
    assert one.next[0] == 1005 + count * 60_000


def test_tiny_segments_behind_a_hole_are_capped() -> None:
    talk = Talk(step=1).handshake()
    talk.sent[0] += 10
    for _ in range(SIDE_CAP // HELD_OVERHEAD + 10):
        talk.packet(0, payload=b"x")
    (one,) = assemble(talk.frames).connections
    assert len(one.of("gap")) == 1


def test_finished_connections_leave_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MAX_TOMBSTONES", 100)
    accounting = Accounting()
    assembler = Assembler(lambda connection: Quiet(), accounting, columns=False)

    def some(first: int) -> None:
        for i in range(first, first + 300):
            talk = Talk(client=("10.0.0.1", i + 1), time=T0 + i * SECOND).handshake().packet(0, payload=b"x" * 500)
            for batch in batches(talk.close().frames):
                assembler.feed(batch)

    some(0)
    gc.collect()
    tracemalloc.start()
    some(300)
    some(600)
    gc.collect()
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assembler.finish()
    assert assembler.connections_seen == 900
    assert grown < 200_000


def test_half_open_connections_are_small() -> None:
    frames = []
    for i in range(3000):
        data = ethernet(ip4(tcp(1, 0, SYN, source=("10.0.0.1", i + 1)), source=f"10.9.{i >> 8}.{i & 255}"))
        frames.append((T0 + i, data, len(data)))
    listener = Quiet()
    assembler = Assembler(lambda connection: listener, Accounting(), columns=False)
    (batch,) = batches(frames)
    tracemalloc.start()
    assembler.feed(batch)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert assembler.connections_seen == 3000
    assert grown / 3000 < 5000


def test_silent_connections_are_let_go_when_there_are_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "CROWDED", 3)
    frames: list[Frame] = []
    for i in range(5):
        frames += Talk(client=("10.0.0.1", i + 1), time=T0 + i * 1800 * SECOND).handshake().frames
    result = assemble(frames, size=3)
    assert [one.reason for one in result.connections] == ["idle"] * 2 + ["capture-end"] * 3


def test_unanswered_syns_are_let_go_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "CROWDED", 2)
    frames: list[Frame] = []
    for i in range(4):
        talk = Talk(client=("10.0.0.1", i + 1), time=T0 + i * 100 * SECOND)
        frames += talk.packet(0, flags=SYN, seq=1000).frames
    result = assemble(frames, size=1)
    assert [one.reason for one in result.connections] == ["idle"] * 2 + ["capture-end"] * 2


def test_kept_bytes_shrink_while_many_connections_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MANY_FLOWS", 1)
    first = Talk().handshake().packet(0, payload=b"a" * 40_000)
    other = Talk(client=("10.0.0.1", 1)).handshake().packet(0)
    early = Talk(time=T0 + 3 * SECOND, sent=[40_000, 0]).packet(0, 0, b"b" * 30_000)
    late = Talk(time=T0 + 4 * SECOND, sent=[40_000, 0]).packet(0, 40_000 - 100, b"c" * 100)
    result = assemble(first.frames + other.frames + early.frames + late.frames, size=4)
    (conflict,) = result.connections[0].connection.sides[0].conflicts
    assert conflict.mark.offset == 40_000 - 100
    assert half.RING_MANY < 10_000


def test_connections_that_nobody_follows_are_counted_and_booked() -> None:
    followed: list[Recorder] = []

    def opened(connection: TcpConnection) -> Recorder | None:
        if connection.index % 2:
            return None
        followed.append(Recorder(connection))
        return followed[-1]

    frames: list[Frame] = []
    for i in range(4):
        talk = Talk(client=("10.0.0.1", i + 1), time=T0 + i * SECOND).handshake()
        for _ in range(30):
            talk.packet(0, payload=b"x" * 10)
        frames += talk.close().frames
    for columns in (False, True):
        followed.clear()
        accounting = Accounting()
        assembler = Assembler(opened, accounting, columns=columns)
        for batch in batches(frames):
            assembler.feed(batch)
        assembler.finish()
        assert assembler.connections_seen == 4
        assert [one.connection.index for one in followed] == [0, 2]
        assert accounting.captured == sum(len(data) for _, data, _ in frames)
        assert accounting.skipped == {"not followed": accounting.captured // 2}
        assert accounting.decoded == accounting.captured // 2 - sum(one.bytes for one in followed)


def _two_sources(second_time: int) -> list[Recorder]:
    found: list[Recorder] = []

    def opened(connection: TcpConnection) -> Recorder:
        found.append(Recorder(connection))
        return found[-1]

    talk = Talk().handshake().packet(0, payload=b"one").packet(1, payload=b"two")
    rest = Talk(time=second_time, sent=[3, 3]).packet(0, payload=b"three").close()
    assembler = Assembler(opened, Accounting())
    for source, frames in enumerate((talk.frames, rest.frames)):
        for batch in batches(frames, source=source):
            assembler.feed(batch)
    assembler.finish()
    return found


def test_files_that_follow_each_other_share_connections() -> None:
    (one,) = _two_sources(T0 + SECOND)
    assert one.data == [b"onethree", b"two"]
    assert [mark[1] for mark in one.marks] == [0, 0, 1]


def test_captures_of_the_same_time_have_their_own_connections() -> None:
    one, other = _two_sources(T0 + 1)
    assert one.data == [b"one", b"two"]
    assert other.data == [b"three", b""]
    assert [one.connection.index, other.connection.index] == [0, 1]


def test_a_small_capture_needs_no_numpy() -> None:
    code = (
        "import sys, wirecase.model as m, wirecase.net as n\n"
        "class L:\n"
        "    def run(self, *a): pass\n"
        "    gap = ended = closed = stretch = run\n"
        "a = n.Assembler(lambda c: L(), m.Accounting())\n"
        f"d = {bytes(Talk().handshake().frames[0][1])!r}\n"
        "a.feed(m.PacketBatch(0, 1, memoryview(d), [0], [len(d)], [len(d)], [0], 1))\n"
        "a.finish()\n"
        "assert a.connections_seen == 1\n"
        "assert 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_acknowledgements_and_resets_of_strangers_are_connections() -> None:
    frames = []
    for i, flags in enumerate((ACK, RST, RST | ACK, 0, 0xFF)):
        data = ethernet(ip4(tcp(5, 6, flags, source=("10.0.0.1", i + 1))))
        frames.append((T0 + i, data, len(data)))
    for columns in (False, True):
        result = assemble(frames, columns=columns)
        assert len(result.connections) == 5


def test_a_connection_to_itself() -> None:
    place = ("10.0.0.1", 7000)
    frames = []
    for i, (seq, ack, flags, payload) in enumerate(
        ((10, 0, SYN, b""), (10, 11, SYN | ACK, b""), *((11 + i, 11, ACK, b"x") for i in range(30)))
    ):
        data = ethernet(ip4(tcp(seq, ack, flags, payload, source=place, target=place), target="10.0.0.1"))
        frames.append((T0 + i, data, len(data)))
    for columns in (False, True):
        (one,) = assemble(frames, columns=columns).connections
        assert bytes(one.data[0]) == b"x" * 30
