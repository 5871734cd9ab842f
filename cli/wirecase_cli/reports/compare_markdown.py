"""Comparisons to paste into an issue tracker: GitHub's Markdown, nothing of the captures alive in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wirecase.comparing.model import Change, Comparison
from wirecase.model import Evidence
from wirecase_cli.reports import compare_json, compare_words, escape, hexview, words
from wirecase_cli.reports.escape import markdown_block, markdown_code, markdown_inline

_FAULTS, _LOUD, _NOTES, _SINGLES = 8, 12, 40, 20


def render(found: Comparison) -> str:
    """Return the comparison as Markdown with a newline at its end."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(_lines(found))) + "\n"


def _lines(found: Comparison) -> Iterator[str]:
    yield f"## wirecase: {_inline(found.headline)}"
    yield ""
    for number, source in enumerate(found.sources):
        leg = "front and back" if found.clock.same else "front" if number in found.front else "back"
        yield f"- **{leg}:** {_code(source.path)} {_inline(words.source(source))}"
    yield from (f"- **Calls:** {_inline(line)}" for line in compare_words.totals(found))
    if found.interrupted:
        yield "- **Interrupted:** this is what was known when reading was stopped."
    if found.totals.matched:
        yield f"- **Clock:** {_inline(compare_words.clock(found.clock))}"
        for one in found.latency:
            way, added = compare_words.latency(one, found.clock)
            yield f"- **Added to {_inline(way)}:** {_inline(added)}"
    if found.faults:
        yield from ("", "### Which hop is at fault", "")
        for fault in found.faults[:_FAULTS]:
            head = f"**{compare_words.HOPS[fault.hop]}** ({fault.certainty}), {words.plural(fault.count, 'call')}"
            yield f"- {head}: {_inline(fault.why)}"
            yield from _evidence(found, fault.front, fault.back)
    loud = [change for change in found.changes if change.severity != "info"]
    if loud:
        yield from ("", "### What the proxy changed, and it matters", "")
        for change in loud[:_LOUD]:
            yield f"- {_headed(change)} {_inline(change.text)}"
            yield from _evidence(found, change.front, change.back)
    notes = [change for change in found.changes if change.severity == "info"]
    if notes:
        yield from ("", "<details><summary>What else it changed</summary>", "")
        yield from (f"- {_headed(change)}" for change in notes[:_NOTES])
        yield from ("", "</details>")
    for title, singles in (("Only in front", found.only_front), ("Only behind", found.only_back)):
        if singles:
            yield from ("", f"### {title}", "")
            yield from (f"- {_inline(compare_words.single(one))}" for one in singles[:_SINGLES])


def _headed(change: Change) -> str:
    facts = compare_json.details(change)
    text = f"**{_inline(change.title)}** ({words.plural(change.count, 'call')})"
    if "name" in facts:
        shown = [
            f"{leg} {_code(escape.cut(escape.from_bytes(facts[leg]), 120))}"
            for leg in ("front", "back")
            if facts.get(leg) is not None
        ]
        text += f": {'; '.join(shown)}" if shown else ""
    return text


def _evidence(found: Comparison, front: list[Evidence], back: list[Evidence]) -> Iterator[str]:
    for leg, evidence in (("front", front), ("back", back)):
        for one in map(compare_words.shown, evidence[:2]):
            yield ""
            yield f"  {leg}: {_inline(compare_words.place(one, found))}: {_inline(one.note)}"
            rows = [f"{row.offset}  {row.hex}  {row.text}" for row in hexview.rows(one, [], most=3)]
            if rows:
                yield ""
                yield markdown_block(rows, indent="  ")
    yield ""


def _inline(text: str) -> str:
    return markdown_inline(escape.cut(text, 600))


def _code(text: str) -> str:
    return markdown_code(text)
