"""Lines of grpc-java, grpc-js, grpc-dotnet and grpclib that no rule's text holds.

Causes that they print below the error, debug forms, older versions. Read in the clients' sources and in public issue
threads (cited beside the tests' lines).
"""

from __future__ import annotations

from wirecase.explaining.shape import Shape
from wirecase.explaining.shapes.codes import DOTNET, GRPCLIB, JAVA, JS
from wirecase.explaining.shapes.line import line

_JAVA = (
    line(
        "rst stream",
        JAVA,
        "rst-protocol-error=probable h2-malformed-headers",
        pattern=r"protocol error rst stream",
        weight=60,
    ),
    line(
        "rst stream", JAVA, "rst-midbody=probable rst-before-headers", pattern=r"internal error rst stream", weight=60
    ),
    line(
        "frame_size_error",
        JAVA,
        "h2-peer-speaks-http1=probable h2-frame-size h2-not-http2",
        weight=60,
        pattern=r"frame_size_error: (?P<framelength>\d{1,8})",
    ),
    line(
        "exceeds maximum",
        JAVA,
        "h2-frame-size=probable h2-not-http2 h2-peer-speaks-http1",
        weight=60,
        pattern=r"frame length: (?P<framelength>\d{1,8}) exceeds maximum: \d+",
    ),
    line(
        "client preface string missing or corrupt",
        JAVA,
        "h2-bad-preface=certain tls-plaintext-mismatch",
        weight=90,
        pattern=r"client preface string missing or corrupt\."
        r"(?: hex dump for received bytes: (?P<hexclient>[0-9a-f]+))?",
    ),
    line(
        "first received frame was not settings",
        JAVA,
        "h2-first-frame-not-settings=certain h2-not-http2",
        weight=90,
        pattern=r"first received frame was not settings\.(?: hex dump for first 5 bytes: (?P<hexserver>[0-9a-f]+))?",
    ),
    line("unexpected http/1.x request", JAVA, "h2-bad-preface=certain", weight=90),
    line("transport closed for unknown reason", JAVA, "body-cut-connection tcp-refused", weight=40),
    line(
        "channel closed while performing protocol negotiation",
        JAVA,
        "close-before-settings tls-handshake-failed",
        weight=50,
    ),
    line("end of stream or ioexception", JAVA, "body-cut-connection=probable", weight=60),
    line(
        "connection reset",
        JAVA,
        "body-cut-connection=probable tcp-reset",
        pattern=r"java\.\w+\.\w+exception: connection reset",
        weight=50,
    ),
    line("connection refused:", JAVA, "tcp-refused=certain", weight=60),
    line("received unexpected eos on", JAVA, "grpc-status-missing=probable", weight=50),
    line("header size exceeded max allowed size", JAVA, "h2-header-list-too-large=probable", weight=80),
    line("exceeds maxheaderlistsize", JAVA, "h2-header-list-too-large=probable", weight=70),
    line("not an ssl/tls record", JAVA, "tls-plaintext-mismatch=certain", weight=80),
    line(
        "frame size",
        JAVA,
        "grpc-message-too-large=probable grpc-length-is-text",
        weight=50,
        pattern=r"frame size (?P<length>\d{1,10}) exceeds maximum: \d+",
    ),
    line("max_age", JAVA, "goaway-max-age=certain goaway-race", pattern=r"debug data: max_age", weight=160),
    line(
        "session_timed_out", JAVA, "goaway-graceful-stop=probable goaway-race", pattern="session_timed_out", weight=160
    ),
    line("clientcall started after deadline exceeded", JAVA, "grpc-deadline=probable", weight=60),
    line(
        "trailers: metadata(",
        JAVA,
        "http-error-empty=probable http-error-with-body",
        weight=70,
        pattern=r"http status code (?P<status>[345]\d\d) .{0,80}?trailers: metadata\(",
    ),
    line(
        "deadline exceeded after",
        JAVA,
        "grpc-deadline=probable stream-no-response stream-stalled",
        weight=36,
        pattern=r"deadline exceeded (?:was|after)? ?-?[\d.]+(?:ns|s)?",
    ),
)
_JS = (
    line("err_http2_goaway_session", JS, "goaway-race=probable goaway-max-requests", weight=60),
    line("new streams cannot be created after receiving a goaway", JS, "goaway-race=probable", weight=80),
    line("err_http2_session_error", JS, "goaway-error=probable", weight=30),
    line("session closed with error code", JS, "goaway-error=probable", weight=60),
    line("connect econnrefused", JS, "tcp-refused=certain", weight=60),
    line("connect etimedout", JS, "tcp-connect-timeout=probable", weight=60),
    line("read econnreset", JS, "body-cut-connection=probable tcp-reset", weight=40),
    line("no connection established", JS, "tcp-refused=probable close-before-settings tcp-connect-timeout", weight=44),
    line("waiting for lb pick", JS, "grpc-deadline=probable tcp-connect-timeout", weight=50),
)
_DOTNET = (
    line(
        "expected http status code 200. got status code",
        DOTNET,
        "http-error-with-body=probable http-error-empty",
        pattern=r"got status code: (?P<status>\d{3})",
        weight=60,
    ),
    line("response protocol downgraded to http/1.1", DOTNET, "tls-no-alpn-h2=probable h2-peer-speaks-http1", weight=80),
    line(
        "did not complete the http/2 handshake",
        DOTNET,
        "close-before-settings=probable h2-peer-speaks-http1",
        weight=80,
    ),
    line("response ended prematurely", DOTNET, "body-cut-connection=probable close-without-goaway", weight=70),
    line("actively refused it", DOTNET, "tcp-refused=certain", weight=60),
    line("the request was aborted", DOTNET, "rst-midbody body-cut-connection", weight=24),
    line(
        "unable to read data from the transport connection", DOTNET, "body-cut-connection=probable tcp-reset", weight=70
    ),
)
_GRPCLIB = (
    line("connection was closed", GRPCLIB, "body-cut-connection=probable", weight=50,
         pattern=r"streamterminatederror: connection was closed"),
)  # fmt: skip


SHAPES: tuple[Shape, ...] = (*_JAVA, *_JS, *_DOTNET, *_GRPCLIB)
