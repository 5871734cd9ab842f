"""gRPC binary logs: `grpc.binarylog.v1.GrpcLogEntry`, one entry per event of a call, as gRPC libraries write them.

grpc-go puts four bytes of length (big endian) before each entry (internal/binarylog/sink.go), grpc-java a varint
(BinaryLogSink, ``writeDelimitedTo``). An entry holds what the library saw: metadata without the headers that it keeps
to itself, messages without their five bytes of prefix and before compression.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from wirecase.model import CLIENT, SERVER, FormFacts, Severity
from wirecase.sources.forms import documents, tap_values
from wirecase.sources.forms.http2_writer import Connections, Fields, Stream
from wirecase.sources.forms.own_statuses import made_by_the_library
from wirecase.sources.forms.recording import FormReader
from wirecase.sources.forms.schema import Kind, Schema, first_fields, read_message
from wirecase.sources.forms.segments import UNKNOWN, Endpoint, endpoint
from wirecase.sources.reading import Reading
from wirecase.sources.window import Window

_DURATION: Schema = {1: Kind("seconds", "signed"), 2: Kind("nanos", "signed")}
_METADATA = {1: Kind("entry", of={1: Kind("key", "string"), 2: Kind("value", "bytes")}, repeated=True)}
ENTRY: Schema = {
    1: Kind("timestamp", of=_DURATION),
    2: Kind("call_id", "int"),
    3: Kind("sequence_id_within_call", "int"),
    4: Kind("type", "int"),
    5: Kind("logger", "int"),
    6: Kind("client_header", of={1: Kind("metadata", of=_METADATA), 2: Kind("method_name", "string"),
                                 3: Kind("authority", "string"), 4: Kind("timeout", of=_DURATION)}),
    7: Kind("server_header", of={1: Kind("metadata", of=_METADATA)}),
    8: Kind("message", of={1: Kind("length", "int"), 2: Kind("data", "bytes")}),
    9: Kind("trailer", of={1: Kind("metadata", of=_METADATA), 2: Kind("status_code", "int"),
                           3: Kind("status_message", "string"), 4: Kind("status_details", "bytes")}),
    10: Kind("payload_truncated", "bool"),
    11: Kind("peer", of={1: Kind("type", "int"), 2: Kind("address", "string"), 3: Kind("ip_port", "int")}),
}  # fmt: skip
CLIENT_HEADER, SERVER_HEADER, CLIENT_MESSAGE, SERVER_MESSAGE, CLIENT_HALF_CLOSE, SERVER_TRAILER, CANCEL = range(1, 8)
_LOGGED_BY_CLIENT = 1
_MOST = 10_000
"""Calls that are followed at the same time."""
_UNITS = (
    ("n", 1),
    ("u", 1_000),
    ("m", 1_000_000),
    ("S", 1_000_000_000),
    ("M", 60_000_000_000),
    ("H", 3_600_000_000_000),
)
STATUS_NAMES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
_GIVEN_UP = frozenset((1, 4))
"""CANCELLED and DEADLINE_EXCEEDED: the client may have wished it so."""
LIMITS = (
    "frames, flow control, resets and GOAWAYs, and the codes of resets",
    "the compression flag and the length prefix of messages, and whether they were compressed",
    "headers that the library keeps to itself (te, content-type, user-agent, grpc-encoding); the usual ones are shown",
    "HTTP responses that are not gRPC: the library turned them into a status",
    "in a client's log, whether a failed call's status came from the server or from the client's library",
    "which calls shared a connection, and the connection's own life",
)


def recognise(head: bytes, size: int | None) -> str:
    """Return ``prefixed`` (grpc-go) or ``delimited`` (grpc-java) for a binary log, else an empty string."""
    if len(head) >= 8 and _is_entry(head[4:], int.from_bytes(head[:4], "big"), size):
        return "prefixed"
    first = first_fields(b"\x0a" + head, 1)
    if first:
        begin = next((i for i in range(min(len(head), 10)) if head[i] < 0x80), 10) + 1
        if _is_entry(head[begin:], first[0][2], size):
            return "delimited"
    return ""


def _is_entry(data: bytes, length: int, size: int | None) -> bool:
    """Tell whether an entry of `length` bytes begins: a timestamp, a call id, a sequence number, a type."""
    if length < 8 or length > documents.MAX_RECORD or (size is not None and length > size):
        return False
    fields = first_fields(data[:length], 4)
    numbers = [number for number, _, _ in fields]
    if numbers not in ([1, 2, 3, 4], [1, 3, 4, 5], [2, 3, 4, 5]):
        return False
    kind = next(value for number, _, value in fields if number == 4)
    wires = all(wire == (2 if number == 1 else 0) for number, wire, _ in fields)
    return wires and 1 <= kind <= 7 and (fields[0][0] != 1 or fields[0][2] <= 24)


def next_entry(take: Callable[[Window], bytes | None]) -> Callable[[Window], dict[str, Any] | None]:
    """Return what reads the next entry, given what takes its bytes."""

    def read(window: Window) -> dict[str, Any] | None:
        raw = take(window)
        return None if raw is None else (read_message(raw, ENTRY) or {})

    return read


class _LoggedCall:
    """What is known of a call so far."""

    __slots__ = ("answered", "by_client", "path", "stream")

    def __init__(self, stream: Stream, path: str, *, by_client: bool) -> None:
        self.stream = stream
        self.path = path
        self.by_client = by_client
        self.answered = False


class BinaryLogReader(FormReader[dict[str, Any]]):
    """Reads binary logs of clients and servers."""

    def __init__(self, window: Window, reading: Reading, framing: str) -> None:
        take = documents.next_prefixed if framing == "prefixed" else documents.next_delimited
        super().__init__(window, reading, next_entry(take), FormFacts("a gRPC binary log", "messages", LIMITS))
        self._connections = Connections(self.segments)
        self._calls: dict[tuple[int, int], _LoggedCall] = {}

    def take(self, record: dict[str, Any], number: int) -> bool:
        """See `FormReader.take`."""
        kind = record.get("type", 0)
        if not 1 <= kind <= 7:
            return False
        time = tap_values.nanoseconds(record.get("timestamp"))
        key = (record.get("logger", 0), record.get("call_id", 0))
        if kind == CLIENT_HEADER:
            self._begin(key, record, number, time)
            return True
        call = self._calls.get(key)
        if call is None:  # the log was begun in the middle of this call
            return True
        stream = call.stream
        if kind == SERVER_HEADER:
            call.answered = True
            stream.headers(SERVER, [*_RESPONSE, *_metadata(record, "server_header")], number, time)
        elif kind in (CLIENT_MESSAGE, SERVER_MESSAGE):
            self._message(call, CLIENT if kind == CLIENT_MESSAGE else SERVER, record, number, time)
        elif kind == CLIENT_HALF_CLOSE:
            stream.end(CLIENT, number, time)
        elif kind == SERVER_TRAILER:
            self._calls.pop(key)
            self._trailer(call, record, number, time)
        else:
            self._calls.pop(key)
            self._cancel(call, number, time)
        return True

    def over(self, number: int, time: int) -> None:
        """See `FormReader.over`."""
        self._calls.clear()
        self._connections.settle(number, time)

    def _begin(self, key: tuple[int, int], record: dict[str, Any], number: int, time: int) -> None:
        header = record.get("client_header", {})
        by_client = key[0] == _LOGGED_BY_CLIENT
        self.facts.client_log = self.facts.client_log or by_client
        server = endpoint(header.get("authority", ""))
        client = UNKNOWN if by_client else _peer(record)
        path = header.get("method_name", "")
        fields: Fields = [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", _text(path if path.startswith("/") else f"/{path}")),
            (b":authority", _text(header.get("authority", ""))),
            (b"content-type", b"application/grpc"),
            (b"te", b"trailers"),
        ]
        if "timeout" in header:
            fields.append((b"grpc-timeout", _timeout(tap_values.nanoseconds(header["timeout"]))))
        if len(self._calls) >= _MOST:
            self._calls.pop(next(iter(self._calls)))
        stream = self._connections.stream(client, server, number, time)
        self._calls[key] = _LoggedCall(stream, path, by_client=by_client)
        stream.headers(CLIENT, [*fields, *_metadata(record, "client_header")], number, time)

    def _message(self, call: _LoggedCall, side: int, record: dict[str, Any], number: int, time: int) -> None:
        message = record.get("message", {})
        data: bytes = message.get("data", b"")
        length = message.get("length", len(data))
        length = length if len(data) <= length < 1 << 32 else len(data)
        if side == SERVER and not call.answered:
            call.answered = True
            call.stream.headers(SERVER, list(_RESPONSE), number, time)
        missing = length - len(data)
        self.facts.truncated += missing > 0
        call.stream.data(side, b"\0" + length.to_bytes(4, "big") + data, number, time, missing=missing)

    def _cancel(self, call: _LoggedCall, number: int, time: int) -> None:
        """A client's log says that the client gave up; a server's only that the call was over, whoever ended it."""
        if call.by_client:
            call.stream.cancel(number, time)
        else:
            self.facts.ended_unseen(number, time, call.path, "the server's library reports that it was cancelled")

    def _trailer(self, call: _LoggedCall, record: dict[str, Any], number: int, time: int) -> None:
        trailer = record.get("trailer", {})
        code, message = trailer.get("status_code", 0), trailer.get("status_message", "")
        metadata = _metadata(record, "trailer")
        if call.by_client and code and not metadata and made_by_the_library(message):
            severity: Severity = "warning" if code in _GIVEN_UP else "error"
            name = STATUS_NAMES[code] if code < len(STATUS_NAMES) else str(code)
            self.facts.ended_unseen(
                number, time, call.path, f"the client's library reports {name}: {message}", severity
            )
            return
        fields = [(b"grpc-status", str(code).encode())]
        if message:
            fields.append((b"grpc-message", quote(_text(message), safe=_UNQUOTED).encode()))
        if trailer.get("status_details"):
            fields.append((b"grpc-status-details-bin", base64.b64encode(trailer["status_details"]).rstrip(b"=")))
        fields = fields if call.answered else [*_RESPONSE, *fields]
        call.stream.headers(SERVER, [*fields, *metadata], number, time, end=True)


_RESPONSE: Fields = [(b":status", b"200"), (b"content-type", b"application/grpc")]
_UNQUOTED = "".join(chr(c) for c in range(0x20, 0x7F) if c != 0x25)
"""What grpc-message leaves as it is (gRPC PROTOCOL-HTTP2, Status-Message)."""


def _text(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")


def _metadata(record: dict[str, Any], name: str) -> Fields:
    fields: Fields = []
    for entry in tap_values.items(tap_values.sub(record, name, "metadata").get("entry")):
        key, value = _text(entry.get("key", "")).lower(), entry.get("value", b"")
        if key and not key.startswith(b":"):
            fields.append((key, base64.b64encode(value).rstrip(b"=") if key.endswith(b"-bin") else value))
    return fields


def _peer(record: dict[str, Any]) -> Endpoint:
    peer = record.get("peer", {})
    port = peer.get("ip_port", 0)
    return (peer.get("address", ""), port) if peer.get("type") in (1, 2) and 0 < port < 65536 else UNKNOWN


def _timeout(nanoseconds: int) -> bytes:
    """Write a grpc-timeout: at most eight digits and a unit (gRPC PROTOCOL-HTTP2, Timeout)."""
    unit, size = next((one for one in _UNITS if nanoseconds // one[1] < 100_000_000), _UNITS[-1])
    return f"{min(max(nanoseconds // size, 0), 99_999_999)}{unit}".encode()
