"""Statuses that a client's library makes up itself when a connection, a stream or a deadline breaks, told by words.

Read in grpc-go 1.85.0 (internal/transport, balancer, stream.go, rpc_util.go, picker_wrapper.go) and in grpc-java 1.85.1
(ClientCallImpl, GrpcUtil, Http2ClientStreamTransportState, NettyClientHandler, Utils, MessageDeframer,
AbstractClientStream, KeepAliveManager, DnsNameResolver).
"""

from __future__ import annotations

_WORDS = (
    # grpc-go
    "error reading from server",
    "stream terminated by RST_STREAM with error code",
    "server closed the stream without sending trailers",
    "connection error: ",
    "the connection is draining",
    "unexpected HTTP status code received from server",
    "grpc: received message larger than max",
    "keepalive ping failed to receive ACK within timeout",
    "closing connection since the server is not reading",
    "closing transport due to",
    "last connection error",
    "latest balancer error",
    "name resolver error",
    "no children to pick from",
    "produced zero addresses",
    "transport: malformed grpc-status",
    "transport: received unexpected content-type",
    "malformed header: ",
    "grpc: received unexpected payload format",
    "grpc: failed to unmarshal the received message",
    "grpc: failed to decompress the received message",
    "grpc: no decompressor available",
    "grpc: Decompressor is not installed",
    "received goaway and there are no active streams",
    "cardinality violation",
    # grpc-java
    "CallOptions deadline exceeded after",
    "RST_STREAM closed stream",
    "io exception",
    "Network closed for unknown reason",
    "HTTP status code ",
    "Channel shutdown",
    "Encountered end-of-stream mid-frame",
    "unexpected EOS",
    "gRPC message exceeds maximum size",
    "gRPC frame header malformed",
    "Keepalive failed",
    "invalid content-type",
    "missing GRPC status",
    "Can't find decompressor",
    "Connection closed after GOAWAY",
    "Abrupt GOAWAY",
    "Unable to resolve host",
)


def made_by_the_library(message: str) -> bool:
    """Tell whether a client's library ends calls itself with these words."""
    return any(words in message for words in _WORDS)
