"""What clients log when a stream or its connection ends before its time."""

from __future__ import annotations

from wirecase.grpc import status as s
from wirecase.http2.facts import error_name
from wirecase.model import ClientSees
from wirecase.rules.clients.status import TONIC_MISSING
from wirecase.rules.clients.table import CORE, GO, GRPCLIB, JAVA, JS, OLD_HYPER, OLD_TONIC, TONIC, says

NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR = 0, 1, 3, 7, 8, 9
INTERNAL_ERROR, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY, HTTP_1_1_REQUIRED = 2, 11, 12, 13

BODY_ERROR = "h2 protocol error: error reading a body from connection"
"""tonic's words after response headers."""
HEAD_ERROR = "h2 protocol error: http2 error"
"""tonic's words before them."""

_JS_TEXT = {
    NO_ERROR: (s.INTERNAL, "Received RST_STREAM with code 0 (Call ended without gRPC status)"),
    INTERNAL_ERROR: (s.INTERNAL, "Received RST_STREAM with code 2 (Internal server error)"),
    REFUSED_STREAM: (s.UNAVAILABLE, "Stream refused by server"),
    CANCEL: (s.CANCELLED, "Call cancelled"),
    ENHANCE_YOUR_CALM: (s.RESOURCE_EXHAUSTED, "Bandwidth exhausted or memory limit exceeded"),
    INADEQUATE_SECURITY: (s.PERMISSION_DENIED, "Protocol not secure enough"),
}
_GO_CODES = {FLOW_CONTROL_ERROR: s.RESOURCE_EXHAUSTED, 5: s.INTERNAL, HTTP_1_1_REQUIRED: s.INTERNAL}
_TONIC_UNKNOWN = (5, 6, HTTP_1_1_REQUIRED)
"""STREAM_CLOSED, FRAME_SIZE_ERROR and HTTP_1_1_REQUIRED have no code of their own in tonic."""
_CORE_CODES = {REFUSED_STREAM: s.UNAVAILABLE, CANCEL: s.CANCELLED, ENHANCE_YOUR_CALM: s.RESOURCE_EXHAUSTED,
               INADEQUATE_SECURITY: s.PERMISSION_DENIED}  # fmt: skip
"""Everything else is INTERNAL to grpc-core."""
_JAVA_CODES = {NO_ERROR: s.UNAVAILABLE, 5: s.INTERNAL}
_JAVA_NOTES = {
    ENHANCE_YOUR_CALM: " (Bandwidth exhausted)",
    INADEQUATE_SECURITY: " (Permission denied as protocol is not secure enough to call)",
}
_GO_ENUM = "stream terminated by RST_STREAM with error code: {}"


def _tonic(code: int) -> int:
    """Return the status that tonic makes of an HTTP/2 error code."""
    return s.UNKNOWN if code in _TONIC_UNKNOWN else s.from_h2_error(code)


def _rst_elsewhere(code: int) -> list[ClientSees]:
    js_code, js_text = _JS_TEXT.get(code, (s.INTERNAL, f"Received RST_STREAM with code {code}"))
    mapped = s.from_h2_error(code)
    java = _JAVA_CODES.get(code, mapped)
    java_text = f"RST_STREAM closed stream. HTTP/2 error code: {error_name(code)}{_JAVA_NOTES.get(code, '')}"
    return [
        says(GO, _GO_CODES.get(code, mapped), _GO_ENUM.format(error_name(code))),
        says(CORE, _CORE_CODES.get(code, s.INTERNAL), f"RST_STREAM (Received RST_STREAM with error code {code})"),
        says(JAVA, java, java_text, checked=code <= HTTP_1_1_REQUIRED),
        says(JS, js_code, js_text),
        says(GRPCLIB, "StreamTerminatedError", f"Stream reset by remote party, error_code: {code}"),
    ]


def rst_before_headers(code: int) -> list[ClientSees]:
    """RST_STREAM with `code` from the server before any response headers."""
    return [says(TONIC, _tonic(code), HEAD_ERROR), *_rst_elsewhere(code)]


def rst_midbody(code: int) -> list[ClientSees]:
    """RST_STREAM with `code` from the server after response headers and before the status.

    hyper turns NO_ERROR into a clean end of the body, and older versions of it CANCEL too: tonic then misses the
    status, or missed nothing.
    """
    clean = [
        says(TONIC, s.UNKNOWN, TONIC_MISSING),
        says(OLD_TONIC, s.OK, "nothing: the stream ends as if it were complete"),
    ]
    if code == NO_ERROR:
        return [*clean, *_rst_elsewhere(code)]
    tonic = [says(TONIC, _tonic(code), BODY_ERROR)]
    if code == CANCEL:
        tonic.append(says(OLD_HYPER, s.UNKNOWN, TONIC_MISSING, checked=False))
    return [*tonic, *_rst_elsewhere(code)]


def body_cut(how: str = "fin", *, headers: bool = True) -> list[ClientSees]:
    """FIN (`how` ``fin``) or RST (``rst``) of TCP with the stream open, after response `headers` or before them."""
    tonic = BODY_ERROR if headers else "transport error"
    core = "Socket closed" if how == "fin" else "recvmsg:Connection reset by peer (104)"
    go = "EOF" if how == "fin" else "read tcp …: read: connection reset by peer"
    js = "Connection dropped" if how == "fin" else "read ECONNRESET"
    return [
        says(TONIC, s.UNKNOWN, tonic),
        says(GO, s.UNAVAILABLE, f"error reading from server: {go}"),
        says(CORE, s.UNAVAILABLE, core),
        says(JAVA, s.UNAVAILABLE, "Network closed for unknown reason"),
        says(JS, s.UNAVAILABLE, js, checked=how == "fin"),
        says(GRPCLIB, "StreamTerminatedError", "Connection lost"),
    ]


def goaway_race(code: int = NO_ERROR, debug: str = "") -> list[ClientSees]:
    """The stream's id was above a GOAWAY's last_stream_id: never processed."""
    java = f"Abrupt GOAWAY closed sent stream. HTTP/2 error code: {error_name(code)}"
    java += f", debug data: {debug}" if debug else ""
    return [
        says(TONIC, s.CANCELLED, "operation was canceled"),
        says(GO, s.UNAVAILABLE, "the stream is rejected because server is draining the connection"),
        says(CORE, s.UNAVAILABLE, f"GOAWAY received; Error code: {code}; Debug Text: {debug}"),
        says(JAVA, _JAVA_CODES.get(code, s.from_h2_error(code)), java, checked=code <= HTTP_1_1_REQUIRED),
    ]


def goaway_error(code: int, debug: str = "") -> list[ClientSees]:
    """A GOAWAY with an error code while the stream was open and counted as processed, then the connection's end."""
    shown = f", debug data: {debug!r}" if debug else ""
    core = f"Socket closed (GOAWAY received; Error code: {code}; Debug Text: {debug})"
    js = f"Received RST_STREAM with code {INTERNAL_ERROR} triggered by internal client error: "
    return [
        says(TONIC, _tonic(code), BODY_ERROR),
        says(
            GO,
            s.UNAVAILABLE,
            'closing transport due to: connection error: desc = "error reading from server: EOF", received prior '
            f"goaway: code: {error_name(code)}{shown}",
        ),
        says(CORE, s.UNAVAILABLE, core),
        says(JS, s.INTERNAL, f"{js}Session closed with error code {code}"),
        says(GRPCLIB, "StreamTerminatedError", "Connection lost"),
    ]


def too_many_pings() -> list[ClientSees]:
    """GOAWAY ENHANCE_YOUR_CALM with the debug data ``too_many_pings``."""
    text = 'Client received GoAway with error code ENHANCE_YOUR_CALM and debug data equal to ASCII "too_many_pings".'
    return [
        says(TONIC, s.RESOURCE_EXHAUSTED, BODY_ERROR),
        says(GO, s.UNAVAILABLE, text),
        says(CORE, s.UNAVAILABLE, f"GOAWAY received; Error code: {ENHANCE_YOUR_CALM}; Debug Text: too_many_pings"),
        says(
            JAVA,
            s.RESOURCE_EXHAUSTED,
            "Abrupt GOAWAY closed sent stream. HTTP/2 error code: ENHANCE_YOUR_CALM (Bandwidth exhausted), "
            "debug data: too_many_pings",
        ),
    ]


def refused(address: str = "") -> list[ClientSees]:
    """The TCP connection was refused; `address` is the server's ``addr:port``."""
    return [
        says(TONIC, s.UNAVAILABLE, "tcp connect error", checked=False),
        says(
            GO,
            s.UNAVAILABLE,
            f'connection error: desc = "transport: Error while dialing: dial tcp {address}: connect: connection '
            f'refused"',
            checked=False,
        ),
        says(CORE, s.UNAVAILABLE, "Failed to connect to remote host: Connection refused"),
        says(JAVA, s.UNAVAILABLE, "io exception", checked=False),
        says(
            JS,
            s.UNAVAILABLE,
            f"No connection established. Last error: connect ECONNREFUSED {address}",
            checked=False,
        ),
    ]


def connect_timeout(address: str = "") -> list[ClientSees]:
    """SYN after SYN went unanswered; most clients fail by their deadline, not by the connection."""
    return [
        says(TONIC, s.UNAVAILABLE, "tcp connect error", checked=False),
        says(
            GO,
            s.UNAVAILABLE,
            f'connection error: desc = "transport: Error while dialing: dial tcp {address}: i/o timeout"',
            checked=False,
        ),
        says(CORE, s.DEADLINE_EXCEEDED, "Deadline Exceeded"),
    ]


def keepalive() -> list[ClientSees]:
    """A client's PING was not answered in time and the client closed the connection, after response headers."""
    return [
        says(TONIC, s.UNKNOWN, BODY_ERROR),
        says(GO, s.UNAVAILABLE, "keepalive ping failed to receive ACK within timeout"),
        says(CORE, s.UNAVAILABLE, "keepalive timeout", checked=False),
        says(JAVA, s.UNAVAILABLE, "Keepalive failed. The connection is likely gone"),
    ]


def deadline() -> list[ClientSees]:
    """The call's own deadline passed."""
    return [
        says(TONIC, s.CANCELLED, "Timeout expired"),
        says(GO, s.DEADLINE_EXCEEDED, "context deadline exceeded"),
        says(CORE, s.DEADLINE_EXCEEDED, "Deadline Exceeded"),
        says(JAVA, s.DEADLINE_EXCEEDED, "CallOptions deadline exceeded after …s."),
        says(JS, s.DEADLINE_EXCEEDED, "Deadline exceeded after …s"),
        says(GRPCLIB, "TimeoutError", "Deadline exceeded"),
    ]


def peer_speaks_http1(http_status: int | None = None) -> list[ClientSees]:
    """The server answered the HTTP/2 preface in HTTP/1 (with `http_status`)."""
    told = f" (Trying to connect an http1.x server (HTTP status {http_status}))" if http_status is not None else ""
    return [
        says(TONIC, s.UNKNOWN, "h2 protocol error: http2 error (FRAME_SIZE_ERROR)", checked=False),
        says(
            GO,
            s.UNAVAILABLE,
            "error reading server preface: http2: failed reading the frame payload: http2: frame too large, note that "
            "the frame header looked like an HTTP/1.1 header",
            checked=False,
        ),
        says(
            CORE,
            s.UNAVAILABLE,
            f"Failed parsing HTTP/2 (Expected SETTINGS frame as the first frame, got frame type 80){told}",
        ),
        says(JS, s.UNAVAILABLE, "No connection established. Last error: Protocol error"),
        says(GRPCLIB, "StreamTerminatedError", "Connection lost"),
    ]


def tls_to_plaintext() -> list[ClientSees]:
    """A client with TLS meets a port without it."""
    wrong = "error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER"
    return [
        says(CORE, s.UNAVAILABLE, f"Tls handshake failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL: {wrong}"),
        says(
            GO,
            s.UNAVAILABLE,
            'connection error: desc = "transport: authentication handshake failed: tls: first record does not look '
            'like a TLS handshake"',
            checked=False,
        ),
    ]


def first_frame_not_settings(frame: str) -> list[ClientSees]:
    """The server's first frame was something else than SETTINGS; `frame` is its type's name, e.g. ``PING``."""
    kind = "".join(part.capitalize() for part in frame.split("_"))
    return [says(GO, s.UNAVAILABLE, f"initial http2 frame from server is not a settings frame: *http2.{kind}Frame")]


def closed_before_settings() -> list[ClientSees]:
    """The server accepted the connection and closed it before any SETTINGS."""
    return [
        says(TONIC, s.CANCELLED, "operation was canceled"),
        says(GO, s.UNAVAILABLE, "error reading server preface: EOF"),
        says(CORE, s.UNAVAILABLE, "Socket closed"),
        says(JS, s.UNAVAILABLE, "No connection established", checked=False),
        says(GRPCLIB, "StreamTerminatedError", "Connection lost"),
    ]


def header_list_too_large() -> list[ClientSees]:
    """A header list over the client's MAX_HEADER_LIST_SIZE."""
    return [
        says(GO, s.INTERNAL, "peer header list size exceeded limit"),
        says(CORE, s.RESOURCE_EXHAUSTED, "received metadata size exceeds hard limit"),
        says(JS, s.RESOURCE_EXHAUSTED, "Bandwidth exhausted or memory limit exceeded"),
        says(GRPCLIB, "StreamTerminatedError", "Connection lost"),
    ]


def trailers_not_final() -> list[ClientSees]:
    """A second HEADERS frame of the response without END_STREAM."""
    return [
        says(TONIC, s.INTERNAL, BODY_ERROR),
        says(GO, s.INTERNAL, "a HEADERS frame cannot appear in the middle of a stream"),
        says(CORE, s.INTERNAL, "Trailing metadata frame received without an end-o-stream"),
        says(JAVA, s.INTERNAL, "Received headers twice"),
    ]


def h2_violation(code: int = PROTOCOL_ERROR, *, headers: bool = False) -> list[ClientSees]:
    """A breach of HTTP/2 by the server that the client answers with `code`, after response `headers` or before them."""
    return [says(TONIC, _tonic(code), BODY_ERROR if headers else HEAD_ERROR)]


def legal_frames_rejected(stream: int, *, padded: bool, unknown: bool) -> list[ClientSees]:
    """Legal frames that a client cannot take: PADDED ones on `stream`, or ones of unknown types."""
    rows = [says(CORE, s.INTERNAL, f"unsupported data flags: 0x08 stream: {stream}")] if padded else []
    return [*rows, says(GRPCLIB, "StreamTerminatedError", "Connection lost")] if unknown else rows


def stalled() -> list[ClientSees]:
    """Nothing more comes and nothing ends: only a deadline ends the call."""
    return deadline()
