"""One reused buffer that slides over a stream of bytes, whatever the stream's length."""

from __future__ import annotations

from wirecase.sources.ahead import HEADROOM, Piece, ReadAhead
from wirecase.sources.raw import ByteStream

WINDOW = 4 << 20
"""Size in bytes up to which the buffer grows by itself. A record longer than that makes it grow further."""
FIRST_WINDOW = 1 << 17
"""Size in bytes that the buffer of a stream of unknown length begins with."""


class Window:
    """The bytes ``buffer[start:end]`` of a stream that were read and not yet used.

    `fill` moves them to the front, which puts an end to whatever was handed out of the buffer before.
    """

    __slots__ = ("_ahead", "_filled", "_piece", "_spare", "_stream", "base", "buffer", "end", "final", "start", "view")

    def __init__(self, stream: ByteStream, size: int = FIRST_WINDOW, ahead: ReadAhead | None = None) -> None:
        """`ahead`, where there is one, reads `stream` in our place."""
        self._stream = stream
        self._ahead = ahead
        self._piece: Piece | None = None
        self.buffer = bytearray(0 if ahead else size)
        self.view = memoryview(self.buffer)
        self.start = 0
        self.end = 0
        self.base = 0
        """Offset of ``buffer[0]`` in the stream."""
        self.final = False
        """True once the stream has ended: nothing comes behind `end`."""
        self._filled = False
        self._spare = bytearray()

    def fill(self, need: int = 0) -> bool:
        """Read on, and make room for `need` unused bytes in all; return False if the stream had ended already.

        Waits for the first new byte only, then takes what is there without waiting.
        """
        if self.final:
            return False
        if self._ahead:
            return self._next_piece(self._ahead)
        rest = self.end - self.start
        size = len(self.buffer)
        if self._filled and size < WINDOW:
            size = min(size * 4, WINDOW)
        size = max(size, need, rest * 2 if rest == size else 0)
        used, view = self.buffer, self.view
        if len(self._spare) == size:
            self.buffer, self._spare = self._spare, used
        else:
            # A new buffer, never a resized one: memoryviews of the old one may still be held.
            self.buffer = bytearray(size)
            self._spare = used
        self.view = memoryview(self.buffer)
        self.view[:rest] = view[self.start : self.end]
        self.base += self.start
        self.start, self.end = 0, rest
        while self.end < size:
            got = self._stream.readinto(self.view[self.end :])
            if not got:
                self.final = True
                break
            self.end += got
            if not self._stream.ready():
                break
        self._filled = self.end == size
        if self.end == rest:
            return False
        self._stream.took(self.view[rest : self.end])
        return True

    def _next_piece(self, ahead: ReadAhead) -> bool:
        """Go on with the buffer that was read ahead, and put what is left of this one before its bytes."""
        piece = ahead.take()
        if piece is None:
            self.final = True
            return False
        used, rest = self._piece, self.view[self.start : self.end]
        begin, offset = HEADROOM - len(rest), self.base + self.start
        if begin >= 0:
            self._piece, self.buffer, self.end = piece, piece.buffer, piece.end
            self.buffer[begin:HEADROOM] = rest
        else:  # a record longer than the headroom
            begin = 0
            self._piece, self.buffer = None, bytearray(rest) + memoryview(piece.buffer)[HEADROOM : piece.end]
            self.end = len(self.buffer)
            ahead.give_back(piece.buffer)
        self.start, self.base = begin, offset - begin
        self.view = memoryview(self.buffer)
        if used:
            ahead.give_back(used.buffer)
        return True

    def ensure(self, count: int) -> bool:
        """Read until `count` unused bytes are there; return False if the stream ends before."""
        while self.end - self.start < count:
            if not self.fill(count):
                return False
        return True
