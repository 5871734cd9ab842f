"""A very large capture: the traffic of others again and again, each time with connections of its own.

Every copy moves the client to an address of its own and the times forward. Ports, sequence numbers and payload stay,
the checksums of IP and TCP follow (RFC 1624), so a copy is as good as the first recording.
"""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import numpy
from numpy.typing import NDArray

from traffic.recording import require_tools
from traffic.sidecar import CannotGenerate, Sidecar

LARGE_NAME = "large-4g"
LARGE_SIZE = 4_000_000_000
PARTS = ("unary", "huffman", "small-frames", "streamed", "flight-1448")

_IP_AT = 14
"""All parts are Ethernet and IPv4 without options."""


class _Part:
    """The packets of one capture as a block of pcap records, rewritten in place for every copy."""

    def __init__(self, path: Path, port: int, calls: int) -> None:
        data = numpy.fromfile(path, dtype=numpy.uint8)
        if bytes(data[:4]) != b"\x4d\x3c\xb2\xa1":
            raise CannotGenerate(f"{path.name} is no pcap file with nanosecond times")
        self.calls = calls
        self.records = data[24:]
        starts, at, view = [], 0, self.records.data
        while at < len(view):
            starts.append(at)
            at += 16 + int(struct.unpack_from("<I", view, at + 8)[0])
        self.packets = len(starts)
        self._starts = numpy.array(starts, dtype=numpy.int64)
        times = self._field(0, "<u4") * 1_000_000_000 + self._field(4, "<u4")
        self._times = times - times.min()
        self.duration = int(self._times.max())
        # The client's address is the source where the destination port is the server's.
        from_client = self._field(16 + _IP_AT + 22, ">u2") == port
        self._client_at = numpy.where(from_client, 16 + _IP_AT + 12, 16 + _IP_AT + 16)
        self._client = self._field(self._client_at, ">u4")
        self._ip_checksum = self._field(16 + _IP_AT + 10, ">u2")
        self._tcp_checksum = self._field(16 + _IP_AT + 36, ">u2")

    def _at(self, offset: int | NDArray[numpy.int64], width: int) -> NDArray[numpy.int64]:
        starts = numpy.add(self._starts, offset)
        return numpy.add(starts[:, None], numpy.arange(width, dtype=numpy.int64))

    def _field(self, offset: int | NDArray[numpy.int64], kind: str) -> NDArray[numpy.int64]:
        """One field of every packet as whole numbers, *offset* counted from the start of its record."""
        width = numpy.dtype(kind).itemsize
        return self.records[self._at(offset, width)].view(kind)[:, 0].astype(numpy.int64)

    def _put(self, offset: int | NDArray[numpy.int64], kind: str, values: NDArray[numpy.int64]) -> None:
        width = numpy.dtype(kind).itemsize
        self.records[self._at(offset, width)] = values.astype(kind).view(numpy.uint8).reshape(-1, width)

    def copy_to(self, out: BinaryIO, client: int, start: int) -> None:
        """Write all packets with *client* as the client's IPv4 address, the first at *start* nanoseconds."""
        times = self._times + start
        self._put(0, "<u4", times // 1_000_000_000)
        self._put(4, "<u4", times % 1_000_000_000)
        self._put(self._client_at, ">u4", numpy.full(self.packets, client))
        for offset, before in ((10, self._ip_checksum), (36, self._tcp_checksum)):
            self._put(16 + _IP_AT + offset, ">u2", self._checksum(before, client))
        out.write(self.records.data)

    def _checksum(self, before: NDArray[numpy.int64], client: int) -> NDArray[numpy.int64]:
        """The checksum after the client's address changed: ~(~HC + ~m + m') for both words (RFC 1624 section 3)."""
        total: NDArray[numpy.int64] = (
            (before ^ 0xFFFF) + (self._client >> 16 ^ 0xFFFF) + (self._client & 0xFFFF ^ 0xFFFF)
        )
        total += (client >> 16) + (client & 0xFFFF)
        total = (total & 0xFFFF) + (total >> 16)
        total = (total & 0xFFFF) + (total >> 16)
        return numpy.bitwise_xor(total, 0xFFFF)


def write_large(folder: Path, sidecars: list[Sidecar], scale: float) -> Sidecar:
    """Repeat the captures in *folder* until the file holds 4 GB times *scale*; raises CannotGenerate."""
    require_tools("editcap")
    by_name = {sidecar.name: sidecar for sidecar in sidecars}
    missing = [name for name in PARTS if name not in by_name]
    if missing:
        raise CannotGenerate(f"it repeats captures that are not there yet: {', '.join(missing)}")
    path = folder / f"{LARGE_NAME}.pcap"
    total = Sidecar(LARGE_NAME, path.name, None, "Repeated: " + ", ".join(PARTS) + " with fresh connections.", 0, 0)
    try:
        with TemporaryDirectory(dir=folder) as scratch, path.open("wb") as out:
            out.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))
            parts = [_load(by_name[name], folder, Path(scratch)) for name in PARTS]
            clock, client, wanted = 1_700_000_000_000_000_000, 0x0A010001, LARGE_SIZE * scale
            while out.tell() < wanted:
                for part in parts:
                    if out.tell() >= wanted:
                        break
                    part.copy_to(out, client, clock)
                    client += 1
                    clock += part.duration + 1_000_000_000
                    total.packets += part.packets
                    total.calls += part.calls
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    total.size, total.scale, total.memory_only = path.stat().st_size, scale, True
    return total


def _load(sidecar: Sidecar, folder: Path, scratch: Path) -> _Part:
    converted = scratch / f"{sidecar.name}.pcap"
    subprocess.run(["editcap", "-F", "nsecpcap", str(folder / sidecar.file), str(converted)], check=True)
    if sidecar.port is None:
        raise CannotGenerate(f"{sidecar.name} has no port")
    part = _Part(converted, sidecar.port, sidecar.calls)
    converted.unlink()
    return part
