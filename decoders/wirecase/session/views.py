"""What a header block says about gRPC, worked out once per distinct block and kept with it (`HeaderBlock.view`)."""

from __future__ import annotations

from collections.abc import Callable

from wirecase.grpc.status import decode_bin, parse_timeout
from wirecase.http2.facts import HeaderBlock, is_informational
from wirecase.session.call import CallKind


def _kind_of(content_type: bytes | None) -> CallKind:
    if content_type is None:
        return "http"
    text = content_type.lower()
    if text.startswith(b"application/grpc"):
        rest = text[16:17]
        if rest in (b"", b"+", b";", b" "):
            return "grpc"
        return "grpc-web" if text.startswith(b"application/grpc-web") else "http"
    return "connect" if text.startswith(b"application/connect+") else "http"


def _is_sound_metadata(block: HeaderBlock) -> bool:
    """Tell whether all ``*-bin`` values are base64 (PH2, Binary-Header)."""
    for name, value in block.names.items():
        if name.endswith(b"-bin") and value is not None and decode_bin(value) is None:
            return False
    return True


def weigh_binary(value: bytes) -> bytes:
    """Return what of a ``*-bin`` value matters: nothing if it is base64."""
    return value if decode_bin(value) is None else b""


def _weigh_timeout(value: bytes) -> bytes:
    return value if parse_timeout(value) is None else b""


WEIGHTY: dict[bytes, Callable[[bytes], bytes]] = {
    **dict.fromkeys((b"content-type", b"connect-protocol-version", b"grpc-encoding", b"grpc-status"), bytes),
    b"grpc-timeout": _weigh_timeout,
}
"""Fields whose value decides whether a call is ordinary, and what of it does (`CallTracker.weigh`)."""


class RequestView:
    """What a request's header block says about gRPC."""

    __slots__ = ("accept", "authority", "clean", "encoding", "kind", "path")

    def __init__(self, block: HeaderBlock) -> None:
        content_type = block.get(b"content-type")
        self.kind: CallKind = _kind_of(content_type)
        if content_type is None and block.unknown:
            self.kind = "unknown"
        elif self.kind == "http" and block.get(b"connect-protocol-version"):
            self.kind = "connect"
        self.path = block.text(b":path")
        self.authority = block.text(b":authority")
        self.encoding = block.get(b"grpc-encoding")
        accept = block.get(b"grpc-accept-encoding")
        self.accept = frozenset(part.strip() for part in accept.split(b",")) if accept is not None else None
        timeout = block.get(b"grpc-timeout")
        self.clean = (
            not block.problems
            and block.get(b"te") == b"trailers"
            and (timeout is None or parse_timeout(timeout) is not None)
            and block.method == b"POST"
            and _is_sound_metadata(block)
        )


class ResponseView:
    """What a server's header block says about gRPC: response headers, trailers or both."""

    __slots__ = ("clean", "encoding", "informational", "kind", "ok", "status")

    def __init__(self, block: HeaderBlock) -> None:
        self.kind = _kind_of(block.get(b"content-type"))
        self.status = block.get(b"grpc-status")
        self.encoding = block.get(b"grpc-encoding")
        self.informational = is_informational(block)
        self.ok = self.status == b"0"
        """The block says success."""
        self.clean = (
            not block.problems
            and (block.status is None or (block.status == b"200" and self.kind == "grpc"))
            and len(block.values(b"grpc-status")) <= 1
            and _is_sound_metadata(block)
        )
