"""Messages without a schema: the values are replaced, the structure stays.

Theory. Protobuf's wire format tells fields and lengths but not whether a length-delimited field is a string, bytes,
packed numbers or a message. A value is taken as text if it is text, as a message if it parses as one, and otherwise as
bytes, which become zeros (as packed numbers that is still sound). Text that is also a row of length-delimited fields
keeps their tags and lengths, so that either reading survives. Varints and fixed numbers keep their sizes. Where a
method's messages are known, a `Schema` says better what a field is.

Every field costs one unit of a budget; behind its end a single field that no schema knows covers the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, TypeAlias, Union

from wirecase.case.redact.fill import PROSE, blanket, is_text
from wirecase.grpc.protobuf import BYTES, FIXED32, FIXED64, VARINT, read_varint

Treatment: TypeAlias = Callable[[bytes], bytes]
"""Returns what stands in place of a field's bytes, as long as they are."""
Rule: TypeAlias = Union[Literal["keep"], Treatment, "Schema"]
Schema: TypeAlias = Mapping[int, Rule]
"""What to do with the fields of a message, by number; the others are treated without a schema."""

FIELDS_BUDGET = 200_000
DEPTH_LIMIT = 40
_NESTED_NUMBERS = 2048
"""Field numbers from which on bytes inside a message are rather no message themselves."""


class Span(NamedTuple):
    """One field on the wire: ``data[at:start]`` is its tag (and length), ``data[start:stop]`` its value."""

    number: int
    wire_type: int
    at: int
    start: int
    stop: int


class Filler:
    """Makes the values that stand in place of the removed ones; with a key, equal ones for equal originals."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key

    @property
    def keyed(self) -> bool:
        """Equal originals get equal fillers, and different ones different fillers."""
        return self._key is not None

    def _digest(self, value: bytes) -> bytes:
        assert self._key is not None
        return hashlib.blake2b(value, key=self._key).digest()

    def text(self, value: bytes) -> bytes:
        """Return a filler for a string."""
        return value.translate(PROSE) if self._key is None else self._hex(value)

    def binary(self, value: bytes) -> bytes:
        """Return a filler for bytes of unknown meaning."""
        return bytes(len(value)) if self._key is None else self._hex(value)

    def _hex(self, value: bytes) -> bytes:
        digits = self._digest(value).hex().encode()
        return (digits * (len(value) // len(digits) + 1))[: len(value)]

    def number(self, value: bytes) -> bytes:
        """Return a varint as long as `value`, which is one; a zero stays a zero."""
        size = len(value)
        if value == b"\0":
            return value
        if self._key is None:
            return b"\x80" * (size - 1) + b"\x01"
        digest = self._digest(value)[:size]
        return bytes(b | 0x80 for b in digest[:-1]) + bytes((digest[-1] % (0x7F if size < 10 else 1) or 1,))

    def fixed(self, value: bytes) -> bytes:
        """Return a filler for a number of 4 or 8 bytes."""
        return bytes(len(value)) if self._key is None else self._digest(value)[: len(value)]


class Walker:
    """Redacts one message."""

    def __init__(self, filler: Filler, budget: int = FIELDS_BUDGET) -> None:
        self._fill = filler
        self._left = budget

    def redact(self, data: bytes, schema: Schema | None = None, *, cut: bool = False) -> bytes:
        """Return `data` with its values replaced; with `cut`, its last field may run past its end."""
        return self._value(data, schema, 0, cut=cut)

    def _value(self, data: bytes, schema: Schema | None, depth: int, *, cut: bool = False) -> bytes:
        text = schema is None and is_text(data)
        spans = None
        rest = len(data)
        if data and data[0] and depth < DEPTH_LIMIT and not (text and data[0] & 7 != BYTES):
            spans, rest = self._scan(data, 1 << 29 if depth == 0 or schema else _NESTED_NUMBERS, cut=cut)
        if text and spans and any(span.wire_type != BYTES for span in spans):
            spans = None  # letters that happen to be tags
        if spans is None:
            return self._fill.text(data) if text else self._fill.binary(data)
        parts: list[bytes] = []
        for span in spans:
            parts += (data[span.at : span.start], self._field(span, data[span.start : span.stop], schema, depth))
        if rest < len(data):  # a tag that is cut stays, fields behind the budget do not
            parts.append(blanket(len(data) - rest) if self._left <= 0 else data[rest:])
        return b"".join(parts)

    def _field(self, span: Span, value: bytes, schema: Schema | None, depth: int) -> bytes:
        rule = schema.get(span.number) if schema else None
        if rule == "keep":
            return value
        if span.wire_type == VARINT:
            return self._fill.number(value)
        if span.wire_type != BYTES:
            return self._fill.fixed(value)
        if rule is None or isinstance(rule, Mapping):
            return self._value(value, rule, depth + 1)
        made: bytes = rule(value)
        assert len(made) == len(value)
        return made

    def _scan(self, data: bytes, numbers: int, *, cut: bool) -> tuple[list[Span] | None, int]:
        """Return the fields, and where they end: before the end of `data` if the budget did or a tag is cut.

        None instead of the fields if the bytes are no message.
        """
        spans: list[Span] = []
        at, end = 0, len(data)
        while at < end:
            if self._left <= 0:
                return spans, at
            self._left -= 1
            key = data[at]
            start = at + 1
            if key >= 0x80:
                wide = read_varint(data, at)
                if wide is None:
                    return (spans, at) if cut and end - at < 10 else (None, 0)
                key, start = wide
            number, wire_type = key >> 3, key & 7
            if not 1 <= number < numbers:
                return None, 0
            if wire_type == VARINT:
                stop = start
                while stop < end and data[stop] >= 0x80:
                    stop += 1
                stop += 1
                if stop - start > 10:
                    return None, 0
            elif wire_type == BYTES:
                length = read_varint(data, start)
                if length is None:
                    return (spans, at) if cut and end - start < 10 else (None, 0)
                start = length[1]
                stop = start + length[0]
            elif wire_type == FIXED64:
                stop = start + 8
            elif wire_type == FIXED32:
                stop = start + 4
            else:
                return None, 0
            if stop > end:
                if not cut or start == end:
                    return (spans, at) if cut else (None, 0)
                stop = end
            spans.append(Span(number, wire_type, at, start, stop))
            at = stop
        return spans, end
