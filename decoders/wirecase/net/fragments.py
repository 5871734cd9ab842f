"""IP fragments put together again (RFC 791 §3.2, RFC 8200 §4.5), with bounded memory.

A fragment that overlaps another one spoils its whole datagram (RFC 5722); an exact copy of one is ignored.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import NamedTuple

from wirecase.model import Accounting

TIMEOUT_NS = 30_000_000_000
"""How long a datagram may stay incomplete, in packet time. The RFCs allow 15 to 60 s."""
MAX_BYTES = 4 << 20
MAX_DATAGRAMS = 1024
MAX_FRAGMENTS = 1024
"""Per datagram: 65,535 bytes are 1,024 fragments of 64 bytes, and smaller ones are only seen in attacks."""

INCOMPLETE = "IP fragment never completed"
OVERLAP = "overlapping IP fragment"
COPY = "copy of an IP fragment"


class Whole(NamedTuple):
    """A datagram whose fragments have all come."""

    payload: bytes
    """What the IP header carries."""
    captured: int
    """Captured bytes of all frames that it came in."""


class _Datagram:
    __slots__ = ("captured", "dead", "held", "order", "parts", "time", "total")

    def __init__(self, time: int) -> None:
        self.parts: dict[int, bytes] = {}
        self.order: list[int] = []
        """Offsets of the parts, ascending; the parts never overlap."""
        self.held = 0
        self.captured = 0
        self.total = -1
        self.time = time
        self.dead = False


class Fragments:
    """The datagrams that are still incomplete."""

    def __init__(self, accounting: Accounting) -> None:
        self._accounting = accounting
        self._open: dict[tuple[bytes, int], _Datagram] = {}
        self._bytes = 0

    def add(
        self, key: tuple[bytes, int], offset: int, more: bool, payload: bytes, captured: int, time: int
    ) -> Whole | None:
        """Take one fragment; return its datagram if that is complete now.

        `key` names the datagram (addresses, protocol and identification), `offset` is in bytes, `captured` the size
        of the captured frame. Bytes of fragments that lead nowhere are booked as skipped.
        """
        self._expire(time)
        datagram = self._open.get(key)
        if datagram is None:
            datagram = self._open[key] = _Datagram(time)
        if datagram.dead:
            self._accounting.skip(OVERLAP, captured)
            return None
        known = datagram.parts.get(offset)
        if known is not None and known == payload:
            self._accounting.skip(COPY, captured)
            return None
        end = offset + len(payload)
        if self._overlaps(datagram, offset, end, more) or len(datagram.parts) >= MAX_FRAGMENTS:
            self._accounting.skip(OVERLAP, datagram.captured + captured)
            self._bytes -= datagram.held
            datagram.parts.clear()
            datagram.order.clear()
            datagram.held = datagram.captured = 0
            datagram.dead = True
            return None
        datagram.parts[offset] = payload
        insort(datagram.order, offset)
        datagram.held += len(payload)
        datagram.captured += captured
        self._bytes += len(payload)
        if not more:
            datagram.total = end
        if datagram.held == datagram.total:
            del self._open[key]
            self._bytes -= datagram.held
            return Whole(b"".join([datagram.parts[at] for at in datagram.order]), datagram.captured)
        while self._bytes > MAX_BYTES or len(self._open) > MAX_DATAGRAMS:
            self._drop(next(iter(self._open)))
        return None

    def finish(self) -> None:
        """The capture is over: what is incomplete stays so."""
        for key in list(self._open):
            self._drop(key)

    @staticmethod
    def _overlaps(datagram: _Datagram, offset: int, end: int, more: bool) -> bool:
        if datagram.total >= 0 and (end > datagram.total or not more):
            return True
        order = datagram.order
        if not more and order and order[-1] + len(datagram.parts[order[-1]]) > end:
            return True
        place = bisect_left(order, offset)
        if place < len(order) and order[place] < end:
            return True
        return place > 0 and order[place - 1] + len(datagram.parts[order[place - 1]]) > offset

    def _expire(self, time: int) -> None:
        while self._open:
            key = next(iter(self._open))
            if time - self._open[key].time <= TIMEOUT_NS:
                return
            self._drop(key)

    def _drop(self, key: tuple[bytes, int]) -> None:
        datagram = self._open.pop(key)
        self._bytes -= datagram.held
        self._accounting.skip(INCOMPLETE, datagram.captured)
