"""The recording on disk: a pcapng file that is readable at any moment, and that tells whether it was ended in order.

Whole blocks are written, several times a second, and nothing is buffered here: when everything is killed, what was
written is on disk. The last block of a recording that was ended is its interface's statistics (§4.6 of the format): how
much was dropped, and when it ended. A recording without it was cut off, and reading it says so.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from wirecase import __version__
from wirecase.recording.transcript import LONGEST, Transcript
from wirecase.sources.live.process import begin_process
from wirecase.sources.live.ring import Ring, Slot
from wirecase.sources.pcapng_blocks import EPB, IDB, ISB, RECORDED, SHB

LINKTYPE_RAW = 101
PAUSE = 0.05
"""Seconds between two looks into the ring when nothing comes."""
AT_ONCE = 4 << 20
"""Bytes that are taken from the ring before they are written."""
_EPB_HEAD = struct.Struct("<IIIIIII")
_NOTE = (
    "Recorded by wirecase, a proxy between the client and the server that are named here: TCP and IP are written anew, "
    "the bytes in them and their times are those that passed. A recording that was ended in order ends with a block of "
    "interface statistics; without one it was cut off, and up to a second before the cut may be missing."
)


def head() -> bytes:
    """Return the section header and the interface of a recording."""
    options = _option(1, _NOTE.encode()) + _option(4, f"wirecase {__version__}".encode()) + _option(0, b"")
    section = _block(SHB, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + options)
    options = _option(2, RECORDED) + _option(9, b"\x09") + _option(0, b"")
    return section + _block(IDB, struct.pack("<HHI", LINKTYPE_RAW, 0, 0) + options)


def end(now: int, dropped: int) -> bytes:
    """Return the block that ends a recording; `dropped` counts the packets that are missing."""
    options = _option(3, struct.pack("<II", now >> 32, now & 0xFFFFFFFF)) + _option(5, struct.pack("<Q", dropped))
    return _block(ISB, struct.pack("<III", 0, now >> 32, now & 0xFFFFFFFF) + options + _option(0, b""))


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _block(kind: int, body: bytes) -> bytes:
    size = 12 + len(body)
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


class Blocks:
    """Makes packet blocks (`wirecase.recording.transcript.Sink`) until they are taken."""

    def __init__(self) -> None:
        self._parts: list[bytes | memoryview] = []
        self.size = 0
        self.packets = 0

    def packet(self, time: int, head: bytes, payload: memoryview | bytes) -> None:
        """Take one packet."""
        length = len(head) + len(payload)
        pad = -length % 4
        size = 32 + length + pad
        start = _EPB_HEAD.pack(EPB, size, 0, time >> 32, time & 0xFFFFFFFF, length, length)
        self._parts += (start + head, payload, bytes(pad) + size.to_bytes(4, "little"))
        self.size += size
        self.packets += 1

    def take(self) -> bytes:
        """Return them all."""
        joined = b"".join(self._parts)
        self._parts.clear()
        self.size = 0
        return joined


class RecordingFile:
    """Writes what a ring tells; what can no longer be written is taken out of the ring all the same."""

    def __init__(self, ring: Ring, handle: int) -> None:
        self._ring = ring
        self._handle = handle
        self._blocks = Blocks()
        self._transcript = Transcript(self._blocks)
        self._latest = 0
        self._write(head())

    @property
    def broken(self) -> int:
        """The errno with which writing ended; 0 while it goes on."""
        return self._ring.slots[Slot.write_failed]

    def step(self) -> int:
        """Write what the ring holds, some MB at most; return how many bytes were taken from it."""
        ring, blocks = self._ring, self._blocks
        before = ring.slots[Slot.tail]
        for record in ring.read(AT_ONCE):
            self._transcript.take(record)
            self._latest = record.time
        data = blocks.take()  # copies what lay in the ring
        ring.release()
        if data:
            self._write(data)
        slots = ring.slots
        slots[Slot.packets] = blocks.packets
        slots[Slot.flushed] = self._latest
        return slots[Slot.tail] - before

    def end(self) -> None:
        """End the recording in order."""
        slots = self._ring.slots
        dropped = slots[Slot.lost_records] + -(-slots[Slot.lost_bytes] // LONGEST)
        self._write(end(time.time_ns(), dropped))

    def _write(self, data: bytes) -> None:
        if self.broken:
            return
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._handle, view) :]
        except OSError as error:
            # A block that was cut would make the rest unreadable: nothing is written behind it.
            self._ring.slots[Slot.write_failed] = error.errno or 5
            return
        self._ring.slots[Slot.written] += len(data)


def run(handle: Any, path: str, lifeline: Connection) -> None:
    """Write a recording until the proxy has ended, or whoever began this has (the body of a process)."""
    begin_process()
    ring = Ring(handle.handle)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        recording = RecordingFile(ring, file)
        pump(recording.step, lambda: bool(ring.slots[Slot.ended]) or lifeline.poll(0))
        recording.end()
    finally:
        os.close(file)


def pump(step: Callable[[], int], ended: Callable[[], bool]) -> None:
    """Take steps until there is nothing left after the end."""
    while True:
        over = ended()
        if not step():
            if over:
                return
            time.sleep(PAUSE)
