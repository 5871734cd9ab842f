"""A log beside the capture, for every report: what explains which line, and what is left over on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from wirecase.model import Diagnosis
from wirecase_cli.reports import escape, words
from wirecase_cli.reports.times import rfc3339

if TYPE_CHECKING:
    from wirecase.model import LogLine, LogReport

MOST_SHOWN = 12
"""Kinds of lines that the terminal and Markdown show; JSON has all that are kept."""
_SECOND = 1_000_000_000


def as_json(log: LogReport) -> dict[str, Any]:
    """Return the field ``log`` of the report."""
    return {
        "path": log.path,
        "records": log.records,
        "errors": log.errors,
        "clock_offset": None if log.offset is None else log.offset / _SECOND,
        "clock_pairs": log.pairs,
        "clock_spread": log.spread / _SECOND,
        "matched": [_line(one) for one in log.matched],
        "unexplained": [_line(one) for one in log.unexplained],
        "more_matched": log.more_matched,
        "more_unexplained": log.more_unexplained,
        "unlogged": log.unlogged,
    }


def _line(one: LogLine) -> dict[str, Any]:
    return {
        "line": one.line,
        "lines": one.lines,
        "count": one.count,
        "first": None if one.first is None else rfc3339(one.first),
        "last": None if one.last is None else rfc3339(one.last),
        "text": escape.line(one.text),
        "rules": one.rules,
        "findings": one.findings,
        "by": one.by,
        "calls": one.calls,
    }


def headline(log: LogReport) -> str:
    """Say in one line how log and capture fit; the caller escapes it."""
    if not log.errors:
        return f"{log.path}: {words.plural(log.records, 'line')}, none tells of an error"
    told = sum(one.count for one in log.matched) + log.more_matched
    return (
        f"{log.path}: {words.number(told)} of {words.plural(log.errors, 'line')} with errors explained by the capture"
    )


def clock(log: LogReport) -> str:
    """Say how far the clocks are apart, or nothing."""
    if log.offset is None:
        return (
            "The clocks could not be compared (no times, or no common ones): lines were matched by their words alone."
            if log.errors
            else ""
        )
    seconds = log.offset / _SECOND
    ahead = "the log's clock agrees with the capture's" if abs(seconds) < 0.5 else (
        f"the log's clock is {abs(seconds):,.1f} s {'ahead of' if seconds > 0 else 'behind'} the capture's"
    )  # fmt: skip
    return f"Estimated from {words.plural(log.pairs, 'line')}: {ahead}."


def matched(log: LogReport) -> Iterator[tuple[str, str]]:
    """Yield (what explains it, line) for the lines that something explains; the caller escapes."""
    for one in log.matched[:MOST_SHOWN]:
        calls = f", call {', '.join(map(str, one.calls[:5]))}" if one.calls else ""
        yield f"{', '.join(one.findings)}{calls} by {', '.join(one.by)}", _shown(one)


def unexplained(log: LogReport) -> Iterator[tuple[str, str]]:
    """Yield (what it may stand for, line) for the lines that nothing in the capture explains."""
    for one in log.unexplained[:MOST_SHOWN]:
        yield f"may be {one.rules[0]}" if one.rules else "unknown", _shown(one)


def _shown(one: LogLine) -> str:
    many = f" ({words.number(one.count)} times)" if one.count > 1 else ""
    return f"line {one.line}{many}: {one.text}"


def more(log: LogReport, *, explained: bool) -> int:
    """Return how many kinds or lines are not shown."""
    lines, beyond = (log.matched, log.more_matched) if explained else (log.unexplained, log.more_unexplained)
    return max(len(lines) - MOST_SHOWN, 0) + beyond


def unlogged(diagnosis: Diagnosis) -> list[str]:
    """Return the faults that no line tells of, one phrase each, without their consequences; the caller escapes."""
    ids = set(diagnosis.log.unlogged) if diagnosis.log is not None else set()
    roots = [one for one in diagnosis.findings if one.id in ids and one.caused_by not in ids]
    return [f"{one.id} {one.title} ({one.rule})" for one in roots][:MOST_SHOWN]
