"""The first reading: which connections and calls make the problem session, and which answers are healthy."""

from __future__ import annotations

from dataclasses import dataclass, field

from wirecase.errors import UsageError
from wirecase.model import CLIENT, SERVER, Diagnosis, Finding
from wirecase.replay.plan.plan import CannotReplayError
from wirecase.session.call import Call
from wirecase.session.session import Session

_HEALTHY = 3
"""Sound answers that are kept for each path."""
_PATHS = 500
_LARGEST = 4 << 20
"""Bytes of a sound answer that is kept."""
_MOST_TURNED_AWAY = 256
"""Connections without a call that are kept."""
_BEFORE = 1_000_000_000
"""ns before the first connection with a problem in which such a one is taken for a part of it."""
NOT_SERVED = {
    "tcp-refused": "a refused connection has no server",
    "tcp-connect-timeout": "nobody answered the connection's SYN: there is no server",
    "tcp-peer-silent": "the network swallowed the packets, which a server cannot do to its own",
    "tcp-retransmission-storm": "the network lost the packets, which a server cannot do to its own",
    "tls-alert": "it lies in TLS, not in what TLS carries",
    "tls-handshake-failed": "it lies in TLS, before any HTTP/2",
    "tls-no-alpn-h2": "it lies in TLS; serve another case over TLS with another ALPN to see it",
    "tcp-zero-window": "a closed TCP window is the kernel's, not the server's",
}
"""Rule -> why a server cannot show it."""
_ENDS = frozenset({
    "body-cut-connection", "tcp-reset", "close-before-settings", "close-without-goaway", "idle-cut", "goaway-error",
    "goaway-too-many-pings", "goaway-too-many-resets", "h2-hpack-decode-error", "h2-frame-size",
    "h2-continuation-violation", "h2-continuation-flood", "h2-stream-state-violation", "h2-first-frame-not-settings",
    "h2-not-http2", "h2-bad-preface", "h2-peer-speaks-http1", "tls-plaintext-mismatch", "hpack-bomb",
    "keepalive-unanswered", "h2-settings-not-acked", "fc-connection-stalled",
})  # fmt: skip
"""Rules whose fault ends the whole connection (RFC 9113 §5.4.1), or leaves nothing on it that could go on."""
CREDIT = frozenset({"fc-connection-stalled", "fc-stream-stalled", "fc-window-leak", "fc-zero-increment", "fc-overflow"})
"""Rules about WINDOW_UPDATE: the server's are sent as recorded."""


def is_fault(finding: Finding) -> bool:
    """Tell whether a finding is a fault that a server's answer can carry."""
    if not is_problem(finding) or not finding.who or finding.who == ["client"]:
        return False
    shown = next((one.direction for one in finding.evidence if one.role == "primary"), None)
    return finding.who[0] != "client" or shown == "server"


def is_problem(finding: Finding) -> bool:
    """Tell whether a connection with this finding belongs to the problem session."""
    return finding.severity != "info" and not finding.rule.startswith("obs-")


def ends_connection(rule: str) -> bool:
    """Tell whether nothing beside the fault can go on."""
    return rule in _ENDS


@dataclass(slots=True)
class Healthy:
    """A sound call."""

    number: int
    connection: int
    stream: int
    path: str


@dataclass(slots=True)
class Scout:
    """Listens to a diagnosis."""

    named: dict[int, list[Finding]] = field(default_factory=dict)
    """Call -> the findings that it takes part in."""
    healthy: dict[tuple[str, str], list[Healthy]] = field(default_factory=dict)
    """(server, path) -> sound calls."""
    servers: dict[int, str] = field(default_factory=dict)
    protocols: dict[int, str] = field(default_factory=dict)
    started: dict[int, int] = field(default_factory=dict)
    turned_away: list[int] = field(default_factory=list)
    """Connections that the server ended before any call was made on them."""
    wanted: int | None = None
    """A call that was asked for."""
    found: tuple[int, int] | None = None
    """Its connection and stream."""

    def on_call(self, call: Call, findings: list[Finding]) -> None:
        """Take a closed call (`wirecase.pipeline.OnCall`)."""
        if call.index == self.wanted:
            self.found = (call.session.index, call.stream.id)
        if findings:
            self.named[call.index] = list(findings)
            return
        path, ending = call.path, call.ending
        if path is None or ending is None or ending.how not in ("trailers", "trailers-only") or call.grpc_status != 0:
            return
        body = call.response_body
        if call.blurred or not call.stream.seen_start or (body is not None and body.bytes > _LARGEST):
            return
        key = (call.session.server.address, path)
        kept = self.healthy.get(key)
        if kept is None:
            if len(self.healthy) >= _PATHS:
                return
            kept = self.healthy[key] = []
        if len(kept) < _HEALTHY:
            kept.append(Healthy(call.index, call.session.index, call.stream.id, path))

    def closed(self, session: Session) -> None:
        """Take a connection that is over (`wirecase.pipeline.Closed`)."""
        self.servers[session.index] = session.server.address
        self.protocols[session.index] = session.protocol
        self.started[session.index] = session.first_time or 0
        if len(self.turned_away) < _MOST_TURNED_AWAY and _turned_away(session):
            self.turned_away.append(session.index)


def _turned_away(session: Session) -> bool:
    """Tell whether the server ended an HTTP/2 connection, with GOAWAY or without, and no call was made on it."""
    if session.protocol != "h2" or session.h2.opened or session.h2.upgraded or not session.tcp.syn_seen:
        return False
    server, client = session.side(SERVER), session.side(CLIENT)
    end, theirs = server.fin or server.rst, client.fin or client.rst
    return end is not None and (theirs is None or (end.time, end.packet) < (theirs.time, theirs.packet))


@dataclass(slots=True)
class Choice:
    """What was chosen."""

    server: str
    connections: dict[int, frozenset[int] | None]
    """Connections of the problem session -> their streams, None for all."""
    findings: list[Finding]
    turned_away: frozenset[int] = frozenset()
    """Those of the connections that belong to it only because the client was sent away from them without a call."""


def choose(
    found: Diagnosis, scout: Scout, *, finding: str | None = None, call: int | None = None, serve: bool = True
) -> Choice:
    """Choose the problem session. Raises CannotReplayError, or UsageError for what is not there."""
    if call is not None:
        if scout.found is None:
            raise UsageError(f"there is no call {call}: the capture holds {found.calls.total}")
        index, stream = scout.found
        return Choice(scout.servers[index], {index: frozenset((stream,))}, _on(found, {index}))
    if finding is not None:
        return _by_finding(found, scout, finding)
    problems = [one for one in found.findings if is_problem(one) and one.connection is not None]
    _refuse(problems)
    if not problems:
        if serve:
            _refuse([one for one in found.findings if one.rule in NOT_SERVED])
        return _everything(found, scout)
    server = _front(problems, found, scout)
    indexes = {
        place.connection
        for one in problems
        for place in one.occurrences
        if place.connection is not None and scout.servers.get(place.connection) == server
    }
    first = min(scout.started.get(index, 0) for index in indexes)
    away = frozenset(
        index
        for index in scout.turned_away
        if index not in indexes and scout.servers[index] == server and scout.started[index] >= first - _BEFORE
    )
    return Choice(server, dict.fromkeys(sorted(indexes | away)), _on(found, indexes), away)


def _refuse(problems: list[Finding]) -> None:
    """Raise an error if a server can show none of these."""
    for one in problems:
        if one.rule not in NOT_SERVED:
            return
    if problems:
        raise CannotReplayError(
            f"{problems[0].id} {problems[0].rule} cannot be replayed: {NOT_SERVED[problems[0].rule]}"
        )


def _on(found: Diagnosis, indexes: set[int]) -> list[Finding]:
    return [one for one in found.findings if any(place.connection in indexes for place in one.occurrences)]


def _by_finding(found: Diagnosis, scout: Scout, name: str) -> Choice:
    one = next((one for one in found.findings if one.id.lower() == name.lower()), None)
    if one is None:
        many = len(found.findings)
        raise UsageError(f"there is no finding {name}: " + (f"F1 to F{many}" if many else "the capture shows none"))
    if one.connection is None:
        raise CannotReplayError(f"{one.id} {one.rule} cannot be replayed: it stands on no connection")
    _refuse([one])
    if one.rule.startswith("obs-"):
        raise CannotReplayError(f"{one.id} {one.rule} cannot be replayed: it is a limit of the capture, no fault")
    server = one.connection.server
    chosen: dict[int, set[int]] = {}
    for place in one.occurrences:
        if place.connection is not None and scout.servers.get(place.connection) == server:
            streams = chosen.setdefault(place.connection, set())
            if place.call is not None and place.stream is not None:
                streams.add(place.stream)
    return Choice(
        server, {index: frozenset(streams) or None for index, streams in sorted(chosen.items())},
        _on(found, set(chosen)),
    )  # fmt: skip


def _front(problems: list[Finding], found: Diagnosis, scout: Scout) -> str:
    """Return the server that the client saw: none of the legs that explain another leg's faults, if there is one."""
    by_id = {one.id: one for one in found.findings}
    hit: dict[str, int] = {}
    behind: set[str] = set()
    for one in problems:
        assert one.connection is not None
        server = one.connection.server
        if one.rule not in NOT_SERVED:
            hit[server] = hit.get(server, 0) + (2 * one.count if one.severity == "error" else one.count)
        cause = by_id.get(one.caused_by or "")
        if cause is not None and cause.connection is not None and cause.connection.server != server:
            behind.add(cause.connection.server)
    front = [server for server in hit if server not in behind] or list(hit)
    return max(front, key=lambda server: hit[server])


def _everything(found: Diagnosis, scout: Scout) -> Choice:
    """Nothing is wrong: all connections of the busiest server, as they were."""
    seen: dict[str, list[int]] = {}
    for index, protocol in scout.protocols.items():
        if protocol == "h2":
            seen.setdefault(scout.servers[index], []).append(index)
    if not seen:
        raise CannotReplayError(_nothing(scout))
    server = max(seen, key=lambda address: (len(seen[address]), -min(seen[address])))
    return Choice(server, dict.fromkeys(sorted(seen[server])), _on(found, set(seen[server])))


def _nothing(scout: Scout) -> str:
    """Say why there is nothing to serve."""
    kinds = set(scout.protocols.values())
    if "tls" in kinds:
        return "nothing can be replayed: the connections are TLS without keys; give a key log with --keylog"
    if not kinds - {"empty"}:
        return "nothing can be replayed: no connection in the capture carries any bytes"
    return "nothing can be replayed: no connection in the capture speaks HTTP/2"
