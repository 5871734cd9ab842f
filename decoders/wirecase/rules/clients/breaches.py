"""What clients log about a server's breach of HTTP/2: each has a library of its own that notices, or does not.

A breach that a client is left out of is one that it lets pass, or over which it falls silent until its deadline
(Node.js does the latter with many), or one that it was never seen to meet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wirecase.grpc import status as s
from wirecase.http2.facts import error_name
from wirecase.model import ClientSees
from wirecase.rules.clients.quoting import go_quoted
from wirecase.rules.clients.status import TONIC_MISSING
from wirecase.rules.clients.streams import (
    BODY_ERROR,
    FLOW_CONTROL_ERROR,
    HEAD_ERROR,
    INTERNAL_ERROR,
    JS_PLAIN,
    PROTOCOL_ERROR,
)
from wirecase.rules.clients.table import CONNECT, CORE, GO, GRPCLIB, JAVA, JS, TONIC, TONIC_14_6, says

COMPRESSION_ERROR, FRAME_SIZE_ERROR = 9, 6
INITIAL_WINDOW_SIZE = 4
SETTING_NAMES = {2: "ENABLE_PUSH", INITIAL_WINDOW_SIZE: "INITIAL_WINDOW_SIZE", 5: "MAX_FRAME_SIZE"}
HTTP2_EXCEPTION = "http2 exception"
NO_CONNECTION = "No connection established. Last error: "
_CODES = {"fixed-size": FRAME_SIZE_ERROR, "hpack": COMPRESSION_ERROR, "window-overflow": FLOW_CONTROL_ERROR}
"""What a peer answers, by kind of violation; PROTOCOL_ERROR where it is not listed."""
_WORDS = {FLOW_CONTROL_ERROR: "Flow control error"}

_GO = ("fixed-size", "padding", "stream-id", "continuation-orphan", "continuation-interleaved", "hpack")
_JAVA = (
    "fixed-size", "frame-size", "padding", "stream-id", "push", "continuation-orphan", "continuation-interleaved",
    "zero-increment", "window-overflow", "hpack", "content-length",
)  # fmt: skip
_TONIC = (*_JAVA, "idle-stream")
_CONNECT = (*_GO, "push")
_GRPCLIB = (*_GO, "frame-size", "push", "zero-increment", "idle-stream")
_RESETS = ("uppercase", "connection-specific", "pseudo-order", "pseudo-unknown", "pseudo-duplicate")
"""Malformed headers over which nghttp2 under Node.js, h2 under tonic and Netty reset the stream."""


def breach(kind: str, facts: Mapping[str, Any], *, opening: bool, head: bool | None) -> list[ClientSees]:
    """A violation of this `kind` by the server (`wirecase.http2.facts.Violation`).

    `opening` says that it stands in the first bytes of the connection, `head` that it comes before the end of the only
    open call's response headers; None where that is not known, or more calls were open.
    """
    if opening:
        return _at_opening(kind, facts)
    if kind == "goaway-disowns":
        return [] if facts.get("error_code") else _disowned()
    if kind == "malformed-headers":
        return _malformed(str(facts.get("problem")), facts.get("name"), head=head is not False)
    code = _CODES.get(kind, PROTOCOL_ERROR)
    own = facts.get("scope") == "stream"
    new_stream = kind == "idle-stream" and facts.get("frame") == "HEADERS"
    rows = _by_core(kind, facts)
    if kind in _GO or (kind == "zero-increment" and not own):
        rows.append(says(GO, s.UNAVAILABLE, f"error reading from server: connection error: {error_name(code)}"))
    elif kind == "zero-increment":
        rows.append(says(GO, s.INTERNAL, "received invalid frame"))
    elif kind == "frame-size":
        rows.append(says(GO, s.UNAVAILABLE, "error reading from server: http2: frame too large"))
    if kind in _JAVA or (kind == "idle-stream" and not new_stream):
        rows.append(says(JAVA, s.INTERNAL, HTTP2_EXCEPTION))
    if kind in ("zero-increment", "window-overflow") or new_stream:
        words = _WORDS.get(code, "Protocol error")
        text = f"{JS_PLAIN.format(INTERNAL_ERROR)} triggered by internal client error: {words}"
        rows.append(says(JS, s.INTERNAL, text))
    elif kind == "content-length":
        rows.append(says(JS, s.INTERNAL, JS_PLAIN.format(PROTOCOL_ERROR)))
    if kind in _GRPCLIB or (kind == "window-overflow" and not own):
        rows.append(says(GRPCLIB, "StreamTerminatedError", "Connection lost"))
    if head is None:
        if kind in _TONIC and not (kind == "window-overflow" and own):
            rows.append(says(TONIC, s.INTERNAL, "h2 protocol error: …"))
        return rows
    if kind in _TONIC and not (kind == "window-overflow" and own):
        rows.append(says(TONIC, s.INTERNAL, HEAD_ERROR if head else BODY_ERROR))
    return [*rows, *_by_connect(kind, code, s.UNAVAILABLE if head else s.INTERNAL, own=own, new_stream=new_stream)]


def _disowned() -> list[ClientSees]:
    """GOAWAY NO_ERROR with a last stream below one that is being answered."""
    return [
        says(TONIC, s.UNKNOWN, TONIC_MISSING),
        says(GO, s.UNAVAILABLE, "the connection is draining"),
        says(CORE, s.UNAVAILABLE, "Stream removed (GOAWAY received; Error code: 0; Debug Text: …)"),
        says(JAVA, s.UNAVAILABLE, "Abrupt GOAWAY closed sent stream. HTTP/2 error code: NO_ERROR"),
        says(JS, s.UNAVAILABLE, "Stream refused by server"),
        says(CONNECT, s.INTERNAL, "http2: Transport received Server's graceful shutdown GOAWAY"),
        says(GRPCLIB, "StreamTerminatedError", "Connection lost"),
    ]


def _by_core(kind: str, facts: Mapping[str, Any]) -> list[ClientSees]:
    if kind == "padding":
        return [says(CORE, s.INTERNAL, "unsupported data flags: 0x08 stream: …")]
    if kind == "hpack":
        return [says(CORE, s.INTERNAL, "Stream removed (…)")]
    words = {
        "fixed-size": "invalid …: length=…",
        "frame-size": f"Frame size {facts.get('declared')} is larger than max frame size {facts.get('limit')}",
        "continuation-orphan": "Unexpected CONTINUATION frame",
        "continuation-interleaved": "Expected CONTINUATION frame, got frame type …",
        "zero-increment": "invalid window update bytes: 0",
    }.get(kind)
    return [says(CORE, s.UNKNOWN, f"Failed parsing HTTP/2 ({words})")] if words else []


def _by_connect(kind: str, code: int, status: int, *, own: bool, new_stream: bool) -> list[ClientSees]:
    if kind == "frame-size":
        return [says(CONNECT, status, "http2: frame too large")]
    if kind == "zero-increment" and own:
        return [says(CONNECT, status, "stream error: stream ID …; PROTOCOL_ERROR")]
    connection = kind in _CONNECT or (kind in ("zero-increment", "window-overflow") and not own)
    if connection or (kind == "idle-stream" and not new_stream):
        return [says(CONNECT, status, f"connection error: {error_name(code)}")]
    return []


def _malformed(problem: str, name: object, *, head: bool) -> list[ClientSees]:
    """Header fields that HTTP/2 forbids, in the response headers or (not `head`) in trailers."""
    if problem == "pseudo-missing":
        return _without_status() if head else []
    raw = name if isinstance(name, bytes) else str(name or "").encode()
    quoted, rows = go_quoted(raw), []
    go = {
        "uppercase": f"invalid header field name {quoted}",
        "bad-name": f"invalid header field name {quoted}",
        "pseudo-order": "pseudo header field after regular",
        "pseudo-unknown": f"invalid pseudo-header {quoted}",
        "pseudo-duplicate": f"duplicate pseudo-header {quoted}",
        "control-characters": f"invalid header field value for {quoted}",
    }.get(problem)
    if go is not None:
        rows.append(says(GO, s.INTERNAL, go))
    if problem in ("uppercase", "bad-name", "pseudo-unknown"):
        empty = "Metadata keys cannot be zero length"
        rows.append(says(CORE, s.INTERNAL, f"Illegal header key: {raw.decode('latin-1')}" if raw else empty))
    if problem in _RESETS:
        if problem != "pseudo-duplicate":
            rows.append(says(JAVA, s.INTERNAL, HTTP2_EXCEPTION))
        rows.append(says(JS, s.INTERNAL, JS_PLAIN.format(PROTOCOL_ERROR)))
    if head:
        if problem in (*_RESETS, "bad-name", "control-characters"):
            rows.append(says(TONIC, s.INTERNAL, HEAD_ERROR))
        if go is not None:
            rows.append(says(CONNECT, s.UNAVAILABLE, f"stream error: stream ID …; PROTOCOL_ERROR; {go}"))
    return rows


def _without_status() -> list[ClientSees]:
    """grpc-go lets response headers without ``:status`` pass if the content-type is gRPC's."""
    return [
        says(TONIC, s.INTERNAL, HEAD_ERROR),
        says(JAVA, s.INTERNAL, "Missing HTTP status code"),
        says(JS, s.INTERNAL, JS_PLAIN.format(PROTOCOL_ERROR)),
        says(CONNECT, s.UNAVAILABLE, "malformed response from server: missing status pseudo header"),
    ]


def _at_opening(kind: str, facts: Mapping[str, Any]) -> list[ClientSees]:
    """The server's first SETTINGS frame is what is wrong; tonic then says now this, now that."""
    setting = facts.get("setting")
    code = FLOW_CONTROL_ERROR if setting == INITIAL_WINDOW_SIZE else _CODES.get(kind, PROTOCOL_ERROR)
    if kind not in ("settings-value", "fixed-size", "stream-id"):
        return []
    what = f"invalid value {facts.get('value')} passed for {SETTING_NAMES.get(setting or 0, '…')}"
    rows = [
        says(CORE, s.UNAVAILABLE, f"Failed parsing HTTP/2 ({what if kind == 'settings-value' else '…'})"),
        says(JAVA, s.INTERNAL, HTTP2_EXCEPTION),
        says(CONNECT, s.UNAVAILABLE, f"connection error: {error_name(code)}"),
        says(GRPCLIB, "StreamTerminatedError", "Connection lost"),
    ]
    if kind != "settings-value" or setting == INITIAL_WINDOW_SIZE:
        rows.append(says(GO, s.UNAVAILABLE, f"error reading server preface: connection error: {error_name(code)}"))
    if kind != "fixed-size":
        rows.append(says(JS, s.UNAVAILABLE, f"{NO_CONNECTION}{_WORDS.get(code, 'Protocol error')}"))
    return rows


def interim_end(http_status: int) -> list[ClientSees]:
    """An informational response (1xx) that ends the stream."""
    flag = f"informational header with status code {http_status} must not have END_STREAM set"
    return [
        says(TONIC, s.INTERNAL, HEAD_ERROR),
        says(GO, s.INTERNAL, f"protocol error: {flag}"),
        says(CORE, s.UNKNOWN, f"Received http2 header with status: {http_status}"),
        says(JAVA, s.INTERNAL, f"HTTP status code {http_status}"),
        says(JS, s.INTERNAL, JS_PLAIN.format(PROTOCOL_ERROR)),
        says(CONNECT, s.UNAVAILABLE, "1xx informational response with END_STREAM flag"),
        says(GRPCLIB, "StreamTerminatedError", "Connection lost"),
    ]


def no_frames(first: bytes) -> list[ClientSees]:
    """The server's first bytes are no HTTP/2 at all; read as a frame header they are what clients complain of."""
    if len(first) < 5:
        return []
    rows = [
        says(TONIC, s.INTERNAL, HEAD_ERROR),
        says(TONIC_14_6, s.UNKNOWN, HEAD_ERROR),
        *_not_settings(first),
        says(JS, s.UNAVAILABLE, f"{NO_CONNECTION}Protocol error"),
    ]
    if int.from_bytes(first[:3], "big") > 1 << 20:
        large = "http2: frame too large"
        rows += [says(GO, s.UNAVAILABLE, f"error reading server preface: {large}"), says(CONNECT, s.UNAVAILABLE, large)]
    return rows


def first_frame_not_settings(frame: str, first: bytes = b"") -> list[ClientSees]:
    """The server's first frame was something else than SETTINGS: a `frame` (``PING``) whose first octets are these."""
    kind = "".join(part.capitalize() for part in frame.split("_"))
    return [
        says(GO, s.UNAVAILABLE, f"initial http2 frame from server is not a settings frame: *http2.{kind}Frame"),
        *(_not_settings(first) if len(first) >= 5 else ()),
        says(JS, s.UNAVAILABLE, f"{NO_CONNECTION}Protocol error"),
        says(CONNECT, s.UNAVAILABLE, "connection error: PROTOCOL_ERROR"),
    ]


def _not_settings(first: bytes) -> list[ClientSees]:
    octets = first[:5].hex()
    return [
        says(
            CORE,
            s.UNAVAILABLE,
            f"Failed parsing HTTP/2 (Expected SETTINGS frame as the first frame, got frame type {first[3]}",
        ),
        says(
            JAVA,
            s.INTERNAL,
            f"{HTTP2_EXCEPTION}…First received frame was not SETTINGS. Hex dump for first 5 bytes: {octets}",
        ),
    ]
