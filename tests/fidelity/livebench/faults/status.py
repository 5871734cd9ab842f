"""Statuses that are missing, malformed, or where none is allowed (gRPC's PROTOCOL-HTTP2, Responses)."""

from __future__ import annotations

import struct

from peer import DONE, END_HEADERS, END_STREAM, HEADERS, OPEN, Headers, frame

from livebench.faults.messages import ONE, body, ending
from livebench.server import Answer, Fault, Line


def only(headers: Headers) -> Answer:
    """One HEADERS frame that ends the stream."""

    def answer(p: Line, stream: int, number: int) -> None:
        p.send(p.headers(stream, headers, end=True))

    return answer


def trailers(*fields: tuple[str, str]) -> Answer:
    """A good message, then these trailers."""
    return body(ONE, trailers=fields)


def late(p: Line, stream: int, number: int) -> None:
    """A second HEADERS frame that does not end the stream, then an empty DATA frame that does."""
    p.begin(stream, "one")
    p.send(p.headers(stream, DONE))
    p.pause()
    p.send(p.data(stream, b"", end=True))


def twice(p: Line, stream: int, number: int) -> None:
    """Trailers, and after them more trailers."""
    p.begin(stream, "one")
    p.send(p.headers(stream, [("x-first", "1")]), p.headers(stream, DONE, end=True))


def literal(name: bytes, value: bytes) -> bytes:
    """A literal header field without indexing (RFC 7541 section 6.2.2), octets as they are."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def raw_trailers(*fields: tuple[bytes, bytes]) -> Answer:
    """A good message, then trailers whose octets are no ASCII."""

    def answer(p: Line, stream: int, number: int) -> None:
        p.begin(stream, "one")
        p.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, b"".join(literal(*field) for field in fields)))

    return answer


def in_open_headers(code: str) -> Answer:
    """grpc-status in headers that are followed by a body."""
    return ending(ONE, extra=[("grpc-status", code), ("grpc-message", "too early")])


BIG = struct.pack(">I", 0).hex() * 4000

FAULTS = (
    Fault("status-missing-trailers", "trailers without grpc-status", trailers(("x-other", "1"))),
    Fault("status-missing-end-on-data", "END_STREAM on DATA", ending(ONE)),
    Fault("status-missing-stream", "END_STREAM on DATA in a stream", ending(ONE, ONE), kind="server-stream"),
    Fault("status-missing-empty-data", "END_STREAM on an empty DATA frame", ending(ONE, b""), kind="server-stream"),
    Fault("status-missing-headers-only", "200 and END_STREAM on the headers", only(OPEN)),
    Fault("status-not-a-number", "grpc-status: OK", trailers(("grpc-status", "OK"))),
    Fault("status-negative", "grpc-status: -1", trailers(("grpc-status", "-1"))),
    Fault("status-empty", "an empty grpc-status", trailers(("grpc-status", ""))),
    Fault("status-unknown-99", "grpc-status: 99", trailers(("grpc-status", "99"), ("grpc-message", "made up"))),
    Fault("status-in-open-headers-0", "status 0 before the body, END_STREAM on DATA", in_open_headers("0")),
    Fault("status-in-open-headers-13", "status 13 before the body", in_open_headers("13")),
    Fault("status-twice", "two grpc-status fields", trailers(("grpc-status", "0"), ("grpc-status", "13"))),
    Fault("status-twice-ok-last", "the same, 0 last", trailers(("grpc-status", "13"), ("grpc-status", "0"))),
    Fault("status-twice-equal", "one status twice", trailers(("grpc-status", "0"), ("grpc-status", "0"))),
    Fault("trailers-not-final", "trailers without END_STREAM", late),
    Fault("trailers-twice", "trailers after trailers", twice),
    Fault(
        "message-not-ascii",
        "grpc-message in UTF-8 octets",
        raw_trailers((b"grpc-status", b"5"), (b"grpc-message", "kein Schlüssel".encode())),
    ),
    Fault(
        "message-not-utf8",
        "grpc-message of no charset",
        raw_trailers((b"grpc-status", b"5"), (b"grpc-message", b"\xff\xfe no key")),
    ),
    Fault(
        "message-bad-percent", "grpc-message: 100%", trailers(("grpc-status", "5"), ("grpc-message", "100% gone %zz"))
    ),
    Fault(
        "message-percent",
        "a percent-encoded grpc-message",
        trailers(("grpc-status", "5"), ("grpc-message", "no%20row%0A")),
    ),
    Fault(
        "details-bin-bad",
        "grpc-status-details-bin is no base64",
        trailers(("grpc-status", "5"), ("grpc-status-details-bin", "*no*")),
    ),
    Fault(
        "metadata-bin-bad",
        "a -bin trailer that is no base64",
        trailers(("grpc-status", "0"), ("x-trace-bin", "not*base64!")),
    ),
    Fault("trailers-huge", "16 KB of trailers", trailers(("grpc-status", "0"), ("x-big", BIG[:16000]))),
    Fault("app-status", "NOT_FOUND", trailers(("grpc-status", "5"), ("grpc-message", "no such row"))),
    Fault(
        "app-status-only",
        "trailers-only PERMISSION_DENIED",
        only([*OPEN, ("grpc-status", "7"), ("grpc-message", "no")]),
    ),
    Fault(
        "local-reply",
        "a proxy's own trailers-only answer",
        only(
            [
                *OPEN,
                ("grpc-status", "14"),
                ("grpc-message", "upstream connect error or disconnect/reset before headers"),
            ]
        ),
    ),
    Fault(
        "unavailable-after-message",
        "status 14 after a message",
        trailers(("grpc-status", "14"), ("grpc-message", "draining")),
        kind="server-stream",
    ),
)
