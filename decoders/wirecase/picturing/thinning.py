"""Keeping few of many: points of a series with their extremes, frames of a lane as bundles.

Theory. As long as there is room everything is kept. Then time is cut into stretches of equal width, which doubles
whenever there are too many stretches. Of a series each stretch keeps its first, least, greatest and last point, so
that whatever width it is drawn in, a column shows the same range as all points would. Of a lane each stretch keeps
one bundle per type and side, with sums. What two stretches keep is all that their union needs, so nothing is ever
read again and memory is bounded by the limit.
"""

from __future__ import annotations

from collections.abc import Iterator

from wirecase.picturing.model import FrameMark, Point

_NARROWEST = 1_000
"""ns of a stretch at the beginning."""
_WIDEST = 1 << 62
_PER_STRETCH = 4
SMALLEST_LIMIT = 64
"""Fewer than so many cannot be kept: every type of frame from either side needs a bundle."""


class PointThinner:
    """A series that never holds more than about `limit` points."""

    def __init__(self, limit: int) -> None:
        self._room = max(limit, SMALLEST_LIMIT)
        self._stretches = self._room // _PER_STRETCH
        self._all: list[Point] | None = []
        """Every point, as long as there is room."""
        self._width = _NARROWEST
        self._origin = 0
        self._kept: dict[int, list[tuple[int, Point]]] = {}
        """By stretch: (number, point) of its first, least, greatest and last."""
        self.seen = 0
        self.lowest: Point | None = None
        self.highest: Point | None = None

    def add(self, point: Point) -> None:
        """Take the next point; its time may lie before that of the last one."""
        if not self.seen:
            self._origin = point.time
        value = point.value
        if value is not None:
            if self.lowest is None or value < (self.lowest.value or 0):
                self.lowest = point
            if self.highest is None or value > (self.highest.value or 0):
                self.highest = point
        self._take(point)
        self.seen += 1

    def _take(self, point: Point) -> None:
        if self._all is None:
            self._put(self.seen, point)
        elif len(self._all) < self._room:
            self._all.append(point)
            return
        else:
            for number, one in enumerate((*self._all, point)):
                self._put(number, one)
            self._all = None
        if len(self._kept) > self._stretches:
            self._widen()

    def _put(self, number: int, point: Point) -> None:
        place = (point.time - self._origin) // self._width
        kept = self._kept.get(place)
        if kept is None:
            self._kept[place] = [(number, point)] * _PER_STRETCH
            return
        entry = (number, point)
        if number < kept[0][0]:
            kept[0] = entry
        if number > kept[3][0]:
            kept[3] = entry
        value = point.value
        if value is not None:
            least, greatest = kept[1][1].value, kept[2][1].value
            if least is None or value < least:
                kept[1] = entry
            if greatest is None or value > greatest:
                kept[2] = entry

    def _widen(self) -> None:
        """Double the width until half of the room is free again."""
        while len(self._kept) > self._stretches // 2 and self._width < _WIDEST:
            entries = self._entries()
            self._kept = {}
            self._width *= 2
            for number, point in entries:
                self._put(number, point)

    def _entries(self) -> list[tuple[int, Point]]:
        return sorted({entry[0]: entry for kept in self._kept.values() for entry in kept}.values(), key=_number)

    def points(self) -> list[Point]:
        """Return what is kept, in the order in which it came."""
        return [point for _, point in self._entries()] if self._all is None else self._all


def _number(entry: tuple[int, Point]) -> int:
    return entry[0]


class MarkBundler:
    """A lane that never holds more than about `limit` marks."""

    def __init__(self, limit: int) -> None:
        limit = max(limit, SMALLEST_LIMIT)
        self._proofs, self._notable = limit // 2, limit // 4
        self._most = limit // 4
        self._all: list[FrameMark] | None = []
        """Every other mark, as long as there is room."""
        self._exact: list[FrameMark] = []
        self._width = _NARROWEST
        self._origin = 0
        self._bundles: dict[tuple[int, str, int], FrameMark] = {}
        self.seen = 0

    def add(self, mark: FrameMark, *, notable: bool) -> FrameMark:
        """Take the next mark and return what now stands for it; `notable` ones stand alone while there is room."""
        self.seen += 1
        mark.until, mark.last_packet = mark.time, mark.packet
        if mark.findings and self._proofs > 0:
            self._proofs -= 1
            self._exact.append(mark)
            return mark
        if notable and self._notable > 0:
            self._notable -= 1
            self._exact.append(mark)
            return mark
        if self._all is None:
            standing = self._put(mark)
        elif len(self._all) < self._most:
            self._all.append(mark)
            return mark
        else:
            self._origin = self._all[0].time
            for one in self._all:
                self._put(one)
            self._all = None
            standing = self._put(mark)
        if len(self._bundles) > self._most:
            self._widen()
        return standing

    def _put(self, mark: FrameMark) -> FrameMark:
        # Types that RFC 9113 does not define are one kind here: there are 246 of them.
        name = "type" if mark.name.startswith("type ") else mark.name
        place = (mark.side, name, (mark.time - self._origin) // self._width)
        bundle = self._bundles.get(place)
        if bundle is None:
            self._bundles[place] = mark
            return mark
        _join(bundle, mark)
        return bundle

    def _widen(self) -> None:
        while len(self._bundles) > self._most // 2 and self._width < _WIDEST:
            marks = list(self._bundles.values())
            self._bundles = {}
            self._width *= 2
            for mark in marks:
                self._put(mark)

    def marks(self) -> Iterator[FrameMark]:
        """Return what is kept, by time."""
        return iter(sorted([*self._exact, *(self._all or ()), *self._bundles.values()], key=_place))


def _place(mark: FrameMark) -> tuple[int, int, int]:
    return (mark.time, mark.packet, mark.offset)


def _join(bundle: FrameMark, mark: FrameMark) -> None:
    """Let `bundle` stand for `mark` too; the earlier of the two names its place."""
    bundle.count += mark.count
    bundle.length += mark.length
    bundle.flags = tuple(dict.fromkeys((*bundle.flags, *mark.flags)))
    bundle.note = bundle.note if bundle.note == mark.note else ""
    if mark.findings:
        bundle.findings = tuple(dict.fromkeys((*bundle.findings, *mark.findings)))[:_PER_STRETCH]
        bundle.severity = bundle.severity or mark.severity
        bundle.evidence = bundle.evidence or mark.evidence
    if _place(mark) < _place(bundle):
        bundle.time, bundle.source, bundle.packet, bundle.offset = mark.time, mark.source, mark.packet, mark.offset
    if mark.until > bundle.until:
        bundle.until, bundle.last_packet = mark.until, mark.last_packet
