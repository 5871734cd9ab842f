"""Rules on well-formed statuses other than OK: the application's, or a proxy's own (PH2 Responses; statuscodes.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from wirecase.grpc import status as s
from wirecase.rules import clients
from wirecase.rules.base import Match, Rule, show
from wirecase.rules.calls import is_grpc_call, request_context, says_too_large, told_statuses
from wirecase.rules.clients.status import is_grpc
from wirecase.rules.gateway_words import known_words
from wirecase.rules.proxies import who_wrote
from wirecase.session.call import Call

GATEWAY = (502, 503, 504)
"""Statuses that only something before a server has a reason to send."""
_LOCAL = re.compile(
    r"\Aoverload|\Aconnect: Connection refused|\Aerror trying to connect: |"
    r"\A(?:bad gateway|service unavailable|gateway time-?out)\Z",
    re.I,
)
"""Sentences of proxies whose writer they do not tell."""


def is_local_reply(call: Call) -> bool:
    """Tell whether a proxy wrote the status: trailers-only, with words that only proxies use or a gateway's error.

    A gRPC server says 200 whatever its status is (PH2 Responses), so a gateway's error beside a grpc-status is of
    something in between.
    """
    trailers = call.trailers
    if trailers is None or trailers is not call.response or not call.grpc_status:
        return False
    if call.http_status in GATEWAY:
        return True
    message = s.percent_decode(trailers.block.get(b"grpc-message") or b"")
    said = known_words(message)
    return (said is not None and said.grpc) or _LOCAL.search(message) is not None


def _local_reply(call: Call) -> Iterator[Match]:
    trailers = call.trailers
    if not is_grpc_call(call) or trailers is None or not is_local_reply(call):
        return
    message = s.percent_decode(trailers.block.get(b"grpc-message") or b"")
    name = s.status_name(call.grpc_status or 0)
    writer = who_wrote(None, message) or who_wrote(trailers.block)
    named = f" ({writer.name})" if writer else ""
    said = known_words(message)
    unsent = said.unsent if said else "connection refused" in message.lower()
    status = call.http_status
    http = "" if status in (None, 200) else f" Its :status is {status}, and a gRPC server always sends 200."
    yield Match(
        severity="error",
        certainty="probable",
        who=["proxy", "server"],
        title=f'A proxy{named} answered for the server: {name}, "{message[:100]}"',
        explanation=(
            "The answer has a status but no response headers of its own (trailers-only)"
            + (
                f', and its message is a proxy\'s: "{message[:300]}".'
                if said or not http
                else f'; message "{message[:300]}".'
            )
            + f"{http}{' ' + said.meaning if said else ''} No server answered this call."
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
        client_sees=clients.answered(call.grpc_status or 0, message, call.http_status or 200)
        if is_grpc(call.content_type)
        else [],  # some go by the HTTP status then
        retry_safe="yes" if unsent else "unknown",
        retry_why=(
            "By the proxy's own words no server got the request."
            if unsent
            else "The request may have reached the server before the connection broke."
        ),
        fix=said.fix
        if said
        else "Look at the upstream of that proxy at this time: its health checks, its connection's end, its idle "
        "timeout; in Envoy, response flags (UF, UC, UH, UT) in the access log name the reason.",
        key=(call.grpc_status, message[:80]),
    )


def _maybe_envoy(call: Call) -> str:
    """Say where an answer without a message may be Envoy's: one of its upstream carries the time that it took."""
    block = call.response_block
    if block is None or call.trailers is not call.response or b"x-envoy-upstream-service-time" in block.names:
        return ""
    if "envoy" not in (block.text(b"server") or "").lower():
        return ""
    return (
        " It has no x-envoy-upstream-service-time, though, which Envoy adds to answers of its upstream by default: it "
        "may be Envoy's own (no route, response flag NR; no cluster, NC; external authorization, UAEX)."
    )


def _app_status(call: Call) -> Iterator[Match]:
    trailers, raw, code = call.trailers, call.status_text, call.grpc_status
    if not is_grpc_call(call) or trailers is None or not code or raw is None or not s.is_status(raw):
        return
    if code == s.DEADLINE_EXCEEDED or is_local_reply(call) or len(told_statuses(call)) > 1:
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
            + f"{extra} That is the application's answer, not a fault of the wire.{_maybe_envoy(call)}"
        ),
        evidence=[show(trailers.excerpt, f"grpc-status {code}"), *request_context(call)],
        details=details,
        client_sees=clients.answered(code, message, call.http_status or 200)
        if raw_details is None or parsed is not None
        else [],  # what clients make of broken details is told by grpc-metadata-bad-bin
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
