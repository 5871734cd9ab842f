"""RST_STREAM at each place and with each code (RFC 9113 sections 6.4 and 7), and answers that never end."""

from __future__ import annotations

import struct

from peer import DONE, OPEN, RST_STREAM, frame

from livebench.server import Answer, Fault, Line, first_only

CODES = {
    "no-error": 0,
    "protocol-error": 1,
    "internal-error": 2,
    "flow-control": 3,
    "settings-timeout": 4,
    "stream-closed": 5,
    "frame-size": 6,
    "refused": 7,
    "cancel": 8,
    "compression": 9,
    "connect": 10,
    "enhance-your-calm": 11,
    "inadequate-security": 12,
    "http11-required": 13,
    "unknown-99": 99,
}


def reset(stream: int, code: int) -> bytes:
    """A RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def at_once(code: int) -> Answer:
    """A reset in place of an answer."""
    return lambda p, stream, number: p.send(reset(stream, code))


def midbody(code: int) -> Answer:
    """Headers, two messages, and a reset."""

    def answer(p: Line, stream: int, number: int) -> None:
        p.begin(stream, "one", "two")
        p.send(reset(stream, code))

    return answer


def after_headers(p: Line, stream: int, number: int) -> None:
    """Headers and a reset."""
    p.begin(stream)
    p.send(reset(stream, 2))


def half_message(p: Line, stream: int, number: int) -> None:
    """A reset inside a message."""
    p.begin(stream, "one")
    p.send(p.data(stream, b"\0\0\0\0\x40half"))
    p.pause()
    p.send(reset(stream, 2))


def after_trailers(p: Line, stream: int, number: int) -> None:
    """What servers send when a request need not be read to its end (RFC 9113 section 8.1)."""
    p.send(p.headers(stream, OPEN), p.data(stream, b"\0\0\0\0\x02\x0a\0"), p.headers(stream, DONE, end=True))
    p.send(reset(stream, 0))


def stall(p: Line, stream: int, number: int) -> None:
    """Two messages, then nothing."""
    p.begin(stream, "one", "two")


def stall_headers(p: Line, stream: int, number: int) -> None:
    """Headers, then nothing."""
    p.begin(stream)


BEFORE = (
    "no-error",
    "protocol-error",
    "internal-error",
    "cancel",
    "enhance-your-calm",
    "http11-required",
    "unknown-99",
)
FAULTS = (
    *(
        Fault(f"rst-before-headers-{name}", f"reset {CODES[name]} in place of an answer", at_once(CODES[name]))
        for name in BEFORE
    ),
    Fault("rst-refused-once", "REFUSED_STREAM once, then good answers", first_only(at_once(7))),
    Fault("rst-refused-always", "REFUSED_STREAM for ever", at_once(7), timeout=2),
    *(
        Fault(f"rst-midbody-{name}", f"reset {code} after two messages", midbody(code), kind="server-stream")
        for name, code in CODES.items()
    ),
    Fault("rst-midbody-unary", "reset 2 after the message of a unary call", midbody(2)),
    Fault("rst-after-headers", "reset 2 after the headers", after_headers),
    Fault("rst-half-message", "reset 2 inside a message", half_message, kind="server-stream"),
    Fault("rst-after-trailers", "NO_ERROR after the trailers", after_trailers, control=True),
    Fault("rst-then-healthy", "reset 2 once, then good answers", first_only(midbody(2)), kind="server-stream", calls=3),
    Fault("silence", "no answer, a deadline", timeout=1.5),
    Fault("stall-headers", "headers, then silence, a deadline", stall_headers, timeout=1.5),
    Fault("stall-midbody", "two messages, then silence, a deadline", stall, kind="server-stream", timeout=1.5),
)
