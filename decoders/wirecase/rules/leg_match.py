"""Which calls are legs of one, where something between took the call and made it anew (proxy, sidecar).

The call behind must be for the same path, lie within the other one's time, and share with it a correlation id or its
request byte for byte; no other call at the front server may fit as well; nothing complete on both may differ. A client
that sends one request to two servers does the same, so the topology must speak too: the call behind comes from the
front server's own host, which is not the client's; or it carries a proxy's headers; or it names the same user agent but
its connection's settings are another library's.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from wirecase.model import Mark

Place = tuple[int, int]
"""(connection, stream)."""
Status = bytes | str | None

CLOCKS = 5_000_000_000
"""How far apart the clocks of two captures may be, ns."""
SLOP = 2_000_000
"""How much earlier than the front leg's the back leg's packets may be captured, ns."""
LATE = 200_000_000
"""How much longer than the front leg the back leg may last: a proxy that was left by its client ends it then."""
LONGEST = 3_600_000_000_000
"""Calls that took longer than this are not looked for, ns: the search stays short."""
_CANDIDATES = 64
"""Calls that are looked at for each: linking stays linear."""


class CallPrint(NamedTuple):
    """What is kept of a call to find its other legs."""

    call: int
    place: Place
    source: int
    path: str
    client: str
    """Host of the connection's client."""
    server: str
    """``addr:port``."""
    start: int
    end: int | None
    ids: frozenset[int]
    """Hashes of its correlation ids."""
    request: tuple[int, int] | None
    """Length and CRC-32 of the request's body as far as it was seen, None with holes in it."""
    asked: bool
    """The request came to its end."""
    response: tuple[int, int] | None
    """The same of an answer that came with a status of 0."""
    proxied: frozenset[bytes]
    """Headers that only proxies add."""
    agent: bytes | None
    settings: int | None
    """Hash of the client's first SETTINGS; None if they were not seen."""
    outcome: str
    """``ok``, ``failed`` or ``unfinished``, as it was counted."""
    status: Status
    """As `CallLog.statuses` counts it."""
    http: int | None = None
    """``:status`` of the answer."""
    how: str | None = None
    """How it ended: `wirecase.session.call.How`."""
    by: int | None = None
    """The side that ended it."""
    answered: bool = False
    """Response headers came."""
    quiet: int | None = None
    """How long the server had said nothing when the call began, ns; None if it was the connection's first."""
    begun: Mark | None = None
    """Its first frame."""
    over: Mark | None = None
    """The frame or packet that ended it."""
    left: bool = False
    """Its client had closed or reset the connection before the call ended."""
    whole: bool = False
    """Nothing of it is missing from the capture."""


Relayed = Callable[["CallPrint", "CallPrint"], bool]
"""Tells whether something stands between that can have made the first call anew for the second."""


def match(prints: Iterable[CallPrint], relayed: Relayed | None = None) -> list[tuple[CallPrint, CallPrint]]:
    """Return (back leg, front leg) for each call of which the leg before is known; each back leg has one front.

    `relayed` stands in for what the topology says, where the user has told which leg is which.
    """
    between = relayed or _relayed
    by_path: dict[str, list[CallPrint]] = defaultdict(list)
    for one in sorted(prints, key=lambda one: (one.start, one.call)):
        by_path[one.path].append(one)
    found: list[tuple[CallPrint, CallPrint]] = []
    for calls in by_path.values():
        if len({one.server for one in calls}) == 1:
            continue  # a call and what it was made anew for have different servers
        starts = [one.start for one in calls]
        for back in calls:
            front = _front(back, calls, starts, between)
            if front is not None:
                found.append((back, front))
    return sorted(found, key=lambda pair: pair[0].call)


def _front(back: CallPrint, calls: list[CallPrint], starts: list[int], relayed: Relayed) -> CallPrint | None:
    """Return the call that `back` was made for: the latest that fits, if no other one at its server fits as well."""
    stop = bisect_right(starts, back.start + CLOCKS)
    begin = bisect_left(starts, back.start - LONGEST)
    fitting: list[CallPrint] = []
    for front in reversed(calls[max(begin, stop - 16 * _CANDIDATES) : stop]):
        if _within(back, front) and _alike(back, front):
            fitting.append(front)
            if len(fitting) > _CANDIDATES:
                return None
    nearest = next((front for front in fitting if relayed(back, front)), None)
    if nearest is None or any(one is not nearest and one.server == nearest.server for one in fitting):
        return None
    return nearest


def _within(back: CallPrint, front: CallPrint) -> bool:
    """Tell whether a call can have been made for another by where and when it was."""
    if back.place[0] == front.place[0] or back.server == front.server:
        return False
    same = back.source == front.source
    slop = SLOP if same else CLOCKS
    if back.start < front.start - slop or (same and back.call < front.call):
        return False
    if front.end is None:
        return True
    return back.start <= front.end + slop and (back.end is None or back.end <= front.end + max(slop, LATE))


def _alike(back: CallPrint, front: CallPrint) -> bool:
    """Tell whether what two calls carry says that they are one: an id or the request, and no contradiction."""
    same_request = back.request is not None and back.request == front.request
    known = back.request is not None and front.request is not None
    if known and not same_request and back.asked and front.asked:
        return False
    answers = back.response is not None and front.response is not None
    if answers and back.response != front.response and not (same_request and back.ids & front.ids):
        return False  # with the same id and the same request, what stands between changed the answer
    if back.ids & front.ids:
        return True
    if back.ids and front.ids and len(back.ids) == len(front.ids):
        return False  # each has ids of its own
    return same_request and back.source == front.source and back.request != (0, 0)


def _relayed(back: CallPrint, front: CallPrint) -> bool:
    """Tell whether something stands between that can have made the call anew: no client sending two requests."""
    if host_of(front.server) == back.client != front.client:
        return True
    if back.proxied - front.proxied:
        return True
    known = back.settings is not None and front.settings is not None
    return known and back.settings != front.settings and back.agent is not None and back.agent == front.agent


def host_of(address: str) -> str:
    """Return the host of ``addr:port``."""
    return address.rpartition(":")[0]
