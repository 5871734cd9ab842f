"""What clients log when a stream or its connection ends before its time."""

from __future__ import annotations

from wirecase.grpc import status as s
from wirecase.http2.facts import error_name
from wirecase.model import ClientSees
from wirecase.rules.clients.quoting import go_quoted
from wirecase.rules.clients.status import TONIC_MISSING
from wirecase.rules.clients.table import CONNECT, CORE, GO, GRPCLIB, JAVA, JS, OLD_HYPER, OLD_TONIC, TONIC, says

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
JS_PLAIN = "Received RST_STREAM with code {}"
_GO_CODES = {FLOW_CONTROL_ERROR: s.RESOURCE_EXHAUSTED, 5: s.INTERNAL, HTTP_1_1_REQUIRED: s.INTERNAL}
_TONIC_UNKNOWN = (5, HTTP_1_1_REQUIRED)
"""STREAM_CLOSED and HTTP_1_1_REQUIRED have no code of their own in tonic."""
_CORE_CODES = {REFUSED_STREAM: s.UNAVAILABLE, CANCEL: s.CANCELLED, ENHANCE_YOUR_CALM: s.RESOURCE_EXHAUSTED,
               INADEQUATE_SECURITY: s.PERMISSION_DENIED}  # fmt: skip
"""Everything else is INTERNAL to grpc-core."""
_JAVA_CODES = {NO_ERROR: s.UNAVAILABLE, 5: s.INTERNAL}
_JAVA_NOTES = {
    ENHANCE_YOUR_CALM: " (Bandwidth exhausted)",
    INADEQUATE_SECURITY: " (Permission denied as protocol is not secure enough to call)",
}
_CONNECT_CODES = {REFUSED_STREAM: s.UNAVAILABLE, CANCEL: s.CANCELLED, ENHANCE_YOUR_CALM: s.RESOURCE_EXHAUSTED,
                  INADEQUATE_SECURITY: s.PERMISSION_DENIED}  # fmt: skip
_CONNECT_EARLY = {5: s.UNAVAILABLE, HTTP_1_1_REQUIRED: s.UNAVAILABLE}
"""Where no response headers had come."""
_GO_ENUM = "stream terminated by RST_STREAM with error code: {}"


def _tonic(code: int) -> int:
    """Return the status that tonic makes of an HTTP/2 error code."""
    return s.UNKNOWN if code in _TONIC_UNKNOWN else s.from_h2_error(code)


def _rst_elsewhere(code: int, *, headers: bool) -> list[ClientSees]:
    js_code, js_text = _JS_TEXT.get(code, (s.INTERNAL, JS_PLAIN.format(code)))
    mapped = s.from_h2_error(code)
    known = code <= HTTP_1_1_REQUIRED
    go_name = error_name(code) if known else f"unknown error code 0x{code:x}"
    connect_code = _CONNECT_CODES.get(code, s.INTERNAL if headers else _CONNECT_EARLY.get(code, s.INTERNAL))
    if code > HTTP_1_1_REQUIRED and not headers:
        connect_code = s.UNAVAILABLE
    connect = says(CONNECT, connect_code, f"stream error: stream ID …; {go_name}; received from peer")
    retried = not headers and code in (PROTOCOL_ERROR, REFUSED_STREAM)  # by net/http, until the deadline
    return [
        *([] if retried else [connect]),
        says(GO, _GO_CODES.get(code, mapped), _GO_ENUM.format(go_name)),
        says(CORE, _CORE_CODES.get(code, s.INTERNAL), f"RST_STREAM (Received RST_STREAM with error code {code})"),
        says(JAVA, _java_code(code), f"RST_STREAM closed stream. {_java_name(code)}"),
        says(JS, js_code, js_text),
        says(GRPCLIB, "StreamTerminatedError", f"Stream reset by remote party, error_code: {code}"),
    ]


def _java_code(code: int) -> int:
    return _JAVA_CODES.get(code, s.from_h2_error(code)) if code <= HTTP_1_1_REQUIRED else s.INTERNAL


def _java_name(code: int) -> str:
    if code > HTTP_1_1_REQUIRED:
        return f"Unrecognized HTTP/2 error code: {code}"
    return f"HTTP/2 error code: {error_name(code)}{_JAVA_NOTES.get(code, '')}"


def _java_goaway(code: int, debug: str) -> str:
    return _java_name(code) + (f", debug data: {debug}" if debug else "")


def rst_before_headers(code: int) -> list[ClientSees]:
    """RST_STREAM with `code` from the server before any response headers."""
    return [says(TONIC, _tonic(code), HEAD_ERROR), *_rst_elsewhere(code, headers=False)]


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
        return [*clean, *_rst_elsewhere(code, headers=True)]
    tonic = [says(TONIC, _tonic(code), BODY_ERROR)]
    if code == CANCEL:
        tonic.append(says(OLD_HYPER, s.UNKNOWN, TONIC_MISSING, checked=False))
    return [*tonic, *_rst_elsewhere(code, headers=True)]


def body_cut(
    how: str = "fin", *, headers: bool = True, in_frame: bool = False, in_message: bool = False,
    goaway: tuple[int, str] | None = None,
) -> list[ClientSees]:  # fmt: skip
    """FIN (`how` ``fin``) or RST (``rst``) of TCP with the stream open, after response `headers` or before them.

    `in_frame` says that a frame was cut in two, `in_message` that a message was, though no frame; `goaway` gives code
    and debug data of the server's GOAWAY before.
    """
    tonic = BODY_ERROR if headers else "transport error"
    core = "Socket closed" if how == "fin" else "recvmsg:Connection reset by peer (104)"
    go = "…connection reset by peer" if how == "rst" else "unexpected EOF" if in_frame else "EOF"
    java = "Network closed for unknown reason" if how == "fin" else "io exception"
    if goaway is not None:  # grpc-java alone tells of it, and keeps its code
        java = f"Connection closed after GOAWAY. {_java_goaway(*goaway)}"
    connect = [says(CONNECT, s.INTERNAL if headers else s.UNAVAILABLE, "unexpected EOF")]
    if goaway is not None:
        connect = [_connect_goaway(*goaway, headers=headers)]
    elif how == "rst":  # before the headers it says now this, now that
        connect = [says(CONNECT, s.CANCELLED, "read: connection reset by peer")] if headers else []
    elif in_message:
        connect = [says(CONNECT, s.UNKNOWN, "read enveloped message: unexpected EOF")]
    return [
        *connect,
        says(TONIC, s.UNKNOWN, tonic),
        says(GO, s.UNAVAILABLE, f"error reading from server: {go}"),
        says(CORE, s.UNAVAILABLE, core),
        says(JAVA, _java_code(goaway[0]) if goaway is not None else s.UNAVAILABLE, java),
        says(JS, s.UNAVAILABLE, "read ECONNRESET" if how == "rst" and headers else "Connection dropped"),
        says(GRPCLIB, "StreamTerminatedError", "Connection lost"),
    ]


def goaway_race(code: int = NO_ERROR, debug: str = "") -> list[ClientSees]:
    """The stream's id was above a GOAWAY's last_stream_id: never processed.

    grpc-go, grpc-core, grpc-java and grpc-js make such a call again by themselves, on a new connection: they say this
    only if that fails too.
    """
    return [
        says(TONIC, _tonic(code), HEAD_ERROR),
        says(GO, s.UNAVAILABLE, "the connection is draining"),
        says(CORE, s.UNAVAILABLE, f"GOAWAY received; Error code: {code}; Debug Text: {debug}"),
        says(JAVA, _java_code(code), f"Abrupt GOAWAY closed sent stream. {_java_goaway(code, debug)}"),
        says(JS, s.UNAVAILABLE, "Stream refused by server"),
        says(GRPCLIB, "StreamTerminatedError", "Connection lost"),
    ]


def goaway_error(code: int, debug: str = "", *, headers: bool | None = True) -> list[ClientSees]:
    """A GOAWAY with an error code while the stream was open and counted as processed, then the connection's end.

    `headers` says that response headers had come; None where that differs between the streams, or is not known.
    """
    shown = f", debug data: {go_quoted(debug.encode('utf-8', 'surrogateescape'))}" if debug else ""
    js, js_text = _JS_TEXT.get(code, (s.INTERNAL, JS_PLAIN.format(code)))
    if code == INTERNAL_ERROR:
        js_text = f"{JS_PLAIN.format(code)} triggered by internal client error: Session closed with error code {code}"
    tonic = [] if headers is None else [
        says(TONIC, s.UNKNOWN, BODY_ERROR if headers else "transport error"),
        _connect_goaway(code, debug, headers=headers),
    ]  # fmt: skip
    return [
        *tonic,
        says(
            GO,
            s.UNAVAILABLE,
            'closing transport due to: connection error: desc = "error reading from server: EOF", received prior '
            f"goaway: code: {error_name(code)}{shown}",
        ),
        says(CORE, s.UNAVAILABLE, f"Socket closed (GOAWAY received; Error code: {code}; Debug Text: {debug})"),
        says(JAVA, _java_code(code), f"Connection closed after GOAWAY. {_java_goaway(code, debug)}"),
        says(JS, js, js_text),
        says(GRPCLIB, "StreamTerminatedError", "Connection lost"),
    ]


def _connect_goaway(code: int, debug: str, *, headers: bool) -> ClientSees:
    quoted = go_quoted(debug.encode("utf-8", "surrogateescape"))
    words = f"http2: server sent GOAWAY and closed the connection; LastStreamID=…, ErrCode={error_name(code)}, "
    return says(CONNECT, s.INTERNAL if headers else s.UNAVAILABLE, f"{words}debug={quoted}")


def too_many_pings(*, headers: bool | None = False) -> list[ClientSees]:
    """GOAWAY ENHANCE_YOUR_CALM with the debug data ``too_many_pings``, then the connection's end."""
    return goaway_error(ENHANCE_YOUR_CALM, "too_many_pings", headers=headers)


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


def deadline(*, headers: bool | None = False) -> list[ClientSees]:
    """The call's own deadline passed, after response `headers` (tonic no longer watches it) or before them.

    None where it is not known which.
    """
    tonic = [says(TONIC, s.CANCELLED, "Timeout expired")]
    if headers:
        tonic = [says(TONIC, "none", "nothing: it waits on, for its deadline ends with the response headers")]
    return [
        *(tonic if headers is not None else ()),
        says(GO, s.DEADLINE_EXCEEDED, "context deadline exceeded"),
        says(CONNECT, s.DEADLINE_EXCEEDED, "context deadline exceeded"),
        says(CORE, s.DEADLINE_EXCEEDED, "Deadline Exceeded"),
        says(JAVA, s.DEADLINE_EXCEEDED, "CallOptions deadline exceeded after …s."),
        says(JS, s.DEADLINE_EXCEEDED, "Deadline exceeded after …s"),
        says(GRPCLIB, "TimeoutError", "Deadline exceeded"),
    ]


def peer_speaks_http1(http_status: int | None = None) -> list[ClientSees]:
    """The server answered the HTTP/2 preface in HTTP/1 (with `http_status`)."""
    told = f" (Trying to connect an http1.x server (HTTP status {http_status}))" if http_status is not None else ""
    return [
        says(TONIC, s.INTERNAL, HEAD_ERROR),
        says(
            GO,
            s.UNAVAILABLE,
            "error reading server preface: http2: failed reading the frame payload: http2: frame too large, note that "
            "the frame header looked like an HTTP/1.1 header",
        ),
        says(
            CORE,
            s.UNAVAILABLE,
            f"Failed parsing HTTP/2 (Expected SETTINGS frame as the first frame, got frame type 80){told}",
        ),
        says(
            JAVA,
            s.INTERNAL,
            "http2 exception…First received frame was not SETTINGS. Hex dump for first 5 bytes: 485454502f",
        ),
        says(JS, s.UNAVAILABLE, "No connection established. Last error: Protocol error"),
        says(
            CONNECT,
            s.UNAVAILABLE,
            "http2: failed reading the frame payload: http2: frame too large, note that the frame header looked like "
            "an HTTP/1.1 header",
        ),
        says(GRPCLIB, "StreamTerminatedError", "Connection lost"),
    ]


def http1_between_frames(*, limit: int, head: bool | None) -> list[ClientSees]:
    """The server's side wrote an HTTP/1 answer between two frames.

    `limit` is the client's SETTINGS_MAX_FRAME_SIZE, `head` says that the only open call had no response headers yet;
    None where more calls were open. gRPC core says one thing or another as its reads happen to begin.
    """
    looked = "frame too large, note that the frame header looked like an HTTP/1.1 header"
    broken = f"http2: failed reading the frame payload: http2: {looked}"
    rows = [
        says(GO, s.UNAVAILABLE, f"error reading from server: {broken}"),
        says(JAVA, s.INTERNAL, f"http2 exception…Frame length: 4740180 exceeds maximum: {limit}"),
    ]
    if head is not None:
        rows.insert(0, says(TONIC, s.INTERNAL, HEAD_ERROR if head else BODY_ERROR))
        rows.append(says(CONNECT, s.UNAVAILABLE if head else s.INTERNAL, broken))
    return rows


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


def closed_before_settings(how: str = "fin") -> list[ClientSees]:
    """The server accepted the connection and closed it (FIN or RST, as in `body_cut`) before any SETTINGS.

    What tonic says depends on what it was doing when it came: the one or the other.
    """
    return [
        says(TONIC, s.CANCELLED, "operation was canceled"),
        says(TONIC, s.UNKNOWN, "transport error"),
        says(
            GO,
            s.UNAVAILABLE,
            f"error reading server preface: {'EOF' if how == 'fin' else '…connection reset by peer'}",
        ),
        says(JAVA, s.UNAVAILABLE, "Network closed for unknown reason"),
        says(CONNECT, s.UNAVAILABLE, "unexpected EOF")
        if how == "fin"
        else says(CONNECT, s.CANCELLED, "read: connection reset by peer"),
        says(CORE, s.UNAVAILABLE, "Socket closed" if how == "fin" else "recvmsg:Connection reset by peer (104)"),
        says(JS, s.UNAVAILABLE, "No connection established"),
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
        says(CONNECT, s.INTERNAL, "connection error: PROTOCOL_ERROR"),
        says(GRPCLIB, "StreamTerminatedError", "Connection lost"),
        says(CORE, s.UNKNOWN, "Failed parsing HTTP/2 (Trailing metadata frame received without an end-o-stream)"),
        says(JAVA, s.INTERNAL, "http2 exception…received too many headers EOS: false"),
        says(JS, s.INTERNAL, JS_PLAIN.format(PROTOCOL_ERROR)),
    ]


def h2_violation(code: int = PROTOCOL_ERROR, *, headers: bool | None = False) -> list[ClientSees]:
    """A breach of HTTP/2 by the server that the client answers with `code`, after response `headers` or before them.

    None where it is not known which.
    """
    if headers is None:
        return []
    return [says(TONIC, _tonic(code), BODY_ERROR if headers else HEAD_ERROR)]


def legal_frames_rejected(stream: int, *, padded: bool, unknown: bool) -> list[ClientSees]:
    """Legal frames that a client cannot take: PADDED ones on `stream`, or ones of unknown types."""
    rows = [says(CORE, s.INTERNAL, f"unsupported data flags: 0x08 stream: {stream}")] if padded else []
    return [*rows, says(GRPCLIB, "StreamTerminatedError", "Connection lost")] if unknown else rows


def stalled(*, headers: bool = True) -> list[ClientSees]:
    """Nothing more comes and nothing ends: only a deadline ends the call."""
    return deadline(headers=headers)
