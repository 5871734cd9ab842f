"""Which finding explains which: one root cause on top, its consequences under it.

A table says what can follow from what, and within which scope: the same stream, the same connection, or another
connection at about the same time (a proxy's backend leg explains what its front leg answers; that is an inference and
called probable). The nearest scope wins, then the order of the table, then the nearest time. A consequence never becomes
the cause of its own cause.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from wirecase.model import Finding

NS = 1_000_000_000
BACKEND = 1 * NS
"""How long before the front leg's answer the backend leg's fault may lie, ns."""
BACKEND_SLOW = 130 * NS
"""The same for faults that consist of waiting (SYN timeouts, silence)."""
AFTER = NS // 10
"""How long after the consequence a cause may be *seen*: two legs are captured at two places."""
SHARE = 0.5
"""Share of a finding's occurrences that must have a cause nearby on another connection."""

MESSAGE = (
    "grpc-desync-midstream", "grpc-web-on-grpc", "grpc-http-content-encoding", "grpc-unframed-protobuf",
    "grpc-invalid-compression-flag", "grpc-length-is-text", "grpc-flag-without-encoding", "grpc-encoding-unsupported",
    "grpc-decompression-bomb", "grpc-decompress-failed", "grpc-message-too-large", "grpc-payload-undecodable",
)  # fmt: skip
HTTP = ("http-error-with-body", "http-error-empty", "http-200-wrong-content-type", "http-missing-status", "http-1xx-end-stream")
RESET = (
    "rst-midbody", "rst-before-headers", "rst-refused-stream", "rst-enhance-your-calm", "rst-flow-control",
    "rst-http11-required", "rst-protocol-error",
)  # fmt: skip
SILENT = ("stream-no-response", "stream-stalled")
STALL = ("fc-window-leak", "fc-connection-stalled", "fc-stream-stalled")
GOAWAY_REASON = (
    "goaway-error", "goaway-too-many-pings", "goaway-too-many-resets", "goaway-max-requests", "goaway-max-age",
    "goaway-max-idle", "goaway-single-shot", "goaway-graceful-stop",
)  # fmt: skip
GOAWAY_FATAL = GOAWAY_REASON[:3]
SPEAKS = ("tls-plaintext-mismatch", "h2-peer-speaks-http1", "h2-not-http2", "h2-bad-preface")
BREACH = (
    *SPEAKS, "h2-first-frame-not-settings", "h2-frame-size", "h2-continuation-flood", "h2-continuation-violation",
    "hpack-bomb", "h2-hpack-size-ignored", "h2-hpack-decode-error", "h2-header-list-too-large", "h2-malformed-headers",
    "h2-content-length-mismatch", "h2-stream-state-violation", "h2-flood", "h2-rapid-reset", "fc-violation", "fc-overflow",
    "fc-zero-increment", "grpc-trailers-not-final", "grpc-metadata-bad-bin", "h2-settings-not-acked",
)  # fmt: skip
STATUS = ("grpc-status-malformed", "grpc-status-in-open-headers", "grpc-trailers-not-final", "grpc-metadata-bad-bin")
NETWORK = ("tcp-peer-silent", "tcp-zero-window", "keepalive-unanswered", "idle-cut")
CUT = ("body-cut-connection", "close-without-goaway", "tcp-reset")
REQUEST = ("grpc-timeout-malformed", "grpc-missing-te", "grpc-cardinality")
BACKEND_FAULTS = (
    "tcp-refused", "close-before-settings", *SPEAKS, "body-cut-connection", "tcp-reset", "idle-cut", "goaway-race",
    "goaway-error", "rst-refused-stream", "rst-before-headers", "rst-midbody", "keepalive-unanswered",
)  # fmt: skip
BACKEND_WAITS = ("tcp-connect-timeout", "tcp-peer-silent", "stream-no-response", "stream-stalled", *STALL)


OWN_REASONS = ("grpc-deadline", "grpc-message-too-large", "client-rejects-legal-frame", "idle-cut", "keepalive-unanswered", *GOAWAY_FATAL)
"""Reasons of a side to end a call or a connection that are its own doing."""


class Row(NamedTuple):
    """What can explain a finding."""

    stream: tuple[str, ...] = ()
    """On the same stream."""
    connection: tuple[str, ...] = ()
    """On the same connection."""
    other: bool = False
    """Or a backend fault on another connection."""
    reaction: bool = False
    """One side's answer to the other's doing: the cause came before, and `details["by"]` differs where both say it."""


_BROKEN_ANSWER = (*MESSAGE, *HTTP, *STATUS)
_ENDS = (*RESET, "goaway-race", *GOAWAY_FATAL, *CUT, *SILENT, *STALL)
TABLE: dict[str, Row] = {
    # messages
    "grpc-invalid-compression-flag": Row((*HTTP, *MESSAGE[:4]), other=True),
    "grpc-length-is-text": Row((*HTTP, *MESSAGE[:5]), other=True),
    "grpc-desync-midstream": Row(HTTP, other=True),
    "grpc-unframed-protobuf": Row(HTTP),
    "grpc-web-on-grpc": Row(HTTP[:2]),
    "grpc-http-content-encoding": Row(HTTP),
    "grpc-message-truncated": Row(("grpc-message-too-large", *_ENDS, *MESSAGE[:5], "rst-cancel-by-client", *BREACH), (*CUT, *GOAWAY_FATAL, *NETWORK, *BREACH)),
    "grpc-cardinality": Row((*_BROKEN_ANSWER, *_ENDS, "grpc-message-truncated", "rst-cancel-by-client")),
    "grpc-decompress-failed": Row(("grpc-flag-without-encoding",)),
    # status
    "grpc-status-missing": Row(
        (*HTTP, *MESSAGE, *_ENDS, *STATUS, "client-rejects-legal-frame", "grpc-message-truncated", "rst-cancel-by-client", *BREACH),
        (*GOAWAY_FATAL, *CUT, *NETWORK, *BREACH), other=True,
    ),
    "grpc-app-status": Row((*MESSAGE, *REQUEST, *BREACH, "grpc-message-truncated", *CUT), other=True),
    "grpc-local-reply": Row((*REQUEST, *BREACH), other=True),
    "grpc-deadline": Row((*SILENT, *STALL), (*NETWORK[:2], *STALL, "max-concurrent-streams-wait"), other=True),
    # the HTTP response
    "http-error-with-body": Row((*REQUEST, *BREACH), other=True),
    "http-error-empty": Row((*REQUEST, *BREACH), other=True),
    "http-200-wrong-content-type": Row((*REQUEST, *BREACH)),
    "http-missing-status": Row(BREACH),
    # resets and ends
    **{rule: Row((*BREACH, *_BROKEN_ANSWER, "grpc-message-truncated", *REQUEST, "client-rejects-legal-frame"), BREACH, other=True, reaction=True)
       for rule in RESET},
    "rst-cancel-by-client": Row(
        ("grpc-deadline", *SILENT, *STALL, *_BROKEN_ANSWER, "grpc-message-truncated", *BREACH, "client-rejects-legal-frame"), BREACH,
        reaction=True,
    ),
    "body-cut-connection": Row(
        (*STALL, "grpc-decompression-bomb", "grpc-deadline", *BREACH),
        (*GOAWAY_FATAL, "idle-cut", "keepalive-unanswered", "client-rejects-legal-frame", *BREACH, *_BROKEN_ANSWER), reaction=True,
    ),
    "close-without-goaway": Row((), (*GOAWAY_FATAL, "idle-cut", "keepalive-unanswered", *BREACH), reaction=True),
    "tcp-reset": Row((), (*GOAWAY_FATAL, "idle-cut", "keepalive-unanswered", "client-rejects-legal-frame", *BREACH, "goaway-graceful-stop"),
                     reaction=True),
    "close-before-settings": Row((), SPEAKS),
    "stream-no-response": Row((*STALL, *REQUEST, *BREACH), (*NETWORK[:3], *STALL, *BREACH), other=True),
    "stream-stalled": Row(STALL, (*NETWORK[:3], *STALL), other=True),
    # the connection
    "goaway-race": Row((), GOAWAY_REASON),
    "goaway-error": Row(
        (), (*BREACH, *_BROKEN_ANSWER, "client-rejects-legal-frame", "keepalive-unanswered", *SILENT, *STALL, *CUT), reaction=True
    ),
    "goaway-too-many-pings": Row((), ("h2-flood",), reaction=True),
    "goaway-too-many-resets": Row((), ("h2-rapid-reset", "h2-flood"), reaction=True),
    "keepalive-unanswered": Row((), ("tcp-peer-silent",)),
    "fc-stream-stalled": Row(("fc-connection-stalled",), ("fc-window-leak", "tcp-zero-window")),
    "fc-connection-stalled": Row((), ("fc-window-leak", "tcp-zero-window")),
    "h2-header-list-too-large": Row(("hpack-bomb",)),
    "h2-stream-state-violation": Row((), SPEAKS),
    "h2-continuation-violation": Row((), ("h2-continuation-flood",)),
    "h2-hpack-decode-error": Row(("hpack-bomb",), ("h2-rapid-reset", "h2-flood", "h2-continuation-flood")),  # by careless attackers
    # clients
    "client-accepts-broken-bytes": Row((*MESSAGE, "grpc-message-truncated")),
}  # fmt: skip
"""Rule id -> what can explain it. A rule without a row is always a root."""


class _Places(NamedTuple):
    """Where and when a finding was met."""

    streams: set[tuple[int, int]]
    connections: set[int]
    times: list[tuple[int, int, int | None]]
    """(time, connection, call), ascending."""


def _places(finding: Finding) -> _Places:
    streams: set[tuple[int, int]] = set()
    connections: set[int] = set()
    times: list[tuple[int, int, int | None]] = []
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
            times.append((time, place.connection, place.call))
    return _Places(streams, connections, sorted(times, key=lambda at: at[:2]))


class _Linker:
    def __init__(self, findings: list[Finding]) -> None:
        self._findings = findings
        self._places = {finding.id: _places(finding) for finding in findings}
        self._by_id = {finding.id: finding for finding in findings}
        self._on_stream: dict[tuple[int, int, str], list[Finding]] = defaultdict(list)
        self._on_connection: dict[tuple[int, str], list[Finding]] = defaultdict(list)
        self._by_rule: dict[str, list[Finding]] = defaultdict(list)
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
            if row is None or finding.caused_by is not None:
                continue
            cause = self._same(finding, row)
            if cause is None and row.other:
                cause = self._backend(finding)
            if cause is not None:
                finding.caused_by = cause.id

    # ---- the same stream or connection -------------------------------------------------------------------------

    def _same(self, finding: Finding, row: Row) -> Finding | None:
        places = self._places[finding.id]
        for rule in row.stream:
            for place in sorted(places.streams):
                found = self._best(finding, self._on_stream.get((*place, rule), ()), reaction=row.reaction)
                if found:
                    return found
        for rule in row.connection:
            for connection in sorted(places.connections):
                found = self._best(finding, self._on_connection.get((connection, rule), ()), reaction=row.reaction)
                if found:
                    return found
        return None

    def _best(self, finding: Finding, candidates: Iterable[Finding], *, reaction: bool) -> Finding | None:
        for cause in candidates:
            if cause is finding or cause.severity == "info" or (reaction and not _can_provoke(cause, finding)):
                continue
            if not self._leads_to(cause, finding):
                return cause
        return None

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

    # ---- another connection ------------------------------------------------------------------------------------

    def _backend(self, finding: Finding) -> Finding | None:
        if finding.connection is None:
            return None
        mine = self._places[finding.id]
        for rule, reach in _BACKEND_RULES:
            near: list[tuple[int, Finding]] = []
            for cause in self._by_rule.get(rule, ()):
                if cause is finding or not self._is_behind(finding, cause) or self._leads_to(cause, finding):
                    continue
                distance = _nearby(mine, self._places[cause.id], reach)
                if distance is not None:
                    near.append((distance, cause))
            if near:
                return min(near, key=lambda found: found[0])[1]
        return None

    @staticmethod
    def _is_behind(finding: Finding, cause: Finding) -> bool:
        """Tell whether the cause's connection can be the backend leg of the finding's: another server than the front's."""
        return (
            cause.connection is not None
            and finding.connection is not None
            and cause.connection.server != finding.connection.server
            and cause.severity != "info"
            and cause.details.get("by") != "client"
        )


_BACKEND_RULES = (*((rule, BACKEND) for rule in BACKEND_FAULTS), *((rule, BACKEND_SLOW) for rule in BACKEND_WAITS))
"""Rules of a backend leg and their reach in time."""


def _nearby(mine: _Places, other: _Places, reach: int) -> int | None:
    """Return the usual distance in time to a cause on another connection, or None if too few places have one.

    A proxy asks its backend after it was asked itself: the call behind has the higher number.
    """
    moments = [time for time, _, _ in other.times]
    distances = []
    for time, connection, call in mine.times:
        at = bisect_left(moments, time + AFTER + 1) - 1
        while at >= 0 and time - moments[at] <= reach:
            _, there, behind = other.times[at]
            if there != connection and (call is None or behind is None or behind > call):
                distances.append(max(0, time - moments[at]))
                break
            at -= 1
    if not distances or len(distances) < SHARE * len(mine.times):
        return None
    return sorted(distances)[len(distances) // 2]


def _can_provoke(cause: Finding, finding: Finding) -> bool:
    """Tell whether a finding can be the reaction of one side to what the other had done before."""
    mine, other = finding.details.get("by"), cause.details.get("by")
    if mine is not None and mine == other and cause.rule not in OWN_REASONS:
        return False
    return cause.time is None or finding.time is None or cause.time <= finding.time


def link(findings: list[Finding]) -> None:
    """Set `Finding.caused_by` wherever another of the findings explains one. Their ids must be given."""
    _Linker(findings).run()
