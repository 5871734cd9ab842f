"""A protobuf message drawn for a reader: by its type where that is known, by guessing where it is not.

Theory (https://protobuf.dev/programming-guides/encoding/). With a type, a field that the type does not know, or that
has another wire type than it should, is an unknown field: every receiver keeps or skips it, and so it is shown by its
number. What no receiver reads is a broken wire format: a tag that is cut or has number 0 or wire type 6 or 7, a length
that runs over the end, a varint of more than ten bytes, a group that is not closed, and the same inside of a field that
is a message; and, for proto3, a string that is not UTF-8. That is `View.problem`.

Without a type a length-delimited value is shown as text if it reads like text, as a message if it is one, otherwise as
bytes. Everything is bounded: nesting, the number of fields, the bytes of a value that are kept.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from wirecase.grpc.arrow_ipc import ArrowMessage, read_message
from wirecase.grpc.flight import SCHEMA_FIELDS
from wirecase.grpc.protobuf import BYTES, FIXED32, FIXED64, VARINT, read_fields, read_varint
from wirecase.grpc.schema import (
    BOOL,
    DOUBLE,
    END_GROUP,
    ENUM,
    FLOAT,
    INT32,
    INT64,
    MESSAGE,
    SFIXED32,
    SFIXED64,
    SINT32,
    SINT64,
    START_GROUP,
    STRING,
    TYPE_NAMES,
    UINT32,
    FieldType,
    MessageType,
    Schema,
    signed,
)

DEPTH_LIMIT = 100
"""Nesting up to which messages are read: protobuf's default recursion limit in C++ and Java; others go deeper."""
NODES_LIMIT = 2_000
"""Fields of one message, nested ones included, that are drawn."""
VALUE_LIMIT = 1_024
"""Bytes of one text or byte string that are kept."""
_READ_LIMIT = 200_000
"""Fields that are read at all, to tell whether the rest is sound."""
_GUESS_DEPTH = 24


@dataclass(slots=True)
class Node:
    """One field."""

    number: int
    name: str
    """Empty where it is not known."""
    type: str
    """``string``, ``int32``, a message's name …; ``varint``, ``fixed32``, ``fixed64``, ``text``, ``message``, ``bytes``
    where it was guessed."""
    value: int | float | bool | str | bytes | None = None
    """None for a message. Text and bytes are cut to `VALUE_LIMIT`."""
    size: int = 0
    """Bytes that a text, byte string or message has in all."""
    label: str = ""
    """Name of an enum's value."""
    children: list[Node] = field(default_factory=list)
    known: bool = False
    """The type knows this field."""
    arrow: ArrowMessage | None = None
    """The Arrow IPC message that it holds, where Flight puts one."""


@dataclass(slots=True)
class View:
    """One message."""

    type: str = ""
    """Its type's name; empty where nobody knows it."""
    nodes: list[Node] = field(default_factory=list)
    problem: str = ""
    """Why it cannot be decoded, one phrase; empty if it can."""
    offset: int = 0
    """Where in the message, for a problem."""
    unknown: int = 0
    """Fields at the top that the type does not know."""
    left_out: int = 0
    """Fields that were read and are not drawn."""
    cut: bool = False
    """Only the beginning of the message was there."""


class _BrokenError(Exception):
    def __init__(self, text: str, offset: int) -> None:
        super().__init__(text)
        self.text = text
        self.offset = offset


class _EndOfInputError(Exception):
    """A message of which only the beginning is there is over."""


class _Reader:
    def __init__(self, data: bytes, schema: Schema | None, *, cut: bool) -> None:
        self._data = data
        self._schema = schema
        self._cut = cut
        self.view = View(cut=cut)
        self._drawn = 0
        self._read = 0

    def read(self, kind: MessageType | None) -> View:
        view = self.view
        view.type = kind.name if kind else ""
        try:
            self._message(0, len(self._data), kind, view.nodes, 0, 0)
        except _BrokenError as error:
            view.problem, view.offset = error.text, error.offset
        except _EndOfInputError:
            pass
        return view

    # ---- the wire ----------------------------------------------------------------------------------------------

    def _short(self, text: str, at: int, end: int) -> Exception:
        """Return what to raise where bytes are missing at `end`: nothing is wrong if the message was cut there."""
        if self._cut and end == len(self._data):
            return _EndOfInputError()
        return _BrokenError(text, at)

    def _varint(self, at: int, end: int, what: str) -> tuple[int, int]:
        found = read_varint(self._data[at : min(at + 10, end)], 0)
        if found is None:
            if end - at < 10:
                raise self._short(f"{what} is cut", at, end)
            raise _BrokenError(f"{what} is longer than ten bytes", at)
        return found[0], at + found[1]

    def _message(
        self, at: int, end: int, kind: MessageType | None, nodes: list[Node], depth: int, group: int
    ) -> int:  # fmt: skip
        """Read the fields from `at` to `end`, or to the end of `group`; return where they end."""
        if depth > DEPTH_LIMIT:
            self.view.left_out += 1
            raise _EndOfInputError
        while at < end:
            self._read += 1
            if self._read > _READ_LIMIT:
                raise _EndOfInputError
            start = at
            key, at = self._varint(at, end, "a tag")
            number, wire_type = key >> 3, key & 7
            if not 1 <= number <= 0x1FFF_FFFF:
                raise _BrokenError(f"a tag has field number {number}, which does not exist", start)
            if wire_type == END_GROUP:
                if number != group:
                    raise _BrokenError(f"the end of a group {number} that is not open", start)
                return at
            known = kind.fields.get(number) if kind else None
            at = self._field(start, at, end, number, wire_type, known, kind, nodes, depth)
        if group:
            raise self._short(f"group {group} is not closed", end, end)
        return at

    def _field(
        self, start: int, at: int, end: int, number: int, wire_type: int, known: FieldType | None,
        kind: MessageType | None, nodes: list[Node], depth: int,
    ) -> int:  # fmt: skip
        packed = known is not None and known.packable and wire_type == BYTES
        if known is not None and known.wire_type != wire_type and not packed:
            known = None  # an unknown field for every receiver
        if known is None and kind is not None and depth == 0:
            self.view.unknown += 1
        if wire_type == VARINT:
            value, at = self._varint(at, end, "a varint")
            self._add(nodes, _number(number, known, value, self._schema))
            return at
        if wire_type in (FIXED64, FIXED32):
            size = 8 if wire_type == FIXED64 else 4
            if end - at < size:
                raise self._short(f"a field of {size} bytes is cut", start, end)
            self._add(nodes, _fixed(number, known, self._data[at : at + size]))
            return at + size
        if wire_type == START_GROUP:
            inner = self._schema.messages.get(known.type_name) if known and self._schema else None
            node = Node(number, known.name if known else "", "group", known=known is not None)
            self._add(nodes, node)
            stop = self._message(at, end, inner, node.children, depth + 1, number)
            node.size = stop - at
            return stop
        if wire_type != BYTES:
            raise _BrokenError(f"field {number} has wire type {wire_type}, which does not exist", start)
        size, at = self._varint(at, end, "a length")
        stop = at + size
        if stop > end:
            if not (self._cut and end == len(self._data)):
                raise _BrokenError(f"field {number} has {size:,} bytes by its length, {end - at:,} are there", start)
            self._delimited(at, end, number, known, kind, nodes, depth, size, packed=packed)
            raise _EndOfInputError
        self._delimited(at, stop, number, known, kind, nodes, depth, size, packed=packed)
        return stop

    # ---- values ------------------------------------------------------------------------------------------------

    def _delimited(
        self, at: int, stop: int, number: int, known: FieldType | None, kind: MessageType | None, nodes: list[Node],
        depth: int, size: int, *, packed: bool,
    ) -> None:  # fmt: skip
        data = self._data
        shown = data[at : min(stop, at + VALUE_LIMIT)]
        if known is None:
            self._add(nodes, self._guess(data[at:stop], number, size, 0, whole=stop - at == size))
            return
        if packed:
            self._packed(at, stop, known, nodes)
            return
        node = Node(number, known.name, TYPE_NAMES[known.type], size=size, known=True)
        if known.type == MESSAGE:
            inner = self._schema.messages.get(known.type_name) if self._schema else None
            node.type = known.type_name
            self._add(nodes, node)
            self._message(at, stop, inner, node.children, depth + 1, 0)
            return
        if known.type == STRING:
            try:
                data[at:stop].decode("utf-8")
            except UnicodeDecodeError as error:
                if stop - at == size and kind is not None and kind.utf8:
                    raise _BrokenError(f"string field {known.name} is not UTF-8", at + error.start) from None
            node.value = shown.decode("utf-8", "backslashreplace")
        else:
            node.value = shown
            if kind is not None and SCHEMA_FIELDS.get(kind.name) == number and size:
                node.arrow = read_message(data[at:stop])
        self._add(nodes, node)

    def _packed(self, at: int, stop: int, known: FieldType, nodes: list[Node]) -> None:
        start = at
        size = {FIXED32: 4, FIXED64: 8}.get(known.wire_type, 0)
        if size and (stop - at) % size and not self._cut:
            raise _BrokenError(f"packed field {known.name} ends inside a number", start)
        while at < stop:
            self._read += 1
            if self._read > _READ_LIMIT:
                raise _EndOfInputError
            if size:
                if stop - at < size:
                    return
                self._add(nodes, _fixed(known.number, known, self._data[at : at + size]))
                at += size
            else:
                value, at = self._varint(at, stop, f"a number of packed field {known.name}")
                self._add(nodes, _number(known.number, known, value, self._schema))

    def _add(self, nodes: list[Node], node: Node) -> None:
        if self._drawn < NODES_LIMIT:
            self._drawn += 1
            nodes.append(node)
        else:
            self.view.left_out += 1

    def _guess(self, value: bytes, number: int, size: int, depth: int, *, whole: bool) -> Node:
        """Draw a length-delimited value of which nothing is known."""
        self._read += 1
        shown = value[:VALUE_LIMIT]
        if value and reads_like_text(shown, cut=len(shown) < size):
            return Node(number, "", "text", shown.decode("utf-8", "backslashreplace"), size)
        fields = read_fields(value) if value and whole and depth < _GUESS_DEPTH and self._read < NODES_LIMIT else None
        if not fields or any(one.number > 4096 for one in fields):
            return Node(number, "", "bytes", shown, size)
        node = Node(number, "", "message", None, size)
        for one in fields:
            if isinstance(one.value, bytes):
                child = self._guess(one.value, one.number, len(one.value), depth + 1, whole=True)
            elif one.wire_type == VARINT:
                child = _number(one.number, None, one.value, None)
            else:
                child = _fixed(one.number, None, one.value.to_bytes(8 if one.wire_type == FIXED64 else 4, "little"))
            self._add(node.children, child)
        return node


def reads_like_text(value: bytes, *, cut: bool = False) -> bool:
    """Tell whether bytes are UTF-8 without control characters; `cut` allows an end inside a character."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        if not cut or error.start < len(value) - 3:
            return False
        text = value[: error.start].decode("utf-8")
    return bool(text) and all(char.isprintable() or char in "\n\r\t" for char in text)


def _number(number: int, known: FieldType | None, value: int, schema: Schema | None) -> Node:
    if known is None:
        return Node(number, "", "varint", value)
    made = Node(number, known.name, TYPE_NAMES[known.type], value, known=True)
    if known.type == BOOL:
        made.value = bool(value)
    elif known.type == INT64:
        made.value = signed(value, 64)
    elif known.type == INT32:
        made.value = signed(value, 32)
    elif known.type == UINT32:
        made.value = value & 0xFFFF_FFFF
    elif known.type in (SINT32, SINT64):
        made.value = (value >> 1) ^ -(value & 1)
    elif known.type == ENUM:
        made.value = signed(value, 32)
        enum = schema.enums.get(known.type_name) if schema else None
        made.type = known.type_name or "enum"
        made.label = enum.values.get(made.value, "") if enum else ""
    return made


def _fixed(number: int, known: FieldType | None, raw: bytes) -> Node:
    size = len(raw)
    if known is None:
        return Node(number, "", "fixed64" if size == 8 else "fixed32", int.from_bytes(raw, "little"))
    made = Node(number, known.name, TYPE_NAMES[known.type], known=True)
    if known.type in (DOUBLE, FLOAT):
        made.value = struct.unpack("<d" if size == 8 else "<f", raw)[0]
    else:
        made.value = int.from_bytes(raw, "little", signed=known.type in (SFIXED32, SFIXED64))
    return made


def draw(data: bytes, schema: Schema | None = None, kind: MessageType | None = None, *, cut: bool = False) -> View:
    """Draw a message; `cut` says that only its beginning is there. Never raises.

    Without a type, bytes that are no message at all have a `View.problem`, which then accuses nobody.
    """
    return _Reader(data, schema, cut=cut).read(kind)
