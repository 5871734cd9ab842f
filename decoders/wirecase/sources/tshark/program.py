"""Finding tshark, and running it as a child that never outlives its use.

No shell is involved, nothing of a capture stands in a command line, and what the child prints is read as it comes:
standard output piece by piece, standard error into a few kept lines by a thread of its own.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType

from wirecase.errors import InputError, UsageError
from wirecase.sources.raw import shown

OLDEST = (3, 4)
"""The oldest tshark whose fields are those that are asked for here (``tcp.ack_raw``, ``-E aggregator``)."""
STALLED = 300.0
"""Seconds without a byte after which tshark is taken to hang."""
_POLL = 0.5
_PIECE = 1 << 18
_LONGEST_LINE = 64 << 20
"""Bytes of one line of output; twice the longest packet and its fields."""
_KEPT_COMPLAINTS = 32
_PREFERENCE = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]*:[^\0]*\Z")
_VERSION = re.compile(r"\s(\d+)\.(\d+)\.(\d+)")


class TsharkError(InputError):
    """tshark is missing, too old, or did not do what was asked of it."""


@dataclass(frozen=True, slots=True)
class Tshark:
    """A tshark that is there."""

    path: str
    version: tuple[int, int, int]

    @property
    def name(self) -> str:
        """How reports name it: ``Wireshark 4.0.17``."""
        return f"Wireshark {'.'.join(map(str, self.version))}"


def install_hint() -> str:
    """Return the command that brings tshark on this system."""
    if sys.platform == "darwin":
        return "brew install wireshark"
    for tool, command in (
        ("apt-get", "sudo apt-get install tshark"),
        ("dnf", "sudo dnf install wireshark-cli"),
        ("zypper", "sudo zypper install wireshark"),
        ("apk", "sudo apk add tshark"),
        ("pacman", "sudo pacman -S wireshark-cli"),
    ):
        if shutil.which(tool):
            return command
    return (
        "sudo apt-get install tshark (Debian), sudo dnf install wireshark-cli (Fedora), brew install wireshark (macOS)"
    )


def find() -> str | None:
    """Return where tshark is, or None.

    The search path comes first; beyond it pyshark, where it is installed, knows the usual places of other systems and
    reads the path that its ``config.ini`` names.
    """
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/bin"))
    found = shutil.which("tshark", path=path)
    if found is not None:
        return found
    try:
        from pyshark.tshark import tshark as pyshark
    except ImportError:
        return None
    try:
        place: str = pyshark.get_process_path()
    except pyshark.TSharkNotFoundException:
        return None
    return place if os.access(place, os.X_OK) else None


@lru_cache(maxsize=4)
def _version(path: str) -> tuple[int, int, int] | None:
    try:
        done = subprocess.run(  # noqa: S603 - a path that was searched for, a fixed argument
            [path, "--version"], capture_output=True, timeout=20, check=False, stdin=subprocess.DEVNULL, env=_env()
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = _VERSION.search(done.stdout.decode("utf-8", "replace").partition("\n")[0])
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def tshark() -> Tshark:
    """Return the tshark of this machine. Raises `TsharkError`, with the command that installs it, if there is none."""
    path = find()
    if path is None:
        raise TsharkError(f"tshark was not found; install it with: {install_hint()}")
    version = _version(path)
    if version is None:
        raise TsharkError(f"{shown(path)} does not run: try {shown(path)} --version")
    if version[:2] < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise TsharkError(f"{shown(path)} is version {'.'.join(map(str, version))}; {wanted} or later is needed")
    return Tshark(path, version)


def check_preferences(preferences: Sequence[str]) -> None:
    """Raise UsageError unless each one has the form ``name:value`` that tshark's ``-o`` takes."""
    for one in preferences:
        if not _PREFERENCE.match(one):
            raise UsageError(
                f"--tshark-option {shown(one)}: write NAME:VALUE, as for tshark -o (tshark -G currentprefs)"
            )


def preference_arguments(preferences: Sequence[str]) -> list[str]:
    """Return the arguments that set preferences: each value is an argument of ``-o`` and can be nothing else."""
    return [part for one in preferences for part in ("-o", one)]


def _env() -> dict[str, str]:
    """The caller's environment, but with messages in English and numbers with a point."""
    return {**os.environ, "LC_ALL": "C.UTF-8", "LANGUAGE": "C"}


class Child:
    """A running tshark. Leaving the context ends it, whatever it was doing."""

    def __init__(self, program: Tshark, arguments: Sequence[str]) -> None:
        """Start it. Its own process group keeps a terminal's Ctrl-C for us, who end it in an orderly way."""
        try:
            self._process = subprocess.Popen(  # noqa: S603 - no shell; the arguments are ours and the user's own
                [program.path, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_env(),
                process_group=0,
            )
        except (OSError, ValueError) as error:
            raise TsharkError(
                f"{shown(program.path)} cannot be started: {getattr(error, 'strerror', error)}"
            ) from error
        self._complaints: deque[bytes] = deque(maxlen=_KEPT_COMPLAINTS)
        self._named: list[bytes] = []
        self._listener = threading.Thread(target=self._listen, name="wirecase-tshark", daemon=True)
        self._listener.start()

    def __enter__(self) -> Child:
        """Return the child itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.end()

    def lines(self) -> Iterator[bytes | None]:
        """Yield the lines that it prints, without their ends, and None whenever nothing came for half a second.

        Raises `TsharkError` if nothing came for very long, or if a line has no end.
        """
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        rest = b""
        waited = 0.0
        while True:
            if not select.select([output], [], [], _POLL)[0]:
                waited += _POLL
                if waited >= STALLED:
                    raise TsharkError(f"tshark printed nothing for {STALLED:.0f} seconds and was ended")
                yield None
                continue
            waited = 0.0
            piece = os.read(output, _PIECE)
            if not piece:
                break
            *whole, last = piece.split(b"\n")
            if whole:
                whole[0] = rest + whole[0]
                rest = last
                yield from whole
            else:
                rest += last
                if len(rest) > _LONGEST_LINE:
                    raise TsharkError("tshark printed a line without an end and was ended")
        if rest:
            yield rest

    def finish(self) -> str:
        """Wait for its end after its output has ended; return why it failed, an empty string if it did not."""
        try:
            status = self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.end()
            return "tshark did not end"
        self._listener.join(5)
        if status == 0:
            return ""
        return self.complaint or (f"tshark was ended by signal {-status}" if status < 0 else f"status {status}")

    @property
    def complaint(self) -> str:
        """What standard error says about this run, one line, harmless in a terminal.

        That is the first line in tshark's own name (lists of what would have been right may follow), or else the last.
        """
        for raw in (*self._named, *reversed(self._complaints)):
            text = shown(raw.decode("utf-8", "replace").strip())
            if text and not text.startswith(("Running as user", "This could be dangerous")):
                return text.removeprefix("tshark: ")[:300]
        return ""

    def end(self) -> None:
        """End it now, if it still runs; harmless when it does not."""
        process = self._process
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                if stream is process.stderr:
                    self._listener.join(2)
                with contextlib.suppress(OSError):
                    stream.close()

    def _listen(self) -> None:
        """Keep the last lines of standard error, so that the child never waits for somebody to read them."""
        assert self._process.stderr is not None
        try:
            while line := self._process.stderr.readline(4096):
                self._complaints.append(line)
                if line.startswith(b"tshark: ") and not self._named:
                    self._named.append(line)
        except (OSError, ValueError):
            pass
