"""The streams of one connection that have closed, remembered for a while.

Frames may still be in flight behind a RST_STREAM, and a request may be captured behind its response. Only when nothing
more can come is a stream handed on.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from wirecase.http2.events import StreamEvents
from wirecase.http2.facts import ControlFrame, Http2Facts, Stream, is_informational
from wirecase.http2.ordinary import Exchange
from wirecase.model import CLIENT, SERVER

if TYPE_CHECKING:
    from wirecase.http2.kept import Kept

_RECENT = 256
"""Closed streams that are remembered."""
_DISORDER_NS = 1_000_000
"""Packets of both directions this close may stand in a capture in the wrong order."""


class ClosedStreams:
    """What closed last, and the handing on of what closed before."""

    __slots__ = ("_events", "_exchanges", "_facts", "_unheard", "recent")

    def __init__(self, facts: Http2Facts, events: StreamEvents, exchanges: dict[int, Exchange]) -> None:
        self._facts = facts
        self._events = events
        self._exchanges = exchanges
        """The connection's open ordinary exchanges."""
        self.recent: dict[int, Stream | Exchange | Kept] = {}
        """By stream, oldest first; always the same dictionary."""
        self._unheard: tuple[list[Stream], list[Stream]] | None = None
        """Once `hand_on` was asked for: streams that closed before the last time, and since then."""

    def keep(self, stream_id: int, closed: Stream | Exchange) -> None:
        """Remember what has closed for a while, and let go of what closed long ago."""
        recent = self.recent
        recent[stream_id] = closed
        if self._unheard is not None and isinstance(closed, Stream):
            self._unheard[1].append(closed)
        if len(recent) > _RECENT:
            oldest = next(iter(recent))
            self._let_go(oldest, recent.pop(oldest))
        facts = self._facts
        if not facts.streams and not self._exchanges and (facts.opened < _RECENT or not facts.opened % 16):
            for half in facts.halves:
                half.window_low.append((facts.opened, half.window))

    def keep_all(self, streams: list[int], kept: Kept) -> None:
        """Some of the exchanges that were recognised at once have closed, in this order."""
        last = streams[-_RECENT:]
        kept.closed(len(streams), last)
        recent = self.recent
        recent.update(dict.fromkeys(last, kept))
        for stream_id in list(islice(recent, max(len(recent) - _RECENT, 0))):
            self._let_go(stream_id, recent.pop(stream_id))

    def _let_go(self, stream_id: int, closed: Stream | Exchange | Kept) -> None:
        if isinstance(closed, Stream):
            self._events.closed(closed)
        elif isinstance(closed, Exchange):
            self._events.completed(closed)
        else:  # counted when it was recognised
            closed.release(stream_id)

    def hand_on(self) -> int:
        """Hand on what had closed when this was asked the time before; what is still in flight had time to come.

        For live sessions, which do not wait until a connection is over. The streams stay remembered. Return how many
        have closed since then: they will be handed on the next time.
        """
        if self._unheard is None:  # asked for the first time
            before = [closed for closed in self.recent.values() if isinstance(closed, Stream)]
            self._unheard = (before, [])
            return len(before)
        ready, newer = self._unheard
        self._unheard = (newer, [])
        for stream in ready:
            self._events.closed(stream)
        return len(newer)

    def finish(self) -> None:
        """The connection is over: hand on all that is remembered."""
        for stream_id, closed in self.recent.items():
            self._let_go(stream_id, closed)
        self.recent.clear()


def came_too_late(stream: Stream, frame: ControlFrame) -> bool:
    """Tell whether a frame of the server, and so what is in it, came to a client that had reset the stream.

    The client ignores it (RFC 9113 §5.1); wherever on its way it was captured, the reset was not the answer to it. Only
    where the two are close may the capture have changed their order. The rest of an answer that is no gRPC (a proxy's
    error page) belongs to it all the same: the client resets at its beginning, and what it says is evidence.
    """
    if frame.side != SERVER or any(
        not (one.block.get(b"content-type") or b"").startswith(b"application/grpc")
        for one in stream.headers
        if one.side == SERVER and not is_informational(one.block)
    ):
        return False
    time = frame.mark().time
    return any(one.side == CLIENT and time - one.excerpt.mark.time > _DISORDER_NS for one in stream.resets)


def in_flight(stream: Stream, side: int) -> bool:
    """Tell whether more of `side` may come: it has not ended the stream, and only the other side reset it."""
    return not stream.ended[side] and not any(reset.side == side for reset in stream.resets)
