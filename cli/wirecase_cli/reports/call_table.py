"""The list of calls: a table for people, ``wirecase/calls/1`` for machines, CSV for spreadsheets.

All of them are drawn row by row, so a list may be of any length.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from wirecase.grpc.status import status_name
from wirecase.http2.facts import error_name
from wirecase.listing import CallList
from wirecase.query import CallRow
from wirecase_cli.reports import csv_rows, json_v1, times, words
from wirecase_cli.reports.drawing import DIM
from wirecase_cli.reports.lines import Part, draw, fit, fit_end, safe, wrap
from wirecase_cli.reports.screen import Screen

SCHEMA = "wirecase/calls/1"

_CALL, _TIME, _DURATION, _MESSAGES, _BYTES, _STATUS = 6, 12, 9, 6, 10, 6

ENDINGS = {
    "trailers": "trailers",
    "trailers-only": "trailers only",
    "data": "END_STREAM on DATA, no trailers",
    "rst": "RST_STREAM",
    "goaway": "GOAWAY",
    "fin": "TCP FIN",
    "tcp-rst": "TCP RST",
    "open": "open when the capture ends",
}
"""How a call ended, in words."""


def terminal(calls: CallList, screen: Screen) -> Iterator[str]:
    """Yield the table, line by line."""
    head = (
        fit("call", _CALL, right=True), fit("started", _TIME), fit("duration", _DURATION, right=True),
        fit("msgs", _MESSAGES, right=True), fit("bytes", _BYTES, right=True), fit("status", _STATUS, right=True),
        "path",
    )  # fmt: skip
    several = len(calls.diagnosis.sources) > 1
    day = ""
    shown = 0
    for row in calls:
        if not shown:
            yield draw([(" ".join(head[:-1]) + f"  {head[-1]}", DIM)], screen)
        shown += 1
        if times.day(row.started) != day:
            day = times.day(row.started)
            yield draw([(" " * (_CALL + 1) + f"{day} UTC", DIM)], screen)
        yield from _terminal_row(row, screen, calls if several else None)
    if not shown:
        what = f"none of {words.plural(calls.seen, 'call')} fits the filter" if calls.seen else "no gRPC call was found"
        yield draw([(what, "")], screen)
    elif shown < calls.seen:
        yield draw([(f"{words.number(shown)} of {words.plural(calls.seen, 'call')}", DIM)], screen)
    if calls.diagnosis.interrupted:
        yield draw([("interrupted: these are the calls that were known then", "yellow")], screen)


def _terminal_row(row: CallRow, screen: Screen, calls: CallList | None) -> Iterator[str]:
    left = _CALL + _TIME + _DURATION + _MESSAGES + _BYTES + _STATUS + 7
    healthy = row.status == 0 and not row.findings
    style = "" if healthy else "yellow" if row.status == 0 else "bold red" if row.findings else "yellow"
    status = "-" if row.status is None else str(row.status)
    path = safe(row.path) if row.path is not None else "(path not known)"
    parts: list[Part] = [
        (fit(str(row.call), _CALL, right=True) + " ", "bold"),
        (times.clock(row.started) + " ", DIM),
        (fit(length(row), _DURATION, right=True) + " ", ""),
        (fit(f"{_short(row.messages_sent)}/{_short(row.messages_received)}", _MESSAGES, right=True) + " ", ""),
        (fit(f"{_short(row.bytes_sent)}/{_short(row.bytes_received)}", _BYTES, right=True) + " ", ""),
        (fit(status, _STATUS, right=True) + "  ", style),
        (fit_end(path, screen.width - left), ""),
    ]
    yield draw(parts, screen)
    if row.status == 0 and not row.findings and row.how in ("trailers", "trailers-only"):
        return
    text = ending(row)
    if row.status:
        text = f"{safe(status_name(row.status))}, {text}"
    if row.findings:
        named = ", ".join(f"{one} {rule}" for one, rule in _named(row))
        text += f"; {named}"
    if calls is not None and row.source < len(calls.diagnosis.sources):
        text += f"; {safe(calls.diagnosis.sources[row.source].path)}"
    indent = " " * (_CALL + 1)
    for line in wrap(text, screen.width - len(indent)):
        yield draw([(indent + line, style or DIM)], screen)


def _named(row: CallRow) -> list[tuple[str, str]]:
    """Return each finding's id, with its rule where every finding has its own."""
    if len(row.findings) == len(row.rules):
        return list(zip(row.findings, row.rules, strict=True))
    return [(one, "") for one in row.findings]


def ending(row: CallRow) -> str:
    """Say who ended a call, and with what."""
    how = ENDINGS.get(row.how, row.how)
    if row.error is not None and row.how in ("rst", "goaway"):
        how += f" {error_name(row.error)}"
    if row.flag is not None:
        how += f", compression flag {row.flag}"
    if row.http not in (None, 200):
        how += f", HTTP {row.http}"
    return f"{row.by}: {how}" if row.by else how


def length(row: CallRow) -> str:
    """Write how long a call took; ``>`` stands before the time of one that had not ended."""
    text = f"{row.duration / 1e6:.1f} ms" if row.duration < 10_000_000 else times.duration(row.duration)
    return text if row.ended is not None else f">{text}"


def _short(count: int) -> str:
    """Write a count in four characters or so: ``999``, ``1.2k``, ``45M``."""
    if count < 1000:
        return str(count)
    value = float(count)
    for unit in "kMGT":
        value /= 1000
        if value < 999.5:
            return f"{value:.1f}{unit}" if value < 9.95 else f"{value:.0f}{unit}"
    return f"{value:.0f}P"


def json_text(calls: CallList) -> Iterator[str]:
    """Yield ``wirecase/calls/1`` as JSON in pure ASCII, one call a line."""
    document = json_v1.report(calls.diagnosis)
    head = {"schema": SCHEMA} | {name: document[name] for name in ("version", "interrupted", "failures", "sources")}
    yield json.dumps({**head, "seen": calls.seen})[:-1] + ', "calls": ['
    separator = "\n"
    for row in calls:
        yield separator + json.dumps(call(row), allow_nan=False)
        separator = ",\n"
    yield "\n]}\n"


def call(row: CallRow) -> dict[str, Any]:
    """Return a row as JSON writes it. Times are RFC 3339, durations are in nanoseconds."""
    return {
        "call": row.call,
        "kind": row.kind,
        "connection": row.connection,
        "stream": row.stream,
        "client": row.client,
        "server": row.server,
        "authority": row.authority,
        "path": row.path,
        "status": row.status,
        "status_name": None if row.status is None else status_name(row.status),
        "http": row.http,
        "content_type": row.content_type,
        "source": row.source,
        "packet": row.packet,
        "started": times.rfc3339(row.started),
        "ended": None if row.ended is None else times.rfc3339(row.ended),
        "duration_ns": row.duration,
        "messages": {"sent": row.messages_sent, "received": row.messages_received},
        "bytes": {"sent": row.bytes_sent, "received": row.bytes_received},
        "by": row.by,
        "how": row.how,
        "error_code": row.error,
        "error": None if row.error is None else error_name(row.error),
        "flag": row.flag,
        "rules": list(row.rules),
        "findings": list(row.findings),
    }


COLUMNS = (
    "call", "kind", "connection", "stream", "client", "server", "authority", "path", "status", "status_name", "http",
    "content_type", "source", "packet", "started", "ended", "duration_ns", "messages_sent", "messages_received",
    "bytes_sent", "bytes_received", "by", "how", "error_code", "error", "flag", "rules", "findings",
)  # fmt: skip
"""Of the CSV; later versions may add some at the end."""


def csv_text(calls: CallList) -> Iterator[str]:
    """Yield the rows as CSV with a line of names, which is there even where there is no call."""
    return csv_rows.lines(COLUMNS, (_flat(call(row)) for row in calls))


def _flat(document: dict[str, Any]) -> list[Any]:
    found: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, dict):
            found.update({f"{name}_{inner}": count for inner, count in value.items()})
        else:
            found[name] = value
    return [found[name] for name in COLUMNS]
