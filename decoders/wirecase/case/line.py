"""What one connection will send, in order; what has to be masked first holds up what stands behind it."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from typing import Literal, NamedTuple

from wirecase.case.bodies import BodyMask, Piece
from wirecase.case.wire import Wire
from wirecase.model import Marks

MOST_HELD = 6 << 20
"""Bytes of a connection that may wait for a message or text to be complete."""


class Hole(NamedTuple):
    """Bytes that the recording lacks."""

    side: int
    length: int


class End(NamedTuple):
    """A FIN or RST of TCP."""

    side: int
    how: Literal["fin", "rst"]
    time: int


class Line:
    """The queue of one connection. `open_wire` is called with the time of the first thing that is sent."""

    def __init__(self, open_wire: Callable[[int], Wire], settle: Callable[[], None]) -> None:
        self._open_wire = open_wire
        self._settle = settle
        """Has everything masked that is held."""
        self._queue: deque[Piece | Hole | End] = deque()
        self._held = 0
        self.wire: Wire | None = None

    def put(self, side: int, time: int, data: bytes) -> Piece:
        """Queue bytes that are complete."""
        piece = Piece(side, time, bytearray(data))
        self._queue.append(piece)
        self._held += len(data)
        return piece

    def spread(self, side: int, data: bytes, marks: Marks, offset: int, body: BodyMask | None, body_at: int) -> None:
        """Queue bytes that came in several packets, each with its time; `body` takes those from `body_at` on."""
        offsets, times = marks.offsets, marks.times
        i = max(bisect_right(offsets, offset) - 1, 0)
        at, end = 0, len(data)
        while at < end:
            stop = min(offsets[i + 1] - offset, end) if i + 1 < len(offsets) else end
            piece = self.put(side, times[i], data[at:stop])
            if body is not None and stop > body_at:
                body.feed(piece, max(body_at - at, 0), stop - at)
            at = stop
            i += 1

    def mark(self, item: Hole | End) -> None:
        """Queue a hole or an end."""
        self._queue.append(item)

    def drain(self, *, everything: bool = False) -> None:
        """Send what need not wait any longer."""
        if everything or self._held > MOST_HELD:
            self._settle()
        queue = self._queue
        while queue:
            item = queue[0]
            if isinstance(item, Piece):
                if item.waits:
                    return
                queue.popleft()
                self._held -= len(item.data)
                self._wire(item.time).send(item.side, item.time, item.data)
                continue
            queue.popleft()
            if isinstance(item, End):
                self._wire(item.time).end(item.side, item.how, item.time)
            elif self.wire is not None:  # what is missing before the first byte is nothing
                self.wire.hole(item.side, item.length)

    def _wire(self, time: int) -> Wire:
        if self.wire is None:
            self.wire = self._open_wire(time)
        return self.wire
