"""A rule's page: what it is, its bytes, who, what each client prints, what to do; made from the rule itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from wirecase.explaining import templates
from wirecase.explaining.notes import NOTES, Note
from wirecase.explaining.shapes import SHAPES
from wirecase.model import Certainty, Who
from wirecase.rules import ALL_RULES


@dataclass(slots=True, frozen=True)
class Words:
    """What one client prints."""

    client: str
    version: str
    code: str
    """gRPC status that comes with it, or empty."""
    text: str
    """What varies stands in angle brackets."""
    checked: bool
    certainty: Certainty
    """How sure these words alone make the rule."""


@dataclass(slots=True, frozen=True)
class Page:
    """A rule's page."""

    rule: str
    title: str
    summary: str
    scope: str
    """``call``, ``session`` (one connection) or ``run`` (the whole capture)."""
    wire: str
    who: tuple[Who, ...]
    check: str
    fix: str
    clients: tuple[Words, ...]
    references: tuple[str, ...]


@cache
def pages() -> dict[str, Page]:
    """Return the pages of all rules by id, in the order in which the rules are run.

    A rule that no note tells of has its own words alone.
    """
    said = _said()
    out: dict[str, Page] = {}
    for rule in ALL_RULES:
        known = out.get(rule.id)
        references = rule.references if known is None else tuple(dict.fromkeys((*known.references, *rule.references)))
        note = NOTES.get(rule.id, Note("", (), "", ""))
        scope = rule.scope if known is None or known.scope == rule.scope else f"{known.scope}, {rule.scope}"
        out[rule.id] = Page(
            rule.id, rule.title, rule.summary, scope, note.wire, note.who, note.check, note.fix,
            said.get(rule.id, ()), references,
        )  # fmt: skip
    return out


_PROXIES = ("Envoy", "nginx", "HAProxy")


def _said() -> dict[str, tuple[Words, ...]]:
    """Return by rule what is logged, clients first; words that rather mean another rule only if none are left."""
    found: dict[str, dict[tuple[str, str], Words]] = {}
    for shape in (*templates.shapes(), *(one for one in SHAPES if one.client in _PROXIES and not one.cased)):
        for rule, sure in shape.rules:
            words = Words(shape.client, shape.version, shape.code, shape.text, shape.checked, sure)
            found.setdefault(rule, {}).setdefault((shape.client, shape.text), words)
    order: dict[Certainty, int] = {"certain": 0, "probable": 1, "possible": 2}
    out: dict[str, tuple[Words, ...]] = {}
    for rule, told in found.items():
        leading = [one for one in told.values() if one.certainty != "possible"]
        out[rule] = tuple(
            sorted(leading or told.values(), key=lambda one: (one.client in _PROXIES, order[one.certainty], one.client))
        )
    return out


_SCOPES = {"call": "one call", "session": "one connection", "run": "the whole capture"}
MOST_WORDS = 24
"""Texts of clients that a page shows."""


def markdown(page: Page) -> str:
    """Return a page as Markdown, with a newline at its end."""
    scope = " and ".join(_SCOPES[part] for part in page.scope.split(", "))
    lines = [f"# {page.rule}", "", f"**{page.title}.** {page.summary}", "", f"Looked for in: {scope}."]
    if page.who:
        lines.append(f"Usually at fault: {', '.join(page.who)}.")
    for title, text in (("On the wire", page.wire), ("What to look at next", page.check), ("What mends it", page.fix)):
        if text:
            lines += ["", f"## {title}", "", text]
    if page.clients:
        shared = (
            "" if any(one.certainty != "possible" for one in page.clients) else " (other rules have these words, too)"
        )
        lines += ["", f"## What is logged{shared}", "", "| who | code | text |", "|---|---|---|"]
        for one in page.clients[:MOST_WORDS]:
            doubt = "" if one.checked else " (not checked against its source)"
            who = f"{one.client} {one.version}".rstrip()
            lines.append(f"| {who} | {one.code or '—'} | {_cell(one.text)}{doubt} |")
        more = len(page.clients) - MOST_WORDS
        if more > 0:
            lines += ["", f"And {more} more that say less."]
    lines += ["", "## References", "", *(f"- {reference}" for reference in page.references)]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    shown = re.sub(r"\s+", " ", text).replace("|", "\\|")
    fence = "``" if "`" in shown else "`"
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def index() -> str:
    """Return the list of all rules as Markdown, each with a link to its page."""
    lines = [
        "# Rules",
        "",
        "What wirecase looks for. `wirecase explain RULE` prints a page.",
        "",
        "| rule | |",
        "|---|---|",
    ]
    lines += [f"| [{page.rule}]({page.rule}.md) | {page.title} |" for page in pages().values()]
    return "\n".join(lines) + "\n"
