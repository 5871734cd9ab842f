"""What hangs while it is open: facts about calls and connections that have no end yet, so that no rule judges them.

A hint says what can be seen and for how long, and that it is a hint: the call may go on any moment. It is told once and
withdrawn when it no longer holds. A stream that is idle between two messages, as subscriptions are, is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from wirecase.http2.facts import Stream
from wirecase.model import CLIENT, SERVER, SIDE_NAMES, ConnectionRef
from wirecase.net.facts import TcpSide
from wirecase.session.session import Session

Kind = Literal["stream-window", "connection-window", "tcp-window", "no-answer", "mid-message", "unacknowledged",
               "no-syn-ack", "no-ping-ack"]  # fmt: skip
NS = 1_000_000_000
MOST_STREAMS = 20_000
"""Open streams of one connection that are looked at."""
_REPEATS = 3
"""Retransmissions from which on silence is told."""
Key = tuple[Kind, int, int]
"""(kind, connection, stream or side)."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long something may stand still before it is told, ns."""

    window: int = 5 * NS
    """A flow-control window, of HTTP/2 or of TCP, at 0 with a stream open."""
    answer: int = 30 * NS
    """A complete request without response headers."""
    message: int = 10 * NS
    """A message that was begun."""
    network: int = 3 * NS
    """Segments that nobody acknowledges."""
    ping: int = 20 * NS
    """A PING that nobody acknowledges."""


@dataclass(frozen=True, slots=True)
class Hint:
    """One thing that stands still."""

    kind: Kind
    connection: ConnectionRef
    stream: int | None
    path: str | None
    since: int
    """Time of what came last, ns since the epoch."""
    text: str
    """What is seen, without the time: ``the client's window on stream 5 is 0``."""


def look(session: Session, now: int, patience: Patience) -> Iterator[tuple[Key, Hint]]:
    """Yield what stands still on an open connection at `now` (capture time, ns)."""
    yield from _network(session, now, patience)
    if session.protocol != "h2":
        return
    yield from _windows(session, now, patience)
    yield from _pings(session, now, patience)
    if session.has_gaps or session.one_direction or any(_torn(side) for side in session.tcp.sides):
        return  # what was not captured may have come
    for count, stream in enumerate(session.h2.streams.values()):
        if count >= MOST_STREAMS:
            break
        yield from _stream(session, stream, now, patience)


def _torn(side: TcpSide) -> bool:
    """The peer has acknowledged what the capture does not hold."""
    return side.acked is not None and side.acked > side.delivered + side.missing + 1


def _network(session: Session, now: int, patience: Patience) -> Iterator[tuple[Key, Hint]]:
    """TCP: an unanswered SYN, segments that nobody acknowledges, a receive window of 0."""
    if any(side.fin or side.rst for side in session.tcp.sides):
        return
    for side in (CLIENT, SERVER):
        facts = session.side(side)
        peer = session.side(1 - side)
        other = SIDE_NAMES[1 - side]
        if facts.syn is not None and peer.first is None and side == CLIENT:
            if now - facts.syn.time >= patience.network:
                text = f"the server does not answer the SYN ({facts.syns} sent)"
                yield ("no-syn-ack", session.index, side), _hint("no-syn-ack", session, facts.syn.time, text)
            continue
        tail = facts.tail_retransmissions
        if facts.tail_since is not None and len(tail) >= _REPEATS:
            if now - facts.tail_since.time >= patience.network:
                text = f"the {other} acknowledges nothing any more ({len(tail)} retransmissions)"
                yield (("unacknowledged", session.index, side),
                       _hint("unacknowledged", session, facts.tail_since.time, text))  # fmt: skip
        if facts.zero_window is not None and now - facts.zero_window.time >= patience.window:
            text = f"the {SIDE_NAMES[side]}'s TCP window is 0: it reads nothing, the {other} cannot send"
            yield ("tcp-window", session.index, side), _hint("tcp-window", session, facts.zero_window.time, text)


def _windows(session: Session, now: int, patience: Patience) -> Iterator[tuple[Key, Hint]]:
    """The connection's flow-control windows (RFC 9113 §6.9)."""
    h2 = session.h2
    if not h2.windows_known or not h2.streams or session.has_gaps:
        return
    for side in (CLIENT, SERVER):
        since = h2.halves[side].starved
        if since is not None and now - since.time >= patience.window:
            text = (
                f"the {SIDE_NAMES[side]} may send nothing on this connection: its window is used up, and the "
                f"{SIDE_NAMES[1 - side]} grants no more ({len(h2.streams):,} streams open)"
            )
            yield ("connection-window", session.index, side), _hint("connection-window", session, since.time, text)


def _pings(session: Session, now: int, patience: Patience) -> Iterator[tuple[Key, Hint]]:
    if session.has_gaps or session.one_direction:
        return
    for (side, _), ping in session.h2.pings_open.items():
        if now - ping.mark.time >= patience.ping:
            text = f"the {SIDE_NAMES[1 - side]} does not answer a PING"
            yield ("no-ping-ack", session.index, side), _hint("no-ping-ack", session, ping.mark.time, text)
            return


def _stream(session: Session, stream: Stream, now: int, patience: Patience) -> Iterator[tuple[Key, Hint]]:
    """One open stream: the first thing that it waits for."""
    h2 = session.h2
    if h2.windows_known:
        for side in (CLIENT, SERVER):
            since = stream.starved[side]
            if since is not None and not stream.ended[side] and now - since.time >= patience.window:
                text = (
                    f"the {SIDE_NAMES[side]} may send nothing on stream {stream.id}: the window is used up, and the "
                    f"{SIDE_NAMES[1 - side]} grants no more"
                )
                yield _of_stream("stream-window", session, stream, since.time, text)
                return
    call = stream.call
    if call is None:
        return
    for side, body in ((SERVER, call.response_body), (CLIENT, call.request_body)):
        last = stream.last_mark(side)
        if body is None or last is None or stream.ended[side] or now - last.time < patience.message:
            continue
        pending = body.pending()
        if pending is not None and pending.declared is not None:
            text = f"the {SIDE_NAMES[side]} stopped after {pending.got:,} of {pending.declared:,} bytes of a message"
            yield _of_stream("mid-message", session, stream, last.time, text)
            return
    asked = stream.last_mark(CLIENT)
    if stream.ended[CLIENT] and call.response is None and asked is not None and now - asked.time >= patience.answer:
        yield _of_stream("no-answer", session, stream, asked.time, "the request is complete and has no answer yet")


def _of_stream(kind: Kind, session: Session, stream: Stream, since: int, text: str) -> tuple[Key, Hint]:
    path = stream.call.path if stream.call is not None else None
    return (kind, session.index, stream.id), Hint(kind, session.ref, stream.id, path, since, text)


def _hint(kind: Kind, session: Session, since: int, text: str) -> Hint:
    return Hint(kind, session.ref, None, None, since, text)
