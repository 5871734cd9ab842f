"""What a fixture expects of its diagnosis: the report's decisive facts, short enough that a person can check them."""

from __future__ import annotations

import contextlib
import io
import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from wirecase_cli.main import main

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
NAME = "expected.json"

DETAILS = (
    "by", "flag", "ascii", "declared", "got", "missing", "resumed_after", "length_text", "foreign", "proxy", "text",
    "http_status", "content_type", "grpc_status", "grpc_message", "error_code", "error_name", "last_stream",
    "lost_calls", "debug", "after_messages", "messages", "encoding", "limit", "value", "scope", "overrun", "frame",
    "problem", "name", "frames", "address", "client", "tls", "plaintext", "status_line",
)  # fmt: skip
"""Details that decide a verdict. Times, sizes and what follows from these are left to the tests of the rules."""
TEXT = 60
"""Characters of a detail that are kept."""


def cases() -> list[str]:
    """The names of all fixtures."""
    return sorted(folder.name for folder in FIXTURES.iterdir() if list(folder.glob("capture.*")))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the command line said to one capture."""

    exit: int
    report: dict[str, Any] | None
    """The report, unless nothing could be read."""
    complaint: str
    """What stood on standard error."""


@cache
def diagnose(case: str) -> Answer:
    """Diagnose a fixture's capture from within its folder, so that its path is the same on every machine."""
    (capture,) = (FIXTURES / case).glob("capture.*")
    out, err, home = io.StringIO(), io.StringIO(), Path.cwd()
    os.chdir(capture.parent)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            schema = [f"--protoset={one.name}" for one in capture.parent.glob("*.binpb")]
            status = main(["diagnose", "--format", "json", *schema, capture.name])
    finally:
        os.chdir(home)
    text = out.getvalue()
    return Answer(status, json.loads(text) if text else None, err.getvalue())


def summary(answer: Answer) -> dict[str, Any]:
    """Return what ``expected.json`` holds for an answer."""
    report = answer.report
    if report is None:
        return {"exit": answer.exit, "complaint": answer.complaint.strip()}
    by_id = {finding["id"]: finding for finding in report["findings"]}
    return {
        "exit": answer.exit,
        "headline": report["verdict"]["headline"],
        "calls": _calls(report["calls"]),
        "findings": [_finding(finding, by_id.get(finding["caused_by"])) for finding in report["findings"]],
        "balanced": not report["accounting"]["unbalanced"],
    }


def _calls(calls: dict[str, Any]) -> str:
    statuses = ", ".join(f"{name} {count}" for name, count in sorted(calls["by_status"].items()))
    counts = ", ".join(f"{calls[name]} {name}" for name in ("ok", "failed", "unfinished"))
    return f"{calls['total']}: {counts}; by status: {statuses or 'none seen'}"


def _finding(finding: dict[str, Any], cause: dict[str, Any] | None) -> dict[str, Any]:
    where = finding["connection"] and finding["connection"]["index"]
    short = {
        "rule": finding["rule"],
        "severity": finding["severity"],
        "certainty": finding["certainty"],
        "who": ", ".join(finding["who"]),
        "title": finding["title"],
        "where": _where(where, finding["stream"], finding["count"]),
        "evidence": _evidence(finding["evidence"]),
    }
    if cause is not None:
        other = cause["connection"] and cause["connection"]["index"]
        short["caused_by"] = cause["rule"] + ("" if other == where else f" on connection {other}")
    known = {name: _short(finding["details"][name]) for name in DETAILS if finding["details"].get(name) is not None}
    return {**short, "details": known} if known else short


def _where(connection: int | None, stream: int | None, count: int) -> str:
    if connection is None:
        return "the whole capture"
    place = f"connection {connection}" + ("" if stream is None else f", stream {stream}")
    return place if count == 1 else f"{place} (first of {count})"


def _evidence(evidence: list[dict[str, Any]]) -> str | None:
    if not evidence or evidence[0]["packet"] is None:
        return None
    first = evidence[0]
    place = "" if first["offset"] is None else f", offset {first['offset']}"
    return f"packet {first['packet']} of the {first['direction']}{place}"


def _short(value: Any) -> Any:
    return value[:TEXT] + "…" if isinstance(value, str) and len(value) > TEXT else value


def written(expected: dict[str, Any]) -> str:
    """Return the text of an ``expected.json``."""
    return json.dumps(expected, ensure_ascii=False, indent=1) + "\n"
