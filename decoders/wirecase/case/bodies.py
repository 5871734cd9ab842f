"""Bodies masked in place: messages keep their framing, their lengths and their place in the frames.

A `Piece` is what will be written; it waits in its connection's queue until nothing in it has to be masked any more.
A message is masked once its first 64 KiB are there (of a compressed one, 4 MiB); what follows is replaced as it comes.
"""

from __future__ import annotations

from typing import Literal

from wirecase.case.redaction import Masks

HELD = 64 * 1024
"""Bytes of one message or foreign text that are masked at once."""
HELD_COMPRESSED = 4 << 20
"""Bytes of one compressed message that are: of a part of it no other stream of that length can be made. It is what most
receivers take at most."""

Kind = Literal["messages", "foreign", "opaque"]


class Piece:
    """Bytes to be sent by one side at one time."""

    __slots__ = ("data", "side", "time", "waits")

    def __init__(self, side: int, time: int, data: bytearray) -> None:
        self.side = side
        self.time = time
        self.data = data
        self.waits = 0
        """How many ranges of it are still to be masked."""


class BodyMask:
    """The body of one side of one stream."""

    __slots__ = (
        "_encoding",
        "_flag",
        "_keep",
        "_kind",
        "_left",
        "_masks",
        "_past",
        "_path",
        "_prefix",
        "_ranges",
        "_side",
        "held",
    )  # fmt: skip

    def __init__(self, masks: Masks, kind: Kind, *, path: str, side: int, encoding: bytes | None, keep: bool) -> None:
        self._masks = masks
        self._kind: Kind = kind
        self._path = path
        self._side = side
        self._encoding = encoding
        self._keep = keep
        """Payloads travel as they are."""
        self._ranges: list[tuple[Piece, int, int]] = []
        """What waits to be masked, in order."""
        self.held = 0
        """Bytes in those."""
        self._prefix = b""
        """What is known of the five bytes before a message."""
        self._left = 0
        """Payload bytes of the message that are still to come."""
        self._flag = 0
        self._past = False
        """The message's first part is masked already."""

    def feed(self, piece: Piece, start: int, stop: int) -> None:
        """Take ``piece.data[start:stop]``, the next bytes of the body."""
        while start < stop:
            if self._kind != "messages":
                start = self._collect(piece, start, stop, HELD - self.held)
                if self.held >= HELD:
                    self._mask_rest()
            elif self._left:
                start = self._payload(piece, start, stop)
            else:
                start = self._head(piece, start, stop)

    def settle(self) -> None:
        """Mask what is held: the body is over, or others cannot wait any longer."""
        if self._kind == "messages":
            if self._left and not self._past:
                self._mask_message()
                self._past = True
            elif self._prefix and self._ranges:
                self._release()
        else:
            self._mask_rest()

    def lose(self, length: int | None) -> None:
        """`length` bytes of the body are missing, or an unknown number of them (None).

        Behind a hole that ends in the same message the body goes on as before; behind another one it is not known where
        a message begins.
        """
        self.settle()
        if self._kind == "messages":
            if length is not None and length <= self._left:
                self._left -= length
            else:
                self._kind = "opaque"

    def _head(self, piece: Piece, start: int, stop: int) -> int:
        count = min(5 - len(self._prefix), stop - start)
        if len(self._prefix) == 0:
            self._release()
        self._hold(piece, start, start + count)
        self._prefix += bytes(piece.data[start : start + count])
        flag = self._prefix[0]
        if flag > 1:
            self._kind = "foreign"  # the held bytes of the prefix belong to the text
            return start + count
        if len(self._prefix) == 5:
            self._release()
            self._flag = flag
            self._left = int.from_bytes(self._prefix[1:], "big")
            self._prefix = b""
            self._past = False
        return start + count

    def _payload(self, piece: Piece, start: int, stop: int) -> int:
        count = min(self._left, stop - start)
        if self._past:
            if not self._keep:
                piece.data[start : start + count] = self._masks.filler(count)
        else:
            room = HELD_COMPRESSED if self._flag else HELD
            count = min(count, room - self.held)
            self._hold(piece, start, start + count)
        self._left -= count
        if not self._past and (not self._left or self.held >= (HELD_COMPRESSED if self._flag else HELD)):
            self._mask_message()
            self._past = True
        return start + count

    def _collect(self, piece: Piece, start: int, stop: int, room: int) -> int:
        count = min(room, stop - start)
        self._hold(piece, start, start + count)
        return start + count

    def _hold(self, piece: Piece, start: int, stop: int) -> None:
        if stop > start:
            piece.waits += 1
            self._ranges.append((piece, start, stop))
            self.held += stop - start

    def _release(self) -> None:
        for piece, _, _ in self._ranges:
            piece.waits -= 1
        self._ranges.clear()
        self.held = 0

    def _put(self, masked: bytes) -> None:
        at = 0
        for piece, start, stop in self._ranges:
            piece.data[start:stop] = masked[at : at + stop - start]
            at += stop - start
        self._release()

    def _held_bytes(self) -> bytes:
        return b"".join(bytes(piece.data[start:stop]) for piece, start, stop in self._ranges)

    def _mask_message(self) -> None:
        self._put(
            self._masks.message(
                self._held_bytes(), path=self._path, side=self._side, compressed=bool(self._flag),
                encoding=self._encoding, cut=bool(self._left),
            )
        )  # fmt: skip

    def _mask_rest(self) -> None:
        if not self._ranges:
            return
        text = self._held_bytes()
        if self._kind == "foreign":
            self._put(self._masks.foreign(text))
        else:
            self._put(self._masks.message(text, path=self._path, side=self._side, compressed=False, cut=True))
