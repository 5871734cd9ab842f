"""Rules on HTTP responses that stand where a gRPC response is due (http-grpc-status-mapping.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wirecase.grpc.status import from_http, status_name
from wirecase.http2.facts import is_informational
from wirecase.model import SERVER, RetrySafe, Who
from wirecase.rules import clients
from wirecase.rules.base import Match, Rule, show
from wirecase.rules.calls import ending_context, ending_words, is_grpc_call, request_context
from wirecase.rules.clients.status import is_grpc, reason
from wirecase.rules.foreign import Foreign, ascii_of, classify, tonic_polls
from wirecase.rules.hints import Hint, hint_for
from wirecase.rules.proxies import Writer, who_wrote
from wirecase.session.call import Call

MAPPING = "gRPC http-grpc-status-mapping.md"
_NOT_SENT = (
    "no healthy upstream", "no server is available", "no available server", "failure to get a peer",
    "connection refused", "remote connection failure", "connection failure",
)  # fmt: skip
"""Words of proxies that had no server to send the request to."""


def page_bytes(call: Call) -> tuple[bytes, int]:
    """Return (beginning, length in all) of a response body that is no gRPC."""
    body = call.response_body
    length = call.stream.data_bytes[SERVER]
    if body is None:
        return b"", length
    if body.bad is not None and not body.bad.after_bytes:
        return bytes(body.bad.foreign), length
    return body.head, length


def _page_details(call: Call, page: bytes, length: int, foreign: Foreign, writer: Writer | None) -> dict[str, Any]:
    status = call.http_status
    details: dict[str, Any] = {
        "http_status": status,
        "content_type": call.content_type,
        "body_bytes": length,
        "by": "server",
    }
    if status is not None and status != 200:
        details["reason"] = reason(status)
        details["maps_to"] = status_name(from_http(status))
    if page:
        details |= {
            "flag": page[0],
            "ascii": ascii_of(page[0]),
            "offset": 0,
            "foreign": foreign.kind,
            "text": foreign.text or None,
            "tonic_polls": tonic_polls(page[:64]),
        }
    if writer is not None:
        details["proxy"] = writer.name
        details["proxy_why"] = writer.why
    block = call.response_block
    for name in (b"location", b"retry-after", b"www-authenticate"):
        value = block.text(name) if block is not None else None
        if value is not None:
            details[name.decode().replace("-", "_")] = value
    return details


_GATEWAY = (502, 504)
"""Statuses that only something before a server has a reason to send (RFC 9110 §15.6.3, §15.6.5)."""


def _who(status: int, hint: Hint | None, writer: Writer | None) -> list[Who]:
    if hint is not None and hint.who:
        return list(hint.who)
    if writer is not None and not writer.proxy:
        return ["proxy", "server"] if status in _GATEWAY else ["server", "proxy"]
    return ["proxy", "server"] if writer is None else ["proxy"]


def _retry(status: int, text: str, hint: Hint | None) -> tuple[RetrySafe, str]:
    if hint is not None and hint.retry:
        return hint.retry, hint.retry_why
    low = text.lower()
    if any(words in low for words in _NOT_SENT):
        return "yes", "The proxy says that it had no server to send the request to."
    if 500 <= status < 600:
        return "unknown", "The request may have reached a server before the proxy gave up: retry idempotent calls only."
    return "unknown", "The answer does not say whether the request was processed."


def _from_whom(writer: Writer | None) -> str:
    return f" from {writer.name}" if writer is not None else ""


def _http_error(call: Call, *, empty: bool) -> Iterator[Match]:
    status, frame = call.http_status, call.response
    if status is None or status == 200 or frame is None or not is_grpc_call(call) or call.status_text is not None:
        return
    if is_informational(frame.block):
        return
    page, length = page_bytes(call)
    if empty != (length == 0) or (empty and not call.response_complete):
        return
    foreign = classify(page, call.content_type, whole=len(page) == length)
    writer = who_wrote(frame.block, foreign.text)
    hint = hint_for(status, writer.name if writer else "", foreign.text)
    name = f"{status} {reason(status)}".rstrip()
    said = f": {foreign.quote}" if foreign.headline and not foreign.headline.startswith(str(status)) else ""
    safe, why = _retry(status, foreign.text, hint)
    details = _page_details(call, page, length, foreign, writer)
    mapped = status_name(from_http(status))
    author = writer.sentence if writer else ""
    if empty:
        body = "It has no body and no grpc-status."
    else:
        body = f"Its body of {length:,} bytes is {foreign.name}" + (f", {foreign.quote}." if foreign.headline else ".")
    reading = ""
    if page and page[0] > 1 and length >= 5:
        reading = (
            f" tonic reads the body before it looks at the status and logs byte {page[0]} as an invalid compression "
            f"flag; other clients make {mapped} of the HTTP status."
        )
    elif empty:
        reading = f" Clients make {mapped} of the HTTP status."
    yield Match(
        severity="error",
        certainty="certain",
        who=_who(status, hint, writer),
        title=f"HTTP {name}{_from_whom(writer)} instead of a gRPC response{said}"[:160],
        explanation=(
            f"A gRPC response has :status 200; this one has {name}. {body}{author}{reading}"
            f"{' ' + hint.text if hint else ''}"
        ),
        evidence=[
            show(frame.excerpt, f"response headers: :status {status}"),
            *_body_evidence(call, page),
            *request_context(call),
        ],
        details=details,
        client_sees=clients.http_error(status, call.content_type, page[:64], length),
        retry_safe=safe,
        retry_why=why,
        fix=hint.fix if hint and hint.fix else _fix(status),
        key=(status, writer.name if writer else None, page[:1]),
    )


def _body_evidence(call: Call, page: bytes) -> list[Any]:
    body = call.response_body
    first = body.first if body is not None else None
    return (
        [show(first, f"the body, read as a message prefix: flag {page[0]}", role="context")] if first and page else []
    )


def _fix(status: int) -> str:
    if status >= 500:
        return (
            "Look into that hop's log at this time for why its upstream failed; let it answer gRPC routes in gRPC "
            "(nginx: error_page 502 503 504 = @grpc_unavailable with grpc-status 14; Envoy: local replies are gRPC "
            "once the route is matched as gRPC); raise tonic's view of it by checking :status in a tower layer."
        )
    return "Compare the request's :authority and :path with the routes of that hop."


def _with_body(call: Call) -> Iterator[Match]:
    yield from _http_error(call, empty=False)


def _empty(call: Call) -> Iterator[Match]:
    yield from _http_error(call, empty=True)


def _wrong_content_type(call: Call) -> Iterator[Match]:
    frame, content_type = call.response, call.content_type
    if not is_grpc_call(call) or frame is None or call.http_status != 200 or is_grpc(content_type):
        return
    if content_type is None and (frame.block.unknown or b"content-type" in frame.block.names):
        return
    low = (content_type or "").lower()
    if low.startswith("application/grpc-web"):
        return
    page, length = page_bytes(call)
    foreign = classify(page, content_type, whole=len(page) == length)
    writer = who_wrote(frame.block, foreign.text)
    connect = low.startswith("application/connect+") or low in ("application/proto", "application/connect")
    named = content_type if content_type is not None else "missing"
    has_status = call.status_text is not None
    if connect:
        what = "The answer speaks the Connect protocol, not gRPC."
    elif length:
        what = f"Its body of {length:,} bytes is {foreign.name}" + (f", {foreign.quote}." if foreign.headline else ".")
    else:
        what = "It has no body."
    author = writer.sentence if writer else ""
    yield Match(
        severity="warning" if has_status else "error",
        certainty="certain",
        who=["proxy", "client"] if not connect else ["server", "client"],
        title=f"HTTP 200 with content-type {named} instead of a gRPC response"
        + (f": {foreign.quote}"[:80] if foreign.headline else ""),
        explanation=(
            f"The answer is a success to HTTP, but its content-type is {named}, not application/grpc. {what}{author} "
            "That is a login or captive page, a wrong port or a wrong route rather than a failing gRPC server; "
            f"{ending_words(call)}."
        ),
        evidence=[
            show(frame.excerpt, f"response headers: content-type {named}"),
            *_body_evidence(call, page),
            *request_context(call),
            *ending_context(call),
        ],
        details=_page_details(call, page, length, foreign, writer) | {"grpc_status": call.grpc_status},
        client_sees=clients.wrong_content_type(content_type, page[:64], length, status=has_status),
        retry_safe="no",
        retry_why="The same route would answer the same way.",
        fix="Check host, port and path of the call against the routes of whoever answered; behind a login page, "
        "send the credentials that the page asks for.",
        key=content_type,
    )


def _missing_status(call: Call) -> Iterator[Match]:
    frame = call.response
    if frame is None or not is_grpc_call(call) or frame.block.unknown or b":status" in frame.block.names:
        return
    if frame.block.truncated or call.session.server.missing:
        return  # behind a hole it may as well be the trailers
    yield Match(
        severity="error",
        certainty="certain",
        who=["server", "proxy"],
        title="The response headers have no :status",
        explanation=(
            "Every HTTP/2 response begins with a :status pseudo-header field; these headers have none, so the response "
            "is malformed (RFC 9113 §8.3.2) and clients reset the stream."
        ),
        evidence=[show(frame.excerpt, "response headers without :status"), *request_context(call)],
        details={"content_type": call.content_type, "by": "server"},
        client_sees=clients.missing_http_status(call.content_type),
        retry_safe="unknown",
        retry_why="The call may have been processed.",
        fix="Mend the server or the hop that writes these headers.",
        key="status",
    )


def _informational_end(call: Call) -> Iterator[Match]:
    if not is_grpc_call(call):
        return
    for frame in call.stream.headers:
        if frame.side != SERVER or not frame.end_stream or not is_informational(frame.block):
            continue
        status = int(frame.block.status or b"0")
        yield Match(
            severity="error",
            certainty="certain",
            who=["server", "proxy"],
            title=f"An interim response ({status}) ends the stream",
            explanation=(
                f"A {status} response only announces the real one; this one carries END_STREAM, so no real response "
                f"can "
                "follow (RFC 9113 §8.1)."
            ),
            evidence=[show(frame.excerpt, f"HEADERS with :status {status} and END_STREAM"), *request_context(call)],
            details={"http_status": status, "by": "server"},
            client_sees=clients.interim_end(status),
            retry_safe="unknown",
            retry_why="The call may have been processed.",
            fix="Mend the server or the hop that writes interim responses.",
            key=status,
        )
        return


RULES: tuple[Rule, ...] = (
    Rule(
        "http-error-with-body",
        "An HTTP error page instead of a gRPC response",
        "The response's :status is not 200 and it has a body: a proxy or gateway answered, not a gRPC server.",
        (MAPPING, "gRPC PROTOCOL-HTTP2, Responses"),
        "call",
        _with_body,
    ),
    Rule(
        "http-error-empty",
        "An HTTP error without a body instead of a gRPC response",
        "The response's :status is not 200, and there is neither a body nor a grpc-status.",
        (MAPPING, "gRPC PROTOCOL-HTTP2, Responses"),
        "call",
        _empty,
    ),
    Rule(
        "http-200-wrong-content-type",
        "A successful HTTP response that is no gRPC",
        "The response is 200 but its content-type is not application/grpc.",
        ("gRPC PROTOCOL-HTTP2, Responses",),
        "call",
        _wrong_content_type,
    ),
    Rule(
        "http-missing-status",
        "Response headers without :status",
        "The response's header block has no :status pseudo-header field.",
        ("RFC 9113 §8.3.2",),
        "call",
        _missing_status,
    ),
    Rule(
        "http-1xx-end-stream",
        "An interim response that ends the stream",
        "A 1xx response carries END_STREAM.",
        ("RFC 9113 §8.1",),
        "call",
        _informational_end,
    ),
)
