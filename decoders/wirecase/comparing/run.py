"""Reads one capture or two, pairs their calls, and says what the proxy between the legs did to them."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from wirecase import __version__, pipeline
from wirecase.comparing.blame import Blame, blame
from wirecase.comparing.bodies import Split, splits
from wirecase.comparing.clock import estimate, latencies, rough_offset
from wirecase.comparing.differences import Difference, differences
from wirecase.comparing.endings import ending_of, how_words
from wirecase.comparing.model import Change, Clock, Comparison, Fault, LegCall, Pair, Single, Totals
from wirecase.comparing.pairing import fitting, pairs_between, pairs_within
from wirecase.comparing.reading import LegCapture, read
from wirecase.comparing.verdict import headline
from wirecase.model import CLIENT, Evidence

_CALLS = 100
_ATTEMPTS = 64
"""Calls in front that are looked at for each one behind that is left over."""
_PAIRS = 1000
_KINDS = 1000
"""Kinds of differences that are told apart; a proxy that sets a new header for each call has no more."""


def compare(
    front: pipeline.Options,
    back: pipeline.Options | None = None,
    *,
    progress: pipeline.Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> Comparison:
    """Compare the two legs of a proxy's calls: two captures, or (without `back`) one that holds both.

    Raises as `wirecase.pipeline.diagnose` does.
    """
    one = read(front, progress, stop)
    if back is None:
        two, pairs = one, pairs_within(one.calls, told=True)
        singles = _within(one, pairs)
        clock = estimate(pairs, same=True)
    else:
        two = read(back, progress, stop)
        fronts, backs = _own_legs(one, front=True), _own_legs(two, front=False)
        rough = rough_offset(fronts, backs)
        pairs = [] if rough is None else pairs_between(fronts, backs, rough)
        clock = estimate(pairs, same=False)
        singles = _between(one, two, fronts, backs, pairs, clock)
    return _told(front, back, one, two, pairs, singles, clock, stop)


def _own_legs(capture: LegCapture, *, front: bool) -> list[LegCall]:
    """Return the calls of the leg that a capture is named for, where it holds both legs."""
    if len({call.mark.server for call in capture.calls}) < 2:
        return capture.calls
    found = pairs_within(capture.calls)
    other = {(pair.back if front else pair.front).mark.place for pair in found}
    return [call for call in capture.calls if call.mark.place not in other]


# ---- calls on one leg only -----------------------------------------------------------------------------------------


def _within(capture: LegCapture, pairs: Sequence[Pair]) -> tuple[list[Single], list[Single]]:
    """Return the calls of one capture that were asked of a proxy's front, and have no leg behind; and the reverse."""
    used = {pair.front.mark.place for pair in pairs} | {pair.back.mark.place for pair in pairs}
    fronts, backs = {pair.front.mark.server for pair in pairs}, {pair.back.mark.server for pair in pairs}
    attempts = _Attempts(pairs, 0)
    only_front: list[Single] = []
    only_back: list[Single] = []
    for call in capture.calls:
        if call.mark.place in used:
            continue
        if call.mark.server in fronts:
            only_front.append(Single(call, "no counterpart" if capture.clear else "not readable"))
        elif call.mark.server in backs:
            only_back.append(Single(call, "no counterpart", attempts.of(call)))
    return only_front, only_back


def _between(
    one: LegCapture, two: LegCapture, fronts: Sequence[LegCall], backs: Sequence[LegCall], pairs: Sequence[Pair],
    clock: Clock,
) -> tuple[list[Single], list[Single]]:  # fmt: skip
    """Return the calls of each capture that have no counterpart, and why not."""
    if not pairs:
        return [], []
    used = {pair.front.mark.place for pair in pairs}
    used_back = {pair.back.mark.place for pair in pairs}
    lonely = [call for call in fronts if call.mark.place not in used]
    others = [call for call in backs if call.mark.place not in used_back]
    by_path: dict[str, list[LegCall]] = defaultdict(list)
    for call in sorted(lonely, key=lambda call: call.opened.time):
        by_path[call.path].append(call)
    starts = {path: [call.opened.time for call in calls] for path, calls in by_path.items()}
    attempts = _Attempts(pairs, clock.offset)
    crowded: set[int] = set()
    only_back: list[Single] = []
    for call in others:
        fit = fitting(call, by_path.get(call.path, []), starts.get(call.path, []), clock.offset)
        crowded |= {id(one) for one in fit}
        attempt = attempts.of(call)
        only_back.append(
            Single(
                call,
                "several fit" if fit
                else "outside" if not one.covers(call.opened.time - clock.offset)
                else "no counterpart" if one.clear
                else "not readable",
                attempt,
            )
        )  # fmt: skip
    only_front: list[Single] = []
    for call in lonely:
        if id(call) in crowded:
            only_front.append(Single(call, "several fit"))
        elif not two.covers(call.opened.time + clock.offset):
            only_front.append(Single(call, "outside"))
        else:
            only_front.append(Single(call, "no counterpart" if two.clear else "not readable"))
    return only_front, only_back


class _Attempts:
    """Tells whether a call behind that has no front of its own was made for one that has another."""

    def __init__(self, pairs: Sequence[Pair], offset: int) -> None:
        self._offset = offset
        self._pairs: dict[str, list[Pair]] = defaultdict(list)
        for pair in sorted(pairs, key=lambda pair: pair.front.opened.time):
            self._pairs[pair.front.path].append(pair)
        self._starts = {path: [one.front.opened.time for one in listed] for path, listed in self._pairs.items()}

    def of(self, call: LegCall) -> int | None:
        """Return the front call that `call` was made for as well: the proxy tried more than once."""
        start = call.opened.time - self._offset
        stop = bisect_right(self._starts.get(call.path, ()), start)
        for pair in self._pairs.get(call.path, [])[max(stop - _ATTEMPTS, 0) : stop]:
            front = pair.front
            if front.ended is not None and start > front.ended.time:
                continue
            same = call.mark.request is not None and call.mark.request == pair.back.mark.request
            if call.mark.ids & front.mark.ids or (same and call.mark.request != (0, 0)):
                return front.call
        return None


# ---- what is told --------------------------------------------------------------------------------------------------


class _Book:
    """Gathers what pairs differ in, by kind, and who is at fault."""

    def __init__(self, shift: int) -> None:
        self.changes: dict[tuple[Any, ...], Change] = {}
        self.faults: dict[tuple[Any, ...], Fault] = {}
        self._shift = shift

    def _behind(self, evidence: Iterable[Evidence]) -> list[Evidence]:
        return [one if one.source is None else replace(one, source=one.source + self._shift) for one in evidence]

    def difference(self, pair: Pair, found: Difference) -> None:
        """Take one difference."""
        key = (found.kind, found.severity, found.key)
        change = self.changes.get(key)
        if change is None:
            if len(self.changes) >= _KINDS:
                return
            change = self.changes[key] = Change(
                found.kind, found.severity, found.title, found.text, found.front, self._behind(found.back),
                found.details,
            )  # fmt: skip
        change.count += 1
        if len(change.calls) < _CALLS:
            change.calls.append((pair.front.call, pair.back.call))

    def fault(self, found: Blame, front: int | None, back: int | None, key: object) -> None:
        """Take one call's verdict."""
        one = self.faults.get((found.hop, found.certainty, key))
        if one is None:
            if len(self.faults) >= _KINDS:
                return
            one = self.faults[found.hop, found.certainty, key] = Fault(
                found.hop, found.certainty, found.why, found.front, self._behind(found.back)
            )
        one.count += 1
        if len(one.calls) < _CALLS:
            one.calls.append((front, back))

    def locate(self, where: dict[int, list[Split]]) -> None:
        """Put the bytes where bodies begin to differ in front of the evidence of changes of bodies."""
        for change in self.changes.values():
            if not change.calls or "front_bytes" not in change.details or change.severity != "error":
                continue
            for split in where.get(change.calls[0][0] or 0, ()):
                if (split.side == CLIENT) == change.kind.startswith("request"):
                    change.front[:0], change.back[:0] = split.front, split.back
                    change.details["first_difference"] = split.offset


def _told(
    front: pipeline.Options, back: pipeline.Options | None, one: LegCapture, two: LegCapture, pairs: list[Pair],
    singles: tuple[list[Single], list[Single]], clock: Clock, stop: Callable[[], bool] | None,
) -> Comparison:  # fmt: skip
    shift = 0 if back is None else len(one.diagnosis.sources)
    book = _Book(shift)
    pairs.sort(key=lambda pair: pair.front.call)
    for pair in pairs:
        for one_more in differences(pair, clock):
            book.difference(pair, one_more)
            pair.changes.append(one_more.kind)
            pair.breaks = pair.breaks or one_more.severity == "error"
        verdict = blame(pair, clock)
        if verdict is not None:
            pair.hop = verdict.hop
            book.fault(verdict, pair.front.call, pair.back.call, verdict.why)
    _blame_unreached(book, singles[0])
    changed = [
        pair
        for pair in pairs
        if "body-replaced" in pair.changes or (pair.breaks and False in (pair.request_equal, pair.response_equal))
    ]
    book.locate(splits(changed, front, back, shift, stop))
    order = {"error": 0, "warning": 1, "info": 2}
    changes = sorted(book.changes.values(), key=lambda change: (order[change.severity], -change.count, change.kind))
    faults = sorted(book.faults.values(), key=lambda fault: (-fault.count, fault.hop))
    totals = _totals(one, two, pairs, singles, own=back is None)
    lost = [single for single in singles[0] if single.reason == "no counterpart"]
    captures = [one] if back is None else [one, two]
    infos = [info for capture in captures for info in capture.diagnosis.sources]
    found = Comparison(
        version=__version__, sources=infos,
        front=list(range(len(one.diagnosis.sources))),
        back=list(range(shift, shift + len(two.diagnosis.sources))),
        headline="", breaks=bool(lost) or any(pair.breaks for pair in pairs), clock=clock, totals=totals,
        latency=latencies(pairs, clock), changes=changes, faults=faults,
        pairs=sorted(pairs, key=lambda pair: (not pair.breaks, pair.hop is None, not pair.changes, pair.front.call))[
            :_PAIRS
        ],
        only_front=singles[0][:_CALLS], only_back=singles[1][:_CALLS],
        interrupted=any(capture.diagnosis.interrupted for capture in captures),
        failures=[text for capture in captures for text in capture.diagnosis.failures],
    )  # fmt: skip
    found.headline = headline(found, len(lost))
    return found


def _blame_unreached(book: _Book, only_front: Sequence[Single]) -> None:
    """Say who is at fault for calls that never went on behind the proxy."""
    for single in only_front:
        leg = single.leg
        if single.reason != "no counterpart" or (leg.by == CLIENT and leg.how in ("rst", "fin", "tcp-rst")):
            continue
        told = f"HTTP {leg.http_status}" if leg.http_status not in (None, 200) else how_words(leg)
        if leg.status is not None:
            told = f"grpc-status {leg.status}"
        why = f"The call never went on behind the proxy: in front the client gets {told}."
        if told == how_words(leg):
            why = f"The call never went on behind the proxy: in front {told}."
        book.fault(Blame("proxy", "probable", why, ending_of(leg, "in front"), []), leg.call, None, why)


def _totals(
    one: LegCapture, two: LegCapture, pairs: Sequence[Pair], singles: tuple[list[Single], list[Single]], *, own: bool
) -> Totals:
    only_front, only_back = singles
    several = sum(single.reason == "several fit" for single in only_front)
    return Totals(
        front=len(pairs) + len(only_front) if own else one.seen,
        back=len(pairs) + len(only_back) if own else two.seen,
        matched=len(pairs),
        same=sum(not pair.breaks for pair in pairs),
        broken=sum(pair.breaks for pair in pairs),
        only_front=sum(single.reason == "no counterpart" for single in only_front),
        only_back=sum(single.reason == "no counterpart" and single.attempt_of is None for single in only_back),
        retries=sum(single.attempt_of is not None for single in only_back),
        ambiguous=several,
        beyond=one.beyond + (0 if own else two.beyond),
    )
