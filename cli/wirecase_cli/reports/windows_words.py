"""What a report says beside the picture of a window: where it was used up, overrun or lost, and what should have come.

All of it is numbers and wirecase's own words: no text of a capture stands here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from wirecase.model import SIDE_NAMES
from wirecase.picturing.model import Missing, Picture, Series, Stall
from wirecase_cli.reports import times, words
from wirecase_cli.reports.windows_axis import axis
from wirecase_cli.reports.windows_chart import chart, since

WIDTH = 80
"""Columns of a chart where no screen tells another width."""
MAX_SERIES = 3
"""Series that are drawn for one finding."""
_STALLS, _VIOLATIONS = 3, 3
"""Told one by one."""
_ENDS = {
    "reset": "until the stream was reset",
    "stream end": "until the sender ended the stream",
    "unknown": "until bytes are missing from the capture",
    "end": "until the end",
    "WINDOW_UPDATE": "until a WINDOW_UPDATE came",
}
_BROKEN = {"over": "more DATA than the window allowed", "overflow": "over 2^31-1", "zero": "WINDOW_UPDATE of 0"}


@dataclass(slots=True, frozen=True)
class Line:
    """One line, or one paragraph, of what is told of a window."""

    kind: Literal["title", "chart", "fact", "missing"]
    text: str


def told(picture: Picture, finding: str, width: int, *, unicode: bool = True) -> Iterator[Line]:
    """Yield what is told of the windows that a finding is about, its charts `width` columns wide."""
    series = picture.series_of(finding)
    for one in series[:MAX_SERIES]:
        yield from drawn(one, width, unicode=unicode, finding=finding)
    if len(series) > MAX_SERIES:
        yield Line("fact", f"and {words.plural(len(series) - MAX_SERIES, 'more window')} of the same kind")


def drawn(series: Series, width: int, *, unicode: bool = True, finding: str | None = None) -> Iterator[Line]:
    """Yield title, chart and facts of one series; with a `finding`, what was missing by it alone."""
    yield Line("title", title(series))
    for line in chart(series, width, unicode=unicode):
        yield Line("chart", line)
    for text in facts(series):
        yield Line("fact", text)
    named: dict[str, Missing] = {}
    for missing in series.missing:
        if finding is None or missing.finding == finding:
            named.setdefault(missing.text, missing)
    for text, missing in named.items():
        yield Line("missing", f"should have come ({missing.certainty}): {text}")


def title(series: Series) -> str:
    """Name a series in one line."""
    sender = SIDE_NAMES[series.sender]
    if series.what == "stream slots":
        return f"Streams that the {sender} may still open on connection {series.connection}"
    where = f"stream {series.stream} of connection" if series.stream else "all of connection"
    return f"Bytes that the {sender} may still send on {where} {series.connection}"


def facts(series: Series) -> Iterator[str]:
    """Yield what happened to a series, one sentence each."""
    begin = axis(series, 1).begin
    yield f"begins {times.day(begin)} {times.clock(begin)} UTC"
    for stall in _told_stalls(series):
        yield _stall(stall, begin)
    if series.stalls_seen > 1:
        yield f"nothing left {series.stalls_seen:,} times, {times.duration(series.stalled)} in all"
    for one in series.violations[:_VIOLATIONS]:
        amount = f", {one.amount:,} bytes too many" if one.amount else ""
        yield f"at {_after(begin, one.time)}, packet {one.packet}: {_BROKEN[one.kind]}{amount}"
    if series.violations_seen > _VIOLATIONS:
        yield f"and {series.violations_seen - _VIOLATIONS:,} more frames against the rules"
    if (leak := series.leak) is not None:
        yield (
            f"{leak.at_begin:,} bytes at the first idle moment, {leak.at_end:,} at the last: {leak.per_stream:,.1f} "
            f"bytes lost per finished stream, {leak.per_second:,.0f} per second"
        )
    if series.unknown_since is not None:
        yield f"unknown from {_after(begin, series.unknown_since)} on: {series.unknown_why}"
    if series.seen > len(series.points):
        yield (
            f"drawn from {len(series.points):,} of {series.seen:,} changes: first, least, greatest and last of each "
            "stretch of time"
        )


def _after(begin: int, time: int) -> str:
    """Write a time since the beginning of the chart."""
    return since(time - begin).removeprefix("+")


def _told_stalls(series: Series) -> list[Stall]:
    """Return the stalls that findings name, or else the longest one."""
    named = [stall for stall in series.stalls if stall.findings]
    if named or not series.stalls:
        return named[:_STALLS]
    return [max(series.stalls, key=lambda stall: stall.until - stall.since)]


def _stall(stall: Stall, begin: int) -> str:
    how = _ENDS.get(stall.ended_by, f"until {stall.ended_by} came")
    if stall.end_packet is not None:
        how += f" (packet {stall.end_packet})"
    lasted = times.duration(stall.until - stall.since)
    return f"nothing left for {lasted}, from {_after(begin, stall.since)} (packet {stall.packet}) {how}"
