"""The picture of the session for the page: as data for the script that draws it, and as tables for everyone else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from wirecase.model import SIDE_NAMES
from wirecase.picturing.model import FrameMark, Hop, Lane, Limits, Picture, Point, Series
from wirecase_cli.reports import words
from wirecase_cli.reports.html.shown import Shown

LIMITS = Limits(hops=8, streams=16, neighbours=4, marks=200, points=240)
"""What still draws at once and leaves the file small."""
MOST_ROWS = 200
"""Frames in the table."""
MOST_SERIES = 60
_NS = 1_000
_QUIET = frozenset(("DATA", "WINDOW_UPDATE", "PING", "CONTINUATION"))
"""Frames that the table leaves out unless they prove something."""


@dataclass(slots=True, frozen=True)
class FrameRow:
    """A frame of the picture as a row of its table. Not yet escaped."""

    time: str
    hop: str
    stream: str
    sender: str
    frame: str
    note: str
    packet: str
    findings: tuple[str, ...]
    evidence: str


@dataclass(slots=True, frozen=True)
class SeriesRow:
    """A window as a row of its table. Not yet escaped."""

    name: str
    begin: str
    lowest: str
    last: str
    stalls: str
    remarks: list[str]
    findings: tuple[str, ...]


@dataclass(slots=True, frozen=True)
class Tables:
    """The picture in words."""

    frames: list[FrameRow]
    frames_left_out: int
    windows: list[SeriesRow]
    windows_left_out: int


def data(picture: Picture, shown: Shown) -> dict[str, Any]:
    """Return the picture as columns; times are µs since ``Picture.begin``."""
    texts = _Texts(shown)
    series = drawn_series(picture)
    return {
        "span": max((picture.end - picture.begin) // _NS, 1),
        "hops": [_hop(hop, picture, texts) for hop in picture.hops],
        "series": [_series(one, picture, texts) for one in series],
        "faults": [
            {
                "id": fault.finding, "severity": fault.severity, "title": shown.text(fault.title), "root": fault.root,
                "time": _at(fault.time, picture), "conn": fault.connection, "stream": fault.stream,
            }
            for fault in picture.faults
        ],
        "texts": texts.texts,
    }  # fmt: skip


class _Texts:
    """Numbers the distinct texts; 0 is the empty one."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        self._numbers = {"": 0}
        self.texts = [""]

    def __call__(self, text: str) -> int:
        number = self._numbers.setdefault(text, len(self.texts))
        if number == len(self.texts):
            self.texts.append(self._shown.text(text))
        return number


def _at(time: int | None, picture: Picture) -> int | None:
    return None if time is None else (time - picture.begin) // _NS


def _hop(hop: Hop, picture: Picture, texts: _Texts) -> dict[str, Any]:
    return {
        "conn": hop.connection.index,
        "name": texts(hop_name(hop)),
        "begin": _at(hop.begin, picture),
        "end": _at(hop.end, picture),
        "streams": hop.streams_seen,
        "lanes": [_lane(lane, picture, texts) for lane in hop.lanes],
    }


def _lane(lane: Lane, picture: Picture, texts: _Texts) -> dict[str, Any]:
    marks = lane.marks
    return {
        "stream": lane.stream,
        "call": lane.call,
        "path": texts(lane.path or ""),
        "named": lane.named,
        "found": texts(" ".join(lane.findings)),
        "seen": lane.seen,
        "begin": _at(lane.begin, picture),
        "end": _at(lane.end, picture),
        "marks": {
            "time": [_at(mark.time, picture) for mark in marks],
            "took": [max(mark.until - mark.time, 0) // _NS if mark.count > 1 else 0 for mark in marks],
            "name": [texts(mark.name) for mark in marks],
            "side": [mark.side for mark in marks],
            "packet": [mark.packet for mark in marks],
            "last": [mark.last_packet if mark.count > 1 else 0 for mark in marks],
            "size": [mark.length for mark in marks],
            "count": [mark.count for mark in marks],
            "note": [texts(_note(mark)) for mark in marks],
            "found": [texts(" ".join(mark.findings)) for mark in marks],
            "severity": [texts(mark.severity or "") for mark in marks],
            "proof": [texts(mark.evidence) for mark in marks],
        },
    }


def _note(mark: FrameMark) -> str:
    return ", ".join(part for part in (" ".join(mark.flags), mark.note) if part)


def _series(one: Series, picture: Picture, texts: _Texts) -> dict[str, Any]:
    return {
        "conn": one.connection,
        "stream": one.stream,
        "name": texts(series_name(one)),
        "unit": one.unit,
        "found": texts(" ".join(one.findings)),
        "begin": _at(one.begin, picture),
        "end": _at(one.end, picture),
        "unknown": _at(one.unknown_since, picture),
        "time": [_at(point.time, picture) for point in one.points],
        "value": [point.value for point in one.points],
        "by": [texts(point.by) for point in one.points],
        "packet": [point.packet for point in one.points],
        "stalls": [
            [_at(stall.since, picture), _at(stall.until, picture), texts(" ".join(stall.findings))]
            for stall in one.stalls
        ],
        "violations": [[_at(each.time, picture), texts(each.kind)] for each in one.violations],
        "missing": [[_at(each.after, picture), texts(each.name)] for each in one.missing],
    }


def drawn_series(picture: Picture) -> list[Series]:
    """Return the windows that are worth drawing, those that findings are about first."""
    found = [
        one for hop in picture.hops for one in hop.series
        if one.findings or one.moved or one.stalls or one.violations or one.missing
    ]  # fmt: skip
    found.sort(key=lambda one: (not one.findings, not one.violations, not one.stalls))
    return found[:MOST_SERIES]


def hop_name(hop: Hop) -> str:
    """Name a hop by its connection."""
    return f"connection {hop.connection.index}, {hop.connection.client} to {hop.connection.server}"


def series_name(one: Series) -> str:
    """Say what a window limits."""
    where = f"connection {one.connection}" + (f", stream {one.stream}" if one.stream else "")
    if one.what == "stream slots":
        return f"{where}: streams that the {SIDE_NAMES[one.sender]} may still open"
    scope = "" if one.stream else " on all streams"
    return f"{where}: what the {SIDE_NAMES[one.sender]} may still send{scope}"


def tables(picture: Picture) -> Tables:
    """Return the picture in words: the frames that begin, end or prove something, and every window."""
    marks = [
        (hop, lane, mark)
        for hop in picture.hops for lane in hop.lanes for mark in lane.marks
        if mark.findings or mark.kind != "frame" or mark.name not in _QUIET
    ]  # fmt: skip
    kept = marks
    if len(marks) > MOST_ROWS:
        telling = [one for one in marks if one[2].findings][:MOST_ROWS]
        named = [one for one in marks if not one[2].findings and one[1].named]
        others = [one for one in marks if not one[2].findings and not one[1].named]
        kept = (telling + named + others)[:MOST_ROWS]
    kept.sort(key=lambda one: (one[2].time, one[2].packet, one[2].offset))
    windows = [one for hop in picture.hops for one in hop.series]
    windows.sort(key=lambda one: not one.findings)
    return Tables(
        frames=[_frame_row(hop, lane, mark, picture) for hop, lane, mark in kept],
        frames_left_out=sum(lane.seen for hop in picture.hops for lane in hop.lanes) - sum(m.count for *_, m in kept),
        windows=[_series_row(one, picture) for one in windows[:MOST_SERIES]],
        windows_left_out=max(len(windows) - MOST_SERIES, 0),
    )


def _frame_row(hop: Hop, lane: Lane, mark: FrameMark, picture: Picture) -> FrameRow:
    many = f" \u00d7 {mark.count:,}" if mark.count > 1 else ""
    size = f", {words.number(mark.length)} B" if mark.length else ""
    return FrameRow(
        time=seconds(mark.time - picture.begin),
        hop=str(hop.connection.index),
        stream="connection" if lane.stream == 0 else str(lane.stream),
        sender=SIDE_NAMES[mark.side],
        frame=f"{mark.name}{many}{size}",
        note=_note(mark),
        packet=str(mark.packet),
        findings=mark.findings,
        evidence=mark.evidence,
    )


def _series_row(one: Series, picture: Picture) -> SeriesRow:
    return SeriesRow(
        name=series_name(one),
        begin=_value(one.points[0] if one.points else None),
        lowest=_value(one.lowest, picture),
        last=_value(one.points[-1] if one.points else None),
        stalls=f"{one.stalls_seen:,}, {seconds(one.stalled)} in all" if one.stalls_seen else "none",
        remarks=list(_remarks(one, picture)),
        findings=one.findings,
    )


def _remarks(one: Series, picture: Picture) -> Iterator[str]:
    for violation in one.violations[:3]:
        what = {"over": "bytes too many", "overflow": "above 2^31-1 by", "zero": "increment of 0"}[violation.kind]
        amount = f" {violation.amount:,}" if violation.amount else ""
        yield f"{what}{amount}, packet {violation.packet}"
    if one.leak is not None:
        yield (
            f"falls from {one.leak.at_begin:,} to {one.leak.at_end:,} between idle moments: "
            f"{one.leak.per_stream:,.0f} bytes for each stream that finished"
        )
    for missing in one.missing[:3]:
        yield missing.text
    if one.unknown_since is not None:
        when = seconds(one.unknown_since - picture.begin)
        yield f"not known from {when} on: {one.unknown_why}"


def _value(point: Point | None, picture: Picture | None = None) -> str:
    if point is None or point.value is None:
        return "not known"
    where = f" at {seconds(point.time - picture.begin)}, packet {point.packet}" if picture is not None else ""
    return f"{point.value:,}{where}"


def seconds(ns: int) -> str:
    """Write a time since the beginning of the picture: ``0.603590 s``."""
    return f"{ns / 1e9:.6f} s"
