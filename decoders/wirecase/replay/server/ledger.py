"""What is noted of the client, in bounded memory."""

from __future__ import annotations

import copy
import time

from wirecase.replay.model import Deviation, LiveCall, LiveConnection, Trace

_CALLS = 5_000
_CONNECTIONS = 5_000
_DEVIATIONS = 1_000


class Ledger:
    """The trace of the current round as it grows. Only the server's own thread touches it."""

    def __init__(self, target: str) -> None:
        self._begin = time.monotonic()
        self.trace = Trace(target)
        self._calls = 0
        self._connections = 0
        self._said: set[tuple[object, ...]] = set()

    def now(self) -> float:
        """Return the seconds since the replay began."""
        return time.monotonic() - self._begin

    def connection(self) -> LiveConnection:
        """Note a connection."""
        made = LiveConnection(self._connections, self.now())
        self._connections += 1
        if len(self.trace.connections) < _CONNECTIONS:
            self.trace.connections.append(made)
        return made

    def call(self, call: LiveCall) -> None:
        """Note a call."""
        self._calls += 1
        if len(self.trace.calls) < _CALLS:
            self.trace.calls.append(call)
        else:
            self.trace.forgotten_calls += 1

    def number(self) -> int:
        """Return the number of the next call."""
        return self._calls

    def deviate(
        self,
        what: str,
        why: str,
        *,
        connection: int | None = None,
        call: int | None = None,
        recorded: int | None = None,
    ) -> None:
        """Note a deviation, once for each thing that it is about."""
        key = (what, connection, call, recorded)
        if key in self._said or len(self._said) >= _DEVIATIONS:
            return
        self._said.add(key)
        self.trace.deviations.append(Deviation(what, why, self.now(), connection, call, recorded))

    def copy(self) -> Trace:
        """Return all that is known by now."""
        trace = copy.copy(self.trace)
        trace.connections = [copy.copy(one) for one in trace.connections]
        for one in trace.connections:
            one.faults = list(one.faults)
        trace.calls = [copy.copy(one) for one in trace.calls]
        for call in trace.calls:
            call.faults = list(call.faults)
        trace.deviations = list(trace.deviations)
        trace.ended = trace.ended or self.now()
        return trace

    def turn(self) -> Trace:
        """Begin a new round: forget calls, deviations and closed connections of the last one, and return them."""
        last = self.copy()
        trace = Trace(self.trace.target)
        trace.connections = [one for one in self.trace.connections if one.closed is None]
        self.trace = trace
        self._said.clear()
        return last
