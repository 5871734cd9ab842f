"""Answers of the server's own: the fallback, health checks, reflection."""

from __future__ import annotations

from urllib.parse import quote

from wirecase.http2.facts import END_HEADERS, END_STREAM, HEADERS
from wirecase.model import SERVER
from wirecase.replay.plan import Act, Blob, Data, Fragment, Headers

_SERVING = b"\x08\x01"
"""``grpc.health.v1.HealthCheckResponse{status: SERVING}``."""
_HEALTH = ("/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch")
_UNIMPLEMENTED = 12


def headers(fields: list[tuple[bytes, bytes]], *, end: bool) -> Headers:
    """Return a header block in one frame."""
    flags = END_HEADERS | (END_STREAM if end else 0)
    return Headers(SERVER, 0, 1, fields=fields, fragments=(Fragment(HEADERS, flags, b"", 0, 0),), end_stream=end)


def status_only(code: int, message: str) -> list[Act]:
    """Return a trailers-only answer (gRPC over HTTP/2, Responses)."""
    fields = [(b":status", b"200"), (b"content-type", b"application/grpc"), (b"grpc-status", str(code).encode())]
    if message:
        fields.append((b"grpc-message", quote(message, safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~").encode()))
    return [headers(fields, end=True)]


def housekeeping(path: str) -> list[Act] | None:
    """Return the answer to a health check or to reflection, None for any other call."""
    if path.startswith("/grpc.reflection."):
        return status_only(_UNIMPLEMENTED, "wirecase replay: there is no reflection")
    if not path.startswith("/grpc.health."):
        return None
    if path not in _HEALTH:
        return status_only(_UNIMPLEMENTED, "wirecase replay: no such method of the health service")
    message = b"\0" + len(_SERVING).to_bytes(4, "big") + _SERVING
    acts: list[Act] = [
        headers([(b":status", b"200"), (b"content-type", b"application/grpc")], end=False),
        Data(SERVER, 0, 1, flags=0, length=len(message), body=Blob.of(message)),
    ]
    if path == _HEALTH[0]:
        acts.append(headers([(b"grpc-status", b"0")], end=True))
    return acts


def refusal(path: str, why: str) -> list[Act]:
    """Return the answer to a call whose recorded answer cannot be served."""
    return status_only(_UNIMPLEMENTED, f"wirecase replay: the recorded answer of {path} cannot be served: {why}")
