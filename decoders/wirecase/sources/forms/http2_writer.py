"""Messages and headers as canonical HTTP/2 (RFC 9113), for evidence that has no frames.

One made-up connection stands for all calls between the same two endpoints. Header fields are written as literals
without a table (RFC 7541 §6.2.2), frames as large as the protocol allows, windows as wide as they go: nothing of it is
evidence, and no rule about frames, tables or windows is applied to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct

from wirecase.model import CLIENT, SERVER
from wirecase.sources.forms.segments import Endpoint, Flow, Segments

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE = 0, 1, 3, 4, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
CANCEL = 8
_MAX_FRAME = (1 << 24) - 1
_MAX_WINDOW = (1 << 31) - 1
_GRANT = 1 << 30
_SETTINGS_VALUES = Struct(">HIHI").pack(4, _MAX_WINDOW, 5, _MAX_FRAME)
_WORD = Struct(">I").pack
_HOP_BY_HOP = frozenset((b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"host"))

Fields = list[tuple[bytes, bytes]]


def frame(kind: int, flags: int, stream: int, payload: bytes, length: int | None = None) -> bytes:
    """Return a frame (RFC 9113 §4.1), its `length` that of the payload unless told."""
    size = len(payload) if length is None else length
    return _WORD(size << 8 | kind) + bytes((flags,)) + _WORD(stream) + payload


def _integer(value: int, prefix: int) -> bytes:
    """Encode an integer behind `prefix` bits of zeros (RFC 7541 §5.1)."""
    most = (1 << prefix) - 1
    if value < most:
        return bytes((value,))
    out = bytearray((most,))
    value -= most
    while value >= 128:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def header_block(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Encode fields as literals that enter no table (RFC 7541 §6.2.2)."""
    parts: list[bytes] = []
    for name, value in fields:
        parts += (b"\0", _integer(len(name), 7), name, _integer(len(value), 7), value)
    return b"".join(parts)


def canonical(fields: Iterable[tuple[bytes, bytes]]) -> Fields:
    """Return fields as HTTP/2 has them: pseudo-header fields first, names in lower case, none of the connection's."""
    lowered = [(name.lower(), value) for name, value in fields]
    pseudo = [field for field in lowered if field[0].startswith(b":")]
    host = next((value for name, value in lowered if name == b"host"), None)
    if host is not None and pseudo and not any(name in (b":authority", b":status") for name, _ in pseudo):
        pseudo.append((b":authority", host))
    return pseudo + [field for field in lowered if not field[0].startswith(b":") and field[0] not in _HOP_BY_HOP]


@dataclass(slots=True)
class Stream:
    """One call on a made-up connection."""

    connection: HttpConnection
    id: int

    def headers(self, side: int, fields: Fields, number: int, time: int, *, end: bool = False) -> None:
        """Write a header block of `side`."""
        block = header_block(fields)
        flags = END_HEADERS | (END_STREAM if end else 0)
        self.connection.write(side, frame(HEADERS, flags, self.id, block[:_MAX_FRAME]), number, time)

    def data(self, side: int, data: bytes, number: int, time: int, *, missing: int = 0, end: bool = False) -> None:
        """Write body bytes of `side`; `missing` more stood behind them and are not in the evidence."""
        if not data and not missing and not end:
            return
        at, total = 0, len(data) + missing
        while True:
            size = min(total - at, _MAX_FRAME)
            last = at + size >= total
            part = data[at : at + size]
            flags = END_STREAM if end and last else 0
            written = frame(DATA, flags, self.id, part, size)
            self.connection.write(side, written, number, time, missing=size - len(part), body=size)
            at += size
            if last:
                return

    def end(self, side: int, number: int, time: int) -> None:
        """End the stream of `side` with an empty DATA frame."""
        self.data(side, b"", number, time, end=True)

    def cancel(self, number: int, time: int) -> None:
        """The client gave the call up (gRPC PROTOCOL-HTTP2, Errors: CANCEL)."""
        self.connection.write(CLIENT, frame(RST_STREAM, 0, self.id, _WORD(CANCEL)), number, time)


class HttpConnection:
    """A made-up HTTP/2 connection."""

    def __init__(self, segments: Segments, client: Endpoint, server: Endpoint) -> None:
        self._segments = segments
        self._flow = Flow(client, server, segments.ordinal())
        self._next = 1
        self._sent = [0, 0]

    def stream(self, number: int, time: int) -> Stream:
        """Begin the next call."""
        if self._next == 1:
            self._segments.open(self._flow, number, time)
            settings = frame(SETTINGS, 0, 0, _SETTINGS_VALUES)
            settings += frame(WINDOW_UPDATE, 0, 0, _WORD(_MAX_WINDOW - 65535))
            self.write(CLIENT, PREFACE + settings, number, time)
            self.write(SERVER, settings + frame(SETTINGS, ACK, 0, b""), number, time)
            self.write(CLIENT, frame(SETTINGS, ACK, 0, b""), number, time)
        stream = Stream(self, self._next)
        self._next += 2
        return stream

    @property
    def full(self) -> bool:
        """True when no stream number is left."""
        return self._next >= _MAX_WINDOW

    def write(self, side: int, data: bytes, number: int, time: int, *, missing: int = 0, body: int = 0) -> None:
        """Send bytes; `body` of them count against the connection's window, which is kept open."""
        self._segments.send(self._flow, side, data, number, time, missing)
        self._sent[side] += body
        if self._sent[side] > _GRANT:
            grant = frame(WINDOW_UPDATE, 0, 0, _WORD(self._sent[side]))
            self._sent[side] = 0
            self._segments.send(self._flow, 1 - side, grant, number, time)

    def settle(self, number: int, time: int) -> None:
        """Nothing more comes."""
        self._segments.settle(self._flow, number, time)


class Connections:
    """The made-up connections of one input, by the endpoints that the evidence names."""

    def __init__(self, segments: Segments, most: int = 1024) -> None:
        self._segments = segments
        self._most = most
        self._open: dict[tuple[Endpoint, Endpoint], HttpConnection] = {}

    def stream(self, client: Endpoint, server: Endpoint, number: int, time: int) -> Stream:
        """Begin a call between two endpoints, on the connection that stands for them."""
        key = (client, server)
        connection = self._open.pop(key, None)
        if connection is None or connection.full:
            connection = HttpConnection(self._segments, client, server)
            if len(self._open) >= self._most:  # the one that was silent longest goes; its calls keep theirs
                self._open.pop(next(iter(self._open)))
        self._open[key] = connection
        return connection.stream(number, time)

    def settle(self, number: int, time: int) -> None:
        """The evidence is over."""
        for connection in self._open.values():
            connection.settle(number, time)
