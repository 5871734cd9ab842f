"""Windows over time for machines: what ``wirecase/timeline/1`` has under ``windows``."""

from __future__ import annotations

from typing import Any

from wirecase.model import SIDE_NAMES
from wirecase.picturing.model import Leak, Missing, Point, Series, Stall, Violation
from wirecase_cli.reports import times


def series(one: Series) -> dict[str, Any]:
    """Return one window over time."""
    return {
        "stream": one.stream,
        "sender": SIDE_NAMES[one.sender],
        "what": one.what,
        "unit": one.unit,
        "begin": times.rfc3339(one.begin),
        "end": times.rfc3339(one.end),
        "points": [_point(point) for point in one.points],
        "points_seen": one.seen,
        "lowest": None if one.lowest is None else one.lowest.value,
        "highest": None if one.highest is None else one.highest.value,
        "unknown_since": None if one.unknown_since is None else times.rfc3339(one.unknown_since),
        "unknown_why": one.unknown_why,
        "stalls": [_stall(stall) for stall in one.stalls],
        "stalls_seen": one.stalls_seen,
        "stalled_ns": one.stalled,
        "violations": [_violation(violation) for violation in one.violations],
        "violations_seen": one.violations_seen,
        "leak": None if one.leak is None else _leak(one.leak),
        "missing": [_missing(missing) for missing in one.missing],
        "findings": list(one.findings),
    }


def _point(one: Point) -> dict[str, Any]:
    return {
        "time": times.rfc3339(one.time),
        "value": one.value,
        "change": one.change,
        "by": one.by,
        "sender": SIDE_NAMES[one.side],
        "stream": one.stream,
        "source": one.source,
        "packet": one.packet,
        "offset": one.offset,
    }


def _stall(one: Stall) -> dict[str, Any]:
    return {
        "since": times.rfc3339(one.since),
        "until": times.rfc3339(one.until),
        "ns": one.until - one.since,
        "value": one.value,
        "source": one.source,
        "packet": one.packet,
        "ended_by": one.ended_by,
        "end_packet": one.end_packet,
        "findings": list(one.findings),
    }


def _violation(one: Violation) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "time": times.rfc3339(one.time),
        "sender": SIDE_NAMES[one.side],
        "stream": one.stream,
        "source": one.source,
        "packet": one.packet,
        "amount": one.amount,
        "allowed": one.allowed,
        "findings": list(one.findings),
    }


def _leak(one: Leak) -> dict[str, Any]:
    return {
        "begin": times.rfc3339(one.begin),
        "end": times.rfc3339(one.end),
        "at_begin": one.at_begin,
        "at_end": one.at_end,
        "streams": one.streams,
        "per_stream": one.per_stream,
        "per_second": one.per_second,
        "findings": list(one.findings),
    }


def _missing(one: Missing) -> dict[str, Any]:
    return {
        "name": one.name,
        "sender": SIDE_NAMES[one.side],
        "stream": one.stream,
        "at_least": one.at_least,
        "for_message": one.for_message,
        "after": times.rfc3339(one.after),
        "source": one.source,
        "packet": one.packet,
        "text": one.text,
        "certainty": one.certainty,
        "finding": one.finding,
    }
