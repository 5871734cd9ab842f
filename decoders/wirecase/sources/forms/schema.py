"""Protobuf with a schema: a message becomes the dictionary that its JSON form would give, with bytes as bytes.

A schema names the fields that are wanted, by number; all others are passed over. Nothing is generated and no protobuf
library is needed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wirecase.grpc.protobuf import BYTES, VARINT, Field, read_varint

MAX_FIELDS = 1_000_000
"""Fields of one message that are read."""


@dataclass(slots=True, frozen=True)
class Kind:
    """How the value of a field is read."""

    name: str
    """The field's name in JSON, in snake case."""
    what: str = "message"
    """``message``, ``bytes``, ``string``, ``int``, ``signed`` or ``bool``."""
    of: dict[int, Kind] = field(default_factory=dict)
    repeated: bool = False


Schema = dict[int, Kind]
_WIRE = {"int": VARINT, "signed": VARINT, "bool": VARINT}
_DEPTH = 32


def read_message(data: bytes, schema: Schema, depth: int = 0) -> dict[str, Any] | None:
    """Return the wanted fields of a message, or None if the bytes are not one."""
    fields = _fields(data)
    if fields is None or depth > _DEPTH:
        return None
    found: dict[str, Any] = {}
    for number, wire_type, raw in fields:
        kind = schema.get(number)
        if kind is None:
            continue
        if wire_type != _WIRE.get(kind.what, BYTES):
            return None
        value = _value(kind, raw, depth)
        if value is None:
            return None
        if kind.repeated:
            found.setdefault(kind.name, []).append(value)
        else:
            found[kind.name] = value
    return found


def _value(kind: Kind, raw: int | bytes, depth: int) -> Any:
    if isinstance(raw, int):
        if kind.what == "bool":
            return bool(raw)
        return raw - (1 << 64) if kind.what == "signed" and raw >> 63 else raw
    if kind.what == "bytes":
        return raw
    if kind.what == "string":
        return raw.decode("utf-8", "surrogateescape")
    return read_message(raw, kind.of, depth + 1)


def _fields(data: bytes) -> list[Field] | None:
    """Return all fields; None if the bytes are no message."""
    fields: list[Field] = []
    at, end = 0, len(data)
    while at < end:
        key = read_varint(data, at)
        if key is None or not 1 <= key[0] >> 3 <= 0x1FFF_FFFF or len(fields) >= MAX_FIELDS:
            return None
        wire_type, at = key[0] & 7, key[1]
        size = 0
        if wire_type in (VARINT, BYTES):
            varint = read_varint(data, at)
            if varint is None:
                return None
            if wire_type == VARINT:
                fields.append(Field(key[0] >> 3, VARINT, varint[0]))
                at = varint[1]
                continue
            size, at = varint
        elif wire_type in (1, 5):
            size = 8 if wire_type == 1 else 4
        else:
            return None
        if size > end - at:
            return None
        raw = data[at : at + size]
        fields.append(Field(key[0] >> 3, wire_type, raw if wire_type == BYTES else int.from_bytes(raw, "little")))
        at += size
    return fields


def first_fields(head: bytes, most: int = 4) -> list[tuple[int, int, int]]:
    """Return number, wire type and length or value of the first fields that begin in `head`, for recognising a form."""
    found: list[tuple[int, int, int]] = []
    at = 0
    while at < len(head) and len(found) < most:
        key = read_varint(head, at)
        if key is None:
            break
        number, wire_type, at = key[0] >> 3, key[0] & 7, key[1]
        if wire_type not in (VARINT, BYTES):
            found.append((number, wire_type, 0))
            break
        value = read_varint(head, at)
        if value is None:
            break
        found.append((number, wire_type, value[0]))
        at = value[1] + (value[0] if wire_type == BYTES else 0)
    return found
