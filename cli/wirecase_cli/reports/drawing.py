"""The few shapes that the terminal report is made of.

Everything is a `rich.text.Text` over `safe`, so nothing of a capture is ever parsed as markup of rich.
"""

from __future__ import annotations

import io
from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from wirecase.model import Severity
from wirecase_cli.reports import escape
from wirecase_cli.reports.screen import Screen

SYMBOL: dict[Severity, str] = {"error": "✗", "warning": "▲", "info": "·"}
STYLE: dict[Severity, str] = {"error": "bold red", "warning": "bold yellow", "info": "cyan"}
DIM = "bright_black"

MAX_TEXT = 600
"""Characters of one text that are shown; the JSON report has all of them."""

_TO_ASCII = str.maketrans("✗▲·✓─│├└→…–—×‘’“”§", "x!-o-|+`>~--x''\"\"S")


def printed(parts: Iterable[RenderableType], screen: Screen) -> str:
    """Return what `parts` look like on `screen`, one below the other, with a newline at the end."""
    buffer = io.StringIO()
    console = Console(
        file=buffer,
        width=screen.width,
        force_terminal=screen.color,
        no_color=not screen.color,
        color_system="standard" if screen.color else None,
        force_jupyter=False,
        force_interactive=False,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
    )
    for part in parts:
        console.print(part)
    drawn = "\n".join(line.rstrip() for line in buffer.getvalue().split("\n"))
    return drawn if screen.unicode else drawn.translate(_TO_ASCII)


def safe(text: str, limit: int = MAX_TEXT) -> str:
    """Return `text` as one harmless line of at most `limit` characters."""
    return escape.cut(escape.line(text), limit)


def text(content: str, style: str = "") -> Text:
    """Return a text whose overlong words are folded; `content` must be safe."""
    return Text(content, style, overflow="fold")


def joined(*parts: tuple[str, str]) -> Text:
    """Return one text of several (content, style)."""
    out = Text(overflow="fold")
    for content, style in parts:
        out.append(content, style)
    return out


def unwrapped(*parts: tuple[str, str]) -> Text:
    """Return one text that stays on its line."""
    out = joined(*parts)
    out.no_wrap = True
    return out


def hanging(prefix: str, body: Text, style: str = "") -> RenderableType:
    """Put `body` behind a prefix, its further lines indented below its first."""
    grid = Table.grid()
    grid.add_column(width=len(prefix), no_wrap=True)
    grid.add_column(ratio=1, overflow="fold")
    grid.add_row(Text(prefix, style), body)
    return grid


def fields(rows: Iterable[tuple[str, Text | str]], *, indent: int = 2) -> RenderableType:
    """Lay out names and values in two columns, without those that are empty."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=7, style=DIM, no_wrap=True)
    grid.add_column(ratio=1, overflow="fold")
    for name, value in rows:
        if value:
            grid.add_row(name, value)
    return Padding(grid, (0, 0, 0, indent)) if grid.row_count else Group()


def section(title: str, style: str = "bold") -> RenderableType:
    """Return a heading with a line behind it."""
    return Group(Text(), Rule(Text(safe(title), style), align="left", style=DIM))
