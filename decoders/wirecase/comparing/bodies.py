"""Where two bodies begin to differ: a second reading, of the calls whose bytes are not the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from wirecase import pipeline
from wirecase.comparing.model import Pair
from wirecase.http2.facts import DATA, PADDED, ControlFrame, HeaderBlock
from wirecase.http2.recorder import FrameRecorder
from wirecase.model import CLIENT, SERVER, SIDE_NAMES, Evidence, Mark, Marks
from wirecase.session.session import Session

MOST = 16
"""Calls that are looked at again."""
KEPT = 1 << 20
"""Bytes of each body that are kept; a difference behind them is not located."""
_SHOWN = 48
_BEFORE = 16
"""Bytes before the first difference that are shown."""

Place = tuple[int, int]


@dataclass(slots=True)
class _Body:
    data: bytearray = field(default_factory=bytearray)
    pieces: list[tuple[int, Mark]] = field(default_factory=list)
    """(offset in the body, where its byte stands)."""
    torn: bool = False

    def take(self, data: bytes, mark: Mark) -> None:
        room = KEPT - len(self.data)
        if room > 0 and not self.torn:
            self.pieces.append((len(self.data), mark))
            self.data += data[:room]

    def at(self, offset: int) -> Mark:
        """Return where the byte at `offset` of the body stands."""
        begin, mark = max((one for one in self.pieces if one[0] <= offset), key=lambda one: one[0])
        return mark._replace(offset=mark.offset + offset - begin)


class _Recorder:
    """Keeps the bodies of some streams of one connection (`wirecase.http2.recorder.FrameRecorder`)."""

    def __init__(self, bodies: dict[tuple[int, int], _Body]) -> None:
        self._bodies = bodies
        """(stream, side) -> its body."""
        self._open: list[tuple[_Body | None, int]] = [(None, 0), (None, 0)]
        """The body of the last DATA frame of each side, and its payload bytes that are still to come."""

    def frame(self, frame: ControlFrame) -> None:
        """A whole frame other than unpadded DATA."""
        self._open[frame.side] = (None, 0)
        body = self._bodies.get((frame.stream & 0x7FFFFFFF, frame.side))
        if body is None or frame.kind != DATA or not frame.flags & PADDED or not frame.payload:
            return
        pad = frame.payload[0]
        body.take(frame.payload[1 : max(len(frame.payload) - pad, 1)], frame.marks.at(frame.offset + 10))

    def data(self, frame: ControlFrame, length: int) -> None:
        """An unpadded DATA frame."""
        body = self._bodies.get((frame.stream & 0x7FFFFFFF, frame.side))
        self._open[frame.side] = (body, length - len(frame.payload))
        if body is not None:
            body.take(frame.payload, frame.marks.at(frame.offset + 9))

    def more(self, side: int, data: bytes, marks: Marks) -> None:
        """More of the last DATA frame."""
        body, rest = self._open[side]
        self._open[side] = (body, rest - len(data))
        if body is not None:
            body.take(data, marks.at(marks.offsets[0]))

    def block(self, frame: ControlFrame, block: HeaderBlock) -> None:
        """A header block: no part of a body."""

    def gap(self, side: int, length: int, mark: Mark) -> None:
        """Bytes are missing: what comes behind cannot be compared."""
        for (_, sender), body in self._bodies.items():
            if sender == side:
                body.torn = True


def _read(
    options: pipeline.Options, places: Sequence[Place], stop: Callable[[], bool] | None
) -> dict[tuple[Place, int], _Body]:
    """Read a capture again and return the bodies of some calls, by place and side."""
    found = {(place, side): _Body() for place in places for side in (CLIENT, SERVER)}
    connections = {place[0] for place in places}

    def record(session: Session) -> FrameRecorder | None:
        if session.index not in connections:
            return None
        return _Recorder({(p[1], side): body for (p, side), body in found.items() if p[0] == session.index})

    pipeline.diagnose(options, record=record, stop=stop)
    return found


@dataclass(slots=True)
class Split:
    """Where the bodies of one side of a call begin to differ."""

    side: int
    offset: int
    """Offset in the body of the first byte that differs."""
    front: list[Evidence]
    back: list[Evidence]


def splits(
    pairs: Sequence[Pair], front: pipeline.Options, back: pipeline.Options | None, shift: int,
    stop: Callable[[], bool] | None,
) -> dict[int, list[Split]]:  # fmt: skip
    """Return where the bodies of `pairs` (the first few) differ, by the number of the front call.

    `shift` is what the numbers of the back capture's sources are moved by.
    """
    chosen = list(pairs)[:MOST]
    if not chosen:
        return {}
    fronts, backs = [pair.front.mark.place for pair in chosen], [pair.back.mark.place for pair in chosen]
    if back is None:
        held = behind = _read(front, [*fronts, *backs], stop)
    else:
        held, behind = _read(front, fronts, stop), _read(back, backs, stop)
    found: dict[int, list[Split]] = {}
    for pair in chosen:
        for side in (CLIENT, SERVER):
            one, two = held[pair.front.mark.place, side], behind[pair.back.mark.place, side]
            at = _first_difference(bytes(one.data), bytes(two.data))
            if at is None or one.torn or two.torn:
                continue
            note = f"byte {at:,} of the body, the first that differs"
            there = [replace(item, source=(item.source or 0) + shift) for item in _shown(two, side, at, note)]
            found.setdefault(pair.front.call, []).append(Split(side, at, _shown(one, side, at, note), there))
    return found


def _first_difference(one: bytes, two: bytes) -> int | None:
    """Return the first offset at which two bodies differ, or None if what is kept of them does not."""
    size = min(len(one), len(two))
    if one[:size] == two[:size]:
        return size if len(one) != len(two) else None
    low, high = 0, size
    while high - low > 1:  # the halves before `low` are equal
        middle = (low + high) // 2
        low, high = (middle, high) if one[low:middle] == two[low:middle] else (low, middle)
    return low


def _shown(body: _Body, side: int, at: int, note: str) -> list[Evidence]:
    """Return the bytes around a place of a body; nothing if the body has none."""
    if not body.data:
        return []
    begin = max(min(at, len(body.data) - 1) - _BEFORE, 0)
    mark = body.at(begin)
    data = bytes(body.data[begin : begin + _SHOWN])
    ends = "; the body ends before it" if at >= len(body.data) else ""
    return [
        Evidence(
            "primary", f"{note}{ends} (shown from byte {begin:,})", mark.source, SIDE_NAMES[side], mark.packet,
            mark.offset, len(data), data, mark.time,
        )
    ]  # fmt: skip
