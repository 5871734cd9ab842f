"""One run of the client's command: started without a shell in a session of its own, watched, and ended as a whole.

The session makes it a process group that can be ended at once, and keeps a Ctrl-C at the terminal from reaching it: who
interrupts wirecase wants its verdict, and the client is ended by us, in order.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from wirecase.replay.client.output import Output
from wirecase.replay.client.sampling import Counts, Sampler
from wirecase.replay.model import ClientRun, Sample

SAMPLE_EVERY = 0.1
"""Seconds between two samples."""
_STEP = 0.02
"""Seconds between two looks at whether the client has ended."""
GRACE = 3.0
"""Seconds between asking it to end and killing it."""
_LAST_WORDS = 1.0
"""Seconds to wait for the end of its output once it has ended."""

Clock = Callable[[], float]


class ClientProcess:
    """The client's process; use it as a context manager, so that nothing of it is left behind."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], clock: Clock, counts: Counts) -> None:
        """`command` and `environment` are complete; `clock` tells seconds since the replay began."""
        self.run = ClientRun(list(command), clock())
        self._environment = dict(environment)
        self._clock = clock
        self._counts = counts
        self._process: subprocess.Popen[bytes] | None = None
        self._output: Output | None = None
        self._sampler: Sampler | None = None
        self._next_sample = 0.0

    def __enter__(self) -> ClientProcess:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self) -> None:
        """Start it; what hinders that stands in ``run.failed_to_start``."""
        read, write = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - running the user's own command is what is asked for
                self.run.command,
                stdin=subprocess.DEVNULL,
                stdout=write,
                stderr=write,
                env=self._environment,
                start_new_session=True,
                close_fds=True,
            )
        except (OSError, ValueError) as error:
            os.close(read)
            self.run.failed_to_start = getattr(error, "strerror", None) or str(error)
            self.run.ended = self._clock()
            return
        finally:
            os.close(write)
        self._output = Output(read)
        self._sampler = Sampler(self._process.pid, self._counts)

    @property
    def running(self) -> bool:
        """It was started and its process has not ended."""
        if self._process is None or self.run.ended is not None:
            return False
        # Looked at without being reaped: while it is there, its process group cannot belong to anybody else.
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, flags) is None

    def wait(self, until: Callable[[], bool], timeout: float) -> bool:
        """Watch it until it ends, `until` holds, or `timeout` seconds are over; return whether it still runs."""
        deadline = self._clock() + timeout
        while self.running:
            now = self._clock()
            if self._sampler is not None and now >= self._next_sample:
                self._sampler.regular(now)
                self._next_sample = now + SAMPLE_EVERY
            if until() or now >= deadline:
                return True
            time.sleep(min(_STEP, max(deadline - now, 0)))
        return False

    def sample(self) -> Sample | None:
        """Return what it takes at this moment, None if it has ended."""
        return self._sampler.take(self._clock()) if self._sampler is not None and self.running else None

    def end(self, *, timed_out: bool = False) -> ClientRun:
        """End what is left of it and return what is known; `timed_out` says that it had its time.

        The whole process group is asked to end (TERM) and, after `GRACE` seconds, killed; children that left the group
        are killed as well.
        """
        run, process = self.run, self._process
        if process is None or run.ended is not None:
            return run
        ours = self.running
        run.timed_out = timed_out and ours
        strays = self._sampler.descendants() if self._sampler is not None else []
        if ours:
            run.ended = self._clock()
            self._signal(process.pid, signal.SIGTERM)
            deadline = time.monotonic() + GRACE
            while time.monotonic() < deadline and self._waits(process.pid):
                time.sleep(_STEP)
        else:
            run.ended = self._clock()
        run.left_behind = 0 if ours else len(strays)
        self._signal(process.pid, signal.SIGKILL)
        for stray in strays:
            with contextlib.suppress(Exception):
                stray.kill()
        status = process.wait()
        run.exit, run.signal = (status, None) if status >= 0 else (None, -status)
        run.ended_by_us = ours
        if self._output is not None:
            self._output.wait(_LAST_WORDS)
            run.output, run.output_bytes = self._output.tail(), self._output.total
        if self._sampler is not None:
            run.samples = self._sampler.samples
        return run

    @staticmethod
    def _waits(pid: int) -> bool:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    @staticmethod
    def _signal(group: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
