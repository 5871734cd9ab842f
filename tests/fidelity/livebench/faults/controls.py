"""Sessions in which nothing is broken."""

from __future__ import annotations

from peer import DONE, OPEN, message

from livebench.faults.messages import GZIP, ONE, PACKED, body, gzipped
from livebench.server import Fault, Line


def split(p: Line, stream: int, number: int) -> None:
    """A message over many frames, one of them empty."""
    p.send(p.headers(stream, OPEN))
    for octet in ONE:
        p.send(p.data(stream, bytes([octet])))
    p.send(p.data(stream, b""), p.headers(stream, DONE, end=True))


def slow(p: Line, stream: int, number: int) -> None:
    """A message every 0.2 s."""
    p.begin(stream)
    for _ in range(5):
        p.send(p.data(stream, ONE))
        p.pause(0.2)
    p.send(p.headers(stream, DONE, end=True))


LARGE = message(bytes(30_000))
FAULTS = (
    Fault("healthy-unary", "a good answer", lambda p, s, n: p.healthy(s), calls=3, control=True),
    Fault(
        "healthy-stream",
        "three messages",
        lambda p, s, n: p.healthy(s, "a", "b", "c"),
        kind="server-stream",
        calls=2,
        control=True,
    ),
    Fault(
        "healthy-bidi",
        "both sides streamed",
        lambda p, s, n: p.healthy(s, "a", "b"),
        kind="bidi",
        messages=3,
        control=True,
    ),
    Fault(
        "healthy-upload",
        "a long request",
        lambda p, s, n: p.healthy(s),
        kind="client-stream",
        messages=8,
        size=20_000,
        control=True,
    ),
    Fault("healthy-parallel", "four calls at once", lambda p, s, n: p.healthy(s), calls=8, parallel=4, control=True),
    Fault("healthy-gzip", "a compressed message", body(PACKED, extra=GZIP), control=True),
    Fault(
        "healthy-gzip-two",
        "two of them",
        body(PACKED, message(gzipped(b"x" * 999), 1), extra=GZIP),
        kind="server-stream",
        control=True,
    ),
    Fault("healthy-large", "a message over two frames", body(LARGE[:16384], LARGE[16384:]), control=True),
    Fault("healthy-split", "a message in frames of one octet", split, control=True),
    Fault("healthy-slow", "a slow stream", slow, kind="server-stream", control=True),
    Fault(
        "healthy-metadata",
        "response metadata",
        body(ONE, extra=[("x-backend", "shard-7")], trailers=[*DONE, ("x-cost", "3")]),
        control=True,
    ),
)
