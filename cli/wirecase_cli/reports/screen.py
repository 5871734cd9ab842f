"""What a report is drawn on: its width, its colours and the characters that it can show."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass

PIPE_WIDTH = 80
"""Columns where nobody looks directly: in a pipe, in a file."""
MIN_WIDTH = 40
MAX_WIDTH = 120
"""Lines longer than this are hard to read, however wide the window."""


@dataclass(slots=True, frozen=True)
class Screen:
    """A place to draw on."""

    width: int = PIPE_WIDTH
    color: bool = False
    unicode: bool = True
    """False where only ASCII arrives: symbols and lines are then drawn with letters and dashes."""


def plain() -> Screen:
    """Return the screen that a file is: 80 columns, no colour."""
    return Screen()


def of_stdout() -> Screen:
    """Return what standard output is, by the conventions NO_COLOR and FORCE_COLOR (https://no-color.org)."""
    stream = sys.stdout
    if stream is None:
        return Screen()
    terminal = stream.isatty()
    width = shutil.get_terminal_size((PIPE_WIDTH, 24)).columns if terminal else PIPE_WIDTH
    return Screen(
        width=min(max(width, MIN_WIDTH), MAX_WIDTH),
        color=_color(terminal=terminal),
        unicode=_can_show(getattr(stream, "encoding", None) or "utf-8", "✗├─…█▁░×"),
    )


def _color(*, terminal: bool) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return terminal and os.environ.get("TERM", "") not in ("dumb", "unknown")


def _can_show(encoding: str, characters: str) -> bool:
    try:
        characters.encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return False
    return True
