"""A live capture from its first packet to its report: the tool, the spool, the pipeline, and the time that passes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from wirecase.errors import InputError, WirecaseError
from wirecase.live.pipeline import IDLE_NS, LivePipeline
from wirecase.model import Diagnosis
from wirecase.pipeline import Options, rare_collection
from wirecase.sources.capturing import CaptureProgram, CaptureTool, LiveSource, Spool
from wirecase.sources.capturing.program import Wish

EVERY = 0.5
"""Seconds between two looks at what happened."""
ASK_EVERY = 5.0
"""Seconds between two questions to tcpdump for its counters."""
_LAST = 8.0
"""Seconds that a tool has to hand over what it holds after it was asked to end."""
_BEHIND = 3600.0
"""Stands for: packets wait, so no time passes but theirs."""


class KeepError(WirecaseError):
    """The capture cannot be kept."""

    exit_status = 4


@dataclass(slots=True)
class Setup:
    """What to watch."""

    options: Options
    """Ports, key logs, host and path; its sources are left alone."""
    tool: CaptureTool | None = None
    """None for a capture that comes through `descriptor`."""
    wish: Wish | None = None
    descriptor: int = 0
    keep: Path | None = None
    """The capture is written there as it comes; an existing file is overwritten."""
    duration: float | None = None
    """Seconds after which to end."""
    idle: int = IDLE_NS
    """Silence after which a connection is let go, ns."""


class Watch:
    """One live capture. Raises `wirecase.errors.InputError` in `run` if not one packet can be captured."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self.live = LivePipeline(setup.options, idle=setup.idle)
        self.name = setup.wish.interfaces[0] if setup.wish is not None else "-"
        self.program: CaptureProgram | None = None
        self.spool: Spool | None = None
        self._began = time.monotonic()
        self._looked = self._asked = 0.0
        self._stopping: float | None = None
        self._interrupted = self._left = False

    def leave(self) -> None:
        """Nobody listens any more: end soon, as if the duration were over."""
        self._left = True

    # ---- what a screen asks ------------------------------------------------------------------------------------

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    @property
    def dropped(self) -> int | None:
        """Packets that the tool says it lost so far; None until it said anything (dumpcap does at its end)."""
        return None if self.program is None else self.program.dropped

    @property
    def behind(self) -> int:
        """Bytes that were captured and not looked at yet."""
        return 0 if self.spool is None else self.spool.waiting

    @property
    def waits(self) -> int:
        """How often the tool had to wait for us: what it could not hold meanwhile was lost."""
        return 0 if self.spool is None else self.spool.full

    @property
    def keep_problem(self) -> str | None:
        """Why the capture is no longer kept."""
        return None if self.spool is None else self.spool.keep_problem

    # ---- the run -----------------------------------------------------------------------------------------------

    def run(self, show: Callable[[Watch], None], stop: Callable[[], bool]) -> Diagnosis:
        """Watch until the end of the input, the duration, or until `stop` says yes; call `show` twice a second."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(rare_collection())
            keep = stack.enter_context(self._keep())
            descriptor = self._start(stack)
            self.spool = spool = Spool(descriptor, keep)
            stack.callback(spool.close)
            source = LiveSource(self.name, spool, lambda: self._pause(show, stop))
            try:
                self._read(source, show, stop)
            except InputError as error:
                raise self._reason() or error from None
            return self._finish(source, show)

    def _start(self, stack: contextlib.ExitStack) -> int:
        setup = self._setup
        if setup.tool is None or setup.wish is None:
            return setup.descriptor
        self.program = program = CaptureProgram(setup.tool, setup.wish)
        stack.callback(program.end)
        stack.callback(program.stop)
        return program.output

    @contextlib.contextmanager
    def _keep(self) -> Iterator[IO[bytes] | None]:
        path = self._setup.keep
        if path is None:
            yield None
            return
        try:
            file = path.open("wb", buffering=0)
        except OSError as error:
            raise KeepError(f"{path} cannot be written: {error.strerror}") from error
        with file:
            yield file

    def _read(self, source: LiveSource, show: Callable[[Watch], None], stop: Callable[[], bool]) -> None:
        keys = self.live.pipeline.keys
        keys.begin([source])
        with contextlib.closing(source):
            for batch in source.batches():
                keys.take(source)
                self.live.feed(batch)
                if not self._pause(show, stop):
                    break
        keys.take(source)

    def _pause(self, show: Callable[[Watch], None], stop: Callable[[], bool]) -> bool:
        """Let time pass where it is due; tell whether to go on."""
        now = time.monotonic()
        if now - self._looked >= EVERY:
            self._looked = now
            self.live.pass_time(_BEHIND if self.behind else 0.0)
            if self.program is not None and now - self._asked >= ASK_EVERY:
                self._asked = now
                self.program.ask()
            show(self)
        if self._stopping is not None:
            return now < self._stopping
        if stop():
            self._interrupted = True
        elif not self._left and (self._setup.duration is None or self.elapsed < self._setup.duration):
            return True
        self._stopping = now + _LAST
        if self.program is None:
            return False
        self.program.stop()
        return True

    def _reason(self) -> WirecaseError | None:
        """Say why nothing came, in the tool's words."""
        if self.program is None:
            return None
        self.program.end()
        return self.program.problem()

    def _finish(self, source: LiveSource, show: Callable[[Watch], None]) -> Diagnosis:
        reason = self._reason()
        if reason is not None and not self.live.packets:
            raise reason
        info = source.info
        if self.dropped is not None:
            info.dropped = max(self.dropped, info.dropped or 0)
        self.live.settle()
        show(self)
        if self._setup.keep is not None:
            info.path = str(self._setup.keep)
        elif self.program is not None:
            info.path = f"{self.name} ({self.program.tool.name})"
        found = self.live.finish([source], interrupted=self._interrupted)
        if reason is not None and self._stopping is None:
            found.failures.append(str(reason))
        if self.keep_problem is not None:
            found.failures.append(f"{self._setup.keep} is not whole: {self.keep_problem}")
        return found
