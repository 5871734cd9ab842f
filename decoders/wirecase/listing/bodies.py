"""Where messages begin and end in the DATA frames of one side of one stream (PH2, Length-Prefixed-Message)."""

from __future__ import annotations

from wirecase.listing.events import Body, Message

_SHOWN = 8
"""Messages of one frame that are listed."""


class BodyWalk:
    """Tells the messages of a body to the frames that carry it. Nothing of their payload is kept."""

    __slots__ = ("_left", "_length", "_prefix", "foreign", "lost", "number")

    def __init__(self) -> None:
        self.number = -1
        """Of the message in progress or the last one."""
        self.foreign = False
        """What follows is no chain of messages."""
        self.lost = False
        """A gap hides where messages begin."""
        self._left = 0
        """Payload bytes still to come of the message in progress."""
        self._length = 0
        self._prefix = b""

    def begin(self) -> Body:
        """Return what a new DATA frame carries so far."""
        body = Body(foreign=self.foreign, lost=self.lost)
        if self._left:
            body.continued = (self.number, self._length - self._left, self._length)
        return body

    def feed(self, data: bytes, body: Body) -> None:
        """Take the next bytes, carried by the frame that `body` belongs to."""
        if self.foreign or self.lost:
            return
        pos, end = 0, len(data)
        while pos < end:
            if self._left:
                count = min(self._left, end - pos)
                self._left -= count
                pos += count
                continue
            part = data[pos : pos + 5 - len(self._prefix)]
            self._prefix += part
            pos += len(part)
            if self._prefix[0] > 1:
                self.foreign = body.foreign = True
                return
            if len(self._prefix) < 5:
                return
            self.number += 1
            self._length = self._left = int.from_bytes(self._prefix[1:], "big")
            body.count += 1
            if len(body.begun) < _SHOWN:
                body.begun.append(Message(self.number, self._prefix[0], self._length))
            self._prefix = b""

    def gap(self, length: int | None) -> None:
        """`length` bytes are missing, or an unknown number of them (None)."""
        if length is not None and self._left >= length:
            self._left -= length
        elif not self.foreign:
            self.lost = True
            self._left = 0
