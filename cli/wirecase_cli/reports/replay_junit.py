"""The verdict on a client as JUnit XML, for CI systems: a suite for each client, a case for each check.

What could not be told is a skipped case. The format is the one that CI systems read
(https://github.com/testmoapp/junitxml).
"""

from __future__ import annotations

import json
from xml.etree import ElementTree

from wirecase.replay.model import Check
from wirecase.replay.result import ReplayResult
from wirecase_cli.reports import escape
from wirecase_cli.reports import replay_words as words

MAX_EVIDENCE = 20


def render(result: ReplayResult, before: ReplayResult | None = None) -> str:
    """Return the report as XML text with a newline at its end."""
    root = ElementTree.Element("testsuites", name="wirecase replay")
    for name, one in (("before", before), ("after" if before is not None else "", result)):
        if one is not None:
            root.append(_suite(one, name))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(result: ReplayResult, which: str) -> ElementTree.Element:
    run = result.run
    name = escape.line(result.case.path) + (f" ({which})" if which else "")
    took = run.ended - run.started if run is not None and run.ended is not None else result.trace.ended
    outcomes = [one.outcome for one in result.checks]
    suite = ElementTree.Element(
        "testsuite",
        name=name,
        tests=str(len(outcomes)),
        failures=str(outcomes.count("fail")),
        errors="0",
        skipped=str(outcomes.count("untold")),
        time=f"{max(took, 0):.3f}",
    )
    properties = ElementTree.SubElement(suite, "properties")
    facts = {"outcome": result.outcome, "sha256": result.case.sha256, "headline": result.case.headline}
    if run is not None:
        facts |= {"command": words.command(run.command), "ended": words.ending(run)}
    for key, value in facts.items():
        ElementTree.SubElement(properties, "property", name=key, value=escape.line(value))
    for check in result.checks:
        suite.append(_case(check, name))
    if run is not None and run.output:
        ElementTree.SubElement(suite, "system-out").text = "\n".join(words.output_lines(run))
    return suite


def _case(check: Check, suite: str) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=suite, name=check.name)
    why = escape.line(check.why)
    if check.outcome == "untold":
        ElementTree.SubElement(case, "skipped", message=why)
    elif check.outcome == "fail":
        failure = ElementTree.SubElement(case, "failure", message=why, type=check.name)
        entries = words.evidence(check.evidence[:MAX_EVIDENCE])
        assert isinstance(entries, list)
        failure.text = "\n".join(escape.line(json.dumps(one, default=str)) for one in entries)
    return case
