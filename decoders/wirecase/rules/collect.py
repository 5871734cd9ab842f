"""Runs the rules over what is closed and gathers their matches into findings.

Matches of the same rule, connection and key become one finding that counts them and lists the first 100 places.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from wirecase.model import CallTotals, Evidence, Finding, FormFacts, Leg, Mark, Occurrence
from wirecase.rules import ALL_RULES, drops
from wirecase.rules.base import Match, Rule
from wirecase.rules.cause_table import BREACH
from wirecase.rules.causes import link
from wirecase.rules.clients.chain import spare_consequences
from wirecase.rules.clients.checked import marked
from wirecase.rules.forms import forget_missing_times, form_of, is_hidden, temper
from wirecase.rules.ids import correlation_ids
from wirecase.rules.legs import LegBook, Legs
from wirecase.session.call import Call
from wirecase.session.run import Run
from wirecase.session.session import Session

_OCCURRENCES = 100
_FINDINGS = 5_000
"""Findings that are kept; a capture with more has said what it has to say."""
_FAILED = {"error", "warning"}

_CALL_RULES = tuple(rule for rule in ALL_RULES if rule.scope == "call")
_SESSION_RULES = tuple(rule for rule in ALL_RULES if rule.scope == "session")
_RUN_RULES = tuple(rule for rule in ALL_RULES if rule.scope == "run")


class Collector:
    """The findings of one run, as they come."""

    def __init__(
        self, *, prints: bool = False, forms: dict[int, FormFacts] | None = None,
        found: Callable[[Finding, Session | None, Call | None, int | None], None] | None = None,
    ) -> None:  # fmt: skip
        """Begin with nothing found.

        `prints` tells whether all calls are shown, so that their legs can be found. `forms` are the sources that are no
        packet captures, by their number; it may grow. `found` is told of every match when it is made.
        """
        self._told = found
        self._forms = forms if forms is not None else {}
        self.prints = prints
        self._findings: dict[tuple[Any, ...], Finding] = {}
        self._defects: set[str] = set()
        self.dropped = 0
        """Findings that were not kept."""
        self.book = LegBook()

    def call(self, call: Call, totals: CallTotals) -> list[Finding]:
        """Judge one closed call, count it, and return the findings that it is one occurrence of."""
        session = call.session
        named: list[Finding] = []
        failed = False
        for rule in _CALL_RULES:
            for match in self._matches(rule, call):
                failed = failed or match.severity in _FAILED
                mark = match.mark or _mark_of(match.evidence)
                finding = self._add(rule, match, session, call, call.stream.id, mark)
                if finding is not None:
                    named.append(finding)
                session.rules_fired[rule.id] = session.rules_fired.get(rule.id, 0) + match.count
        status = call.grpc_status
        if not failed and _end_unseen(call):
            totals.unfinished += 1
            outcome = "unfinished"
        elif not failed and status == 0:
            totals.ok += 1
            session.calls_ok += 1
            outcome = "ok"
        else:
            totals.failed += 1
            session.calls_failed += 1
            outcome = "failed"
        if self.prints:
            self.book.call(call, outcome)
        return named

    def healthy(self, call: Call) -> None:
        """Take a call that no rule has to look at."""
        if self.prints:
            self.book.call(call, "ok")

    def session(self, session: Session) -> None:
        """Judge one closed connection."""
        self.book.session(session)
        for rule in _SESSION_RULES:
            for match in self._matches(rule, session):
                self._add(rule, match, session, None, match.stream, match.mark or _mark_of(match.evidence))

    @property
    def so_far(self) -> list[Finding]:
        """The findings up to now, in the order in which they came up; no causes are linked and none has an id."""
        return list(self._findings.values())

    def forget(self, most: int) -> list[Finding]:
        """Keep `most` findings, the newest, for a run that has no end; return those that were let go.

        Findings that span connections stay.
        """
        excess = len(self._findings) - most
        if excess <= 0:
            return []
        old = [key for key in self._findings if not isinstance(key[1], str)][:excess]
        return [self._findings.pop(key) for key in old]

    def finish(self, run: Run, legs: Legs | None = None) -> list[Finding]:
        """Judge the whole run, link causes and consequences, and number the findings."""
        legs = legs or Legs()
        run.findings = list(self._findings.values())
        run.leg_pairs, run.leg_refs = legs.pairs, legs.refs
        for rule in _RUN_RULES:
            for match in self._matches(rule, run):
                self._add(rule, match, None, None, match.stream, match.mark or _mark_of(match.evidence))
        findings = sorted(self._findings.values(), key=_order)
        if drops.lost_in(run):
            drops.temper(findings, run)
        for number, finding in enumerate(findings, 1):
            finding.id = f"F{number}"
        link(findings, legs)
        if legs:
            for finding in findings:
                finding.legs = _legs(finding, legs)
        spare_consequences(findings, BREACH)
        _spare_proxies(findings)
        if self._forms:
            forget_missing_times(findings)
        run.findings = findings
        return findings

    # ---- matches -----------------------------------------------------------------------------------------------

    def _matches(self, rule: Rule, subject: Any) -> list[Match]:
        """Return what a rule finds; a rule that crashes is reported and costs nothing but itself."""
        form = form_of(subject, self._forms) if self._forms else None
        if form is not None and is_hidden(rule.id, form, subject):
            return []
        try:
            found = list(rule.check(subject))
            if form is not None:
                for match in found:
                    temper(match, rule.id, form)
            return found
        except Exception as error:  # noqa: BLE001 - whatever a rule does wrong, the others go on
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
            if rule.id in self._defects:
                return []
            self._defects.add(rule.id)
            return [
                Match(
                    severity="info", certainty="certain", who=["unknown"], key="defect",
                    title=f"The rule {rule.id} failed on this capture: a defect of wirecase",
                    explanation=f"{type(error).__name__} at {where}: {error}. The other rules are not affected.",
                    evidence=[], details={"defect": f"{type(error).__name__}: {error}", "where": where},
                )
            ]  # fmt: skip

    def _add(
        self,
        rule: Rule,
        match: Match,
        session: Session | None,
        call: Call | None,
        stream: int | None,
        mark: Mark | None,
    ) -> Finding | None:
        index = session.index if session else match.place[0].index if match.place else None
        where_at = match.across if match.across is not None else index
        key = (rule.id, where_at, match.severity, match.key)
        finding = self._findings.get(key)
        if finding is None:
            if len(self._findings) >= _FINDINGS:
                self.dropped += 1
                return None
            finding = self._findings[key] = _finding(rule, match, session, call, stream, mark)
        else:
            finding.count += match.count
        if self._told is not None:
            self._told(finding, session, call, stream)
        places = [(stream, mark), *match.streams]
        for number, where in places[: _OCCURRENCES - len(finding.occurrences)]:
            finding.occurrences.append(
                Occurrence(
                    connection=index,
                    stream=number,
                    call=call.index if call else match.place[1] if match.place else None,
                    path=call.path if call else match.place[2] if match.place else None,
                    packet=where.packet if where else None,
                    time=where.time if where else None,
                )
            )
        return finding


def _finding(
    rule: Rule, match: Match, session: Session | None, call: Call | None, stream: int | None, mark: Mark | None
) -> Finding:
    ref, number, path = match.place or (None, None, None)
    if session is not None:
        ref, number, path = session.ref, call.index if call else None, call.path if call else None
    return Finding(
        rule=rule.id, severity=match.severity, certainty=match.certainty, title=match.title,
        explanation=match.explanation, who=match.who, connection=ref, stream=stream, call=number, path=path,
        time=mark.time if mark else None,
        count=match.count, details=match.details, evidence=match.evidence,
        client_sees=marked(rule.id, match.client_sees),
        retry_safe=match.retry_safe, retry_why=match.retry_why, fix=match.fix,
        ids=correlation_ids(frame.block for frame in call.stream.headers) if call else {},
        references=list(rule.references),
    )  # fmt: skip


def _legs(finding: Finding, legs: Legs) -> list[Leg]:
    """Return the legs of a finding's first call, where there is more than one."""
    if finding.connection is None or finding.stream is None:
        return []
    here = (finding.connection.index, finding.stream)
    chain = legs.chain(here)
    if len(chain) < 2:
        return []
    return [
        Leg(legs.refs[place[0]], place[1], legs.calls.get(place, finding.call if place == here else None))
        for place in chain
    ]


def _spare_proxies(findings: list[Finding]) -> None:
    """Leave out what clients log where a proxy is the client: on the legs whose faults explain those of another leg."""
    by_id = {finding.id: finding for finding in findings}
    behind: set[int | None] = set()
    for finding in findings:
        cause = by_id.get(finding.caused_by or "")
        if cause is None or cause.connection is None or finding.connection is None:
            continue
        if cause.connection.server != finding.connection.server:
            behind.update(place.connection for place in cause.occurrences)
    for finding in findings:
        if finding.connection is not None and all(place.connection in behind for place in finding.occurrences):
            finding.client_sees = []


def _end_unseen(call: Call) -> bool:
    """Tell whether the capture does not show how a call ended: it stops before, or hides the status."""
    how = call.ending.how if call.ending is not None else None
    return how == "open" or (call.grpc_status is None and (call.status_hidden or (call.blurred and how != "rst")))


def _mark_of(evidence: list[Evidence]) -> Mark | None:
    for item in evidence:
        if item.packet is not None and item.time is not None and item.source is not None:
            return Mark(item.source, item.packet, item.time, item.offset or 0)
    return None


_SEVERITY_ORDER = {"error": 0, "warning": 1, "info": 2}


def _order(finding: Finding) -> tuple[Any, ...]:
    """Errors first, then in the order of time, connection and stream: the same bytes give the same report."""
    return (
        _SEVERITY_ORDER[finding.severity], finding.time if finding.time is not None else 1 << 63,
        finding.connection.index if finding.connection else 1 << 31, finding.stream or 0, finding.rule,
        str(finding.details),
    )  # fmt: skip
