"""Answers that are HTTP and no gRPC (gRPC's http-grpc-status-mapping)."""

from __future__ import annotations

from wirecase.replay.gauntlet.fault import ERRORS, Fault, Kind

FLAG = ("grpc-invalid-compression-flag",)
BODY, EMPTY, TYPE = "http-error-with-body", "http-error-empty", "http-200-wrong-content-type"


def _http(
    name: str, summary: str, rule: str, code: str = "", basis: str = "http", kind: Kind = "unary", *,
    also: tuple[str, ...] = (), or_ok: bool = False, damaged: bool = True, plain: bool = False,
) -> Fault:  # fmt: skip
    expect = tuple(code.split("|")) if code else ERRORS
    return Fault(
        name, summary, "http", rule, also, (*expect, "OK") if or_ok else expect, basis, kind, damaged=damaged,
        plain=plain,
    )  # fmt: skip


FAULTS = (
    _http("flag-67-proxy-page", "502 with the text 'Connection reset by upstream'", BODY, "UNAVAILABLE", also=FLAG),
    _http("flag-101-proxy-page", "502 with the text 'error code: 502'", BODY, "UNAVAILABLE", also=FLAG),
    _http("flag-60-proxy-page", "502 with an HTML page", BODY, "UNAVAILABLE", also=FLAG),
    _http("flag-60-proxy-page-streaming", "the same to a stream", BODY, "UNAVAILABLE", kind="server-stream", also=FLAG),
    _http("http-400-empty", "400 without a body", EMPTY, "INTERNAL"),
    _http("http-401-empty", "401 without a body", EMPTY, "UNAUTHENTICATED", plain=True),
    _http("http-403-page", "403 with an HTML page", BODY, "PERMISSION_DENIED", also=FLAG),
    _http("http-404-text", "404 with a text", BODY, "UNIMPLEMENTED", also=FLAG),
    _http("http-413-empty", "413 without a body", EMPTY, "UNKNOWN"),
    _http("http-429-text", "429 with a text", BODY, "UNAVAILABLE", also=FLAG),
    _http("http-431-empty", "431 without a body", EMPTY, "INTERNAL|UNKNOWN"),  # a late row of the table
    _http("http-500-empty", "500 without a body", EMPTY, "UNKNOWN"),
    _http("http-502-empty", "502 without a body", EMPTY, "UNAVAILABLE"),
    _http("http-503-json", "503 with JSON", BODY, "UNAVAILABLE", also=FLAG),
    _http("http-504-empty", "504 without a body", EMPTY, "UNAVAILABLE"),
    _http("http-301", "a redirect", EMPTY, "UNKNOWN"),
    _http("http-502-grpc-status", "502 with grpc-status: 14", "grpc-local-reply", "UNAVAILABLE", "wire", damaged=False),
    _http("http-200-page", "200 with an HTML page", TYPE, "UNKNOWN", also=FLAG),
    _http("http-200-json", "200 with JSON", TYPE, "UNKNOWN", also=FLAG),
    _http("http-missing-status", "response headers without :status", "h2-malformed-headers", basis="h2",
          also=("http-missing-status",), damaged=False),
    _http("http-103-end", "103 that ends the stream", "http-1xx-end-stream", basis="h2"),
    _http("http1-400", "a server of HTTP/1.1", "h2-peer-speaks-http1", basis="h2", or_ok=True),
    _http("http1-502", "an HTTP/1.1 proxy's 502 in place of SETTINGS", "h2-peer-speaks-http1", basis="h2", or_ok=True),
    _http("http1-503-late", "HTTP/1.1 in reply to a request over HTTP/2", "h2-peer-speaks-http1", basis="h2"),
)  # fmt: skip
