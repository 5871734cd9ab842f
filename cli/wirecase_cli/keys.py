"""Keys that are pressed while a live screen is drawn; standard input may be a pipe, so the terminal itself is asked."""

from __future__ import annotations

import contextlib
import os
from types import TracebackType
from typing import Any


class Keys:
    """Reads single keys of the controlling terminal; a context manager. Without a terminal no key ever comes."""

    def __init__(self) -> None:
        self._terminal: int | None = None
        self._before: list[Any] = []

    @property
    def usable(self) -> bool:
        """There is a keyboard."""
        return self._terminal is not None

    def __enter__(self) -> Keys:
        """Let keys come at once, and unseen."""
        try:
            import termios
            import tty

            self._terminal = os.open("/dev/tty", os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
            self._before = termios.tcgetattr(self._terminal)
            tty.setcbreak(self._terminal, termios.TCSANOW)  # Ctrl-C stays a signal
        except (ImportError, OSError, AttributeError):
            self._close()
        except termios.error:  # no terminal after all
            self._close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""
        if self._terminal is not None and self._before:
            import termios

            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._terminal, termios.TCSANOW, self._before)
        self._close()

    def pressed(self) -> str:
        """Return what was pressed since the last time; an arrow or another key of several characters is one ``?``."""
        if self._terminal is None:
            return ""
        try:
            raw = os.read(self._terminal, 64)
        except OSError:  # nothing was, or the terminal is gone
            return ""
        text = raw.decode("ascii", "replace")
        for code, key in (("\x1b[A", "k"), ("\x1b[B", "j"), ("\x1b[5~", "b"), ("\x1b[6~", " ")):
            text = text.replace(code, key)
        start, escape, _ = text.partition("\x1b")
        return start + "?" * bool(escape)

    def _close(self) -> None:
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None
