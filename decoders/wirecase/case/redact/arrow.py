"""Arrow IPC metadata: column names and key-value metadata are masked, everything else stays valid.

Theory (https://arrow.apache.org/docs/format/Columnar.html, ``Message.fbs``, ``Schema.fbs``). The metadata of an IPC
message is a flatbuffer: tables point to their vtable, which tells where in the table each slot lies; strings are
a length and bytes behind it. A string is overwritten in place, so no offset ever changes. A column becomes ``c1_____``,
a number and padding, so that columns stay distinct; names of up to three bytes stay. A buffer that does not hold to
the format has its runs of text masked instead.
"""

from __future__ import annotations

import re
from struct import Struct, error

from wirecase.case.redact.ledger import Ledger
from wirecase.grpc.flatbuffer import Flatbuffer

_U32 = Struct("<I")
_CONTINUATION = b"\xff\xff\xff\xff"
_SCHEMA, _DICTIONARY, _RECORDS = 1, 2, 3
_HEADER_TYPE, _HEADER, _CUSTOM = 1, 2, 4  # slots of Message
_FIELDS, _SCHEMA_CUSTOM = 1, 2  # slots of Schema
_NAME, _CHILDREN, _FIELD_CUSTOM = 0, 5, 6  # slots of Field
_OWN_NAME = re.compile(rb"c[0-9a-z]{1,6}_*|x+")
_SHORT = 3
_TEXT_RUN = re.compile(rb"[\x20-\x7e]{5,}+")
_TABLES_LIMIT = 100_000
_DEPTH_LIMIT = 64
_DIGITS = b"0123456789abcdefghijklmnopqrstuvwxyz"


class _BadError(Exception):
    """The buffer does not hold to the format."""


class ArrowNames:
    """Pseudonyms of columns, the same for the same name throughout a case."""

    __slots__ = ("_numbers", "_used")

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._used: set[bytes] = set()

    def column(self, name: bytes) -> bytes:
        """Return the pseudonym of a column, as long as its name."""
        if len(name) <= _SHORT or _OWN_NAME.fullmatch(name):
            self._used.add(name.rstrip(b"_"))
            return name
        number = self._numbers.get(name)
        if number is None:
            number = len(self._numbers) + 1
            while _label(number) in self._used:
                number += 1
            if len(self._numbers) < _TABLES_LIMIT:
                self._numbers[name] = number
                self._used.add(_label(number))
        return _label(number)[: len(name)].ljust(len(name), b"_")


def _label(number: int) -> bytes:
    digits = b""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit : digit + 1] + digits
    return b"c" + digits


class _Message(Flatbuffer):
    """A flatbuffer that is edited in place."""

    def __init__(self, data: bytes, names: ArrowNames, ledger: Ledger) -> None:
        super().__init__(data)
        self.out = bytearray(data)
        self._names = names
        self._ledger = ledger
        self._left = _TABLES_LIMIT

    def _tables(self, vector: int) -> list[int]:
        if not vector:
            return []
        count = self.u32(vector)
        self._left -= count
        if self._left < 0 or count * 4 > len(self.data) - vector - 4:
            raise _BadError
        return [at + self.u32(at) for at in range(vector + 4, vector + 4 + 4 * count, 4)]

    def _string(self, at: int) -> tuple[int, int] | None:
        if not at:
            return None
        start, length = at + 4, self.u32(at)
        if start + length > len(self.data):
            raise _BadError
        return start, start + length

    def _mask_pairs(self, vector: int) -> None:
        for pair in self._tables(vector):
            for slot in (0, 1):
                span = self._string(self.follow(pair, slot))
                if span is not None and span[0] < span[1]:
                    self._ledger.counts["Arrow metadata"] += slot
                    self.out[span[0] : span[1]] = b"x" * (span[1] - span[0])

    def _mask_field(self, field: int, depth: int) -> None:
        if depth > _DEPTH_LIMIT:
            raise _BadError
        span = self._string(self.follow(field, _NAME))
        if span is not None:
            name = self.data[span[0] : span[1]]
            made = self._names.column(name)
            self._ledger.counts["Arrow column"] += made != name
            self.out[span[0] : span[1]] = made
        self._mask_pairs(self.follow(field, _FIELD_CUSTOM))
        for child in self._tables(self.follow(field, _CHILDREN)):
            self._mask_field(child, depth + 1)

    def mask(self) -> None:
        """Mask the names and pairs of a `Message`."""
        message = self.u32(0)
        header_type = self.byte(message, _HEADER_TYPE)
        if header_type not in (_SCHEMA, _DICTIONARY, _RECORDS):
            raise _BadError
        if header_type == _SCHEMA:
            schema = self.follow(message, _HEADER)
            for field in self._tables(self.follow(schema, _FIELDS)):
                self._mask_field(field, 0)
            self._mask_pairs(self.follow(schema, _SCHEMA_CUSTOM))
        self._mask_pairs(self.follow(message, _CUSTOM))


def mask_message(data: bytes, names: ArrowNames, ledger: Ledger) -> bytes:
    """Return the flatbuffer of an IPC message with its names masked; as long as it was."""
    if not data:
        return data
    buffer = _Message(data, names, ledger)
    try:
        buffer.mask()
    except (_BadError, error, IndexError):
        ledger.note("Arrow metadata that does not parse: its text was masked, its other bytes were kept")
        return _TEXT_RUN.sub(lambda run: b"x" * len(run.group()), data)
    return bytes(buffer.out)


def mask_stream(data: bytes, names: ArrowNames, ledger: Ledger) -> bytes:
    """Mask an encapsulated IPC message: continuation marker, length, flatbuffer; or the flatbuffer alone."""
    start = 8 if data[:4] == _CONTINUATION else 4
    if len(data) < start + 4:
        return bytes(len(data))
    length = _U32.unpack_from(data, start - 4)[0]
    if start + length > len(data):
        return mask_message(data, names, ledger)
    rest = data[start + length :]
    return data[:start] + mask_message(data[start : start + length], names, ledger) + bytes(len(rest))
