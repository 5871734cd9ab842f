"""The pcapng side of a case (draft-ietf-opsawg-pcapng): blocks written, and rewritten with comments."""

from __future__ import annotations

import heapq
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

LINKTYPE_RAW = 101
"""IPv4 or IPv6, told by its first four bits."""
_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_COMMENT, _APPLICATION, _NAME, _RESOLUTION = 1, 4, 2, 9
LONGEST_OPTION = 60_000
"""Bytes of one option; its length field has 16 bits."""
_BUDGET = 8 << 20
"""Bytes of packets that wait to be put in order of time."""


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _block(kind: int, body: bytes) -> bytes:
    size = 12 + len(body)
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def section(comments: Sequence[str], application: str) -> bytes:
    """Return the section header and the one interface; each comment fits into an option (`LONGEST_OPTION`)."""
    options = b"".join(_option(_COMMENT, comment.encode()) for comment in comments)
    options += _option(_APPLICATION, application.encode()) + _option(0, b"")
    head = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    nanoseconds = _option(_NAME, b"wirecase") + _option(_RESOLUTION, b"\x09") + _option(0, b"")
    return _block(_SECTION, head + options) + _block(_INTERFACE, struct.pack("<HHI", LINKTYPE_RAW, 0, 0) + nanoseconds)


def packet(time: int, data: bytes) -> bytes:
    """Return one enhanced packet block without options."""
    head = struct.pack("<IIIII", 0, time >> 32, time & 0xFFFFFFFF, len(data), len(data))
    return _block(_PACKET, head + data + bytes(-len(data) % 4))


class PacketFile:
    """Writes packets in order of time, as far as a bounded number of them can be put in order."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._file.write(section((), "wirecase"))
        self._heap: list[tuple[int, int, int, bytes]] = []
        self._held = 0
        self._taken = 0
        self.packets = 0
        self.connections: dict[int, None] = {}
        """The connections in the order of their first packets."""

    def add(self, time: int, connection: int, data: bytes) -> None:
        """Take one packet; -1 as connection for one that belongs to none."""
        heapq.heappush(self._heap, (time, self._taken, connection, data))
        self._taken += 1
        self._held += len(data)
        while self._held > _BUDGET:
            self._write()

    def finish(self) -> None:
        """Write all that waits."""
        while self._heap:
            self._write()

    def _write(self) -> None:
        time, _, connection, data = heapq.heappop(self._heap)
        self._held -= len(data)
        self.packets += 1
        if connection >= 0:
            self.connections.setdefault(connection)
        self._file.write(packet(time, data))


def annotate(body: IO[bytes], target: IO[bytes], head: bytes, comments: Mapping[int, Sequence[str]]) -> None:
    """Copy a `PacketFile` behind another section header; `comments` are by packet number, from 1."""
    target.write(head)
    number = 0
    while header := body.read(8):
        kind, size = struct.unpack("<II", header)
        rest = body.read(size - 8)
        if kind != _PACKET:
            continue
        number += 1
        wanted = comments.get(number)
        if wanted:
            options = b"".join(_option(_COMMENT, comment.encode()) for comment in wanted) + _option(0, b"")
            target.write(_block(_PACKET, rest[:-4] + options))
        else:
            target.write(header)
            target.write(rest)


def section_comments(file: IO[bytes]) -> list[bytes] | None:
    """Return the comments of a file's section header; None if it is no pcapng file of this byte order."""
    head = file.read(12)
    if len(head) < 12 or head[:4] != _SECTION.to_bytes(4, "little") or head[8:12] != b"\x4d\x3c\x2b\x1a":
        return None
    size = int.from_bytes(head[4:8], "little")
    if not 28 <= size <= 1 << 26:
        return None
    body = file.read(size - 12)
    return [value for code, value in _options(body[12:-4]) if code == _COMMENT]


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        code, size = struct.unpack_from("<HH", data, at)
        if not code:
            return
        yield code, data[at + 4 : at + 4 + size]
        at += 4 + size + (-size % 4)
