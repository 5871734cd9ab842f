"""What clients log about length-prefixed messages that they cannot take."""

from __future__ import annotations

from wirecase.grpc import status as s
from wirecase.model import ClientSees
from wirecase.rules.clients.status import full_status, is_grpc, tonic_flag
from wirecase.rules.clients.table import CONNECT, CORE, DEFAULT_LIMIT, DOTNET, GO, GRPCLIB, JAVA, JS, TONIC, says

# grpclib knows no compression and raises this plain Python exception from its reader, outside of its GRPCError, so
# there is no status to name (its output on such a reply: fixtures/grpc-decompression-bomb/README.md).
_GRPCLIB_COMPRESSED = says(GRPCLIB, "NotImplementedError", "Compression not implemented")


def bad_flag(
    flag: int,
    declared: int | None,
    got: int,
    *,
    http_status: int = 200,
    content_type: str | None = "application/grpc",
    status: int | None = None,
    on_data: bool = False,
    messages: int = 0,
) -> list[ClientSees]:
    """A prefix byte that is not 0 or 1 in a response.

    `declared` is what the next four bytes say as a length (None if fewer came), `got` how many body bytes follow the
    prefix byte, `status` the grpc-status that ended the stream, if one did, `on_data` that a DATA frame ended it,
    `messages` how many whole ones stand before it.
    """
    rows = [says(TONIC, s.INTERNAL, tonic_flag(flag, http_status))] if declared is not None else []
    if declared is None:
        rows.append(says(TONIC, s.INTERNAL, "Unexpected EOF decoding stream."))
    if not is_grpc(content_type) or declared is None:
        return rows
    whole = declared <= got - 4
    if http_status != 200:  # grpc-go alone goes by the content-type; the others report the status
        return [*rows, _go_flag(flag, declared, whole=whole)]
    rows.append(_go_flag(flag, declared, whole=whole))
    if declared > DEFAULT_LIMIT:
        rows.append(says(JS, s.RESOURCE_EXHAUSTED, f"Received message larger than max ({declared} vs {DEFAULT_LIMIT})"))
    if not whole:
        rows.append(says(CONNECT, s.INTERNAL, _promised(declared, max(got - 4, 0))))
    elif not flag & 1:
        rows.append(says(CONNECT, s.INTERNAL, f"protocol error: invalid envelope flags {flag}"))
    if status == 0 and not messages:
        if whole and declared <= DEFAULT_LIMIT:
            rows.append(says(JS, s.OK, "nothing: only a flag of 1 means a compressed message"))
        rows.append(says(CORE, s.OK, "nothing: an empty message and success"))
    elif on_data:
        rows.append(says(CORE, s.UNKNOWN, "Stream removed (Data frame with END_STREAM flag received)"))
    if flag & 0xFE:
        rows.append(says(JAVA, s.INTERNAL, "gRPC frame header malformed: reserved bits not zero"))
    rows.append(says(DOTNET, s.INTERNAL, "Unexpected compressed flag value in message header."))
    if messages != 1:  # a unary call of grpclib reads no further than one message
        rows.append(_GRPCLIB_COMPRESSED)
    return rows


def _go_flag(flag: int, declared: int, *, whole: bool) -> ClientSees:
    """grpc-go reads the length first, then the flag."""
    if declared > DEFAULT_LIMIT:
        text = f"grpc: received message larger than max ({declared} vs. {DEFAULT_LIMIT})"
        return says(GO, s.RESOURCE_EXHAUSTED, text)
    return says(GO, s.INTERNAL, f"grpc: received unexpected payload format {flag}" if whole else "unexpected EOF")


def _promised(declared: int, got: int) -> str:
    return f"protocol error: promised {declared} bytes in enveloped message, got {got} bytes: unexpected EOF"


def flag_without_encoding() -> list[ClientSees]:
    """Flag 1 with grpc-encoding absent or identity."""
    return [
        says(
            TONIC,
            s.INTERNAL,
            "protocol error: received message with compressed-flag but no grpc-encoding was specified",
        ),
        says(GO, s.INTERNAL, "grpc: compressed flag set with identity or empty encoding"),
        says(CORE, s.INTERNAL, "Compression bit set but no encoding configured"),
        says(JAVA, s.INTERNAL, "Can't decode compressed gRPC message as compression not configured"),
        says(JS, "undefined", "undefined undefined: undefined"),
        says(DOTNET, s.INTERNAL, "Request did not include grpc-encoding value with compressed message."),
        says(CONNECT, s.INTERNAL, "protocol error: sent compressed message without compression support"),
        _GRPCLIB_COMPRESSED,
    ]


_READS = {JAVA: ("gzip",), CONNECT: ("gzip",), CORE: ("gzip", "deflate"), JS: ("gzip", "deflate"),
          DOTNET: ("gzip", "deflate")}  # fmt: skip
"""Encodings that clients read without being told to."""


def encoding_unsupported(encoding: str, *, compressed: bool = True) -> list[ClientSees]:
    """A grpc-encoding that the receiver has no decoder for; tonic and connect-go refuse it even with flag 0.

    Only clients that lack that decoder unless they are given one are listed.
    """
    rows = [
        says(TONIC, s.UNIMPLEMENTED, f"Content is compressed with `{encoding}` which isn't supported"),
        says(CORE, s.INTERNAL, "Error parsing 'grpc-encoding' metadata"),
        says(JAVA, s.INTERNAL, f"Can't find decompressor for {encoding}"),
        says(CONNECT, s.INTERNAL, f'unknown encoding "{encoding}": accepted encodings are gzip'),
    ]
    if compressed:
        rows += [
            says(GO, s.INTERNAL, f'grpc: Decompressor is not installed for grpc-encoding "{encoding}"'),
            says(JS, "undefined", "undefined undefined: undefined"),
            says(
                DOTNET,
                s.UNIMPLEMENTED,
                f"Unsupported grpc-encoding value '{encoding}'. Supported encodings: identity, gzip, deflate",
            ),
            _GRPCLIB_COMPRESSED,
        ]
    readers = {client.name for client, encodings in _READS.items() if encoding.lower() in encodings}
    return [row for row in rows if row.client not in readers]


def decompress_failed(
    encoding: str, *, http_status: int = 200, zlib_error: bool = True, offered: bool = True, cut: bool | None = None
) -> list[ClientSees]:
    """Flag 1 and a payload that does not inflate.

    `offered` says that the client named the encoding in its grpc-accept-encoding: without a decompressor clients do not
    get as far, and tonic and grpc-go have none unless they are given one. The words of the decompressor itself are not
    known, but for two kinds of broken gzip: `cut` short, or (not `cut`) no gzip at all.
    """
    core = "Decompression failed due to zlib error" if zlib_error else "Decompression failed due to data error"
    connect = None
    if cut is not None:
        connect = "decompress: unexpected EOF" if cut else "get decompressor: gzip: invalid header"
    ending = f"while receiving response with status: {full_status(http_status)}"
    without = [] if offered else encoding_unsupported(encoding)
    rows = [
        says(TONIC, s.INTERNAL, f"Error decompressing: …, {ending}"),
        says(GO, s.INTERNAL, "grpc: failed to read decompressed data: …"),
        says(CORE, s.INTERNAL, core),
        *([says(JAVA, s.CANCELLED, "Failed to read message.")] if encoding.lower() in _READS[JAVA] else []),
        *([says(CONNECT, s.INVALID_ARGUMENT, connect)] if connect and encoding.lower() in _READS[CONNECT] else []),
        says(JS, s.INTERNAL, f"Failed to decompress {encoding}-encoded message"),
        _GRPCLIB_COMPRESSED,
    ]
    lacking = {row.client for row in without}
    return [*without, *(row for row in rows if row.client not in lacking)]


def bomb() -> list[ClientSees]:
    """A message that inflates past every limit."""
    limit = DEFAULT_LIMIT
    return [
        says(
            TONIC,
            s.RESOURCE_EXHAUSTED,
            f"Error decompressing: size limit, of {limit} bytes, exceeded while decompressing message",
        ),
        says(GO, s.RESOURCE_EXHAUSTED, f"grpc: received message after decompression larger than max {limit}"),
        says(CORE, s.RESOURCE_EXHAUSTED, "Decompressed message larger than max"),
        says(JAVA, s.RESOURCE_EXHAUSTED, f"Decompressed gRPC message exceeds maximum size {limit}"),
        says(JS, s.RESOURCE_EXHAUSTED, f"Received message that decompresses to a size larger than {limit}"),
        _GRPCLIB_COMPRESSED,
    ]


def truncated(declared: int | None, got: int, status: int | None, *, messages: int = 0) -> list[ClientSees]:
    """A response that ends inside a prefix (`declared` None) or a message of `declared` bytes, `got` of them there.

    `status` is the grpc-status that ended the stream all the same, or None where a DATA frame ended it; `messages` is
    the number of whole messages before. Without one, what tonic and grpc-js say of status OK depends on the method's
    kind, which is not on the wire.
    """
    rows = [
        says(GO, s.INTERNAL, "unexpected EOF"),
        *broken_off(declared, got),
        says(
            DOTNET,
            s.INTERNAL,
            f"Unexpected end of content while reading the message {'header' if declared is None else 'content'}.",
        ),
    ]
    dropped = "nothing: the unfinished message is dropped"
    if status is None:
        return [
            says(TONIC, s.INTERNAL, "Unexpected EOF decoding stream."),
            *rows,
            says(CORE, s.UNKNOWN, "Stream removed (Data frame with END_STREAM flag received)"),
            says(JAVA, s.INTERNAL, "Received unexpected EOS on non-empty DATA frame from server"),
            says(JS, s.INTERNAL, "Received RST_STREAM with code 0 (Call ended without gRPC status)"),
        ]
    if status == 0:
        rows += [says(CORE, s.OK, dropped), says(JAVA, s.INTERNAL, "Encountered end-of-stream mid-frame")]
        if messages:
            rows += [says(TONIC, s.OK, dropped), says(JS, s.OK, dropped)]
    return rows


def broken_off(declared: int | None, got: int) -> list[ClientSees]:
    """The same in the words of the clients that have no limit of size, and so wait for the end of any message."""
    promised = "protocol error: incomplete envelope: unexpected EOF" if declared is None else _promised(declared, got)
    return [
        says(CONNECT, s.INTERNAL, promised),
        says(GRPCLIB, "AssertionError", "Received less data than expected"),
    ]


def message_too_large(declared: int, limit: int | None) -> list[ClientSees]:
    """A message over the receiver's limit; `limit` is None where it is not known: then it may be the default.

    connect-go and grpclib have none.
    """
    unknown = DEFAULT_LIMIT if declared > DEFAULT_LIMIT else "…"
    shown = unknown if limit is None else limit
    return [
        says(
            TONIC,
            s.OUT_OF_RANGE,
            f"Error, decoded message length too large: found {declared} bytes, the limit is: {shown} bytes",
        ),
        says(GO, s.RESOURCE_EXHAUSTED, f"grpc: received message larger than max ({declared} vs. {shown})"),
        says(CORE, s.RESOURCE_EXHAUSTED, f"CLIENT: Received message larger than max ({declared} vs. {shown})"),
        says(JAVA, s.RESOURCE_EXHAUSTED, f"gRPC message exceeds maximum size {shown}: {declared}"),
        says(JS, s.RESOURCE_EXHAUSTED, f"Received message larger than max ({declared} vs {shown})"),
        says(DOTNET, s.RESOURCE_EXHAUSTED, "Received message exceeds the maximum configured message size."),
    ]


def no_message() -> list[ClientSees]:
    """Status OK without a message on a unary call."""
    return [
        says(TONIC, s.INTERNAL, "Missing response message."),
        says(GO, s.INTERNAL, "cardinality violation: received no response message from non-server-streaming RPC"),
        says(CONNECT, s.UNIMPLEMENTED, "unary response has zero messages"),
        says(JAVA, s.INTERNAL, "No value received for unary call"),
        says(JS, s.UNIMPLEMENTED, "No message received"),
    ]
