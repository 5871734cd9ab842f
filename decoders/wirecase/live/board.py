"""The counters of a live screen: what is open, how fast calls come, which were slow, and how windows stand."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from dataclasses import dataclass, field

from wirecase.http2.facts import Stream
from wirecase.live.hints import NS, Hint
from wirecase.model import CLIENT, SERVER, SIDE_NAMES, ConnectionRef, Severity
from wirecase.session.call import Call
from wirecase.session.session import Session

RATE_SECONDS = 10
"""Seconds over which rates are averaged."""
RECENT_NS = 60 * NS
"""How long a slow call is shown."""
SHOWN = 8
_LOOKED_AT = 5_000
"""Open streams and connections that are looked at for one board; the screen shows a few of them."""


@dataclass(frozen=True, slots=True)
class SlowCall:
    """A call that took long."""

    path: str
    ns: int
    status: str
    """grpc-status as it stood on the wire, or how the call ended without one."""
    time: int
    connection: ConnectionRef
    stream: int


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A stream that is open."""

    path: str
    since: int
    idle: int
    """Time since its last frame, ns."""
    connection: ConnectionRef
    stream: int


@dataclass(frozen=True, slots=True)
class Window:
    """How much one side may still send."""

    connection: ConnectionRef
    sender: str
    """``client`` or ``server``."""
    left: int
    """Bytes of the connection's window."""
    smallest: int | None
    """Bytes of the smallest window of an open stream."""
    streams: int
    """Open streams."""


@dataclass(slots=True)
class Board:
    """One moment."""

    now: int
    """Capture time, ns since the epoch."""
    began: int | None
    packets: int
    bytes: int
    connections: int
    """Open TCP connections."""
    protocols: dict[str, int]
    """Open connections by protocol."""
    seen: int
    """TCP connections in all."""
    streams: int
    """Open HTTP/2 streams."""
    calls: int
    ok: int
    failed: int
    rate: float
    """Calls that ended, a second."""
    failing: float
    """Of those, the ones that were not fine."""
    missing: int
    """Bytes of open connections that the capture does not hold."""
    errors: list[tuple[str, Severity, int]]
    """(rule, severity, how often), the most frequent first."""
    windows: list[Window]
    slow: list[SlowCall]
    open: list[OpenCall]
    hints: list[Hint]
    """What stands still now."""


@dataclass(slots=True)
class Tally:
    """What is counted as calls end."""

    slow: list[tuple[int, int, SlowCall]] = field(default_factory=list)
    """A heap of the slowest of late: (ns, number, call)."""
    _seconds: deque[list[int]] = field(default_factory=lambda: deque(maxlen=RATE_SECONDS + 2))
    """[second, calls, calls that were not fine]."""
    _number: int = 0

    def call(self, call: Call, *, fine: bool) -> None:
        """Take a closed call."""
        ending = call.ending
        end = ending.mark.time if ending is not None and ending.mark is not None else None
        if end is None:
            return
        self._count(end // NS, fine=fine)
        took = end - call.started.time
        slow = self.slow
        if len(slow) < SHOWN or took > slow[0][0]:
            self._number += 1
            session = call.session
            row = SlowCall(call.path or "?", took, _status(call), end, session.ref, call.stream.id)
            (heapq.heappush if len(slow) < SHOWN else heapq.heapreplace)(slow, (took, self._number, row))

    def _count(self, second: int, *, fine: bool) -> None:
        seconds = self._seconds
        for one in seconds:
            if one[0] == second:
                break
        else:
            one = [second, 0, 0]
            seconds.append(one)
        one[1] += 1
        one[2] += not fine

    def rates(self, now: int) -> tuple[float, float]:
        """Return calls a second, all and those that were not fine, over the last seconds."""
        this = now // NS
        wanted = [one for one in self._seconds if this - RATE_SECONDS <= one[0] < this]
        return sum(one[1] for one in wanted) / RATE_SECONDS, sum(one[2] for one in wanted) / RATE_SECONDS

    def slowest(self, now: int) -> list[SlowCall]:
        """Return the slowest calls of the last minute, and forget older ones."""
        self.slow = [one for one in self.slow if now - one[2].time <= RECENT_NS]
        heapq.heapify(self.slow)
        return [row for _, _, row in sorted(self.slow, reverse=True)]


def _status(call: Call) -> str:
    from wirecase.grpc.status import status_name

    status = call.grpc_status
    if status is not None:
        return status_name(status)
    return call.ending.how if call.ending is not None else "open"


def open_calls(sessions: list[Session], now: int) -> list[OpenCall]:
    """Return the streams that have been open longest."""
    found: list[tuple[int, int, Stream, Session]] = []
    for session in sessions:
        for stream in session.h2.streams.values():
            found.append((stream.opened.time, len(found), stream, session))
            if len(found) >= _LOOKED_AT:
                break
        if len(found) >= _LOOKED_AT:
            break
    rows = []
    for since, _, stream, session in heapq.nsmallest(SHOWN, found):
        marks = [stream.last_mark(side) for side in (CLIENT, SERVER)]
        last = max((mark.time for mark in marks if mark is not None), default=since)
        path = stream.call.path if stream.call is not None and stream.call.path else "?"
        rows.append(OpenCall(path, since, max(now - last, 0), session.ref, stream.id))
    return rows


def windows(sessions: list[Session]) -> list[Window]:
    """Return the smallest flow-control windows of connections with open streams."""
    found: list[tuple[int, int, Session, int, int | None]] = []
    for session in sessions[:_LOOKED_AT]:
        h2 = session.h2
        if not h2.windows_known or not h2.streams:
            continue
        for side in (CLIENT, SERVER):
            left = h2.halves[side].window
            streams = [
                stream.windows[side]
                for _, stream in zip(range(_LOOKED_AT), h2.streams.values(), strict=False)
                if not stream.ended[side]
            ]
            smallest = min(streams, default=None)
            found.append((min(left, smallest if smallest is not None else left), len(found), session, side, smallest))
    return [
        Window(session.ref, SIDE_NAMES[side], session.h2.halves[side].window, smallest, len(session.h2.streams))
        for _, _, session, side, smallest in heapq.nsmallest(SHOWN, found, key=lambda one: one[:2])
    ]


def protocols(sessions: list[Session]) -> dict[str, int]:
    """Count open connections by protocol."""
    return dict(Counter(session.protocol for session in sessions))
