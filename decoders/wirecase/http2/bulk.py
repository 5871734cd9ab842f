"""The fast path over many small frames: ordinary exchanges recognised in columns.

Theory. Where a connection is busy with small calls, nearly every TCP segment begins with a frame and ends with one.
The frames of all segments of a stretch can then be found in lockstep: the first of each, the second of each, and so on.
A segment whose chain of frames does not land exactly on its end, or that holds any other frame than plain HEADERS, plain
DATA, WINDOW_UPDATE and PING, is *irregular* and goes to the walk, as do its neighbours until the walk stands between two
frames again.

Over the regular ones, header blocks are decoded in order and graded (`ordinary`), windows are recomputed, and the
streams whose frames make up a whole ordinary exchange are counted at once. All others are told to the walk, frame by
frame. Like `ordinary`, this decides nothing but what is not worth a closer look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wirecase.http2.facts import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    MAX_CONCURRENT_STREAMS,
    MAX_WINDOW,
    PING,
    WINDOW_UPDATE,
    ControlFrame,
    HeaderBlock,
)
from wirecase.http2.ordinary import LARGEST_DATA, LARGEST_INCREMENT, REQUEST, RESPONSE, TRAILERS, Exchange
from wirecase.model import CLIENT, SERVER, Marks, Stretch

if TYPE_CHECKING:
    from wirecase.http2.walk import FrameWalk

Array: TypeAlias = NDArray[Any]

MIN_SEGMENTS = 48
"""Shorter ranges are cheaper in the walk."""
MOST_FRAMES = 24
"""Frames in a segment that are looked for in lockstep; a segment with more is irregular."""
FRAMES_PER_CALL = 16
"""With more frames to a call than this the walk is faster."""
LARGEST_EXCHANGE = 32 * 1024
"""DATA bytes of an exchange that no window can stand in the way of."""

_NINE = np.arange(9)
_REQ, _BODY, _LAST, _RESP, _ANSWER, _DONE, _ODD = range(1, 8)
"""What a frame is within an exchange: request headers, DATA, DATA with END_STREAM, response headers, DATA, trailers."""
_FOLLOWS: Array = np.zeros((8, 8), dtype=bool)
for _before, _after in (
    (_REQ, _BODY), (_REQ, _LAST), (_BODY, _BODY), (_BODY, _LAST), (_LAST, _RESP), (_RESP, _ANSWER), (_RESP, _DONE),
    (_ANSWER, _ANSWER), (_ANSWER, _DONE),
):  # fmt: skip
    _FOLLOWS[_before, _after] = True


class Frames:
    """The frames of the regular segments of a stretch, in capture order."""

    __slots__ = ("at", "flags", "kind", "length", "regular", "segment", "stream")

    def __init__(self, stretch: Stretch) -> None:
        raw = np.frombuffer(stretch.raw, dtype=np.uint8)
        begins, ends = stretch.bounds[:-1], stretch.bounds[1:]
        at = begins.copy()
        irregular = np.zeros(len(stretch), dtype=bool)
        active = np.arange(len(stretch))
        found: list[tuple[Array, Array, Array, Array, Array, Array]] = []
        for step in range(MOST_FRAMES):
            fits = at[active] + 9 <= ends[active]
            irregular[active[~fits]] = True
            active = active[fits]
            if not len(active):
                break
            here = at[active]
            head = raw[here[:, None] + _NINE].astype(np.int64)
            length = head[:, 0] << 16 | head[:, 1] << 8 | head[:, 2]
            kind, flags = head[:, 3], head[:, 4]
            stream = head[:, 5] << 24 | head[:, 6] << 16 | head[:, 7] << 8 | head[:, 8]
            after = here + 9 + length
            plain = after <= ends[active]
            odd = (stream & 1) != 0
            plain &= (
                (odd & (kind == DATA) & (flags <= END_STREAM) & (length <= LARGEST_DATA))
                | (odd & (kind == HEADERS) & (flags | END_STREAM == END_HEADERS | END_STREAM))
                | ((kind == WINDOW_UPDATE) & (length == 4))
                | ((kind == PING) & (length == 8) & (stream == 0))
            ) & (stream <= MAX_WINDOW)
            irregular[active[~plain]] = True
            active, here = active[plain], here[plain]
            found.append((active * MOST_FRAMES + step, here, length[plain], kind[plain], flags[plain], stream[plain]))
            at[active] = after[plain]
            active = active[at[active] < ends[active]]
        irregular[active] = True
        self.regular: Array = ~irregular
        places, self.at, self.length, self.kind, self.flags, self.stream = (
            np.concatenate(column) for column in zip(*found, strict=True)
        )
        order = np.argsort(places)
        order = order[self.regular[places[order] // MOST_FRAMES]]
        self.segment: Array = places[order] // MOST_FRAMES
        for name in ("at", "length", "kind", "flags", "stream"):
            setattr(self, name, getattr(self, name)[order])


class Kept:
    """Ordinary exchanges of one range, so that one of them can be told again if more of its frames come."""

    __slots__ = ("_blocks", "_range", "_rows", "_streams", "_told", "indexes", "places")

    def __init__(self, range_: Range, rows: Array, streams: Array, blocks: dict[int, HeaderBlock], places: Array) -> None:
        self._range = range_
        self._rows = rows
        """Rows of `Frames` that belong to them."""
        self._streams = streams
        """Their streams, ascending."""
        self._blocks = blocks
        """Decoded header block by row."""
        self.places: Array = places
        """(packet << 24 | place in the packet) of each one's request headers: orders calls over all connections."""
        self.indexes: Array | None = None
        """Number of each one's call, once they have numbers."""
        self._told: dict[int, Exchange] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._streams)

    def number(self, indexes: Array) -> None:
        """Take the numbers of the calls."""
        self.indexes = indexes
        for stream, exchange in self._told.items():
            exchange.index = int(indexes[np.searchsorted(self._streams, stream)])
            if exchange.call is not None:
                exchange.call.index = exchange.index

    def exchange(self, stream: int) -> Exchange:
        """Return one of them, with its frames."""
        rows = self._rows[self._range.frames.stream[self._rows] == stream]
        exchange = Exchange(stream)
        exchange.stage = 3
        exchange.frames = [(self._range.frame(row), self._blocks.get(row)) for row in rows.tolist()]
        if self.indexes is not None:
            exchange.index = int(self.indexes[np.searchsorted(self._streams, stream)])
        self._told[stream] = exchange
        return exchange


class Range:
    """Neighbouring regular segments of a stretch, taken at once."""

    def __init__(self, walk: FrameWalk, stretch: Stretch, frames: Frames, rows: slice, client: int) -> None:
        self._walk = walk
        self._stretch = stretch
        self.frames = frames
        self._rows = rows
        self._base = rows.start
        self.side: Array = (stretch.sides[frames.segment[rows]] != client).astype(np.int64)

    def frame(self, row: int) -> ControlFrame:
        """Return one frame."""
        frames, stretch = self.frames, self._stretch
        segment = int(frames.segment[row])
        offset, packet, time = (int(column[segment]) for column in (stretch.offsets, stretch.packets, stretch.times))
        at, length = int(frames.at[row]), int(frames.length[row])
        return ControlFrame(
            int(self.side[row - self._base]), int(frames.kind[row]), int(frames.flags[row]), int(frames.stream[row]),
            stretch.raw[at + 9 : at + 9 + length], Marks(stretch.source, (offset,), (packet,), (time,)),
            offset + at - int(stretch.bounds[segment]),
        )  # fmt: skip

    def take(self) -> bool:
        """Take the range; False, with nothing done, if it is not for this path."""
        frames, rows, side = self.frames, self._rows, self.side
        table, facts = self._walk.table, self._walk.facts
        kind, flags, stream, length = frames.kind[rows], frames.flags[rows], frames.stream[rows], frames.length[rows]
        opening = (kind == HEADERS) & (side == CLIENT)
        opened = stream[opening]
        if len(opened) * FRAMES_PER_CALL < len(kind):
            return False
        if opened[0] <= facts.halves[CLIENT].highest_stream or (opened[1:] <= opened[:-1]).any():
            return False
        answered = (side == SERVER) & (flags & END_STREAM != 0) & (kind <= HEADERS)
        balance = np.cumsum(opening.astype(np.int64) - answered)
        open_before = len(facts.streams) + len(table.exchanges)
        most_open = open_before + int(balance.max())
        limit = facts.halves[SERVER].settings.get(MAX_CONCURRENT_STREAMS)
        if limit is not None and most_open >= limit:
            return False
        windows = self._windows(kind, stream, length)
        if windows is None:
            return False
        # From here on the range is taken: header blocks may be decoded only once.
        blocks, grades = self._decode(np.flatnonzero(kind == HEADERS))
        whole, closing = self._exchanges(kind, flags, stream, length, grades)
        self._tell_others(whole, kind, blocks)
        facts.max_open = max(facts.max_open, most_open)
        for number in (CLIENT, SERVER):
            half = facts.halves[number]
            half.window = int(windows[number][-1])
            for what, count in enumerate(np.bincount(kind[side == number], minlength=10).tolist()):
                half.frames.by_type[what] += count
            size = int(length[side == number].sum()) + 9 * int((side == number).sum())
            half.bytes += size
            half.decoded += size
        self._count(whole, closing, opening, blocks)
        for row in np.flatnonzero(balance + open_before == 0)[-4:].tolist():
            for number in (CLIENT, SERVER):
                facts.halves[number].window_low.append((facts.opened, int(windows[number][row])))
        return True

    def _windows(self, kind: Array, stream: Array, length: Array) -> tuple[Array, Array] | None:
        """Return both connection windows after each frame, by sender; None if one is used up or overflows."""
        raw = np.frombuffer(self._stretch.raw, dtype=np.uint8)
        updates = np.flatnonzero(kind == WINDOW_UPDATE)
        at = self.frames.at[self._rows][updates]
        value = raw[at[:, None] + np.arange(9, 13)].astype(np.int64)
        increment = (value[:, 0] << 24 | value[:, 1] << 16 | value[:, 2] << 8 | value[:, 3]) & MAX_WINDOW
        if (increment == 0).any() or (increment[stream[updates] != 0] > LARGEST_INCREMENT).any():
            return None
        updates, increment = updates[stream[updates] == 0], increment[stream[updates] == 0]
        result = []
        for sender in (CLIENT, SERVER):
            half = self._walk.facts.halves[sender]
            change = np.where((kind == DATA) & (self.side == sender), -length, 0)
            mine = self.side[updates] != sender
            change[updates[mine]] += increment[mine]
            window = half.window + np.cumsum(change)
            if int(window.min()) <= 0 or (self._walk.facts.windows_known and int(window.max()) > MAX_WINDOW):
                return None
            half.starved = None if len(updates) and half.window > 0 else half.starved
            result.append(window)
        return result[CLIENT], result[SERVER]

    def _decode(self, picked: Array) -> tuple[dict[int, HeaderBlock], Array]:
        """Decode the header blocks of the frames `picked`, in order; return them by row, and all frames' grades."""
        walk, raw, base = self._walk, self._stretch.raw, self._base
        recall = walk.table.blocks.recall
        blocks: dict[int, HeaderBlock] = {}
        grades: Array = np.zeros(len(self.side), dtype=np.int64)
        rows = self._rows
        ats = (self.frames.at[rows][picked] + 9).tolist()
        ends = (self.frames.at[rows][picked] + 9 + self.frames.length[rows][picked]).tolist()
        found = []
        for row, side, at, end in zip(picked.tolist(), self.side[picked].tolist(), ats, ends, strict=True):
            payload = raw[at:end]
            block = recall(side, payload)
            if block is None:
                frame = self.frame(row + base)
                block = walk.table.blocks.decode(frame, payload)
                walk.table.grade(block, side)
            blocks[row + base] = block
            found.append(block.grade)
        grades[picked] = found
        return blocks, grades

    def _exchanges(
        self, kind: Array, flags: Array, stream: Array, length: Array, grades: Array
    ) -> tuple[Array, Array]:
        """Return the streams that are whole ordinary exchanges (ascending), and the row that ends each."""
        side = self.side
        codes: Array = np.full(len(kind), _ODD)
        ended = flags & END_STREAM != 0
        codes[(side == CLIENT) & (grades == REQUEST) & ~ended] = _REQ
        codes[(side == SERVER) & (grades == RESPONSE) & ~ended] = _RESP
        codes[(side == SERVER) & (grades == TRAILERS) & ended] = _DONE
        plain = self._plain_data(kind, flags, length)
        codes[plain & (side == CLIENT)] = np.where(ended[plain & (side == CLIENT)], _LAST, _BODY)
        codes[plain & (side == SERVER) & ~ended] = _ANSWER
        rows = np.flatnonzero((kind == HEADERS) | (kind == DATA))
        order = rows[np.argsort(stream[rows], kind="stable")]
        streams, sequence = stream[order], codes[order]
        first = np.ones(len(order), dtype=bool)
        first[1:] = streams[1:] != streams[:-1]
        last = np.ones(len(order), dtype=bool)
        last[:-1] = first[1:]
        wrong = np.zeros(len(order), dtype=np.int64)
        wrong[1:] = ~_FOLLOWS[sequence[:-1], sequence[1:]] & ~first[1:]
        wrong[first & (sequence != _REQ)] = 1
        wrong[last & (sequence != _DONE)] = 1
        starts = np.flatnonzero(first)
        sizes = np.add.reduceat(np.where(kind[order] == DATA, length[order], 0), starts)
        whole = (np.add.reduceat(wrong, starts) == 0) & (sizes <= LARGEST_EXCHANGE)
        return streams[starts][whole], order[last][whole]

    def _plain_data(self, kind: Array, flags: Array, length: Array) -> Array:
        """Tell which DATA frames carry nothing but whole plain messages."""
        rows = np.flatnonzero(kind == DATA)
        at = self.frames.at[self._rows][rows]
        plain: Array = np.zeros(len(kind), dtype=bool)
        if not len(rows):
            return plain
        raw = np.frombuffer(self._stretch.raw, dtype=np.uint8)
        head = raw[np.minimum(at[:, None] + np.arange(9, 14), len(raw) - 1)].astype(np.int64)
        declared = head[:, 1] << 24 | head[:, 2] << 16 | head[:, 3] << 8 | head[:, 4]
        sizes = length[rows]
        single = (sizes >= 5) & (head[:, 0] == 0) & (declared + 5 == sizes)
        empty = (sizes == 0) & (flags[rows] & END_STREAM != 0)
        plain[rows] = single | empty
        several = np.flatnonzero(~single & (sizes > 5) & (head[:, 0] == 0) & (declared + 5 < sizes))
        is_ordinary_body = self._walk.is_ordinary_body
        for i in several.tolist():
            begin = int(at[i]) + 9
            plain[rows[i]] = is_ordinary_body(self._stretch.raw, begin, begin + int(sizes[i]))
        return plain

    def _tell_others(self, whole: Array, kind: Array, blocks: dict[int, HeaderBlock]) -> None:
        """Tell the walk every frame that belongs to no whole ordinary exchange."""
        stream = self.frames.stream[self._rows]
        at = np.searchsorted(whole, stream)
        mine = np.zeros(len(stream), dtype=bool)
        inside = at < len(whole)
        mine[inside] = whole[at[inside]] == stream[inside]
        self._mine = mine
        others = ~mine & ~((kind == WINDOW_UPDATE) & (stream == 0))
        for row in np.flatnonzero(others).tolist():
            row += self._base
            self._walk.tell(self.frame(row), blocks.get(row))

    def _count(self, whole: Array, closing: Array, opening: Array, blocks: dict[int, HeaderBlock]) -> None:
        """Count the ordinary exchanges, and remember those that closed last."""
        facts, table = self._walk.facts, self._walk.table
        half = facts.halves[CLIENT]
        stream = self.frames.stream[self._rows]
        half.highest_stream = max(half.highest_stream, int(stream[opening].max()))
        if not len(whole):
            return
        facts.opened += len(whole)
        requests = np.flatnonzero(opening & self._mine)
        requests = requests[np.argsort(stream[requests])]
        segment = self.frames.segment[self._rows][requests]
        within = self.frames.at[self._rows][requests] - self._stretch.bounds[segment]
        places = self._stretch.packets[segment] << 24 | within
        rows = np.flatnonzero(self._mine & (self.frames.kind[self._rows] != PING)) + self._base
        kept = Kept(self, rows, whole, blocks, places)
        table.complete_all(whole[np.argsort(closing)].tolist(), kept)


def take(walk: FrameWalk, stretch: Stretch, *, flipped: bool) -> None:
    """Take a stretch: its regular ranges at once, the rest through the walk."""
    frames = Frames(stretch) if len(stretch.raw) else None
    regular = frames.regular if frames is not None else np.zeros(len(stretch), dtype=bool)
    breaks = np.flatnonzero(~regular).tolist()
    breaks.append(len(stretch))
    at = 0
    for stop in breaks:
        if frames is not None and stop - at >= MIN_SEGMENTS and walk.between_frames:
            rows = slice(*np.searchsorted(frames.segment, (at, stop)).tolist())
            if Range(walk, stretch, frames, rows, int(flipped)).take():
                at = stop
        # The irregular segment itself, with what stands before it.
        for side, data, marks in stretch.runs(at, min(stop + 1, len(stretch))):
            walk.feed(side ^ flipped, data, marks)
        at = stop + 1
