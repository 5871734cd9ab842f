"""What the client said about its calls, held against what they were answered with.

The client need not know how often its library tried: its lines are paired with the live calls of the same path (or of
the same number) where there are as many of both; where there are fewer lines, only what follows from the counts alone
is concluded. Each success needs an answer of its own: with more of them than there are answers without a fault, some
broken one was taken for a success, whatever the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from wirecase.replay.judge.calls import Scene, is_broken, may_succeed, names
from wirecase.replay.model import LiveCall, ReportedCall


@dataclass(slots=True)
class Said:
    """The client's lines about some calls."""

    calls: list[LiveCall]
    """In the order of their request headers."""
    lines: list[ReportedCall]
    paired: bool
    """The n-th line belongs to the n-th call."""
    by_call: dict[int, ReportedCall] = field(default_factory=dict)
    """Where paired: the line of each call, by its number."""

    @property
    def one_each(self) -> bool:
        """Each attempt that is on the wire was told as a call of its own."""
        return bool(self.lines) and len(self.lines) >= len(self.calls)

    @property
    def successes(self) -> int:
        """How many calls the client took for a success."""
        return sum(line.code == "OK" for line in self.lines)

    @property
    def unbroken(self) -> int:
        """How many answers carried no fault, whatever their status: no more successes than these can be right."""
        return len(self.calls) - sum(map(is_broken, self.calls))

    @property
    def sound(self) -> int:
        """How many answers may be taken for a success."""
        return sum(map(may_succeed, self.calls))

    def about(self, call: LiveCall) -> bool:
        """Tell whether its lines speak of `call`."""
        return any(one.number == call.number for one in self.calls)

    @property
    def accuses(self) -> bool:
        """Some broken answer must have been taken for a success.

        With more lines than calls some speak of calls that never came here, and nothing follows.
        """
        return self.unbroken < self.successes <= len(self.lines) <= len(self.calls)

    @property
    def agrees(self) -> bool:
        """There are no more successes than sound answers, and an error for every broken one."""
        failures = len(self.lines) - self.successes
        return self.successes <= self.sound and failures >= sum(map(is_broken, self.calls))


def said(scene: Scene) -> list[Said]:
    """Return the client's lines, each group with the calls that it speaks of; calls without a line are in none."""
    lines = scene.reported
    if not lines:
        return []
    calls = [call for call in scene.trace.calls if call.role != "housekeeping"]
    numbered = [line for line in lines if isinstance(line.call, int)]
    if numbered:
        last = {line.call: line for line in numbered}
        return [_group(calls, [last[number] for number in sorted(last, key=_as_int)], numbered=True)]
    groups = []
    for path in dict.fromkeys(call.path for call in calls):
        about = [line for line in lines if isinstance(line.call, str) and names(line.call, path)]
        if about:
            groups.append(_group([call for call in calls if call.path == path], about))
    return groups


def _as_int(number: int | str) -> int:
    return number if isinstance(number, int) else 0


def _group(calls: list[LiveCall], lines: list[ReportedCall], *, numbered: bool = False) -> Said:
    paired = len(calls) == len(lines) and not (_began_together(calls) if numbered else _overlap(calls))
    made = Said(calls, lines, paired)
    if paired:
        made.by_call = {call.number: line for call, line in zip(calls, lines, strict=True)}
    return made


def _overlap(calls: Sequence[LiveCall]) -> bool:
    """Tell whether one call was begun before the one before it was over: lines come in the order of the ends."""
    for before, after in pairwise(calls):
        ends = [one for one in (before.completed, before.broke_at, before.reset_at) if one is not None]
        if not ends or after.at < min(ends):
            return True
    return False


def _began_together(calls: Sequence[LiveCall]) -> bool:
    """Tell whether calls were begun before the ones before them had any answer.

    Numbers are given in the order in which a client begins its calls; which of its threads is the first on the wire is
    another matter.
    """
    for before, after in pairwise(calls):
        signs = (before.answered, before.completed, before.broke_at, before.reset_at)
        first = min((one for one in signs if one is not None), default=None)
        if first is None or after.at < first:
            return True
    return False


def line_of(groups: Sequence[Said], call: LiveCall) -> ReportedCall | None:
    """Return the line that belongs to `call`, None if none can be told to."""
    for group in groups:
        if call.number in group.by_call:
            return group.by_call[call.number]
        if group.about(call) and not group.successes and group.agrees:
            return group.lines[0]  # all of them say that it failed
    return None
