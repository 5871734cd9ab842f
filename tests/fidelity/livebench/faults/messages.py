"""Bodies that are not what gRPC wants (its PROTOCOL-HTTP2, Length-Prefixed-Message)."""

from __future__ import annotations

import gzip
import struct

from peer import DONE, OPEN, Headers, message, text_message

from livebench.server import Answer, Fault, Line


def body(*parts: bytes, extra: Headers = (), trailers: Headers = DONE) -> Answer:
    """These bytes as DATA frames between good headers and good trailers."""

    def answer(p: Line, stream: int, number: int) -> None:
        p.send(p.headers(stream, [*OPEN, *extra]), *(p.data(stream, part) for part in parts))
        p.pause()
        p.send(p.headers(stream, trailers, end=True))

    return answer


def ending(*parts: bytes, extra: Headers = ()) -> Answer:
    """The same, but the last DATA frame ends the stream."""

    def answer(p: Line, stream: int, number: int) -> None:
        p.send(p.headers(stream, [*OPEN, *extra]))
        for part in parts[:-1]:
            p.send(p.data(stream, part))
        p.pause()
        p.send(p.data(stream, parts[-1], end=True))

    return answer


HTML = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>upstream went away</body>\r\n</html>\r\n"
GZIP = [("grpc-encoding", "gzip")]
ONE, TWO = text_message("one"), text_message("two")


def gzipped(data: bytes) -> bytes:
    """Compress, with the same bytes from every Python: they differ in what they write as the operating system."""
    packed = gzip.compress(data, mtime=0)
    return packed[:9] + b"\x03" + packed[10:]


PACKED = message(gzipped(b"\x0a\x05hello"), flag=1)

FAULTS = (
    Fault("flag-67-status-0", "text where a message is due, status 0", body(b"Connection reset by upstream")),
    Fault("flag-67-stream", "the same in a stream", body(b"Connection reset by upstream"), kind="server-stream"),
    Fault("flag-60-midstream", "an HTML page after two messages", ending(ONE, TWO, HTML), kind="server-stream"),
    Fault("flag-2", "flag 2, else a good message", body(message(b"\x0a\x01x", flag=2))),
    Fault("flag-128-web-trailers", "grpc-web's trailers in the body", body(ONE, message(b"grpc-status: 0\r\n", 128))),
    Fault("flag-1-no-encoding", "flag 1 without grpc-encoding", body(PACKED)),
    Fault("flag-1-identity", "flag 1 with identity", body(PACKED, extra=[("grpc-encoding", "identity")])),
    Fault("gzip-garbage", "flag 1, and no gzip", body(message(b"this is no gzip stream", 1), extra=GZIP)),
    Fault("gzip-cut", "a gzip stream without its end", body(message(PACKED[5:-6], 1), extra=GZIP)),
    Fault("encoding-unknown", "grpc-encoding: snappy, flag 1", body(PACKED, extra=[("grpc-encoding", "snappy")])),
    Fault("encoding-unknown-flag-0", "grpc-encoding: snappy, flag 0", body(ONE, extra=[("grpc-encoding", "snappy")])),
    Fault(
        "content-encoding-gzip",
        "the whole body gzipped",
        body(gzipped(ONE), extra=[("content-encoding", "gzip")]),
    ),
    Fault("length-is-text", "a zero byte, then words", body(b"\0Connection pool exhausted")),
    Fault(
        "message-too-large", "a length over any limit, a few bytes", body(b"\0" + struct.pack(">I", 64 << 20) + b"few")
    ),
    Fault(
        "message-truncated",
        "a message without its last bytes, then trailers",
        body(text_message("a longer message")[:-4]),
    ),
    Fault("message-truncated-second", "the second message truncated", body(ONE, TWO[:-2]), kind="server-stream"),
    Fault("message-truncated-end", "END_STREAM inside a message", ending(ONE, TWO[:-2]), kind="server-stream"),
    Fault("prefix-truncated", "three bytes of a prefix, then trailers", body(b"\0\0\0"), kind="server-stream"),
    Fault("desync", "stray bytes between two messages", body(ONE, b"oops\n", TWO), kind="server-stream"),
    Fault("unframed-protobuf", "protobuf without a prefix", body(b"\x0a\x05hello")),
    Fault("no-message", "status 0 and no message", body()),
    Fault("two-messages", "two messages in a unary answer", body(ONE, TWO)),
    Fault("base64-body", "grpc-web-text", body(b"AAAAAAcKBWhlbGxv")),
)
