"""Many segments at once: records opened side by side, their places told in columns.

The records of each side are opened in one loop over its joined bytes. Then the plaintext of both sides is put in the
order in which records were completed, and every piece gets the packet that carried it: a piece begins where a record's
plaintext does, and where a segment begins inside of one.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wirecase.model import Stretch
from wirecase.tls.stream import Pieces, Stream

if TYPE_CHECKING:
    from wirecase.tls.connection import Plain, TlsConnection

Array: TypeAlias = NDArray[np.int64]


class _Columns:
    """The plaintext of one side: a row for each piece."""

    __slots__ = ("datas", "done", "keys", "lengths", "offsets", "packets", "record_keys", "times")

    def __init__(self, stream: Stream, pieces: Pieces, segments: tuple[Array, Array, Array], keys: Array) -> None:
        """`segments` are offsets (of TCP), packets and times of the bytes at hand; `keys` order them."""
        offsets, packets, times = segments
        self.datas = pieces.datas
        size = np.array(pieces.lengths, dtype=np.int64)
        begin = np.array(pieces.ats, dtype=np.int64) + stream.base
        end = np.array(pieces.stops, dtype=np.int64) + stream.base
        plain_end = np.cumsum(size) + stream.plain
        plain = plain_end - size
        self.record_keys: Array = keys[np.searchsorted(offsets, end - 1, side="right") - 1]
        record = np.searchsorted(begin, offsets, side="right") - 1
        inside = (record >= 0) & (offsets > begin[record]) & (offsets < begin[record] + size[record])
        at = np.concatenate((begin, offsets[inside]))
        record = np.concatenate((np.arange(len(begin)), record[inside]))
        order = np.argsort(at, kind="stable")
        at, record = at[order], record[order]
        segment = np.searchsorted(offsets, at, side="right") - 1
        self.packets, self.times = packets[segment], times[segment]
        self.offsets = plain[record] + at - begin[record]
        self.lengths: Array = np.diff(np.append(self.offsets, plain_end[-1]))
        self.keys: Array = self.record_keys[record]
        if not stream.plain:
            stream.places.add(int(begin[0]), 0)
        stream.places.extend(end.tolist(), plain_end.tolist())
        stream.facts.plain += int(plain_end[-1]) - stream.plain
        stream.plain = int(plain_end[-1])


def take(connection: TlsConnection, sink: Plain, stretch: Stretch) -> None:
    """Take a stretch while both sides are past their handshakes."""
    sides: list[tuple[Stream, Pieces, tuple[Array, Array, Array], Array, int, bytes]] = []
    for side in (0, 1):
        stream = connection.stream(side)
        picked = np.flatnonzero(stretch.sides == side)
        if not len(picked):
            continue
        data, segments, keys = _join(stream, stretch, picked)
        pieces = Pieces()
        done = connection.walk(stream, data, pieces)
        sides.append((stream, pieces, segments, keys, done, data))
    filled = [one for one in sides if len(one[1])]
    if any(one[1].holes for one in filled):
        _one_by_one(connection, filled)
    elif filled:
        columns = [_Columns(stream, pieces, segments, keys) for stream, pieces, segments, keys, _, _ in filled]
        sink.stretch(_merged(columns, [one[0].side for one in filled], stretch.source))
    for stream, _, _, _, done, data in sides:
        stream.keep(data, done)
        connection.settle(stream)


def _join(stream: Stream, stretch: Stretch, picked: Array) -> tuple[bytes, tuple[Array, Array, Array], Array]:
    """Put a side's bytes behind those that it has left from before."""
    places = map(slice, stretch.begins[picked].tolist(), stretch.ends[picked].tolist())
    data = b"".join(chain((stream.buffer,), map(stretch.data.__getitem__, places)))
    stream.facts.bytes += len(data) - len(stream.buffer)
    columns = [stretch.offsets[picked], stretch.packets[picked], stretch.times[picked]]
    keys: Array = picked.astype(np.int64)
    if stream.buffer:
        held: list[Any] = [stream.offsets, stream.packets, stream.times]
        keys = np.concatenate((np.full(len(stream.offsets), -1, dtype=np.int64), keys))
        columns = [np.concatenate((np.array(h, dtype=np.int64), c)) for h, c in zip(held, columns, strict=True)]
    else:
        stream.base = int(columns[0][0])
    stream.source = stretch.source
    stream.offsets, stream.packets, stream.times = (column.tolist() for column in columns)
    return data, (columns[0], columns[1], columns[2]), keys


def _merged(columns: list[_Columns], sides: list[int], source: int) -> Stretch:
    """Put the pieces of both sides in the order in which their records were completed."""
    if len(columns) == 1:
        one = columns[0]
        bounds = np.concatenate(([0], np.cumsum(one.lengths)))
        which = np.full(len(one.lengths), sides[0])
        return Stretch.joined(source, b"".join(one.datas), bounds, which, one.offsets, one.packets, one.times)
    first, second = columns
    records = np.argsort(np.concatenate((first.record_keys, second.record_keys)), kind="stable").tolist()
    datas = first.datas + second.datas
    raw = b"".join(map(datas.__getitem__, records))
    order = np.argsort(np.concatenate((first.keys, second.keys)), kind="stable")
    count = len(first.keys)
    which = np.where(order < count, sides[0], sides[1])
    lengths, offsets, packets, times = (
        np.concatenate((getattr(first, name), getattr(second, name)))[order]
        for name in ("lengths", "offsets", "packets", "times")
    )
    return Stretch.joined(source, raw, np.concatenate(([0], np.cumsum(lengths))), which, offsets, packets, times)


def _one_by_one(
    connection: TlsConnection, filled: list[tuple[Stream, Pieces, tuple[Array, Array, Array], Array, int, bytes]]
) -> None:
    """Hand on pieces in the order of their records where holes are among them."""
    entries: list[tuple[int, int, int]] = []
    for number, (stream, pieces, (offsets, _, _), keys, _, _) in enumerate(filled):
        stops = np.array(pieces.stops, dtype=np.int64) + stream.base
        order = keys[np.searchsorted(offsets, np.maximum(stops - 1, offsets[0]), side="right") - 1].tolist()
        entries += [(key, number, row) for row, key in enumerate(order)]
    entries.sort(key=lambda entry: entry[0])
    start = 0
    for i in range(1, len(entries) + 1):
        if i == len(entries) or entries[i][1] != entries[start][1]:
            stream, pieces, *_ = filled[entries[start][1]]
            connection.emit(stream, pieces, entries[start][2], entries[i - 1][2] + 1)
            start = i
