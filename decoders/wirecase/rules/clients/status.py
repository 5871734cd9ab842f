"""What clients log about HTTP errors, foreign content-types, and a grpc-status that is missing or malformed."""

from __future__ import annotations

import re
from http import HTTPStatus

from wirecase.grpc import status as s
from wirecase.model import ClientSees
from wirecase.rules.clients.quoting import go_quoted
from wirecase.rules.clients.table import (
    CONNECT,
    CORE,
    DOTNET,
    GO,
    GRPCLIB,
    JAVA,
    JS,
    OLD_TONIC,
    TONIC,
    Client,
    says,
)

TONIC_MISSING = (
    "protocol error: missing grpc-status trailer, stream was terminated without a final status "
    "(possible truncation by a proxy or load balancer)"
)


_REASONS = {413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}
"""RFC 9110 §15.5; Python's own table has older names, which ones depends on its version."""
_RUST_REASONS = {413: "Payload Too Large", 418: "I'm a teapot", 422: "Unprocessable Entity"}
_GO_REASONS = {
    413: "Request Entity Too Large", 414: "Request URI Too Long", 416: "Requested Range Not Satisfiable",
    418: "I'm a teapot", 422: "Unprocessable Entity",
}  # fmt: skip


_FOLLOWED = (301, 302, 303, 307, 308)
"""Redirects, which Go's net/http under connect-go follows."""


def reason(http_status: int) -> str:
    """Return the reason phrase of a status (``Bad Gateway``), empty if it has none."""
    if http_status in _REASONS:
        return _REASONS[http_status]
    try:
        return HTTPStatus(http_status).phrase
    except ValueError:
        return ""


def _go_reason(http_status: int) -> str:
    return _GO_REASONS.get(http_status) or reason(http_status)


def full_status(http_status: int) -> str:
    """Return the status as tonic prints it: ``502 Bad Gateway``."""
    phrase = _RUST_REASONS.get(http_status) or reason(http_status)
    return f"{http_status} {phrase or '<unknown status code>'}"


def tonic_flag(flag: int, http_status: int) -> str:
    """Return tonic's words about the prefix byte `flag` of a response."""
    return (
        f"protocol error: received message with invalid compression flag: {flag} (valid flags are 0 and 1) "
        f"while receiving response with status: {full_status(http_status)}"
    )


def is_grpc(content_type: str | None) -> bool:
    """Tell whether a client takes the content-type for gRPC (``application/grpc``, with ``+…`` or ``;…`` behind it)."""
    value = (content_type or "").lower()
    return value.startswith("application/grpc") and (value[16:17] in ("", "+", ";"))


def _tonic_http(http_status: int, body: bytes, length: int) -> list[ClientSees]:
    if http_status == 200 and not length:
        return missing_status_tonic()
    if not length:
        text = f"grpc-status header missing, mapped from HTTP status code {http_status}"
        return [says(TONIC, s.from_http(http_status), text)]
    if length < 5:
        return [says(TONIC, s.INTERNAL, "Unexpected EOF decoding stream.")]
    if body and body[0] > 1:
        return [says(TONIC, s.INTERNAL, tonic_flag(body[0], http_status))]
    return []


def missing_status_tonic() -> list[ClientSees]:
    """tonic's two answers to a 200 stream that ends without a status."""
    return [
        says(TONIC, s.UNKNOWN, TONIC_MISSING),
        says(OLD_TONIC, s.OK, "nothing: the stream ends as if it were complete"),
    ]


def _go_http(http_status: int, content_type: str | None, body: bytes, length: int) -> str:
    kind = f'transport: received unexpected content-type "{content_type}"'
    if content_type is None:
        kind = "malformed header: missing HTTP content-type"
    text = f"unexpected HTTP status code received from server: {http_status} ({_go_reason(http_status)}); {kind}"
    if length:
        shown = go_quoted(body[:60])
        text += f"\ndata: {shown if length == len(body[:60]) else shown[:-1] + '…'}"
    return text


def http_error(http_status: int, content_type: str | None, body: bytes = b"", length: int = 0) -> list[ClientSees]:
    """An HTTP status other than 200; `body` is the beginning of its `length` bytes."""
    mapped = s.from_http(http_status)
    rows = _tonic_http(http_status, body, length)
    if not is_grpc(content_type):
        rows.append(says(GO, mapped, _go_http(http_status, content_type, body, length)))
    kind = f"\ninvalid content-type: {content_type}" if content_type else "\nmissing content-type in response headers"
    if is_grpc(content_type):
        kind = "\nmissing GRPC status, inferred error from HTTP status code"
    java = s.INTERNAL if http_status == 431 else mapped
    if http_status not in _FOLLOWED:
        rows.append(says(CONNECT, mapped, f"HTTP status {http_status} {_go_reason(http_status)}".rstrip()))
    return [
        *rows,
        says(CORE, mapped, f"Received http2 header with status: {http_status}"),
        says(JAVA, java, f"HTTP status code {http_status}{kind}"),
        says(JS, mapped, f"Received HTTP status code {http_status}"),
        says(DOTNET, mapped, f"Bad gRPC response. HTTP status code: {http_status}"),
        says(GRPCLIB, mapped, f"Received :status = '{http_status}'"),
    ]


def wrong_content_type(
    content_type: str | None, body: bytes = b"", length: int = 0, *, status: bool = False
) -> list[ClientSees]:
    """A 200 that is not gRPC by its content-type; `status` says that it has a grpc-status all the same.

    Then tonic, grpc-core and grpc-js, which do not look at the content-type, take it as it is.
    """
    go = says(GO, s.UNKNOWN, _go_http(200, content_type, body, length))
    rows = [go] if status else [*_tonic_http(200, body, length), go]
    if content_type is None:
        return [
            *rows,
            says(JAVA, s.UNKNOWN, "HTTP status code 200\nmissing content-type in response headers"),
            says(DOTNET, s.CANCELLED, "Bad gRPC response. Response did not have a content-type header."),
            says(CONNECT, s.UNKNOWN, 'invalid content-type: ""; expecting "application/grpc"'),
            says(GRPCLIB, s.UNKNOWN, "Missing content-type header"),
        ]
    declared = int.from_bytes(body[1:5], "big") if len(body) >= 5 else 0
    if declared > 4 * 1024 * 1024 and not status:
        rows.append(says(JS, s.RESOURCE_EXHAUSTED, f"Received message larger than max ({declared} vs 4194304)"))
    return [
        *rows,
        *([] if status else [says(CORE, s.UNKNOWN, "Stream removed (Data frame with END_STREAM flag received)")]),
        says(JAVA, s.UNKNOWN, f"HTTP status code 200\ninvalid content-type: {content_type}"),
        says(DOTNET, s.CANCELLED, f"Bad gRPC response. Invalid content-type value: {content_type}"),
        says(CONNECT, s.UNKNOWN, f'invalid content-type: "{content_type}"; expecting "application/grpc"'),
        says(GRPCLIB, s.UNKNOWN, f"Invalid content-type: {content_type!r}"),
    ]


def missing_http_status(content_type: str | None = "application/grpc") -> list[ClientSees]:
    """Response headers without ``:status``: grpc-go asks for it only where the content-type is not gRPC's."""
    go = [] if is_grpc(content_type) else [says(GO, s.INTERNAL, "malformed header: missing HTTP status")]
    return [
        says(TONIC, s.INTERNAL, "h2 protocol error: http2 error"),
        *go,
        says(JAVA, s.INTERNAL, "Missing HTTP status code"),
        says(JS, s.INTERNAL, "Received RST_STREAM with code 1"),
    ]


def missing_status(how: str, *, last_data_empty: bool = False) -> list[ClientSees]:
    """A 200 gRPC response that ended without a grpc-status.

    `how`: ``data`` (END_STREAM on DATA, whose payload was empty or not), ``trailers`` (trailers without the field) or
    ``trailers-only`` (the only headers are without it).
    """
    if how != "data":
        only = how == "trailers-only"
        java = "HTTP status code 200\nmissing GRPC status, inferred error from HTTP status code"
        grpclib = says(GRPCLIB, s.UNKNOWN, "Missing grpc-status header")
        return [
            *missing_status_tonic(),
            says(GO, s.UNKNOWN, ""),
            says(CORE, s.UNKNOWN, "No status received"),
            says(JAVA, s.UNKNOWN, java if only else "missing GRPC status in response"),
            says(JS, s.UNKNOWN, "Received HTTP status code 200"),
            says(DOTNET, s.CANCELLED, "No grpc-status found on response."),
            says(CONNECT, s.UNKNOWN, "protocol error: no Grpc-Status trailer: unexpected EOF"),
            says(GRPCLIB, "TimeoutError", "Deadline exceeded") if only else grpclib,
        ]
    java = f"Received unexpected EOS on {'' if last_data_empty else 'non-'}empty DATA frame from server"
    return [
        *missing_status_tonic(),
        says(GO, s.INTERNAL, "server closed the stream without sending trailers"),
        says(CORE, s.UNKNOWN, "Stream removed (Data frame with END_STREAM flag received)"),
        says(JAVA, s.INTERNAL, java),
        says(JS, s.INTERNAL, "Received RST_STREAM with code 0 (Call ended without gRPC status)"),
        says(DOTNET, s.CANCELLED, "No grpc-status found on response."),
        says(CONNECT, s.INTERNAL, "protocol error: no Grpc-Status trailer: unexpected EOF"),
        says(GRPCLIB, "TimeoutError", "Deadline exceeded"),
    ]


def status_twice(first: str, last: str) -> list[ClientSees]:
    """Two statuses in one block: the first one and the last one."""

    def taken(client: Client, status: str) -> ClientSees:
        code = int(status)
        return says(client, code, "") if code else says(client, s.OK, f"nothing: it takes {status} for the status")

    return [
        *(taken(client, first) for client in (TONIC, CONNECT)),
        *(taken(client, last) for client in (GO, CORE, JAVA, GRPCLIB)),
        says(JS, "NaN", "NaN undefined:"),
    ]


_INT32 = re.compile(r"[+-]?[0-9]{1,10}")


def malformed_status(value: str, message: str = "") -> list[ClientSees]:
    """A grpc-status that is not a known code; `message` is the grpc-message beside it."""
    grpclib = says(GRPCLIB, s.UNKNOWN, f"Invalid grpc-status: '{value}'")
    both = [says(TONIC, s.UNKNOWN, message), says(JAVA, s.UNKNOWN, message)]
    number = int(value) if _INT32.fullmatch(value) else None
    if number is not None and -(2**31) <= number < 2**31:
        core = says(CORE, s.UNKNOWN, message) if number >= 0 else _CORE_MALFORMED
        return [
            *both,
            says(GO, f"Code({number & 0xFFFFFFFF})", message),
            core,
            says(JS, str(number), message),
            says(CONNECT, f"Code({number})", message)
            if number >= 0
            else says(CONNECT, s.UNKNOWN, f'protocol error: invalid error code "{value}"'),
            grpclib,
        ]
    js = says(JS, s.OK, "nothing: the empty value is read as 0") if not value else says(JS, "NaN", "NaN undefined:")
    return [
        *both,
        says(GO, s.UNKNOWN, f'transport: malformed grpc-status: strconv.ParseInt: parsing "{value}": invalid syntax'),
        _CORE_MALFORMED,
        js,
        says(CONNECT, s.UNKNOWN, f'protocol error: invalid error code "{value}"')
        if value
        else says(CONNECT, s.UNKNOWN, "protocol error: no Grpc-Status trailer: unexpected EOF"),
        grpclib,
    ]


_CORE_MALFORMED = says(CORE, s.INTERNAL, "Stream removed (Error parsing 'grpc-status' metadata)")


def status_in_open_headers(status: int | None, message: str = "", *, on_data: bool = False) -> list[ClientSees]:
    """grpc-status in response headers that leave the stream open: tonic and grpclib act on it.

    `message` is the grpc-message beside it; `on_data` says that the stream then ended on DATA, without trailers, so
    that the others miss the status.
    """
    hasty = (TONIC, GRPCLIB)
    rows = [row for row in missing_status("data") if row.client not in (TONIC.name, GRPCLIB.name)] if on_data else []
    if status:
        return [*(says(client, status, message) for client in hasty), *rows]
    lost = "nothing, but it stops reading: messages behind the headers are lost"
    return [*(says(client, s.OK, lost) for client in hasty), *rows]


_PLAIN = re.compile(r"[ -~\n]*")


def answered(status: int, message: str, http_status: int = 200) -> list[ClientSees]:
    """A status that the other side chose, with its grpc-message: the words of every client are the message.

    Of octets outside of printable ASCII each makes something else, and connect-go wants each % to be encoded. Beside
    an HTTP error connect-go and grpclib look at that alone.
    """
    if not _PLAIN.fullmatch(message):
        return []
    rows = [says(client, status, message) for client in (TONIC, GO, CORE, JAVA, JS, DOTNET)]
    if http_status != 200:
        return rows + [row for row in http_error(http_status, None) if row.client in (CONNECT.name, GRPCLIB.name)]
    if "%" not in message:
        rows.append(says(CONNECT, status, message))
    return [*rows, says(GRPCLIB, status, message)]


def malformed_bin(name: str) -> list[ClientSees]:
    """A ``*-bin`` value that is not base64."""
    rows = [
        says(GO, s.INTERNAL, f"transport: malformed {name}: illegal base64 data"),
        says(CORE, s.INTERNAL, f"Error parsing '{name}' metadata: illegal base64 encoding"),
        says(JAVA, s.INTERNAL, f"http2 exception…Validation failed for header '{name}'"),
    ]
    if name == "grpc-status-details-bin":
        panic = "Invalid status header, expected base64 encoded value"
        connect = "server returned invalid grpc-status-details-bin trailer"
        rows = [says(TONIC, "panic", panic), *rows, says(CONNECT, s.INTERNAL, connect)]
    return rows


def malformed_timeout(value: str) -> list[ClientSees]:
    """What a client gets back from the servers that refuse its grpc-timeout."""
    go = f'malformed grpc-timeout: transport: timeout unit is not recognized: "{value}"'
    if len(value) < 2:
        go = f'malformed grpc-timeout: transport: timeout string is too short: "{value}"'
    elif len(value) > 9:
        go = f'malformed grpc-timeout: transport: timeout string is too long: "{value}"'
    return [
        says(GO, s.INTERNAL, go, checked=value[-1:] not in "HMSmun"),
        says(CORE, s.INTERNAL, "Error parsing 'grpc-timeout' metadata"),
    ]
