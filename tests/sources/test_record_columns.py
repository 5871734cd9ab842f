"""Large windows, read by columns, against the same bytes read record by record."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from wirecase.sources import Source, pcap, pcapng

COUNT = 3000


def pcapng_file(edit: Callable[[int, bytearray], bytearray], *, order: str = "<", resolution: int = 6) -> bytes:
    """A capture of one interface whose blocks `edit` may spoil."""
    out = [struct.pack(order + "IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)]
    options = struct.pack(order + "HHBxxxHH", 9, 1, resolution, 0, 0)
    for link in (101, 1):
        out.append(struct.pack(order + "IIHHI", 1, 20 + len(options), link, 0, 0) + options)
        out.append(struct.pack(order + "I", 20 + len(options)))
    for number in range(COUNT):
        size = 60 + number % 301
        padded = (size + 3) & ~3
        time = 1_700_000_000 * 10**resolution + number
        block = struct.pack(
            order + "IIIIIII", 6, 32 + padded, 0, time >> 32, time & 0xFFFFFFFF, size, size + number % 3
        )
        block += bytes(padded) + struct.pack(order + "I", 32 + padded)
        out.append(bytes(edit(number, bytearray(block))))
    return b"".join(out)


def pcap_file(edit: Callable[[int, bytearray], bytearray], *, order: str = "<") -> bytes:
    """The same as pcap."""
    out = [struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)]
    for number in range(COUNT):
        size = 60 + number % 301
        record = struct.pack(order + "IIII", 1_700_000_000 + number, number, size, size + number % 3) + bytes(size)
        out.append(bytes(edit(number, bytearray(record))))
    return b"".join(out)


def at(place: int, offset: int, *values: int) -> Callable[[int, bytearray], bytearray]:
    """Overwrite bytes of one block."""

    def edit(number: int, block: bytearray) -> bytearray:
        if number == place:
            block[offset : offset + len(values)] = bytes(values)
        return block

    return edit


def untouched(_number: int, block: bytearray) -> bytearray:
    """Leave a block as it is."""
    return block


def without(place: int) -> Callable[[int, bytearray], bytearray]:
    """Leave a block out but for its first bytes."""
    return lambda number, block: block[:10] if number == place else block


def other_block(number: int, block: bytearray) -> bytearray:
    """A block that carries no packet stands before every thousandth."""
    return struct.pack("<III", 0xBAD, 12, 12) + block if number % 1000 == 999 else block


def read(path: Path) -> object:
    """All that a source says."""
    source = Source(str(path))
    packets = []
    for batch in source.batches():
        for i, start in enumerate(batch.starts):
            taken = bytes(batch.data[start : start + batch.caplens[i]])
            packets.append((batch.first_number + i, batch.link, taken, batch.lengths[i], batch.times[i]))
    return packets, source.info, source.damages, source.skipped_blocks


NG = {
    "plain": pcapng_file(untouched),
    "nanoseconds": pcapng_file(untouched, resolution=9),
    "milliseconds": pcapng_file(untouched, resolution=3),
    "big endian": pcapng_file(untouched, order=">"),
    "interfaces": pcapng_file(lambda n, b: at(n, 8, n % 2)(n, b) if n > 1500 else b),
    "unknown interface": pcapng_file(at(1700, 8, 9)),
    "other blocks": pcapng_file(other_block),
    "far future": pcapng_file(at(1600, 12, 255, 255, 255, 255)),
    "length 0": pcapng_file(at(1600, 4, 0, 0, 0, 0)),
    "length 33": pcapng_file(at(1600, 4, 33, 0, 0, 0)),
    "two lengths": pcapng_file(lambda n, b: b[:-4] + b"\x21\0\0\0" if n == 1600 else b),
    "packet too long": pcapng_file(at(1600, 20, 255, 255)),
    "longer than on the wire": pcapng_file(at(1600, 24, 1, 0, 0, 0)),
    "cut": pcapng_file(untouched)[:-200],
    "a hole": pcapng_file(without(1600)),
}
PLAIN = {
    "plain": pcap_file(untouched),
    "big endian": pcap_file(untouched, order=">"),
    "empty packet": pcap_file(lambda n, b: b[:8] + bytes(8) if n == 1600 else b),
    "longer than on the wire": pcap_file(at(1600, 12, 1, 0, 0, 0)),
    "very long": pcap_file(at(1600, 8, 255, 255, 255, 255)),
    "cut": pcap_file(untouched)[:-200],
    "a hole": pcap_file(without(1600)),
}


@pytest.mark.parametrize("name", NG)
def test_pcapng(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "capture.pcapng"
    path.write_bytes(NG[name])
    columns = read(path)
    monkeypatch.setattr(pcapng, "MIN_WINDOW", 1 << 60)
    assert columns == read(path)


@pytest.mark.parametrize("name", PLAIN)
def test_pcap(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "capture.pcap"
    path.write_bytes(PLAIN[name])
    columns = read(path)
    monkeypatch.setattr(pcap, "MIN_WINDOW", 1 << 60)
    assert columns == read(path)
