"""Rules on the connection as a whole: its end, keep-alive, idleness, stream limits."""

from __future__ import annotations

from collections.abc import Iterator

from wirecase.http2.facts import MAX_CONCURRENT_STREAMS
from wirecase.model import CLIENT, SERVER, SIDE_NAMES, Mark
from wirecase.rules import clients, knobs
from wirecase.rules.base import Match, Rule, point
from wirecase.rules.limits import OTHER, SECOND, acknowledged, first_end, first_time, seconds, span, sure
from wirecase.rules.violations import WHO
from wirecase.session.session import Session

PING_PATIENCE = 1.0
"""Seconds without an ACK from which on a PING counts as unanswered: keep-alive timeouts are longer."""
IDLE = 30.0
"""Seconds of silence from which on a reset at the next use is held for an idle timeout."""
REUSE = 5 * SECOND
"""The reset must come this soon after the connection was used again, ns."""
IDLE_LIMITS = (
    (60, "60 s is the default of an AWS ALB and of many proxies"),
    (75, "75 s is nginx's keepalive_timeout"),
    (100, "100 s is Cloudflare's"),
    (120, "120 s is the idle limit of several load balancers"),
    (240, "240 s is Azure's load balancer"),
    (300, "300 s is Envoy's stream idle timeout and a common firewall limit"),
    (350, "350 s is an AWS NLB's and a NAT gateway's"),
    (600, "600 s is a Google front end's and many firewalls'"),
    (610, "610 s is a Google front end's"),
    (900, "900 s is a common firewall limit"),
    (3600, "3600 s is Envoy's connection idle timeout and a common firewall limit"),
)
"""Known idle limits in seconds."""
LAST_STREAM = 2**31 - 1
NEAR_LAST = 2000
"""Ids this close to the last one: the connection is used up."""
CUT_RULES = ("body-cut-connection", "stream-no-response", "stream-stalled")


def _open_streams(session: Session) -> list[tuple[int, Mark | None]]:
    return list(session.h2.open_at_end)


def check_close_without_goaway(session: Session) -> Iterator[Match]:
    """The server ends the connection with streams open, where no call could be judged on its own."""
    end = first_end(session)
    if end is None or session.protocol != "h2" or not session.h2.open_at_end or end[0] != SERVER:
        return
    if any(session.rules_fired.get(rule) for rule in (*CUT_RULES, "goaway-race")) or session.server.missing:
        return
    if (
        session.roles == "guess"
        or session.client.packets == 0
        or any(g.side == SERVER for g in session.h2.goaways)
        or not session.calls_seen
    ):
        return
    streams = _open_streams(session)
    count = session.h2.open_at_end_count
    how = "TCP FIN" if end[1] == "fin" else "TCP RST"
    yield Match(
        severity="warning",
        certainty=sure(session),
        who=["server", "proxy", "network"],
        title=f"The server ended the connection ({how}) with {count:,} stream{'s' if count != 1 else ''} open and no "
        "GOAWAY",
        explanation=f"{how} came from the server's side while streams were open, and no GOAWAY said which of them were "
        "processed.",
        evidence=point(end[2], f"{how} from the server", side=SERVER),
        details={"by": "server", "how": end[1], "open_streams": session.h2.open_at_end_count},
        retry_safe="unknown",
        retry_why="Without a GOAWAY it is not known which requests were processed.",
        fix=f"Make the server drain before it stops: {knobs.DRAIN}.",
        stream=streams[0][0],
        streams=streams[1:],
    )


GIVEN_UP = ("stream-stalled", "stream-no-response", "grpc-deadline")
"""Rules on calls that a client gave up before it closed the connection: the PING was not its reason."""


def check_keepalive(session: Session) -> Iterator[Match]:
    """A PING without ACK, and then its sender closes."""
    if session.protocol != "h2" or session.has_gaps or session.one_direction:
        return
    end = first_end(session)
    for (side, _), ping in session.h2.pings_open.items():
        peer = session.side(OTHER[side])
        closing = next(
            (g.excerpt.mark for g in session.h2.goaways if g.side == side and g.excerpt.mark.time > ping.mark.time),
            None,
        )
        closing = closing or (end[2] if end is not None and end[0] == side else None)
        if closing is None or peer.packets == 0:
            continue
        waited = seconds(ping.mark, closing)
        heard = peer.last_data
        if waited < PING_PATIENCE or (heard is not None and ping.mark.time < heard.time < closing.time):
            continue
        who, other = SIDE_NAMES[side], SIDE_NAMES[OTHER[side]]
        alive = acknowledged(session, side)
        streams = _open_streams(session)
        given_up = not streams and any(session.rules_fired.get(rule) for rule in GIVEN_UP)
        yield Match(
            severity="info" if given_up else "error",
            certainty=sure(session),
            who=[WHO[OTHER[side]], "network"] if alive else ["network", WHO[OTHER[side]]],
            title=f"The {other} did not answer a PING for {span(waited)}; the {who} closed the connection",
            explanation=f"The {who} sent a PING, got no ACK and no other frame for {span(waited)}, and closed. "
            + (
                f"The {other}'s TCP acknowledged the bytes, so its machine is alive and its HTTP/2 layer hangs."
                if alive
                else f"The {other}'s TCP did not acknowledge the bytes either: the path or the machine is gone."
            ),
            evidence=[
                *point(ping.mark, "PING that was never answered", side=side),
                *point(closing, f"the {who} closes", side=side, role="context"),
            ],
            details={
                "by": other,
                "seconds": round(waited, 3),
                "tcp_acknowledged": alive,
                "open_streams": session.h2.open_at_end_count,
            },
            client_sees=clients.keepalive() if side == CLIENT else [],
            retry_safe="unknown",
            retry_why="It is not known what the peer did with the calls that were open.",
            fix="Look at the peer at that time (blocked event loop, garbage collection, overload) and at devices that "
            "drop idle flows.",
            key=side,
            stream=streams[0][0] if streams else None,
            streams=streams[1:],
        )
        return


def check_idle_cut(session: Session) -> Iterator[Match]:
    """A connection that was idle for long is reset at its next use.

    Idle means: the streams that the reset hit were opened long after the server's last byte, and none was open between.
    """
    facts, used, streams = session.server, session.client.last_data, _open_streams(session)
    heard = facts.last_data
    if (
        session.protocol != "h2"
        or facts.rst is None
        or facts.fin is not None
        or used is None
        or heard is None
        or not streams
    ):
        return
    opened = min((mark for _, mark in streams if mark is not None), key=lambda mark: mark.time, default=None)
    idle = seconds(heard, opened)
    if idle < IDLE or not 0 <= facts.rst.time - used.time <= REUSE or session.server.missing:
        return
    passed = [text for limit, text in IDLE_LIMITS if limit <= idle]
    near = passed[-1] if passed else None
    streams = _open_streams(session)
    yield Match(
        severity="error",
        certainty=sure(session, "probable"),
        who=["network", "proxy", "server"],
        title=f"The connection was idle for {span(idle)} and reset at its next use",
        explanation=f"No call was open and the server sent nothing for {span(idle)}; the client's next request was "
        f"answered with TCP RST {span(seconds(used, facts.rst))} later. Something on the path had forgotten the "
        "connection: a load balancer, NAT or firewall with an idle limit, or the server "
        "itself." + (f" The idle time is over a known limit: {near}." if near else ""),
        evidence=[
            *point(facts.rst, "TCP RST in the server's name", side=SERVER),
            *point(used, "first use after the silence", side=CLIENT, role="context"),
        ],
        details={"by": "server", "idle_seconds": round(idle, 3)},
        client_sees=clients.body_cut("rst", headers=False),
        retry_safe="yes",
        retry_why="The reset came from something that no longer knew the connection: the request was "
        "not processed. If the server itself reset, it is only likely.",
        fix=f"Send keep-alive PINGs more often than the limit ({knobs.KEEPALIVE}), set the client's idle timeout below "
        f"it, or raise the limit: {knobs.IDLE}.",
        stream=streams[0][0],
        streams=streams[1:],
    )


def check_concurrency(session: Session) -> Iterator[Match]:
    """Calls wait because the server allows no (more) streams."""
    h2 = session.h2
    if session.protocol != "h2":
        return
    if h2.concurrent_limit_zero is not None and h2.halves[SERVER].settings.get(MAX_CONCURRENT_STREAMS) == 0:
        yield Match(
            severity="warning",
            certainty="certain",
            who=["server", "proxy"],
            title="The server set MAX_CONCURRENT_STREAMS to 0: no new call can start on this connection",
            explanation="With a limit of 0 the client may not open any stream until the server raises it, which it did "
            "not in this capture. New calls wait in the client and end by their deadline; nothing of them is on the "
            "wire.",
            evidence=point(h2.concurrent_limit_zero, "SETTINGS with MAX_CONCURRENT_STREAMS = 0", side=SERVER),
            details={"by": "server", "limit": 0, "value": 0, "opened": h2.opened},
            client_sees=clients.deadline(),
            retry_safe="yes",
            retry_why="Calls that wait were never sent.",
            fix="Find out why the server lowers the limit (overload protection, shutdown); a client can open another "
            f"connection. The limit: {knobs.CONCURRENCY}.",
            key=0,
        )
    waits = [(mark, limit) for mark, limit in h2.limit_waits if limit > 0]
    if waits:
        mark, limit = waits[0]
        yield Match(
            severity="info",
            certainty="possible",
            who=["client", "server"],
            title=f"Open streams reached the server's limit of {limit:,}",
            explanation=f"{limit:,} streams were open, as many as MAX_CONCURRENT_STREAMS allows ({len(waits)} times or "
            "more). Further calls wait in the client without a trace on the wire; whether any did cannot be seen.",
            evidence=point(mark, f"the {limit:,}th open stream", side=CLIENT),
            details={"limit": limit, "max_open": h2.max_open},
            retry_safe="yes",
            retry_why="Calls that wait were never sent.",
            fix=f"Spread calls over more connections (channel pool), or raise the server's limit: {knobs.CONCURRENCY}.",
            key=1,
            count=len(waits),
        )


def check_stream_ids(session: Session) -> Iterator[Match]:
    """Stream ids run out."""
    highest = session.h2.halves[CLIENT].highest_stream
    if session.protocol != "h2" or highest < LAST_STREAM - NEAR_LAST or session.has_gaps or not session.h2.opened:
        return
    left = (LAST_STREAM - highest) // 2
    yield Match(
        severity="warning",
        certainty="certain",
        who=["client"],
        title=f"Stream {highest:,} is near the last possible id: {left:,} calls are left on this connection",
        explanation="Stream ids end at 2^31-1 and are never reused (RFC 9113 §5.1.1). Then the client must open a new "
        "connection.",
        evidence=point(session.client.last_data, "the client's last data", side=CLIENT),
        details={
            "highest_stream": highest,
            "left": left,
            "seconds": seconds(first_time(session), session.client.last_data),
        },
        retry_safe="yes",
        retry_why="A call that got no stream was never sent.",
        fix="Recycle connections before their ids run out; check that the client does so by itself.",
    )


RULES: tuple[Rule, ...] = (
    Rule(
        "close-without-goaway",
        "Closed with streams open and no GOAWAY",
        "The server ended the connection with streams open, and no GOAWAY says which were processed.",
        ("RFC 9113 §6.8", "RFC 9113 §9.1"),
        "session",
        check_close_without_goaway,
    ),
    Rule(
        "keepalive-unanswered",
        "A PING was not answered",
        "A side sent a PING, got no ACK and closed the connection.",
        ("RFC 9113 §6.7", "gRFC A8", "gRPC keepalive.md"),
        "session",
        check_keepalive,
    ),
    Rule(
        "idle-cut",
        "Cut while idle",
        "A connection that had been idle was reset when it was used again.",
        ("RFC 9113 §9.1", "gRPC keepalive.md"),
        "session",
        check_idle_cut,
    ),
    Rule(
        "max-concurrent-streams-wait",
        "The limit of concurrent streams is reached",
        "The server's MAX_CONCURRENT_STREAMS keeps new calls waiting.",
        ("RFC 9113 §5.1.2", "RFC 9113 §6.5.2"),
        "session",
        check_concurrency,
    ),
    Rule(
        "stream-ids-exhausted",
        "Stream ids run out",
        "The connection's stream ids are near 2^31-1.",
        ("RFC 9113 §5.1.1",),
        "session",
        check_stream_ids,
    ),
)
