"""Correlation ids: by which a call can be found in other systems, and on its other legs."""

from __future__ import annotations

from collections.abc import Iterable

from wirecase.http2.facts import HeaderBlock

CORRELATION = (
    b"traceparent", b"x-request-id", b"x-correlation-id", b"cf-ray", b"x-amzn-trace-id", b"x-amz-cf-id",
    b"x-b3-traceid", b"x-cloud-trace-context", b"x-envoy-attempt-count", b"grpc-trace-bin", b"request-id",
)  # fmt: skip
_COUNTS = (b"x-envoy-attempt-count",)
"""Of these, what is no id."""
_TRACE = slice(3, 35)
"""Where the trace stands in a traceparent (W3C Trace Context §3.2.2): proxies that trace change what is behind it."""


def correlation_ids(blocks: Iterable[HeaderBlock]) -> dict[str, str]:
    """Return the ids by which a call can be found in other systems."""
    found: dict[str, str] = {}
    for block in blocks:
        for name in CORRELATION:
            value = block.get(name)
            if value is not None:
                found.setdefault(name.decode(), value[:256].decode("latin-1"))
    return found


def leg_ids(block: HeaderBlock) -> frozenset[int]:
    """Return hashes of the ids of a request that its other legs carry as well."""
    found: set[int] = set()
    for name in CORRELATION:
        value = block.get(name) if name not in _COUNTS else None
        if value:
            found.add(hash((name, value[_TRACE] if name == b"traceparent" else value)))
    return frozenset(found)
