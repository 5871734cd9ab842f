"""Helpers of the net tests: packets made by hand, captures read from files, a listener that records what it is told."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wirecase.model import Accounting, Mark, Marks, PacketBatch, Stretch
from wirecase.net import Assembler, TcpConnection

CLIENT = ("10.0.0.1", 40000)
SERVER = ("10.0.0.2", 50051)
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
T0 = 1_700_000_000_000_000_000
Frame = tuple[int, bytes, int]
"""Time in ns, captured bytes, length on the wire."""


def _ip4(text: str) -> bytes:
    return bytes(int(part) for part in text.split("."))


def tcp(
    seq: int,
    ack: int,
    flags: int,
    payload: bytes = b"",
    *,
    source: tuple[str, int] = CLIENT,
    target: tuple[str, int] = SERVER,
    window: int = 8192,
    options: bytes = b"",
    checksum: int = 0,
) -> bytes:
    """A TCP segment."""
    options += b"\0" * (-len(options) % 4)
    words = (20 + len(options)) // 4
    return (
        struct.pack(
            "!HHIIBBHHH",
            source[1],
            target[1],
            seq & 0xFFFFFFFF,
            ack & 0xFFFFFFFF,
            words << 4,
            flags,
            window,
            checksum,
            0,
        )
        + options
        + payload
    )


def ip4(
    payload: bytes,
    *,
    source: str = CLIENT[0],
    target: str = SERVER[0],
    ident: int = 0,
    protocol: int = 6,
    fragment: int = 0,
    ttl: int = 64,
    length: int | None = None,
    options: bytes = b"",
) -> bytes:
    """An IPv4 packet; `fragment` is the raw flags and offset field."""
    header = 20 + len(options)
    total = header + len(payload) if length is None else length
    return (
        struct.pack("!BBHHHBBH", 0x40 | header // 4, 0, total & 0xFFFF, ident, fragment, ttl, protocol, 0)
        + _ip4(source)
        + _ip4(target)
        + options
        + payload
    )


def ip6(
    payload: bytes,
    *,
    source: bytes = b"\xfd" + bytes(14) + b"\1",
    target: bytes = b"\xfd" + bytes(14) + b"\2",
    protocol: int = 6,
    length: int | None = None,
) -> bytes:
    """An IPv6 packet."""
    size = len(payload) if length is None else length
    return struct.pack("!IHBB", 0x60000000, size, protocol, 64) + source + target + payload


def ethernet(payload: bytes, kind: int = 0x0800, *tags: int) -> bytes:
    """An Ethernet frame; `tags` are the ethertypes of VLAN tags, outermost first."""
    head = bytes(12)
    for tag in tags:
        head += struct.pack("!HH", tag, 5)
    return head + struct.pack("!H", kind) + payload


@dataclass
class Talk:
    """Writes the frames of one TCP conversation; `side` 0 is the client. Times advance by `step` ns a packet."""

    step: int = 100_000
    isn: tuple[int, int] = (1000, 900_000)
    client: tuple[str, int] = CLIENT
    server: tuple[str, int] = SERVER
    time: int = T0
    frames: list[Frame] = field(default_factory=list)
    sent: list[int] = field(default_factory=lambda: [0, 0])
    idents: list[int] = field(default_factory=lambda: [100, 20_000])
    window: int = 8192

    def packet(
        self,
        side: int,
        offset: int | None = None,
        payload: bytes = b"",
        flags: int = ACK,
        *,
        ack: int | None = None,
        window: int | None = None,
        options: bytes = b"",
        ident: int | None = None,
        ttl: int = 64,
        seq: int | None = None,
    ) -> Talk:
        """Add a packet at stream `offset` (default: the next) that acknowledges `ack` bytes (default: all sent)."""
        at = self.sent[side] if offset is None else offset
        if seq is None:
            seq = self.isn[side] + 1 + at
        acked = self.sent[1 - side] if ack is None else ack
        here, there = (self.client, self.server) if side == 0 else (self.server, self.client)
        if ident is None:
            ident = self.idents[side]
            self.idents[side] += 1
        segment = tcp(
            seq,
            self.isn[1 - side] + 1 + acked if flags & ACK else 0,
            flags,
            payload,
            source=here,
            target=there,
            window=self.window if window is None else window,
            options=options,
        )
        frame = ethernet(ip4(segment, source=here[0], target=there[0], ident=ident & 0xFFFF, ttl=ttl))
        self.frames.append((self.time, frame, len(frame)))
        self.time += self.step
        end = at + len(payload) + bool(flags & FIN)
        self.sent[side] = max(self.sent[side], end)
        return self

    def handshake(self, scale: int = 7) -> Talk:
        """SYN, SYN-ACK, ACK."""
        option = bytes((3, 3, scale))
        self.packet(0, flags=SYN, seq=self.isn[0], options=option)
        self.packet(1, flags=SYN | ACK, seq=self.isn[1], options=option)
        return self.packet(0)

    def close(self) -> Talk:
        """FIN from the client, FIN from the server, both acknowledged."""
        return self.packet(0, flags=FIN | ACK).packet(1, flags=FIN | ACK).packet(0)


class Recorder:
    """A listener that keeps all it was told, runs joined per side."""

    def __init__(self, connection: TcpConnection) -> None:
        self.connection = connection
        self.calls: list[tuple[object, ...]] = []
        self.data = [bytearray(), bytearray()]
        """Delivered bytes, holes left out."""
        self.next = [0, 0]
        self.bytes = 0
        self.marks: list[tuple[int, int, int, int, int]] = []
        self.reason: str | None = None

    def run(self, side: int, data: bytes, marks: Marks) -> None:
        """Record a run, and check that it goes on where the stream stood."""
        assert self.reason is None
        assert type(data) is bytes and data
        offsets, packets, times = list(marks.offsets), list(marks.packets), list(marks.times)
        assert len(offsets) == len(packets) == len(times)
        assert offsets == sorted(set(offsets))
        assert offsets[0] == self.next[side]
        assert offsets[-1] < self.next[side] + len(data)
        self.marks += [(side, marks.source, *one) for one in zip(offsets, packets, times, strict=True)]
        self.data[side] += data
        self.next[side] += len(data)
        self.bytes += len(data)
        if self.calls and self.calls[-1][0] == "run" and self.calls[-1][1] == side:
            self.calls[-1] = ("run", side, bytes(self.calls[-1][2]) + data)  # type: ignore[arg-type]
        else:
            self.calls.append(("run", side, data))

    def stretch(self, stretch: Stretch) -> None:
        """Record a stretch as the runs that it stands for, and check its columns."""
        sizes = stretch.bounds[1:] - stretch.bounds[:-1]
        assert len(stretch) == len(stretch.offsets) == len(stretch.packets) == len(stretch.times) == len(sizes)
        assert stretch.bounds[0] == 0 and stretch.bounds[-1] == len(stretch.raw)
        assert (sizes > 0).all()
        for side, data, marks in stretch.runs():
            self.run(side, data, marks)

    def gap(self, side: int, length: int, reason: str, mark: Mark) -> None:
        """Record a gap."""
        assert self.reason is None and length > 0
        self.next[side] += length
        assert mark.offset == self.next[side]
        self.calls.append(("gap", side, length, reason, mark))

    def ended(self, side: int, how: str, mark: Mark) -> None:
        """Record an end."""
        assert self.reason is None
        self.calls.append(("ended", side, how, mark))

    def closed(self, reason: str) -> None:
        """Record the close."""
        assert self.reason is None
        self.reason = reason
        self.calls.append(("closed", reason))

    def of(self, kind: str) -> list[tuple[object, ...]]:
        """The calls of one kind."""
        return [call for call in self.calls if call[0] == kind]


def batches(frames: Sequence[Frame], link: int = 1, size: int = 10**9, source: int = 0) -> Iterator[PacketBatch]:
    """Cut frames into batches of `size` packets."""
    for first in range(0, len(frames), size):
        part = frames[first : first + size]
        starts, at = [], 0
        for _, data, _ in part:
            starts.append(at)
            at += len(data)
        yield PacketBatch(
            source,
            link,
            memoryview(b"".join(data for _, data, _ in part)),
            starts,
            [len(data) for _, data, _ in part],
            [length for _, _, length in part],
            [time for time, _, _ in part],
            first + 1,
        )


@dataclass
class Result:
    """What became of a capture."""

    connections: list[Recorder]
    accounting: Accounting
    assembler: Assembler

    def check_books(self) -> None:
        """Every captured byte is decoded, skipped or delivered."""
        books = self.accounting
        delivered = sum(one.bytes for one in self.connections)
        assert books.captured == books.decoded + sum(books.skipped.values()) + delivered, books
        assert all(count > 0 for count in books.skipped.values())
        assert all(one.reason is not None for one in self.connections)
        assert [one.connection.index for one in self.connections] == list(range(len(self.connections)))


def assemble(
    frames: Sequence[Frame], link: int = 1, *, columns: bool | None = False, size: int = 10**9, source: int = 0
) -> Result:
    """Run frames through an assembler and check its books."""
    accounting = Accounting()
    found: list[Recorder] = []

    def opened(connection: TcpConnection) -> Recorder:
        recorder = Recorder(connection)
        found.append(recorder)
        return recorder

    assembler = Assembler(opened, accounting, columns=columns)
    for batch in batches(frames, link, size, source):
        assembler.feed(batch)
        batch.data.release()
    assembler.finish()
    result = Result(found, accounting, assembler)
    result.check_books()
    assert assembler.connections_seen == len(found)
    return result


def read_pcap(path: Path | str) -> tuple[int, list[Frame]]:
    """Read a classic pcap file: link type and frames. A damaged tail is left out."""
    raw = Path(path).read_bytes()
    order = "<" if raw[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    unit = 1 if raw[:4] in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d") else 1000
    link = int(struct.unpack_from(order + "I", raw, 20)[0]) & 0xFFFF
    frames: list[Frame] = []
    at = 24
    while at + 16 <= len(raw):
        seconds, fraction, caplen, length = struct.unpack_from(order + "IIII", raw, at)
        if at + 16 + caplen > len(raw):
            break
        frames.append((seconds * 10**9 + fraction * unit, raw[at + 16 : at + 16 + caplen], max(length, caplen)))
        at += 16 + caplen
    return link, frames


def only(result: Result) -> Recorder:
    """The one connection that there is."""
    (one,) = result.connections
    return one


def gaps(one: Recorder) -> list[tuple[Any, ...]]:
    """Each gap as (side, length, reason, packet, offset)."""
    return [(side, length, reason, mark.packet, mark.offset) for _, side, length, reason, mark in one.of("gap")]  # type: ignore[attr-defined]
