"""What came before each act of a recorded server, so that it can come after the same things again.

An act on a stream waits for its own call alone: for the acts of the same answer before it, and for as much of the
request as had arrived. Calls beside it may come in another order, or not at all. An act of the connection (SETTINGS,
GOAWAY, a frame on no call's stream, the end of TCP) waits for every call that was open and for the one that moved last.
The delay counts from the latest of these; acknowledgements, PINGs and credit from the client are not counted, as a
client sends them when it likes.
"""

from __future__ import annotations

from dataclasses import dataclass

from wirecase.http2.facts import ACK, END_STREAM, GOAWAY, PING, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE
from wirecase.model import CLIENT
from wirecase.replay.plan.acts import Act, Anchor, Data, End, Frame, Headers, More, Need, Raw, RecordedConnection
from wirecase.replay.plan.messages import MessageCount

_MOST_NEEDS = 1000
_AT_ONCE = 5_000_000
"""ns in which two frames are likely to be read at once."""
_ON_THE_WAY = 250_000_000
"""ns after a GOAWAY in which a request may come that was sent before the client read it."""


@dataclass(slots=True)
class _Progress:
    """How far a call has come."""

    number: int
    count: MessageCount
    data: int = 0
    ended: bool = False
    reset: bool = False
    answered: bool = False
    acts: int = 0
    moved: int = 0
    what: str = ""

    def need(self) -> Need:
        """For an act of the connection."""
        return Need(self.number, self.count.whole, self.data, self.ended or self.reset, self.acts)

    def own(self) -> Need:
        """For an act of the call's own answer: no server answers because its client gave up."""
        return Need(self.number, self.count.whole, self.data, self.ended, self.acts)


def anchor(connection: RecordedConnection) -> None:
    """Give every act of the server its anchor, and every call its acts."""
    calls: dict[int, _Progress] = {}
    latest: _Progress | None = None
    moved = connection.started
    what = "the connection's beginning"
    greeting, settled = True, False
    for act in connection.acts:
        call = connection.calls.get(act.stream) if act.stream else None
        act.call = call.number if call is not None else None
        progress = None
        if call is not None:
            progress = calls.get(call.number)
            if progress is None:
                progress = calls[call.number] = _Progress(call.number, MessageCount(), moved=act.time)
        if act.side == CLIENT:
            if call is not None:
                call.asked.append(act)
            if _is_idle(act):
                continue
            if progress is not None:
                _ask(progress, act)
                latest = progress
            moved, what = act.time, f"the client's {act.describe()}"
            continue
        if progress is None:
            open_now = [one for one in calls.values() if not (one.reset or (one.ended and one.answered))]
            needs = [latest.need()] if latest is not None else []
            needs += [one.need() for one in open_now[-_MOST_NEEDS:] if one is not latest]
            if greeting and (not settled or _greets(act, asked=any(one.data for one in needs))):
                needs = []
                settled = settled or (isinstance(act, Frame) and act.kind == SETTINGS)
            else:
                greeting = False
            act.anchor = Anchor(tuple(needs), max(act.time - moved, 0), what)
            moved, what = act.time, act.describe()
            continue
        act.anchor = Anchor((progress.own(),), max(act.time - progress.moved, 0), progress.what)
        if call is not None:
            call.acts.append(act)
        greeting = False
        progress.acts += 1
        progress.moved = moved = act.time
        progress.what = what = f"act {progress.acts} of call {progress.number}"
        progress.answered = progress.answered or _is_last(act)
        latest = progress
    _race(connection)


def _race(connection: RecordedConnection) -> None:
    """Let a GOAWAY wait for the calls above its last stream that were on their way to the server.

    What crossed on the wire cannot be made to cross again; sent right after such a request has come, the GOAWAY leaves
    the client in the same place: it has opened a stream that was never processed (RFC 9113 §6.8).
    """
    for act in connection.acts:
        if act.side == CLIENT or not isinstance(act, Frame) or act.kind != GOAWAY or len(act.payload) < 8:
            continue
        last = int.from_bytes(act.payload[:4], "big") & 0x7FFFFFFF
        known = {need.call for need in act.anchor.needs}
        act.anchor.needs += tuple(
            Need(call.number)
            for call in connection.calls.values()
            if call.stream > last and call.number not in known and call.started - act.time < _ON_THE_WAY
        )


def mark_credit(connection: RecordedConnection) -> None:
    """Mark the server's WINDOW_UPDATEs that stand right before a fault or an end.

    Credit is given as the live client needs it, but what some clients say depends on what they read together with it.
    """
    until: int | None = None
    for act in reversed(connection.acts):
        if act.side == CLIENT:
            continue
        if isinstance(act, Frame) and act.kind == WINDOW_UPDATE and not act.faulty:
            act.at_once = until is not None and until - act.time <= _AT_ONCE
            until = act.time if act.at_once else None
        elif act.faulty or isinstance(act, Raw | End):
            until = act.time
        else:
            ends = isinstance(act, Frame) and act.kind in (RST_STREAM, GOAWAY)
            until = act.time if ends else None


def _ask(progress: _Progress, act: Act) -> None:
    """Take an act of the client."""
    if isinstance(act, Data | More):
        data = act.body.read()
        progress.count.feed(data)
        progress.data += len(data)
    if isinstance(act, Frame) and act.kind == RST_STREAM:
        progress.reset = True
        return
    progress.ended = progress.ended or _ends(act)
    progress.moved = act.time
    progress.what = f"the client's {act.describe()} of call {progress.number}"


def _ends(act: Act) -> bool:
    if isinstance(act, Headers):
        return act.end_stream
    return isinstance(act, Data) and bool(act.flags & END_STREAM)


def _is_last(act: Act) -> bool:
    return _ends(act) or (isinstance(act, Frame) and act.kind == RST_STREAM)


def _greets(act: Act, *, asked: bool) -> bool:
    """Tell whether a frame belongs to a connection's beginning, and not to the answer to what a client has sent."""
    if not isinstance(act, Frame):
        return False
    return act.kind == SETTINGS or (act.kind in (WINDOW_UPDATE, PING) and not asked)


def _is_idle(act: Act) -> bool:
    """Tell whether a client sends this when it likes."""
    if not isinstance(act, Frame):
        return False
    return act.kind in (PING, WINDOW_UPDATE, PRIORITY) or (act.kind == SETTINGS and bool(act.flags & ACK))
