"""Bodies that are not what gRPC wants (its PROTOCOL-HTTP2, Length-Prefixed-Message; its compression.md)."""

from __future__ import annotations

from wirecase.replay.gauntlet.fault import ERRORS, Fault, Kind

INTERNAL = ("INTERNAL",)
CARDINALITY = ("UNIMPLEMENTED", "INTERNAL")
"""statuscodes.md names UNIMPLEMENTED; it named INTERNAL before."""


def _message(
    name: str, summary: str, rule: str, expect: tuple[str, ...] = ERRORS, basis: str = "wire", kind: Kind = "unary",
    also: tuple[str, ...] = (), *, plain: bool = False,
) -> Fault:  # fmt: skip
    return Fault(name, summary, "message", rule, also, expect, basis, kind, plain, plain=plain)


FLAG = "grpc-invalid-compression-flag"
WITH_FLAG = (FLAG,)
FAULTS = (
    _message("flag-67-status-0", "text where a message is due, then status OK", FLAG),
    _message("flag-67-streaming", "the same in a stream", FLAG, kind="server-stream"),
    _message("flag-60-page-midstream", "an HTML page after two messages", FLAG, kind="server-stream"),
    _message("flag-2", "flag 2 before a good message", FLAG),
    _message("flag-128-web-trailers", "the trailers of gRPC-Web as a message", "grpc-web-on-grpc",
             kind="server-stream", also=WITH_FLAG),
    _message("flag-1-no-encoding", "flag 1 without grpc-encoding", "grpc-flag-without-encoding", INTERNAL,
             "compression"),
    _message("flag-1-identity", "flag 1 with identity", "grpc-flag-without-encoding", INTERNAL, "compression"),
    _message("gzip-garbage", "flag 1 over what is no gzip", "grpc-decompress-failed", INTERNAL, "status"),
    _message("gzip-cut", "a gzip stream without its end", "grpc-decompress-failed", INTERNAL, "status"),
    _message("encoding-unknown", "a message in an encoding that was not offered", "grpc-encoding-unsupported", INTERNAL,
             "compression"),
    _message("content-encoding-gzip", "the whole body gzipped by a proxy", "grpc-http-content-encoding",
             also=WITH_FLAG),
    _message("length-is-text", "a zero octet, then words", "grpc-length-is-text"),
    _message("length-64-mib", "a length of 64 MiB before a few bytes", "grpc-message-truncated"),
    _message("cut-mid-message-status-0", "a message without its last bytes, then status OK", "grpc-message-truncated"),
    _message("cut-mid-message-second", "the second message without its last bytes, then status OK",
             "grpc-message-truncated", kind="server-stream"),
    _message("cut-mid-message-end", "END_STREAM inside a message", "grpc-message-truncated", kind="server-stream"),
    _message("cut-mid-prefix", "three bytes of a prefix, then status OK", "grpc-message-truncated",
             kind="server-stream"),
    _message("stray-bytes", "stray bytes between two messages", "grpc-desync-midstream", kind="server-stream",
             also=WITH_FLAG),
    _message("unframed-protobuf", "protobuf without a prefix", "grpc-unframed-protobuf", also=WITH_FLAG),
    _message("base64-body", "the text form of gRPC-Web", FLAG),
    _message("no-message", "status OK and no message in a unary answer", "grpc-cardinality", CARDINALITY, "status",
             plain=True),
    _message("two-messages", "two messages in a unary answer", "", CARDINALITY, "status", plain=True),
)  # fmt: skip
