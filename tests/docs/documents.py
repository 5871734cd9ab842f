"""What the documents tell a reader to type: commands in blocks, words in line, links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "cli" / "wirecase_cli" / "pages"
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted(PAGES.rglob("*.md")),
    *sorted((ROOT / "fixtures").glob("*.md")),
    *sorted((ROOT / "fixtures").glob("[cm]*/README.md")),
    *sorted((ROOT / "tests").glob("*/README.md")),
)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_INDENTED = re.compile(r"(?:(?<=\n\n)|\A)((?: {4}.*\n|\n(?= {4}))+)")
_COMMENT = re.compile(r"(?:^|\s+)# .*")
_RUNS_WIRECASE = re.compile(r"(?:^|\|\s*)(?:\$ )?(?:[A-Z_]+=\S+ )*wirecase\b")


@dataclass(frozen=True, slots=True)
class Line:
    """One command line of a document, its continuation lines joined."""

    where: str
    """The document, and the number of the line in it."""
    text: str

    def __str__(self) -> str:
        return f"{self.where} {self.text}"


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code."""

    where: Path
    number: int
    """Of its first line of code in the document."""
    language: str
    """As written behind the fence; "indented" for one that is set off by four spaces."""
    text: str


def blocks(document: Path) -> Iterator[Block]:
    """All blocks of code of a document."""
    text = document.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        yield Block(document, text.count("\n", 0, found.start(2)) + 1, found[1], found[2])
    without = _FENCE.sub(lambda found: "\n" * found[0].count("\n"), text)
    for found in _INDENTED.finditer(without):
        lines = found[1].split("\n")
        number = without.count("\n", 0, found.start(1)) + 1
        yield Block(document, number, "indented", "\n".join(line[4:] for line in lines))


def prose(document: Path) -> str:
    """A document without its blocks of code."""
    return _FENCE.sub("", document.read_text(encoding="utf-8"))


def lines(block: Block) -> Iterator[Line]:
    """The command lines of a block, comments and empty ones left out."""
    number, kept = block.number, ""
    name = block.where.relative_to(ROOT).as_posix()
    for count, line in enumerate(block.text.splitlines()):
        number = number if kept else block.number + count
        if line.rstrip().endswith("\\"):
            kept += line.rstrip()[:-1]
            continue
        text, kept = _COMMENT.sub("", kept + line).strip().removeprefix("$ "), ""
        if text:
            yield Line(f"{name}:{number}", text)


def shell_lines(document: Path) -> list[Line]:
    """The lines of a document that a reader types into a shell."""
    return [line for block in blocks(document) if block.language in ("sh", "bash", "console", "indented")
            for line in lines(block)]  # fmt: skip


def commands(document: Path) -> list[Line]:
    """Those of them that run wirecase."""
    return [line for line in shell_lines(document) if _RUNS_WIRECASE.search(line.text)]


def arguments(line: Line) -> list[str]:
    """What wirecase itself is given on such a line."""
    words = shlex.split(line.text, comments=True)
    words = words[words.index("wirecase") + 1 :]
    end = next((place for place, word in enumerate(words) if word in ("|", ">", ">>", "&&", ";")), len(words))
    return words[:end]


def mentions(document: Path) -> list[list[str]]:
    """The commands that the text mentions in line, `wirecase …`, as words."""
    found = re.findall(r"`wirecase ([^`]+)`", prose(document))
    return [text.split() for text in found]
