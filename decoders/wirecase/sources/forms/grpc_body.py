"""How far a body that is only partly known reaches: the rest of the message that it is cut in.

gRPC PROTOCOL-HTTP2, Length-Prefixed-Message: one byte flag, four bytes length, the message.
"""

from __future__ import annotations


class BodyLength:
    """Follows the length-prefixed messages of one body without keeping it."""

    __slots__ = ("_prefix", "_rest")

    def __init__(self) -> None:
        self._prefix = b""
        self._rest = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        at, end = 0, len(data)
        while at < end:
            if self._rest:
                step = min(self._rest, end - at)
                self._rest -= step
                at += step
                continue
            part = data[at : at + 5 - len(self._prefix)]
            self._prefix += part
            at += len(part)
            if len(self._prefix) == 5:
                self._rest = int.from_bytes(self._prefix[1:], "big")
                self._prefix = b""

    @property
    def missing(self) -> int:
        """Bytes that the message under way lacks, at least 1: the evidence says that more came."""
        return self._rest or 5 - len(self._prefix) if self._prefix or self._rest else 1
