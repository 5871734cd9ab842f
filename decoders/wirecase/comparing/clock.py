"""The offset between the clocks of two captures, from calls that both of them hold.

Theory (the same as NTP's, RFC 5905 §8, over many exchanges). A request is seen in front before it is seen behind, an
answer behind before in front. With the back clock ahead by `o`, a request is measured `o + d` late and an answer
``d' - o``, and neither delay is negative. So ``o`` is at most the least measured for requests, and at least the
negative of the least measured for answers: the middle is the estimate, half the distance its uncertainty.

Before any call is matched, the offset is only looked for roughly: each two calls that may be one propose the difference
of their times, and the true one is proposed over and over.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence

from wirecase.comparing.model import Clock, Direction, Latency, LegCall, Pair
from wirecase.rules.leg_match import CLOCKS

_WINDOW = 20_000_000
"""How close to each other proposals for the rough offset must lie, ns."""
_ALIKE = 128
"""Calls of one kind that propose differences with each other."""
_PROPOSALS = 200_000
_AGREEING = 8
"""So many calls that share neither id nor request must propose an offset that clocks should not have."""


def rough_offset(front: Sequence[LegCall], back: Sequence[LegCall]) -> int | None:
    """Return about how far the back clock is ahead, ns; None if no two calls may be one."""
    proposals = _unique(front, back)
    if len(proposals) < 2:
        proposals += _all(front, back)
    if not proposals:
        return None
    proposals.sort()
    best, at = 0, 0
    for i, value in enumerate(proposals):
        count = bisect_right(proposals, value + _WINDOW) - i
        if count > best:
            best, at = count, i
    if abs(proposals[at]) > CLOCKS and best < _AGREEING and not _share(front, back):
        return None  # calls for the same path at other times are other calls, unless so many keep step
    return proposals[at]


def _keys(call: LegCall) -> Iterable[tuple[object, ...]]:
    for one in call.mark.ids:
        yield (call.path, one)
    if call.mark.request is not None and call.mark.asked and call.mark.request[0] > 5:
        yield (call.path, "bytes", call.mark.request)


def _share(front: Sequence[LegCall], back: Sequence[LegCall]) -> bool:
    """Tell whether any call has an id, or a request, that one of the other leg has."""
    return not {key for call in front for key in _keys(call)}.isdisjoint(key for call in back for key in _keys(call))


def _unique(front: Sequence[LegCall], back: Sequence[LegCall]) -> list[int]:
    """Return the differences between calls that share an id, or a request, which no other call has."""
    sides: list[dict[tuple[object, ...], list[LegCall]]] = []
    for calls in (front, back):
        by_key: dict[tuple[object, ...], list[LegCall]] = defaultdict(list)
        for call in calls:
            for key in _keys(call):
                by_key[key].append(call)
        sides.append(by_key)
    found: set[tuple[int, int, int]] = set()
    for key, calls in sides[0].items():
        others = sides[1].get(key, ())
        if len(calls) == 1 and len(others) == 1:
            one, two = calls[0], others[0]
            found.add((two.opened.time - one.opened.time, one.call, two.call))
    return [difference for difference, _, _ in found]


def _all(front: Sequence[LegCall], back: Sequence[LegCall]) -> list[int]:
    """Return the differences between all calls for the same path."""
    by_path: dict[str, list[int]] = defaultdict(list)
    for call in front:
        times = by_path[call.path]
        if len(times) < _ALIKE:
            times.append(call.opened.time)
    taken: dict[str, int] = defaultdict(int)
    found: list[int] = []
    for call in back:
        if taken[call.path] >= _ALIKE or call.path not in by_path or len(found) >= _PROPOSALS:
            continue
        taken[call.path] += 1
        found += [call.opened.time - time for time in by_path[call.path]]
    return found


def _delays(pair: Pair) -> tuple[list[int], list[int]]:
    """Return what was measured for frames of the request and of the answer, back time minus front and the reverse."""
    front, back = pair.front, pair.back
    asked = [back.opened.time - front.opened.time]
    if front.asked is not None and back.asked is not None:
        asked.append(back.asked - front.asked)
    answered: list[int] = []
    if _relayed_answer(pair):
        assert front.response is not None
        assert back.response is not None
        answered.append(front.response.excerpt.mark.time - back.response.excerpt.mark.time)
        if front.in_order and back.in_order and front.ended and back.ended and front.status == back.status:
            answered.append(front.ended.time - back.ended.time)
    return asked, answered


def _relayed_answer(pair: Pair) -> bool:
    """Tell whether the front leg's response headers were made for the back leg's."""
    front, back = pair.front, pair.back
    if front.response is None or back.response is None or front.http_status != back.http_status:
        return False
    return front.response.get(b"content-type") == back.response.get(b"content-type")


def estimate(pairs: Sequence[Pair], *, same: bool) -> Clock:
    """Return how the two clocks differ."""
    if same:
        return Clock(samples=len(pairs))
    highest: int | None = None
    lowest: int | None = None
    samples = 0
    for pair in pairs:
        asked, answered = _delays(pair)
        samples += len(asked) + len(answered)
        for value in asked:
            highest = value if highest is None else min(highest, value)
        for value in answered:
            lowest = -value if lowest is None else max(lowest, -value)
    if highest is None:
        return Clock(uncertainty=None, same=False)
    if lowest is None:
        return Clock(highest, None, samples, same=False)
    width = highest - lowest
    return Clock((highest + lowest) // 2, (abs(width) + 1) // 2, samples, same=False, consistent=width >= 0)


def latencies(pairs: Sequence[Pair], clock: Clock) -> list[Latency]:
    """Return the time that the way between the legs adds, per direction, by the front leg's clock."""
    times: dict[Direction, list[int]] = {"request": [], "response": [], "end": []}
    for pair in pairs:
        front, back = pair.front, pair.back
        times["request"].append(back.opened.time - clock.offset - front.opened.time)
        if _relayed_answer(pair):
            assert front.response is not None
            assert back.response is not None
            times["response"].append(
                front.response.excerpt.mark.time - (back.response.excerpt.mark.time - clock.offset)
            )
        if front.in_order and back.in_order and front.ended is not None and back.ended is not None:
            times["end"].append(front.ended.time - (back.ended.time - clock.offset))
    found: list[Latency] = []
    for direction, measured in times.items():
        values = sorted(measured)
        if values:
            found.append(Latency(direction, len(values), values[0], values[len(values) // 2], values[-1]))
    return found
