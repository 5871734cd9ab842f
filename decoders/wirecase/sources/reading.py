"""What one reading of a source gathers beside the packets: counts, times, damage, secrets."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from wirecase.model import Damage, FormFacts, PacketBatch

MAX_PACKET = 16 << 20
"""No packet is longer, in bytes: a record that claims more is damaged."""
USUAL_PACKET = 1 << 18
"""What every capture tool may write whatever snapshot length it announced, in bytes."""
SEARCH = 1 << 20
"""How far behind a damaged place the next packet is looked for, in bytes."""
MAX_DAMAGES = 64
"""Damaged places after which reading a source is given up, so that time stays linear on any bytes."""
MAX_TIME = (1 << 63) - 1
"""Latest time, ns since the epoch: what a signed 64-bit integer holds (the year 2262)."""

MIN_WINDOW = 1 << 18
"""Bytes from which on a window's packets may be read by columns."""
LONG_BLOCK = 512
"""Bytes of a pcapng block from which on stepping from one to the next is cheaper than looking at all their words."""
MIN_RECORDS = 256
"""Packets from which on they are: so many bring the layers above to columns, and numpy is needed anyway."""


@dataclass(slots=True)
class Reading:
    """The running account of one pass over a source."""

    source: int
    packets: int = 0
    other_frames: int = 0
    """What Wireshark gives a ``frame.number`` although it is no packet."""
    first: int | None = None
    last: int | None = None
    newest: int | None = None
    """Time of the packet read last, ns since the epoch."""
    damages: list[Damage] = field(default_factory=list)
    secrets: list[tuple[int, bytes]] = field(default_factory=list)
    skipped_blocks: dict[int, int] = field(default_factory=dict)
    """pcapng blocks that carry no packets and were passed over: how many, by block type."""
    dropped: int | None = None
    """Packets that the capture tool says it lost."""
    form: FormFacts | None = None
    """Set by the readers of evidence that is no packet capture."""
    unfinished: Callable[[], bool] = bool
    """Asked at the end: whether it is only how far the input's writer has come, so that a cut there is no damage."""

    def damage(self, offset: int, reason: str, count: int = 0) -> Damage:
        """Note that `count` bytes from `offset` on could not be read, and return the note."""
        note = Damage(self.source, offset, reason, self.packets, count)
        self.damages.append(note)
        return note

    @property
    def worn_out(self) -> bool:
        """True once so much was damaged that looking further is no use."""
        return len(self.damages) >= MAX_DAMAGES


@dataclass(slots=True)
class Columns:
    """The packets of one link type walked so far in a window: lists, or arrays of int64 once `extend` was called."""

    link: int
    starts: list[int] | array[int] = field(default_factory=list)
    caplens: list[int] | array[int] = field(default_factory=list)
    lengths: list[int] | array[int] = field(default_factory=list)
    times: list[int] | array[int] = field(default_factory=list)

    def extend(self, starts: bytes, caplens: bytes, lengths: bytes, times: bytes) -> None:
        """Add many packets, each column as int64 in this machine's order; their times fit."""
        self.times = _clamped(self.times)
        for name, more in (("starts", starts), ("caplens", caplens), ("lengths", lengths), ("times", times)):
            column = getattr(self, name)
            if type(column) is list:
                column = array("q", column)
                setattr(self, name, column)
            column.frombytes(more)

    @property
    def add_time(self) -> Callable[[int], None]:
        """What adds one packet's time, which may be any number."""
        times = self.times
        return times.append if type(times) is list else lambda time: times.append(min(max(time, 0), MAX_TIME))

    def batch(self, reading: Reading, data: memoryview) -> PacketBatch:
        """Return the packets, numbered and entered in `reading`; there must be one at least."""
        self.times = _clamped(self.times)
        number = reading.packets + reading.other_frames + 1
        made = PacketBatch(reading.source, self.link, data, self.starts, self.caplens, self.lengths, self.times, number)
        low, high = made.span
        if reading.first is None or low < reading.first:
            reading.first = low
        if reading.last is None or high > reading.last:
            reading.last = high
        reading.newest = self.times[-1]
        reading.packets += len(self.starts)
        return made


def _clamped(times: list[int] | array[int]) -> list[int] | array[int]:
    """Return `times` so that a signed 64-bit integer holds each."""
    if type(times) is array or not times or (min(times) >= 0 and max(times) <= MAX_TIME):
        return times
    return [min(max(time, 0), MAX_TIME) for time in times]


class PacketReader(Protocol):
    """A format's walk over a window."""

    def batches(self) -> Iterator[PacketBatch]:
        """Yield the packets in file order; raise `InputError` where the file's own header cannot be read."""
