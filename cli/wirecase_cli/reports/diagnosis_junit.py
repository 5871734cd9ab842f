"""A diagnosis as JUnit XML: a suite for each source, a case for each rule that found something in it.

A case fails if one of the rule's findings is at or above ``--fail-on``; the others pass and tell what they found. The
names are those of the rules and sources, so that a CI system sees the same case again in its next run. What could not
be looked into is a skipped case, what could not be read a case in error. A source in which nothing fails has one more
case that passed.
"""

from __future__ import annotations

from wirecase.model import Diagnosis, Finding
from wirecase_cli.reports import hexview, job, junit, words
from wirecase_cli.reports.escape import cut

MAX_FINDINGS = 50
"""Findings of one rule that a case tells in full."""
MAX_TEXT = 1_000
VERDICT = "verdict"
"""The case of a source in which nothing fails."""


def render(diagnosis: Diagnosis, *, fail_on: str = "error") -> str:
    """Return the report as XML text with a newline at its end."""
    failing = job.failing(fail_on)
    suites = [_suite(diagnosis, number, failing) for number in range(len(diagnosis.sources))]
    rest = _general(diagnosis, failing)
    if rest.cases:
        suites.append(rest)
    return junit.document("wirecase diagnose", suites)


def source_of(finding: Finding, diagnosis: Diagnosis) -> int | None:
    """Return the number of the source that a finding belongs to; None if that is not known among several."""
    if len(diagnosis.sources) == 1:
        return 0
    return next((one.source for one in finding.evidence if one.source is not None), None)


def _suite(diagnosis: Diagnosis, number: int, failing: frozenset[str]) -> junit.Suite:
    source = diagnosis.sources[number]
    name = f"wirecase.{source.path.replace('.', '_')}"  # CI systems take what a dot stands behind for a package
    by_rule: dict[str, list[Finding]] = {}
    for one in diagnosis.findings:
        if source_of(one, diagnosis) == number:
            by_rule.setdefault(one.rule, []).append(one)
    cases = [_case(rule, name, findings, failing, diagnosis) for rule, findings in by_rule.items()]
    clean = not any(case.outcome == "failure" for case in cases)
    if clean:
        said = diagnosis.verdict.headline if len(diagnosis.sources) == 1 else "no finding at or above --fail-on"
        cases.insert(0, junit.Case(VERDICT, name, lines=[said]))
    if len(diagnosis.sources) == 1:
        cases += _skipped(diagnosis, name)
    took = 0.0 if source.first is None or source.last is None else (source.last - source.first) / 1e9
    facts = {"sha256": source.sha256, "source": words.source(source)}
    if len(diagnosis.sources) == 1:
        facts |= {"headline": diagnosis.verdict.headline, "calls": words.calls(diagnosis)}
    return junit.Suite(source.path, cases, took, facts)


def _general(diagnosis: Diagnosis, failing: frozenset[str]) -> junit.Suite:
    """Return what belongs to no source in particular."""
    name = "wirecase"
    cases = [junit.Case(cut(one, MAX_TEXT), name, "error", one, "unreadable") for one in diagnosis.failures]
    if diagnosis.interrupted:
        cases.append(junit.Case("interrupted", name, "error", "reading was stopped before the end", "interrupted"))
    facts: dict[str, str] = {}
    if len(diagnosis.sources) != 1:
        cases += _skipped(diagnosis, name)
        facts = {"headline": diagnosis.verdict.headline, "calls": words.calls(diagnosis)}
        lost = [one for one in diagnosis.findings if source_of(one, diagnosis) is None]
        by_rule: dict[str, list[Finding]] = {}
        for one in lost:
            by_rule.setdefault(one.rule, []).append(one)
        cases += [_case(rule, name, found, failing, diagnosis) for rule, found in by_rule.items()]
    return junit.Suite("all sources", cases, properties=facts)


def _skipped(diagnosis: Diagnosis, name: str) -> list[junit.Case]:
    hidden = diagnosis.verdict.not_inspected
    return (
        [junit.Case("everything inspected", name, "skipped", f"not inspected: {'; '.join(hidden)}")] if hidden else []
    )


def _case(rule: str, suite: str, findings: list[Finding], failing: frozenset[str], diagnosis: Diagnosis) -> junit.Case:
    bad = [one for one in findings if one.severity in failing]
    case = junit.Case(rule, suite)
    if bad:
        more = f" (and {words.plural(len(bad) - 1, 'more finding')})" if len(bad) > 1 else ""
        case.outcome, case.message = "failure", cut(bad[0].title, MAX_TEXT) + more
        case.kind = bad[0].severity
    for one in [*bad, *(one for one in findings if one not in bad)][:MAX_FINDINGS]:
        case.lines += [*_told(one, diagnosis), ""]
    if len(findings) > MAX_FINDINGS:
        case.lines.append(f"and {words.plural(len(findings) - MAX_FINDINGS, 'more finding')}")
    while case.lines and not case.lines[-1]:
        case.lines.pop()
    return case


def _told(one: Finding, diagnosis: Diagnosis) -> list[str]:
    times = f", {words.number(one.count)} times" if one.count > 1 else ""
    lines = [
        f"{one.id} {cut(one.title, MAX_TEXT)}",
        f"{one.severity}, {one.certainty}{times}; at fault: {words.who(one)}",
    ]
    if one.caused_by:
        lines.append(f"follows from {one.caused_by}")
    lines += words.place(one)
    if one.explanation:
        lines.append(cut(one.explanation, 4 * MAX_TEXT))
    shown = hexview.decisive(one)
    if shown is not None:
        where = words.evidence(shown, diagnosis)
        lines.append(f"evidence: {shown.note}" + (f" ({where})" if where else ""))
        lines += [f"  {row.offset}  {row.hex}  {row.text}" for row in hexview.rows(shown, hexview.spans(one, shown))]
    if one.fix:
        lines.append(f"to do: {cut(one.fix, 4 * MAX_TEXT)}")
    return lines
