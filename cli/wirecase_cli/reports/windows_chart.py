"""A window over time in plain characters: an area above a zero line, stalls and violations marked on it.

What a sign means is written below; colour is not needed to read it. Nothing here comes from a capture but numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from wirecase.picturing.model import Series
from wirecase_cli.reports import times
from wirecase_cli.reports.windows_axis import Axis, axis

ROWS = 6
"""Rows above the zero line."""
_LABEL = 14
"""Columns for the values: -2,147,483,647."""
_LEAST = 24


class _Signs(NamedTuple):
    parts: str
    """A cell filled to so many eighths (or, in ASCII, halves)."""
    span: str
    """Between the least and the greatest value of a column."""
    below: str
    zero: str
    stalled: str
    over: str
    unknown: str
    broken: str
    edge: str
    corner: str


_UNICODE = _Signs(" ▁▂▃▄▅▆▇█", "░", "▒", "─", "×", "!", "?", "┊", "│", "┼")
_ASCII = _Signs("  ..oo###", ":", "v", "-", "x", "!", "?", "/", "|", "+")


@dataclass(slots=True)
class _Column:
    """What one column stands for."""

    least: int | None = None
    greatest: int | None = None
    stalled: bool = False
    over: bool = False
    unknown: bool = False

    def take(self, value: int) -> None:
        """Widen the range by a value."""
        self.least = value if self.least is None else min(self.least, value)
        self.greatest = value if self.greatest is None else max(self.greatest, value)


def chart(series: Series, width: int, *, unicode: bool = True) -> list[str]:
    """Return the chart of a series in lines of at most `width` columns; empty if it has no point."""
    if not series.points:
        return []
    signs = _UNICODE if unicode else _ASCII
    room = max(width - _LABEL - 2, _LEAST)
    scale = axis(series, room)
    columns = _columns(series, scale, room)
    top = max((column.greatest for column in columns if column.greatest is not None), default=0)
    low = min((column.least for column in columns if column.least is not None), default=0)
    rows, top = (ROWS, top) if top > 0 else (0, 1)
    breaks = frozenset(scale.breaks)
    lines = []
    for row in range(rows, 0, -1):
        cells = "".join(
            signs.broken if place in breaks and cell == " " else cell
            for place, cell in enumerate(_cell(column, row, top, signs) for column in columns)
        )
        lines.append(_line(f"{top:,}" if row == ROWS else "", signs.edge, cells))
    zero = "".join(_on_zero(column, place in breaks, signs) for place, column in enumerate(columns))
    lines.append(_line("0", signs.corner, zero))
    if low < 0:
        below = "".join(signs.below if column.least is not None and column.least < 0 else " " for column in columns)
        lines.append(_line(f"{low:,}", signs.edge, below))
    lines.append(_ticks(scale, room))
    legend = _legend(columns, signs, broken=bool(breaks))
    return [line.rstrip() for line in (*lines, *(f"{'':{_LABEL}}  {part}" for part in legend))]


def _columns(series: Series, scale: Axis, room: int) -> list[_Column]:
    columns = [_Column() for _ in range(room)]
    value: int | None = None
    at = scale.column(series.points[0].time)
    for point in series.points:
        place = max(scale.column(point.time), at)
        if value is not None:
            for column in columns[at : place + 1]:
                column.take(value)
        value, at = point.value, place
        if value is not None:
            columns[place].take(value)
    last = scale.column(max(series.end, series.points[-1].time))
    if value is not None:
        for column in columns[at : last + 1]:
            column.take(value)
    else:
        after = columns[at + 1 :] if columns[at].least is not None and at + 1 < room else columns[at:]
        for column in after:
            column.unknown = True
    for stall in series.stalls:
        for column in columns[scale.column(stall.since) : scale.column(stall.until) + 1]:
            column.stalled = column.least is not None and column.least <= 0
    for violation in series.violations:
        columns[scale.column(violation.time)].over = True
    return columns


def _cell(column: _Column, row: int, top: int, signs: _Signs) -> str:
    """Draw one cell: filled as far as the least value reaches, shaded up to the greatest."""
    if column.least is None or column.greatest is None:
        return " "
    full = len(signs.parts) - 1
    floor = (row - 1) * full
    sure = _eighths(column.least, top, full) - floor
    perhaps = _eighths(column.greatest, top, full) - floor
    if sure >= full:
        return signs.parts[full]
    if column.greatest > column.least and perhaps > 0 and perhaps > sure:
        return signs.span if sure <= 0 or perhaps >= full else signs.parts[max(sure, 1)]
    return signs.parts[max(sure, 0)]


def _eighths(value: int, top: int, full: int) -> int:
    """Return how many parts of cells a value fills; whatever is above 0 shows."""
    if value <= 0:
        return 0
    return max(value * ROWS * full // top, 1)


def _on_zero(column: _Column, broken: bool, signs: _Signs) -> str:
    if column.over:
        return signs.over
    if column.stalled:
        return signs.stalled
    if column.unknown:
        return signs.unknown
    return signs.broken if broken else signs.zero


def _line(label: str, edge: str, cells: str) -> str:
    return f"{label:>{_LABEL}} {edge}{cells}"


def _ticks(scale: Axis, room: int) -> str:
    """Write the times below the axis, each at its column, as far as there is room."""
    text = [" "] * (room + 1)
    ticks = scale.ticks()
    placed = 0
    first, *middle, last = [(column, since(time - scale.begin)) for column, time in ticks]
    end = room - len(last[1])
    for column, label in (first, *middle):
        if column >= placed and column + len(label) < end - 1:
            text[column : column + len(label)] = label
            placed = column + len(label) + 2
    text[end : end + len(last[1])] = last[1]
    return f"{'':{_LABEL}} {''.join(text)}"


def since(ns: int) -> str:
    """Write a time since the beginning: ``+0``, ``+850 us``, ``+12.5 ms``, ``+3.00 s``, ``+3 min 10 s``."""
    if ns < 1_000:
        return "+0" if ns <= 0 else f"+{ns} ns"
    if ns < 1_000_000:
        return f"+{ns / 1_000:.0f} us"
    if ns < 1_000_000_000:
        return f"+{ns / 1_000_000:.1f} ms"
    if ns < 60_000_000_000:
        return f"+{ns / 1_000_000_000:.2f} s"
    return f"+{times.duration(ns)}"


def _legend(columns: list[_Column], signs: _Signs, *, broken: bool) -> list[str]:
    parts = []
    if any(column.stalled for column in columns):
        parts.append(f"{signs.stalled} nothing left")
    if any(column.over for column in columns):
        parts.append(f"{signs.over} against the rules")
    if any(column.least is not None and column.least < 0 for column in columns):
        parts.append(f"{signs.below} below 0")
    if any(column.unknown for column in columns):
        parts.append(f"{signs.unknown} unknown")
    if any(_shaded(column) for column in columns):
        parts.append(f"{signs.span} changed within")
    if broken:
        parts.append(f"{signs.broken} the time scale changes")
    return ["   ".join(parts)] if parts else []


def _shaded(column: _Column) -> bool:
    return column.least is not None and column.greatest is not None and column.greatest > max(column.least, 0)
