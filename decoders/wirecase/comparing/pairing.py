"""Which call in front is which call behind.

The same evidence as where both legs are in one run (`wirecase.rules.leg_match`), in three goes: what carries the same
id or request and contradicts nothing; what carries the same id although bytes were changed on the way; and what is
alone on its path at its time. What fits more than once is left alone: a wrong pair would accuse somebody.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence

from wirecase.comparing.model import LegCall, MatchedBy, Pair
from wirecase.rules.leg_match import LATE, SLOP, CallPrint, Relayed, match

_SLACK = 20_000_000
"""How much earlier than its front the call behind may seem to be while the offset is only roughly known, ns."""
_SEARCHED = 64


def pairs_between(front: Sequence[LegCall], back: Sequence[LegCall], offset: int) -> list[Pair]:
    """Pair the calls of two captures; `offset` is about how far the back clock is ahead, ns."""
    found = _by_unique_ids(front, back) + _in_order(front, back, offset)
    goes: tuple[MatchedBy, ...] = ("ids or request", "ids")
    for matched_by in goes:
        fronts = _left(front, [pair.front for pair in found])
        backs = _left(back, [pair.back for pair in found])
        prints = _aligned(fronts, backs, offset, loose=matched_by == "ids")
        by_call = dict(enumerate(fronts))
        behind = {len(fronts) + number: call for number, call in enumerate(backs)}
        found += _one_to_one(
            [
                Pair(by_call[one.call], behind[two.call], matched_by)
                for two, one in match(prints, _facing)
                if two.call in behind and one.call in by_call
            ]
        )
    fronts = _left(front, [pair.front for pair in found])
    backs = _left(back, [pair.back for pair in found])
    return found + _alone(fronts, backs, offset)


def pairs_within(calls: Sequence[LegCall], *, told: bool = False) -> list[Pair]:
    """Pair the calls of one capture that holds both legs; what stands between must show (`leg_match`).

    With `told`, somebody says that both legs are there: the same request to two servers is then enough.
    """
    by_place = {call.mark.place: call for call in calls}
    found: list[Pair] = []
    goes: list[tuple[MatchedBy, bool, Relayed | None]] = [("ids or request", False, None), ("ids", True, None)]
    if told:
        goes.append(("path and time", True, _of_two_servers))
    for matched_by, loose, relayed in goes:
        used = {pair.front.mark.place for pair in found} | {pair.back.mark.place for pair in found}
        prints = [_loosened(call.mark) if loose else call.mark for call in calls if call.mark.place not in used]
        found += [
            Pair(by_place[one.place], by_place[two.place], matched_by)
            for two, one in match(prints, relayed)
            if one.place in by_place and two.place in by_place
        ]
    return _one_to_one(found)


def _of_two_servers(back: CallPrint, front: CallPrint) -> bool:
    """Two servers were asked (`wirecase.rules.leg_match` has seen to it)."""
    return back.server != front.server


def _by_unique_ids(front: Sequence[LegCall], back: Sequence[LegCall]) -> list[Pair]:
    """Pair calls whose ids no other call of their leg has for the path; a proxy may have changed their bytes."""
    sides: list[dict[tuple[str, frozenset[int]], list[LegCall]]] = []
    for calls in (front, back):
        by_ids: dict[tuple[str, frozenset[int]], list[LegCall]] = defaultdict(list)
        for call in calls:
            if call.mark.ids:
                by_ids[call.path, call.mark.ids].append(call)
        sides.append(by_ids)
    found: list[Pair] = []
    for key, ones in sides[0].items():
        others = sides[1].get(key, ())
        if len(ones) == 1 and len(others) == 1:
            one, two = ones[0].mark.request, others[0].mark.request
            found.append(Pair(ones[0], others[0], "ids or request" if one == two else "ids"))
    return found


def _in_order(front: Sequence[LegCall], back: Sequence[LegCall], offset: int) -> list[Pair]:
    """Pair calls without ids that are all alike, as many on either leg, in their order.

    Only where every pair came to the same end: so a pair that is wrong accuses nobody.
    """
    sides: list[dict[str, list[LegCall]]] = []
    for calls in (front, back):
        by_path: dict[str, list[LegCall]] = defaultdict(list)
        for call in sorted(calls, key=lambda one: one.opened.time):
            by_path[call.path].append(call)
        sides.append(by_path)
    found: list[Pair] = []
    for path, ones in sides[0].items():
        others = sides[1].get(path, [])
        if len(ones) < 2 or len(ones) != len(others) or any(call.mark.ids for call in (*ones, *others)):
            continue
        if all(_same_end(one, two, offset) for one, two in zip(ones, others, strict=True)):
            found += [Pair(one, two, "path and time") for one, two in zip(ones, others, strict=True)]
    return found


def _same_end(front: LegCall, back: LegCall, offset: int) -> bool:
    """Tell whether two calls may be one by their time, and differ in nothing that matters."""
    if abs(back.opened.time - offset - front.opened.time) > _SLACK + LATE:
        return False
    one, two = front.response_body, back.response_body
    return (
        front.mark.request == back.mark.request
        and (front.how, front.status, front.code, front.by) == (back.how, back.status, back.code, back.by)
        and (one.size, one.digest) == (two.size, two.digest)
    )


def _one_to_one(pairs: list[Pair]) -> list[Pair]:
    """Keep one call behind for each in front, the last: those before it were attempts that the proxy repeated."""
    latest: dict[tuple[int, int], Pair] = {}
    for pair in pairs:
        before = latest.get(pair.front.mark.place)
        if before is None or pair.back.opened.time >= before.back.opened.time:
            latest[pair.front.mark.place] = pair
    return sorted(latest.values(), key=lambda pair: pair.front.call)


def _left(calls: Sequence[LegCall], used: Sequence[LegCall]) -> list[LegCall]:
    gone = {id(one) for one in used}
    return [call for call in calls if id(call) not in gone]


def _facing(back: CallPrint, front: CallPrint) -> bool:
    """Which leg is which was told: front leg first."""
    return front.source == 0 and front.server.startswith("front") and back.server.startswith("back")


def _aligned(front: list[LegCall], back: list[LegCall], offset: int, *, loose: bool) -> list[CallPrint]:
    """Return prints of both legs as if one capture held them, by the front leg's clock."""
    highest = max((call.mark.place[0] for call in front), default=0) + 1
    made: list[CallPrint] = []
    for number, call in enumerate(front):
        mark = _loosened(call.mark) if loose else call.mark
        made.append(mark._replace(call=number, source=0, server=f"front {mark.server}"))
    for number, call in enumerate(back, len(front)):
        mark = _loosened(call.mark) if loose else call.mark
        made.append(
            mark._replace(
                call=number, source=0, server=f"back {mark.server}",
                place=(mark.place[0] + highest, mark.place[1]), start=mark.start - offset,
                end=None if mark.end is None else mark.end - offset,
            )
        )  # fmt: skip
    return made


def _loosened(mark: CallPrint) -> CallPrint:
    """Leave out the bytes where an id speaks: a proxy may have changed them."""
    return mark._replace(request=None, response=None) if mark.ids else mark._replace(response=None)


def _alone(front: list[LegCall], back: list[LegCall], offset: int) -> list[Pair]:
    """Pair calls that have nobody else on their path at their time, on either leg."""
    by_path: dict[str, list[LegCall]] = defaultdict(list)
    for call in sorted(front, key=lambda one: one.opened.time):
        by_path[call.path].append(call)
    starts = {path: [call.opened.time for call in calls] for path, calls in by_path.items()}
    fits: dict[int, list[LegCall]] = {}
    counted: dict[int, int] = defaultdict(int)
    for call in back:
        fits[id(call)] = fitting(call, by_path.get(call.path, []), starts.get(call.path, []), offset)
        for one in fits[id(call)]:
            counted[id(one)] += 1
    found: list[Pair] = []
    for call in back:
        fit = fits[id(call)]
        if len(fit) == 1 and counted[id(fit[0])] == 1 and not _told_apart(fit[0], call):
            found.append(Pair(fit[0], call, "path and time"))
    return found


def fitting(call: LegCall, front: Sequence[LegCall], starts: Sequence[int], offset: int) -> list[LegCall]:
    """Return the front calls, of the same path and in the order of `starts`, in whose time a back call lies."""
    start = call.opened.time - offset
    stop = bisect_right(starts, start + _SLACK)
    found: list[LegCall] = []
    for one in front[max(stop - _SEARCHED, bisect_left(starts, start - 3_600_000_000_000)) : stop]:
        if one.ended is None or start <= one.ended.time + max(SLOP, LATE):
            found.append(one)
    return found


def _told_apart(front: LegCall, back: LegCall) -> bool:
    """Tell whether what both calls carry says that they are two: ids of their own."""
    one, two = front.mark.ids, back.mark.ids
    return bool(one and two and len(one) == len(two) and not one & two)
