"""Lines of coloured text without a layout engine: for listings of any length, which are written as they are drawn."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from wirecase_cli.reports import escape
from wirecase_cli.reports.screen import Screen

_TO_ASCII = str.maketrans("✗▲·✓─│├┤└→←…–—×▶◀↑↓↕µ", "x!-o-|++`><~--x><^v|u")

if TYPE_CHECKING:
    from rich.style import Style

Part = tuple[str, str]
"""(text, style of rich or nothing); the text must be safe."""


def draw(parts: Iterable[Part], screen: Screen) -> str:
    """Return one line, with its newline."""
    if screen.color:
        from rich.color import ColorSystem

        line = "".join(
            _style(style).render(text, color_system=ColorSystem.STANDARD) if style and text.strip() else text
            for text, style in parts
        )
    else:
        line = "".join(text for text, _ in parts).rstrip()
    return (line if screen.unicode else line.translate(_TO_ASCII)) + "\n"


@cache
def _style(name: str) -> Style:
    from rich.style import Style

    return Style.parse(name)


def width_of(text: str) -> int:
    """Return how many columns a safe text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Cut or pad a safe text to exactly `width` columns; `right` puts it against the right edge."""
    cells = width_of(text)
    if cells > width:
        while text and width_of(text) > width - 1:
            text = text[: width - 1] if text.isascii() else text[:-1]
        text += "…"
        cells = width_of(text)
    pad = " " * (width - cells)
    return pad + text if right else text + pad


def fit_end(text: str, width: int) -> str:
    """Cut a safe text to `width` columns at its beginning: of a path, the end tells most."""
    while width_of(text) > width:
        keep = width - 1 if not text.startswith("…") else len(text) - 2
        text = "…" + text[-keep:] if keep > 0 else "…"[:width]
        if keep <= 0:
            break
    return text


def wrap(text: str, width: int) -> list[str]:
    """Break a safe text into lines of at most `width` columns, at spaces where that is possible."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        while width_of(word) > width:
            room = width - width_of(line) - (1 if line else 0)
            if room < 8 and line:
                lines.append(line)
                line, room = "", width
            head = word[:room]
            while width_of(head) > room:
                head = head[:-1]
            head = head or word[:1]
            lines.append(f"{line} {head}" if line else head)
            line, word = "", word[len(head) :]
        if line and width_of(line) + 1 + width_of(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line] if line or not lines else lines


def safe(text: str, limit: int = 600) -> str:
    """Return text of a capture as one harmless line of at most `limit` characters."""
    return escape.cut(escape.line(text[: limit + 1]), limit)
