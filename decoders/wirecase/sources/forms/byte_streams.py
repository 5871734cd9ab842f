"""Two byte streams of one connection, and which of them is the client's.

Evidence that holds bytes often does not say who opened the connection. The bytes do: the connection preface of HTTP/2
(RFC 9113 §3.4), a ClientHello (RFC 8446 §4.1.2) or an HTTP/1 request come from a client. A server may speak first, so
bytes are held until a side has shown what it is; where none does, the connection was there before.
"""

from __future__ import annotations

import re

from wirecase.model import CLIENT, SERVER
from wirecase.sources.forms.segments import Endpoint, Flow, Segments

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HTTP1_REQUEST = re.compile(rb"[A-Z]{3,7} [^\r\n ]{1,8000} HTTP/1\.[01]\r\n")
_HELD = 1 << 16
"""Bytes of a connection that are held at most until it is known who is the client."""
_JUDGED = 8192
"""Bytes of each side that are looked at."""


def _is_client(data: bytes) -> bool:
    if len(data) >= 3 and _PREFACE.startswith(data[: len(_PREFACE)]):
        return True
    return (data[:2] == b"\x16\x03" and data[5:6] == b"\x01") or _HTTP1_REQUEST.match(data) is not None


def client_of(first: bytes, second: bytes) -> int | None:
    """Return 0 or 1, whichever begins as only a client does; None if neither does (yet)."""
    if _is_client(first):
        return 0
    return 1 if _is_client(second) else None


class ByteConnection:
    """Writes what two endpoints sent each other; *way* 0 or 1 is what the first or the second one sent."""

    __slots__ = ("_client", "_ends", "_first", "_flow", "_held", "_segments", "cut", "time")

    def __init__(self, segments: Segments, first: Endpoint, second: Endpoint) -> None:
        self._segments = segments
        self._ends = (first, second)
        self._flow: Flow | None = None
        self._client = 0
        self._held: list[tuple[int, bytes, int, int, bool, bool]] | None = []
        self._first = [b"", b""]
        self.cut = [False, False]
        """Ways that have a hole of unknown length: what follows it has no place in the stream."""
        self.time = 0
        """Time of the last bytes, ns since the epoch; 0 while none is known."""

    def named(self, first: Endpoint, second: Endpoint) -> None:
        """Learn the endpoints, while nothing was written yet."""
        if self._flow is None:
            self._ends = (first, second)

    def take(self, way: int, data: bytes, number: int, time: int, *, cut: bool = False, last: bool = False) -> None:
        """Take the next bytes of a way. `cut`: more came that are not known. `last`: its sender ended the stream."""
        if self.cut[way]:
            return
        self.cut[way] = cut
        self.time = time = time or self.time
        if self._held is None:
            self._write(way, data, number, time, cut=cut, last=last)
            return
        self._held.append((way, data, number, time, cut, last))
        if len(self._first[way]) < _JUDGED:
            self._first[way] += data[:_JUDGED]
        client = client_of(*self._first)
        if client is not None or sum(len(held[1]) for held in self._held) > _HELD or len(self._held) > 1000:
            self._decide(client)

    def end(self, number: int, time: int = 0) -> None:
        """Nothing more comes."""
        if self._held:
            self._decide(None)
        if self._flow is not None:
            self._segments.settle(self._flow, number, time or self.time)

    def _decide(self, client: int | None) -> None:
        """Settle who is the client, and write what was held."""
        held, self._held = self._held or [], None
        self._client = held[0][0] if client is None else client
        ends = self._ends if self._client == 0 else (self._ends[1], self._ends[0])
        self._flow = flow = Flow(*ends, self._segments.ordinal())
        number, time = held[0][2:4]
        if client is None:
            self._segments.join(flow, number, time)
        else:
            self._segments.open(flow, number, time)
        for way, data, its_number, its_time, cut, last in held:
            self._write(way, data, its_number, its_time, cut=cut, last=last)
        self._first = [b"", b""]

    def _write(self, way: int, data: bytes, number: int, time: int, *, cut: bool, last: bool) -> None:
        if self._flow is None:
            return
        side = CLIENT if way == self._client else SERVER
        # A byte that is missing at the end says that more came: nothing is held to be complete that is not.
        self._segments.send(self._flow, side, data, number, time, missing=int(cut))
        if last:
            self._segments.finish(self._flow, side, number, time)
