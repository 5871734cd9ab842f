"""How much of the machine the client takes, its children included."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from wirecase.replay.model import Sample

if TYPE_CHECKING:
    import psutil

MOST_SAMPLES = 1200
"""Kept of one run; when there are more, every second one is dropped and they are taken half as often."""
_CHILDREN_EVERY = 10
"""Looking for children walks over all processes of the machine: done in every tenth sample only."""

Counts = Callable[[], tuple[int, int]]
"""Returns open connections and open streams, as the server counts them."""


class Sampler:
    """Takes samples of one process and its children."""

    def __init__(self, pid: int, counts: Counts) -> None:
        self._pid = pid
        self._counts = counts
        self._family: list[psutil.Process] = []
        self._taken = 0
        self.every = 1
        """Only each n-th call of `regular` takes a sample."""
        self.samples: list[Sample] = []

    def regular(self, at: float) -> None:
        """Take one of the samples of `samples`, unless there are enough of them for now."""
        self._taken += 1
        if self._taken % self.every:
            return
        sample = self.take(at, look_around=(self._taken // self.every) % _CHILDREN_EVERY == 1)
        if sample is not None:
            self.samples.append(sample)
        if len(self.samples) > MOST_SAMPLES:
            del self.samples[1::2]
            self.every *= 2

    def take(self, at: float, *, look_around: bool = True) -> Sample | None:
        """Return one sample, None if the process is gone; `look_around` looks for new children."""
        import psutil

        if look_around or not self._family:
            try:
                leader = self._family[0] if self._family else psutil.Process(self._pid)
                self._family = [leader, *leader.children(recursive=True)]
            except psutil.Error:
                return None
        rss = descriptors = threads = 0
        cpu = 0.0
        alive = False
        for process in self._family:
            try:
                with process.oneshot():
                    if process.status() == psutil.STATUS_ZOMBIE:
                        continue
                    times = process.cpu_times()
                    rss += process.memory_info().rss
                    threads += process.num_threads()
                    descriptors += process.num_fds()
                    cpu += times.user + times.system
                    alive = True
            except psutil.Error:
                continue
        if not alive:
            return None
        connections, streams = self._counts()
        return Sample(at, rss, cpu, descriptors, threads, connections, streams)

    def descendants(self) -> list[psutil.Process]:
        """Return the children that are known and still there."""
        import psutil

        found = []
        for process in self._family[1:]:
            with contextlib.suppress(psutil.Error):
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found
