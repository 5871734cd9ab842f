"""What is kept of one stream: what each side did, in order, and where its messages begin."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Literal

from wirecase.http2.facts import DATA

COST = 160
"""Bytes of memory that an entry costs beside its data, roughly."""
STREAM_COST = 1200
"""The same of a stream beside its entries."""
_NO_TABLE = b"\x20"
"""A table of size 0, which satisfies whatever size the other side has asked for (RFC 7541 §4.2, §6.3)."""
_STATIC = {
    (b":method", b"POST"): b"\x83", (b":scheme", b"http"): b"\x86", (b":scheme", b"https"): b"\x87",
    (b":status", b"200"): b"\x88",
}  # fmt: skip
"""Fields by their index (RFC 7541 Appendix A), by which a late reader tells requests from responses."""
_FROM_BEFORE = b"\xbe"
"""The table's first entry, where it is empty and what was in it is not known."""


class Entry:
    """Something that one side did. DATA is kept without its frame header, so that it can be shortened."""

    __slots__ = ("data", "flags", "kind", "length", "order", "side", "time", "type")

    def __init__(
        self, order: int, time: int, side: int, kind: Literal["frame", "data", "hole", "fin", "rst"],
        data: bytearray | bytes = b"", *, length: int = 0, flags: int = 0, type: int = -1,  # noqa: A002 - the field's name
    ) -> None:  # fmt: skip
        self.order = order
        self.time = time
        self.side = side
        self.kind = kind
        self.data = data
        self.length = length
        """Of DATA: bytes of the whole frame's payload; of a hole: bytes that are missing."""
        self.flags = flags
        """Of DATA."""
        self.type = type
        """Of a frame; -1 where it is not to be looked at."""


class Messages:
    """Where the messages of one side of a stream begin (a prefix of five bytes, then as many as it says)."""

    __slots__ = ("_left", "_prefix", "at", "starts")

    def __init__(self) -> None:
        self.at = 0
        """Bytes of the body so far."""
        self.starts: deque[int] = deque((0,))
        self._prefix = b""
        self._left = 0

    def feed(self, data: bytes | bytearray) -> None:
        """Take the next bytes."""
        at, end = 0, len(data)
        while at < end:
            if self._left:
                count = min(self._left, end - at)
                self._left -= count
                at += count
                if not self._left:
                    self.starts.append(self.at + at)
                continue
            count = min(5 - len(self._prefix), end - at)
            self._prefix += bytes(data[at : at + count])
            at += count
            if len(self._prefix) == 5:
                self._left = int.from_bytes(self._prefix[1:], "big")
                self._prefix = b""
                if not self._left:
                    self.starts.append(self.at + at)
        self.at += end


class KeptStream:
    """One stream."""

    __slots__ = ("answered", "begins", "done", "ended", "entries", "forgotten", "messages", "number", "pinned", "size",
                 "spent")  # fmt: skip

    def __init__(self, number: int) -> None:
        self.number = number
        self.entries: deque[Entry] = deque()
        self.size = STREAM_COST
        self.ended = [False, False]
        self.done = 0
        """When it closed, capture time; 0 while it is open."""
        self.pinned = False
        self.answered = False
        """The server has sent a frame on it other than unpadded DATA."""
        self.messages: list[Messages | None] = [None, None]
        self.begins = [0, 0]
        """Offset in each side's body of the first byte that is kept."""
        self.spent = [0, 0]
        """Bytes of DATA by sender that are forgotten."""
        self.forgotten = 0
        """Messages that are."""


def window_taken(entry: Entry) -> int:
    """Return how many bytes of window an entry took."""
    if entry.kind == "data":
        return entry.length
    return len(entry.data) - 9 if entry.type == DATA else 0


def literal(fields: Sequence[tuple[bytes | None, bytes | None]], *, late: bool) -> bytes:
    """Return a header block that leaves the table alone: literals without indexing (RFC 7541 §6.2.2).

    What a late join hides stays hidden: a reference to an entry from before.
    """
    out = bytearray() if late else bytearray(_NO_TABLE)
    for name, value in fields:
        if name is None or value is None:
            out += _FROM_BEFORE
        elif (name, value) in _STATIC:
            out += _STATIC[name, value]
        else:
            out += b"\0" + _length(len(name)) + name + _length(len(value)) + value
    return bytes(out)


def _length(size: int) -> bytes:
    """Return the length of a string that is not Huffman coded: a prefix of seven bits (RFC 7541 §5.1)."""
    if size < 127:
        return bytes((size,))
    out = bytearray((127,))
    size -= 127
    while size > 127:
        out.append(size & 127 | 128)
        size >>= 7
    out.append(size)
    return bytes(out)
