"""The report to paste into an issue tracker: GitHub's Markdown, nothing of the capture alive in it.

The verdict, the causes and the bytes stand open; what only some readers need is folded in ``<details>``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from wirecase.model import Diagnosis, Evidence, Finding
from wirecase_cli.reports import case_notes, cross_check, escape, hexview, log_lines, outline, words
from wirecase_cli.reports.case_notes import CaseNotes
from wirecase_cli.reports.escape import cut, markdown_block, markdown_code, markdown_inline

if TYPE_CHECKING:
    from wirecase.model import LogReport
    from wirecase.picturing import Picture

MAX_TEXT = 600
MAX_ROOTS = 20
"""Root causes told in full, as far as `MAX_LENGTH` allows."""
MAX_LENGTH = 40_000
"""Characters after which no further root cause is told in full: GitHub takes 65,536 in one comment."""
MAX_TREES = 40
MAX_CHILDREN = 12
MAX_LIMITS = 12
MAX_REMARKS = 30
MAX_EVIDENCE = 3


def render(diagnosis: Diagnosis, notes: CaseNotes | None = None, picture: Picture | None = None) -> str:
    """Return the report as Markdown with a newline at its end.

    `notes` tell of cases and how to replay them; `picture` has the windows that findings are about.
    """
    return re.sub(r"\n{3,}", "\n\n", "\n".join(_lines(diagnosis, notes or CaseNotes(), picture))) + "\n"


def _lines(diagnosis: Diagnosis, notes: CaseNotes, picture: Picture | None) -> Iterator[str]:
    arranged = outline.of(diagnosis)
    verdict, blast = diagnosis.verdict, diagnosis.verdict.blast
    yield f"## wirecase: {_inline(verdict.headline)}"
    yield ""
    yield from case_notes.head(diagnosis, notes)
    if blast.calls:
        when = words.span(blast.first, blast.last)
        hit = f"- **Hit:** {words.number(blast.calls)} of {words.plural(blast.of, 'call')} ({words.share(blast.share)})"
        yield f"{hit}, {when}" if when else hit
    if blast.paths:
        more = f" and {len(blast.paths) - 8} more" if len(blast.paths) > 8 else ""
        yield f"- **Paths:** {', '.join(_code(path) for path in blast.paths[:8])}{more}"
    if verdict.not_inspected:
        yield f"- **Not inspected:** {'; '.join(_inline(one) for one in verdict.not_inspected)}"
    if diagnosis.interrupted:
        yield "- **Interrupted:** this is what was known when reading was stopped."
    for failure in diagnosis.failures:
        yield f"- **Not read:** {_inline(failure)}"
    yield f"- **Calls:** {words.calls(diagnosis)}"
    if (check := diagnosis.cross_check) is not None:
        yield f"- **Cross-check:** {_inline(cross_check.headline(check))}"
        yield from (f"  - {_inline(line)}" for line in cross_check.lines(check))
    if diagnosis.log is not None:
        yield from _log(diagnosis, diagnosis.log)
    if arranged.roots:
        yield from ("", "### Causes and consequences", "")
        for root in arranged.roots[:MAX_TREES]:
            yield from _tree(root, 0)
        yield from _more(len(arranged.roots) - MAX_TREES, "root cause")
        yield from _roots(arranged.roots, diagnosis, picture)
        if picture is not None and not picture.hops:
            yield from ("", *map(_inline, picture.remarks))
    if arranged.limits:
        yield from ("", "### What this capture cannot show", "")
        for group in arranged.limits[:MAX_LIMITS]:
            texts = [_inline(text) for text in (group.first.explanation, group.first.fix) if text]
            yield f"{_item(group)}{' — ' if texts else ''}{' '.join(texts)}"
        yield from _more(len(arranged.limits) - MAX_LIMITS, "limit")
    remarks = [_item(group) for group in arranged.remarks[:MAX_REMARKS]]
    remarks += _more(len(arranged.remarks) - MAX_REMARKS, "remark")
    yield from _folded("Also seen, no fault of the wire", remarks)
    yield from _folded("Sources and bytes", list(_sources(diagnosis)))
    yield ""
    yield f"Made by wirecase {_inline(diagnosis.version)}."
    yield from case_notes.foot(notes)


def _log(diagnosis: Diagnosis, log: LogReport) -> Iterator[str]:
    yield f"- **Log:** {_inline(log_lines.headline(log))}"
    if clock := log_lines.clock(log):
        yield f"  - {_inline(clock)}"
    matched = [f"- {_inline(why)}: {_code(line)}" for why, line in log_lines.matched(log)]
    matched += _more(log_lines.more(log, explained=True), "line")
    yield from _folded("Log lines that the capture explains", matched)
    left = [f"- {_inline(why)}: {_code(line)}" for why, line in log_lines.unexplained(log)]
    left += _more(log_lines.more(log, explained=False), "line")
    yield from _folded("Log lines that nothing explains", left)
    yield from _folded("Faults that nobody logged", [f"- {_inline(one)}" for one in log_lines.unlogged(diagnosis)])


def _tree(group: outline.Group, depth: int) -> Iterator[str]:
    yield "  " * depth + _item(group)
    for child in group.children[:MAX_CHILDREN]:
        yield from _tree(child, depth + 1)
    for line in _more(len(group.children) - MAX_CHILDREN, "consequence"):
        yield "  " * (depth + 1) + line


def _more(count: int, noun: str) -> list[str]:
    return [f"- and {words.plural(count, f'more {noun}')}"] if count > 0 else []


def _item(group: outline.Group) -> str:
    one = group.first
    text = f"- **{one.severity}** {one.id} {_inline(one.title)} ({_code(one.rule)}"
    if group.leg:
        text += f", at {_inline(group.leg)}"
    if group.count > 1:
        text += f", {words.number(group.count)} times"
    if len(group.findings) > 1:
        text += f", on {len(group.findings)} connections"
    return text + ")"


def _roots(roots: list[outline.Group], diagnosis: Diagnosis, picture: Picture | None) -> Iterator[str]:
    """Tell root causes in full: the first one open, the others folded, and only as many as a comment can hold."""
    length = 0
    for number, root in enumerate(roots[:MAX_ROOTS]):
        lines = list(_root(root, diagnosis, picture))
        size = sum(map(len, lines)) + len(lines)
        if number and length + size > MAX_LENGTH:
            yield from ("", "Further root causes are in the tree above, and in full in the JSON report.")
            return
        length += size
        if number == 0:
            yield from lines
        else:
            yield from _folded(f"{root.first.id} {root.first.rule}", lines)


def _root(group: outline.Group, diagnosis: Diagnosis, picture: Picture | None) -> Iterator[str]:
    one = group.first
    members = [one, *(child.first for child in group.descendants() if child.first.severity != "info")]
    yield from ("", f"### {one.id} {_inline(one.title)}", "")
    yield f"{one.severity}, {one.certainty}; at fault: {words.who(one)}; rule {_code(one.rule)}"
    if one.explanation:
        yield from ("", _inline(one.explanation, 4 * MAX_TEXT))
    yield ""
    for part in words.place(one):
        yield f"- {_inline(part)}"
    if one.legs:
        yield f"- legs: {'; '.join(_inline(leg) for leg in words.legs(one))}"
    facts = [f"{_inline(name)} {_code(cut(value, words.DETAIL_LIMIT))}" for name, value in words.details(one)]
    if facts:
        yield f"- facts: {', '.join(facts)}"
    for name, value in words.ids(members):
        yield f"- {_inline(name)}: {_code(value)}"
    if len(group.findings) > 1:
        yield f"- the same: {', '.join(words.finding_ids(group.findings[1:]))}"
    for member in members[:4]:
        for evidence in member.evidence[:MAX_EVIDENCE] if member is one else _some(hexview.decisive(member)):
            yield from _evidence(member, evidence, diagnosis)
        if picture is not None:
            yield from _windows(picture, member)
    yield from _clients(members)
    yield ""
    yield from _labelled("Retry", words.retries(members))
    yield from _labelled("To do", words.fixes(members))
    if one.references:
        yield f"See {'; '.join(_inline(each) for each in one.references)}."


def _windows(picture: Picture, one: Finding) -> Iterator[str]:
    """Picture the windows that a finding is about."""
    from wirecase_cli.reports import windows_words

    told = windows_words.told(picture, one.id, windows_words.WIDTH)
    for kind, lines in groupby(told, key=lambda line: line.kind):
        texts = [line.text for line in lines]
        yield ""
        if kind == "chart":
            yield markdown_block(texts)
        elif kind == "title":
            yield from (_inline(text) for text in texts)
        else:
            yield from (f"- {_inline(text)}" for text in texts)


def _some(one: Evidence | None) -> list[Evidence]:
    return [] if one is None else [one]


def _labelled(title: str, lines: list[tuple[str, str]]) -> Iterator[str]:
    for finding_id, line in lines:
        name = f"{title} ({finding_id})" if len(lines) > 1 else title
        yield from (f"**{name}:** {_inline(line, 4 * MAX_TEXT)}", "")


def _evidence(finding: Finding, one: Evidence, diagnosis: Diagnosis) -> Iterator[str]:
    yield ""
    where = words.evidence(one, diagnosis)
    yield f"{finding.id}: {_inline(one.note or 'evidence')}" + (f" ({_inline(where)})" if where else "")
    if not hexview.drawn(finding, one):
        return
    spans = hexview.spans(finding, one)
    lines = []
    for row in hexview.rows(one, spans):
        lines.append(f"{row.offset}  {row.hex}  {row.text}")
        if row.hex_marks:
            lines.append(f"{' ' * len(row.offset)}  {row.hex_marks.ljust(len(row.hex))}  {row.text_marks}")
    lines += [f"{span.sign * 2} {span.label}" for span in spans]
    left = max(one.length, len(one.data)) - hexview.shown(one)
    if left > 0:
        lines.append(f"… {words.plural(left, 'more byte')}")
    yield ""
    yield markdown_block(lines)


def _clients(members: list[Finding]) -> Iterator[str]:
    clients = words.clients(members)
    if not clients:
        return
    yield from ("", "What the clients log:", "", "| client | finding | code | text |", "|---|---|---|---|")
    for name, lines in clients.items():
        for finding_id, one in lines:
            remark = "" if one.checked else " (not checked live)"
            text = markdown_code(cut(one.text, MAX_TEXT), cell=True) if one.text else ""
            code = markdown_inline(one.code, cell=True)
            yield f"| {markdown_inline(name, cell=True)} | {finding_id} | {code} | {text}{remark} |"


def _sources(diagnosis: Diagnosis) -> Iterator[str]:
    for source in diagnosis.sources:
        digest = f", SHA-256 {_code(source.sha256)}" if source.sha256 else ""
        yield f"- {_code(source.path)}: {_inline(words.source(source))}{digest}"
    yield f"- {words.plural(diagnosis.connections, 'TCP connection')}"
    yield f"- bytes: {_inline(words.bytes_balance(diagnosis))}"
    for broken in words.unbalanced(diagnosis):
        yield f"- defect of wirecase, the bytes do not add up: {_inline(broken)}"
    if statuses := words.by_status(diagnosis):
        yield f"- calls by grpc-status: {', '.join(f'{_inline(name)} {words.number(n)}' for name, n in statuses)}"


def _folded(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield from ("", f"<details><summary>{title}</summary>", "", *lines, "", "</details>")


def _inline(text: str, limit: int = MAX_TEXT) -> str:
    return markdown_inline(cut(escape.line(text), limit))


def _code(text: str) -> str:
    return markdown_code(cut(escape.line(text), MAX_TEXT))
