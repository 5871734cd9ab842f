"""gRPC on HTTP/2: length-prefixed messages, compression, status (PH2: grpc/doc/PROTOCOL-HTTP2.md)."""
