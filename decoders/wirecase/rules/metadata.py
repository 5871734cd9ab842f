"""Rules on the fields of a gRPC request or response that are not its status (PH2 Requests, Custom-Metadata)."""

from __future__ import annotations

from collections.abc import Iterator

from wirecase.grpc import status as s
from wirecase.http2.facts import HeadersFrame
from wirecase.model import CLIENT, SERVER, SIDE_NAMES
from wirecase.rules import clients
from wirecase.rules.base import Match, Rule, show
from wirecase.rules.calls import absent, is_grpc_call, request_context
from wirecase.session.call import Call


def _bad_bin(call: Call) -> Iterator[Match]:
    if not is_grpc_call(call):
        return
    for frame in call.stream.headers:
        for name, value in frame.block.fields:
            if name is None or value is None or not name.endswith(b"-bin") or s.decode_bin(value) is not None:
                continue
            yield _bad_bin_match(call, frame, name.decode("latin-1"), value)
            break


def _bad_bin_match(call: Call, frame: HeadersFrame, name: str, value: bytes) -> Match:
    side = frame.side
    return Match(
        severity="error",
        certainty="certain",
        who=["server", "proxy"] if side == SERVER else ["client"],
        title=f"The value of {name[:60]} is not base64",
        explanation=(
            f"Fields whose names end in -bin carry base64; this value cannot be decoded. The {SIDE_NAMES[side]} sent "
            f"it." + (" tonic panics on a bad grpc-status-details-bin." if name == "grpc-status-details-bin" else "")
        ),
        evidence=[show(frame.excerpt, f"{name[:60]}: {value[:60].decode('latin-1')}"), *request_context(call)],
        details={"name": name, "value": value[:200].decode("latin-1"), "by": SIDE_NAMES[side]},
        client_sees=clients.malformed_bin(name) if side == SERVER else [],
        retry_safe="no" if side == CLIENT else "unknown",
        retry_why="The same metadata would be sent again." if side == CLIENT else "The call may have been processed.",
        fix="Encode binary metadata as base64 (padding may be left out), or rename the field without -bin.",
        key=(side, name),
    )


def _bad_timeout(call: Call) -> Iterator[Match]:
    frame = call.request
    raw = frame.block.get(b"grpc-timeout") if frame is not None else None
    if frame is None or raw is None or not is_grpc_call(call) or s.parse_timeout(raw) is not None:
        return
    value = raw.decode("latin-1")[:80]
    answer = f" The server answered {s.status_name(call.grpc_status)}." if call.grpc_status is not None else ""
    yield Match(
        severity="error",
        certainty="certain",
        who=["client"],
        title=f"The request's grpc-timeout {value!r} is malformed",
        explanation=(
            "A grpc-timeout is one to eight digits and a unit (H, M, S, m, u or n), such as 10S. Servers refuse the "
            "call or "
            f"ignore the deadline.{answer}"
        ),
        evidence=[show(frame.excerpt, f"grpc-timeout: {value}")],
        details={"value": value, "grpc_status": call.grpc_status, "by": "client"},
        client_sees=clients.malformed_timeout(value) if call.grpc_status == s.INTERNAL else [],
        retry_safe="no",
        retry_why="The same header would be sent again.",
        fix="Let the client library write grpc-timeout; do not set it as metadata.",
        key=value,
    )


def _no_te(call: Call) -> Iterator[Match]:
    frame = call.request
    if frame is None or call.kind != "grpc" or not absent(frame.block, b"te"):
        return
    yield Match(
        severity="info",
        certainty="certain",
        who=["client", "proxy"],
        title="The request has no te: trailers",
        explanation=(
            "gRPC requests carry te: trailers so that incompatible proxies are found out. Without it some servers "
            "refuse the "
            "call and some proxies drop the trailers."
        ),
        evidence=[show(frame.excerpt, "request headers without te")],
        details={"by": "client", "http_status": call.http_status, "grpc_status": call.grpc_status},
        retry_safe="unknown",
        retry_why="It depends on what refused the call.",
        fix="Let the client send te: trailers; let no hop strip it (it is the one value of te that HTTP/2 allows).",
        key="te",
    )


RULES: tuple[Rule, ...] = (
    Rule(
        "grpc-metadata-bad-bin",
        "Binary metadata that is not base64",
        "The value of a field whose name ends in -bin is not base64.",
        ("gRPC PROTOCOL-HTTP2, Requests (Custom-Metadata)",),
        "call",
        _bad_bin,
    ),
    Rule(
        "grpc-timeout-malformed",
        "A malformed grpc-timeout",
        "The request's grpc-timeout is not one to eight digits and a unit.",
        ("gRPC PROTOCOL-HTTP2, Requests (Timeout)",),
        "call",
        _bad_timeout,
    ),
    Rule(
        "grpc-missing-te",
        "A gRPC request without te: trailers",
        "The request lacks te: trailers, which gRPC uses to detect incompatible proxies.",
        ("gRPC PROTOCOL-HTTP2, Requests", "RFC 9113 §8.2.2"),
        "call",
        _no_te,
    ),
)
