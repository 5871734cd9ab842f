"""The findings as CSV: a line each, in the order of the report."""

from __future__ import annotations

import json
from typing import Any

from wirecase.model import Diagnosis, Finding
from wirecase_cli.reports import csv_rows, json_v1
from wirecase_cli.reports.times import rfc3339

COLUMNS = (
    "id", "rule", "severity", "certainty", "who", "title", "caused_by", "count", "connection", "client", "server",
    "stream", "call", "path", "time", "source", "packet", "direction", "offset", "length", "retry_safe", "fix",
    "details",
)  # fmt: skip
"""``packet`` to ``length`` are those of the first piece of evidence; ``details`` is JSON."""


def render(diagnosis: Diagnosis) -> str:
    """Return the table with a newline (CR LF) at the end of each line."""
    return "".join(csv_rows.lines(COLUMNS, (_row(one, diagnosis) for one in diagnosis.findings)))


def _row(one: Finding, diagnosis: Diagnosis) -> list[Any]:
    connection = one.connection
    shown = next(iter(one.evidence), None)
    source = next((each.source for each in one.evidence if each.source is not None), None)
    place: list[Any] = [None] * 4
    if shown is not None:
        offset = None if shown.offset is None or shown.offset < 0 else shown.offset
        place = [shown.packet, shown.direction, offset, shown.length]
    return [
        one.id, one.rule, one.severity, one.certainty, one.who, one.title, one.caused_by, one.count,
        None if connection is None else connection.index,
        None if connection is None else connection.client,
        None if connection is None else connection.server,
        one.stream, one.call, one.path, None if one.time is None else rfc3339(one.time),
        None if source is None or source >= len(diagnosis.sources) else diagnosis.sources[source].path,
        *place, one.retry_safe, one.fix, json.dumps(json_v1.json_safe(one.details), allow_nan=False),
    ]  # fmt: skip
