"""A ring in memory that two processes share: one writes records, the other reads them, and neither waits.

The first page holds numbers of 64 bits, one writer each; behind it lie records, each a header and its payload, padded
to eight bytes. The writer's place and the reader's place only ever grow; what lies between them belongs to the reader,
all else to the writer. A record never wraps: where the end is too near, the rest is left out. The writer receives bytes
from a socket right into the ring, so handing them over copies nothing.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

PAGE = 4096
_HEADER = struct.Struct("<IBBHIIq")
"""Payload length, kind, side, whether acknowledged is known, connection, acknowledged, time."""
HEADER = _HEADER.size
CONTROL_ROOM = 1 << 18
"""Bytes that only records without traffic may use, so that a connection's end is told even when its bytes are not."""


class Kind(IntEnum):
    """What a record tells."""

    opened = 1
    """A client was accepted; the payload names both ends: ``client server``."""
    established = 2
    """The server has accepted, too."""
    refused = 3
    """The server has answered the SYN with a RST."""
    data = 4
    """Bytes that `side` sent."""
    fin = 5
    rst = 6
    lost = 7
    """Bytes that `side` sent and that found no room here: the payload is their number."""
    blocked = 8
    """`side` has taken no bytes for a while: its buffers are full."""
    closed = 9
    """Nothing more will come of this connection."""
    failed = 10
    """TLS could not be set up; the payload says why."""
    acked = 11
    """`side` has acknowledged more of what the other side sent."""
    again = 12
    """The SYN to the server was sent again: nothing has answered it; the payload is how often it was."""
    unreached = 13
    """The server could not be reached, and no answer of its own says so; the payload says why."""
    skip = 255


class Slot(IntEnum):
    """The numbers on the first page."""

    head = 0
    tail = 1
    accepted = 2
    open = 3
    client_bytes = 4
    server_bytes = 5
    lost_bytes = 6
    lost_records = 7
    refused = 8
    cpu = 9
    """Processor time of the forwarding process, ns."""
    beat = 10
    """When the forwarding process last went round, ns since the epoch."""
    ended = 11
    """1 once the writer has written its last record."""
    turned_away = 12
    """Clients that were turned away: too many connections."""
    tls_failed = 13
    written = 16
    """From here on the reader's: bytes of the recording on disk."""
    flushed = 17
    """Time of the last record that is on disk."""
    write_failed = 18
    """The errno with which writing the recording ended; 0 while it goes on."""
    packets = 19


class Record(NamedTuple):
    """One record; `data` is valid until the reader releases it."""

    kind: int
    side: int
    connection: int
    time: int
    acked: int | None
    """How many bytes of the other side's stream, and its FIN, the TCP of `side` has acknowledged by then, modulo 2**32;
    None if that is not known to have changed."""
    data: memoryview


def make_file(size: int) -> int:
    """Return the descriptor of shared memory for a ring of `size` bytes; whoever has it can open the ring."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("wirecase-ring")
    else:
        with tempfile.TemporaryFile() as file:
            handle = os.dup(file.fileno())
    os.ftruncate(handle, PAGE + (size & ~7))
    return handle


class Ring:
    """Both ends of it; each process uses one."""

    def __init__(self, handle: int) -> None:
        self._map = mmap.mmap(handle, 0)
        self._view = memoryview(self._map)
        self.slots = self._view[:PAGE].cast("Q")
        """By `Slot`; each is written by one process only."""
        self.size = len(self._view) - PAGE
        self._head = self.slots[Slot.head]
        self._tail = self.slots[Slot.tail]

    def close(self) -> None:
        """Let the memory go."""
        self.slots.release()
        self._view.release()
        self._map.close()

    # ---- the writer --------------------------------------------------------------------------------------------

    def room(self, wanted: int, least: int) -> memoryview | None:
        """Return where up to `wanted` bytes of traffic may be put, at least `least`; None if there is no room."""
        free = self._free(least + HEADER + CONTROL_ROOM)
        if free is None:
            return None
        at = self._head % self.size
        straight = self.size - at
        if straight < HEADER + least:
            if free < straight + HEADER + least + CONTROL_ROOM:
                free = self._free(straight + HEADER + least + CONTROL_ROOM, fresh=True)
                if free is None:
                    return None
            self._skip(at, straight)
            free -= straight
            at, straight = 0, self.size
        start = PAGE + at + HEADER
        return self._view[start : start + min(wanted, straight - HEADER, free - HEADER - CONTROL_ROOM)]

    def commit(self, kind: int, side: int, connection: int, time: int, length: int, acked: int | None = None) -> None:
        """The first `length` bytes of the last `room` are a record now."""
        at = PAGE + self._head % self.size
        if acked is None:
            _HEADER.pack_into(self._view, at, length, kind, side, 0, connection, 0, time)
        else:
            _HEADER.pack_into(self._view, at, length, kind, side, 1, connection, acked & 0xFFFFFFFF, time)
        self._head += (HEADER + length + 7) & ~7
        self.slots[Slot.head] = self._head

    def put(
        self, kind: int, side: int, connection: int, time: int, payload: bytes = b"", acked: int | None = None
    ) -> bool:
        """Write a record without traffic; False if there is no room even for that."""
        size = HEADER + len(payload) + 7 & ~7
        free = self._free(2 * size + HEADER)
        if free is None:
            return False
        at = self._head % self.size
        if self.size - at < size:
            straight = self.size - at
            if free < straight + size and self._free(straight + size, fresh=True) is None:
                return False
            self._skip(at, straight)
            at = 0
        start = PAGE + at + HEADER
        self._view[start : start + len(payload)] = payload
        self.commit(kind, side, connection, time, len(payload), acked)
        return True

    def _free(self, needed: int, *, fresh: bool = False) -> int | None:
        """Return the bytes that are free; None if they are fewer than `needed`."""
        free = self.size - (self._head - self._tail)
        if free < needed or fresh:
            self._tail = self.slots[Slot.tail]
            free = self.size - (self._head - self._tail)
        return free if free >= needed else None

    def _skip(self, at: int, straight: int) -> None:
        if straight >= HEADER:
            _HEADER.pack_into(self._view, PAGE + at, 0, Kind.skip, 0, 0, 0, 0, 0)
        self._head += straight
        self.slots[Slot.head] = self._head

    # ---- the reader --------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Bytes that were written and not released yet."""
        return self.slots[Slot.head] - self.slots[Slot.tail]

    def read(self, limit: int) -> Iterator[Record]:
        """Yield what is there, up to some `limit` bytes; `release` lets go of all that was yielded."""
        head = min(self.slots[Slot.head], self._tail + limit)
        while self._tail < head:
            at = self._tail % self.size
            straight = self.size - at
            if straight < HEADER:
                self._tail += straight
                continue
            length, kind, side, known, connection, acked, time = _HEADER.unpack_from(self._view, PAGE + at)
            if kind == Kind.skip:
                self._tail += straight
                continue
            start = PAGE + at + HEADER
            self._tail += HEADER + length + 7 & ~7
            data = self._view[start : start + length]
            yield Record(kind, side, connection, time, acked if known else None, data)

    def release(self) -> None:
        """Give the room of all records that were read back to the writer."""
        self.slots[Slot.tail] = self._tail
