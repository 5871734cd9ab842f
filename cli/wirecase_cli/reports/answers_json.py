"""The answers of a real server beside the recorded ones, for machines, ``wirecase/replay-to/1``: field by field.

A later version of wirecase may add fields, and does not change or remove one without a new schema name. The JSON
Schema, `replay_to_v1.schema.json`, lies beside this file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from wirecase import __version__
from wirecase.replay.caller import SCHEMA, Answer, Comparison, Fault
from wirecase_cli.reports import answers_words as words
from wirecase_cli.reports import escape, masking
from wirecase_cli.reports.json_v1 import json_safe

MAX_CALLS = 10_000


def render(result: Comparison) -> str:
    """Return the report as JSON text in pure ASCII, with a newline at its end."""
    return json.dumps(report(result), ensure_ascii=True, allow_nan=False, indent=2) + "\n"


def report(result: Comparison) -> dict[str, Any]:
    """Return the report as plain dicts, lists, strings and numbers."""
    made: dict[str, Any] = json_safe({
        "schema": SCHEMA,
        "version": __version__,
        "case": {"path": result.path, "headline": result.headline, "server": result.recorded_server,
                 "redacted": result.redacted},
        "target": {"name": result.target, "address": result.address, "tls": result.tls, "through": result.through},
        "overall": result.overall,
        "summary": result.summary,
        "interrupted": result.interrupted,
        "seconds": result.seconds,
        "calls": [
            {
                "recorded": one.recorded, "connection": one.connection, "path": one.path, "verdict": one.verdict,
                "why": one.why, "differences": one.differences, "before": _answer(one.before),
                "after": None if one.after is None else _answer(one.after),
            }
            for one in result.calls[:MAX_CALLS]
        ],
        "calls_left_out": max(len(result.calls) - MAX_CALLS, 0),
        "connections": [
            {"recorded": one.recorded, "live": one.live, "verdict": one.verdict, "error": one.error,
             "before": _faults(one.before), "after": _faults(one.after)}
            for one in result.connections
        ],
        "deviations": [
            {"what": one.what, "why": one.why, "connection": one.connection, "call": one.call, "count": one.count}
            for one in result.deviations
        ],
        "notes": result.notes,
    })  # fmt: skip
    return made


def _answer(one: Answer) -> dict[str, Any]:
    return {
        "status": one.status, "message": words.message(one), "http": one.http, "messages": one.messages,
        "bytes": one.bytes, "sha256": one.digest, "how": one.how, "by": one.by, "error_code": one.error,
        "seconds": one.seconds, "gave_up": one.gave_up, "findings": _faults(one.faults),
        "client": None if one.client_code is None else {"code": one.client_code, "details": _details(one)},
    }  # fmt: skip


def _details(one: Answer) -> str:
    return escape.from_bytes(masking.text((one.client_details or "").encode("utf-8", "replace")))


def _faults(faults: Iterable[Fault]) -> list[dict[str, Any]]:
    return [
        {"rule": one.rule, "severity": one.severity, "title": one.title, "in_request": one.client_side}
        for one in faults
    ]
