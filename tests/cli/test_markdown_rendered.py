"""The Markdown report as a renderer reads it (markdown-it-py, CommonMark and tables; rich depends on it)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from wirecase.model import Diagnosis
from wirecase_cli.reports import markdown

OWN_MARKUP = re.compile(r"(<details><summary>[\w ,.-]+</summary>|</details>)\n?")


def tokens(found: Diagnosis) -> list[Token]:
    def walk(ones: list[Token]) -> Iterator[Token]:
        for one in ones:
            yield one
            yield from walk(one.children or [])

    return list(walk(MarkdownIt("commonmark").enable("table").parse(markdown.render(found))))


@pytest.mark.parametrize("name", ["incident_diagnosis", "healthy_diagnosis", "hostile_diagnosis"])
def test_nothing_but_our_own_markup_lives(name: str, request: pytest.FixtureRequest) -> None:
    read = tokens(request.getfixturevalue(name))
    kinds = {one.type for one in read}
    assert not kinds & {"link_open", "image", "reference", "blockquote_open", "hr"}
    for one in read:
        if one.type in ("html_block", "html_inline"):
            assert OWN_MARKUP.fullmatch(one.content), one.content


def test_headings_lists_and_tables_are_ours(incident_diagnosis: Diagnosis, hostile_diagnosis: Diagnosis) -> None:
    def shape(found: Diagnosis) -> list[str]:
        kept = ("heading_open", "table_open", "tr_open", "fence", "html_block")
        return [f"{one.type} {one.tag}" for one in tokens(found) if one.type in kept]

    assert "heading_open h3" in shape(incident_diagnosis) and "table_open table" in shape(incident_diagnosis)
    hostile = hostile_diagnosis
    # The same parts where the capture writes what it likes; each finding has one client there instead of two.
    assert shape(hostile)[0] == "heading_open h2"
    assert set(shape(hostile)) == set(shape(incident_diagnosis))
    assert shape(hostile).count("heading_open h2") == 1


def test_the_words_come_through(incident_diagnosis: Diagnosis) -> None:
    page = MarkdownIt("commonmark").enable("table").render(markdown.render(incident_diagnosis))
    text = unescape(re.sub(r"<[^>]+>", "", page))
    for words in (
        incident_diagnosis.verdict.headline,
        "compression flag 67 ('C')",
        "RST_STREAM INTERNAL_ERROR",
        "invalid compression flag: 67 (valid flags are 0 and 1)",
        "43 6f 6e 6e",
    ):
        assert words in text
