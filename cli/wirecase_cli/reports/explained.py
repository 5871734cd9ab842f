"""What `wirecase explain` prints: candidates for a log line, a rule's page, the list of rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from wirecase.explaining import Explanation, Page
from wirecase_cli.reports import words
from wirecase_cli.reports.drawing import DIM, fields, hanging, joined, printed, safe, section, text
from wirecase_cli.reports.json_v1 import json_safe
from wirecase_cli.reports.screen import Screen

EXPLANATION = "wirecase/explain/1"
RULES = "wirecase/rules/1"
_TOLD = 4
"""Candidates that are told in full; the others in one line each."""
_STYLE = {"certain": "bold red", "probable": "bold yellow", "possible": "cyan"}


def as_json(found: Explanation) -> str:
    """Return candidates and decoded numbers as JSON, with a newline at the end."""
    return _dump(
        {
            "schema": EXPLANATION,
            "records": found.records,
            "recognised": found.recognised,
            "candidates": [
                {
                    "rule": one.rule,
                    "title": one.title,
                    "certainty": one.certainty,
                    "why": one.why,
                    "wire": one.wire,
                    "who": list(one.who),
                    "check": one.check,
                    "fix": one.fix,
                    "clients": one.clients,
                    "lines": one.lines,
                    "count": one.count,
                    "leads": one.leads,
                    "references": list(one.references),
                }
                for one in found.candidates
            ],
            "decoded": [
                {"what": one.what, "value": one.value, "meaning": one.meaning, "text": one.text or None}
                for one in found.decoded
            ],
        }
    )


def page_json(page: Page) -> str:
    """Return a rule's page as JSON: its facts, and itself as the only candidate."""
    candidate = {"certainty": "certain", "why": "This is the rule of that name."}
    return _dump({"schema": EXPLANATION, "candidates": [_page(page) | candidate], "decoded": []})


def rules_json(pages: list[Page]) -> str:
    """Return all rules as JSON."""
    return _dump({"schema": RULES, "rules": [_page(page) for page in pages]})


def _page(page: Page) -> dict[str, Any]:
    return {
        "rule": page.rule,
        "title": page.title,
        "summary": page.summary,
        "scope": page.scope,
        "wire": page.wire,
        "who": list(page.who),
        "check": page.check,
        "fix": page.fix,
        "clients": [
            {
                "client": one.client,
                "version": one.version,
                "code": one.code or None,
                "text": one.text,
                "checked": one.checked,
                "certainty": one.certainty,
            }
            for one in page.clients
        ],
        "references": list(page.references),
    }


def _dump(value: dict[str, Any]) -> str:
    return json.dumps(json_safe(value), ensure_ascii=True, allow_nan=False, indent=2) + "\n"


def render(found: Explanation, screen: Screen) -> str:
    """Return candidates for `screen`, best first."""
    return printed(_parts(found), screen)


def _parts(found: Explanation) -> Iterator[RenderableType]:
    if found.decoded:
        yield section("Numbers")
        for each in found.decoded:
            told = (f"{safe(each.what)} {safe(each.value)}", "bold"), (f" is {safe(each.meaning)}", "")
            yield hanging("  ", joined(*told))
    if not found.candidates:
        yield Text()
        yield text(
            "No rule explains this text. Paste the whole error with its causes, or take a capture and run "
            "wirecase diagnose (wirecase guide capturing)."
        )
        return
    if found.records > 1:
        yield Text()
        yield text(f"{words.number(found.recognised)} of {words.plural(found.records, 'record')} say something.", DIM)
    for number, one in enumerate(found.candidates[:_TOLD], 1):
        times = f", {words.number(one.count)} times" if one.count > 1 else ""
        yield section(f"{number}. {one.rule} ({one.certainty}{times})", _STYLE[one.certainty])
        yield text(safe(one.title), "bold")
        lines = ", ".join(map(str, one.lines[:8])) + (" …" if one.count > 8 else "") if found.records > 1 else ""
        yield fields(
            [
                ("why", text(safe(one.why, 1200))),
                ("lines", text(lines)),
                ("wire", text(safe(one.wire))),
                ("who", text(", ".join(one.who))),
                ("next", text(safe(one.check))),
                ("fix", text(safe(one.fix))),
                ("see", text("; ".join(map(safe, one.references)), DIM)),
            ]
        )
    rest = found.candidates[_TOLD:]
    if rest:
        yield section("Also possible")
        for one in rest:
            yield hanging("  ", joined((one.rule, "bold"), (f"  {one.certainty}: {safe(one.title)}", "")))
    yield Text()
    yield text("A log line only hints: wirecase diagnose CAPTURE proves, with --log FILE it matches both.", DIM)


def rules_table(pages: list[Page], screen: Screen) -> str:
    """Return the list of rules for `screen`."""
    width = max(len(page.rule) for page in pages)
    rows = [hanging(f"{page.rule.ljust(width)}  ", text(safe(page.title)), "bold") for page in pages]
    return printed(rows, screen)
