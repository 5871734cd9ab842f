"""Which finding explains which: one root cause on top, its consequences under it.

`cause_table` says what can follow from what, and within which scope: the same stream, the same connection, the leg
behind (a proxy's backend leg explains what its front leg answers; an inference where `legs` does not know the call's
own leg), or the same server shortly before.
The nearest scope wins, then the order of the table, then the nearest time. Information never causes anything, and a
consequence never becomes the cause of its own cause.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from wirecase.model import Finding, Link
from wirecase.rules.cause_table import HTTP, OWN_REASONS, TABLE, WAITS, Row
from wirecase.rules.legs import Legs

NS = 1_000_000_000
BACKEND = 1 * NS
"""How long before the front leg's answer the backend leg's fault may lie, ns."""
AT_ONCE = NS // 10
"""The same where the two legs carry the same request, ns."""
BACKEND_SLOW = 130 * NS
"""The same for faults that consist of waiting (SYN timeouts, silence)."""
AFTER = NS // 50
"""How long after the consequence a cause may be *seen*: two legs are captured at two places."""
SHARE = 0.5
"""Share of a finding's occurrences that must have a cause nearby on another connection."""
SAMPLED, LOOKED_AT = 25, 32
"""Places of a finding that are traced, and faults that are looked at for each: linking stays linear."""
SURE = {"certain": 0, "probable": 1, "possible": 2}
INFERRED = frozenset[Link](("moment", "server"))
"""Links that rest on the time alone."""
DOWN = 60 * NS
"""How long after a server's last sign of life its refusals are laid to the same event."""


class _Place(NamedTuple):
    """One occurrence."""

    time: int
    connection: int
    call: int | None
    path: str | None


class _Places(NamedTuple):
    """Where and when a finding was met."""

    streams: set[tuple[int, int]]
    connections: set[int]
    times: list[_Place]
    """Ascending."""


def _places(finding: Finding) -> _Places:
    streams: set[tuple[int, int]] = set()
    connections: set[int] = set()
    times: list[_Place] = []
    if finding.connection is not None:
        connections.add(finding.connection.index)
        if finding.stream is not None:
            streams.add((finding.connection.index, finding.stream))
    for place in finding.occurrences:
        if place.connection is None:
            continue
        connections.add(place.connection)
        if place.stream is not None:
            streams.add((place.connection, place.stream))
        time = place.time if place.time is not None else finding.time
        if time is not None:
            times.append(_Place(time, place.connection, place.call, place.path))
    return _Places(streams, connections, sorted(times, key=lambda at: at[:2]))


class _Linker:
    def __init__(self, findings: list[Finding], legs: Legs) -> None:
        self._findings = findings
        self._legs = legs
        self._places = {finding.id: _places(finding) for finding in findings}
        self._by_id = {finding.id: finding for finding in findings}
        self._on_stream: dict[tuple[int, int, str], list[Finding]] = defaultdict(list)
        self._on_connection: dict[tuple[int, str], list[Finding]] = defaultdict(list)
        self._by_rule: dict[str, list[Finding]] = defaultdict(list)
        self._by_time: dict[str, list[tuple[_Place, Finding]]] = {}
        for finding in findings:
            places = self._places[finding.id]
            self._by_rule[finding.rule].append(finding)
            for connection, stream in places.streams:
                self._on_stream[(connection, stream, finding.rule)].append(finding)
            for connection in places.connections:
                self._on_connection[(connection, finding.rule)].append(finding)

    def run(self) -> None:
        for finding in self._findings:
            row = TABLE.get(finding.rule)
            if row is not None and finding.caused_by is None:
                self._tie(finding, row)
        if self._legs.connections:
            for finding in self._findings:
                if finding.caused_by is None:
                    cause = self._copy(finding)
                    if cause is not None:
                        finding.caused_by, finding.link = cause.id, "leg"

    def _tie(self, finding: Finding, row: Row) -> None:
        """Name a finding's cause and what ties the two: the nearest scope that holds one."""
        scopes: tuple[tuple[Link, Callable[[Finding, Row], Finding | None]], ...] = (
            ("stream", self._on_same_stream), ("connection", self._on_same_connection), ("leg", self._on_leg),
            ("moment", self._behind), ("server", self._same_server),
        )  # fmt: skip
        for link, look in scopes:
            cause = look(finding, row)
            if cause is not None:
                finding.caused_by, finding.link = cause.id, link
                if link in INFERRED:
                    finding.explanation += _inferred(finding, cause, link)
                return

    # ---- the same stream or connection -------------------------------------------------------------------------

    def _on_same_stream(self, finding: Finding, row: Row) -> Finding | None:
        places = sorted(self._places[finding.id].streams)
        for rule in row.stream:
            for place in places:
                found = self._first(finding, self._on_stream.get((*place, rule), ()), reaction=row.reaction)
                if found:
                    return found
        return None

    def _on_same_connection(self, finding: Finding, row: Row) -> Finding | None:
        connections = sorted(self._places[finding.id].connections)
        for rule in row.connection:
            for connection in connections:
                found = self._first(finding, self._on_connection.get((connection, rule), ()), reaction=row.reaction)
                if found:
                    return found
        return None

    def _first(self, finding: Finding, candidates: Iterable[Finding], *, reaction: bool) -> Finding | None:
        """Return the best proven of the candidates that can explain a finding."""
        fitting = (
            cause
            for cause in candidates
            if self._may_cause(cause, finding) and not (reaction and not _can_provoke(cause, finding))
        )
        return min(fitting, key=lambda cause: SURE[cause.certainty], default=None)

    def _most_met(self, met: Counter[str]) -> Finding:
        """Return the finding that was met most often; of several the best proven, then the first."""
        return self._by_id[min(met, key=lambda name: (-met[name], SURE[self._by_id[name].certainty]))]

    def _may_cause(self, cause: Finding, finding: Finding) -> bool:
        return cause is not finding and cause.severity != "info" and not self._leads_to(cause, finding)

    def _leads_to(self, cause: Finding, finding: Finding) -> bool:
        """Tell whether `finding` is already a cause of `cause`."""
        seen: set[str] = set()
        step: Finding | None = cause
        while step is not None and step.id not in seen:
            if step is finding:
                return True
            seen.add(step.id)
            step = self._by_id.get(step.caused_by) if step.caused_by else None
        return False

    # ---- another leg of the same call --------------------------------------------------------------------------

    def _on_leg(self, finding: Finding, row: Row) -> Finding | None:
        """Find what explains a finding on the leg behind that its calls are known to have.

        Most of the calls that have such a leg must show it.
        """
        if not self._legs.fronts or not row.backend:
            return None
        backs = [back for place in sorted(self._places[finding.id].streams) for back in self._legs.backs.get(place, ())]
        backs = backs[:: -(-len(backs) // SAMPLED) or 1]
        for rule in (finding.rule, *row.backend):
            seen = Counter[str]()
            for connection, stream in backs:
                nearby = self._on_stream.get((connection, stream, rule), ()) or [
                    cause for cause in self._on_connection.get((connection, rule), ()) if cause.stream is None
                ]
                for cause in nearby:
                    if _is_behind(cause, finding) and self._may_cause(cause, finding) and _is_before(cause, finding):
                        seen[cause.id] += 1
                        break
            if seen and seen.total() >= SHARE * len(backs):
                return self._most_met(seen)
        return None

    def _copy(self, finding: Finding) -> Finding | None:
        """Find the same fault on another leg of the same connection, nearer to whoever is at fault."""
        if finding.connection is None or finding.severity == "info":
            return None
        mine, nearer = finding.connection.index, self._legs.connections
        by_client = finding.who[:1] == ["client"]
        others = self._legs.copies.get(mine, [])
        if by_client:
            others = [nearer[mine]] if mine in nearer else []
        for other in others:
            for cause in self._on_connection.get((other, finding.rule), ()):
                same = cause.stream == finding.stream and cause.details.get("by") == finding.details.get("by")
                if same and self._may_cause(cause, finding):
                    return cause
        return None

    # ---- another connection ------------------------------------------------------------------------------------

    def _behind(self, finding: Finding, row: Row) -> Finding | None:
        """Find a fault on the leg behind a proxy: the same answer passed on, or what the proxy answered for it.

        Most of the finding's places must have such a fault nearby; where several findings share them, the one that has
        the most is named.
        """
        if finding.connection is None or not row.backend:
            return None
        times = self._places[finding.id].times
        mine = times[:: -(-len(times) // SAMPLED) or 1]
        told = finding.rule not in HTTP or _is_gateway_error(finding)
        rules = (finding.rule, *row.backend) if told else (finding.rule,)
        for same_request in (True, False):
            for rule in rules:
                near = Counter[str]()
                for place in mine:
                    cause = self._nearest(finding, place, rule, same_request=same_request)
                    if cause is not None:
                        near[cause.id] += 1
                if near and near.total() >= SHARE * len(mine):
                    return self._most_met(near)
        return None

    def _nearest(self, finding: Finding, place: _Place, rule: str, *, same_request: bool) -> Finding | None:
        """Return the fault of `rule` that comes latest before a place of `finding`, on another leg.

        A proxy asks its backend after it was asked itself: the call behind has the higher number. With `same_request`
        it must be one for the same path, and at the same time but for a proxy's haste.
        """
        moments = self._moments(rule)
        reach = AT_ONCE if same_request and rule not in WAITS else BACKEND_SLOW if rule in WAITS else BACKEND
        at = bisect_left(moments, place.time + AFTER + 1, key=lambda moment: moment[0].time) - 1
        for there, cause in reversed(moments[max(at - LOOKED_AT, 0) : at + 1]):
            if place.time - there.time > reach:
                return None
            if there.connection == place.connection:
                continue
            if place.call is not None and there.call is not None and there.call < place.call:
                continue
            if same_request and (place.path is None or there.path != place.path or there.call is None):
                continue
            if _is_behind(cause, finding) and self._may_cause(cause, finding):
                return cause
        return None

    def _moments(self, rule: str) -> list[tuple[_Place, Finding]]:
        """Return the places of all findings of a rule, by time."""
        held = self._by_time.get(rule)
        if held is None:
            found = [(place, cause) for cause in self._by_rule.get(rule, ()) for place in self._places[cause.id].times]
            held = self._by_time[rule] = sorted(found, key=lambda moment: moment[0][:2])
        return held

    def _same_server(self, finding: Finding, row: Row) -> Finding | None:
        """Find the event that took a server down which is now away: the latest before."""
        if finding.connection is None or finding.time is None:
            return None
        found: list[Finding] = []
        for rule in row.server:
            for cause in self._by_rule.get(rule, ()):
                if (
                    cause.connection is None
                    or cause.connection.server != finding.connection.server
                    or cause.time is None
                ):
                    continue
                recent = 0 <= finding.time - cause.time <= DOWN
                if recent and cause.details.get("by") == "server" and self._may_cause(cause, finding):
                    found.append(cause)
        return max(found, key=lambda cause: cause.time or 0, default=None)


def _inferred(finding: Finding, cause: Finding, link: Link) -> str:
    """Return the sentence that says what an inferred link rests on."""
    where = f" at {cause.connection.server}" if cause.connection else ""
    if link == "server":
        return f" That {cause.id}{where} is behind it is inferred: it is the same server, shortly before."
    return f" That {cause.id}{where} is behind it is inferred from the time: the two connections name no common call."


def _is_before(cause: Finding, finding: Finding) -> bool:
    return cause.time is None or finding.time is None or cause.time <= finding.time + AFTER


def _is_gateway_error(finding: Finding) -> bool:
    """Tell whether an HTTP answer speaks of what lies behind it: 5xx, not 4xx or a redirect."""
    status = finding.details.get("http_status")
    return isinstance(status, int) and status >= 500


def _is_behind(cause: Finding, finding: Finding) -> bool:
    """Tell whether a cause can lie on the backend leg of a finding: at another server than the front's."""
    if cause.connection is None or finding.connection is None:
        return False
    if cause.connection.server == finding.connection.server or cause.details.get("by") == "client":
        return False
    same = cause.rule == finding.rule
    return not same or cause.details.get("http_status") == finding.details.get("http_status")


def _can_provoke(cause: Finding, finding: Finding) -> bool:
    """Tell whether a finding can be the reaction of one side to what the other had done before."""
    mine, other = finding.details.get("by"), cause.details.get("by")
    if mine is not None and mine == other and cause.rule not in OWN_REASONS:
        return False
    return cause.time is None or finding.time is None or cause.time <= finding.time


def link(findings: list[Finding], legs: Legs | None = None) -> None:
    """Set `Finding.caused_by` wherever another of the findings explains one. Their ids must be given."""
    _Linker(findings, legs or Legs()).run()
