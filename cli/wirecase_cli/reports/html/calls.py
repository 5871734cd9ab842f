"""The calls as columns: small enough for ten thousand of them in one page, and quick to search there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from wirecase.grpc.status import status_name
from wirecase.query import CallRow
from wirecase_cli.reports import call_table, times
from wirecase_cli.reports.html.shown import Shown

FIRST_ROWS = 50
"""Rows that stand in the page itself, readable without scripts."""
NO_STATUS = -1
_NS = 1_000


@dataclass(slots=True, frozen=True)
class StaticRow:
    """One row of the table as it stands in the page. Not yet escaped."""

    call: int
    started: str
    duration: str
    messages: str
    sizes: str
    status: str
    tone: str
    """``good``, ``bad``, ``odd``."""
    path: str
    ended: str
    findings: tuple[str, ...]


class Texts:
    """Numbers the distinct texts of the table, so that each is written once."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        self._numbers: dict[str | None, int] = {None: 0}
        self.texts: list[str] = [""]

    def __call__(self, text: str | None) -> int:
        """Return the number of a text; 0 stands for none."""
        number = self._numbers.setdefault(text, len(self.texts))
        if number == len(self.texts):
            self.texts.append(self._shown.text(text or ""))
        return number


def table(rows: Sequence[CallRow], shown: Shown, *, seen: int, sources: Iterable[str] = ()) -> dict[str, Any]:
    """Return the rows as columns for the page's script. Times are µs since ``base``, which is ms since 1970 (UTC)."""
    texts = Texts(shown)
    base = min((row.started for row in rows), default=0) // 1_000_000
    columns: dict[str, Callable[[CallRow], int]] = {
        "call": lambda row: row.call,
        "kind": lambda row: texts(row.kind),
        "conn": lambda row: row.connection,
        "stream": lambda row: row.stream,
        "client": lambda row: texts(row.client),
        "server": lambda row: texts(row.server),
        "auth": lambda row: texts(row.authority),
        "path": lambda row: texts(row.path),
        "status": lambda row: NO_STATUS if row.status is None else row.status,
        "http": lambda row: row.http or 0,
        "type": lambda row: texts(row.content_type),
        "source": lambda row: row.source,
        "packet": lambda row: row.packet,
        "start": lambda row: row.started // _NS - base * 1000,
        "took": lambda row: row.duration // _NS,
        "open": lambda row: int(row.ended is None),
        "ms": lambda row: row.messages_sent,
        "mr": lambda row: row.messages_received,
        "bs": lambda row: row.bytes_sent,
        "br": lambda row: row.bytes_received,
        "how": lambda row: texts(call_table.ending(row)),
        "found": lambda row: texts(" ".join(row.findings) or None),
    }
    packed = {name: _packed([value(row) for row in rows]) for name, value in columns.items()}
    statuses = sorted({row.status for row in rows if row.status is not None})
    return {
        "count": len(rows),
        "seen": seen,
        "base": base,
        "texts": texts.texts,
        "statuses": {str(code): status_name(code) for code in statuses},
        "sources": [shown.text(name) for name in sources],
        "columns": packed,
    }


def _packed(values: list[int]) -> list[int] | int:
    """Write a column that has one value only as that value."""
    return values[0] if values and values.count(values[0]) == len(values) else values


def first_rows(rows: Sequence[CallRow]) -> list[StaticRow]:
    """Return the rows that the page shows before any script runs."""
    return [_static(row) for row in rows[:FIRST_ROWS]]


def _static(row: CallRow) -> StaticRow:
    return StaticRow(
        call=row.call,
        started=times.clock(row.started),
        duration=duration(row),
        messages=f"{row.messages_sent:,} / {row.messages_received:,}",
        sizes=f"{row.bytes_sent:,} / {row.bytes_received:,}",
        status="none" if row.status is None else status_name(row.status),
        tone=tone(row),
        path=row.path if row.path is not None else "(path not known)",
        ended=call_table.ending(row),
        findings=row.findings,
    )


def tone(row: CallRow) -> str:
    """Say how a call's status is to be drawn."""
    if row.status == 0:
        return "odd" if row.findings else "good"
    return "bad" if row.status is not None or row.findings else "odd"


def duration(row: CallRow) -> str:
    """Write how long a call took, in ms; ``>`` stands before the time of one that had not ended."""
    tenths = (row.duration // _NS + 50) // 100
    return f"{'>' if row.ended is None else ''}{tenths // 10:,}.{tenths % 10} ms"
