"""Every rule has a page, and the pages in the documentation are what the rules say today.

``make pages`` (this file, run as a program) writes them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from wirecase.explaining import Page, index, markdown, pages
from wirecase.explaining.notes import NOTES
from wirecase.explaining.shapes import SHAPES
from wirecase.explaining.templates import shapes
from wirecase.rules import ALL_RULES

FOLDER = Path(__file__).parents[2] / "cli" / "wirecase_cli" / "pages" / "rules"


def documents() -> dict[str, str]:
    return {f"{name}.md": markdown(page) for name, page in pages().items()} | {"index.md": index()}


def write() -> None:
    FOLDER.mkdir(exist_ok=True)
    wanted = documents()
    for old in FOLDER.glob("*.md"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def test_every_rule_has_a_note() -> None:
    assert [rule.id for rule in ALL_RULES if rule.id not in NOTES] == []


@pytest.mark.parametrize("page", pages().values(), ids=lambda page: page.rule)
def test_a_page_is_complete(page: Page) -> None:
    assert page.wire
    assert page.who
    assert page.check
    assert page.fix
    assert page.references
    assert page.summary in markdown(page)


def test_the_documentation_is_up_to_date() -> None:
    found = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    stale = [name for name, text in documents().items() if found.get(name) != text]
    assert stale == [], "run `make pages`"
    assert found.keys() == documents().keys()


def test_shapes_name_rules_that_exist_or_will() -> None:
    named = {rule for shape in (*shapes(), *SHAPES) for rule, _ in shape.rules}
    assert named <= {rule.id for rule in ALL_RULES} | NOTES.keys()


if __name__ == "__main__":
    write()
