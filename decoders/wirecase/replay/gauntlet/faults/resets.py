"""RST_STREAM at each place and with each code (gRPC's PROTOCOL-HTTP2, Errors), and silence."""

from __future__ import annotations

from wirecase.replay.gauntlet.fault import ERRORS, Fault, Kind

MAPPED = {
    "no-error": ("NO_ERROR", "INTERNAL"),
    "protocol-error": ("PROTOCOL_ERROR", "INTERNAL"),
    "internal": ("INTERNAL_ERROR", "INTERNAL"),
    "flow-control": ("FLOW_CONTROL_ERROR", "INTERNAL"),
    "settings-timeout": ("SETTINGS_TIMEOUT", "INTERNAL"),
    "stream-closed": ("STREAM_CLOSED", ""),
    "frame-size": ("FRAME_SIZE_ERROR", "INTERNAL"),
    "refused": ("REFUSED_STREAM", "UNAVAILABLE"),
    "cancel": ("CANCEL", "CANCELLED"),
    "compression": ("COMPRESSION_ERROR", "INTERNAL"),
    "connect": ("CONNECT_ERROR", "INTERNAL"),
    "enhance-your-calm": ("ENHANCE_YOUR_CALM", "RESOURCE_EXHAUSTED"),
    "inadequate-security": ("INADEQUATE_SECURITY", "PERMISSION_DENIED"),
    "http11-required": ("HTTP_1_1_REQUIRED", ""),
    "unknown-99": ("error code 99", ""),
}
"""Part of the name -> error code, and the status that it stands for; empty where the table has none."""
AT_ONCE = ("no-error", "protocol-error", "internal", "cancel", "enhance-your-calm", "http11-required", "unknown-99")
SILENCE = ("DEADLINE_EXCEEDED",)


def _expected(name: str) -> tuple[str, ...]:
    return (MAPPED[name][1],) if MAPPED[name][1] else ERRORS


def _reset(
    name: str, summary: str, rule: str, expect: tuple[str, ...] = ("INTERNAL",), kind: Kind = "unary",
    parallel: int = 1,
) -> Fault:  # fmt: skip
    return Fault(name, summary, "reset", rule, (), expect, "wire", kind, parallel=parallel)


def _stall(name: str, summary: str, kind: Kind = "unary", rule: str = "stream-stalled") -> Fault:
    return Fault(name, summary, "stall", rule, (), SILENCE, "status", kind, deadline=3.0)


RULES_AT_ONCE = {
    "protocol-error": "rst-protocol-error",
    "cancel": "rst-before-headers",
    "enhance-your-calm": "rst-enhance-your-calm",
    "http11-required": "rst-http11-required",
}
RULES_MIDBODY = {
    "protocol-error": "rst-protocol-error",
    "flow-control": "rst-flow-control",
    "refused": "rst-refused-stream",
    "cancel": "rst-midbody",
    "enhance-your-calm": "rst-enhance-your-calm",
    "http11-required": "rst-http11-required",
}
FAULTS = (
    *(
        _reset(f"rst-at-once-{name}", f"{MAPPED[name][0]} in place of an answer",
               RULES_AT_ONCE.get(name, "rst-before-headers"), _expected(name))
        for name in AT_ONCE
    ),
    _reset("rst-refused-once", "REFUSED_STREAM once: the request may be sent again", "rst-refused-stream",
           ("UNAVAILABLE", "OK")),
    _reset("rst-after-headers", "INTERNAL_ERROR after the headers", "rst-midbody"),
    _reset("rst-after-the-message", "INTERNAL_ERROR after the message of a unary answer", "rst-midbody"),
    _reset("rst-mid-message", "INTERNAL_ERROR inside a message", "rst-midbody", kind="server-stream"),
    *(
        _reset(f"rst-midbody-{name}", f"{error} after two messages", RULES_MIDBODY.get(name, "rst-midbody"),
               _expected(name), "server-stream")
        for name, (error, _) in MAPPED.items()
    ),
    _reset("contained-reset", "INTERNAL_ERROR on one of two streams, the other goes on", "rst-midbody",
           kind="server-stream", parallel=2),
    _reset("contained-flag-67", "text where a message is due on one of two streams", "grpc-invalid-compression-flag",
           ERRORS, "server-stream", parallel=2),
    _stall("stall-at-once", "no answer", rule="stream-no-response"),
    _stall("stall-after-headers", "headers, then silence"),
    _stall("stall-midbody", "two messages, then silence", "server-stream"),
    _stall("stall-mid-message", "half a message, then silence", "server-stream"),
)  # fmt: skip
