"""What is asked: health, reflection, methods that cannot exist; and how the answers read.

Sources: grpc/health/v1/health.proto, grpc/reflection/v1/reflection.proto, gRPC's doc/http-grpc-status-mapping.md.
"""

from __future__ import annotations

from wirecase.grpc.protobuf import BYTES, VARINT, read_fields
from wirecase.grpc.status import UNIMPLEMENTED, status_name
from wirecase.probing.model import Answer, State

HEALTH = "/grpc.health.v1.Health/Check"
REFLECTION = (
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
)
LIST_SERVICES = b"\x3a\x00"
"""ServerReflectionRequest with ``list_services`` (field 7), empty."""
UNKNOWN_SERVICE = "/wirecase.probe.v1.NoSuchService/NoSuchMethod"
OWN_PATHS = frozenset((HEALTH, *REFLECTION, UNKNOWN_SERVICE))
"""Paths that only we ask for."""
_SERVING = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
_MOST_SERVICES = 1000
NO_ROUTE = (404, 405, 415)
"""HTTP statuses by which a hop says that it has no gRPC there."""


def unknown_method(method: str | None) -> str:
    """Return a method that cannot exist, of the same service where one was named."""
    if method is None:
        return UNKNOWN_SERVICE
    return f"{method.rpartition('/')[0]}/WirecaseProbeNoSuchMethod"


def in_words(answer: Answer) -> str:
    """Say how a call was answered."""
    if answer.grpc_status is not None and answer.how == "trailers":
        text = status_name(answer.grpc_status)
        if answer.grpc_message:
            text += f": {answer.grpc_message}"
        if answer.count:
            size = sum(map(len, answer.messages))
            text += f", {answer.count} {'message' if answer.count == 1 else 'messages'} ({size} bytes)"
        if answer.http_status not in (None, 200):
            text += f", HTTP {answer.http_status}"
        return text
    if answer.http_status is not None and not (answer.content_type or "").startswith("application/grpc"):
        kind = f", {answer.content_type}" if answer.content_type else ""
        by = f", from {answer.server}" if answer.server else ""
        return f"HTTP {answer.http_status}{kind}{by}: no gRPC"
    return {
        "timeout": "no answer in time",
        "closed": "the connection ended before the answer did",
        "reset": f"the stream was reset with {answer.error}",
        "trailers": "an answer without a grpc-status",
        "none": "the call could not be made",
    }.get(answer.how, answer.how)


def serving(answer: Answer) -> tuple[State, str]:
    """Read the answer of the health service."""
    if answer.grpc_status == 0 and answer.messages:
        fields = read_fields(answer.messages[0])
        if fields is None:
            return "bad", "OK with a message that is no HealthCheckResponse"
        value = next((f.value for f in fields if f.number == 1 and f.wire_type == VARINT), 0)
        name = _SERVING[value] if isinstance(value, int) and value < len(_SERVING) else str(value)
        return ("ok" if name == "SERVING" else "bad"), name
    return optional(answer)


def optional(answer: Answer) -> tuple[State, str]:
    """Judge the answer of a service that a server need not have."""
    if answer.grpc_status == UNIMPLEMENTED:
        return "note", f"the server has no such service ({in_words(answer)})"
    if answer.grpc_status is not None and answer.how == "trailers" and answer.is_grpc:
        return "note", in_words(answer)
    if answer.http_status in NO_ROUTE:
        return "note", f"{in_words(answer)}: no route to such a service"
    if answer.how == "timeout":
        return "untold", in_words(answer)
    return "bad", in_words(answer)


def listed(answer: Answer) -> list[str] | None:
    """Return the services that a reflection service lists, None if it does not."""
    if not answer.messages:
        return None
    fields = read_fields(answer.messages[0])
    names: list[str] | None = None
    for field in fields or ():
        if field.number == 6 and field.wire_type == BYTES and isinstance(field.value, bytes):
            names = names or []
            for service in read_fields(field.value) or ():
                inner = read_fields(service.value) if isinstance(service.value, bytes) else None
                for name in inner or ():
                    if name.number == 1 and isinstance(name.value, bytes) and len(names) < _MOST_SERVICES:
                        names.append(name.value.decode("utf-8", "backslashreplace"))
    return names
