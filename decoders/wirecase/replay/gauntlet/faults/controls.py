"""Sessions in which nothing is broken: a client has to take them."""

from __future__ import annotations

from wirecase.replay.gauntlet.fault import Fault, Kind

OK = ("OK",)


def _control(
    name: str, summary: str, kind: Kind = "unary", basis: str = "wire", *, calls: int = 2, parallel: int = 1,
    messages: int = 1, needs: str = "",
) -> Fault:  # fmt: skip
    return Fault(
        name, summary, "control", "", (), OK, basis, kind, True, calls, parallel, messages, damaged=False, needs=needs,
        plain=True,
    )  # fmt: skip


FAULTS = (
    _control("healthy-unary", "good answers to unary calls", calls=3),
    _control("healthy-streaming", "three messages and status OK", "server-stream"),
    _control("healthy-upload", "a good answer to eight messages", "client-stream", messages=8),
    _control("healthy-bidi", "both sides streamed", "bidi", messages=3),
    _control("healthy-parallel", "good answers to four calls at a time", calls=8, parallel=4),
    _control("healthy-gzip", "a compressed message", basis="compression", needs="gzip"),
    _control("healthy-gzip-streaming", "two compressed messages", "server-stream", basis="compression", needs="gzip"),
    _control("healthy-large", "a message over two DATA frames"),
    _control("healthy-split", "a message in frames of one octet, one of them empty"),
    _control("healthy-slow", "a message every 0.2 s", "server-stream"),
    _control("healthy-metadata", "metadata in headers and trailers"),
    _control("healthy-padding", "DATA with legal padding", "server-stream", basis="h2"),
    _control("healthy-continuation", "response headers over three frames", basis="h2"),
    _control("healthy-unknown-frame", "a frame of a type that nobody knows", "server-stream", basis="h2"),
    _control("healthy-early-hints", "103 before the answer", basis="h2"),
    _control("healthy-reset-after-end", "RST_STREAM with NO_ERROR after the trailers", basis="h2"),
    _control("healthy-goaway", "a graceful end in two steps around each call", basis="h2"),
)
