"""Lines of tonic, grpc-go and grpc-core that no rule's text holds.

Causes that they print below the error, debug forms, older versions. Read in the clients' sources and in public issue
threads (cited beside the tests' lines).
"""

from __future__ import annotations

from wirecase.explaining.shape import Shape
from wirecase.explaining.shapes.codes import CORE, GO, H2
from wirecase.explaining.shapes.line import line

_RUST = (
    line(
        "operation was canceled: connection closed",
        H2,
        "goaway-race=probable body-cut-connection",
        weight=70,
        note="The connection had ended before the request could be sent on it.",
    ),
    line(
        "stream closed because of a broken pipe",
        H2,
        "body-cut-connection=probable tcp-reset close-without-goaway",
        weight=80,
        note="The connection was gone when the stream was read.",
    ),
    line(
        "unexpected end of file",
        H2,
        "body-cut-connection=probable tls-truncated",
        weight=70,
        note="TCP, or TLS without close_notify, ended under the stream.",
    ),
    line(
        "peer closed connection without sending tls close_notify",
        H2,
        "tls-truncated=probable body-cut-connection",
        weight=90,
    ),
    line("kind: connectionreset", H2, "body-cut-connection=probable tcp-reset", weight=70),
    line("kind: brokenpipe", H2, "body-cut-connection=probable tcp-reset", weight=70),
    line("kind: connectionrefused", H2, "tcp-refused=certain", weight=80),
    line("kind: timedout", H2, "tcp-connect-timeout tcp-peer-silent keepalive-unanswered", weight=60),
    line(
        "connection error: keep-alive timed out",
        H2,
        "keepalive-unanswered=probable",
        weight=60,
        pattern=r"keep-?alive timed out",
    ),
    line(
        "unexpected compression flag",
        H2,
        "grpc-invalid-compression-flag=probable http-error-with-body",
        pattern=r"unexpected compression flag: (?P<flag>\d{1,3}), while receiving response with status: "
        r"(?P<status>\d{3})",
        weight=70,
    ),
    line(
        "invalid compression flag",
        H2,
        "grpc-invalid-compression-flag=probable http-error-with-body",
        pattern=r"invalid compression flag:? (?P<flag>\d{1,3})",
        weight=50,
    ),
    line(
        "message length too large",
        H2,
        "grpc-message-too-large=probable grpc-length-is-text",
        pattern=r"message length too large: found (?P<length>\d{1,10}) bytes",
        weight=50,
    ),
    line('goaway(b"too_many_pings"', H2, "goaway-too-many-pings=certain", weight=110),
    line("too_many_internal_resets", H2, "goaway-too-many-resets=certain", weight=110),
    line("too_many_resets", H2, "goaway-too-many-resets=certain", weight=110),
    line("too_many_data_frames", H2, "goaway-too-many-resets=certain", weight=110),
    line(
        "invalidcontenttype",
        H2,
        "h2-peer-speaks-http1 tls-plaintext-mismatch=probable",
        weight=60,
        note="rustls met bytes that are no TLS record.",
    ),
)
_GO = (
    line(
        "error while dialing dial tcp",
        GO,
        "tcp-refused=certain",
        weight=92,
        pattern=r"error while dialing:? (?:\w+: )?\\?\"?dial tcp [^\s]{1,100}?: (?:connect: connection refused"
        r"|connectex: no connection could be made)",
    ),
    line("connect: connection refused", GO, "tcp-refused=certain", weight=50),
    line(
        "dial tcp",
        GO,
        "tcp-connect-timeout=probable",
        weight=70,
        pattern=r"dial tcp [^\s]{1,100}?: (?:i/o timeout|connect: (?:connection timed out|no route to host)"
        r"|connectex: a connection attempt failed)",
    ),
    line(
        "http2: frame too large",
        GO,
        "h2-peer-speaks-http1=probable tls-plaintext-mismatch h2-not-http2",
        weight=70,
        pattern=r"error reading server preface: http2: frame too large",
        note="The first bytes read as a frame header gave an absurd length: mostly the H, T, T of HTTP/1.",
    ),
    line("note that the frame header looked like an http/1.1 header", GO, "h2-peer-speaks-http1=certain", weight=120),
    line(
        "received bogus greeting from client",
        GO,
        "h2-bad-preface=certain",
        weight=90,
        pattern=r"received bogus greeting from client: .?(?P<greeting>.{0,24})",
    ),
    line("bogus greeting", GO, "h2-bad-preface=certain", weight=50),
    line("transport is closing", GO, "body-cut-connection=probable goaway-race close-before-settings", weight=40),
    line("connection closed before server preface received", GO, "close-before-settings=probable", weight=80),
    line("http2: client connection lost", GO, "keepalive-unanswered=probable tcp-peer-silent", weight=60),
    line("client connection force closed", GO, "body-cut-connection", weight=40),
    line("read: connection reset by peer", GO, "body-cut-connection=probable tcp-reset idle-cut", weight=60),
    line("write: broken pipe", GO, "body-cut-connection=probable tcp-reset idle-cut", weight=50),
    line("http2server.handlestreams failed to read frame", GO, "body-cut-connection=probable tcp-reset", weight=70),
    line(
        "max_age",
        GO,
        "goaway-max-age=certain goaway-race",
        weight=160,
        pattern=r"debug data: \W{0,2}max_age",
    ),
    line("max_idle", GO, "goaway-max-idle=certain", weight=160, pattern=r"debug data: \W{0,2}max_idle"),
    line("graceful_stop", GO, "goaway-graceful-stop=certain goaway-race", weight=160),
    line("too_many_pings", GO, "goaway-too-many-pings=certain", weight=170),
    line(
        "x509: certificate",
        GO,
        "tls-alert=probable tls-handshake-failed",
        weight=60,
        note="The client does not trust the server's certificate, and ends TLS with an alert.",
    ),
    line("first record does not look like a tls handshake", GO, "tls-plaintext-mismatch=certain", weight=90),
    line("server gave http response to https client", GO, "tls-plaintext-mismatch=certain", weight=90),
    line("client sent an http request to an https server", GO, "tls-plaintext-mismatch=certain", weight=90),
    line(
        "received context error while waiting for new lb policy update",
        GO,
        "grpc-deadline=probable tcp-refused",
        weight=60,
    ),
    line(
        "decompressor is not installed for grpc-encodi",
        GO,
        "grpc-encoding-unsupported=certain",
        weight=60,
        pattern=r"decompressor is not installed for grpc-encodi",
    ),
)
_CORE = (
    line(
        "received message larger than max",
        CORE,
        "grpc-message-too-large=probable grpc-length-is-text",
        pattern=r"received message larger than max \((?P<length>\d{1,10}) vs\.? \d{1,10}\)",
        weight=43,
    ),
    line(
        "failed to connect to all addresses",
        CORE,
        "tcp-refused tcp-connect-timeout tls-handshake-failed "
        "tls-plaintext-mismatch close-before-settings h2-peer-speaks-http1",
        weight=36,
        note="No connection could be made; the referenced errors, or GRPC_TRACE=tcp,http, say why.",
    ),
    line(
        "failed to connect to remote host: timeout",
        CORE,
        "tcp-connect-timeout=probable",
        weight=60,
        pattern=r"failed to connect to remote host: (?:timeout|connection timed out|fd shutdown)",
    ),
    line("trying to connect an http1.x server", CORE, "h2-peer-speaks-http1=certain", weight=90),
    line(
        "got frame type",
        CORE,
        "h2-peer-speaks-http1=probable h2-not-http2 tls-plaintext-mismatch",
        pattern=r"expected settings frame as the first frame, got frame type (?P<frametype>\d{1,3})",
        weight=80,
    ),
    line(
        "unknown frame type",
        CORE,
        "h2-not-http2 h2-peer-speaks-http1",
        weight=30,
        pattern=r"unknown frame type (?P<hexframetype>[0-9a-f]{2})(?![0-9a-z])",
    ),
    line("connect string mismatch", CORE, "h2-bad-preface=certain", weight=90),
    line(
        "bad grpc frame type",
        CORE,
        "grpc-invalid-compression-flag=certain grpc-desync-midstream",
        weight=70,
        pattern=r"bad grpc frame type 0x(?P<hexflag>[0-9a-f]{1,2})",
    ),
    line("stream removed", CORE, "rst-midbody grpc-status-missing body-cut-connection", weight=20, code="UNKNOWN"),
    line(
        "error parsing 'content-type' metadata",
        CORE,
        "http-200-wrong-content-type=certain http-error-with-body",
        weight=80,
    ),
    line(
        "received http2 :status header with non-200 ok status",
        CORE,
        "http-error-with-body=probable http-error-empty",
        weight=60,
    ),
    line("wrong_version_number", CORE, "tls-plaintext-mismatch=certain", weight=100),
    line(
        "wrong version number",
        CORE,
        "tls-plaintext-mismatch=certain",
        weight=70,
        pattern=r"ssl.{0,80}?wrong version number",
    ),
    line("certificate_verify_failed", CORE, "tls-alert=probable tls-handshake-failed", weight=80),
    line("received a goaway with error code enhance_your_calm", CORE, "goaway-too-many-pings=certain", weight=120),
    line("goaway received", CORE, "goaway-race=probable goaway-error goaway-max-age", weight=40),
    line("connection reset by peer", CORE, "body-cut-connection=probable tcp-reset idle-cut", weight=40),
    line("tcp read failed", CORE, "body-cut-connection=probable", weight=30),
    line("endpoint read failed", CORE, "body-cut-connection=probable", weight=34),
    line("keepalive watchdog timeout", CORE, "keepalive-unanswered=certain", weight=70),
    line(
        "received metadata size exceeds",
        CORE,
        "h2-header-list-too-large=probable",
        weight=70,
        pattern=r"received (?:initial |trailing )?metadata size exceeds (?:hard |soft )?limit",
    ),
    line(
        "frame size",
        CORE,
        "h2-frame-size=probable h2-peer-speaks-http1 h2-not-http2",
        weight=60,
        pattern=r"frame size (?P<framelength>\d{1,8}) is larger than max frame size",
    ),
)

SHAPES: tuple[Shape, ...] = (*_RUST, *_GO, *_CORE)
