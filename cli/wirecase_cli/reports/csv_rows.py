"""CSV (RFC 4180) that a spreadsheet can open without doing anything.

A text that a spreadsheet might take for a formula has a ``'`` in front: one that begins with ``=``, ``+``, ``-``,
``@``, a tab or a carriage return, also behind spaces, also in their full-width forms. Every text is quoted, so that a
cell stays one cell where semicolons or tabs are taken for separators, too. Numbers are written bare.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from wirecase_cli.reports import escape

_FORMULA = re.compile(r"\s*[=+\-@\t\r\n＝＋－＠]")


def lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield the line of names, then a line for each row."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerow(columns)
    yield _taken(buffer)
    for row in rows:
        writer.writerow([cell(value) for value in row])
        yield _taken(buffer)


def cell(value: Any) -> str | int | float:
    """Return a value as it stands in a cell: nothing in it is a formula, a control character or a turned direction."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if value is None:
        return ""
    text = " ".join(str(one) for one in value) if isinstance(value, (list, tuple)) else str(value)
    shown = escape.line(text)
    return f"'{shown}" if _FORMULA.match(text) or _FORMULA.match(shown) else shown


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
