"""Pages made of real captures, and a browser to open them in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from html_pages import FIXTURES, write_page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="session")
def incident_page(pages: Path) -> Path:
    return write_page(FIXTURES / "incident/capture.pcapng", pages / "incident.html")


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """A headless Chromium; what needs it is skipped where there is none.

    For one module only: while it is open, an event loop runs in this thread, and no other test could run its own.
    """
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (pip install '.[browser]')"
    )
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    with playwright.sync_playwright() as driver:
        try:
            # A container's user is root, for whom Chromium has no sandbox.
            opened = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no Chromium to open pages in ({str(error).splitlines()[0]}): install Debian's chromium")
        yield opened
        opened.close()
