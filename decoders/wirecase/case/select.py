"""Which part of a recording makes the case: a finding with its causes and consequences, or calls asked for."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from wirecase.case.carry import HPACK_RULES, WHOLE_CONNECTION, why_not
from wirecase.case.plan import Plan
from wirecase.errors import UsageError
from wirecase.http2.facts import HEADERS, ControlFrame, HeaderBlock
from wirecase.model import CLIENT, SERVER, Diagnosis, Finding, Mark, Marks
from wirecase.session.call import Call
from wirecase.session.session import Session

MOST_CALLS = 10_000
"""Calls that a case can be asked for at once."""

CallFilter = Callable[[Call, list[Finding]], bool]


@dataclass(slots=True)
class Selection:
    """What was asked for. Without anything: the first root cause with all that it explains, or else all calls."""

    finding: str | None = None
    """``F1`` …"""
    call: int | None = None
    """A call's number."""
    where: CallFilter | None = None
    """Says which calls are wanted."""
    context: int = 0
    """Neighbour calls to keep before and after each one, on the same connection."""

    @property
    def by_call(self) -> bool:
        """Calls are asked for, not findings."""
        return self.call is not None or self.where is not None


@dataclass(slots=True)
class Scout:
    """What the first pass notes for the second: the sides that each connection shows, and where the calls are."""

    selection: Selection
    shown: array[int] = field(default_factory=lambda: array("B"))
    """By connection: 1 if the client's packets are there, 2 if the server's are."""
    calls: list[tuple[int, int, int]] = field(default_factory=list)
    """(call, connection, stream) of the calls asked for."""

    def closed(self, session: Session) -> None:
        """Note a connection that is over (`wirecase.pipeline.Closed`)."""
        missing = session.index + 1 - len(self.shown)
        if missing > 0:
            self.shown.frombytes(bytes(missing))
        self.shown[session.index] = session.can_be_read(CLIENT) | session.can_be_read(SERVER) << 1

    def on_call(self, call: Call, findings: list[Finding]) -> None:
        """Note a call if it is asked for (`wirecase.pipeline.OnCall`)."""
        selection = self.selection
        if call.index == selection.call or (selection.where is not None and selection.where(call, findings)):
            if len(self.calls) <= MOST_CALLS:
                self.calls.append((call.index, call.session.index, call.stream.id))

    def sides(self, index: int) -> tuple[bool, bool]:
        """Return which sides of a connection are there; both where that is not known."""
        seen = self.shown[index] if index < len(self.shown) else 0
        return (bool(seen & 1), bool(seen & 2)) if seen else (True, True)


def findings_of(found: Diagnosis, scout: Scout) -> list[Finding]:
    """Return the findings that the case is to show. Raises UsageError if there is nothing of what was asked for."""
    selection = scout.selection
    findings = found.findings
    if selection.by_call:
        if not scout.calls:
            raise UsageError(
                f"there is no call {selection.call}: the capture holds {found.calls.total}"
                if selection.call is not None
                else "no call matches the filter"
            )
        if len(scout.calls) > MOST_CALLS:
            raise UsageError(f"more than {MOST_CALLS:,} calls match the filter: narrow it down")
        numbers = {number for number, _, _ in scout.calls}
        return [one for one in findings if one.call in numbers or any(o.call in numbers for o in one.occurrences)]
    by_id = {one.id: one for one in findings}
    wanted = selection.finding
    if wanted is None:
        wanted = _first(found)
    one = by_id.get(wanted) or by_id.get(wanted.upper())
    if one is None:
        raise UsageError(
            f"there is no finding {wanted}: " + (f"F1 to F{len(findings)}" if findings else "the capture shows none")
        )
    return _with_chain(one, findings, by_id)


def _first(found: Diagnosis) -> str:
    """Return the root cause that matters most: limits of the capture are none if there is anything else.

    There is at least one finding.
    """
    faults = [one.id for one in found.findings if not one.rule.startswith("obs-")]
    roots = [one for one in found.verdict.root_causes if one in faults]
    carried = [one.id for one in found.findings if why_not(one.rule) is None]
    return next(choice[0] for choice in (roots, carried, faults, [one.id for one in found.findings]) if choice)


def _with_chain(one: Finding, findings: list[Finding], by_id: dict[str, Finding]) -> list[Finding]:
    """Return a finding with its causes and everything that it explains, in the order of the report."""
    chosen = {one.id}
    above = one
    while above.caused_by is not None and above.caused_by not in chosen and above.caused_by in by_id:
        above = by_id[above.caused_by]
        chosen.add(above.id)
    causes = chosen - {one.id}
    below = {one.id}
    grown = True
    while grown:
        more = {other.id for other in findings if other.caused_by in below} - below
        below |= more
        grown = bool(more)
    wanted = causes | below
    return [other for other in findings if other.id in wanted]


def plan_of(chosen: Iterable[Finding], scout: Scout) -> Plan:
    """Return what to keep for these findings, and for the calls that were asked for."""
    plan = Plan()
    numbers = {number for number, _, _ in scout.calls}
    for one in chosen:
        places = [(o.connection, o.stream, o.call) for o in one.occurrences]
        if one.connection is not None:
            places.append((one.connection.index, one.stream, one.call))
        for connection, stream, call in places:
            if connection is None or (numbers and call not in numbers):
                continue
            plan.add(connection, stream)
            if one.rule in WHOLE_CONNECTION:
                plan.keep_all(connection)
            if one.rule in HPACK_RULES:
                plan.connection(connection).plain_headers = True
    for _, connection, stream in scout.calls:
        plan.add(connection, stream)
    for index, kept in plan.connections.items():
        kept.shown = scout.sides(index)
        if not kept.streams:
            kept.streams = None  # a fault of the connection: all of it is its context
    return plan


class Neighbours:
    """Finds the calls next to those that are kept (`wirecase.http2.recorder.FrameRecorder`), for ``--context``."""

    def __init__(self, streams: set[int], count: int) -> None:
        self._streams = streams
        self._count = count
        self._before: deque[int] = deque(maxlen=count)
        self._owed = 0
        self.found: set[int] = set()

    def frame(self, frame: ControlFrame) -> None:
        """Look at a frame that opens a stream."""
        if frame.kind != HEADERS or frame.side == SERVER:
            return
        stream = frame.stream
        if stream in self._streams:
            self.found.update(self._before)
            self._owed = self._count
        elif self._owed:
            self.found.add(stream)
            self._owed -= 1
        self._before.append(stream)

    def data(self, frame: ControlFrame, length: int) -> None:
        """Nothing to do."""

    def more(self, side: int, data: bytes, marks: Marks) -> None:
        """Nothing to do."""

    def block(self, frame: ControlFrame, block: HeaderBlock) -> None:
        """Nothing to do."""

    def gap(self, side: int, length: int, mark: Mark) -> None:
        """Nothing to do."""
