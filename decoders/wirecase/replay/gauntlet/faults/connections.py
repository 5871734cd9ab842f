"""The end of whole connections (RFC 9113 §6.8; gRPC's statuscodes.md), and their opening."""

from __future__ import annotations

from wirecase.replay.gauntlet.fault import ERRORS, Fault, Kind

BROKEN = ("UNAVAILABLE",)
"""statuscodes.md: some data transmitted before the connection breaks."""


def _end(
    name: str, summary: str, rule: str, expect: tuple[str, ...] = BROKEN, basis: str = "status", kind: Kind = "unary",
    also: tuple[str, ...] = (), *, or_ok: bool = False,
) -> Fault:  # fmt: skip
    expect = (*expect, "OK") if or_ok else expect
    return Fault(name, summary, "connection", rule, also, expect, basis, kind)


CUT = "body-cut-connection"
FAULTS = (
    _end("goaway-race", "a GOAWAY below the call, which may be made again", "goaway-graceful-stop", basis="wire",
         also=("goaway-race",), or_ok=True),
    _end("goaway-midbody", "GOAWAY with NO_ERROR inside an answer, then FIN", CUT, kind="server-stream"),
    _end("goaway-internal", "GOAWAY with INTERNAL_ERROR inside an answer", "goaway-error", ERRORS, "h2",
         "server-stream"),
    _end("goaway-protocol-error", "GOAWAY with PROTOCOL_ERROR inside an answer", "goaway-error", ERRORS, "h2",
         "server-stream"),
    _end("goaway-too-many-pings", "ENHANCE_YOUR_CALM, too_many_pings, in place of an answer", "goaway-too-many-pings",
         ERRORS, "h2"),
    _end("goaway-calm-midbody", "the same inside an answer", "goaway-too-many-pings", ERRORS, "h2", "server-stream"),
    _end("fin-before-settings", "FIN before SETTINGS", "close-before-settings", or_ok=True),
    _end("tcp-reset-before-settings", "a TCP reset before SETTINGS", "close-before-settings", or_ok=True),
    _end("fin-before-headers", "FIN in place of an answer", CUT),
    _end("tcp-reset-before-headers", "a TCP reset in place of an answer", CUT),
    _end("fin-after-headers", "FIN after the headers", CUT),
    _end("fin-midbody", "FIN after two messages", CUT, kind="server-stream"),
    _end("fin-mid-message", "FIN inside a message", CUT, kind="server-stream"),
    _end("fin-mid-frame", "FIN inside a frame", CUT, kind="server-stream"),
    _end("tcp-reset-midbody", "a TCP reset after two messages", CUT, kind="server-stream"),
    _end("tcp-reset-mid-message", "a TCP reset inside a message", CUT, kind="server-stream"),
)  # fmt: skip
