"""Rules on gRPC bodies that a hop rewrote: translated to gRPC-Web, or compressed by HTTP (RFC 9110 §8.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wirecase.model import SERVER
from wirecase.rules import clients
from wirecase.rules.base import Match, Rule, show
from wirecase.rules.calls import response_context
from wirecase.rules.clients.status import is_grpc
from wirecase.rules.foreign import show_byte
from wirecase.rules.messages import PH2_MESSAGE, foreign_details, foreign_of
from wirecase.session.call import Call


def _grpc_web(call: Call) -> Iterator[Match]:
    if call.kind != "grpc":
        return
    body = call.response_body
    content_type = (call.content_type or "").lower()
    declared = content_type.startswith("application/grpc-web")
    bad = body.bad if body is not None else None
    framed = bad is not None and bad.web_trailers is not None
    if not declared and not framed:
        return
    frame = call.response
    evidence = response_context(call)
    details: dict[str, Any] = {
        "content_type": call.content_type,
        "http_status": call.http_status,
        "after_messages": body.messages if body is not None else 0,
    }
    if bad is not None:
        evidence.insert(0, show(bad.excerpt, "a gRPC-Web trailers frame inside the body"))
        details |= {"flag": bad.flag, "offset": bad.after_bytes, "text": (bad.web_trailers or b"").decode("latin-1")}
    elif frame is not None:
        evidence = [show(frame.excerpt, f"response headers: content-type {call.content_type}")]
    why = f"its content-type is {call.content_type}" if declared else "its body carries a trailers frame (flag 0x80)"
    inside = ""
    if framed and bad is not None and bad.web_trailers:
        lines = bad.web_trailers.decode("utf-8", "replace").replace("\r\n", ", ").strip(", ")
        inside = f' The status that the client misses stands in the body: "{lines[:200]}".'
    yield Match(
        severity="error",
        certainty="certain",
        who=["proxy", "client"],
        title="A native gRPC call is answered in gRPC-Web",
        explanation=(
            f"The request is native gRPC, but the answer is gRPC-Web: {why}. gRPC-Web carries its trailers in the "
            f"body, "
            f"so a native client finds no status and an invalid flag.{inside}"
        ),
        evidence=evidence,
        details=details,
        client_sees=[
            row
            for row in (clients.wrong_content_type(call.content_type) if declared else ())
            if bad is None or row.client != "tonic"  # which meets the flag first
        ],
        retry_safe="no",
        retry_why="The route would translate the next answer the same way.",
        fix="Route native gRPC past the gRPC-Web filter (Envoy: envoy.filters.http.grpc_web only acts on "
        "application/grpc-web requests; check what rewrites the content-type).",
        key=call.content_type,
    )


def _content_encoding(call: Call) -> Iterator[Match]:
    block = call.response_block
    body = call.response_body
    if block is None or body is None or call.kind != "grpc" or not is_grpc(call.content_type):
        return
    encoding = block.text(b"content-encoding")
    if encoding is None or encoding.strip().lower() in ("", "identity"):
        return
    bad = body.bad
    frame = call.response
    if bad is None or bad.after_bytes or frame is None:
        return
    gzipped = bad.foreign[:2] == b"\x1f\x8b"
    request = call.request_block
    asked = request is not None and request.get(b"accept-encoding") is not None
    yield Match(
        severity="error",
        certainty="certain" if gzipped else "probable",
        who=["proxy"],
        title=f"The whole response body is {encoding}-encoded by HTTP, not message by message by gRPC",
        explanation=(
            f"The response says content-encoding: {encoding}, and its body begins with byte {show_byte(bad.flag)} "
            f"instead "
            f"of a message prefix. gRPC compresses single messages (grpc-encoding); a proxy that compresses the body "
            f"hides them from the client.{' The request invited it with accept-encoding.' if asked else ''}"
        ),
        evidence=[show(bad.excerpt, "compressed bytes where a message prefix is due"), show(frame.excerpt,
                  f"response headers: content-encoding {encoding}", role="context")],
        details=foreign_details(call, SERVER, bad, foreign_of(call, SERVER, bad)) | {"encoding": encoding},
        client_sees=clients.bad_flag(bad.flag, int.from_bytes(bad.foreign[1:5], "big"), bad.foreign_length - 1),
        retry_safe="no",
        retry_why="The proxy would compress the next answer as well.",
        fix="Exclude application/grpc from HTTP compression (nginx: gzip_types; Envoy: compressor content_type; "
        "Apache: SetOutputFilter DEFLATE only for text types; CDN: no automatic compression on the route).",
        key=encoding,
    )  # fmt: skip


RULES: tuple[Rule, ...] = (
    Rule(
        "grpc-web-on-grpc",
        "gRPC-Web on a native gRPC call",
        "The answer is gRPC-Web (content-type, or a trailers frame in the body) although native gRPC was asked for.",
        ("gRPC PROTOCOL-WEB", PH2_MESSAGE),
        "call",
        _grpc_web,
    ),
    Rule(
        "grpc-http-content-encoding",
        "HTTP compression over a gRPC body",
        "A proxy compressed the whole body (content-encoding); gRPC clients look for message prefixes in it.",
        ("RFC 9110 §8.4", "gRPC compression.md"),
        "call",
        _content_encoding,
    ),
)
