"""What the proxy tells becomes packets that add up."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wirecase.model import PacketBatch
from wirecase.pipeline import Options, Pipeline
from wirecase.recording.inputs import Packets
from wirecase.recording.transcript import LONGEST, Transcript
from wirecase.sources.live.ring import Kind, Record
from wirecase.sources.source import Source

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))


def _record(kind: Kind, side: int = 0, time: int = 0, data: bytes = b"", acked: int | None = None) -> Record:
    return Record(kind, side, 1, time, acked, memoryview(data))


def _packets(*records: Record, ends: bytes = b"127.0.0.1:4000 127.0.0.1:5000") -> Packets:
    packets = Packets()
    transcript = Transcript(packets)
    for one in (_record(Kind.opened, data=ends), *records):
        transcript.take(one)
    return packets


def _ones_complement(data: bytes) -> int:
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _check(packet: bytes) -> None:
    """Raise unless lengths and checksums are right (RFC 791, RFC 8200 §8.1, RFC 9293 §3.1)."""
    if packet[0] >> 4 == 4:
        assert _ones_complement(packet[:20]) == 0xFFFF
        assert int.from_bytes(packet[2:4], "big") == len(packet)
        pseudo, segment = packet[12:20], packet[20:]
    else:
        assert int.from_bytes(packet[4:6], "big") == len(packet) - 40
        pseudo, segment = packet[8:40], packet[40:]
    assert _ones_complement(pseudo + struct.pack(">II", len(segment), 6) + segment) == 0xFFFF


@pytest.mark.parametrize(
    "ends", [b"127.0.0.1:4000 10.1.2.3:5000", b"[::1]:4000 [2001:db8::5]:443", b"127.0.0.1:4000 [::1]:5000"]
)
@pytest.mark.parametrize("size", [0, 1, 2, 3, 100, 2048, 2049, LONGEST, LONGEST + 1, 50_003])
def test_every_packet_is_valid(ends: bytes, size: int) -> None:
    data = bytes(i * 7 & 0xFF for i in range(size))
    packets = _packets(
        _record(Kind.established, 1), _record(Kind.data, 0, 5, data), _record(Kind.acked, 1, 9, acked=size),
        _record(Kind.fin, 0, 10), _record(Kind.fin, 1, 11), ends=ends,
    )  # fmt: skip
    found = [bytes(packets.data[at : at + size]) for at, size in zip(packets.starts, packets.lengths, strict=True)]
    for one in found:
        _check(one)
    client = ip_address(ends.partition(b" ")[0].rpartition(b":")[0].decode().strip("[]"))
    assert client.packed in found[0]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.binary(min_size=1, max_size=3000), st.booleans())))
def test_the_streams_come_out_as_they_went_in(steps: list[tuple[int, bytes, bool]]) -> None:
    """Bytes that were lost are a gap of their length; the books of the diagnosis balance."""
    records = [_record(Kind.established, 1)]
    for number, (side, data, lost) in enumerate(steps):
        told = len(data).to_bytes(8, "little") if lost else data
        records.append(_record(Kind.lost if lost else Kind.data, side, number, told))
    packets = _packets(*records, _record(Kind.rst, 1, len(steps)))
    heard: list[list[bytes | int]] = [[], []]

    class Ear:
        def __init__(self, inner: object) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> object:
            return getattr(self._inner, name)

        def run(self, side: int, data: bytes, marks: object) -> None:
            heard[side].append(bytes(data))

        def gap(self, side: int, length: int, reason: str, mark: object) -> None:
            heard[side].append(length)

        def stretch(self, stretch: object) -> None:
            for run in stretch.runs():  # type: ignore[attr-defined]
                self.run(*run)

        def ended(self, side: int, how: str, mark: object) -> None:
            pass

        def closed(self, reason: str) -> None:
            pass

    pipeline = Pipeline(Options([]), listen=lambda _, decoder: Ear(decoder))  # type: ignore[arg-type,return-value]
    pipeline.feed(packets.batch(1))
    pipeline.settle()
    for side in (0, 1):
        wanted: list[bytes | int] = []
        for step, data, lost in steps:
            if step != side:
                continue
            one: bytes | int = len(data) if lost else data
            if wanted and type(wanted[-1]) is type(one):
                wanted[-1] += one  # type: ignore[operator]
            else:
                wanted.append(one)
        if wanted and isinstance(wanted[-1], int):
            wanted.pop()  # nothing shows that something is missing at the end
        got: list[bytes | int] = []
        for item in heard[side]:
            if got and isinstance(got[-1], bytes) and isinstance(item, bytes):
                got[-1] += item
            else:
                got.append(item)
        assert got[: len(wanted)] == wanted


def test_a_refused_connection_is_told_as_one() -> None:
    packets = _packets(_record(Kind.refused, 1, 5, b"ECONNREFUSED"), _record(Kind.closed))
    pipeline = Pipeline(Options([]))
    pipeline.feed(packets.batch(1))
    found = pipeline.finish([Source("live")], [], interrupted=False)
    assert [one.rule for one in found.findings] == ["tcp-refused"]


def test_a_reset_belongs_to_its_side() -> None:
    packets = _packets(
        _record(Kind.established, 1), _record(Kind.data, 0, 1, PREFACE + SETTINGS),
        _record(Kind.data, 1, 2, SETTINGS), _record(Kind.rst, 1, 3), _record(Kind.closed),
    )  # fmt: skip
    ended: list[tuple[str, object]] = []
    pipeline = Pipeline(Options([]), closed=lambda session: ended.append(session.first_end() or ("", None)))  # type: ignore[arg-type,func-returns-value]
    pipeline.feed(packets.batch(1))
    pipeline.settle()
    assert ended[0][:2] == (1, "rst")


def test_an_acknowledgement_that_came_is_shown_and_no_other() -> None:
    def acked(*records: Record) -> tuple[int | None, int]:
        packets = _packets(_record(Kind.established, 1), _record(Kind.data, 0, 1, b"x" * 100), *records)
        facts: list[tuple[int | None, int]] = []
        pipeline = Pipeline(Options([]), closed=lambda one: facts.append((one.client.acked, one.client.sent)))
        pipeline.feed(packets.batch(1))
        pipeline.settle()
        return facts[0]

    assert acked() == (0, 100)
    assert acked(_record(Kind.acked, 1, 2, acked=60)) == (60, 100)
    assert acked(_record(Kind.data, 1, 2, b"y", acked=100)) == (100, 100)
    assert acked(_record(Kind.acked, 1, 2, acked=5000)) == (0, 100), "more than was sent"


def test_a_batch_is_numbered_from_where_it_begins() -> None:
    batch: PacketBatch = _packets(_record(Kind.established, 1)).batch(17)
    assert batch.first_number == 17
    assert len(batch.starts) == 3


def test_syns_that_nobody_answers_are_told_as_often_as_they_were_sent() -> None:
    """And a client that gives up before it is connected sends nothing."""
    at, second = 1_750_000_000 * 10**9, 10**9
    packets = Packets()
    transcript = Transcript(packets)
    transcript.take(_record(Kind.opened, time=at, data=b"127.0.0.1:4000 127.0.0.1:5000"))
    for after in (1, 3, 7):
        transcript.take(_record(Kind.again, time=at + after * second, data=(1).to_bytes(8, "little")))
    for kind in (Kind.rst, Kind.unreached, Kind.closed):
        transcript.take(_record(kind, time=at + 8 * second))
    assert len(packets.starts) == 4
    pipeline = Pipeline(Options([]))
    pipeline.feed(packets.batch(1))
    pipeline.settle()
    (found,) = pipeline.so_far
    assert (found.rule, found.details["syns"], found.details["seconds"]) == ("tcp-connect-timeout", 4, 7.0)
