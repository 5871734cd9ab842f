"""The page: templates and assets put together, with a policy that lets nothing in and nothing else run.

The Content-Security-Policy allows this page's own style and scripts by their hashes (CSP Level 3, "hash-source") and
nothing from anywhere: not a line of a capture could run even if it got past the escaping.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from wirecase.model import Diagnosis
from wirecase_cli.reports import case_notes, cross_check, escape, log_lines, outline, words
from wirecase_cli.reports.html import calls, picture, view
from wirecase_cli.reports.html.gather import Gathered
from wirecase_cli.reports.html.shown import Shown, data_block

STYLES = ("base.css", "layout.css", "findings.css", "drawing.css", "calls.css", "print.css")
HEAD_SCRIPTS = ("theme.js",)
SCRIPTS = ("common.js", "calls.js", "view.js", "drawing.js", "picture.js", "windows.js", "start.js")
MOST_TREES = 60
MOST_REMARKS = 60
MOST_PATHS = 12


def render(
    diagnosis: Diagnosis,
    gathered: Gathered | None = None,
    notes: case_notes.CaseNotes | None = None,
    *,
    unmasked: Diagnosis | None = None,
) -> str:
    """Return the page; without `gathered` it has neither a table of calls nor a picture.

    All that is shown is masked here. `unmasked` is `diagnosis` with the bytes of its evidence as they were, where they
    were masked before.
    """
    gathered = gathered or Gathered()
    shown = Shown()
    cards = view.Cards(diagnosis, unmasked or diagnosis)
    arranged = outline.of(diagnosis)
    told, limits, remarks = (
        cards.of(part) for part in (arranged.roots, arranged.limits, arranged.remarks[:MOST_REMARKS])
    )
    drawn = gathered.picture
    paths = [source.path for source in diagnosis.sources]
    style, head, script = (_inline(names) for names in (STYLES, HEAD_SCRIPTS, SCRIPTS))
    document = {
        "calls": calls.table(gathered.calls, shown, seen=gathered.seen, sources=paths),
        "picture": None if drawn is None else picture.data(drawn, shown),
    }
    return _environment(shown).get_template("page.html.j2").render(
        d=diagnosis,
        headline=_sentences(diagnosis.verdict.headline),
        verdict=diagnosis.verdict,
        outline=arranged,
        trees=arranged.roots[:MOST_TREES],
        cards=told,
        limits=limits,
        remarks=remarks,
        strays=view.settle([*told, *limits, *remarks], diagnosis.findings),
        notes=notes or case_notes.CaseNotes(),
        gathered=gathered,
        first_rows=calls.first_rows(gathered.calls),
        picture=drawn,
        tables=None if drawn is None else picture.tables(drawn),
        most_paths=MOST_PATHS,
        data=data_block(document),
        policy=_policy(style, (head, script)),
        style=style,
        head_script=head,
        script=script,
    )  # fmt: skip


def _sentences(headline: str) -> tuple[str, str]:
    """Return the first sentence of a headline, and the others."""
    first, stop, rest = headline.partition(". ")
    return first + stop.rstrip(), rest


def _environment(shown: Shown) -> Environment:
    folder = files(__package__) / "templates"
    templates = {each.name: each.read_text(encoding="utf-8") for each in folder.iterdir() if each.name.endswith(".j2")}
    environment = Environment(
        loader=DictLoader(templates), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=shown.finalize,
    )  # fmt: skip
    environment.globals |= {"words": words, "log_lines": log_lines, "cross_check": cross_check}
    environment.filters["number"] = words.number
    # Masked before it is cut: the beginning of a credential has no shape that tells it.
    environment.filters["cut"] = lambda text, limit: escape.cut(shown.text(text), limit)
    return environment


def _inline(names: tuple[str, ...]) -> Markup:
    """Return assets of ours, joined; they hold nothing that would end the element they stand in."""
    folder = files(__package__) / "assets"
    return Markup("\n".join((folder / name).read_text(encoding="utf-8").strip() for name in names))  # noqa: S704


def _policy(style: str, scripts: tuple[str, ...]) -> str:
    hashes = " ".join(_hash(script) for script in scripts)
    rules: dict[str, Any] = {
        "default-src": "'none'", "style-src": _hash(style), "script-src": hashes, "img-src": "data:",
        "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"
