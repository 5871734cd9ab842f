"""One JSON document a line: a finding each, in the order of the report, and the verdict at the end.

What a line holds has the names of ``wirecase/report/1`` (of ``wirecase/calls/1`` in a list of calls), and a ``type`` in
front. A reader that sees no last line knows that it did not get everything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from wirecase.listing import CallList
from wirecase.model import Diagnosis
from wirecase_cli.reports import call_table, json_v1


def render(diagnosis: Diagnosis) -> str:
    """Return the report, a newline at the end of each line."""
    document = json_v1.report(diagnosis)
    findings = document.pop("findings")
    lines = [_line("finding", one) for one in findings]
    return "".join([*lines, _line("verdict", document | {"findings": len(findings)})])


def calls(found: CallList) -> Iterator[str]:
    """Yield the list of calls; the last line says how many there were and what they were read from."""
    listed = 0
    for row in found:
        yield _line("call", call_table.call(row))
        listed += 1
    document = json_v1.report(found.diagnosis)
    end = {name: document[name] for name in ("version", "interrupted", "failures", "sources")}
    yield _line("end", {"schema": call_table.SCHEMA, **end, "seen": found.seen, "listed": listed})


def _line(kind: str, document: dict[str, Any]) -> str:
    return json.dumps({"type": kind, **document}, ensure_ascii=True, allow_nan=False) + "\n"
