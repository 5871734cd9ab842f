"""Bytes on their way up: batches of packets, runs of stream bytes, and the places in a capture that they came from."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wirecase.model.sources import FormFacts

    IntArray: TypeAlias = NDArray[np.int64]

_SHORT_RUN = 8
"""Marks of fewer segments are not worth making smaller."""


class Mark(NamedTuple):
    """A place in a capture: the packet that carried one byte of a direction's stream."""

    source: int
    """Index of the source among `Diagnosis.sources`."""
    packet: int
    """``frame.number`` in the source."""
    time: int
    """Capture time, ns since the epoch."""
    offset: int
    """Offset of the byte in its direction's byte stream (after TLS where TLS was taken off)."""


class Marks:
    """The segments that one run of stream bytes was joined from, so that a byte finds its packet again.

    The three sequences run in parallel and `offsets` ascends; they are never changed once handed out.
    """

    __slots__ = ("offsets", "packets", "source", "times")

    def __init__(self, source: int, offsets: Sequence[int], packets: Sequence[int], times: Sequence[int]) -> None:
        self.source = source
        self.offsets = offsets
        """Stream offset of each segment's first byte."""
        self.packets = packets
        self.times = times

    def at(self, offset: int) -> Mark:
        """Return the mark of the byte at stream `offset` (clamped to the segments held)."""
        i = bisect_right(self.offsets, offset) - 1
        if i < 0:
            i = 0
        return Mark(self.source, self.packets[i], self.times[i], offset)

    def near(self, offset: int, length: int = 1) -> Marks:
        """Return the marks of `length` bytes from `offset` on: for what is kept longer than the run it stood in."""
        offsets = self.offsets
        if len(offsets) < _SHORT_RUN:
            return self
        i = max(bisect_right(offsets, offset) - 1, 0)
        j = max(bisect_left(offsets, offset + length), i + 1)
        return Marks(self.source, offsets[i:j], self.packets[i:j], self.times[i:j])

    def after(self, count: int) -> Marks:
        """Return the marks of the same run without its first `count` bytes."""
        begin = self.offsets[0] + count
        i = max(bisect_right(self.offsets, begin) - 1, 0)
        return Marks(self.source, [begin, *self.offsets[i + 1 :]], self.packets[i:], self.times[i:])


class Excerpt(NamedTuple):
    """A few bytes kept as evidence, with their place."""

    side: int
    """`CLIENT` or `SERVER`: who sent them."""
    mark: Mark
    data: bytes
    """The bytes, at most a few hundred."""
    length: int
    """How many bytes the thing shown has in all; more than ``len(data)`` when it was cut for show."""


@dataclass(slots=True)
class PacketBatch:
    """Consecutive packets of one link type, as a source read them: columns over one shared buffer.

    A column is a list, or an array of int64 (``"q"``) where it was read by columns.
    `data` is valid only until the next batch is asked for: whoever keeps payload bytes copies them.
    """

    source: int
    """Index of the source among the sources of the run."""
    link: int
    """LINKTYPE_ number (https://www.tcpdump.org/linktypes.html)."""
    data: memoryview
    starts: list[int] | array[int]
    """Where each packet's first captured byte lies in `data`."""
    caplens: list[int] | array[int]
    """Captured bytes of each packet."""
    lengths: list[int] | array[int]
    """Bytes of each packet on the wire, at least its captured length."""
    times: list[int] | array[int]
    """Capture time of each packet, ns since the epoch."""
    first_number: int
    """``frame.number`` of the first packet; the others follow by one."""
    lane: int = -1
    """Sources of one number follow each other in time and share their connections; -1 where nobody has found out."""
    form: FormFacts | None = None
    """Set where the packets were made up from evidence that is no packet capture."""

    @property
    def captured(self) -> int:
        """Captured bytes of all packets."""
        return sum(self.caplens) if type(self.caplens) is list else int(_numbers(self.caplens).sum())

    @property
    def span(self) -> tuple[int, int]:
        """The earliest and the latest time; there must be a packet."""
        if type(self.times) is list:
            return min(self.times), max(self.times)
        times = _numbers(self.times)
        return int(times.min()), int(times.max())


def _numbers(column: array[int] | list[int]) -> IntArray:
    import numpy as np  # what made the array had it imported

    return np.asarray(column, dtype=np.int64)


class Stretch:
    """In-order segments of both sides of one connection, as columns: what a `StreamListener` may take at once.

    Segments that stand next to each other in `raw` and come from the same side are contiguous in that side's stream.
    """

    __slots__ = ("_bounds", "_raw", "begins", "data", "ends", "offsets", "packets", "sides", "source", "times")

    def __init__(
        self, source: int, data: memoryview | bytes, begins: IntArray, ends: IntArray, sides: IntArray,
        offsets: IntArray, packets: IntArray, times: IntArray,
    ) -> None:  # fmt: skip
        self.source = source
        self.data = data
        """Holds the payload of all segments, and more; it may be overwritten once the listener has taken them."""
        self.begins = begins
        """Where each segment begins in `data`."""
        self.ends = ends
        """Where each ends."""
        self.sides = sides
        """0 or 1, as `StreamListener` numbers them."""
        self.offsets = offsets
        """Stream offset of each segment's first byte."""
        self.packets = packets
        self.times = times
        self._raw: bytes | None = None
        self._bounds: IntArray | None = None

    @classmethod
    def joined(
        cls, source: int, raw: bytes, bounds: IntArray, sides: IntArray, offsets: IntArray, packets: IntArray,
        times: IntArray,
    ) -> Stretch:  # fmt: skip
        """Return a stretch of segments that stand in `raw` one after the other, as `bounds` says."""
        made = cls(source, raw, bounds[:-1], bounds[1:], sides, offsets, packets, times)
        made._raw, made._bounds = raw, bounds
        return made

    @property
    def raw(self) -> bytes:
        """The payload of all segments, one after the other."""
        if self._raw is None:
            self._raw = self._join(0, len(self))
        return self._raw

    @property
    def bounds(self) -> IntArray:
        """Where each segment begins in `raw`, and the end of the last: one more than there are segments."""
        if self._bounds is None:
            import numpy as np  # what made the columns had it imported

            self._bounds = np.zeros(len(self) + 1, dtype=np.int64)
            np.cumsum(self.ends - self.begins, out=self._bounds[1:])
        return self._bounds

    def __len__(self) -> int:
        """Return the number of segments."""
        return len(self.sides)

    def after(self, count: int) -> Stretch:
        """Return the same without its first `count` segments."""
        if not count:
            return self
        return Stretch(
            self.source, self.data, self.begins[count:], self.ends[count:], self.sides[count:], self.offsets[count:],
            self.packets[count:], self.times[count:],
        )  # fmt: skip

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, bytes, Marks]]:
        """Yield the segments from `start` to `stop` as runs: side, bytes, marks."""
        stop = len(self.sides) if stop is None else stop
        if start >= stop:
            return
        sides = self.sides[start:stop]
        changes = (sides[1:] != sides[:-1]).nonzero()[0] + 1
        edges = [0, *changes.tolist(), stop - start]
        offsets, packets = self.offsets[start:stop].tolist(), self.packets[start:stop].tolist()
        times = self.times[start:stop].tolist()
        for i, j in pairwise(edges):
            marks = Marks(self.source, offsets[i:j], packets[i:j], times[i:j])
            yield int(sides[i]), self._join(start + i, start + j), marks

    def _join(self, start: int, stop: int) -> bytes:
        if self._raw is not None:
            return self._raw[self.bounds[start] : self.bounds[stop]]
        pieces = map(slice, self.begins[start:stop].tolist(), self.ends[start:stop].tolist())
        return b"".join(map(self.data.__getitem__, pieces))


class StreamListener(Protocol):
    """What the TCP layer tells about one connection, in capture order per connection.

    ``side`` is 0 for the initiator if a SYN told it, otherwise for the endpoint whose packet came first: who is client
    may become known only from the bytes.
    """

    def run(self, side: int, data: bytes, marks: Marks) -> None:
        """Bytes of one side in stream order; the first byte's offset is ``marks.offsets[0]``."""

    def stretch(self, stretch: Stretch) -> None:
        """Many segments at once; the same as ``for run in stretch.runs(): self.run(*run)``."""

    def gap(self, side: int, length: int, reason: str, mark: Mark) -> None:
        """`length` bytes of one side are not in the capture; `mark` is the place where the stream goes on."""

    def ended(self, side: int, how: Literal["fin", "rst"], mark: Mark) -> None:
        """One side closed (all of its bytes that the capture holds were delivered before)."""

    def closed(self, reason: Literal["closed", "reused", "idle", "capture-end"]) -> None:
        """Nothing more will come for this connection."""


class BodySink(Protocol):
    """Where the walk of HTTP/2 frames puts the bytes of DATA frames of one side of one stream."""

    def feed(self, data: bytes, start: int, stop: int, marks: Marks, offset: int) -> None:
        """Take ``data[start:stop]``; `offset` is the stream offset of ``data[start]`` in the connection's direction."""

    def feed_all(self, data: bytes, places: list[int], marks: Marks, base: int) -> None:
        """Take many parts of `data`, where each begins and ends; `base` is the stream offset of ``data[0]``."""

    def gap(self, length: int | None) -> None:
        """`length` bytes of the body are missing, or an unknown number of them (None)."""

    def ended(self) -> None:
        """The side has ended the stream: more is not expected."""
