"""The verdict on a client as JUnit XML, for CI systems: a suite for each client, a case for each check.

What could not be told is a skipped case.
"""

from __future__ import annotations

import json

from wirecase.replay.model import Check
from wirecase.replay.result import ReplayResult
from wirecase_cli.reports import escape, junit
from wirecase_cli.reports import replay_words as words

MAX_EVIDENCE = 20


def render(result: ReplayResult, before: ReplayResult | None = None) -> str:
    """Return the report as XML text with a newline at its end."""
    told = ((before, "before"), (result, "after" if before is not None else ""))
    return junit.document("wirecase replay", [_suite(one, which) for one, which in told if one is not None])


def _suite(result: ReplayResult, which: str) -> junit.Suite:
    run = result.run
    name = escape.line(result.case.path) + (f" ({which})" if which else "")
    took = run.ended - run.started if run is not None and run.ended is not None else result.trace.ended
    facts = {"outcome": result.outcome, "sha256": result.case.sha256, "headline": result.case.headline}
    if run is not None:
        facts |= {"command": words.command(run.command), "ended": words.ending(run)}
    output = words.output_lines(run) if run is not None and run.output else []
    return junit.Suite(name, [_case(check, name) for check in result.checks], took, facts, list(output))


def _case(check: Check, suite: str) -> junit.Case:
    case = junit.Case(check.name, suite)
    if check.outcome == "untold":
        case.outcome, case.message = "skipped", check.why
    elif check.outcome == "fail":
        case.outcome, case.message, case.kind = "failure", check.why, check.name
        entries = words.evidence(check.evidence[:MAX_EVIDENCE])
        assert isinstance(entries, list)
        case.lines = [json.dumps(one, default=str) for one in entries]
    return case
