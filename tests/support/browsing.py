"""A page in a browser: opened with a watch on it, gone about, and read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WAITED = 10_000
"""ms after which a page that does not answer fails."""


@contextmanager
def opened(browser: Any, page: Path, **how: Any) -> Iterator[Any]:
    """Open a page, ready for use; at the end, nothing may have been said, asked for or gone wrong."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, **how)
    tab = context.new_page()
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}"))
    tab.on("request", lambda request: said.append(f"request {request.url}") if request.url != page.as_uri() else None)
    tab.goto(page.as_uri())
    if how.get("java_script_enabled", True):
        tab.wait_for_selector("html[data-ready]", timeout=WAITED)
    yield tab
    context.close()
    assert said == []


def at(tab: Any, place: str, drawn: str) -> Any:
    """Go to a place; what is drawn there is drawn once somebody comes near."""
    tab.evaluate(f"document.querySelector('{place}').scrollIntoView({{ behavior: 'instant' }})")
    tab.wait_for_selector(drawn, state="attached", timeout=WAITED)
    settled(tab)
    return tab


def rows(tab: Any) -> list[list[str]]:
    """The drawn rows of the table of calls, as text."""
    script = "() => [...document.querySelectorAll('#rows > tr')].map(r => [...r.cells].map(c => c.textContent.trim()))"
    return tab.evaluate(script)


def said(tab: Any) -> str:
    return tab.text_content("#count")


def glyphs(tab: Any) -> int:
    return tab.locator("#lanes .mark").count()


def extent(tab: Any) -> list[str]:
    """The first and the last time on the axis."""
    return tab.locator("#lanes .axis text:not(.label)").all_text_contents()


def settled(tab: Any) -> None:
    """Wait until the drawing has caught up."""
    frames = "(async () => { for (let i = 0; i < 4; i++) await new Promise(requestAnimationFrame); })()"
    tab.evaluate(frames)


def until(tab: Any, condition: str) -> None:
    """Wait until something holds: the page's policy forbids playwright's own way, which evaluates text in the page."""
    end = time.monotonic() + WAITED / 1000
    while not tab.evaluate(condition):
        assert time.monotonic() < end, condition
        tab.wait_for_timeout(20)
