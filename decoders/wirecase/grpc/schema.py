"""Message types and methods as descriptors tell them, and a reader of serialized descriptor sets.

Source: ``google/protobuf/descriptor.proto``. Only what is needed to name fields, to tell whether bytes are of a type,
and to know whether a method streams; options, defaults and extensions are passed over. The reader needs no protobuf
library, takes any bytes, and keeps what it can.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from wirecase.grpc.protobuf import BYTES, FIXED32, FIXED64, VARINT, read_varint

(
    DOUBLE, FLOAT, INT64, UINT64, INT32, FIXED_64, FIXED_32, BOOL, STRING, GROUP, MESSAGE, OCTETS, UINT32, ENUM,
    SFIXED32, SFIXED64, SINT32, SINT64,
) = range(1, 19)  # fmt: skip
"""``FieldDescriptorProto.Type``."""
TYPE_NAMES = (
    "", "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string", "group", "message",
    "bytes", "uint32", "enum", "sfixed32", "sfixed64", "sint32", "sint64",
)  # fmt: skip
START_GROUP, END_GROUP = 3, 4
_WIRE = {
    DOUBLE: FIXED64, FIXED_64: FIXED64, SFIXED64: FIXED64, FLOAT: FIXED32, FIXED_32: FIXED32, SFIXED32: FIXED32,
    STRING: BYTES, MESSAGE: BYTES, OCTETS: BYTES, GROUP: START_GROUP,
}  # fmt: skip
_NESTING = 32
_REPEATED = 3


@dataclass(slots=True, frozen=True)
class FieldType:
    """One field of a message type."""

    number: int
    name: str
    type: int
    """As ``FieldDescriptorProto.Type`` numbers them."""
    type_name: str = ""
    """Full name of the message or enum type, without a leading dot."""
    repeated: bool = False

    @property
    def wire_type(self) -> int:
        """Return the wire type of a single value."""
        return _WIRE.get(self.type, VARINT)

    @property
    def packable(self) -> bool:
        """Repeated numbers may stand packed in one length-delimited field."""
        return self.repeated and self.wire_type in (VARINT, FIXED32, FIXED64)


@dataclass(slots=True)
class MessageType:
    """One message type."""

    name: str
    """``package.Message``."""
    fields: dict[int, FieldType] = field(default_factory=dict)
    map_entry: bool = False
    utf8: bool = False
    """Receivers refuse strings that are not UTF-8 (proto3, and editions by default)."""


@dataclass(slots=True)
class EnumType:
    """One enum."""

    name: str
    values: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class Method:
    """One method of a service."""

    path: str
    """``/package.Service/Method``."""
    request: str
    """Name of the message type that the client sends."""
    response: str
    client_streams: bool = False
    server_streams: bool = False

    @property
    def kind(self) -> str:
        """Return ``unary``, ``server-streaming``, ``client-streaming`` or ``bidirectional``."""
        if self.client_streams:
            return "bidirectional" if self.server_streams else "client-streaming"
        return "server-streaming" if self.server_streams else "unary"


@dataclass(slots=True)
class Schema:
    """The types and methods of some ``.proto`` files."""

    messages: dict[str, MessageType] = field(default_factory=dict)
    enums: dict[str, EnumType] = field(default_factory=dict)
    methods: dict[str, Method] = field(default_factory=dict)
    """By path."""
    files: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    """Files that others import and that are not there."""

    def method(self, path: str | None) -> Method | None:
        """Return the method that a ``:path`` names, or None."""
        return None if path is None else self.methods.get(path.partition("?")[0])

    def type_of(self, path: str | None, side: int) -> MessageType | None:
        """Return the type of the messages that a side (`wirecase.model.CLIENT`: 0) sends in a call of `path`."""
        method = self.method(path)
        if method is None:
            return None
        return self.messages.get(method.response if side else method.request)

    def add_set(self, data: bytes) -> int:
        """Take the files of a serialized ``FileDescriptorSet``; return how many there were."""
        count = 0
        for number, wire_type, value in fields_of(data):
            if number == 1 and wire_type == BYTES:
                assert isinstance(value, bytes)
                self.add_file(value)
                count += 1
        self.missing -= self.files
        return count

    def add_file(self, data: bytes) -> list[str]:
        """Take one serialized ``FileDescriptorProto`` and return the names of the files that it imports."""
        package, name, syntax = "", "", "proto2"
        imports: list[str] = []
        kept: list[tuple[int, bytes]] = []
        for number, wire_type, value in fields_of(data):
            if number == 14 and wire_type == VARINT:
                syntax = "editions"
            if wire_type != BYTES or not isinstance(value, bytes):
                continue
            if number == 1:
                name = _text(value)
            elif number == 2:
                package = _text(value)
            elif number == 3:
                imports.append(_text(value))
            elif number == 12:
                syntax = _text(value)
            elif number in (4, 5, 6):
                kept.append((number, value))
        scope = f"{package}." if package else ""
        for number, value in kept:
            if number == 4:
                self._message(value, scope, syntax != "proto2", 0)
            elif number == 5:
                self._enum(value, scope)
            else:
                self._service(value, scope)
        self.files.add(name)
        self.missing |= set(imports)
        self.missing -= self.files
        return imports

    def _message(self, data: bytes, scope: str, utf8: bool, depth: int) -> None:
        fields: dict[int, FieldType] = {}
        nested: list[tuple[int, bytes]] = []
        name, entry = "", False
        for number, wire_type, value in fields_of(data):
            if wire_type != BYTES or not isinstance(value, bytes):
                continue
            if number == 1:
                name = _text(value)
            elif number == 2:
                one = _field(value)
                fields[one.number] = one
            elif number in (3, 4):
                nested.append((number, value))
            elif number == 7:
                entry = any(n == 7 and v == 1 for n, _, v in fields_of(value))
        made = MessageType(scope + name, fields, entry, utf8)
        self.messages[made.name] = made
        for number, value in nested:
            if number == 4:
                self._enum(value, f"{made.name}.")
            elif depth < _NESTING:
                self._message(value, f"{made.name}.", utf8, depth + 1)

    def _enum(self, data: bytes, scope: str) -> None:
        made = EnumType("")
        for number, wire_type, value in fields_of(data):
            if wire_type != BYTES or not isinstance(value, bytes):
                continue
            if number == 1:
                made.name = scope + _text(value)
            elif number == 2:
                pair = {n: v for n, _, v in fields_of(value)}
                label, code = pair.get(1, b""), pair.get(2, 0)
                if isinstance(label, bytes) and isinstance(code, int):
                    made.values.setdefault(signed(code, 64), _text(label))
        self.enums[made.name] = made

    def _service(self, data: bytes, scope: str) -> None:
        name = ""
        methods: list[bytes] = []
        for number, wire_type, value in fields_of(data):
            if wire_type == BYTES and isinstance(value, bytes):
                if number == 1:
                    name = _text(value)
                elif number == 2:
                    methods.append(value)
        for one in methods:
            found = {number: value for number, _, value in fields_of(one)}
            texts = [_text(value) if isinstance(value := found.get(i, b""), bytes) else "" for i in (1, 2, 3)]
            path = f"/{scope}{name}/{texts[0]}"
            self.methods[path] = Method(
                path, texts[1].removeprefix("."), texts[2].removeprefix("."), bool(found.get(5)), bool(found.get(6))
            )


def _field(data: bytes) -> FieldType:
    found = {number: value for number, _, value in fields_of(data)}
    name, type_name = found.get(1, b""), found.get(6, b"")
    number, label, kind = found.get(3, 0), found.get(4, 0), found.get(5, 0)
    return FieldType(
        number if isinstance(number, int) else 0,
        _text(name) if isinstance(name, bytes) else "",
        kind if isinstance(kind, int) and 0 < kind < len(TYPE_NAMES) else OCTETS,
        _text(type_name).removeprefix(".") if isinstance(type_name, bytes) else "",
        label == _REPEATED,
    )


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def signed(value: int, bits: int) -> int:
    """Read an unsigned number of the wire as two's complement."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def fields_of(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Yield (number, wire type, value) of a message as far as it can be read; groups end it."""
    at, end = 0, len(data)
    while at < end:
        key = read_varint(data, at)
        if key is None:
            return
        number, wire_type = key[0] >> 3, key[0] & 7
        at = key[1]
        if wire_type == VARINT:
            value = read_varint(data, at)
            if value is None:
                return
            yield number, wire_type, value[0]
            at = value[1]
            continue
        if wire_type == BYTES:
            length = read_varint(data, at)
            if length is None:
                return
            at, size = length[1], length[0]
        elif wire_type in (FIXED64, FIXED32):
            size = 8 if wire_type == FIXED64 else 4
        else:
            return
        if size > end - at:
            return
        raw = data[at : at + size]
        yield number, wire_type, raw if wire_type == BYTES else int.from_bytes(raw, "little")
        at += size
