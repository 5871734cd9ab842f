"""Where a live diagnosis takes its packets from: the ring itself, or the recording as it grows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol

from wirecase.model import PacketBatch
from wirecase.recording.transcript import Transcript
from wirecase.recording.writer import AT_ONCE, LINKTYPE_RAW, PAUSE
from wirecase.sources import Follow, Source
from wirecase.sources.live.ring import Ring, Slot

Tick = Callable[[], bool]
"""Called several times a second; says whether nothing more will come than what is there."""


class Input(Protocol):
    """Packets of a live session."""

    source: Source

    def batches(self, tick: Tick) -> Iterator[PacketBatch]:
        """Yield what comes until `tick` says that it is over and all of it was taken."""

    @property
    def behind(self) -> tuple[int, float]:
        """Bytes that were recorded and not yielded yet, and for how many seconds the oldest of them waits."""


class Packets:
    """Makes one `PacketBatch` (`wirecase.recording.transcript.Sink`)."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.starts: list[int] = []
        self.lengths: list[int] = []
        self.times: list[int] = []

    def packet(self, time: int, head: bytes, payload: memoryview | bytes) -> None:
        """Take one packet."""
        self.starts.append(len(self.data))
        self.lengths.append(len(head) + len(payload))
        self.times.append(time)
        self.data += head
        self.data += payload

    def batch(self, number: int) -> PacketBatch:
        """Return the packets so far; the first one has this number."""
        lengths = self.lengths
        return PacketBatch(0, LINKTYPE_RAW, memoryview(self.data), self.starts, lengths, lengths, self.times, number)

    def clear(self) -> None:
        """Begin anew; what was handed on before stays valid."""
        self.data = bytearray()
        self.starts, self.lengths, self.times = [], [], []


class RingInput:
    """Takes packets right out of the ring: nothing is recorded on disk."""

    def __init__(self, ring: Ring, name: str) -> None:
        self.source = Source(name)
        self.source.info.format = "live"
        self._ring = ring
        self._latest = 0
        self.on_failed: Callable[[str], None] | None = None

    @property
    def behind(self) -> tuple[int, float]:
        """What the ring holds."""
        waiting = self._ring.waiting
        return waiting, max(time.time_ns() - self._latest, 0) / 1e9 if waiting and self._latest else 0.0

    def batches(self, tick: Tick) -> Iterator[PacketBatch]:
        """Yield what the ring holds."""
        ring, info, batch = self._ring, self.source.info, Packets()
        transcript = Transcript(batch)
        transcript.on_failed = self.on_failed
        while True:
            over = tick()
            taken = False
            for record in ring.read(AT_ONCE):
                transcript.take(record)
                self._latest = record.time
                taken = True
            ring.release()
            if batch.starts:
                first = info.packets + 1
                info.packets += len(batch.starts)
                info.bytes += len(batch.data)
                info.first = batch.times[0] if info.first is None else info.first
                info.last = batch.times[-1]
                yield batch.batch(first)
                batch.clear()
            elif not taken:
                if over:
                    return
                time.sleep(PAUSE)


class FileInput:
    """Reads the recording behind its writer, who has `ring`."""

    def __init__(self, path: str, ring: Ring) -> None:
        self.source = Source(path)
        self._ring = ring
        self._latest = 0

    @property
    def behind(self) -> tuple[int, float]:
        """What was written and not read, and what still waits to be written."""
        unread = max(self._ring.slots[Slot.written] - self.source.bytes_read, 0)
        age = max(time.time_ns() - self._latest, 0) / 1e9 if unread > 4096 and self._latest else 0.0
        return unread + self._ring.waiting, age

    def batches(self, tick: Tick) -> Iterator[PacketBatch]:
        """Yield what the file holds, as it grows."""

        def over() -> bool:
            return tick() and self.source.bytes_read >= self._ring.slots[Slot.written]

        self.source.follow = Follow(over, rotates=False)
        for batch in self.source.batches():
            self._latest = batch.times[-1]
            yield batch
