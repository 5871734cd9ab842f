"""Rules on well-formed statuses other than OK: the application's, or a proxy's own (PH2 Responses; statuscodes.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from wirecase.grpc import status as s
from wirecase.rules.base import Match, Rule, show
from wirecase.rules.calls import is_grpc_call, request_context, says_too_large
from wirecase.rules.proxies import who_wrote
from wirecase.session.call import Call

_LOCAL = re.compile(
    r"upstream connect error or disconnect/reset before headers|\Ano healthy upstream|\Aupstream request timeout|"
    r"\Astream timeout|\Aupstream max stream duration reached|\ARBAC: access denied|\Alocal_rate_limited|"
    r"\Aoverload|\Aconnect: Connection refused|\Aerror trying to connect: |\Alogical service |"
    r"failure to get a peer from the ring-balancer|\A(?:bad gateway|service unavailable|gateway time-?out)\Z",
    re.I,
)


def is_local_reply(call: Call) -> bool:
    """Tell whether a proxy wrote the status: trailers-only, no message, words that only proxies use."""
    trailers = call.trailers
    if trailers is None or trailers is not call.response or not call.grpc_status:
        return False
    message = s.percent_decode(trailers.block.get(b"grpc-message") or b"")
    return _LOCAL.search(message) is not None


def _local_reply(call: Call) -> Iterator[Match]:
    trailers = call.trailers
    if not is_grpc_call(call) or trailers is None or not is_local_reply(call):
        return
    message = s.percent_decode(trailers.block.get(b"grpc-message") or b"")
    name = s.status_name(call.grpc_status or 0)
    writer = who_wrote(None, message) or who_wrote(trailers.block)
    named = f" ({writer.name})" if writer else ""
    low = message.lower()
    unsent = any(word in low for word in ("no healthy upstream", "connection refused", "connection failure"))
    yield Match(
        severity="error",
        certainty="probable",
        who=["proxy", "server"],
        title=f'A proxy{named} answered for the server: {name}, "{message[:100]}"',
        explanation=(
            "The answer has a status but no response headers of its own (trailers-only), and its message is a proxy's: "
            f'"{message[:300]}". No server answered this call.'
        ),
        evidence=[show(trailers.excerpt, f"grpc-status {call.grpc_status}, trailers-only"), *request_context(call)],
        details={
            "grpc_status": call.grpc_status,
            "grpc_message": message,
            "status_name": name,
            "proxy": writer.name if writer else None,
            "http_status": call.http_status,
            "by": "server",
        },
        retry_safe="yes" if unsent else "unknown",
        retry_why=(
            "The proxy had no server to send the request to."
            if unsent
            else "The request may have reached the server before the connection broke."
        ),
        fix="Look at the upstream of that proxy at this time: its health checks, its connection's end, its idle "
        "timeout; in Envoy, response flags (UF, UC, UH, UT) in the access log name the reason.",
        key=(call.grpc_status, message[:80]),
    )


def _app_status(call: Call) -> Iterator[Match]:
    trailers, raw, code = call.trailers, call.status_text, call.grpc_status
    if not is_grpc_call(call) or trailers is None or not code or raw is None or not s.is_status(raw):
        return
    if code == s.DEADLINE_EXCEEDED or is_local_reply(call):
        return
    message = s.percent_decode(trailers.block.get(b"grpc-message") or b"")
    if says_too_large(code, message):
        return
    name = s.status_name(code)
    details: dict[str, Any] = {
        "grpc_status": code,
        "status_name": name,
        "grpc_message": message,
        "trailers_only": trailers is call.response,
        "http_status": call.http_status,
        "by": "server",
    }
    raw_details = trailers.block.get(b"grpc-status-details-bin")
    parsed = s.parse_details(raw_details) if raw_details is not None else None
    extra = ""
    if parsed is not None:
        details["details_code"] = parsed.code
        details["details_message"] = parsed.message
        details["details_types"] = parsed.types[:20]
        if parsed.types:
            shown = ", ".join(kind.rsplit("/", 1)[-1] for kind in parsed.types[:5])
            extra = f" Its details hold: {shown}."
        if parsed.code != code:
            extra += f" They name another code, {s.status_name(parsed.code)}."
    yield Match(
        severity="info",
        certainty="certain",
        who=["server"],
        title=f"The server answered {name} ({code})" + (f': "{message[:100]}"' if message else ""),
        explanation=(
            f"The call ended in order with grpc-status {code} ({name})"
            + (f' and the message "{message[:300]}".' if message else " and no message.")
            + f"{extra} That is the application's answer, not a fault of the wire."
        ),
        evidence=[show(trailers.excerpt, f"grpc-status {code}"), *request_context(call)],
        details=details,
        retry_safe="unknown",
        retry_why=(
            "UNAVAILABLE from an application is usually safe to retry with a back-off; the wire does not say."
            if code == s.UNAVAILABLE
            else "The application decides what its statuses mean."
        ),
        fix="Look into the application's log for this call.",
        key=code,
    )


RULES: tuple[Rule, ...] = (
    Rule(
        "grpc-local-reply",
        "A proxy's own answer in gRPC",
        "Trailers-only with a proxy's words: no server answered.",
        ("gRPC PROTOCOL-HTTP2, Responses",),
        "call",
        _local_reply,
    ),
    Rule(
        "grpc-app-status",
        "A status other than OK from the application",
        "The call ended in order with a non-zero grpc-status.",
        ("gRPC statuscodes.md",),
        "call",
        _app_status,
    ),
)
