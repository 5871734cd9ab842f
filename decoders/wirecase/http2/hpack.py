"""HPACK decoding (RFC 7541) of one direction of a connection, fast, and able to join late.

One `HeaderDecoder` holds the dynamic table that one side's encoder keeps. What makes it fast: a block that was seen
before under the same table is answered from a memo of whole blocks (`_memo`, dropped whenever the table changes;
`_stable` for blocks that touch the dynamic table in no way, which no change outdates), and Huffman-coded strings are
answered from a memo shared by all decoders.

**The table.** Entries are numbered as they are inserted, so index 62 is number `_newest`, 63 the one before, and an
eviction removes number `_oldest`. The dictionary `_entries` holds those that are known.

**Joining late.** Where the capture begins in mid-connection, or a gap swallowed header blocks, the table holds entries
that nobody saw. They are older than all that is inserted from then on, so newer entries still resolve exactly, and an
index beyond them is *unknown*: the field is ``(None, None)``, or ``(None, value)`` where only the name is taken from
the table. The size of the table is unknown too until a size update tells it. Known entries are kept as long as the
sizes that are known allow; sizes are never overrated, so this keeps an entry too long rather than too short, and an
encoder does not refer to what it has evicted. An update to a size in which no entry fits leaves nothing unknown: the
decoder is exact again.

**Bounds.** Every block takes time in proportion to its length. Of a header list of more than 65,536 fields or 16 MiB
only the first 1,000 fields are kept, and counted to its end. Of a table only the newest 1 MiB is kept; entries beyond
that are unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

from wirecase.http2 import huffman
from wirecase.http2.hpack_static import FIRST_DYNAMIC, STATIC, UNKNOWN, Entry, Field

T = TypeVar("T")
HpackErrorKind: TypeAlias = Literal["index", "huffman", "integer", "string-length", "table-size", "truncated"]

MAX_INTEGER = 1 << 62
"""The largest integer taken; RFC 7541 §5.1 leaves the limit to the decoder."""
MAX_CONTINUATION = 10
"""Octets that an integer may have after its prefix."""
MAX_FIELDS = 1 << 16
MAX_LIST_SIZE = 16 << 20
KEPT_FIELDS = 1000
"""Fields kept of a list beyond `MAX_FIELDS` or `MAX_LIST_SIZE`."""
KEPT_UPDATES = 16
"""Size updates of one block that are told; RFC 7541 §4.2 needs no more than two."""
MAX_TABLE_KEPT = 1 << 20
"""Octets (RFC 7541 §4.1) of a dynamic table that are kept."""
LATE_TABLE_KEPT = 1 << 16
"""The same after a late join, while the table's size is unknown."""
LATE_TABLE_SIZE = 16 << 20
"""The largest table that is believed in after a late join, when the SETTINGS that bound it may not have been seen."""

_CHUNK = 1 << 16
_MEMO_BLOCKS = 512
_MEMO_LIST_SIZE = 8192
_MEMO_STRINGS = 4096
_MEMO_STRING_LENGTH = 128

_strings: dict[bytes, bytes] = {}
"""Huffman-coded strings met before, and what they decode to."""


class HpackError(Exception):
    """A block that RFC 7541 does not allow; its text is one plain sentence with the values."""

    def __init__(self, kind: HpackErrorKind, offset: int, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.offset = offset
        """Where in the block the integer, string or field at fault begins."""
        self.text = text
        self.fields: tuple[Field, ...] = ()
        """The fields decoded before the error, at most `KEPT_FIELDS`."""


@dataclass(slots=True)
class DecodedInfo:
    """What a block showed beside its fields."""

    list_size: int
    """Octets as SETTINGS_MAX_HEADER_LIST_SIZE counts them: names, values and 32 per field (RFC 9113 §6.5.2). The
    names and values that a late join hides count as empty."""
    fields: int
    """How many fields the block has."""
    size_updates: tuple[int, ...] = ()
    """Dynamic table size updates at the start of the block, in order, the first `KEPT_UPDATES`."""
    never_indexed: bool = False
    """True if a field is a "literal never indexed" (RFC 7541 §6.2.3)."""
    unknown: bool = False
    """True if a name or value is None."""
    truncated: bool = False
    """True if only the first `KEPT_FIELDS` fields were kept."""
    missed_size_update: bool = False
    """True if the table's size had to be lowered at the start of the block and was not (RFC 7541 §4.2). Told once;
    the table keeps its size, since that is what the encoder works with."""
    owed_size: int | None = None
    """The size that such a block had to announce: the lowest limit that was set since the last block."""


class HeaderDecoder(Generic[T]):
    """Decodes the header blocks of one direction in order; what a block decodes to is made by `make`.

    `make` gets the fields and the `DecodedInfo`; its result is handed out again for equal blocks, so it should not be
    changed afterwards. `late` says that the encoder may have sent blocks before; `limit` is the table's size at the
    start and the bound for size updates (4,096 by RFC 9113 §6.5.2, unless a join with known SETTINGS tells better).
    """

    def __init__(
        self,
        make: Callable[[tuple[Field, ...], DecodedInfo], T],
        *,
        late: bool = False,
        limit: int = 4096,
    ) -> None:
        self.make = make
        """Makes what a block decodes to."""
        self._memo: dict[bytes, T] = {}
        self._stable: dict[bytes, T] = {}
        self._entries: dict[int, Entry] = {}
        self._newest = 0
        self._oldest = 1
        self._total = 0
        """Size of the known entries (RFC 7541 §4.1); less than the truth where a name is unknown."""
        self._limit = limit
        """The largest size that an update may set."""
        self._size: int | None = limit
        """The table's maximum size as the encoder set it; None if unknown."""
        self.kept = min(limit, MAX_TABLE_KEPT)
        """Size of the entries that are kept: of the whole table where that is known exactly."""
        self._reach = limit if limit > MAX_TABLE_KEPT else 0
        """Size of the table if it may hold entries that are not known, otherwise 0."""
        self._owed: int | None = None
        """The lowest limit since the last block, if the encoder has to announce it."""
        self.late = False
        """True while the table may hold entries that are not known."""
        if late:
            self.join_late()

    def decode(self, block: bytes) -> T:
        """Decode a whole header block (without padding and priority; CONTINUATION joined).

        Raises `HpackError` and then goes on as after `join_late`, as the table is lost.
        """
        seen = self._memo.get(block)
        if seen is None:
            seen = self._stable.get(block)
            if seen is None:
                return self._decode(block)
        return seen

    def recall(self, block: bytes) -> T | None:
        """Return what a block that was seen under the same table decodes to; None if it must be decoded."""
        seen = self._memo.get(block)
        return self._stable.get(block) if seen is None else seen

    @property
    def exact(self) -> bool:
        """The whole table is known, and the encoder owes nothing."""
        return not self._reach and self._owed is None

    def entries(self) -> list[Entry]:
        """Return the entries that are known, oldest first."""
        return list(self._entries.values())

    def replace(self, entries: list[Entry]) -> None:
        """Set the table to what blocks decoded elsewhere have made of it, in the form that `entries` returns."""
        self._memo.clear()
        first = self._newest + 1
        self._entries = dict(enumerate(entries, first))
        self._oldest, self._newest = first, self._newest + len(entries)
        self._total = sum(size for _, size in entries)

    def join_late(self) -> None:
        """Forget the table: from here on its contents and its size are unknown.

        Size updates up to `LATE_TABLE_SIZE` are accepted until `set_limit` is called again.
        """
        self._memo.clear()
        self._entries.clear()
        self._oldest = self._newest + 1
        self._total = 0
        self._limit = max(self._limit, LATE_TABLE_SIZE)
        self._size = None
        self.kept = LATE_TABLE_KEPT
        self._reach = self._limit
        self._owed = None
        self.late = True

    def set_limit(self, limit: int) -> None:
        """Note that SETTINGS_HEADER_TABLE_SIZE `limit` binds the encoder from its next block on (RFC 7541 §4.2).

        A lower limit binds once the encoder's side acknowledged the SETTINGS; a higher one may be used at once.
        """
        self._limit = limit
        if self._size is not None and limit < self._size:
            self._owed = limit if self._owed is None else min(limit, self._owed)
            self._memo.clear()
            self._stable.clear()

    def _decode(self, block: bytes) -> T:
        fields: list[Field] = []
        try:
            return self._walk(block, fields)
        except HpackError as error:
            error.fields = tuple(fields[:KEPT_FIELDS])
            self.join_late()
            raise

    def _walk(self, block: bytes, fields: list[Field]) -> T:
        """Decode `block` into `fields` (RFC 7541 §6). One long function, since this is the hottest place of all."""
        pos = 0
        end = len(block)
        updates: tuple[int, ...] = ()
        missed: int | None = None
        if self._owed is not None or (end and block[0] & 0xE0 == 0x20):
            updates, missed, pos = self._size_updates(block)
        entries = self._entries
        append = fields.append
        newest = first = self._newest
        base = newest + FIRST_DYNAMIC
        static = STATIC
        list_size = dropped = 0
        dynamic = never = unknown = False

        while pos < end:
            stop = min(end, pos + _CHUNK)
            while pos < stop:
                start = pos
                byte = block[pos]
                pos += 1
                if 0x80 < byte < 0xBE:  # indexed field, static table (§6.1)
                    field, size = static[byte & 0x7F]
                    append(field)
                    list_size += size
                    continue
                if byte >= 0x80:  # indexed field, dynamic table
                    index = byte & 0x7F
                    if index == 0x7F:
                        index, pos = _integer(block, pos, 0x7F)
                    field, size = entries.get(base - index) or self._beyond(index, start)
                    append(field)
                    list_size += size
                    dynamic = True
                    continue

                if byte >= 0x40:  # literal with incremental indexing (§6.2.1)
                    index = byte & 0x3F
                    if index == 0x3F:
                        index, pos = _integer(block, pos, 0x3F)
                elif byte >= 0x20:
                    raise HpackError("table-size", start, "A dynamic table size update stands after a header field.")
                else:  # literal without indexing, never indexed (§6.2.2, §6.2.3)
                    if byte >= 0x10:
                        never = True
                    index = byte & 0x0F
                    if index == 0x0F:
                        index, pos = _integer(block, pos, 0x0F)
                name: bytes | None
                if not index:
                    name, pos = string(block, pos, end)
                    size = 32 + len(name)
                else:
                    if index < FIRST_DYNAMIC:
                        name = static[index][0][0]
                    else:
                        dynamic = True
                        name = (entries.get(base - index) or self._beyond(index, start))[0][0]
                    size = 32 if name is None else 32 + len(name)
                value, pos = string(block, pos, end)
                size += len(value)
                list_size += size
                field = (name, value)
                append(field)
                if byte >= 0x40:
                    newest += 1
                    base += 1
                    self._newest = newest
                    entries[newest] = (field, size)
                    self._total += size
                    if self._total > self.kept:
                        self._evict()

            if self._reach and not unknown:
                unknown = any(field[0] is None for field in fields)
            if len(fields) + dropped > MAX_FIELDS or list_size > MAX_LIST_SIZE:
                dropped += len(fields[KEPT_FIELDS:])
                del fields[KEPT_FIELDS:]

        info = DecodedInfo(list_size, len(fields) + dropped, updates, never, unknown, dropped > 0)
        if missed is not None:
            info.missed_size_update, info.owed_size = True, missed
        made = self.make(tuple(fields), info)
        if newest != first:
            if self._memo:
                self._memo.clear()
        elif list_size <= _MEMO_LIST_SIZE and not updates and missed is None:
            memo = self._memo if dynamic else self._stable
            if len(memo) >= _MEMO_BLOCKS:
                memo.clear()
            memo[block] = made
        return made

    def _evict(self) -> None:
        """Drop the oldest entries until those left fit (RFC 7541 §4.3, §4.4)."""
        total = self._total
        oldest = self._oldest
        while total > self.kept:
            total -= self._entries.pop(oldest)[1]
            oldest += 1
        self._total = total
        self._oldest = oldest

    def _beyond(self, index: int, start: int) -> Entry:
        """Return the unknown entry for an index that is not known, if the table can reach that far."""
        known = len(self._entries)
        if index and 32 * (index - FIRST_DYNAMIC + 1 - known) <= self._reach - self._total:
            self.late = True  # news only for a table that is larger than what is kept of it
            return UNKNOWN
        if not index:
            raise HpackError("index", start, "A header field has index 0, which is not used.")
        held = f"{known} {'entry' if known == 1 else 'entries'}"
        if self._reach:
            held += f" that are known and no room for another {index - FIRST_DYNAMIC + 1 - known}"
        raise HpackError("index", start, f"A header field has index {index}, but the dynamic table has {held}.")

    def _size_updates(self, block: bytes) -> tuple[tuple[int, ...], int | None, int]:
        """Apply the size updates at the start of `block` (RFC 7541 §4.2, §6.3).

        Returns them, the limit that was owed if they do not announce it, and the offset behind them.
        """
        pos = 0
        updates: list[int] = []
        missed, self._owed = self._owed, None
        while pos < len(block) and block[pos] & 0xE0 == 0x20:
            start = pos
            size = block[pos] & 0x1F
            pos += 1
            if size == 0x1F:
                size, pos = _integer(block, pos, 0x1F)
            if size > self._limit:
                text = f"A dynamic table size update sets {size} bytes, but at most {self._limit} are accepted."
                raise HpackError("table-size", start, text)
            if len(updates) < KEPT_UPDATES:
                updates.append(size)
            if missed is not None and size <= missed:
                missed = None
            self._resize(size)
        return tuple(updates), missed, pos

    def _resize(self, size: int) -> None:
        """Set the table's maximum size as the encoder does."""
        self._memo.clear()
        if size < 32:  # not even an empty field fits, so what was unknown is gone
            self.late = False
        self._size = size
        self.kept = min(size, MAX_TABLE_KEPT)
        self._reach = size if self.late or size > MAX_TABLE_KEPT else 0
        self._evict()


def _integer(block: bytes, pos: int, prefix: int) -> tuple[int, int]:
    """Return the integer whose prefix, all ones, ends before `pos`, and the offset behind it (RFC 7541 §5.1)."""
    start = pos - 1
    value = prefix
    for shift in range(0, 7 * MAX_CONTINUATION, 7):
        if pos >= len(block):
            raise HpackError("truncated", start, "The block ends in the middle of an integer.")
        byte = block[pos]
        pos += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            if value > MAX_INTEGER:
                raise HpackError("integer", start, f"An integer has the value {value}, more than 2^62.")
            return value, pos
    raise HpackError("integer", start, f"An integer goes on for more than {MAX_CONTINUATION} bytes.")


def string(block: bytes, pos: int, end: int) -> tuple[bytes, int]:
    """Return the string literal at `pos` and the offset behind it (RFC 7541 §5.2)."""
    if pos >= end:
        raise HpackError("truncated", pos, "The block ends where a string should begin.")
    start = pos
    byte = block[pos]
    length = byte & 0x7F
    pos += 1
    if length == 0x7F:
        length, pos = _integer(block, pos, 0x7F)
    stop = pos + length
    if stop > end:
        text = f"A string declares {length} bytes, but the block has {end - pos} left."
        raise HpackError("string-length", start, text)
    data = block[pos:stop]
    if byte < 0x80:
        return data, stop
    text_ = _strings.get(data)
    if text_ is None:
        try:
            text_ = huffman.decode(data)
        except huffman.HuffmanError as error:
            raise HpackError("huffman", start, f"A Huffman-coded string of {length} bytes {error}.") from None
        if length <= _MEMO_STRING_LENGTH:
            if len(_strings) >= _MEMO_STRINGS:
                _strings.clear()
            _strings[data] = text_
    return text_, stop
