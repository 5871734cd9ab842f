"""Values of tap traces as JSON, text and protobuf give them: bytes, times, addresses, header lists, bodies."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

from wirecase.sources.forms.segments import UNKNOWN, Endpoint

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)\Z")


class Body(NamedTuple):
    """The bytes of a body or of a read."""

    data: bytes
    truncated: bool


def from_base64(value: Any) -> bytes:
    """Return bytes that JSON holds as Base64 (either alphabet); what is no Base64 gives what can be read of it."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        return b""
    text = value.replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return b""


def as_bytes(value: Any) -> bytes:
    """Return a string's bytes as the wire had them."""
    if isinstance(value, bytes):
        return value
    return (
        value.encode("utf-8", "surrogateescape" if value.isascii() else "surrogatepass")
        if isinstance(value, str)
        else b""
    )


def sub(value: Any, *names: str) -> dict[str, Any]:
    """Return the dictionary at a path of names, an empty one if there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """Return a list, an empty one for anything else."""
    return value if isinstance(value, list) else []


def number(value: Any) -> int:
    """Return a 64-bit number, which JSON holds as text; 0 if it is none."""
    return int(value) if _is_number(value) and len(str(value)) < 21 else 0


def nanoseconds(value: Any) -> int:
    """Return a `google.protobuf.Timestamp` in ns since the epoch, as a message or as RFC 3339; 0 if there is none."""
    if isinstance(value, dict):
        return number(value.get("seconds")) * 1_000_000_000 + number(value.get("nanos"))
    match = _TIME.match(value) if isinstance(value, str) else None
    if match is None:
        return 0
    try:
        moment = datetime.fromisoformat(match[1] + ("+00:00" if match[3] == "Z" else match[3])).astimezone(UTC)
    except (ValueError, OverflowError):
        return 0
    whole = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (whole.days * 86400 + whole.seconds) * 1_000_000_000 + int((match[2] or "0").ljust(9, "0"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and value.isascii() and value.lstrip("-").isdecimal())


def headers(value: Any) -> list[tuple[bytes, bytes]]:
    """Return a list of `HeaderValue` messages as fields."""
    found = []
    for one in items(value):
        if isinstance(one, dict):
            raw = one.get("raw_value")
            found.append((as_bytes(one.get("key")), from_base64(raw) if raw else as_bytes(one.get("value"))))
    return [field for field in found if field[0]]


def body(value: Any) -> Body:
    """Return a `Body` message."""
    if not isinstance(value, dict):
        return Body(b"", False)
    data = from_base64(value["as_bytes"]) if value.get("as_bytes") else as_bytes(value.get("as_string"))
    return Body(data, bool(value.get("truncated")))


def address(value: Any) -> Endpoint:
    """Return an `envoy.config.core.v3.Address`, if it is a socket's."""
    found = sub(value, "socket_address")
    port = number(found.get("port_value"))
    host = found.get("address")
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    return (host, port) if isinstance(host, str) and 0 <= port < 65536 else UNKNOWN
