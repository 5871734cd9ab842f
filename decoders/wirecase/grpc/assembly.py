"""Whole messages out of a body, each inflated where it was compressed: for those who look into payloads.

Unlike `wirecase.grpc.messages`, which only counts, this holds the message in progress, at most `LIMIT` bytes of it; of
a larger one the beginning is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from wirecase.grpc.compression import Budget, inflate
from wirecase.model import Mark, Marks

LIMIT = 4 << 20
"""Bytes of one message that are held: what most receivers take at most."""


_BOMB_RATIO = 100
"""From here on a message is charged against the budget."""


class Payload(NamedTuple):
    """One message."""

    number: int
    """From 0 within its side of the stream."""
    flag: int
    declared: int
    """Its length on the wire."""
    data: bytes
    """Its bytes, inflated where that was possible; only the beginning of a large one."""
    whole: bool
    """All of it is in `data`."""
    mark: Mark
    """Where its prefix stands."""
    hidden: bool = False
    """It is compressed and could not be inflated."""


class Assembler:
    """One side of one stream."""

    __slots__ = ("_at", "_budget", "_data", "_encoding", "_left", "_limit", "_number", "_prefix", "stopped")

    def __init__(self, encoding: bytes | None = None, limit: int = LIMIT, budget: Budget | None = None) -> None:
        """`budget` bounds what messages that inflate suspiciously well may come to, over all who share it."""
        self._budget = budget
        self._encoding = encoding
        self._limit = limit
        self._prefix = b""
        self._data = bytearray()
        self._left = 0
        self._number = -1
        self._at: tuple[Marks, int] | None = None
        self.stopped = False
        """A hole, or what is no message: nothing comes behind it."""

    def use(self, encoding: bytes | None) -> None:
        """Take note of the side's ``grpc-encoding``."""
        self._encoding = encoding

    def feed(self, data: bytes, start: int, stop: int, marks: Marks, offset: int) -> Iterator[Payload]:
        """Take ``data[start:stop]``, which begins at stream `offset`; yield the messages that it completes."""
        shift = offset - start
        while not self.stopped and (start < stop or (self._left == 0 and len(self._prefix) == 5)):
            if len(self._prefix) < 5:
                if not self._prefix:
                    self._at = (marks, start + shift)
                count = min(5 - len(self._prefix), stop - start)
                self._prefix += data[start : start + count]
                start += count
                if self._prefix[0] > 1:
                    self.stopped = True
                    return
                if len(self._prefix) < 5:
                    return
                self._number += 1
                self._left = int.from_bytes(self._prefix[1:], "big")
            count = min(self._left, stop - start)
            room = self._limit - len(self._data)
            if room > 0:
                self._data += data[start : start + min(count, room)]
            start += count
            self._left -= count
            if self._left:
                return
            yield self._told()

    def _told(self) -> Payload:
        flag, declared = self._prefix[0], int.from_bytes(self._prefix[1:], "big")
        data = bytes(self._data)
        self._prefix = b""
        self._data.clear()
        assert self._at is not None
        mark = self._at[0].at(self._at[1])
        whole = len(data) == declared
        if not flag:
            return Payload(self._number, flag, declared, data, whole, mark)
        inflated, complete = self._inflated(data)
        return Payload(self._number, flag, declared, inflated or b"", whole and complete, mark, hidden=inflated is None)

    def _inflated(self, data: bytes) -> tuple[bytes | None, bool]:
        budget = self._budget
        if budget is not None and budget.left < 0:
            return None, False
        inflated, complete = inflate(data, self._encoding, self._limit)
        if budget is not None and inflated is not None and len(inflated) > _BOMB_RATIO * len(data):
            budget.left -= len(inflated)
        return inflated, complete

    def gap(self) -> None:
        """Bytes are missing: where messages begin is not known any more."""
        self.stopped = True
        self._data.clear()
