"""Keys on the live screen, pressed on a real terminal: what Wireshark says of a finding's packet, and the way back."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

CAPTURE = Path(__file__).parents[2] / "fixtures" / "rst-midbody" / "capture.pcapng"
PATIENCE = 40.0
_CONTROL = re.compile(rb"\x1b[\[(][0-9;?]*[A-Za-z]")


class Terminal:
    """A program on a terminal of 80 by 24."""

    def __init__(self, command: str) -> None:
        self.pid, self._handle = pty.fork()
        if not self.pid:
            os.environ.update(TERM="xterm-256color", COLUMNS="80", LINES="24")
            os.execvp("sh", ["sh", "-c", command])
        fcntl.ioctl(self._handle, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._seen = b""

    def press(self, key: str) -> None:
        """Press a key; what was shown before is forgotten."""
        self._seen = b""
        os.write(self._handle, key.encode())

    def until(self, text: str) -> str:
        """Wait until the terminal shows this; return all since the last key."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            shown = _CONTROL.sub(b"", self._seen).decode("utf-8", "replace")
            if text in shown:
                return shown
            if select.select([self._handle], [], [], 0.1)[0]:
                try:
                    self._seen += os.read(self._handle, 1 << 16)
                except OSError:
                    break
        raise AssertionError(f"{text!r} was not shown, but {shown!r}")

    def ended(self) -> int:
        """Read to the end; return the exit status."""
        with contextlib.suppress(OSError):
            while os.read(self._handle, 1 << 16):
                pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    made: list[Terminal] = []
    yield made
    for one in made:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(one.pid, signal.SIGKILL)
            os.waitpid(one.pid, 0)


def watching(terminals: list[Terminal], folder: Path, *arguments: str) -> Terminal:
    """Watch a pipe that stays open: keys come from the terminal, not from standard input."""
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    feed = f"(cat {CAPTURE}; sleep {PATIENCE}) < /dev/null > {pipe} 2> /dev/null &"
    run = f"{sys.executable} -m wirecase_cli watch - {' '.join(arguments)}"
    terminals.append(Terminal(f"{feed} exec {run} < {pipe}"))
    terminals[-1].until("rst-midbody: ")
    return terminals[-1]


def test_a_number_dissects_the_packet_of_a_finding(terminals: list[Terminal], tmp_path: Path) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    pytest.importorskip("pyshark")
    terminal = watching(terminals, tmp_path, "-o", str(tmp_path / "kept.pcapng"))
    terminal.press("1")
    shown = terminal.until("in the words of Wireshark")
    assert "http2" in terminal.until("http2"), shown
    terminal.press("x")
    terminal.until("last findings")
    terminal.press("q")
    assert terminal.ended() == 1
    assert (tmp_path / "kept.pcapng").read_bytes() == CAPTURE.read_bytes()


def test_without_a_kept_capture_it_is_said_how_to_keep_one(terminals: list[Terminal], tmp_path: Path) -> None:
    terminal = watching(terminals, tmp_path)
    terminal.press("1")
    terminal.until("-o FILE")
    terminal.press("q")
    assert terminal.ended() == 1
