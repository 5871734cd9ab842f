"""Where the fields of many header blocks stand (RFC 7541 §6), found in lockstep: the first of each, the second of each.

This needs no table: representations, integers and strings say themselves how long they are.
"""

from __future__ import annotations

import numpy as np

from wirecase.http2.lockstep import Array

MOST_FIELDS = 64
"""Fields of a block that are looked for."""

INDEXED, INSERTED, LITERAL = range(3)
"""An indexed field, a literal that is inserted into the table, and one that is not."""


_NOTHING: Array = np.zeros(0, dtype=np.int64)


class _OddError(Exception):
    """The blocks are not for this path."""


class Fields:
    """The fields of many blocks, in order, as columns; string columns are 0 where there is no string."""

    __slots__ = ("block", "coded", "count", "index", "kind", "name_start", "size", "start", "value_at", "value_length",
                 "value_start")  # fmt: skip

    def __init__(self, columns: Array, count: Array, size: Array) -> None:
        self.count: Array = count
        """Fields of each block."""
        self.size: Array = size
        """Bytes of each block."""
        self.start: Array = np.cumsum(count) - count
        """The row of each block's first field; the other columns are by row."""
        (self.block, self.kind, self.index, self.name_start, self.value_start, self.value_at, self.value_length,
         self.coded) = columns  # fmt: skip

    def slim(self) -> None:
        """Let go of the columns that decoding a single block does not need."""
        self.kind, self.index = self.kind.astype(np.int8), self.index.astype(np.int32)
        self.value_start = self.value_start.astype(np.int32)
        self.block = self.name_start = self.value_at = self.value_length = self.coded = _NOTHING


def parse(raw: Array, begins: Array, ends: Array) -> Fields | None:
    """Find the fields of the blocks that stand at ``raw[begins:ends]``.

    None if a block holds what is not usual: no field or very many, a size update, a long integer, an error.
    """
    try:
        return _parse(raw, begins, ends)
    except _OddError:
        return None


def _parse(raw: Array, begins: Array, ends: Array) -> Fields:
    count: Array = np.zeros(len(begins), dtype=np.int64)
    active = np.flatnonzero(begins < ends)
    if len(active) < len(begins):
        raise _OddError
    at = begins
    found = []
    steps = []
    for step in range(MOST_FIELDS):
        byte = raw.take(at).astype(np.int64)
        if ((byte & 0xE0) == 0x20).any():
            raise _OddError
        indexed, inserted = byte >= 0x80, (byte & 0xC0) == 0x40
        index, at = _integers(raw, byte, at, np.where(indexed, 0x7F, np.where(inserted, 0x3F, 0x0F)))
        columns: Array = np.zeros((8, len(active)), dtype=np.int64)
        columns[0], columns[2] = active, index
        columns[1] = np.where(indexed, INDEXED, np.where(inserted, INSERTED, LITERAL))
        if not index[indexed].all():
            raise _OddError
        literal = np.flatnonzero(~indexed)
        if len(literal):
            named = literal[index[literal] == 0]
            if len(named):
                columns[3, named] = at[named]
                begin, length, _ = _strings(raw, at[named])
                at[named] = begin + length
            columns[4, literal] = at[literal]
            begin, length, coded = _strings(raw, at[literal])
            columns[5, literal], columns[6, literal], columns[7, literal] = begin, length, coded
            at[literal] = begin + length
        if (at > ends[active]).any():
            raise _OddError
        found.append(columns)
        steps.append(step)
        count[active] += 1
        going = at < ends[active]
        active, at = active[going], at[going]
        if not len(active):
            break
    else:
        raise _OddError
    start = np.cumsum(count) - count
    ordered: Array = np.empty((8, int(count.sum())), dtype=np.int64)
    for step, columns in zip(steps, found, strict=True):
        ordered[:, start[columns[0]] + step] = columns
    return Fields(ordered, count, ends - begins)


def _integers(raw: Array, byte: Array, at: Array, mask: Array) -> tuple[Array, Array]:
    """Read the integers whose first bytes, at `at`, are `byte` (RFC 7541 §5.1); return them and what stands behind."""
    value: Array = byte & mask
    after: Array = at + 1
    longer = np.flatnonzero(value == mask)
    for shift in (0, 7):
        if not len(longer):
            return value, after
        more: Array = raw.take(after[longer], mode="clip").astype(np.int64)
        value[longer] += (more & 0x7F) << shift
        after[longer] += 1
        longer = longer[more >= 0x80]
    if len(longer):
        raise _OddError
    return value, after


def _strings(raw: Array, at: Array) -> tuple[Array, Array, Array]:
    """Read the heads of string literals (RFC 7541 §5.2): where they begin, their length, whether they are coded."""
    byte = raw.take(at, mode="clip").astype(np.int64)
    length, begin = _integers(raw, byte, at, np.full(len(at), 0x7F))
    return begin, length, byte >> 7
