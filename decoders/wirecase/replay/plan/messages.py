"""Counts the messages of a gRPC body as they arrive (length-prefixed: flag, length, message)."""

from __future__ import annotations


class MessageCount:
    """Fed with DATA; bytes that are no messages make the count meaningless, not wrong in memory or time."""

    __slots__ = ("_left", "_prefix", "whole")

    def __init__(self) -> None:
        self.whole = 0
        """Messages that are complete."""
        self._prefix = b""
        self._left = 0

    def feed(self, data: bytes) -> None:
        """Take more of the body."""
        at, end = 0, len(data)
        while at < end:
            if self._left:
                step = min(self._left, end - at)
                self._left -= step
                at += step
                if not self._left:
                    self.whole += 1
                continue
            step = min(5 - len(self._prefix), end - at)
            self._prefix += data[at : at + step]
            at += step
            if len(self._prefix) == 5:
                self._left = int.from_bytes(self._prefix[1:], "big")
                self._prefix = b""
                if not self._left:
                    self.whole += 1
