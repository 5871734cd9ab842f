"""The flight recorder: a ring of what passed lately, out of which a fault and what led to it become a case.

Everything is kept for a while: calls that went well until they are `keep` old or the room is needed, calls that are
open for as long as they are, and whatever a finding names until its case is written. What no case can be made of is
counted, with the reason.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from wirecase.model import Finding, Mark, Marks, Severity, StreamListener, Stretch
from wirecase.recording.cases import CaseMaker, Job, Outcome
from wirecase.recording.entries import KeptStream
from wirecase.recording.kept import KeptConnection
from wirecase.recording.rewriting import write
from wirecase.session.call import Call
from wirecase.session.session import Session

SETTLE = 1.0
"""Seconds after a finding in which what follows from it still comes into the same case."""
_PRUNE = 5.0
_NS = 1_000_000_000
_LEAST_ROOM = 64 << 10
"""Bytes of an open stream below which it is not cut."""
_MOST_NAMED = 50
_WEIGHT: dict[Severity, int] = {"info": 0, "warning": 1, "error": 2}


@dataclass(slots=True)
class Policy:
    """What is kept, and for how long."""

    keep: float = 300.0
    """Seconds."""
    keep_bytes: int = 256 << 20
    """Bytes of memory, roughly."""
    on: Severity = "error"
    """A finding of this severity, or a worse one, makes a case."""
    most_cases: int = 100


@dataclass(slots=True)
class _Firing:
    """A connection of which a case will be made."""

    due: float
    named: dict[tuple[str, int | None], None]
    """(rule, stream) of the findings."""
    streams: set[int]


class FlightRecorder:
    """Hears what a pipeline hears, and hands cases to `maker`."""

    def __init__(self, policy: Policy, maker: CaseMaker, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.policy = policy
        self._maker = maker
        self._clock = clock
        self._connections: dict[int, KeptConnection] = {}
        self._done: deque[tuple[int, KeptConnection, KeptStream]] = deque()
        """Streams that have closed, the oldest first."""
        self._firing: dict[int, _Firing] = {}
        self._closed: list[int] = []
        self._pruned = 0.0
        self._newest = 0
        self._folder = tempfile.TemporaryDirectory(prefix="wirecase-ring-")
        self._number = 0
        self.asked = 0
        """Cases that were asked of the maker."""
        self.written = 0
        self.not_kept: Counter[str] = Counter()
        """Faults without a case, by reason."""
        self.forgotten = 0
        """Connections that were too large to be kept."""

    # ---- hooks of the pipeline ---------------------------------------------------------------------------------

    def record(self, session: Session) -> KeptConnection:
        """Hear of a connection's frames (`wirecase.pipeline.Record`)."""
        kept = self._connections[session.index] = KeptConnection(session)
        return kept

    def listen(self, session: Session, listener: StreamListener) -> StreamListener:
        """Hear of its bytes (`wirecase.pipeline.Listen`)."""
        kept = self._connections.get(session.index)
        return listener if kept is None else Listener(kept, listener)

    def closed(self, session: Session) -> None:
        """It is over (`wirecase.pipeline.Closed`); its last findings are still to come."""
        self._closed.append(session.index)

    def found(self, finding: Finding, session: Session | None, _call: Call | None, stream: int | None) -> None:
        """A fault was met (`wirecase.pipeline.Found`): keep what it names."""
        if _WEIGHT[finding.severity] < _WEIGHT[self.policy.on] or session is None:
            return
        kept = self._connections.get(session.index)
        if kept is None or kept.given_up:
            self.not_kept["the connection was too large to be kept"] += 1
            return
        firing = self._firing.get(session.index)
        if firing is None:
            firing = self._firing[session.index] = _Firing(self._clock() + SETTLE, {}, set())
        if len(firing.named) < _MOST_NAMED:
            firing.named[finding.rule, stream] = None
        if stream and (one := kept.streams.get(stream)) is not None:
            one.pinned = True
            firing.streams.add(stream)

    # ---- time --------------------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return sum(kept.size for kept in self._connections.values())

    @property
    def connections(self) -> int:
        """Connections of which something is kept."""
        return len(self._connections)

    @property
    def waiting(self) -> int:
        """Cases that are still to be written."""
        return self._maker.waiting + len(self._firing)

    def pass_time(self, now: int, *, final: bool = False) -> list[Outcome]:
        """Forget what is old, write what is due; `now` is capture time, ns. Return the cases that were finished."""
        self._newest = max(self._newest, now)
        for kept in self._connections.values():
            if kept.finished:
                self._done += [(stream.done, kept, stream) for stream in kept.finished]
                kept.finished.clear()
        clock = self._clock()
        closed, self._closed = self._closed, []
        for index, firing in list(self._firing.items()):
            if final or firing.due <= clock or index in closed:
                self._fire(index, firing)
        for index in closed:
            gone = self._connections.pop(index, None)
            if gone is not None:
                gone.closed = True
                gone.give_up()
        self._forget(now, clock)
        outcomes = self._maker.collect(wait=final)
        for one in outcomes:
            if one.case is None:
                self.not_kept[one.why] += 1
            else:
                self.written += 1
        return outcomes

    def close(self) -> None:
        """Let the ring go."""
        self._maker.close()
        self._folder.cleanup()

    def _fire(self, index: int, firing: _Firing) -> None:
        del self._firing[index]
        kept = self._connections[index]
        if self.asked >= self.policy.most_cases:
            self.not_kept[f"there are {self.policy.most_cases} cases already (--max-cases)"] += 1
        elif self._maker.busy:
            self.not_kept["too many faults at once"] += 1
        else:
            self._number += 1
            path = os.path.join(self._folder.name, f"ring-{self._number}.pcapng")
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                write(kept, file)
            self.asked += 1
            forgotten = sum(kept.streams[one].forgotten for one in firing.streams if one in kept.streams)
            self._maker.submit(Job(self._number, path, list(firing.named), kept.forgotten_streams, forgotten))
        for number in firing.streams:
            stream = kept.streams.get(number)
            if stream is not None:
                stream.pinned = False
                if stream.done:
                    self._done.append((stream.done, kept, stream))

    def _forget(self, now: int, clock: float) -> None:
        """Keep to the time and to the room."""
        before = now - int(self.policy.keep * _NS)
        done = self._done
        while done and done[0][0] < before:
            self._drop(done.popleft())
        if clock - self._pruned > _PRUNE:
            self._pruned = clock
            for kept in self._connections.values():
                kept.prune(before)
        size = self.size
        if size <= self.policy.keep_bytes:
            return
        while done and size > self.policy.keep_bytes:
            kept = done[0][1]
            held = kept.size
            self._drop(done.popleft())
            size -= held - kept.size
        if size > self.policy.keep_bytes:
            self._shrink()

    def _drop(self, entry: tuple[int, KeptConnection, KeptStream]) -> None:
        _, kept, stream = entry
        if not stream.pinned and not kept.closed and kept.streams.get(stream.number) is stream:
            kept.forget(stream.number)

    def _shrink(self) -> None:
        """Calls that are open do not fit: cut the long ones, then let the largest connections go."""
        limit = self.policy.keep_bytes
        for kept in self._connections.values():
            if kept.raw is not None and kept.session.protocol == "h2":
                kept.forget_raw()
        streams = [(one.size, kept, one) for kept in self._connections.values() for one in kept.streams.values()]
        streams.sort(key=lambda entry: entry[0], reverse=True)
        size = self.size
        for _, kept, stream in streams:
            if size <= limit:
                return
            if stream.size > _LEAST_ROOM:
                before = kept.size
                kept.trim(stream, max(stream.size // 4, _LEAST_ROOM))
                size -= before - kept.size
        for kept in sorted(self._connections.values(), key=lambda one: one.size, reverse=True):
            if size <= limit:
                return
            size -= kept.size
            kept.give_up()
            self.forgotten += 1


class Listener:
    """Stands between a connection's bytes and its decoder (`wirecase.model.StreamListener`)."""

    __slots__ = ("_inner", "_kept")

    def __init__(self, kept: KeptConnection, inner: StreamListener) -> None:
        self._kept = kept
        self._inner = inner

    def run(self, side: int, data: bytes, marks: Marks) -> None:
        """Keep bytes, and pass them on."""
        self._kept.bytes_came(side, data, marks)
        self._inner.run(side, data, marks)

    def stretch(self, stretch: Stretch) -> None:
        """Keep many segments, and pass them on."""
        if self._kept.raw is None:
            self._inner.stretch(stretch)
            return
        for run in stretch.runs():
            self.run(*run)

    def gap(self, side: int, length: int, reason: str, mark: Mark) -> None:
        """Keep a hole, and pass it on."""
        self._kept.gap_came(side, length, mark)
        self._inner.gap(side, length, reason, mark)

    def ended(self, side: int, how: Literal["fin", "rst"], mark: Mark) -> None:
        """Keep an end, and pass it on."""
        self._kept.ended(side, how, mark)
        self._inner.ended(side, how, mark)

    def closed(self, reason: Literal["closed", "reused", "idle", "capture-end"]) -> None:
        """Pass it on."""
        self._inner.closed(reason)

    def hand_on(self) -> int:
        """Ask the decoder, where it can be asked."""
        ask: Callable[[], int] | None = getattr(self._inner, "hand_on", None)
        return 0 if ask is None else ask()
