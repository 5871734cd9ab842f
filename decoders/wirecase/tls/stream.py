"""One direction of a TLS connection: the bytes that wait, the state of its keys, and where its plaintext stands.

A side's records pass through epochs (RFC 8446 §4, appendix A): ``plain``, then (TLS 1.3) perhaps ``early``, then
``handshake``, then ``traffic``; TLS 1.2 goes from ``plain`` to ``traffic`` with ChangeCipherSpec. Records of an epoch
are numbered from 0.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from wirecase.model import Mark, Marks
from wirecase.tls.facts import TlsSide

if TYPE_CHECKING:
    from wirecase.tls.protection import Protection

Epoch = Literal["plain", "early", "handshake", "traffic"]
_MOST_PLACES = 65_536
"""Records whose places are remembered: a TCP window of small records."""


class Option(NamedTuple):
    """Keys that may be those of the next record."""

    epoch: Epoch
    secret: bytes
    protection: Protection


class Pieces:
    """The plaintext of records one after the other, and the holes between them: parallel lists, a row for each."""

    __slots__ = ("ats", "datas", "holes", "lengths", "stops")

    def __init__(self) -> None:
        self.datas: list[bytes | memoryview] = []
        self.lengths: list[int] = []
        """Bytes of plaintext, also those of a hole."""
        self.ats: list[int] = []
        """Where the first byte of each stands, encrypted, in the bytes at hand."""
        self.stops: list[int] = []
        """Where its record ends there."""
        self.holes: list[int] = []
        """Which of them are holes."""

    def __len__(self) -> int:
        """Return the number of records and holes."""
        return len(self.datas)

    def add(self, data: bytes | memoryview, at: int, stop: int) -> None:
        """Append the plaintext of one record."""
        self.datas.append(data)
        self.lengths.append(len(data))
        self.ats.append(at)
        self.stops.append(stop)

    def add_hole(self, length: int, at: int, stop: int) -> None:
        """Append a hole in the place of a record."""
        self.holes.append(len(self.datas))
        self.datas.append(b"")
        self.lengths.append(length)
        self.ats.append(at)
        self.stops.append(stop)

    def groups(self, start: int, stop: int) -> Iterator[tuple[bool, int, int]]:
        """Yield the holes from row `start` to `stop`, and what stands between: whether it is one, its rows' bounds."""
        for hole in self.holes[bisect_left(self.holes, start) : bisect_left(self.holes, stop)]:
            if hole > start:
                yield False, start, hole
            yield True, hole, hole + 1
            start = hole + 1
        if start < stop:
            yield False, start, stop


class Places:
    """Where bytes of plaintext stand in TCP's stream: the ends of records, in both."""

    __slots__ = ("_plain", "_tcp")

    def __init__(self) -> None:
        self._tcp = array("q")
        self._plain = array("q")

    def add(self, tcp: int, plain: int) -> None:
        """A record ends at these offsets."""
        self._tcp.append(tcp)
        self._plain.append(plain)
        self._trim()

    def extend(self, tcp: Iterable[int], plain: Iterable[int]) -> None:
        """Take the ends of many records."""
        self._tcp.extend(tcp)
        self._plain.extend(plain)
        self._trim()

    def _trim(self) -> None:
        if len(self._tcp) > _MOST_PLACES:
            del self._tcp[: _MOST_PLACES // 2], self._plain[: _MOST_PLACES // 2]

    def plain(self, tcp: int) -> int:
        """Return the offset in the plaintext that belongs to one in TCP's stream; never beyond what it completes."""
        i = bisect_right(self._tcp, tcp) - 1
        if i < 0:
            return min(tcp, self._plain[0]) if self._plain else tcp
        offset = self._plain[i] + tcp - self._tcp[i]
        if i + 1 < len(self._tcp):
            return max(min(offset, self._plain[i + 1] - 1), self._plain[i])
        return offset


Queued: TypeAlias = tuple[bytes, Marks] | tuple[int, str, Mark]
"""A run, or a hole: its length, its reason and where the stream goes on."""


class Stream:
    """One side's bytes on their way through TLS."""

    __slots__ = (
        "base", "buffer", "damaged", "epoch", "facts", "lacks", "left", "messages", "misses", "number", "offsets",
        "options", "packets", "places", "plain", "protection", "queue", "queued", "secret", "seeking", "seq", "side",
        "skip", "sought", "source", "sync_base", "sync_tries", "synced", "times", "waits",
    )  # fmt: skip

    def __init__(self, number: int, side: int, facts: TlsSide) -> None:
        self.number = number
        """`CLIENT` or `SERVER`."""
        self.side = side
        """As TCP numbers it."""
        self.facts = facts
        # bytes of records that are not whole yet
        self.buffer = bytearray()
        self.base = 0
        """Offset of ``buffer[0]`` in TCP's stream."""
        self.source = 0
        self.offsets: list[int] = []
        """Segments of the buffer, as in `Marks`."""
        self.packets: list[int] = []
        self.times: list[int] = []
        # what waits for the other side, or for keys
        self.queue: list[Queued] | None = None
        self.queued = 0
        self.waits = ""
        """What it waits for: ``hello``, ``early``, ``keys``; empty if it does not."""
        # keys
        self.epoch: Epoch = "plain"
        self.protection: Protection | None = None
        self.secret = b""
        self.seq = 0
        self.options: list[Option] = []
        """What else to try on a record that does not open, as the first record of its epoch."""
        self.seeking = False
        """Records are passed over until one opens with an option."""
        self.lacks = False
        """The secrets of its handshake are not known."""
        self.sought = 0
        """Records passed over."""
        self.misses = 0
        """Records in a row that did not open."""
        # handshake
        self.messages = bytearray()
        self.damaged = False
        """Bytes of handshake messages are missing: the rest of them is not read until the next record."""
        # holes
        self.skip = 0
        """Bytes of a damaged record that are still to come."""
        self.synced = True
        """The next byte is a record's first."""
        self.sync_base = 0
        """Where the last record that was found ended, in TCP's stream."""
        self.sync_tries = 0
        # records that nobody opens
        self.left = 0
        """Bytes of the present record that are still to come; only once the side has a problem."""
        # plaintext
        self.plain = 0
        """Offset of the next byte of plaintext."""
        self.places = Places()

    def add(self, data: bytes, marks: Marks) -> None:
        """Append bytes to the buffer."""
        if not self.buffer:
            self.base = marks.offsets[0]
            self.offsets, self.packets, self.times = list(marks.offsets), list(marks.packets), list(marks.times)
        else:
            self.offsets.extend(marks.offsets)
            self.packets.extend(marks.packets)
            self.times.extend(marks.times)
        self.source = marks.source
        self.buffer += data

    def drop(self, count: int) -> None:
        """Forget bytes at the front of the buffer."""
        del self.buffer[:count]
        self._advance(count)

    def keep(self, data: bytes, done: int) -> None:
        """Make what follows the first `done` bytes of `data` the buffer; ``data[0]`` stands at `base`."""
        self.buffer = bytearray(data[done:])
        self._advance(done)

    def _advance(self, count: int) -> None:
        self.base += count
        i = bisect_right(self.offsets, self.base) - 1
        if i > 0:
            del self.offsets[:i], self.packets[:i], self.times[:i]

    def mark(self, at: int) -> Mark:
        """Return the place of byte `at` of the buffer; its offset counts the bytes of TCP."""
        offset = self.base + at
        i = max(bisect_right(self.offsets, offset) - 1, 0)
        if not self.packets:
            return Mark(self.source, 0, 0, offset)
        return Mark(self.source, self.packets[i], self.times[i], offset)

    def marks(self, pieces: Pieces, start: int, stop: int) -> Marks:
        """Return the marks of the pieces from row `start` to `stop`: no hole among them, the first at `plain`."""
        starts: list[int] = []
        packets: list[int] = []
        times: list[int] = []
        plain = self.plain
        offsets = self.offsets
        for row in range(start, stop):
            first, length = self.base + pieces.ats[row], pieces.lengths[row]
            i = max(bisect_right(offsets, first) - 1, 0)
            starts.append(plain)
            packets.append(self.packets[i])
            times.append(self.times[i])
            i += 1
            while i < len(offsets) and offsets[i] < first + length:
                starts.append(plain + offsets[i] - first)
                packets.append(self.packets[i])
                times.append(self.times[i])
                i += 1
            plain += length
        return Marks(self.source, starts, packets, times)
