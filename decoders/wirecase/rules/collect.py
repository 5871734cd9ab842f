"""Runs the rules over what is closed and gathers their matches into findings.

Matches of the same rule, connection and key become one finding that counts them and lists the first 100 places.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from typing import Any

from wirecase.http2.facts import HeaderBlock
from wirecase.model import CallTotals, Evidence, Finding, Mark, Occurrence
from wirecase.rules import ALL_RULES
from wirecase.rules.base import Match, Rule
from wirecase.rules.causes import link
from wirecase.session.call import Call
from wirecase.session.run import Run
from wirecase.session.session import Session

_OCCURRENCES = 100
_FINDINGS = 5_000
"""Findings that are kept; a capture with more has said what it has to say."""
_CORRELATION = (
    b"traceparent", b"x-request-id", b"x-correlation-id", b"cf-ray", b"x-amzn-trace-id", b"x-amz-cf-id",
    b"x-b3-traceid", b"x-cloud-trace-context", b"x-envoy-attempt-count", b"grpc-trace-bin", b"request-id",
)  # fmt: skip
_FAILED = {"error", "warning"}

_CALL_RULES = tuple(rule for rule in ALL_RULES if rule.scope == "call")
_SESSION_RULES = tuple(rule for rule in ALL_RULES if rule.scope == "session")
_RUN_RULES = tuple(rule for rule in ALL_RULES if rule.scope == "run")


def correlation_ids(blocks: Iterable[HeaderBlock]) -> dict[str, str]:
    """Return the ids by which a call can be found in other systems."""
    found: dict[str, str] = {}
    for block in blocks:
        for name in _CORRELATION:
            value = block.get(name)
            if value is not None:
                found.setdefault(name.decode(), value[:256].decode("latin-1"))
    return found


class Collector:
    """The findings of one run, as they come."""

    def __init__(self) -> None:
        self._findings: dict[tuple[Any, ...], Finding] = {}
        self._defects: set[str] = set()
        self.dropped = 0
        """Findings that were not kept."""

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
        elif not failed and status == 0:
            totals.ok += 1
            session.calls_ok += 1
        else:
            totals.failed += 1
            session.calls_failed += 1
        return named

    def session(self, session: Session) -> None:
        """Judge one closed connection."""
        for rule in _SESSION_RULES:
            for match in self._matches(rule, session):
                self._add(rule, match, session, None, match.stream, match.mark or _mark_of(match.evidence))

    def finish(self, run: Run) -> list[Finding]:
        """Judge the whole run, link causes and consequences, and number the findings."""
        run.findings = list(self._findings.values())
        for rule in _RUN_RULES:
            for match in self._matches(rule, run):
                self._add(rule, match, None, None, match.stream, match.mark or _mark_of(match.evidence))
        findings = sorted(self._findings.values(), key=_order)
        for number, finding in enumerate(findings, 1):
            finding.id = f"F{number}"
        link(findings)
        _spare_proxies(findings)
        run.findings = findings
        return findings

    # ---- matches -----------------------------------------------------------------------------------------------

    def _matches(self, rule: Rule, subject: Any) -> list[Match]:
        """Return what a rule finds; a rule that crashes is reported and costs nothing but itself."""
        try:
            return list(rule.check(subject))
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
        where_at = match.across if match.across is not None else session.index if session else None
        key = (rule.id, where_at, match.severity, match.key)
        finding = self._findings.get(key)
        if finding is None:
            if len(self._findings) >= _FINDINGS:
                self.dropped += 1
                return None
            finding = self._findings[key] = _finding(rule, match, session, call, stream, mark)
        else:
            finding.count += match.count
        places = [(stream, mark), *match.streams]
        for number, where in places[: _OCCURRENCES - len(finding.occurrences)]:
            finding.occurrences.append(
                Occurrence(
                    connection=session.index if session else None,
                    stream=number,
                    call=call.index if call else None,
                    path=call.path if call else None,
                    packet=where.packet if where else None,
                    time=where.time if where else None,
                )
            )
        return finding


def _finding(
    rule: Rule, match: Match, session: Session | None, call: Call | None, stream: int | None, mark: Mark | None
) -> Finding:
    return Finding(
        rule=rule.id, severity=match.severity, certainty=match.certainty, title=match.title,
        explanation=match.explanation, who=match.who, connection=session.ref if session else None, stream=stream,
        call=call.index if call else None, path=call.path if call else None, time=mark.time if mark else None,
        count=match.count, details=match.details, evidence=match.evidence, client_sees=match.client_sees,
        retry_safe=match.retry_safe, retry_why=match.retry_why, fix=match.fix,
        ids=correlation_ids(frame.block for frame in call.stream.headers) if call else {},
        references=list(rule.references),
    )  # fmt: skip


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
