"""Header blocks of one direction decoded at once, as far as grading them needs it.

Theory. Most blocks of a busy connection differ only in values that decide nothing: a trace id, a request id. So no
value is decoded that nobody asks for. The fields are found in lockstep (`hpack_parse`), strings are measured
(`huffman_columns`), and what an index stands for follows from how many insertions came before it. Each field then gets
a *class*: its name, and its value only where that decides how its block is graded. Blocks whose fields are of the same
classes are of the same grade, so one of them is decoded and graded for all.

Whatever is out of the ordinary - a table that is not known exactly, an error, a size update - is refused before
anything is changed, and left to `HeaderDecoder.decode`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wirecase.http2.facts import HeaderBlock
from wirecase.http2.fields import CONTROL
from wirecase.http2.hpack import DecodedInfo, HeaderDecoder, HpackError, string
from wirecase.http2.hpack_parse import INDEXED, INSERTED, MOST_FIELDS, Fields, parse
from wirecase.http2.hpack_static import FIRST_DYNAMIC, STATIC, Entry, Field
from wirecase.http2.huffman_columns import measure
from wirecase.http2.lockstep import Array
from wirecase.http2.ordinary import LARGEST_LIST

Weigh = Callable[[bytes], "Callable[[bytes], bytes] | None"]
"""Says of a field's name what of its value decides how a block is graded: None for nothing, or a function that returns
the same for values that make no difference."""

Make = Callable[[tuple[Field, ...], DecodedInfo], HeaderBlock]

_UNSOUND = b"\0"
"""Begins the class of a value that holds a control character."""
_OWN_CLASS = 1 << 32
"""Classes from here on are those of a name with a value; below, a class is the number of a name."""
_FIELD = 20
"""Bytes of memory that a field takes once it is graded."""
_MIXERS: Array = np.arange(1, 2 * MOST_FIELDS, 2, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
"""By place in the block: makes equal keys unlikely for blocks that differ. Equal keys are only a hint (`_compare`)."""


class HeaderColumns:
    """Blocks that were decoded at once: `representatives` are to be graded, each for those that `alike` says."""

    def __init__(self, data: bytes, fields: Fields, known: list[Entry], weigh: Weigh, make: Make) -> None:
        self._make = make
        self._data = data
        self._fields = fields
        self._known = known
        """The dynamic table before the first block, oldest entry first."""
        self._inserted: Array = np.flatnonzero(fields.kind == INSERTED)
        self._weigh = weigh
        self._names: dict[bytes, int] = {}
        self._classes: dict[tuple[int, bytes], int] = {}
        self._made: dict[int, HeaderBlock] = {}
        self.size = _FIELD * len(fields.kind)
        """Roughly the bytes of memory that are held."""

    def resolve(self, raw: Array, kept: int) -> bool:
        """Work out names, sizes and classes of all fields; False if something is odd. `kept` is the table's size."""
        fields, known, inserted = self._fields, len(self._known), self._inserted
        dynamic = fields.index >= FIRST_DYNAMIC
        before = np.cumsum(fields.kind == INSERTED) - (fields.kind == INSERTED)
        # Entries of the table are numbered from the oldest that is known now; an index counts back from the newest.
        entry = np.where(dynamic, known + before - 1 - (fields.index - FIRST_DYNAMIC), 0)
        if entry.min(initial=0) < 0:
            return False
        literal = np.flatnonzero(fields.kind != INDEXED)
        measured = measure(
            raw, self._data, fields.value_at[literal], fields.value_length[literal], fields.coded[literal] != 0
        )
        if not measured.sound:
            return False
        name = self._name_fields(literal, entry, dynamic)
        name_sizes: Array = np.array([len(text) for text in self._names], dtype=np.int64)
        sizes: Array = np.zeros(len(entry), dtype=np.int64)
        sizes[literal] = 32 + name_sizes[name[literal]] + measured.decoded
        entry_sizes = np.concatenate((np.array([size for _, size in self._known], dtype=np.int64), sizes[inserted]))
        oldest = _oldest(entry_sizes, kept)
        if (dynamic & (entry < oldest[known + before])).any():
            return False
        self._oldest_left = int(oldest[-1])
        indexed = fields.kind == INDEXED
        static_sizes: Array = np.array([size for _, size in STATIC], dtype=np.int64)
        fixed, moving = indexed & ~dynamic, indexed & dynamic
        sizes[fixed] = static_sizes[fields.index[fixed]]
        sizes[moving] = entry_sizes[entry[moving]]
        self._list_sizes: Array = np.add.reduceat(sizes, fields.start)
        if int(self._list_sizes.max()) > LARGEST_LIST:
            return False
        self._texts = list(self._names)
        """Names by number."""
        classes = name.copy()
        self._classify(classes, literal, measured.control)
        static_classes: Array = np.array([self._class(*field) for field, _ in STATIC], dtype=np.int64)
        entry_classes: Array = np.zeros(known + len(inserted), dtype=np.int64)
        entry_classes[known:] = classes[inserted]
        for used in np.bincount(entry[moving & (entry < known)]).nonzero()[0].tolist():
            entry_classes[used] = self._class(*self._known[used][0])
        classes[fixed] = static_classes[fields.index[fixed]]
        classes[moving] = entry_classes[entry[moving]]
        if not self._compare(classes):
            return False
        self._entry, self._name = entry.astype(np.int32), name.astype(np.int32)
        fields.slim()
        self._names, self._classes = {}, {}
        return True

    # ---- names and classes -------------------------------------------------------------------------------------

    def _number(self, name: bytes | None) -> int:
        return self._names.setdefault(name or b"", len(self._names))

    def _name_fields(self, literal: Array, entry: Array, dynamic: Array) -> Array:
        """Return the number of each literal's name. May raise `HpackError`."""
        fields, known, inserted = self._fields, len(self._known), self._inserted
        static: Array = np.array([self._number(field[0]) for field, _ in STATIC], dtype=np.int64)
        name = np.where(dynamic, 0, static[np.where(dynamic, 0, fields.index)])
        data = self._data
        seen: dict[bytes, int] = {}
        rows = literal[fields.index[literal] == 0]
        numbers = []
        for start, stop in zip(fields.name_start[rows].tolist(), fields.value_start[rows].tolist(), strict=True):
            wire = data[start:stop]
            number = seen.get(wire)
            if number is None:
                number = seen[wire] = self._number(string(wire, 0, len(wire))[0])
            numbers.append(number)
        name[rows] = numbers
        # An entry's name may be that of an entry before it: follow the references, twice as far with each turn.
        source = np.arange(known + len(inserted))
        borrowed = dynamic[inserted]
        source[known:][borrowed] = entry[inserted[borrowed]]
        while True:
            further = source[source]
            if (further == source).all():
                break
            source = further
        entry_names: Array = np.zeros(len(source), dtype=np.int64)
        for used in np.bincount(source[source < known]).nonzero()[0].tolist():
            entry_names[used] = self._number(self._known[used][0][0])
        entry_names[known:] = name[inserted]
        entry_names = entry_names[source]
        borrowing = literal[dynamic[literal]]
        name[borrowing] = entry_names[entry[borrowing]]
        return name

    def _class(self, name: bytes | None, value: bytes | None) -> int:
        """Return the class of a field whose name and value are known."""
        number, text = self._number(name), value or b""
        weigh = self._weigh(name or b"")
        if len(text.translate(None, CONTROL)) != len(text):
            return self._own_class(number, _UNSOUND + text)
        return number if weigh is None else self._own_class(number, weigh(text))

    def _own_class(self, number: int, weight: bytes) -> int:
        return self._classes.setdefault((number, weight), _OWN_CLASS + len(self._classes))

    def _classify(self, classes: Array, literal: Array, control: Array) -> None:
        """Give literals a class of their own where their value decides something, or is not sound."""
        data, start = self._data, self._fields.value_start
        heavy = [self._weigh(name) for name in self._texts]
        mine = classes[literal]
        picked = control | np.array([weigh is not None for weigh in heavy])[mine]
        for row, number, odd in zip(
            literal[picked].tolist(), mine[picked].tolist(), control[picked].tolist(), strict=True
        ):
            text, weigh = string(data, int(start[row]), len(data))[0], heavy[number]
            if odd:
                classes[row] = self._own_class(number, _UNSOUND + text)
            elif weigh is not None:
                classes[row] = self._own_class(number, weigh(text))

    def _compare(self, classes: Array) -> bool:
        """Find blocks whose fields are of the same classes; False if the comparison was deceived."""
        fields = self._fields
        step = np.arange(len(classes)) - fields.start[fields.block]
        mixed = (classes.astype(np.uint64) + np.uint64(1)) * _MIXERS[step]
        mixed ^= mixed >> np.uint64(29)
        keys = np.add.reduceat(mixed * _MIXERS[step], fields.start)
        _, self.representatives, self.alike = np.unique(keys, return_index=True, return_inverse=True)
        like = self.representatives[self.alike]
        if (fields.count != fields.count[like]).any():
            return False
        return bool((classes == classes[fields.start[like][fields.block] + step]).all())

    # ---- what somebody asks for --------------------------------------------------------------------------------

    def block(self, number: int) -> HeaderBlock:
        """Return a block, all of it decoded."""
        made = self._made.get(number)
        if made is None:
            start, count = int(self._fields.start[number]), int(self._fields.count[number])
            info = DecodedInfo(int(self._list_sizes[number]), count)
            made = self._make(tuple([self._field(row) for row in range(start, start + count)]), info)
            made.wire_size = int(self._fields.size[number])
            self._made[number] = made
        return made

    def table(self) -> list[Entry]:
        """Return the dynamic table after the last block, oldest entry first."""
        known = self._known
        left = known[self._oldest_left :]
        for row in self._inserted[max(self._oldest_left - len(known), 0) :].tolist():
            name, value = field = self._field(row)
            left.append((field, 32 + len(name or b"") + len(value or b"")))
        return left

    def inserts(self) -> bool:
        """Tell whether a block inserted anything."""
        return bool(len(self._inserted))

    def _field(self, row: int) -> Field:
        fields, known = self._fields, self._known
        if fields.kind[row] == INDEXED:
            index = int(fields.index[row])
            if index < FIRST_DYNAMIC:
                return STATIC[index][0]
            entry = int(self._entry[row])
            if entry < len(known):
                return known[entry][0]
            row = int(self._inserted[entry - len(known)])
        data = self._data
        return self._texts[self._name[row]], string(data, int(fields.value_start[row]), len(data))[0]


def _oldest(sizes: Array, kept: int) -> Array:
    """Return, for each number of entries inserted so far, the oldest that is left (RFC 7541 §4.4)."""
    before = np.concatenate(([0], np.cumsum(sizes)))
    oldest: Array = np.searchsorted(before, before - kept, side="left")
    return oldest


def decode(
    decoder: HeaderDecoder[HeaderBlock], data: bytes, raw: Array, begins: Array, ends: Array, weigh: Weigh
) -> HeaderColumns | None:
    """Decode the blocks that stand at ``data[begins:ends]``, in order; `raw` is `data` as an array.

    None, with nothing changed, if they are not for this path.
    """
    if not decoder.exact:
        return None
    fields = parse(raw, begins, ends)
    if fields is None:
        return None
    columns = HeaderColumns(data, fields, decoder.entries(), weigh, decoder.make)
    try:
        if not columns.resolve(raw, decoder.kept):
            return None
    except HpackError:
        return None
    if columns.inserts():
        decoder.replace(columns.table())
    return columns
