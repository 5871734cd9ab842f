"""The fast path over many small frames: ordinary exchanges recognised in columns.

Theory. Over the regular segments of a stretch (`lockstep`), header blocks are decoded in order and graded (`ordinary`),
windows are recomputed, and the streams whose frames make up a whole ordinary exchange are counted at once. All other
frames are told to the walk one by one, in order, with the connection's state as it was at that place. Irregular
segments go to the walk as bytes, as do their neighbours until the walk stands between two frames again. Like
`ordinary`, this decides nothing but what is not worth a closer look: every fact that it leaves behind is the one that
the walk would have left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wirecase.http2.facts import (
    DATA,
    END_STREAM,
    HEADERS,
    MAX_CONCURRENT_STREAMS,
    MAX_WINDOW,
    WINDOW_UPDATE,
    ControlFrame,
    HeaderBlock,
)
from wirecase.http2.kept import Kept
from wirecase.http2.lockstep import Array, Frames, words
from wirecase.http2.ordinary import LARGEST_INCREMENT, MOST_FRAMES, REQUEST, RESPONSE, TRAILERS
from wirecase.model import CLIENT, SERVER, Marks, Stretch

if TYPE_CHECKING:
    from wirecase.http2.hpack_columns import HeaderColumns
    from wirecase.http2.walk import FrameWalk

MIN_SEGMENTS = 48
"""Shorter ranges are cheaper in the walk."""
SEGMENTS_TO_ALIGN = 16
"""Segments that the walk may take to come to stand between two frames."""
FRAMES_PER_CALL = 16
"""With more frames to a call than this the walk is faster."""
MIN_BLOCKS = 32
"""Fewer header blocks are cheaper one by one."""
LARGEST_EXCHANGE = 32 * 1024
"""DATA bytes of an exchange that no window can stand in the way of."""
_SAMPLES = 64
"""How many `window_low` samples of a range can matter."""
_COLUMNS = 40
"""Bytes of memory that a frame takes in columns, once its range is taken."""

_REQ, _BODY, _LAST, _RESP, _ANSWER, _DONE, _ODD = range(1, 8)
"""What a frame is within an exchange: request headers, DATA, DATA with END_STREAM, response headers, DATA, trailers."""
_FOLLOWS: Array = np.zeros((8, 8), dtype=bool)
for _before, _after in (
    (_REQ, _BODY), (_REQ, _LAST), (_BODY, _BODY), (_BODY, _LAST), (_LAST, _RESP), (_RESP, _ANSWER), (_ANSWER, _ANSWER),
    (_ANSWER, _DONE),
):  # fmt: skip
    _FOLLOWS[_before, _after] = True


class Range:
    """Neighbouring regular segments of a stretch, taken at once. Rows are its frames, in capture order."""

    def __init__(self, walk: FrameWalk, stretch: Stretch, frames: Frames, rows: slice, client: int) -> None:
        self._walk = walk
        self._stretch = stretch
        self._raw = frames.raw
        self._at, self._segment = frames.at[rows], frames.segment[rows]
        self._kind, self._flags = frames.kind[rows], frames.flags[rows]
        self._stream, self._length = frames.stream[rows], frames.length[rows]
        self._side: Array = (stretch.sides[self._segment] != client).astype(np.int64)
        self._ended: Array = self._flags & END_STREAM != 0
        self._ended[self._kind > HEADERS] = False
        self._opening: Array = (self._kind == HEADERS) & (self._side == CLIENT)
        """Rows of the client's HEADERS: in a range that is taken, each opens a stream."""
        self._updates: Array = np.flatnonzero(self._kind == WINDOW_UPDATE)
        self._increments: Array = words(self._raw, self._at[self._updates] + 9) & MAX_WINDOW
        self._blocks: dict[int, HeaderBlock] = {}
        """Decoded header block by row, where they were decoded one by one."""
        self._columns: dict[int, tuple[Array, HeaderColumns]] = {}
        """By side: the rows of its HEADERS, and their blocks, where they were decoded at once."""

    def _frame(self, row: int) -> ControlFrame:
        stretch = self._stretch
        segment = int(self._segment[row])
        offset, packet, time = (int(column[segment]) for column in (stretch.offsets, stretch.packets, stretch.times))
        at, length = int(self._at[row]), int(self._length[row])
        return ControlFrame(
            int(self._side[row]), int(self._kind[row]), int(self._flags[row]), int(self._stream[row]),
            stretch.raw[at + 9 : at + 9 + length], Marks(stretch.source, (offset,), (packet,), (time,)),
            offset + at - int(stretch.bounds[segment]),
        )  # fmt: skip

    def _frames_of(self, stream: int) -> list[tuple[ControlFrame, HeaderBlock | None]]:
        """Tell an exchange's frames (`kept.Tell`)."""
        return [(self._frame(row), self._block(row)) for row in np.flatnonzero(self._stream == stream).tolist()]

    def take(self) -> bool:
        """Take the range; False, with nothing done, if it is not for this path."""
        walk = self._walk
        facts, table = walk.facts, walk.table
        if not self._opens_in_order() or not self._within_limit():
            return False
        windows = self._windows()
        if windows is None:
            return False
        # From here on the range is taken: header blocks may be decoded only once.
        for number in (CLIENT, SERVER):
            half, mine = facts.halves[number], self._side == number
            half.starved = None  # no window is used up at any place of the range
            half.window = int(windows[number][-1])
            for what, count in enumerate(np.bincount(self._kind[mine], minlength=10).tolist()):
                half.frames.by_type[what] += count
            size = int(self._length[mine].sum()) + 9 * int(mine.sum())
            half.bytes += size
            half.decoded += size
        opened, before = facts.opened, len(facts.streams) + len(table.exchanges)
        low = [list(half.window_low) for half in facts.halves]
        grades = self._decode()
        whole, first, last = self._without_odd_updates(*self._exchanges(grades))
        kept = self._kept(whole, first)
        if len(whole):
            table.recognise(kept)
        changes = self._tell_others(whole, last, kept)
        facts.opened += len(whole)
        half = facts.halves[CLIENT]
        half.highest_stream = max(half.highest_stream, int(self._stream[self._opening][-1]))
        # Streams opened and open after each row: those of whole exchanges, and those that the walk was told.
        arrived: Array = np.zeros(len(self._kind), dtype=np.int64)
        balance = arrived.copy()
        arrived[first] = 1
        balance[first], balance[last] = 1, -1
        for row, more_opened, more_open in changes:
            arrived[row] += more_opened
            balance[row] += more_open
        is_open = before + np.cumsum(balance)
        facts.max_open = max(facts.max_open, int(is_open.max()))
        arrived = opened + np.cumsum(arrived)
        idle = (balance < 0) & (is_open == 0) & ((arrived < 256) | (arrived % 16 == 0))
        for number in (CLIENT, SERVER):
            samples = facts.halves[number].window_low
            samples.clear()
            samples.extend(low[number])
            for row in np.flatnonzero(idle)[-_SAMPLES:].tolist():
                samples.append((int(arrived[row]), int(windows[number][row])))
        self._slim()
        return True

    def _slim(self) -> None:
        """Keep only what `_frames_of` needs, as small as it can be: see `kept`."""
        for name in ("_at", "_segment", "_kind", "_flags", "_stream", "_length", "_side"):
            setattr(self, name, getattr(self, name).astype(np.int32))
        self._ended = self._opening = self._updates = self._increments = self._raw[:0]

    # ---- may it be taken? --------------------------------------------------------------------------------------

    def _opens_in_order(self) -> bool:
        """Tell whether each HEADERS of the client opens a new stream that nobody has spoken of."""
        facts = self._walk.facts
        opened = self._stream[self._opening]
        if not len(opened) or (len(opened) * FRAMES_PER_CALL < len(self._kind) and not self._walk.columns):
            return False
        highest = facts.halves[CLIENT].highest_stream
        if opened[0] <= highest or (opened[1:] <= opened[:-1]).any():
            return False
        return not self._walk.table.early.frames and all(stream <= highest for stream in facts.streams)

    def _within_limit(self) -> bool:
        """Tell whether MAX_CONCURRENT_STREAMS is never reached. Streams open before count as open to the end."""
        facts = self._walk.facts
        limit = facts.halves[SERVER].settings.get(MAX_CONCURRENT_STREAMS)
        if limit is None:
            return True
        balance = self._opening.astype(np.int64)
        ends = []
        for number in (CLIENT, SERVER):
            rows = np.flatnonzero(self._ended & (self._side == number))
            streams, place = np.unique(self._stream[rows], return_index=True)
            ends.append((streams, rows[place]))
        (asked, asked_at), (answered, answered_at) = ends
        both, i, j = np.intersect1d(asked, answered, assume_unique=True, return_indices=True)
        mine = np.isin(both, self._stream[self._opening], assume_unique=True)
        np.subtract.at(balance, np.maximum(asked_at[i], answered_at[j])[mine], 1)
        before = len(facts.streams) + len(self._walk.table.exchanges)
        return before + int(np.cumsum(balance).max()) < limit

    def _windows(self) -> tuple[Array, Array] | None:
        """Return both connection windows after each frame, by sender; None if one is used up or overflows."""
        facts = self._walk.facts
        mine = self._stream[self._updates] == 0
        updates, increments = self._updates[mine], self._increments[mine]
        if not increments.all():
            return None
        result = []
        for sender in (CLIENT, SERVER):
            change = np.where((self._kind == DATA) & (self._side == sender), -self._length, 0)
            given = self._side[updates] != sender
            change[updates[given]] = increments[given]
            window = facts.halves[sender].window + np.cumsum(change)
            if int(window.min()) <= 0 or (facts.windows_known and int(window.max()) > MAX_WINDOW):
                return None
            result.append(window)
        return result[CLIENT], result[SERVER]

    # ---- what is ordinary --------------------------------------------------------------------------------------

    def _decode(self) -> Array:
        """Decode the header blocks of both sides, each in order; return all rows' grades."""
        table, raw = self._walk.table, self._stretch.raw
        grades: Array = np.zeros(len(self._kind), dtype=np.int64)
        for side in (CLIENT, SERVER):
            rows = np.flatnonzero((self._kind == HEADERS) & (self._side == side))
            if not len(rows):
                continue
            begins = self._at[rows] + 9
            ends = begins + self._length[rows]
            if len(rows) >= MIN_BLOCKS or self._walk.columns:
                columns = table.blocks.decode_all(side, raw, self._raw, begins, ends, table.weigh)
                if columns is not None:
                    found = [table.grade(columns.block(i), side) for i in columns.representatives.tolist()]
                    grades[rows] = np.array(found)[columns.alike]
                    self._columns[side] = (rows, columns)
                    continue
            grades[rows] = self._decode_each(side, rows.tolist(), begins.tolist(), ends.tolist())
        return grades

    def _decode_each(self, side: int, rows: list[int], begins: list[int], ends: list[int]) -> list[int]:
        table, raw, blocks = self._walk.table, self._stretch.raw, self._blocks
        recall = table.blocks.recall
        found = []
        for row, begin, end in zip(rows, begins, ends, strict=True):
            payload = raw[begin:end]
            block = recall(side, payload)
            if block is None:
                block = table.blocks.decode(self._frame(row), payload)
                table.grade(block, side)
            blocks[row] = block
            found.append(block.grade)
        return found

    def _block(self, row: int) -> HeaderBlock | None:
        """Return the header block that stands in a row, if one does."""
        if self._kind[row] != HEADERS:
            return None
        columns = self._columns.get(int(self._side[row]))
        return self._blocks[row] if columns is None else columns[1].block(int(np.searchsorted(columns[0], row)))

    def _exchanges(self, grades: Array) -> tuple[Array, Array, Array]:
        """Return the streams that are whole ordinary exchanges (ascending), and the rows that begin and end each."""
        kind, side, ended = self._kind, self._side, self._ended
        codes: Array = np.full(len(kind), _ODD)
        codes[(side == CLIENT) & (grades == REQUEST) & ~ended] = _REQ
        codes[(side == SERVER) & (grades == RESPONSE) & ~ended] = _RESP
        codes[(side == SERVER) & (grades == TRAILERS) & ended] = _DONE
        plain = self._plain_data()
        asked = plain & (side == CLIENT)
        codes[asked] = np.where(ended[asked], _LAST, _BODY)
        codes[plain & (side == SERVER) & ~ended] = _ANSWER
        rows = np.flatnonzero((kind == HEADERS) | (kind == DATA))
        order = rows[np.argsort(self._stream[rows], kind="stable")]
        streams, sequence = self._stream[order], codes[order]
        first = np.ones(len(order), dtype=bool)
        first[1:] = streams[1:] != streams[:-1]
        last = np.ones(len(order), dtype=bool)
        last[:-1] = first[1:]
        wrong = np.zeros(len(order), dtype=np.int64)
        wrong[1:] = ~_FOLLOWS[sequence[:-1], sequence[1:]] & ~first[1:]
        wrong[first & (sequence != _REQ)] = 1
        wrong[last & (sequence != _DONE)] = 1
        starts = np.flatnonzero(first)
        sizes = np.add.reduceat(np.where(kind[order] == DATA, self._length[order], 0), starts)
        whole = (np.add.reduceat(wrong, starts) == 0) & (sizes <= LARGEST_EXCHANGE)
        return streams[starts][whole], order[starts][whole], order[last][whole]

    def _plain_data(self) -> Array:
        """Tell which DATA frames carry nothing but whole plain messages."""
        rows = np.flatnonzero(self._kind == DATA)
        plain: Array = np.zeros(len(self._kind), dtype=bool)
        if not len(rows):
            return plain
        at, sizes = self._at[rows] + 9, self._length[rows]
        # What stands behind a frame of fewer than five bytes is read, and not used.
        flag = self._raw[np.minimum(at, len(self._raw) - 1)]
        declared = words(self._raw, np.minimum(at + 1, len(self._raw) - 4))
        single = (sizes >= 5) & (flag == 0) & (declared + 5 == sizes)
        empty = (sizes == 0) & self._ended[rows]
        plain[rows] = single | empty
        several = np.flatnonzero((sizes > 5) & (flag == 0) & (declared + 5 < sizes))
        is_ordinary_body, raw = self._walk.is_ordinary_body, self._stretch.raw
        for i in several.tolist():
            begin = int(at[i])
            plain[rows[i]] = is_ordinary_body(raw, begin, begin + int(sizes[i]))
        return plain

    def _without_odd_updates(self, whole: Array, first: Array, last: Array) -> tuple[Array, Array, Array]:
        """Leave out exchanges whose stream has WINDOW_UPDATEs of an odd place, size or number."""
        rows = self._updates
        if not len(whole) or not len(rows):
            return whole, first, last
        place = np.minimum(np.searchsorted(whole, self._stream[rows]), len(whole) - 1)
        mine = whole[place] == self._stream[rows]
        rows, place, increments = rows[mine], place[mine], self._increments[mine]
        odd = (rows < first[place]) | (increments == 0) | (increments > LARGEST_INCREMENT)
        good = np.bincount(place, minlength=len(whole)) <= MOST_FRAMES
        good[place[odd]] = False
        return whole[good], first[good], last[good]

    # ---- what becomes of it ------------------------------------------------------------------------------------

    def _kept(self, whole: Array, first: Array) -> Kept:
        stretch, segment = self._stretch, self._segment[first]
        offsets = stretch.offsets[segment] + self._at[first] - stretch.bounds[segment]
        places = np.stack((stretch.packets[segment], offsets), axis=1)
        size = len(self._stretch.raw) + _COLUMNS * len(self._kind)
        size += sum(columns.size for _, columns in self._columns.values())
        return Kept(self._stretch.source, whole, places, self._frames_of, size)

    def _tell_others(self, whole: Array, last: Array, kept: Kept) -> list[tuple[int, int, int]]:
        """Tell the walk every frame that belongs to no whole ordinary exchange.

        Before each frame the connection's state is brought to where it was then. Return the rows that changed how many
        streams were opened or are open, each with both changes.
        """
        facts, table, tell = self._walk.facts, self._walk.table, self._walk.tell
        half = facts.halves[CLIENT]
        order = np.argsort(last)
        closing = whole[order].tolist()
        mine = np.zeros(len(self._kind), dtype=bool)
        if closing:
            place = np.minimum(np.searchsorted(whole, self._stream), len(whole) - 1)
            mine = whole[place] == self._stream
        mine |= (self._kind == WINDOW_UPDATE) & (self._stream == 0)
        rows = np.flatnonzero(~mine)
        closed_before = np.searchsorted(last[order], rows).tolist()
        highest = np.maximum.accumulate(np.where(self._opening, self._stream, 0))
        highest[1:] = highest[:-1]
        highest[0] = 0
        changes = []
        closed = 0
        for row, count, top in zip(rows.tolist(), closed_before, highest[rows].tolist(), strict=True):
            if count > closed:
                table.closed.keep_all(closing[closed:count], kept)
                closed = count
            if top > half.highest_stream:
                half.highest_stream = top
            opened, is_open = facts.opened, len(facts.streams) + len(table.exchanges)
            tell(self._frame(row), self._block(row))
            now = len(facts.streams) + len(table.exchanges)
            if facts.opened != opened or now != is_open:
                changes.append((row, facts.opened - opened, now - is_open))
        if closed < len(closing):
            table.closed.keep_all(closing[closed:], kept)
        return changes


def take(walk: FrameWalk, stretch: Stretch, *, flipped: bool) -> None:
    """Take a stretch: its regular ranges at once, the rest through the walk."""
    frames = Frames(stretch)
    edges = np.concatenate(([-1], np.flatnonzero(~frames.regular), [len(stretch)]))
    shortest = 1 if walk.columns else MIN_SEGMENTS
    long_enough = np.flatnonzero(np.diff(edges) > shortest)

    def feed(start: int, stop: int) -> None:
        for side, data, marks in stretch.runs(start, stop):
            walk.feed(side ^ flipped, data, marks)

    at = 0
    for begin, stop in zip((edges[long_enough] + 1).tolist(), edges[long_enough + 1].tolist(), strict=True):
        feed(at, begin)
        at = begin
        while at < min(begin + SEGMENTS_TO_ALIGN, stop) and not walk.between_frames:
            feed(at, at + 1)
            at += 1
        if at < stop and walk.between_frames:
            rows = slice(*np.searchsorted(frames.segment, (at, stop)).tolist())
            if Range(walk, stretch, frames, rows, int(flipped)).take():
                at = stop
    feed(at, len(stretch))
