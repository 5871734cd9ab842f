"""Captures built byte by byte, and readers that feed them in any step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from struct import pack
from typing import NamedTuple

from wirecase.errors import InputError
from wirecase.model import Damage, SourceInfo
from wirecase.sources import Source
from wirecase.sources.formats import capture_format
from wirecase.sources.pcap import PcapReader
from wirecase.sources.pcapng import PcapngReader
from wirecase.sources.reading import Reading
from wirecase.sources.window import Window

NS = 1_000_000_000
T0 = 1_748_779_200  # 2025-06-01T12:00:00Z
BOM = 0x1A2B3C4D
SHB, IDB, PB, SPB, NRB, ISB, EPB, DSB = 0x0A0D0D0A, 1, 2, 3, 4, 5, 6, 10


class Packet(NamedTuple):
    """A packet as it was written, or as it was read."""

    data: bytes
    time: int
    length: int
    link: int = 1
    number: int = 0


def packets(count: int = 5, *, unit: int = 1000, start: int = T0 * NS) -> list[Packet]:
    """Packets of different lengths and contents, 1.000001 s apart, times in whole `unit` ns."""
    sizes = [60, 21, 333, 66, 128, 54, 90]
    noise = Random(7)
    return [Packet(noise.randbytes(sizes[i % 7]), start + i * 1_000_001 * unit, sizes[i % 7]) for i in range(count)]


def pcap_header(
    order: str = "<", magic: int = 0xA1B2C3D4, link: int = 1, snaplen: int = 262144, minor: int = 4
) -> bytes:
    return pack(order + "IHHiIII", magic, 2, minor, 0, 0, snaplen, link)


def pcap_record(packet: Packet, order: str = "<", unit: int = 1000, extra: int = 0, swapped: bool = False) -> bytes:
    lengths = (len(packet.data), packet.length)
    if swapped:
        lengths = lengths[::-1]
    seconds, rest = divmod(packet.time, NS)
    return pack(order + "IIII", seconds, rest // unit, *lengths) + b"\x01\x02\x08\x00" * (extra // 4) + packet.data


def pcap(items: Iterable[Packet], order: str = "<", magic: int = 0xA1B2C3D4, link: int = 1, unit: int = 1000) -> bytes:
    return pcap_header(order, magic, link) + b"".join(pcap_record(item, order, unit) for item in items)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    total = len(body) + 12
    return pack(order + "II", kind, total) + body + pack(order + "I", total)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def shb(order: str = "<", options: bytes = b"") -> bytes:
    return block(SHB, pack(order + "IHHq", BOM, 1, 0, -1) + options, order)


def idb(
    order: str = "<", link: int = 1, snaplen: int = 262144, resolution: int | None = None, offset: int = 0
) -> bytes:
    options = b""
    if resolution is not None:
        options += option(9, bytes([resolution]), order)
    if offset:
        options += option(14, pack(order + "q", offset), order)
    return block(IDB, pack(order + "HHI", link, 0, snaplen) + options + (option(0, b"") if options else b""), order)


def epb(packet: Packet, order: str = "<", number: int = 0, raw: int | None = None, options: bytes = b"") -> bytes:
    raw = packet.time // 1000 if raw is None else raw
    head = pack(order + "IIIII", number, raw >> 32, raw & 0xFFFFFFFF, len(packet.data), packet.length)
    return block(EPB, head + packet.data + bytes(-len(packet.data) % 4) + options, order)


def spb(packet: Packet, order: str = "<") -> bytes:
    return block(SPB, pack(order + "I", packet.length) + packet.data, order)


def old_packet(packet: Packet, order: str = "<", number: int = 0) -> bytes:
    raw = packet.time // 1000
    head = pack(order + "HHIIII", number, 0, raw >> 32, raw & 0xFFFFFFFF, len(packet.data), packet.length)
    return block(PB, head + packet.data, order)


def pcapng(items: Iterable[Packet], order: str = "<") -> bytes:
    return shb(order) + idb(order) + b"".join(epb(item, order) for item in items)


@dataclass
class Result:
    """All that a reading gave."""

    packets: list[Packet]
    damages: list[Damage]
    reading: Reading | None = None
    info: SourceInfo | None = None
    error: str = ""
    batches: int = 0

    def same(self, wanted: Sequence[Packet]) -> bool:
        """Tell whether the packets read are those wanted, numbers apart (which must ascend from 1)."""
        assert [packet.number for packet in self.packets] == list(range(1, len(self.packets) + 1))
        return [packet._replace(number=0) for packet in self.packets] == [*wanted]


class Trickle:
    """A byte stream that gives `step` bytes at a time, like a slow pipe."""

    def __init__(self, data: bytes, step: int) -> None:
        self.problem: str | None = None
        self.data, self.step, self.at = data, step, 0

    def readinto(self, view: memoryview) -> int:
        piece = self.data[self.at : self.at + min(self.step, len(view))]
        view[: len(piece)] = piece
        self.at += len(piece)
        return len(piece)

    def ready(self) -> bool:
        return False

    def settle(self) -> None:
        pass

    def took(self, piece: memoryview) -> None:
        pass


def walk(data: bytes, step: int = 1 << 20, size: int = 64) -> Result:
    """Read `data`, `step` bytes at a time, through a window that is `size` bytes long at first."""
    window, reading = Window(Trickle(data, step), size), Reading(0)
    reader = (PcapReader if capture_format(data[:4]) == "pcap" else PcapngReader)(window, reading)
    result = Result([], reading.damages, reading)
    try:
        for batch in reader.batches():
            _collect(result, batch)
    except InputError as error:
        result.error = str(error)
    return result


def read(path: Path | str) -> Result:
    """Read the file `path` as a command does."""
    with Source(str(path)) as source:
        result = Result([], [])
        try:
            for batch in source.batches():
                _collect(result, batch)
        except InputError as error:
            result.error = str(error)
        result.damages, result.info = source.damages, source.info
        return result


def _collect(result: Result, batch) -> None:  # type: ignore[no-untyped-def]
    result.batches += 1
    columns = zip(batch.starts, batch.caplens, batch.lengths, batch.times, strict=True)
    for number, (start, caplen, length, time) in enumerate(columns, batch.first_number):
        assert start + caplen <= len(batch.data)
        data = bytes(batch.data[start : start + caplen])
        result.packets.append(Packet(data, time, length, batch.link, number))
