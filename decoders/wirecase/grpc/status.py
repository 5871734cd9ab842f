"""What a gRPC status is made of: codes and names, the header values that carry them, and how others map to them.

Sources: gRPC's ``doc/statuscodes.md``, ``doc/http-grpc-status-mapping.md`` and ``doc/PROTOCOL-HTTP2.md`` (PH2).
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass

from wirecase.grpc.protobuf import BYTES, VARINT, read_fields

STATUS_NAMES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
"""By code (``doc/statuscodes.md``)."""

(OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED,
 RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS,
 UNAUTHENTICATED) = range(17)  # fmt: skip

HTTP_TO_GRPC = {
    400: INTERNAL, 401: UNAUTHENTICATED, 403: PERMISSION_DENIED, 404: UNIMPLEMENTED,
    429: UNAVAILABLE, 502: UNAVAILABLE, 503: UNAVAILABLE, 504: UNAVAILABLE,
}  # fmt: skip
"""``http-grpc-status-mapping.md``; every other status is UNKNOWN (the document's 431 is known to grpc-java alone)."""

H2_TO_GRPC = {
    0: INTERNAL,  # NO_ERROR
    1: INTERNAL,  # PROTOCOL_ERROR
    2: INTERNAL,  # INTERNAL_ERROR
    3: INTERNAL,  # FLOW_CONTROL_ERROR
    4: INTERNAL,  # SETTINGS_TIMEOUT
    6: INTERNAL,  # FRAME_SIZE_ERROR
    7: UNAVAILABLE,  # REFUSED_STREAM
    8: CANCELLED,  # CANCEL
    9: INTERNAL,  # COMPRESSION_ERROR
    10: INTERNAL,  # CONNECT_ERROR
    11: RESOURCE_EXHAUSTED,  # ENHANCE_YOUR_CALM
    12: PERMISSION_DENIED,  # INADEQUATE_SECURITY
}
"""PH2, Errors; codes that the document does not map are UNKNOWN."""

TIMEOUT_UNITS = {
    b"H": 3_600_000_000_000, b"M": 60_000_000_000, b"S": 1_000_000_000, b"m": 1_000_000, b"u": 1_000, b"n": 1,
}  # fmt: skip
"""ns for each unit of a grpc-timeout (PH2, Requests)."""

_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])\Z")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*={0,2}\Z")


def status_name(code: int) -> str:
    """Return the name of a status code, e.g. ``UNAVAILABLE``, or the number itself for an unknown one."""
    return STATUS_NAMES[code] if 0 <= code < len(STATUS_NAMES) else str(code)


def from_http(http_status: int) -> int:
    """Return the status code that a client makes of an HTTP status when no grpc-status came with it."""
    return HTTP_TO_GRPC.get(http_status, UNKNOWN)


def from_h2_error(code: int) -> int:
    """Return the status code that a client makes of a RST_STREAM's error code."""
    return H2_TO_GRPC.get(code, UNKNOWN)


def percent_decode(value: bytes) -> str:
    """Decode a grpc-message (PH2, Percent-Encoded): invalid escapes are kept as they stand, as the document asks."""
    raw = _ESCAPE.sub(lambda match: bytes((int(match.group(1), 16),)), value)
    return raw.decode("utf-8", "replace")


def decode_bin(value: bytes) -> bytes | None:
    """Decode the value of a ``*-bin`` field (PH2, Binary-Header), padded or not; None if it is not base64.

    Several values may be joined by commas (RFC 9110 §5.3): the first one is returned, all must be base64. A value that
    begins with a zero byte is not encoded at all (gRFC G1, true binary metadata).
    """
    if value.startswith(b"\0"):
        return value[1:]
    first: bytes | None = None
    for part in value.split(b","):
        part = part.strip(b" ")
        bare = part.rstrip(b"=")
        if not _BASE64.match(part) or len(bare) % 4 == 1 or (bare != part and len(part) % 4):
            return None
        if first is None:
            first = binascii.a2b_base64(bare + b"=" * (-len(bare) % 4))
    return first


def parse_timeout(value: bytes) -> int | None:
    """Return a grpc-timeout in ns, or None if it is not 1 to 8 digits and a unit (PH2, Requests)."""
    match = _TIMEOUT.match(value)
    return int(match.group(1)) * TIMEOUT_UNITS[match.group(2)] if match else None


def is_status(value: bytes) -> bool:
    """Tell whether a grpc-status is well formed, ``1*DIGIT`` (PH2, Status), and one of the seventeen codes."""
    return value.isdigit() and len(value) < 10 and int(value) < len(STATUS_NAMES)


@dataclass(slots=True)
class StatusDetails:
    """``grpc-status-details-bin``: a google.rpc.Status."""

    code: int
    message: str
    types: list[str]
    """Type URLs of the detail messages, e.g. ``type.googleapis.com/google.rpc.ErrorInfo``."""


def parse_details(value: bytes) -> StatusDetails | None:
    """Decode a ``grpc-status-details-bin``; None if it is not base64 or not a google.rpc.Status."""
    raw = decode_bin(value)
    fields = None if raw is None else read_fields(raw)
    if fields is None:
        return None
    details = StatusDetails(0, "", [])
    for field in fields:
        if field.number == 1 and field.wire_type == VARINT and isinstance(field.value, int):
            code = field.value & 0xFFFF_FFFF
            details.code = code - (1 << 32) if code >> 31 else code
        elif field.number == 2 and field.wire_type == BYTES and isinstance(field.value, bytes):
            details.message = field.value.decode("utf-8", "replace")
        elif field.number == 3 and field.wire_type == BYTES and isinstance(field.value, bytes):
            for inner in read_fields(field.value) or []:
                if inner.number == 1 and isinstance(inner.value, bytes):
                    details.types.append(inner.value.decode("utf-8", "replace"))
    return details
