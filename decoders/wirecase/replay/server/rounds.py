"""Which recorded call a live call is answered as.

A recorded connection with problems is given to a live connection as soon as that is accepted, since a server speaks
first; one that is closed before it asked for anything gives it back, so connections that a client opens and does not
use shift nothing. Within its connection a live call is the next recorded one of its path; where there is none left, one
of another recorded connection, so a client that pools its connections in another way still meets every fault.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from wirecase.model import SERVER
from wirecase.replay.plan import Act, End, Plan, RecordedCall, RecordedConnection

if TYPE_CHECKING:
    from wirecase.replay.server.connection import Connection

Matching = Literal["order", "path", "message", "any"]
_RETRY = 5.0
"""Seconds after an answer that said "not processed" in which the same request on the same path is its retry."""


@dataclass(slots=True, eq=False)
class CallState:
    """A recorded call in this round."""

    recorded: RecordedCall
    made: bool = False
    done: int = 0
    """Acts of its answer that were sent."""
    over: bool = False
    """Nothing more will be sent."""
    messages: int = 0
    data: int = 0
    ended: bool = False
    reset: bool = False
    """What came of the live request."""


@dataclass(slots=True, eq=False)
class ConnectionState:
    """A recorded connection in this round."""

    recorded: RecordedConnection
    script: list[Act]
    """What its server did on the connection itself."""
    calls: list[CallState]
    next: int = 0
    """Place in `script`."""
    bound: Connection | None = None
    used: bool = False
    """A call was made on it."""
    ended: bool = False
    """Its end was served, or its client left when nothing was owed any more."""
    shown: bool = False
    """A connection that the server ended before any call: a client has met that."""
    last_fault: int = 0
    """How far `script` has to be served for the connection's faults to be shown."""

    @property
    def over(self) -> bool:
        """Everything that matters was served."""
        return self.ended or (self.next >= self.last_fault and all(call.over for call in self.calls))


def _last_fault(recorded: RecordedConnection, script: list[Act]) -> int:
    marked = [place for place, act in enumerate(script, 1) if act.faulty]
    if marked:
        return marked[-1]
    broken = any(not call.ended for call in recorded.calls.values())
    ends = any(isinstance(act, End) for act in script)
    return len(script) if recorded.faults or (broken and ends) else 0


def _script(recorded: RecordedConnection) -> list[Act]:
    """Return what the server did on the connection itself, without what answered an end that the client began."""
    found: list[Act] = []
    for act in recorded.acts:
        if isinstance(act, End):
            if act.side == SERVER:
                found.append(act)
            break
        if act.side == SERVER and act.call is None:
            found.append(act)
    return found


@dataclass(slots=True)
class Round:
    """One run of the problem session."""

    plan: Plan
    mode: Matching
    states: list[ConnectionState] = field(default_factory=list)
    owed: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    """Path -> (when, SHA-256 of the request) of answers that said "not processed", whose retry is not in the
    recording."""

    def __post_init__(self) -> None:
        for recorded in self.plan.connections:
            calls = [CallState(call) for call in recorded.calls.values()]
            script = _script(recorded)
            self.states.append(ConnectionState(recorded, script, calls, last_fault=_last_fault(recorded, script)))

    @property
    def over(self) -> bool:
        """The whole problem session was served."""
        return all(state.over for state in self.states)

    def bind(self, connection: Connection) -> ConnectionState | None:
        """Give the next recorded connection to a live one; None if there is none left."""
        for state in self.states:
            away = state.recorded.turned_away and not state.shown
            if state.bound is None and (away or not state.over):
                state.bound = connection
                if not state.used:
                    state.next = 0
                return state
        return None

    def release(self, state: ConnectionState) -> None:
        """The live connection is closed."""
        state.bound = None
        state.shown = state.next >= len(state.script)
        if not state.used and 0 < state.last_fault <= state.next:
            state.ended = True  # what was served left the client nothing to ask on
            return
        if not state.used and state.calls:
            state.next = 0
            return
        for call in state.calls:
            if call.made:
                call.over = True
        if all(call.over for call in state.calls):
            state.ended = True

    def match(self, state: ConnectionState | None, path: str, digest: str | None, now: float) -> CallState | None:
        """Return what a call is answered as; None for a call, or a retry, that the problem session does not hold."""
        if digest is not None and self.is_owed(path, now):
            for entry in self.owed[path]:
                if entry[1] == digest:
                    self.owed[path].remove(entry)
                    return None
        own = state.calls if state is not None else []
        others = [
            call for other in self.states if other is not state for call in other.calls
            if call.recorded.complete or (not other.ended and not other.used and (state is None or not state.used))
        ]  # fmt: skip
        if self.mode == "any":
            return next((call for call in (*own, *others) if not call.made), None)
        if self.mode == "order":
            first = next((call for call in (*own, *others) if not call.made), None)
            return first if first is not None and first.recorded.path == path else None
        for call in (*own, *others):
            if call.made or call.recorded.path != path:
                continue
            if self.mode == "message" and call.recorded.request_digest != digest:
                continue
            return call
        return None

    def is_owed(self, path: str, now: float) -> bool:
        """Tell whether a request for a path may be a retry that the recording does not hold."""
        held = self.owed.get(path)
        if not held:
            return False
        held[:] = [entry for entry in held if now - entry[0] <= _RETRY]
        return bool(held)

    def unprocessed(self, call: RecordedCall, digest: str, now: float) -> None:
        """A call was told that it was not processed: a retry may come."""
        if call.retried_by is None:
            self.owed.setdefault(call.path, []).append((now, digest))
