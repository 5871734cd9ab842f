"""Plays the recorded server's half of a connection: each act when its anchor allows it.

Delays under a millisecond are not waited for. Where the live client does not do what an act waits for, it is played
all the same after a while (`ServeOptions.patience`), and that is noted; only an act of the connection for which no open
call waits is left for as long as it takes.
"""

from __future__ import annotations

from asyncio import TimerHandle
from typing import TYPE_CHECKING

from wirecase.http2.facts import DATA, END_STREAM, PADDED, RST_STREAM, WINDOW_UPDATE, header_bytes
from wirecase.replay.plan import Act, Data, End, Frame, Headers, More, Need
from wirecase.replay.server.control import Control
from wirecase.replay.server.rendering import data_frame, frame, framed, size_update
from wirecase.replay.server.rounds import CallState, ConnectionState
from wirecase.replay.server.streams import LiveStream

if TYPE_CHECKING:
    from wirecase.replay.server.connection import Connection

_SOON = 0.001
_NS = 1e-9
_REFUSED_STREAM = 7


class Player:
    """The scripts of one live connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._control = Control(connection)
        self._speed = connection.stage.options.speed
        self._patience = connection.stage.options.patience
        self._inside: LiveStream | None = None
        """Whose DATA frame is not whole yet: nothing else can be sent (RFC 9113 §4.1)."""
        self._left = 0
        """Bytes that it lacks."""
        self._ready: float | None = None
        """Since when the next act of the connection has had all that it waits for."""
        self._timer: TimerHandle | None = None
        self._hurried = -1
        """Act of the connection that waits no more."""

    @property
    def within_frame(self) -> bool:
        """A DATA frame is not whole yet."""
        return self._inside is not None

    def stop(self) -> None:
        """The connection is closed."""
        self._cancel()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def play_all(self) -> None:
        """Go on with everything."""
        for live in list(self.connection.streams.values()):
            self.touch(live)
        self.play()

    def blocked(self) -> None:
        """The client gave credit."""
        for live in list(self.connection.streams.values()):
            if live.matched and not live.finished and live.place < len(live.acts):
                self.touch(live)

    def abandoned(self, live: LiveStream) -> None:
        """The client gave a call up: what is left of its answer is nothing to it."""
        live.cancel_timer()
        if live.state is not None:
            live.state.reset = live.state.ended = True
        if self._inside is live and self._left:
            self._finish_frame()
        self._over(live)
        self.play()

    def _finish_frame(self) -> None:
        """Fill up the frame of a call that nobody waits for any more, so that others can go on."""
        self.connection.ledger.deviate(
            "frame-filled", "a DATA frame of a call that the client gave up was filled with zeros",
            connection=self.connection.facts.number,
        )  # fmt: skip
        self.connection.send(bytes(self._left))
        self._inside, self._left = None, 0
        self.connection.release()
        self.connection.later(0, self._others)

    # ---- calls -------------------------------------------------------------------------------------------------

    def touch(self, live: LiveStream) -> None:
        """Go on with a call as far as its anchors allow."""
        live.cancel_timer()
        state = live.state
        if state is not None:
            state.messages, state.data, state.ended = live.count.whole, live.data, live.ended
        if not live.matched or live.finished:
            return
        connection = self.connection
        acts = live.acts
        while live.place < len(acts):
            if connection.wire.paused or connection.gone:
                return
            if self._inside is not None and self._inside is not live:
                return
            act = acts[live.place]
            if self._is_held_up(live, act):
                return
            if act.anchor.needs and not live.waited and not _satisfied(act, live):
                self._arm(live, act)
                return
            now = connection.ledger.now()
            wait = act.anchor.delay * _NS / self._speed - (now - live.moved) if act.anchor.delay else 0.0
            if wait > _SOON:
                live.timer = connection.later(wait, self._wake, live)
                return
            if not self._send(live, act, now):
                return
            if act.faulty and connection.state is not None:
                self._control.broke(connection.state)
            live.place += 1
            live.body = 0
            live.moved = connection.moved = now
            live.waited = False
            if state is not None:
                state.done = live.place
            if live.finished:
                break
        self._over(live)

    def _is_held_up(self, live: LiveStream, act: Act) -> bool:
        """Tell whether a fault of the connection came before an act of a call, and is about to be served."""
        state = self.connection.state
        if state is None or state.next >= state.last_fault or live.state is None or live.recorded is None:
            return False
        before = state.script[state.next]
        if live.recorded.connection != state.recorded.index or before.order > act.order:
            return False
        return self._ready is not None or self._is_ready(state, before)

    def _arm(self, live: LiveStream, act: Act) -> None:
        """Wait for the client, but not for ever."""
        before = (
            live.acts[live.place - 1].time if live.place else (live.recorded.started if live.recorded else act.time)
        )
        gap = max(act.time - before, 0) * _NS / self._speed
        live.timer = self.connection.later(self._patience + gap, self._give_up, live)

    def _wake(self, live: LiveStream) -> None:
        live.timer = None
        self._go_on(live)

    def _give_up(self, live: LiveStream) -> None:
        live.timer = None
        live.waited = True
        why = "the client sent less of its request than the recorded one before the answer went on"
        self.connection.ledger.deviate("request-shorter", why, call=live.call.number)
        self._go_on(live)

    def _go_on(self, live: LiveStream) -> None:
        if not self.connection.gone:
            self.touch(live)
            self.play()
            self.connection.flush()

    def _send(self, live: LiveStream, act: Act, now: float) -> bool:
        """Send an act of a call; False if it has to wait for credit."""
        connection, call = self.connection, live.call
        if isinstance(act, Headers):
            parts = connection.stage.blocks.parts(act)
            prefix = b""
            if connection.table_size is not None and parts and not act.fragments[0].before:
                if connection.state is None or not connection.state.recorded.plain_headers:
                    prefix = size_update(connection.table_size)
                connection.table_size = None
            connection.send(framed(parts, live.id, prefix))
            if act.end_stream:
                status = act.get(b"grpc-status")
                call.status = int(status) if status is not None and status.isdigit() and len(status) < 10 else None
                call.completed = now
                live.finished = True
        elif isinstance(act, Data):
            if not self._data(live, act):
                return False
            live.finished = bool(act.flags & END_STREAM) and not self._left
        elif isinstance(act, More):
            body = act.body.read()
            connection.send(body)
            self._take(live, self._left - len(body))
            live.sent.feed(body)
        elif isinstance(act, Frame) and act.kind == WINDOW_UPDATE:
            credit = connection.state is not None and connection.state.recorded.recorded_credit
            credit = credit or len(act.payload) != 4  # of another length it is a fault (RFC 9113 §6.9)
            if credit or (act.at_once and live.spend(int.from_bytes(act.payload, "big"))):
                connection.send(frame(act, live.id))
            return True
        elif isinstance(act, Frame):
            if self._control.leads_elsewhere(act):
                return True
            connection.send(frame(act, live.id))
            if act.kind == RST_STREAM:
                live.finished = True
                if act.payload == _REFUSED_STREAM.to_bytes(4, "big"):
                    self._unprocessed(live)
        if call.answered is None:
            call.answered = now
        call.messages_sent = live.sent.whole
        return True

    def _unprocessed(self, live: LiveStream) -> None:
        live.call.unprocessed = True
        if live.recorded is not None and live.state is not None:
            self.connection.stage.unprocessed(live, live.recorded)

    def _take(self, live: LiveStream, left: int) -> None:
        """Note how much of a DATA frame is owed; once it is whole, others may go on."""
        self._left = max(left, 0)
        was, self._inside = self._inside, live if self._left else None
        if was is not None and self._inside is None:
            self.connection.release()
            self.connection.later(0, self._others)

    def _others(self) -> None:
        if not self.connection.gone:
            self.play_all()
            self.connection.flush()

    def _data(self, live: LiveStream, act: Data) -> bool:
        """Send a DATA frame, or as much of it as the client's windows and its largest frame allow."""
        connection = self.connection
        faults = live.call.faults
        room = min(live.window, connection.window, connection.largest)
        body = act.body.read()
        if act.faulty and act.length <= room and "fc-violation" in faults:
            connection.ledger.deviate(
                "fault-not-shown", "the client's windows are larger than those that the recorded server overran",
                connection=connection.facts.number, call=live.call.number,
            )  # fmt: skip
        if live.body == 0 and (act.length <= room or _lawless(faults)):
            connection.send(data_frame(act, body, live.id))
            live.window -= act.length
            connection.window -= act.length
            live.sent.feed(body)
            self._take(live, act.length - len(body) if act.pad is None else 0)
            return True
        if act.length > len(body) and act.pad is None:
            self._smaller(live, "waits for it")
            return False
        while live.body < len(body) or not body:
            room = min(live.window, connection.window, connection.largest)
            if room <= 0:
                self._smaller(live, "waits for it")
                return False
            part = body[live.body : live.body + room]
            last = live.body + len(part) == len(body)
            flags = act.flags & ~PADDED & ~(0 if last else END_STREAM)
            connection.send(header_bytes(len(part), DATA, flags, live.id) + part)
            live.window -= len(part)
            connection.window -= len(part)
            live.body += len(part)
            live.sent.feed(part)
            self._smaller(live, "is split")
            if last:
                break
        return True

    def _smaller(self, live: LiveStream, what: str) -> None:
        self.connection.ledger.deviate(
            "window-smaller",
            f"the client's windows or its largest frame are smaller than the recorded one's: DATA {what}",
            connection=self.connection.facts.number, call=live.call.number,
        )  # fmt: skip

    def _over(self, live: LiveStream) -> None:
        """Nothing more will be sent on a call, for now."""
        connection, call = self.connection, live.call
        now = connection.ledger.now()
        if live.finished and call.ended is None:
            call.ended = now
            connection.stage.answered(call)
        if call.faults and call.broke_at is None:
            call.broke_at = now
            if connection.state is not None and live.state is not None and not connection.state.recorded.survivable:
                connection.facts.survivable = False
        if live.finished and not live.ended and live.state is None:
            connection.reset_stream(live.id, 0)
            live.ended = True
        if live.finished and (live.ended or live.reset):
            connection.streams.pop(live.id, None)
            connection.remember(live)
        if live.state is not None and not live.state.over:
            live.state.over = True
            connection.stage.check_over()

    # ---- the connection ----------------------------------------------------------------------------------------

    def play(self) -> None:
        """Go on with what the recorded server did on the connection itself."""
        connection, state = self.connection, self.connection.state
        if state is None or (self._timer is not None and self._ready is not None):
            return
        self._cancel()
        while True:
            first = state.next
            self._play(state)
            if state.next == first or first >= state.last_fault:
                return
            for live in list(connection.streams.values()):  # a fault may have held them up
                self.touch(live)

    def _play(self, state: ConnectionState) -> None:
        connection = self.connection
        while state.next < len(state.script) and not connection.gone and not connection.wire.paused:
            act = state.script[state.next]
            if self._inside is not None and not isinstance(act, End):
                return
            if self._ready is None:
                if not self._is_ready(state, act):
                    self._wait_for_calls(state, act)
                    return
                self._ready = connection.ledger.now()
            wait = act.anchor.delay * _NS / self._speed - (connection.ledger.now() - self._ready)
            if wait > _SOON:
                self._timer = connection.later(wait, self._due)
                return
            self._ready = None
            self._control.perform(state, act)
            state.next += 1
            connection.release()
            connection.stage.check_over()

    def _due(self) -> None:
        self._timer = None
        if not self.connection.gone:
            self.play()
            self.connection.flush()

    def _is_ready(self, state: ConnectionState, act: Act) -> bool:
        connection = self.connection
        if not connection.heard and self._control.needs_client(state, act):
            return False
        for live in connection.streams.values():
            if live.state is not None and live.recorded is not None and live.place < len(live.acts):
                own = live.recorded.connection == state.recorded.index
                if own and live.acts[live.place].order < act.order:
                    return False
        if self._hurried == act.order:
            return True
        by_number = {call.recorded.number: call for call in state.calls} if act.anchor.needs else {}
        return all(_reached(by_number.get(need.call), need) for need in act.anchor.needs)

    def _wait_for_calls(self, state: ConnectionState, act: Act) -> None:
        """Wait for calls that the live client has not made, unless a call that it made waits for this act."""
        stuck = [
            live for live in self.connection.streams.values()
            if live.state is not None and live.place >= len(live.acts) and not live.finished
        ]  # fmt: skip
        if stuck:
            self._timer = self.connection.later(self._patience, self._hurry, state, act)

    def _hurry(self, state: ConnectionState, act: Act) -> None:
        self._timer = None
        self._hurried = act.order
        self.connection.ledger.deviate(
            "calls-missing",
            f"the client did not make all calls that came before the recorded {act.describe()} ({act.anchor.what})",
            connection=self.connection.facts.number,
        )  # fmt: skip
        self.play()
        self.connection.flush()


def _satisfied(act: Act, live: LiveStream) -> bool:
    """Tell whether as much of the request has come as there was before an act."""
    need = act.anchor.needs[0]
    if isinstance(act, Frame) and act.kind == WINDOW_UPDATE:
        return live.ended or live.data >= need.data
    return live.ended or (not need.ended and live.count.whole >= need.messages)


def _reached(call: CallState | None, need: Need) -> bool:
    """Tell whether a call has come as far as the recorded one had."""
    if call is None:
        return True  # not replayed
    if not call.made:
        return False
    if call.over and (call.ended or call.reset):
        return True
    return call.done >= need.acts and (call.ended or (not need.ended and call.messages >= need.messages))


def _lawless(faults: list[str]) -> bool:
    """Tell whether breaking the client's limits is the very fault."""
    return "fc-violation" in faults or "h2-frame-size" in faults
