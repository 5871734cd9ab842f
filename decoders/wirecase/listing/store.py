"""Rows of any number of calls, sorted, in bounded memory.

Calls close in another order than they began in, and what findings they are part of is settled only when everything is
read. Until then the rows are kept in a temporary database that has no name and spills to disk by itself (SQLite,
https://www.sqlite.org/inmemorydb.html, "Temporary Databases").
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import fields
from operator import attrgetter

from wirecase.errors import WirecaseError
from wirecase.model import Finding
from wirecase.query.rows import CallRow

_BATCH = 2_000
_TUPLES = ("rules", "findings")
_PLAIN = tuple(one.name for one in fields(CallRow) if one.name not in _TUPLES)
_COLUMNS = (*_PLAIN, "named")
_LARGEST = (1 << 63) - 1

_SORTED_BY: dict[str, str] = {
    **{name: name for name in _PLAIN},
    "content-type": "content_type",
    "messages.sent": "messages_sent",
    "messages.received": "messages_received",
    "bytes.sent": "bytes_sent",
    "bytes.received": "bytes_received",
    "messages": "messages_sent + messages_received",
    "bytes": "bytes_sent + bytes_received",
    "finding": "named = ''",
}
SORT_FIELDS = tuple(name for name in _SORTED_BY if "_" not in name and name not in ("source", "packet"))
"""What rows can be sorted by."""


class NoRoomError(WirecaseError):
    """The rows fit neither into memory nor into the folder for temporary files."""

    exit_status = 4


class RowStore:
    """Takes rows as calls close; gives them back sorted, with their findings, once those are known."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA cache_size = -16000")
        self._database.execute("BEGIN")
        self._database.execute(f"CREATE TABLE calls ({', '.join(_COLUMNS)})")
        self._insert = f"INSERT INTO calls VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - no outside text
        self._values = attrgetter(*_PLAIN)
        self._waiting: list[tuple[object, ...]] = []
        self._findings: list[Finding] = []
        self._numbers: dict[int, int] = {}
        """``id`` of a finding -> its place in `_findings`, which keeps it alive."""
        self.count = 0

    def add(self, row: CallRow, named: list[Finding]) -> None:
        """Take a row and the findings that its call is part of."""
        places = " ".join(str(self._number(finding)) for finding in named)
        self._waiting.append((*self._values(row), places))
        self.count += 1
        if len(self._waiting) >= _BATCH:
            self._write()

    def _number(self, finding: Finding) -> int:
        number = self._numbers.setdefault(id(finding), len(self._findings))
        if number == len(self._findings):
            self._findings.append(finding)
        return number

    def _write(self) -> None:
        try:
            self._database.executemany(self._insert, self._waiting)
        except sqlite3.OperationalError as error:
            raise NoRoomError(f"the calls cannot be kept in a temporary file: {error}") from error
        self._waiting.clear()

    def rows(
        self, findings: list[Finding], holds: Callable[[CallRow], bool] | None, sort: str, limit: int | None
    ) -> Iterator[CallRow]:
        """Yield the rows for which `holds` says yes, at most `limit`, with their findings of a complete diagnosis.

        `sort` is one of `SORT_FIELDS`, the least first, or with ``-`` in front the greatest first; calls without a
        value come last, equal ones in the order of their numbers.
        """
        self._write()
        by_place = _by_place(findings)
        known = {id(finding): place for place, finding in enumerate(findings)}
        for values in self._database.execute(self._select(sort, limit if holds is None else None)):
            row = CallRow(*values[:-1])
            named = [self._findings[int(number)] for number in values[-1].split()]
            named += by_place.get((row.connection, row.stream), ())
            named = [finding for finding in named if id(finding) in known]
            if named:
                named.sort(key=lambda finding: known[id(finding)])
                row.rules = tuple(dict.fromkeys(finding.rule for finding in named))
                row.findings = tuple(dict.fromkeys(finding.id for finding in named))
            if holds is not None:
                if not holds(row):
                    continue
                if limit is not None:
                    if limit <= 0:
                        return
                    limit -= 1
            yield row

    @staticmethod
    def _select(sort: str, limit: int | None) -> str:
        down = sort.startswith("-")
        column = _SORTED_BY[sort.removeprefix("-")]
        order = f"({column}) IS NULL, {column} {'DESC' if down else 'ASC'}, call"
        return f"SELECT * FROM calls ORDER BY {order} LIMIT {_LARGEST if limit is None else limit}"  # noqa: S608

    def close(self) -> None:
        """Let go of the rows."""
        self._database.close()


def _by_place(findings: list[Finding]) -> dict[tuple[int, int], list[Finding]]:
    """Return the findings of connections that name streams, by connection and stream."""
    found: dict[tuple[int, int], list[Finding]] = {}
    for finding in findings:
        for place in finding.occurrences:
            if place.call is None and place.connection is not None and place.stream:
                found.setdefault((place.connection, place.stream), []).append(finding)
    return found
