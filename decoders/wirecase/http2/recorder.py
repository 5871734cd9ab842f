"""Who wants to see every frame of a connection: listings, close looks and case files."""

from __future__ import annotations

from typing import Protocol

from wirecase.http2.facts import ControlFrame, HeaderBlock
from wirecase.model import Mark, Marks


class FrameRecorder(Protocol):
    """Told of one connection's frames in capture order. A connection with a recorder takes no fast path."""

    def frame(self, frame: ControlFrame) -> None:
        """A whole frame other than unpadded DATA, before it has any effect."""

    def data(self, frame: ControlFrame, length: int) -> None:
        """An unpadded DATA frame of `length` bytes; its payload is what has come of it so far."""

    def more(self, side: int, data: bytes, marks: Marks) -> None:
        """More of the payload of the last DATA frame of `side`."""

    def block(self, frame: ControlFrame, block: HeaderBlock) -> None:
        """The decoded header block that began with `frame`; it follows the frame that completed it."""

    def gap(self, side: int, length: int, mark: Mark) -> None:
        """`length` bytes of `side` are missing before `mark`."""
