"""What the connections of one server share: the round, the answers, and what is noted."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections import deque

from wirecase.http2.facts import ACK, SETTINGS
from wirecase.model import SERVER
from wirecase.replay.model import LiveCall, Trace
from wirecase.replay.plan import Act, Frame, Plan, RecordedCall
from wirecase.replay.server.answers import housekeeping, refusal, status_only
from wirecase.replay.server.connection import Connection
from wirecase.replay.server.control import greeting
from wirecase.replay.server.endpoints import Endpoints
from wirecase.replay.server.ledger import Ledger
from wirecase.replay.server.options import ServeOptions
from wirecase.replay.server.rendering import Blocks
from wirecase.replay.server.rounds import CallState, Round
from wirecase.replay.server.streams import LiveStream

_MOST_CONNECTIONS = 1_000
_MOST_PAST = 64
"""Rounds that are kept until somebody asks for them."""


class Stage:
    """What the connections of one server share; only the loop's thread touches it."""

    def __init__(self, plan: Plan, options: ServeOptions, loop: asyncio.AbstractEventLoop, ledger: Ledger) -> None:
        self.plan = plan
        self.options = options
        self.loop = loop
        self.ledger = ledger
        self.context: ssl.SSLContext | None = options.tls.context if options.tls is not None else None
        self.blocks = Blocks()
        self.round = Round(plan, options.match)
        self.connections: set[Connection] = set()
        self.over = threading.Event()
        self.stopping = False
        self.rearming = False
        """A new round begins as soon as a call after the problem has its sound answer."""
        self.past: deque[Trace] = deque(maxlen=_MOST_PAST)
        """Rounds that ended so and that nobody has asked for yet."""
        self.endpoints = Endpoints("", 0, tls=False)
        self._paths = {call.path for call in plan.calls()} | set(plan.healthy)
        self._turns: dict[str, int] = {}
        self._fallback = status_only(*options.fallback)
        self._settings = _settings(plan)
        for what, why in plan.notes:
            ledger.deviate(what, why, recorded=None, call=None, connection=None)

    # ---- connections -------------------------------------------------------------------------------------------

    def accept(self) -> asyncio.Protocol:
        """Take a connection."""
        if len(self.connections) >= _MOST_CONNECTIONS:
            self.ledger.deviate("too-many-connections", f"more than {_MOST_CONNECTIONS} connections were open at once")
            return _Refusing()
        return Connection(self).wire

    def opened(self, connection: Connection) -> None:
        """A connection stands: give it the next recorded one."""
        self.connections.add(connection)
        state = self.round.bind(connection)
        connection.state = state
        if state is None:
            connection.send(greeting(self._settings))
        else:
            connection.facts.recorded = state.recorded.index
            if state.recorded.late[SERVER] or state.next:
                connection.send(greeting(self._settings))

    def left(self, connection: Connection) -> None:
        """A connection is closed."""
        self.connections.discard(connection)
        if connection.state is not None:
            if connection.state.bound is connection:
                self.round.release(connection.state)
            self.check_over()

    # ---- calls -------------------------------------------------------------------------------------------------

    def answer(self, connection: Connection, live: LiveStream) -> None:
        """Decide what a live call is answered with."""
        live.matched = True
        if live.path not in self._paths:
            own = housekeeping(live.path)
            if own is not None:
                live.call.role = "housekeeping"
                live.acts = own
                return
        digest = live.digest.hexdigest() if live.ended else None
        call = self.round.match(connection.state, live.path, digest, self.ledger.now())
        if call is not None:
            self._problem(connection, live, call)
            return
        self._healthy(live)

    def _problem(self, connection: Connection, live: LiveStream, call: CallState) -> None:
        recorded = call.recorded
        self._swap(connection, call)
        if connection.state is not None and call in connection.state.calls:
            connection.state.used = True
        call.made = True
        live.state, live.recorded = call, recorded
        live.call.role = "problem"
        live.call.recorded = recorded.number
        if recorded.refused is not None:
            live.call.role = "fallback"
            live.state = None
            call.over = True
            live.acts = refusal(recorded.path, recorded.refused)
            self.ledger.deviate("refused", recorded.refused, call=live.call.number, recorded=recorded.number)
            self.check_over()
            return
        live.call.faults = list(recorded.faults)
        if connection.state is None or connection.state.recorded.index != recorded.connection:
            why = "the client asked on another connection than the recorded one: only the call's own stream is served"
            self.ledger.deviate("other-connection", why, call=live.call.number, recorded=recorded.number)
        self._give(live, recorded)

    def _give(self, live: LiveStream, recorded: RecordedCall) -> None:
        acts, why = self.endpoints.acts(recorded)
        live.acts = acts
        for what, text in why:
            self.ledger.deviate(what, text, call=live.call.number, recorded=recorded.number)

    def _swap(self, connection: Connection, call: CallState) -> None:
        """Give a connection that has not been used the recorded one that its first call is on."""
        mine = connection.state
        theirs = next(state for state in self.round.states if call in state.calls)
        if mine is theirs or (mine is not None and mine.used) or theirs.used:
            return
        other = theirs.bound
        theirs.bound, theirs.next = connection, mine.next if mine is not None else 0
        theirs.next = min(theirs.next, _greeted(theirs.script))
        connection.state = theirs
        connection.facts.recorded = theirs.recorded.index
        if mine is not None:
            mine.bound = other
            mine.next = min(mine.next, _greeted(mine.script))
        if other is not None:
            other.state = mine
            other.facts.recorded = mine.recorded.index if mine is not None else None

    def _healthy(self, live: LiveStream) -> None:
        sound = self.plan.healthy.get(live.path)
        if not sound and self.options.match == "any":
            sound = next(iter(self.plan.healthy.values()), None)
        if not sound:
            live.call.role = "fallback"
            live.acts = self._fallback
            return
        turn = self._turns.get(live.path, 0)
        self._turns[live.path] = turn + 1
        recorded = sound[turn % len(sound)]
        live.call.role = "healthy"
        live.call.recorded = recorded.number
        live.recorded = recorded
        self._give(live, recorded)

    def waits_for_body(self, path: str) -> bool:
        """Tell whether it takes the request's DATA to say what a call is answered as."""
        return self.options.match == "message" or self.round.is_owed(path, self.ledger.now())

    def unprocessed(self, live: LiveStream, recorded: RecordedCall) -> None:
        """A call was told that it was not processed."""
        self.round.unprocessed(recorded, live.digest.hexdigest(), self.ledger.now())

    def check_over(self) -> None:
        """See whether the problem session is over."""
        if self.ledger.trace.problem_over is None and self.round.over:
            self.ledger.trace.problem_over = self.ledger.now()
            self.over.set()

    def answered(self, call: LiveCall) -> None:
        """A call has its whole answer: where rounds follow each other by themselves, the next one may be due."""
        over = self.ledger.trace.problem_over
        if self.rearming and over is not None and call.at >= over and call.role in ("healthy", "fallback"):
            self.loop.call_soon(self._rearm)

    def _rearm(self) -> None:
        if self.rearming and self.ledger.trace.problem_over is not None:
            self.past.append(self.turn())

    def turn(self) -> Trace:
        """Begin the problem session anew."""
        self._unmade()
        last = self.ledger.turn()
        self.round = Round(self.plan, self.options.match)
        for connection in self.connections:
            connection.state = None
        self.over.clear()
        return last

    def _unmade(self) -> None:
        """Note the recorded calls that the client never made."""
        if self.ledger.trace.problem_over is not None:
            return
        for state in self.round.states:
            for call in state.calls:
                if not call.made:
                    why = f"the client did not make the recorded call {call.recorded.number} ({call.recorded.path})"
                    self.ledger.deviate("call-not-made", why, recorded=call.recorded.number)

    def close(self) -> Trace:
        """End everything."""
        self.stopping = True
        self._unmade()
        for connection in list(self.connections):
            if connection.facts.closed is None:
                connection.facts.closed, connection.facts.closed_by = self.ledger.now(), "stopped"
                connection.facts.unread = connection.wire.waiting
            connection.gone = True
            connection.player.stop()
            for live in connection.streams.values():
                live.cancel_timer()
            connection.wire.abort()
        self.ledger.trace.ended = self.ledger.now()
        return self.ledger.copy()


def _greeted(script: list[Act]) -> int:
    """Return how many acts come before any call."""
    return next((place for place, act in enumerate(script) if act.anchor.needs), len(script))


def _settings(plan: Plan) -> bytes:
    """Return the payload of the first sound SETTINGS that the recorded server sent."""
    for made in plan.connections:
        for act in made.acts:
            if act.side != SERVER or not isinstance(act, Frame) or act.kind != SETTINGS:
                continue
            if not act.flags & ACK and not act.faulty:
                return act.payload if len(act.payload) % 6 == 0 else b""
    return b""


class _Refusing(asyncio.Protocol):
    """Closes a connection that is one too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
