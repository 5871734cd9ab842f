"""What the documents point at exists: files, sections, pages of the guide, make targets. Their blocks of code parse."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from documents import DOCUMENTS, PAGES, ROOT, Block, blocks, prose

from wirecase_cli.commands import guide

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]


def targets(folder: Path) -> set[str]:
    """The targets of the Makefile in a folder and of the project's."""
    texts = [file.read_text(encoding="utf-8") for file in (ROOT / "Makefile", folder / "Makefile") if file.exists()]
    return {
        name for text in texts for names in re.findall(r"^([a-z][\w -]*):(?!=)", text, re.M) for name in names.split()
    }


def anchors(document: Path) -> set[str]:
    """The names of a document's sections, as code hosts make them."""
    titles = re.findall(r"^#+ (.+)$", prose(document), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def within(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language]


def name(block: Block) -> str:
    return f"{block.where.name}:{block.number}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links(document: Path) -> None:
    for link in LINK.findall(prose(document)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, section = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not section or section in anchors(target), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pages_of_the_guide_and_make_targets(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert set(re.findall(r"wirecase\s+guide\s+([a-z][a-z-]+)", text)) <= set(guide.PAGES)
    for called in re.findall(r"(?:^|`)make ([a-z][a-z ]*)(?=`|$| {2,}#)", text, re.M):
        assert set(called.split()) <= targets(document.parent), called


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_paths_of_the_project(document: Path) -> None:
    """``tests/…`` and the like, in line or in a command."""
    text = document.read_text(encoding="utf-8")
    found = re.findall(r"(?<![\w./-])((?:cli|decoders|tests|fixtures|\.ci)/[\w./-]*\w)(?![\w<>*]|/?[<*])", text)
    made = ("fixtures/clients/build",)
    assert [path for path in found if not (ROOT / path).exists() and not path.startswith(made)] == []


def test_the_list_of_pages_is_whole() -> None:
    assert sorted(path.stem for path in PAGES.glob("*.md")) == sorted(guide.PAGES)
    assert next(iter(guide.PAGES)) == "first-steps"


PARSERS: dict[str, Callable[[str], object]] = {"json": json.loads, "toml": tomllib.loads, "python": ast.parse}


@pytest.mark.parametrize("block", [block for language in PARSERS for block in within(language)], ids=name)
def test_blocks_of_code_can_be_read(block: Block) -> None:
    PARSERS[block.language](block.text)


def test_every_block_says_what_it_is() -> None:
    """A block without a language is something printed; a command in it would not be run by any test."""
    for block in within(""):
        assert not re.search(r"^(\$ )?(wirecase (?!\d)|make |sudo )", block.text, re.M), name(block)
