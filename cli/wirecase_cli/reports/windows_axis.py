"""The time axis of a window chart: columns for times, with one break where nothing happened for long.

A stall lasts a thousand times as long as what led to it. On an even axis all of that would be one column, so the
longest quiet stretch gets a fixed share of the columns; the break is drawn, and the time at each of its ends is written
below.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from wirecase.picturing.model import Series

_QUIET = 0.75
"""Share of the time from which on a quiet stretch is worth a break."""
_QUIET_COLUMNS = 0.3
"""Share of the columns that it gets."""
_LEAST_COLUMNS = 6
_FEW_POINTS = 3
_TIGHT = 1_000
"""ns below which an axis would be about nothing."""


@dataclass(slots=True, frozen=True)
class Segment:
    """An even part of the axis."""

    begin: int
    end: int
    """Times, ns."""
    first: int
    count: int
    """Columns."""

    def column(self, time: int) -> int:
        """Return the column of a time inside it."""
        length = max(self.end - self.begin, 1)
        return self.first + min(max((time - self.begin) * self.count // length, 0), self.count - 1)


@dataclass(slots=True, frozen=True)
class Axis:
    """All columns of a chart."""

    segments: tuple[Segment, ...]

    @property
    def begin(self) -> int:
        """Time of the first column."""
        return self.segments[0].begin

    @property
    def end(self) -> int:
        """Time at which the last column ends."""
        return self.segments[-1].end

    @property
    def breaks(self) -> list[int]:
        """The columns at which the scale changes."""
        return [segment.first for segment in self.segments[1:]]

    def column(self, time: int) -> int:
        """Return the column of a time, clamped to the axis."""
        for segment in self.segments:
            if time < segment.end:
                return segment.column(time)
        return self.segments[-1].first + self.segments[-1].count - 1

    def ticks(self) -> list[tuple[int, int]]:
        """Return (column, time) of what is written below the axis."""
        marks = [(segment.first, segment.begin) for segment in self.segments]
        last = self.segments[-1]
        return [*marks, (last.first + last.count - 1, last.end)]


def axis(series: Series, columns: int) -> Axis:
    """Return the axis on which `series` is drawn."""
    times = sorted(point.time for point in series.points)
    begin = min([series.begin, *times[:1]])
    end = max([series.end, *times[-1:], *(stall.until for stall in series.stalls)])
    end = max(end, begin + _TIGHT)
    edges = [*times, end]
    quiet, where = max(((b - a, a) for a, b in pairwise(edges)), default=(0, begin))
    active = (end - begin) - quiet
    if len(times) < _FEW_POINTS or quiet < _QUIET * (end - begin) or active < _TIGHT:
        return Axis((Segment(begin, end, 0, columns),))
    stop = where + quiet
    before, after = where - begin, end - stop
    room = columns - max(int(columns * _QUIET_COLUMNS), _LEAST_COLUMNS)
    head = room if not after else 0 if not before else room * before // (before + after)
    if before and after:
        head = min(max(head, _LEAST_COLUMNS), room - _LEAST_COLUMNS)
    parts = []
    if head:
        parts.append(Segment(begin, where, 0, head))
    parts.append(Segment(where, stop, head, columns - room))
    if after:
        parts.append(Segment(stop, end, head + columns - room, room - head))
    return Axis(tuple(parts))
