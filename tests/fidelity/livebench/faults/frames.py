"""Frames that RFC 9113 and RFC 7541 forbid, and windows that never open."""

from __future__ import annotations

import struct
from collections.abc import Callable

from peer import (
    CONTINUATION,
    DATA,
    DONE,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    OPEN,
    PADDED,
    PING,
    PREFACE,
    PUSH,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Headers,
    frame,
    message,
    settings,
    text_message,
)

from livebench.faults.messages import HTML, ONE, TWO
from livebench.faults.status import literal
from livebench.server import Answer, Fault, Line


def inside(*frames: Callable[[int], bytes]) -> Answer:
    """These frames between a first message and the end of a good answer."""

    def answer(p: Line, stream: int, number: int) -> None:
        p.begin(stream, "one")
        p.send(*(make(stream) for make in frames))
        p.pause()
        p.send(p.data(stream, TWO), p.headers(stream, DONE, end=True))

    return answer


def opening(*frames: bytes, with_preface: bool = True) -> Callable[[Line], None]:
    """These bytes where SETTINGS belong."""

    def open_(p: Line) -> None:
        p.exactly(len(PREFACE))
        p.send(*frames)

    return open_


def with_settings(own: dict[int, int]) -> Callable[[Line], None]:
    """An opening with these settings."""
    return lambda p: p.open(own)


def headers(*fields: tuple[str, str], first: Headers = ()) -> Answer:
    """Extra fields in the response headers, the rest good."""

    def answer(p: Line, stream: int, number: int) -> None:
        p.send(p.headers(stream, [*first, *OPEN, *fields]), p.data(stream, ONE))
        p.pause()
        p.send(p.headers(stream, DONE, end=True))

    return answer


def block(octets: bytes) -> Answer:
    """A header block of these octets."""

    def answer(p: Line, stream: int, number: int) -> None:
        p.send(frame(HEADERS, END_HEADERS, stream, octets))
        p.pause()
        p.send(p.data(stream, ONE))

    return answer


def interleaved(p: Line, stream: int, number: int) -> None:
    """DATA between HEADERS and CONTINUATION."""
    octets = p.block([*OPEN, ("x-long", "value " * 10)])
    p.send(
        frame(HEADERS, 0, stream, octets[:20]),
        p.data(stream, ONE),
        frame(CONTINUATION, END_HEADERS, stream, octets[20:]),
    )
    p.send(p.headers(stream, DONE, end=True))


def continued(p: Line, stream: int, number: int) -> None:
    """A header block over three frames, as it may be."""
    octets = p.block([*OPEN, ("x-long", "value " * 10)])
    p.send(
        frame(HEADERS, 0, stream, octets[:10]),
        frame(CONTINUATION, 0, stream, octets[10:20]),
        frame(CONTINUATION, END_HEADERS, stream, octets[20:]),
    )
    p.send(p.data(stream, ONE), p.headers(stream, DONE, end=True))


def padded(payload: bytes, pad: int, declared: int | None = None) -> Callable[[int], bytes]:
    """A padded DATA frame, whose pad length may lie."""
    length = bytes([pad if declared is None else declared])
    return lambda stream: frame(DATA, PADDED, stream, length + payload + bytes(pad))


def update(increment: int, stream: int | None = None) -> Callable[[int], bytes]:
    """A WINDOW_UPDATE for the call's stream, or for another."""
    return lambda own: frame(WINDOW_UPDATE, 0, own if stream is None else stream, struct.pack(">I", increment))


def flood(p: Line, stream: int, number: int) -> None:
    """A message of 3 MB as fast as TCP takes it, whatever the windows say."""
    octets = message(bytes(3 << 20))
    p.begin(stream, "one")
    p.send(*(p.data(stream, octets[at : at + 16384]) for at in range(0, len(octets), 16384)))
    p.pause()
    p.send(p.headers(stream, DONE, end=True))


def too_long(p: Line, stream: int, number: int) -> None:
    """Less DATA than content-length says."""
    p.send(p.headers(stream, [*OPEN, ("content-length", "100")]), p.data(stream, ONE))
    p.pause()
    p.send(p.headers(stream, DONE, end=True))


def too_short(p: Line, stream: int, number: int) -> None:
    """More DATA than content-length says."""
    p.send(p.headers(stream, [*OPEN, ("content-length", "4")]), p.data(stream, ONE))
    p.pause()
    p.send(p.headers(stream, DONE, end=True))


def reduced_table(p: Line, stream: int, number: int) -> None:
    """A dynamic table size over what the client allowed."""
    p.send(frame(HEADERS, END_HEADERS, stream, b"\x3f\xe1\xff\x7f" + p.block(OPEN)), p.data(stream, ONE))
    p.send(p.headers(stream, DONE, end=True))


MAX = 2**31 - 1
STREAM = "server-stream"
FAULTS = (
    Fault("fc-exceeded", "more DATA than the client's windows allow", flood, kind=STREAM),
    Fault("fc-overflow-stream", "a stream's window over 2^31-1", inside(update(MAX)), kind=STREAM),
    Fault("fc-overflow-connection", "the connection's window over 2^31-1", inside(update(MAX, 0)), kind=STREAM),
    Fault("fc-zero-stream", "a WINDOW_UPDATE of 0 for the stream", inside(update(0)), kind=STREAM),
    Fault("fc-zero-connection", "a WINDOW_UPDATE of 0 for the connection", inside(update(0, 0)), kind=STREAM),
    Fault(
        "fc-starved",
        "no WINDOW_UPDATE for a long request, a deadline",
        kind="client-stream",
        size=50000,
        messages=4,
        feeds=False,
        timeout=1.5,
    ),
    Fault(
        "fc-initial-0",
        "INITIAL_WINDOW_SIZE 0 and no WINDOW_UPDATE, a deadline",
        opening=with_settings({4: 0}),
        timeout=1.5,
    ),
    Fault("settings-streams-0", "MAX_CONCURRENT_STREAMS 0, a deadline", opening=with_settings({3: 0}), timeout=1.5),
    Fault("settings-window-too-big", "INITIAL_WINDOW_SIZE 2^31", opening=with_settings({4: 2**31}), timeout=2),
    Fault("settings-frame-size-100", "MAX_FRAME_SIZE 100", opening=with_settings({5: 100}), timeout=2),
    Fault("settings-push-2", "ENABLE_PUSH 2", opening=with_settings({2: 2}), timeout=2),
    Fault("settings-length-5", "SETTINGS of five octets", opening=opening(frame(SETTINGS, 0, 0, bytes(5))), timeout=2),
    Fault("settings-on-stream", "SETTINGS on stream 1", opening=opening(frame(SETTINGS, 0, 1)), timeout=2),
    Fault(
        "settings-not-first",
        "PING before SETTINGS",
        opening=opening(frame(PING, 0, 0, b"pingpong"), settings({3: 100})),
        timeout=2,
    ),
    Fault("ssh-banner", "an SSH banner", opening=opening(b"SSH-2.0-OpenSSH_9.2p1\r\n"), timeout=2),
    Fault(
        "tls-alert", "a TLS alert to a cleartext client", opening=opening(b"\x15\x03\x01\x00\x02\x02\x46"), timeout=2
    ),
    Fault("hpack-index", "an index outside of the table", block(b"\x88\xff\xa1\x1f")),
    Fault("hpack-huffman", "a Huffman string of ones", block(b"\x88\x40\x84\xff\xff\xff\xff\x01a")),
    Fault("hpack-cut", "a header block that ends inside a field", block(b"\x88\x40\x0acontent")),
    Fault("hpack-table-too-big", "a table size over the client's", reduced_table),
    Fault("headers-uppercase", "an upper-case name", block(b"\x88" + literal(b"Content-Type", b"application/grpc"))),
    Fault("headers-connection", "connection: close", headers(("connection", "close"))),
    Fault("headers-pseudo-late", ":status after a plain field", block(literal(b"x-a", b"b") + b"\x88")),
    Fault("headers-pseudo-unknown", ":made-up", headers(first=[(":made-up", "1")])),
    Fault(
        "headers-status-twice", "two :status fields", block(b"\x88\x88" + literal(b"content-type", b"application/grpc"))
    ),
    Fault("headers-newline", "a line feed in a value", block(b"\x88" + literal(b"x-a", b"one\ntwo"))),
    Fault("headers-empty-name", "a field without a name", block(b"\x88" + literal(b"", b"value"))),
    Fault("headers-huge", "60 KB of response headers", headers(*((f"x-{n}", "v" * 4000) for n in range(15)))),
    Fault("content-length-short", "content-length 100 and 10 octets", too_long),
    Fault("content-length-long", "content-length 4 and 10 octets", too_short),
    Fault("padded-data", "legal padding", inside(padded(ONE, 10)), kind=STREAM, control=True),
    Fault("padding-too-long", "a pad length over the frame", inside(padded(b"", 3, 200)), kind=STREAM),
    Fault(
        "frame-too-large",
        "DATA over the client's MAX_FRAME_SIZE",
        inside(lambda s: frame(DATA, 0, s, message(bytes(5 << 20)))),
        kind=STREAM,
    ),
    Fault("page-between-frames", "a page between two frames", inside(lambda s: HTML), kind=STREAM),
    Fault("data-on-stream-0", "DATA on stream 0", inside(lambda s: frame(DATA, 0, 0, ONE)), kind=STREAM),
    Fault(
        "data-on-idle-stream",
        "DATA on a stream that nobody opened",
        inside(lambda s: frame(DATA, 0, 99, ONE)),
        kind=STREAM,
    ),
    Fault(
        "headers-on-even-stream",
        "HEADERS on a stream of the server's",
        inside(lambda s: frame(HEADERS, END_HEADERS, 2, b"\x88")),
        kind=STREAM,
    ),
    Fault("continuation-interleaved", "DATA inside a header block", interleaved),
    Fault(
        "continuation-orphan",
        "CONTINUATION without HEADERS",
        inside(lambda s: frame(CONTINUATION, END_HEADERS, s, b"\x88")),
        kind=STREAM,
    ),
    Fault("continuation-legal", "a header block over three frames", continued, control=True),
    Fault(
        "push-promise",
        "PUSH_PROMISE to a client that has no use for it",
        inside(lambda s: frame(PUSH, END_HEADERS, s, b"\0\0\0\x02\x88")),
        kind=STREAM,
    ),
    Fault(
        "rst-length-3", "RST_STREAM of three octets", inside(lambda s: frame(RST_STREAM, 0, s, bytes(3))), kind=STREAM
    ),
    Fault("ping-length-4", "PING of four octets", inside(lambda s: frame(PING, 0, 0, bytes(4))), kind=STREAM),
    Fault(
        "update-length-3",
        "WINDOW_UPDATE of three octets",
        inside(lambda s: frame(WINDOW_UPDATE, 0, s, bytes(3))),
        kind=STREAM,
    ),
    Fault(
        "data-after-end",
        "DATA after the trailers",
        lambda p, s, n: (p.healthy(s, "one"), p.send(p.data(s, text_message("late")))),
    ),
    Fault(
        "frame-unknown-type",
        "a frame of type 0x42",
        inside(lambda s: frame(0x42, 0, s, b"grease")),
        kind=STREAM,
        control=True,
    ),
    Fault(
        "data-end-then-trailers",
        "END_STREAM on DATA, then trailers",
        lambda p, s, n: p.send(p.headers(s, OPEN), frame(DATA, END_STREAM, s, ONE), p.headers(s, DONE, end=True)),
    ),
)
