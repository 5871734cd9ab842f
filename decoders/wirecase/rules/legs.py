"""One call, seen on several legs: before and behind a proxy, a NAT, a mirror. It is counted once.

Two findings of a capture may be one event, and two calls one call. That is said only with evidence, since calls that
are merged falsely hide a fault:

*Connections* are legs of one where an address was rewritten on the way (NAT, ``-i any`` on a node of a cluster), or
where both hosts captured: both sides began at the same sequence numbers, which are random, at the same time, with the
same bytes.

*Calls* are legs of one where something between took the call and made it anew (proxy, sidecar): see `leg_match`.

All of this works on prints of a fixed size. Those of calls are taken in a reading of its own (`worth_a_closer_look`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from wirecase.model import CLIENT, SERVER, CallTotals, ConnectionRef
from wirecase.rules.ids import leg_ids
from wirecase.rules.leg_match import CLOCKS, CallPrint, Place, Status, host_of, match
from wirecase.session.call import Call
from wirecase.session.session import Session

AT_ONCE = 50_000_000
"""How far apart the first packets of a connection's legs may lie in one capture, ns."""
MOST_CALLS = 10_000
"""Calls of which prints are taken; with more, legs of proxies are not told apart."""
MOST_CONNECTIONS = 4096
"""Connections that are compared with a new one: those that ended last."""
MOST_LINKS = 65_536
"""Connections that are known to be another leg; with more, they are only left out of the counts."""
FIRST_BYTES = 96
"""Bytes of each side that are compared."""
MOST_SERVERS = 256
_NAMES = 64
_ALIKE = 8
"""Different connections that begin at the same numbers: where there are more, the numbers are not random."""
_PROXY_HEADERS = (
    b"via", b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-real-ip",
    b"x-envoy-expected-rq-timeout-ms", b"x-envoy-original-path", b"x-envoy-attempt-count", b"x-envoy-internal",
    b"x-envoy-decorator-operation", b"x-envoy-peer-metadata-id", b"x-forwarded-client-cert",
)  # fmt: skip


@dataclass(slots=True)
class ConnectionPrint:
    """What is kept of a connection to find its other legs."""

    ref: ConnectionRef
    source: int
    start: int
    first: tuple[bytes, bytes]
    """The first bytes of both sides."""
    sent: tuple[int, int]
    complete: bool
    """Its end is in the capture."""
    calls: int
    ok: int
    failed: int
    statuses: dict[Status, int]


@dataclass(slots=True)
class _Server:
    """What was asked of one server's address."""

    paths: set[str] = field(default_factory=set)
    clients: set[str] = field(default_factory=set)
    first: int = 1 << 63
    last: int = 0
    calls: int = 0


@dataclass(slots=True)
class Legs:
    """Which calls are legs of which; what rules and reports ask."""

    connections: dict[int, int] = field(default_factory=dict)
    """Connection -> the one that it is another leg of, nearer to the client."""
    copies: dict[int, list[int]] = field(default_factory=dict)
    """The same the other way round."""
    fronts: dict[Place, Place] = field(default_factory=dict)
    """Call -> the call on the leg before, where something between made it anew."""
    backs: dict[Place, list[Place]] = field(default_factory=dict)
    calls: dict[Place, int] = field(default_factory=dict)
    """Numbers of the calls of `fronts` and `backs`."""
    refs: dict[int, ConnectionRef] = field(default_factory=dict)
    pairs: list[tuple[CallPrint, CallPrint]] = field(default_factory=list)
    """(leg behind, leg before) of `fronts`, with what is known of them."""
    merged: int = 0
    """Calls that are not counted, since another leg of theirs is."""
    doubtful: int = 0
    """Calls that may be counted twice: a proxy's both sides are there, and could not be told apart call by call."""

    def __bool__(self) -> bool:
        """Tell whether any leg was found."""
        return bool(self.connections or self.fronts)

    def head(self, place: Place) -> Place:
        """Return the leg nearest to the client."""
        seen = {place}
        while True:
            connection, stream = place
            nearer = self.connections.get(connection)
            before = (nearer, stream) if nearer is not None else self.fronts.get(place)
            if before is None or before in seen:  # evidence of two kinds may lead round in a circle
                return place
            seen.add(before)
            place = before

    def behind(self, place: Place) -> list[Place]:
        """Return the legs that follow directly, the earliest first."""
        connection, stream = place
        copies = self.copies.get(connection, ())
        return [*((copy, stream) for copy in copies), *self.backs.get(place, ())]

    def chain(self, place: Place) -> list[Place]:
        """Return all legs of a call, from the client on; the place alone if there is no other."""
        chain: dict[Place, None] = {}
        todo = [self.head(place)]
        while todo:
            leg = todo.pop(0)
            if leg not in chain:
                chain[leg] = None
                todo += self.behind(leg)
        return list(chain)


@dataclass(slots=True)
class _Copies:
    """Calls of connections that are legs of others."""

    calls: int = 0
    ok: int = 0
    failed: int = 0
    statuses: Counter[Status] = field(default_factory=Counter)
    """Of those that were not healthy."""

    def uncount(self, totals: CallTotals, statuses: Counter[Status]) -> None:
        """Take them out of the counts."""
        totals.total -= self.calls
        totals.ok -= self.ok
        totals.failed -= self.failed
        totals.unfinished -= self.calls - self.ok - self.failed
        statuses.subtract(self.statuses)
        statuses[b"0"] -= self.calls - self.statuses.total()


class LegBook:
    """The prints of one run."""

    def __init__(self) -> None:
        self.legs = Legs()
        self._prints: list[CallPrint] = []
        self._recent: dict[tuple[int, int], list[ConnectionPrint]] = {}
        self._kept: list[tuple[int, int]] = []
        self._copies = _Copies()
        self._copied: set[str] = set()
        """Servers of connections that are legs of others."""
        self._servers: dict[str, _Server] = {}
        self._too_many = False

    # ---- what comes ----------------------------------------------------------------------------------------------

    def session(self, session: Session) -> None:
        """Take a connection that is over."""
        client, server = session.tcp.sides[session.flipped], session.tcp.sides[not session.flipped]
        if session.calls_seen:
            self._served(session)
        start = session.first_time
        if client.base is None or server.base is None or start is None or client.first is None:
            return
        excerpts = [excerpt.data[:FIRST_BYTES] if excerpt else b"" for excerpt in session.first_bytes]
        print_ = ConnectionPrint(
            session.ref, client.first.source, start, (excerpts[CLIENT], excerpts[SERVER]), (client.sent, server.sent),
            session.closed_reason == "closed", session.calls_matched, session.calls_ok, session.calls_failed,
            dict(session.statuses),
        )  # fmt: skip
        key = (client.base, server.base)
        known = self._recent.setdefault(key, [])
        for i, other in enumerate(known):
            if _same_connection(other, print_):
                front, back = sorted((other, print_), key=lambda one: (one.start, one.ref.index))
                known[i] = front
                self._copy(front, back)
                return
        if len(known) >= _ALIKE:
            return
        known.append(print_)
        self._kept.append(key)
        if len(self._kept) > 2 * MOST_CONNECTIONS:
            for old in self._kept[:MOST_CONNECTIONS]:
                self._recent.pop(old, None)
            del self._kept[:MOST_CONNECTIONS]

    def _copy(self, front: ConnectionPrint, back: ConnectionPrint) -> None:
        """Take `back` for another leg of `front`: its calls are not counted."""
        copies, legs = self._copies, self.legs
        copies.calls += back.calls
        copies.ok += back.ok
        copies.failed += back.failed
        copies.statuses.update(back.statuses)
        if len(self._copied) < MOST_SERVERS:
            self._copied.add(back.ref.server)
        if len(legs.connections) < MOST_LINKS:
            legs.connections[back.ref.index] = front.ref.index
            legs.copies.setdefault(front.ref.index, []).append(back.ref.index)
            legs.refs |= {front.ref.index: front.ref, back.ref.index: back.ref}

    def _served(self, session: Session) -> None:
        name = session.server.address
        if name not in self._servers and len(self._servers) >= MOST_SERVERS:
            return
        seen = self._servers.setdefault(name, _Server())
        for kept, new in ((seen.paths, session.paths), (seen.clients, {host_of(session.client.address)})):
            if len(kept) < _NAMES:
                kept |= new
        seen.first = min(seen.first, session.first_time or 0)
        seen.last = max(seen.last, session.last_time or 0)
        seen.calls += session.calls_matched

    def call(self, call: Call, outcome: str) -> None:
        """Take a closed call."""
        if len(self._prints) >= MOST_CALLS:
            self._too_many = True
        made = None if self._too_many else print_of(call, outcome)
        if made is None:
            return
        session = call.session
        self._prints.append(made)
        self.legs.refs.setdefault(session.index, session.ref)

    # ---- conclusions ---------------------------------------------------------------------------------------------

    def worth_a_closer_look(self, calls: int) -> bool:
        """Tell whether calls may have been seen before and behind a proxy, and are few enough to be compared."""
        return calls <= MOST_CALLS and bool(self._pairs())

    def _pairs(self) -> list[tuple[str, str]]:
        """Return the servers of which the first may be a proxy before the second: the same was asked of both.

        Addresses do not say more: a proxy may have several, and a client may share its host.
        """
        if len(self._servers) < 2:
            return []
        found: list[tuple[str, str]] = []
        for front, one in self._servers.items():
            for back, two in self._servers.items():
                if front == back or back in self._copied or one.first > two.last or two.first > one.last:
                    continue
                if one.paths & two.paths:
                    found.append((front, back))
        return found

    def conclude(self, totals: CallTotals, statuses: Counter[Status], closer: LegBook | None = None) -> Legs:
        """Find the legs, and take those that are not the client's own out of the counts.

        `closer` took prints of all calls where this book took none.
        """
        legs = self.legs
        book = closer or self
        self._copies.uncount(totals, statuses)
        legs.merged += self._copies.calls
        prints = [one for one in book._prints if one.place[0] not in legs.connections]
        if not book._too_many:
            self._link(prints, book, totals, statuses)
        if not legs.fronts:
            legs.doubtful = self._doubtful()
        totals.legs, totals.doubtful = legs.merged, legs.doubtful
        return legs

    def _link(self, prints: list[CallPrint], book: LegBook, totals: CallTotals, statuses: Counter[Status]) -> None:
        legs = self.legs
        legs.pairs = match(prints)
        for back, front in legs.pairs:
            legs.fronts[back.place] = front.place
            legs.backs.setdefault(front.place, []).append(back.place)
            legs.calls |= {back.place: back.call, front.place: front.call}
            for connection in (back.place[0], front.place[0]):
                legs.refs.setdefault(connection, book.legs.refs[connection])
            legs.merged += 1
            totals.total -= 1
            setattr(totals, back.outcome, getattr(totals, back.outcome) - 1)
            statuses[back.status] -= 1

    def _doubtful(self) -> int:
        """Return how many calls may stand twice in the counts, where the topology says that there is a proxy."""
        most = 0
        for front, back in self._pairs():
            one, two = self._servers[front], self._servers[back]
            if host_of(front) in two.clients and not one.clients & two.clients:
                most = max(most, min(one.calls, two.calls))
        return most


def print_of(call: Call, outcome: str) -> CallPrint | None:
    """Return the print of a closed call; None if too little of its request is known to find its other legs."""
    request = call.request_block
    if request is None or call.path is None or not call.stream.seen_start:
        return None
    session, stream = call.session, call.stream
    end = call.ending.mark.time if call.ending and call.ending.mark else None
    settings = session.h2.halves[CLIENT].settings_frames
    return CallPrint(
        call.index, (session.index, stream.id), call.started.source, call.path, host_of(session.client.address),
        session.server.address, call.started.time, end, leg_ids(request),
        _digest(call, CLIENT), stream.ended[CLIENT],
        _digest(call, SERVER) if stream.ended[SERVER] and call.grpc_status == 0 else None,
        frozenset(name for name in _PROXY_HEADERS if request.get(name) is not None),
        request.get(b"user-agent"), hash(frozenset(settings[0].values.items())) if settings else None, outcome,
        b"0" if outcome == "ok" else "unknown" if call.status_hidden else call.status_text,
        call.http_status, call.ending.how if call.ending else None, call.ending.by if call.ending else None,
        call.response is not None, _quiet(call), call.started, call.ending.mark if call.ending else None,
        _left(call), not (call.blurred or session.client.missing or session.server.missing),
    )  # fmt: skip


def _left(call: Call) -> bool:
    """Tell whether the client had closed the connection before a call ended: its status is the answer to that."""
    end, over = call.session.first_end(), call.ending.mark if call.ending else None
    return end is not None and end[0] == CLIENT and (over is None or end[2].time <= over.time)


def _quiet(call: Call) -> int | None:
    """Return how long the server had said nothing when a call began that is not its connection's first, ns."""
    session = call.session
    last = session.server.last_data
    if last is None or last.time > call.started.time or (session.calls_seen < 2 and session.tcp.syn_seen):
        return None
    return call.started.time - last.time


def _same_connection(one: ConnectionPrint, two: ConnectionPrint) -> bool:
    """Tell whether two connections that began at the same sequence numbers are one."""
    apart = abs(one.start - two.start)
    if apart > (AT_ONCE if one.source == two.source else CLOCKS):
        return False
    if one.source == two.source and (one.ref.client, one.ref.server) == (two.ref.client, two.ref.server):
        return False
    if not one.first[CLIENT] and one.ref.client != two.ref.client:
        return False  # no byte tells them apart, so the client's port must
    sizes = [min(len(one.first[side]), len(two.first[side])) for side in (CLIENT, SERVER)]
    if any(one.first[side][: sizes[side]] != two.first[side][: sizes[side]] for side in (CLIENT, SERVER)):
        return False
    return one.sent == two.sent or not (one.complete and two.complete)


def _digest(call: Call, side: int) -> tuple[int, int] | None:
    body = call.request_body if side == CLIENT else call.response_body
    if body is None or body.lost or body.digest is None:
        return None
    return body.bytes, body.digest
