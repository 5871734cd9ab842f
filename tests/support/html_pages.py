"""Pages of HTML as tests look at them: written by the command, read as elements and text, and samples to draw."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

from wirecase_cli.main import main

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
VOID = frozenset(("meta", "link", "br", "input", "wbr"))
TEXT_ONLY = ("script", "style")


class Outline(HTMLParser):
    """Elements, ids, links and text of a page; complains where elements do not close each other."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, (tag, self.open[-3:], self.getpos())

    def handle_data(self, text):
        if not self.open or self.open[-1] not in TEXT_ONLY:
            self.texts.append(text)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def data_of(text: str) -> dict[str, Any]:
    """What the page's script reads."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def write_page(capture: Path, page: Path) -> Path:
    """Let the command write its page."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        status = main(
            ["diagnose", "--format", "html", "--fail-on", "never", str(capture), "--output", str(page), "--force"]
        )
    assert status == 0, said.getvalue()
    return page


def samples() -> ModuleType:
    """The diagnoses made by hand that the tests of all reports share."""
    spec = importlib.util.spec_from_file_location("report_samples", ROOT / "tests/cli/conftest.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
