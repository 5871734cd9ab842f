"""What clients log about length-prefixed messages that they cannot take."""

from __future__ import annotations

from wirecase.grpc import status as s
from wirecase.model import ClientSees
from wirecase.rules.clients.status import full_status, is_grpc, tonic_flag
from wirecase.rules.clients.table import CONNECT, CORE, DEFAULT_LIMIT, DOTNET, GO, GRPCLIB, JAVA, JS, TONIC, says

# grpclib knows no compression and raises this plain Python exception from its reader, outside of its GRPCError, so there
# is no status to name (its output on such a reply: fixtures/grpc-decompression-bomb/README.md).
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
) -> list[ClientSees]:
    """A prefix byte that is not 0 or 1 in a response.

    `declared` is what the next four bytes say as a length (None if fewer came), `got` how many body bytes follow the
    prefix byte, `status` the grpc-status that ended the stream, if one did, `on_data` that a DATA frame ended it.
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
        rows.append(says(CONNECT, s.INVALID_ARGUMENT, _promised(declared, max(got - 4, 0))))
    elif whole:
        if not flag & 1:
            rows.append(says(CONNECT, s.INTERNAL, f"protocol error: invalid envelope flags {flag}"))
    else:
        rows.append(says(CONNECT, s.INVALID_ARGUMENT, _promised(declared, max(got - 4, 0))))
    if status == 0:
        rows.append(says(CORE, s.OK, "nothing: an empty message and success"))
    elif on_data:
        rows.append(says(CORE, s.UNKNOWN, "Stream removed (Data frame with END_STREAM flag received)"))
    if flag & 0xFE:
        rows.append(says(JAVA, s.INTERNAL, "gRPC frame header malformed: reserved bits not zero"))
    rows.append(says(DOTNET, s.INTERNAL, "Unexpected compressed flag value in message header."))
    rows.append(_GRPCLIB_COMPRESSED)
    return rows


def _go_flag(flag: int, declared: int, *, whole: bool) -> ClientSees:
    """grpc-go reads the length first, then the flag."""
    if declared > DEFAULT_LIMIT:
        text = f"grpc: received message larger than max ({declared} vs. {DEFAULT_LIMIT})"
        return says(GO, s.RESOURCE_EXHAUSTED, text)
    return says(GO, s.INTERNAL, f"grpc: received unexpected payload format {flag}" if whole else "unexpected EOF")


def _promised(declared: int, got: int) -> str:
    return f"protocol error: promised {declared} bytes in enveloped message, got {got} bytes"


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
        says(CONNECT, s.INTERNAL, f'unknown encoding "{encoding}": accepted encodings are [gzip]'),
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


def decompress_failed(encoding: str, text: str, *, http_status: int = 200, zlib_error: bool = True) -> list[ClientSees]:
    """Flag 1 and a payload that does not inflate; `text` is what a decompressor said about it."""
    core = "Decompression failed due to zlib error" if zlib_error else "Decompression failed due to data error"
    return [
        says(
            TONIC,
            s.INTERNAL,
            f"Error decompressing: {text}, while receiving response with status: {full_status(http_status)}",
        ),
        says(GO, s.INTERNAL, f"grpc: failed to read decompressed data: {text}"),
        says(CORE, s.INTERNAL, core),
        says(JS, s.INTERNAL, f"Failed to decompress {encoding}-encoded message"),
        _GRPCLIB_COMPRESSED,
    ]


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


def truncated(declared: int | None, got: int, status: int | None) -> list[ClientSees]:
    """A response that ends inside a prefix (`declared` None) or a message of `declared` bytes, `got` of them there.

    `status` is the grpc-status that ended the stream all the same, or None.
    """
    promised = "protocol error: incomplete envelope: unexpected EOF" if declared is None else _promised(declared, got)
    rows = [
        says(TONIC, s.INTERNAL, "Unexpected EOF decoding stream."),
        says(GO, s.INTERNAL, "unexpected EOF"),
        says(CONNECT, s.INVALID_ARGUMENT, promised),
        says(
            DOTNET,
            s.INTERNAL,
            f"Unexpected end of content while reading the message {'header' if declared is None else 'content'}.",
        ),
        says(GRPCLIB, "AssertionError", "Received less data than expected"),
    ]
    if status == 0:
        rows += [
            says(CORE, s.OK, "nothing: the unfinished message is dropped"),
            says(JAVA, s.INTERNAL, "Encountered end-of-stream mid-frame"),
            says(JS, s.OK, "nothing: the unfinished message is dropped"),
        ]
    return rows


def message_too_large(declared: int, limit: int | None) -> list[ClientSees]:
    """A message over the receiver's limit; `limit` is None where it is not known: then it may be the default."""
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
        says(CONNECT, s.RESOURCE_EXHAUSTED, f"message size {declared} is larger than configured max {shown}"),
    ]


def no_message() -> list[ClientSees]:
    """Status OK without a message on a unary call."""
    return [
        says(TONIC, s.INTERNAL, "Missing response message."),
        says(GO, s.INTERNAL, "cardinality violation: received no response message from non-server-streaming RPC"),
        says(JAVA, s.INTERNAL, "No value received for unary call"),
        says(JS, s.UNIMPLEMENTED, "No message received"),
    ]
