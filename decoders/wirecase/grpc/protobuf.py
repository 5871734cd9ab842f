"""Protocol buffers' wire format without a schema: enough to read `google.rpc.Status` and to tell protobuf from noise.

Theory (https://protobuf.dev/programming-guides/encoding/). A message is a row of fields; each begins with a varint
key, ``field number << 3 | wire type``. Wire types 0 (varint), 1 (8 bytes), 2 (length-delimited) and 5 (4 bytes) are
in use; 3 and 4 (groups) are read by nobody today and count as noise here.
"""

from __future__ import annotations

from typing import NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FIELDS_LIMIT = 4096
"""Fields that are read at most, so that a message of a million empty ones costs nothing."""


class Field(NamedTuple):
    """One field as it stands on the wire."""

    number: int
    wire_type: int
    value: int | bytes
    """An unsigned integer for the wire types 0, 1 and 5; the bytes for 2."""


def read_varint(data: bytes, at: int) -> tuple[int, int] | None:
    """Return (value, offset behind it) of the varint at `at`, or None if it is cut or longer than ten bytes."""
    value = shift = 0
    for i in range(at, min(at + 10, len(data))):
        byte = data[i]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, i + 1
        shift += 7
    return None


def read_fields(data: bytes, *, cut: bool = False) -> list[Field] | None:
    """Return the fields of a message, or None if the bytes are not one.

    With `cut`, a last field that runs out of bytes is dropped instead of failing the whole.
    """
    fields: list[Field] = []
    at = 0
    while at < len(data) and len(fields) < FIELDS_LIMIT:
        key = read_varint(data, at)
        if key is None:
            return fields if cut else None
        number, wire_type = key[0] >> 3, key[0] & 7
        at = key[1]
        if not 1 <= number <= 0x1FFF_FFFF:
            return None
        if wire_type == VARINT:
            varint = read_varint(data, at)
            if varint is None:
                return fields if cut and len(data) - at < 10 else None
            fields.append(Field(number, wire_type, varint[0]))
            at = varint[1]
            continue
        if wire_type == BYTES:
            length = read_varint(data, at)
            if length is None:
                return fields if cut else None
            at, size = length[1], length[0]
        elif wire_type in (FIXED64, FIXED32):
            size = 8 if wire_type == FIXED64 else 4
        else:
            return None
        if size > len(data) - at:
            return fields if cut else None
        raw = data[at : at + size]
        fields.append(Field(number, wire_type, raw if wire_type == BYTES else int.from_bytes(raw, "little")))
        at += size
    return fields
