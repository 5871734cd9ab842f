"""What the metadata of an Arrow IPC message says: a schema's columns, or how many rows a record batch holds.

Theory (https://arrow.apache.org/docs/format/Columnar.html, ``Message.fbs``, ``Schema.fbs``). The metadata is a
flatbuffer. In a stream (and in FlightInfo.schema) ``FF FF FF FF`` and a length may stand before it. Any bytes are
taken: what does not hold to the format gives None.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct, error

from wirecase.grpc.flatbuffer import Flatbuffer

_I32, _U32, _I64, _I16 = Struct("<i"), Struct("<I"), Struct("<q"), Struct("<h")
_CONTINUATION = b"\xff\xff\xff\xff"
KINDS = {1: "Schema", 2: "DictionaryBatch", 3: "RecordBatch", 4: "Tensor", 5: "SparseTensor"}
_VERSION, _HEADER_TYPE, _HEADER, _BODY_LENGTH = 0, 1, 2, 3  # slots of Message
_FIELDS = 1  # slot of Schema
_NAME, _NULLABLE, _TYPE_TYPE, _TYPE, _DICTIONARY, _CHILDREN = 0, 1, 2, 3, 4, 5  # slots of Field
_TYPES = (
    "none", "null", "int", "float", "binary", "utf8", "bool", "decimal", "date", "time", "timestamp", "interval",
    "list", "struct", "union", "fixed_size_binary", "fixed_size_list", "map", "duration", "large_binary", "large_utf8",
    "large_list", "run_end_encoded", "binary_view", "utf8_view", "list_view", "large_list_view",
)  # fmt: skip
_FLOATS = ("float16", "float32", "float64")
COLUMNS_LIMIT = 1_000
"""Columns, nested ones included, that are listed."""
_DEPTH_LIMIT = 32
_NAME_LIMIT = 256


@dataclass(slots=True)
class Column:
    """One field of a schema."""

    name: str
    type: str
    nullable: bool
    children: list[Column] = field(default_factory=list)


@dataclass(slots=True)
class ArrowMessage:
    """One IPC message."""

    kind: str
    """``Schema``, ``RecordBatch``, ``DictionaryBatch`` …"""
    version: int
    """Of the metadata: 4 is V5."""
    body_length: int
    """Bytes of its body, as the metadata says."""
    columns: list[Column] = field(default_factory=list)
    column_count: int = 0
    """Columns at the top of a schema."""
    rows: int | None = None
    """Rows of a record batch, or of a dictionary."""
    nodes: int | None = None
    buffers: int | None = None


class _Message(Flatbuffer):
    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._left = COLUMNS_LIMIT

    def number(self, table: int, slot: int, shape: Struct) -> int:
        at = self.slot(table, slot)
        value: int = shape.unpack_from(self.data, at)[0] if at else 0
        return value

    def count(self, table: int, slot: int) -> int | None:
        at = self.follow(table, slot)
        return self.u32(at) if at else None

    def text(self, table: int, slot: int) -> str:
        at = self.follow(table, slot)
        if not at:
            return ""
        length = self.u32(at)
        if at + 4 + length > len(self.data):
            raise IndexError
        return self.data[at + 4 : at + 4 + min(length, _NAME_LIMIT)].decode("utf-8", "backslashreplace")

    def columns(self, table: int, slot: int, depth: int) -> tuple[list[Column], int]:
        """Return the fields that a slot lists, as many as there is room for, and how many there are."""
        vector = self.follow(table, slot)
        if not vector or depth > _DEPTH_LIMIT:
            return [], 0
        count = self.u32(vector)
        if 4 * count > len(self.data) - vector - 4:
            raise IndexError
        found: list[Column] = []
        for at in range(vector + 4, vector + 4 + 4 * count, 4):
            if self._left <= 0:
                break
            self._left -= 1
            one = at + self.u32(at)
            children, _ = self.columns(one, _CHILDREN, depth + 1)
            found.append(Column(self.text(one, _NAME), self.type(one), bool(self.byte(one, _NULLABLE)), children))
        return found, count

    def type(self, one: int) -> str:
        number = self.byte(one, _TYPE_TYPE)
        name = _TYPES[number] if number < len(_TYPES) else f"type {number}"
        told = self.follow(one, _TYPE)
        if told and name == "int":
            name = ("int" if self.byte(told, 1) else "uint") + str(self.number(told, 0, _I32))
        elif told and name == "float":
            precision = self.number(told, 0, _I16)
            name = _FLOATS[precision] if 0 <= precision < len(_FLOATS) else name
        return f"dictionary of {name}" if self.slot(one, _DICTIONARY) else name


def read_message(data: bytes) -> ArrowMessage | None:
    """Read the metadata of an IPC message, with or without what stands before it in a stream; None if it is none."""
    if data[:4] == _CONTINUATION:
        data = data[8:]
    elif len(data) > 8 and 8 <= _U32.unpack_from(data)[0] == len(data) - 4:
        data = data[4:]  # before 0.15 there was no continuation marker
    buffer = _Message(data)
    try:
        message = buffer.u32(0)
        kind = buffer.byte(message, _HEADER_TYPE)
        header = buffer.follow(message, _HEADER)
        if kind not in KINDS or not header:
            return None
        found = ArrowMessage(
            KINDS[kind], buffer.number(message, _VERSION, _I16), buffer.number(message, _BODY_LENGTH, _I64)
        )
        if kind == 1:
            found.columns, found.column_count = buffer.columns(header, _FIELDS, 0)
        elif kind in (2, 3):
            batch = header if kind == 3 else buffer.follow(header, 1)
            if batch:
                found.rows = buffer.number(batch, 0, _I64)
                found.nodes, found.buffers = buffer.count(batch, 1), buffer.count(batch, 2)
        return found
    except (IndexError, error):
        return None
