"""A live session as lines: for logs (``--plain``), and as JSON, one object a line (``wirecase/watch/1``).

A line for logs is ``TIME WORD key=value … text``, in a form that stays. No control character, whatever was captured.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from wirecase.live import Hint, News, Watch
from wirecase.model import Diagnosis, Finding
from wirecase_cli.reports import live_words, words
from wirecase_cli.reports.drawing import safe
from wirecase_cli.reports.json_v1 import json_safe, report
from wirecase_cli.reports.times import rfc3339

SCHEMA = "wirecase/watch/1"
STATS_EVERY = 10.0
"""Seconds between two lines of counters."""
_MORE_EVERY = 5.0
"""Seconds in which a finding that comes again and again is told once."""


class _Told:
    """Keeps a finding that is met all the time from being told all the time."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[News, float]] = {}
        self._last: dict[int, float] = {}

    def due(self, news: list[News], *, last: bool) -> list[News]:
        """Return what to tell now; `last` tells all that is held back."""
        now = time.monotonic()
        told: list[News] = []
        for one in news:
            key = id(one.finding)
            if one.what == "more" and now - self._last.get(key, 0.0) < _MORE_EVERY and not last:
                self._held[key] = (one, now)
                continue
            if one.finding is not None:
                self._last[key] = now
                self._held.pop(key, None)
            told.append(one)
        for key, (one, _) in list(self._held.items()):
            if last or now - self._last.get(key, 0.0) >= _MORE_EVERY:
                del self._held[key]
                self._last[key] = now
                told.append(one)
        if len(self._last) > 10_000:
            self._last.clear()
        return told


class Lines:
    """Writes what is new as lines; called twice a second."""

    def __init__(self, write: Callable[[str], object], *, as_json: bool = False, every: float = STATS_EVERY) -> None:
        self._write = write
        self._json = as_json
        self._every = every
        self._told = _Told()
        self._stats: float | None = None
        """When counters were written last."""
        self._lost = ""

    def show(self, watch: Watch) -> None:
        """Write what has come up."""
        lines = [self._news(one, watch) for one in self._told.due(watch.live.news(), last=False)]
        lost = f"{watch.dropped}/{watch.waits}" if watch.dropped or watch.waits else ""
        if self._stats is None:  # the first packets: something is seen at all
            due = watch.live.packets > 0 or watch.elapsed >= self._every
        else:
            due = watch.elapsed - self._stats >= self._every
        if due or lost != self._lost:
            self._stats, self._lost = watch.elapsed, lost
            lines.append(self._counters(watch))
        if lines:
            self._write("".join(f"{line}\n" for line in lines))

    def end(self, watch: Watch, found: Diagnosis) -> None:
        """Write what was held back, the last counters and, as JSON, the report."""
        lines = [self._news(one, watch) for one in self._told.due(watch.live.news(), last=True)]
        lines.append(self._counters(watch))
        if self._json:
            lines.append(_object("report", None, {"report": report(found)}))
        self._write("".join(f"{line}\n" for line in lines))

    def _news(self, one: News, watch: Watch) -> str:
        if one.finding is not None:
            return _json_finding(one, one.finding) if self._json else _plain_finding(one, one.finding)
        assert one.hint is not None
        return _json_hint(one, one.hint, watch) if self._json else _plain_hint(one, one.hint, watch)

    def _counters(self, watch: Watch) -> str:
        board = watch.live.board()
        if self._json:
            counters: dict[str, Any] = {
                "packets": board.packets, "bytes": board.bytes, "connections": board.connections,
                "protocols": board.protocols, "streams": board.streams,
                "calls": {"total": board.calls, "ok": board.ok, "failed": board.failed},
                "rate": round(board.rate, 2), "failing": round(board.failing, 2), "missing": board.missing,
                "dropped": watch.dropped, "behind": watch.behind, "waits": watch.waits,
                "findings": [{"rule": rule, "severity": how, "count": count} for rule, how, count in board.errors],
            }  # fmt: skip
            return _object("stats", board.now or None, counters)
        parts = [f"{name}={value}" for name, value in live_words.counters(board)]
        dropped = "unknown" if watch.dropped is None else str(watch.dropped)
        return " ".join([_time(board.now), "stats", *parts, f"dropped={dropped}", f"behind={watch.behind}"])


def _plain_finding(one: News, finding: Finding) -> str:
    where = live_words.place(finding)
    text = f"{finding.title} ({where})" if where else finding.title
    severity = finding.severity if one.what == "finding" else "again"
    return f"{_time(finding.time)} {severity} {finding.rule} count={one.count} {safe(text)}"


def _plain_hint(one: News, hint: Hint, watch: Watch) -> str:
    word = "hint" if one.what == "hint" else "over"
    held = f"for={one.seconds:.1f}s"
    return f"{_time(watch.live.now)} {word} {hint.kind} {held} {safe(f'{hint.text} ({live_words.hint_place(hint)})')}"


def _json_finding(one: News, finding: Finding) -> str:
    connection = finding.connection
    return _object(
        "finding" if one.what == "finding" else "again",
        finding.time,
        {
            "rule": finding.rule, "severity": finding.severity, "certainty": finding.certainty, "count": one.count,
            "title": finding.title, "explanation": finding.explanation, "who": list(finding.who),
            "connection": None if connection is None
            else {"index": connection.index, "client": connection.client, "server": connection.server},
            "stream": finding.stream, "call": finding.call, "path": finding.path,
            "packet": live_words.first_packet(finding), "details": finding.details,
        },
    )  # fmt: skip


def _json_hint(one: News, hint: Hint, watch: Watch) -> str:
    return _object(
        "hint" if one.what == "hint" else "over",
        watch.live.now,
        {
            "kind": hint.kind, "text": hint.text, "seconds": round(one.seconds, 3), "since": rfc3339(hint.since),
            "connection": {
                "index": hint.connection.index, "client": hint.connection.client, "server": hint.connection.server,
            },
            "stream": hint.stream, "path": hint.path,
        },
    )  # fmt: skip


def _object(event: str, at: int | None, fields: dict[str, Any]) -> str:
    head = {"schema": SCHEMA, "event": event, "time": None if at is None else rfc3339(at)}
    return json.dumps(json_safe({**head, **fields}), ensure_ascii=True)


def _time(at: int | None) -> str:
    return rfc3339(at) if at else "-"


def summary(watch: Watch) -> str:
    """Say in one line what was lost on the way, for standard error; empty if nothing was."""
    forgotten = watch.live.forgotten.total()
    parts = [live_words.lost(watch)] if live_words.lost(watch) else []
    if forgotten:
        parts.append(f"{words.plural(forgotten, 'older finding')} were told above and are not in the report")
    return "; ".join(parts)
