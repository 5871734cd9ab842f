"""A capture file that is still being written: read on as it grows, and find the file that its writer goes on with.

Nothing tells a reader that a writer is done. A file is followed until somebody asks to stop, until it has not grown
for a while, or until a newer file of the same ring is there: tcpdump -C adds a number to the name (and -W begins with
the first one again), tcpdump -G and dumpcap -b put the time or a number into it. Names of one ring differ in their
digits only.
"""

from __future__ import annotations

import io
import os
import re
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

POLL = 0.1
"""Seconds between two looks at a file that does not grow."""
LOOK_ROUND = 10
"""Looks at the file for each look into its folder."""

Ending = Literal["", "stopped", "idle", "rotated", "shortened"]


@dataclass(slots=True, frozen=True)
class Follow:
    """For how long files are followed."""

    stop: Callable[[], bool] = lambda: False
    """Asked while nothing comes; yes ends the following."""
    timeout: float | None = None
    """Seconds after which a file that does not grow any more is taken for finished; None waits for ever."""
    rotates: bool = True
    """False if its writer never goes on with another file."""


class FollowedFile:
    """A file that is read as it grows; in place of the `io.FileIO` of a finished one."""

    def __init__(self, path: str, follow: Follow) -> None:
        self._file = io.FileIO(path)
        self._path = path
        self._follow = follow
        self.ended: Ending = ""
        """Why its end was taken for its end."""

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._file.fileno()

    def readinto(self, view: memoryview | bytearray) -> int:
        """Read into `view` what is there, wait where nothing is; 0 once the file is not followed any more."""
        began, looks = time.monotonic(), 0
        while not self.ended:
            got = self._file.readinto(view)
            if got:
                return got
            if os.fstat(self._file.fileno()).st_size < self._file.tell():
                self.ended = "shortened"
            elif self._follow.stop():
                self.ended = "stopped"
            elif self._follow.rotates and looks % LOOK_ROUND == 0 and successor(self._path) is not None:
                # What came between the last read and the look belongs to this file.
                self.ended = "rotated"
                return self._file.readinto(view) or 0
            elif self._follow.timeout is not None and time.monotonic() - began >= self._follow.timeout:
                self.ended = "idle"
            else:
                looks += 1
                time.sleep(POLL)
        return self._file.readinto(view) or 0 if self.ended == "rotated" else 0

    def read(self, count: int) -> bytes:
        """Read up to `count` bytes, likewise."""
        buffer = bytearray(count)
        return bytes(buffer[: self.readinto(buffer)])

    def ready(self) -> bool:
        """Tell whether there is something to read without waiting."""
        return os.fstat(self._file.fileno()).st_size > self._file.tell()

    @property
    def unfinished(self) -> bool:
        """The writer may not be done: a record that is cut at the end is no damage."""
        return self.ended in ("stopped", "idle")

    def close(self) -> None:
        """Let the file go."""
        self._file.close()


def family(name: str) -> str:
    """Return what the names of one ring's files share."""
    return re.sub(r"\d+", "#", name).rstrip("#")


def successor(path: str) -> str | None:
    """Return the file of the same ring that was begun after `path` was last written; the earliest, None if none is.

    A file with nothing in it yet is not taken: its writer has not begun.
    """
    folder, name = os.path.split(path)
    kin = family(name)
    try:
        since = os.stat(path).st_mtime_ns
        with os.scandir(folder or ".") as entries:
            names = [entry.name for entry in entries if entry.name != name and family(entry.name) == kin]
    except OSError:
        return None
    newer: list[tuple[int, str]] = []
    for other in names:
        there = os.path.join(folder, other)
        try:
            facts = os.stat(there)
        except OSError:
            continue
        if stat.S_ISREG(facts.st_mode) and facts.st_size and facts.st_mtime_ns > since:
            newer.append((facts.st_mtime_ns, there))
    return min(newer)[1] if newer else None
