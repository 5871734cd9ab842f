"""The end of whole connections: GOAWAY (RFC 9113 section 6.8), FIN, TCP resets."""

from __future__ import annotations

import struct

from peer import GOAWAY, PREFACE, frame

from livebench.server import Answer, Fault, Fin, Line, Reset, first_only

MAXIMUM = 2**31 - 1


def goaway(last: int, code: int = 0, debug: bytes = b"") -> bytes:
    """A GOAWAY frame."""
    return frame(GOAWAY, 0, 0, struct.pack(">II", last, code) + debug)


def graceful(p: Line, stream: int, number: int) -> None:
    """The two steps of a graceful end around a good answer."""
    p.send(goaway(MAXIMUM, 0, b"max_age"))
    p.pause()
    p.healthy(stream, "one")
    p.send(goaway(stream, 0, b"max_age"))
    p.pause()
    raise Fin


def unprocessed(p: Line, stream: int, number: int) -> None:
    """The call came too late: never processed, safe to make again."""
    p.send(goaway(max(stream - 2, 0)))
    p.pause()
    raise Fin


def killed(code: int, debug: bytes, *words: str, last: int | None = None) -> Answer:
    """GOAWAY in the middle of an answer, then FIN."""

    def answer(p: Line, stream: int, number: int) -> None:
        p.begin(stream, *words)
        p.send(goaway(stream if last is None else last, code, debug))
        p.pause()
        raise Fin

    return answer


def pings(p: Line, stream: int, number: int) -> None:
    """What a gRPC server does with a client that pings too often."""
    p.send(goaway(stream, 11, b"too_many_pings"))
    p.pause()
    raise Fin


def goaway_opening(p: Line) -> None:
    """GOAWAY right after SETTINGS."""
    p.open()
    p.send(goaway(0, 0, b"session_timed_out"))
    raise Fin


def fin(*words: str, partial: bytes = b"") -> Answer:
    """FIN after these messages and this part of one."""

    def answer(p: Line, stream: int, number: int) -> None:
        p.begin(stream, *words)
        if partial:
            p.send(p.data(stream, partial))
            p.pause()
        raise Fin

    return answer


def rst(*words: str, partial: bytes = b"") -> Answer:
    """A TCP reset after these messages and this part of one."""

    def answer(p: Line, stream: int, number: int) -> None:
        p.begin(stream, *words)
        if partial:
            p.send(p.data(stream, partial))
            p.pause()
        raise Reset

    return answer


def half_frame(p: Line, stream: int, number: int) -> None:
    """FIN inside a DATA frame."""
    p.begin(stream, "one")
    p.send(p.data(stream, b"\0\0\0\0\x40" + b"x" * 64)[:40])
    p.pause()
    raise Fin


def fin_now(p: Line, stream: int, number: int) -> None:
    """FIN in place of an answer."""
    raise Fin


def rst_now(p: Line, stream: int, number: int) -> None:
    """A TCP reset in place of an answer."""
    raise Reset


def fin_opening(p: Line) -> None:
    """FIN before SETTINGS."""
    p.exactly(len(PREFACE))
    raise Fin


def rst_opening(p: Line) -> None:
    """A TCP reset before SETTINGS."""
    p.exactly(len(PREFACE))
    raise Reset


def single_use(p: Line, stream: int, number: int) -> None:
    """A good answer, then FIN without GOAWAY."""
    p.healthy(stream, "one")
    p.pause()
    raise Fin


HALF = b"\0\0\0\0\x40half a message"
FAULTS = (
    Fault("goaway-graceful", "both steps, the call completes", graceful, control=True),
    Fault("goaway-graceful-calls", "the same, and three calls", graceful, calls=3, control=True),
    Fault("goaway-unprocessed-once", "last_stream_id below the call, then good answers", first_only(unprocessed)),
    Fault("goaway-unprocessed-always", "last_stream_id below each call", unprocessed, timeout=2),
    Fault(
        "goaway-mid-call", "NO_ERROR inside an answer, FIN", killed(0, b"graceful_stop", "one"), kind="server-stream"
    ),
    Fault(
        "goaway-internal", "INTERNAL_ERROR with debug data", killed(2, b"worker crashed", "one"), kind="server-stream"
    ),
    Fault("goaway-protocol-error", "PROTOCOL_ERROR inside an answer", killed(1, b"", "one"), kind="server-stream"),
    Fault("goaway-last-0", "last_stream_id 0 inside an answer", killed(0, b"", "one", last=0), kind="server-stream"),
    Fault("goaway-too-many-pings", "ENHANCE_YOUR_CALM in place of an answer", pings),
    Fault(
        "goaway-calm-midbody",
        "ENHANCE_YOUR_CALM inside an answer",
        killed(11, b"too_many_pings", "one"),
        kind="server-stream",
    ),
    Fault("goaway-at-open", "GOAWAY right after SETTINGS", opening=goaway_opening, timeout=2),
    Fault("fin-before-settings", "FIN before SETTINGS", opening=fin_opening, timeout=2),
    Fault("rst-before-settings", "TCP reset before SETTINGS", opening=rst_opening, timeout=2),
    Fault("fin-before-headers", "FIN in place of an answer", fin_now),
    Fault("fin-before-headers-once", "the same once, then good answers", first_only(fin_now), calls=2),
    Fault("tcp-rst-before-headers", "TCP reset in place of an answer", rst_now),
    Fault("fin-after-headers", "FIN after the headers", fin()),
    Fault("fin-after-messages", "FIN after two messages", fin("one", "two"), kind="server-stream"),
    Fault("fin-mid-message", "FIN inside a message", fin("one", partial=HALF), kind="server-stream"),
    Fault("fin-mid-frame", "FIN inside a frame", half_frame, kind="server-stream"),
    Fault("tcp-rst-after-messages", "TCP reset after two messages", rst("one", "two"), kind="server-stream"),
    Fault("tcp-rst-mid-message", "TCP reset inside a message", rst("one", partial=HALF), kind="server-stream"),
    Fault("fin-between-calls", "FIN without GOAWAY after each call", single_use, calls=3, control=True),
)
