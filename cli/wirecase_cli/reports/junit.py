"""JUnit XML, for CI systems: suites of cases, each passed, failed, in error or skipped.

There is no standard; what is written here is what Jenkins, GitLab and GitHub's test reporters read in common
(https://github.com/testmoapp/junitxml), in the order of elements that Jenkins' schema asks for. Everything is escaped:
XML 1.0 has no way to write most control characters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal
from xml.etree import ElementTree

from wirecase_cli.reports import escape


@dataclass(slots=True)
class Case:
    """One test case."""

    name: str
    classname: str
    outcome: Literal["passed", "failure", "error", "skipped"] = "passed"
    message: str = ""
    """Why it did not pass, one line."""
    kind: str = ""
    """The type of the failure or error."""
    lines: list[str] = field(default_factory=list)
    """More about it: the text of a failure or error, the output of a case that passed."""


@dataclass(slots=True)
class Suite:
    """One test suite."""

    name: str
    cases: list[Case]
    seconds: float = 0.0
    properties: dict[str, str] = field(default_factory=dict)
    output: list[str] = field(default_factory=list)


def document(name: str, suites: Iterable[Suite]) -> str:
    """Return the report as XML text with a newline at its end."""
    root = ElementTree.Element("testsuites", name=escape.line(name))
    for one in suites:
        root.append(_suite(one))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(one: Suite) -> ElementTree.Element:
    outcomes = [case.outcome for case in one.cases]
    suite = ElementTree.Element(
        "testsuite",
        name=escape.line(one.name),
        tests=str(len(outcomes)),
        failures=str(outcomes.count("failure")),
        errors=str(outcomes.count("error")),
        skipped=str(outcomes.count("skipped")),
        time=f"{max(one.seconds, 0):.3f}",
    )
    if one.properties:
        properties = ElementTree.SubElement(suite, "properties")
        for key, value in one.properties.items():
            ElementTree.SubElement(properties, "property", name=escape.line(key), value=escape.line(value))
    for case in one.cases:
        suite.append(_case(case))
    if one.output:
        ElementTree.SubElement(suite, "system-out").text = _text(one.output)
    return suite


def _case(one: Case) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=escape.line(one.classname), name=escape.line(one.name))
    if one.outcome == "passed":
        if one.lines:
            ElementTree.SubElement(case, "system-out").text = _text(one.lines)
        return case
    why = ElementTree.SubElement(case, one.outcome, message=escape.line(one.message))
    if one.kind:
        why.set("type", escape.line(one.kind))
    if one.lines:
        why.text = _text(one.lines)
    return case


def _text(lines: Iterable[str]) -> str:
    return "\n".join(escape.line(line) for line in lines)
