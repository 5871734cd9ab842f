"""Rules on TCP: refused, unanswered, silent, reset, retransmitting, closed windows (RFC 9293)."""

from __future__ import annotations

from collections.abc import Iterator

from wirecase.model import CLIENT, SERVER, SIDE_NAMES, Mark
from wirecase.rules import clients
from wirecase.rules.base import Match, Rule, point
from wirecase.rules.limits import OTHER, SECOND, blind, first_end, last_time, seconds, span, sure
from wirecase.rules.violations import WHO
from wirecase.session.session import Session

SYN_WAIT = 0.9
"""Seconds over which a SYN must have been repeated in vain (the first retransmission comes after 1 s)."""
SILENT_RETRANSMISSIONS = 3
SILENT_SECONDS = 1.0
"""A peer is silent if so many retransmissions over so long got no answer at all."""
STORM_SEGMENTS = 50
STORM_SHARE = 0.05
STORM_HEAVY = 0.25
"""Retransmissions: how many at least, from which share of the packets they are told, or warned of if calls failed."""
ZERO_SECONDS = 1.0
"""Seconds at a window of 0 that are worth a word."""


def check_refused(session: Session) -> Iterator[Match]:
    """SYN answered by RST."""
    client, server = session.client, session.server
    if client.syn is None or server.syn is not None or server.rst is None or server.delivered or client.delivered:
        return
    waited = seconds(client.syn, server.rst)
    yield Match(
        severity="error",
        certainty="certain",
        who=["server"],
        title=f"{server.address} refused the connection (SYN answered by RST)",
        explanation=f"The SYN to {server.address} was answered with RST after {span(waited)}: nothing listens on that "
        "port there, or a firewall rejects it. Behind a proxy this is what a 502, 503 or UNAVAILABLE on the other leg "
        "means.",
        evidence=[
            *point(server.rst, "RST in answer to SYN", side=SERVER),
            *point(client.syn, "SYN", side=CLIENT, role="context"),
        ],
        details={"address": server.address, "client": client.address, "by": "server", "syns": client.syns},
        client_sees=clients.refused(server.address),
        retry_safe="yes",
        retry_why="No connection came about, so nothing was sent.",
        fix="Start the server, or correct the address or port (service, endpoints, upstream of the proxy); check "
        "readiness probes.",
        across=server.address,
    )


def check_connect_timeout(session: Session) -> Iterator[Match]:
    """SYN after SYN without any answer."""
    client, server = session.client, session.server
    if client.syn is None or server.packets or client.delivered or client.syns < 2 or client.packets > client.syns:
        return
    waited = seconds(client.syn, client.last)
    if waited < SYN_WAIT:
        return
    yield Match(
        severity="error",
        certainty="certain",
        who=["network", "server"],
        title=f"{server.address} did not answer {client.syns} SYNs in {span(waited)}",
        explanation=f"The client repeated its SYN to {server.address} {client.syns - 1} times and nothing came back, "
        "not even a refusal: a firewall or security group drops the packets, the address is not in use, or the way "
        "back is broken.",
        evidence=[
            *point(client.syn, "first SYN", side=CLIENT),
            *point(client.last, "last SYN, unanswered", side=CLIENT, role="context"),
        ],
        details={"address": server.address, "client": client.address, "syns": client.syns, "seconds": round(waited, 3)},
        client_sees=clients.connect_timeout(server.address),
        retry_safe="yes",
        retry_why="No connection came about, so nothing was sent.",
        fix="Check firewalls, security groups, network policies and routes to this address; set a connect timeout "
        "shorter than the deadline.",
        across=server.address,
    )


def check_peer_silent(session: Session) -> Iterator[Match]:
    """One side retransmits and nothing comes back."""
    if session.one_direction or not session.client.packets or not session.server.packets:
        return
    for side in (CLIENT, SERVER):
        facts, peer = session.side(side), session.side(OTHER[side])
        tail = facts.tail_retransmissions
        if len(tail) < SILENT_RETRANSMISSIONS or facts.tail_since is None:
            continue
        waited = seconds(facts.tail_since, tail[-1])
        if waited < SILENT_SECONDS or (peer.rst is not None):
            continue
        who, other = SIDE_NAMES[side], SIDE_NAMES[OTHER[side]]
        streams: list[tuple[int, Mark | None]] = list(session.h2.open_at_end)
        yield Match(
            severity="error",
            certainty=sure(session, "probable"),
            who=["network", WHO[OTHER[side]]],
            title=f"The {other} fell silent: {len(tail)} retransmissions in {span(waited)} got no answer",
            explanation=f"The {who} sent bytes at stream offset {facts.acked or 0:,} again and again and not a single "
            f"packet came back from the {other}, no ACK, no RST. The path is a black hole (link down, firewall state "
            f"lost, MTU), or the {other}'s machine is gone.",
            evidence=[
                *point(facts.tail_since, "first segment that was never acknowledged", side=side),
                *point(tail[-1], "its last retransmission", side=side, role="context"),
                *point(peer.last, f"the last packet from the {other}", side=OTHER[side], role="context"),
            ],
            details={
                "by": other,
                "retransmissions": len(tail),
                "seconds": round(waited, 3),
                "acknowledged": facts.acked,
                "sent": facts.sent,
                "open_streams": session.h2.open_at_end_count,
            },
            client_sees=clients.deadline(headers=None),
            retry_safe="unknown",
            retry_why="What was in flight may or may not have been processed.",
            fix="Look at the network between at that time; keep-alive PINGs (and TCP_USER_TIMEOUT) find such "
            "connections sooner.",
            key=side,
            stream=streams[0][0] if streams else None,
            streams=streams[1:],
        )


def check_reset(session: Session) -> Iterator[Match]:
    """TCP RST on a connection whose calls do not tell it."""
    if session.rules_fired.get("body-cut-connection") or session.protocol == "empty":
        return
    end = first_end(session)
    if end is None or end[1] != "rst":
        return
    side, _, mark = end
    who = SIDE_NAMES[side]
    count = session.h2.open_at_end_count
    told = any(session.rules_fired.get(rule) for rule in ("stream-no-response", "stream-stalled", "goaway-race"))
    in_use = side == SERVER and session.calls_seen > 0 and session.roles != "guess"
    unannounced = in_use and not count and not session.h2.goaways and not blind(session)
    if count:
        loss = "Calls that were open are lost."
    elif unannounced:
        loss = (
            "No call was open, and no GOAWAY sent the client elsewhere (RFC 9113 §6.8): a call that it begins before "
            "it has noticed fails, maybe without a byte on the wire."
        )
    else:
        loss = "No call was open, so none was lost; processes that exit with unread input close like this."
    streams: list[tuple[int, Mark | None]] = list(session.h2.open_at_end)
    yield Match(
        severity="warning" if (in_use and count and not told) or unannounced else "info",
        certainty=sure(session),
        who=["server", "proxy", "network"] if side == SERVER else ["client", "network"],
        title=f"The {who} reset the TCP connection"
        + (f" with {count:,} streams open" if count else " with no stream open"),
        explanation=f"TCP RST came from the {who}'s side and no FIN before it. {loss}",
        evidence=point(mark, f"TCP RST from the {who}", side=side),
        details={"by": who, "open_streams": count},
        retry_safe="unknown",
        retry_why="A reset does not say what was processed.",
        fix="Look at the log of the side that reset, and for devices between that do so in its name."
        + (" Let it send GOAWAY and FIN; let clients retry calls that were never sent." if unannounced else ""),
        key=side,
        stream=streams[0][0] if streams else None,
        streams=streams[1:],
        across=None if count else "nothing open",
    )


def check_storm(session: Session) -> Iterator[Match]:
    """Many retransmissions."""
    for side in (CLIENT, SERVER):
        facts = session.side(side)
        share = facts.retransmissions / max(facts.packets, 1)
        if facts.retransmissions < STORM_SEGMENTS or share < STORM_SHARE:
            continue
        who = SIDE_NAMES[side]
        yield Match(
            severity="warning" if share >= STORM_HEAVY and session.calls_failed and not blind(session) else "info",
            certainty=sure(session),
            who=["network"],
            title=f"The {who} sent {facts.retransmissions:,} of {facts.packets:,} packets again ({share:.0%})",
            explanation="So many retransmissions mean loss on the path behind the capture point (or a capture that "
            "lost the ACKs). TCP repairs it; calls become slow and deadlines pass.",
            evidence=point(facts.last_data, f"the {who}'s last data", side=side),
            details={"retransmissions": facts.retransmissions, "packets": facts.packets, "share": round(share, 4)},
            retry_safe="unknown",
            retry_why="No call fails by this alone.",
            fix="Look for loss on the path: errors and drops of interfaces, shapers, overloaded links, MTU.",
            key=side,
        )


def check_zero_window(session: Session) -> Iterator[Match]:
    """A receiver whose TCP window stays at 0."""
    for side in (CLIENT, SERVER):
        facts = session.side(side)
        total = facts.zero_window_ns / SECOND
        still = facts.zero_window is not None and facts.rst is None and facts.fin is None
        if still:
            total += seconds(facts.zero_window, last_time(session))
        if total < ZERO_SECONDS:
            continue
        who, other = SIDE_NAMES[side], SIDE_NAMES[OTHER[side]]
        ended = " and stood there at the end" if still else ""
        yield Match(
            severity="warning",
            certainty=sure(session),
            who=[WHO[side]],
            title=f"The {who}'s TCP window was 0 for {span(total)}{ended}",
            explanation=f"The {who}'s program did not read from its socket: its receive buffer was full "
            f"{facts.zero_windows} times, and the {other} had to wait. A blocked or overloaded process does this, or "
            "one that is stopped.",
            evidence=point(
                facts.zero_window or facts.last, "the window is 0" if still else f"the {who}'s last packet", side=side
            ),
            details={"by": who, "seconds": round(total, 3), "times": facts.zero_windows, "open": still},
            retry_safe="unknown",
            retry_why="Calls are slowed down; whether one failed is told beside it.",
            fix=f"Find out why the {who} does not read: blocked event loop, CPU, garbage collection, a stopped "
            "process.",
            key=side,
        )


RULES: tuple[Rule, ...] = (
    Rule(
        "tcp-refused",
        "The connection was refused",
        "A SYN was answered by RST.",
        ("RFC 9293 §3.10.7.1",),
        "session",
        check_refused,
    ),
    Rule(
        "tcp-connect-timeout",
        "The server's address does not answer",
        "SYNs were repeated without any answer.",
        ("RFC 9293 §3.8.3",),
        "session",
        check_connect_timeout,
    ),
    Rule(
        "tcp-peer-silent",
        "The peer fell silent",
        "Retransmissions got no answer at all.",
        ("RFC 9293 §3.8.3", "RFC 6298"),
        "session",
        check_peer_silent,
    ),
    Rule(
        "tcp-reset",
        "The connection was reset",
        "A TCP RST without a FIN before it.",
        ("RFC 9293 §3.5.3", "RFC 9113 §6.8"),
        "session",
        check_reset,
    ),
    Rule(
        "tcp-retransmission-storm",
        "Many retransmissions",
        "A large share of the packets was sent again.",
        ("RFC 6298", "RFC 9293 §3.8"),
        "session",
        check_storm,
    ),
    Rule(
        "tcp-zero-window",
        "A receiver does not read",
        "A TCP receive window stayed at 0.",
        ("RFC 9293 §3.8.6",),
        "session",
        check_zero_window,
    ),
)
