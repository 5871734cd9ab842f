"""Statuses that are missing, malformed or out of place (gRPC's PROTOCOL-HTTP2, Responses)."""

from __future__ import annotations

from wirecase.replay.gauntlet.fault import ERRORS, Fault, Kind

UNKNOWN = ("UNKNOWN",)
MISSING, MALFORMED, APP = "grpc-status-missing", "grpc-status-malformed", "grpc-app-status"


def _status(
    name: str, summary: str, rule: str, expect: tuple[str, ...] = ERRORS, basis: str = "wire", kind: Kind = "unary",
    *, damaged: bool = True,
) -> Fault:  # fmt: skip
    return Fault(
        name, summary, "status", rule, (), expect, basis, kind, damaged=damaged and rule != APP, plain=rule == APP
    )  # fmt: skip


FAULTS = (
    _status("status-missing", "trailers without grpc-status", MISSING, UNKNOWN, "http"),
    _status("status-missing-end-on-data", "END_STREAM on the last message", MISSING, UNKNOWN, "http"),
    _status("status-missing-streaming", "END_STREAM on the last message of a stream", MISSING, UNKNOWN, "http",
            "server-stream"),
    _status("status-missing-headers-only", "200 and END_STREAM on the headers", MISSING, UNKNOWN, "http"),
    _status("status-not-a-number", "grpc-status: OK", MALFORMED, UNKNOWN, "status"),
    _status("status-negative", "grpc-status: -1", MALFORMED, UNKNOWN, "status"),
    _status("status-empty", "an empty grpc-status", MALFORMED, UNKNOWN, "status"),
    _status("status-99", "grpc-status: 99", MALFORMED, UNKNOWN, "status"),
    _status("status-before-the-body", "grpc-status: 0 in the headers, END_STREAM on DATA",
            "grpc-status-in-open-headers"),
    _status("status-13-before-the-body", "grpc-status: 13 in the headers, END_STREAM on DATA",
            "grpc-status-in-open-headers"),
    _status("trailers-not-final", "trailers without END_STREAM", "grpc-trailers-not-final", basis="h2", damaged=False),
    _status("trailers-twice", "trailers after trailers", "grpc-trailers-not-final", basis="h2", damaged=False),
    _status("status-app", "NOT_FOUND after a message", APP, ("NOT_FOUND",)),
    _status("status-app-only", "PERMISSION_DENIED in the headers alone", APP, ("PERMISSION_DENIED",)),
    _status("status-after-messages", "UNAVAILABLE after a message", APP, ("UNAVAILABLE",), kind="server-stream"),
    _status("status-local-reply", "a proxy's own UNAVAILABLE", "grpc-local-reply", ("UNAVAILABLE",),
            damaged=False),
    _status("status-message-bad-percent", "NOT_FOUND with a grpc-message that is badly encoded", APP, ("NOT_FOUND",)),
    _status("status-message-not-ascii", "NOT_FOUND with a grpc-message in raw UTF-8", APP, ("NOT_FOUND",)),
    _status("status-message-not-utf8", "NOT_FOUND with a grpc-message of no charset", APP, ("NOT_FOUND",)),
    _status("status-details-bad", "NOT_FOUND with a grpc-status-details-bin that is no base64",
            "grpc-metadata-bad-bin", damaged=False),
)  # fmt: skip
