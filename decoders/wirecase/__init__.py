"""wirecase: why a gRPC call died on the wire."""

__version__ = "0.1.0"
