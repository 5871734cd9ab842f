"""A recording session: the proxy forwards, a writer records, and the diagnosis follows as fast as it can.

Three processes at most: one that forwards and does nothing else, one that writes the recording where one is asked for,
and this one. The diagnosis reads the recording behind its writer, so it may lag as far as the disk reaches; without a
recording it reads the ring, and what finds no room there is missing in it and counted.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.context import SpawnProcess

from wirecase.errors import WirecaseError
from wirecase.live import LivePipeline
from wirecase.model import Diagnosis
from wirecase.pipeline import Closed, Found, Listen, OnCall, Options, Record
from wirecase.recording import writer
from wirecase.recording.inputs import FileInput, Input, RingInput
from wirecase.sources.live.process import Handle, Proxy, Route
from wirecase.sources.live.ring import Slot

_TICK = 0.2
_JUDGE = 0.5
"""Seconds between two looks at what has closed; what was in flight then has had as long to come."""
_CATCH_UP = 30.0
"""Seconds that the diagnosis may go on after the end to catch up."""


class RecordingError(WirecaseError):
    """The recording could not be written, or a process of it has died."""

    exit_status = 4


@dataclass(slots=True)
class Setup:
    """What to record."""

    route: Route
    output: str | None = None
    """The recording; None keeps none."""
    ring_bytes: int = 64 << 20
    keylogs: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Hooks:
    """Who hears what (`wirecase.pipeline.Pipeline`)."""

    record: Record | None = None
    listen: Listen | None = None
    closed: Closed | None = None
    found: Found | None = None
    on_call: OnCall | None = None


@dataclass(slots=True)
class State:
    """The session in numbers."""

    accepted: int
    open: int
    client_bytes: int
    server_bytes: int
    lost_bytes: int
    """Bytes that were forwarded and not recorded."""
    lost_records: int
    refused: int
    turned_away: int
    tls_failed: int
    written: int
    ring: int
    """Bytes that wait in the ring."""
    ring_size: int
    behind: int
    """Bytes that the diagnosis has not read yet."""
    lag: float
    """Seconds by which it is behind."""
    forwarding_cpu: float
    """Seconds of processor time that forwarding has taken."""


class Session:
    """One run of it."""

    def __init__(self, setup: Setup, hooks: Hooks | None = None) -> None:
        """Begin to forward and to record. Raises InputError if the addresses do not allow it."""
        hooks = hooks or Hooks()
        self._setup = setup
        self.live = LivePipeline(
            Options([], keylogs=setup.keylogs, ports=setup.ports), record=hooks.record, listen=hooks.listen,
            closed=hooks.closed, found=hooks.found, on_call=hooks.on_call,
        )  # fmt: skip
        self.proxy = Proxy(setup.route, ring_bytes=setup.ring_bytes)
        self.address = self.proxy.address
        self._writer: SpawnProcess | None = None
        self.input: Input
        host, port = self.address
        if setup.output is None:
            self.input = RingInput(self.proxy.ring, f"{host}:{port}")
        else:
            self._begin_to_write(setup.output)
            self.input = FileInput(setup.output, self.proxy.ring)
        self.problem: str | None = None
        """Why the session ended, if nobody asked it to."""
        self._stopped_at: float | None = None

    def _begin_to_write(self, path: str) -> None:
        # Made here so that a wrong path is told at once.
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        except OSError as error:
            self.proxy.stop()
            raise RecordingError(f"cannot write {path}: {error.strerror}") from error
        context = multiprocessing.get_context("spawn")
        far, self._lifeline = context.Pipe(duplex=False)
        self._writer = context.Process(
            target=writer.run, args=(Handle(self.proxy.handle), path, far), daemon=True, name="wirecase writer"
        )
        self._writer.start()
        far.close()
        slots = self.proxy.ring.slots
        while not slots[Slot.written] and not slots[Slot.write_failed] and self._writer.is_alive():
            time.sleep(0.005)

    def run(self, stop: Callable[[], bool], tick: Callable[[Session], None]) -> None:
        """Diagnose until `stop` says so; `tick` is called several times a second, whatever comes."""
        live, source = self.live, self.input.source
        live.pipeline.keys.begin([source])
        last = judged = 0.0

        def round_off() -> bool:
            nonlocal last, judged
            now = time.monotonic()
            if now - last >= _TICK:
                last = now
                if now - judged >= _JUDGE:
                    judged = now
                    live.pass_time(self.input.behind[1])
                self._watch(stop)
                tick(self)
            return self._is_over(now)

        for batch in self.input.batches(round_off):
            live.pipeline.keys.take(source)
            live.feed(batch)
            round_off()
            if self._stopped_at is not None and time.monotonic() - self._stopped_at > _CATCH_UP:
                break
        live.pipeline.keys.take(source)

    def _watch(self, stop: Callable[[], bool]) -> None:
        """End the session if it is to end, or cannot go on."""
        if self._stopped_at is not None:
            return
        failed = self.proxy.ring.slots[Slot.write_failed]
        if failed and self.problem is None:
            self.problem = f"cannot write {self._setup.output}: {os.strerror(failed)}"
        elif not self.proxy.alive:
            self.problem = "the forwarding process has died"
        elif self._writer is not None and not self._writer.is_alive():
            self.problem = "the writing process has died"
        if stop() or self.problem is not None:
            self._stopped_at = time.monotonic()
            self.proxy.stop()

    def _is_over(self, now: float) -> bool:
        """Everything that will come is there."""
        if self._stopped_at is None:
            return False
        return self._writer is None or not self._writer.is_alive() or now - self._stopped_at > _CATCH_UP

    def finish(self) -> Diagnosis:
        """Draw the conclusions, and let everything go."""
        found = self.live.finish([self.input.source], interrupted=False)
        if self._writer is not None:
            self._lifeline.close()
            self._writer.join(5)
        return found

    def state(self) -> State:
        """Return the session in numbers."""
        slots, ring = self.proxy.ring.slots, self.proxy.ring
        behind, lag = self.input.behind
        return State(
            accepted=slots[Slot.accepted], open=slots[Slot.open], client_bytes=slots[Slot.client_bytes],
            server_bytes=slots[Slot.server_bytes], lost_bytes=slots[Slot.lost_bytes],
            lost_records=slots[Slot.lost_records], refused=slots[Slot.refused],
            turned_away=slots[Slot.turned_away], tls_failed=slots[Slot.tls_failed], written=slots[Slot.written],
            ring=ring.waiting, ring_size=ring.size, behind=behind, lag=lag,
            forwarding_cpu=slots[Slot.cpu] / 1e9,
        )  # fmt: skip
