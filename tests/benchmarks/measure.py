"""Measuring whole processes: wall time, processor time and peak memory of one child at a time."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

CHILD_TIMEOUT = 1800.0
"""Seconds after which a child is killed: tshark needs minutes at most for any capture of the set."""


class ChildFailed(Exception):
    """A measured child was killed or ended with a status that says it did not do the work."""


@dataclass(frozen=True, slots=True)
class Run:
    """One whole process."""

    wall: float
    """Seconds from before the start to after the end."""
    cpu: float
    """Seconds of user and system time."""
    peak: int
    """Largest resident memory in bytes. The kernel counts what the child was before it became the command too, so the
    measuring process itself must stay small: nothing heavy is imported here."""


def run(command: Sequence[str], environment: Mapping[str, str], output: Path | None = None) -> Run:
    """Run *command* to its end, with standard output to *output* or nowhere.

    Raises ChildFailed on any exit status but 0 and after CHILD_TIMEOUT.
    """
    with open(output or os.devnull, "wb") as out, TemporaryFile() as said:
        started = time.perf_counter()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=said, env=dict(environment))
        watchdog = threading.Timer(CHILD_TIMEOUT, os.kill, (child.pid, signal.SIGKILL))
        watchdog.start()
        try:
            _, status, usage = os.wait4(child.pid, 0)
            wall = time.perf_counter() - started
        except BaseException:
            child.kill()
            child.wait()
            raise
        finally:
            watchdog.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)  # collected here, so that Popen does not wait again
        if child.returncode:
            said.seek(0)
            last = said.read().decode(errors="replace").strip().rpartition("\n")[2]
            raise ChildFailed(f"{' '.join(command)} ended with {child.returncode}: {last}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


@dataclass(frozen=True, slots=True)
class Spread:
    """The smallest, middle and largest of some values."""

    least: float
    middle: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    """The spread of *values*, of which there is at least one."""
    return Spread(min(values), statistics.median(values), max(values))


def alternate(pairs: int, first: Callable[[], Run], second: Callable[[], Run]) -> list[tuple[Run, Run]]:
    """Run *first* and *second* in turn, *pairs* times, the order changing from pair to pair."""
    measured = []
    for number in range(pairs):
        if number % 2:
            later = second()
            measured.append((first(), later))
        else:
            earlier = first()
            measured.append((earlier, second()))
    return measured


def read_into_cache(path: Path) -> None:
    """Read *path* once, so that no run pays for the disk."""
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(1 << 20)
        while file.readinto(buffer):
            pass
