"""Rules on GOAWAY: why a side ends the connection, and which calls that costs (RFC 9113 §6.8; gRFC A8, A9).

Every GOAWAY gets one reason. A graceful one is information unless calls were lost; then `goaway-race` names the calls
and the reason is their cause.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from wirecase.http2.facts import ERROR_NAMES, PING, error_name
from wirecase.model import CLIENT, SERVER, SIDE_NAMES, RetrySafe, Severity
from wirecase.rules import clients, knobs
from wirecase.rules.base import Match, Rule, show
from wirecase.rules.goaway_reasons import LAST_ANY, Reason, details, evidence, lost_calls, quoted, reasons
from wirecase.rules.limits import OTHER, answered, first_time, seconds, span, sure
from wirecase.rules.progress import aged
from wirecase.rules.violations import WHO
from wirecase.session.call import Call
from wirecase.session.session import Session

# --- one rule per reason ---------------------------------------------------------------------------------------------


def _matches(
    session: Session, rule: str, title: str, text: str, fix: str, safe: RetrySafe, why: str
) -> Iterator[Match]:
    """Yield the match for a graceful reason: a warning if it cost calls, else information."""
    lost = lost_calls(session)
    for reason in reasons(session):
        if reason.rule != rule:
            continue
        goaway = reason.goaway
        who = SIDE_NAMES[goaway.side]
        costs = bool(lost) and goaway.side == SERVER
        if goaway.side == CLIENT and (not goaway.open_streams or session.rules_fired.get("body-cut-connection")):
            continue  # a client that says goodbye with nothing open, or whose end is told already
        severity: Severity = "warning" if costs else "info"
        number = f"{lost:,} {'call was' if lost == 1 else 'calls were'}" if costs else "No call was"
        yield Match(
            severity=severity,
            certainty=sure(session, reason.certainty),
            who=[WHO[goaway.side]],
            title=title.format(
                who=who,
                last="any" if goaway.last_stream == LAST_ANY else goaway.last_stream,
                requests=reason.facts.get("requests", "?"),
            ),
            explanation=f"GOAWAY {error_name(goaway.code)} came from the {who} "
            f"{span(seconds(first_time(session), goaway.excerpt.mark))} into the connection. "
            f"{text}{' ' + reason.why if reason.why else ''} {number} lost to it.",
            evidence=evidence(reason),
            details=details(session, reason),
            retry_safe=safe,
            retry_why=why,
            fix=fix,
            key=goaway.side,
            across=None if costs else session.server.address,
        )


RETRY_ABOVE = (
    "Streams above last_stream_id were never processed; those at or below it are finished as usual (RFC 9113 §6.8)."
)


def check_max_requests(session: Session) -> Iterator[Match]:
    """A GOAWAY at a round number of requests."""
    yield from _matches(
        session,
        "goaway-max-requests",
        "The {who} ended the connection after {requests:,} requests (last stream {last})",
        "It is a limit on requests per connection.",
        "Raise the limit (keepalive_requests in nginx, max_requests_per_connection in Envoy, "
        "tune.h2.fe.max-total-streams in HAProxy; an ALB's 10,000 is "
        "fixed), rotate channels before it is reached, and retry UNAVAILABLE for calls that GOAWAY refused.",
        "yes",
        RETRY_ABOVE,
    )


def check_max_age(session: Session) -> Iterator[Match]:
    """A GOAWAY for the connection's age."""
    yield from _matches(
        session,
        "goaway-max-age",
        "The {who} ended the connection for its age",
        "The connection had reached its maximum age.",
        "Expected with GRPC_ARG_MAX_CONNECTION_AGE_MS, grpc-go MaxConnectionAge, Envoy max_connection_duration or "
        "nginx keepalive_time; set a grace period that calls fit into (GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, "
        "MaxConnectionAgeGrace; Envoy drain_timeout).",
        "yes",
        RETRY_ABOVE,
    )


def check_max_idle(session: Session) -> Iterator[Match]:
    """A GOAWAY for idleness."""
    yield from _matches(
        session,
        "goaway-max-idle",
        "The {who} ended the connection because it was idle",
        "The connection had been idle for too long.",
        "Expected with a limit on idle connections; no action is needed unless calls are lost. The limits: "
        f"{knobs.IDLE}.",
        "yes",
        RETRY_ABOVE,
    )


def check_graceful(session: Session) -> Iterator[Match]:
    """A graceful GOAWAY without a more special reason."""
    yield from _matches(
        session,
        "goaway-graceful-stop",
        "The {who} is ending the connection gracefully (last stream {last})",
        "It asks the other side to use a new connection; calls that were accepted may finish.",
        "Expected at restarts, reloads and deployments; clients reconnect by themselves.",
        "yes",
        RETRY_ABOVE,
    )


def check_single_shot(session: Session) -> Iterator[Match]:
    """A GOAWAY without the announcement that saves calls in flight."""
    yield from _matches(
        session,
        "goaway-single-shot",
        "The {who} ended the connection at stream {last} without announcing it first",
        "A graceful shutdown first sends GOAWAY with last stream 2^31-1, so that calls in flight are still taken; this "
        "one named its last stream at once, and calls that were on their way were refused.",
        "Retry UNAVAILABLE for such calls; make the sender shut down in two steps (nginx cannot: raise "
        "keepalive_requests and keepalive_time instead).",
        "yes",
        RETRY_ABOVE,
    )


def check_too_many_pings(session: Session) -> Iterator[Match]:
    """A GOAWAY for too many PINGs."""
    for reason in reasons(session):
        if reason.rule != "goaway-too-many-pings":
            continue
        sender = OTHER[reason.goaway.side]
        times = list(session.h2.ping_times[sender])
        gaps = sorted(b - a for a, b in pairwise(times))
        median = gaps[len(gaps) // 2] / 1e9 if gaps else None
        counts = session.h2.halves[sender].frames
        pings = counts.by_type[PING] - counts.ping_ack
        seen = f"{pings:,} PINGs were seen" + (f", usually {span(median)} apart" if median is not None else "")
        yield Match(
            severity="error",
            certainty="certain",
            who=[WHO[sender]],
            title=f"The {SIDE_NAMES[reason.goaway.side]} ended the connection: too_many_pings ({seen})",
            explanation=f"GOAWAY {error_name(reason.goaway.code)} with debug data {quoted(reason.goaway.debug)}. "
            f"{seen}. gRPC servers allow one keep-alive PING in 5 minutes without data by default "
            "(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, EnforcementPolicy.MinTime), and two strikes more.",
            evidence=evidence(reason),
            details={
                **details(session, reason),
                "pings": pings,
                "interval_seconds": median,
                "intervals": [round(gap / 1e9, 3) for gap in [b - a for a, b in pairwise(times)][:10]],
            },
            client_sees=clients.too_many_pings(headers=answered(session))
            if reason.goaway.side == SERVER and reason.goaway.open_streams
            else [],
            retry_safe="yes",
            retry_why="Calls above last_stream_id were not processed; those below may finish.",
            fix=f"Ping less often ({knobs.KEEPALIVE}), at least the server's minimum apart and not without calls, or "
            f"lower that minimum ({knobs.PING_LIMITS}).",
            key=reason.goaway.side,
        )


def check_too_many_resets(session: Session) -> Iterator[Match]:
    """A GOAWAY for too many resets or DATA frames."""
    for reason in reasons(session):
        if reason.rule == "goaway-too-many-resets":
            yield _error(
                session,
                reason,
                "is over its limit of resets or small frames",
                "hyperium/h2 and others count resets and tiny DATA frames per connection to stop rapid reset; many "
                "cancelled calls on a long connection reach the limit slowly (1024 by default for internal resets).",
                "Recycle connections, cancel fewer calls, or raise max_local_error_reset_streams / "
                "max_pending_accept_reset_streams.",
            )


def check_error(session: Session) -> Iterator[Match]:
    """A GOAWAY with any other error code."""
    for reason in reasons(session):
        if reason.rule == "goaway-error":
            yield _error(
                session,
                reason,
                "ends it with an error",
                f"The {SIDE_NAMES[reason.goaway.side]} holds the {SIDE_NAMES[OTHER[reason.goaway.side]]} or itself in "
                "breach; all calls on the connection end. Breaches that the capture shows are findings of their own.",
                "Look at the log of the side that sent it, and at the frames just before.",
            )


def _error(session: Session, reason: Reason, what: str, text: str, fix: str) -> Match:
    goaway = reason.goaway
    who, name = SIDE_NAMES[goaway.side], error_name(goaway.code)
    debug = goaway.debug.decode("utf-8", "replace")
    said = f", saying {quoted(goaway.debug)}" if debug else ""
    known = goaway.code < len(ERROR_NAMES)
    return Match(
        severity="info" if reason.facts.get("idle") else "error" if known or goaway.side == SERVER else "warning",
        certainty="certain",
        who=[WHO[goaway.side], WHO[OTHER[goaway.side]]],
        title=f"The {who} sent GOAWAY {name} ({goaway.code}){said}",
        explanation=f"GOAWAY {name} came from the {who} {span(seconds(first_time(session), goaway.excerpt.mark))} into "
        f"the connection, with last stream {goaway.last_stream} and {goaway.open_streams} open: the {who} {what}. "
        f"{text}",
        evidence=evidence(reason),
        details=details(session, reason),
        client_sees=clients.goaway_error(goaway.code, debug, headers=answered(session))
        if goaway.side == SERVER and goaway.open_streams
        else [],
        retry_safe="unknown",
        retry_why=RETRY_ABOVE + " Of the others it is not known.",
        fix=fix,
        key=(goaway.side, goaway.code),
        stream=session.h2.halves[CLIENT].highest_stream if session.h2.opened == 1 and goaway.open_streams else None,
    )


def check_race(call: Call) -> Iterator[Match]:
    """A call whose stream id is above a GOAWAY's last_stream_id."""
    ending, session = call.ending, call.session
    if ending is None or ending.how != "goaway" or session.roles == "guess":
        return
    goaway = next((g for g in session.h2.goaways if g.side == SERVER and call.stream.id > g.last_stream), None)
    if goaway is None:
        return
    name, debug = error_name(goaway.code), goaway.debug.decode("utf-8", "replace")
    late = call.started.time - goaway.excerpt.mark.time
    when = f"{span(abs(late) / 1e9)} {'after' if late > 0 else 'before'} the GOAWAY passed"
    request = call.request
    yield Match(
        severity="error",
        certainty="certain",
        who=["server", "proxy"],
        title=f"Stream {call.stream.id} is above the GOAWAY's last stream {goaway.last_stream}: the call was never "
        "processed",
        explanation=f"The call began {when} the capture, and the server's GOAWAY {name} names stream "
        f"{goaway.last_stream} as the last that it took. The call and the GOAWAY crossed on the way; it ended after "
        f"{aged(call, ending.mark) if late <= 0 else 'no time'} without any answer. That it was not processed is "
        "certain.",
        evidence=[
            show(goaway.excerpt, f"GOAWAY {name}, last stream {goaway.last_stream}"),
            *([show(request.excerpt, f"the request on stream {call.stream.id}", role="context")] if request else []),
        ],
        details={
            "last_stream": goaway.last_stream,
            "error_code": goaway.code,
            "error_name": name,
            "debug": debug,
            "by": "server",
        },
        client_sees=clients.goaway_race(goaway.code, debug),
        retry_safe="yes",
        retry_why="The GOAWAY promises that streams above last_stream_id were not processed (RFC 9113 §6.8).",
        fix="Retry such calls on a new connection (gRPC's transparent retry does; where the client does not, retry "
        "UNAVAILABLE), and make connections end less often or in two steps.",
    )


_REFERENCES = ("RFC 9113 §6.8", "gRPC PROTOCOL-HTTP2, GOAWAY")
RULES: tuple[Rule, ...] = (
    Rule(
        "goaway-race",
        "A call crossed a GOAWAY",
        "The stream's id is above a GOAWAY's last_stream_id: never processed.",
        _REFERENCES,
        "call",
        check_race,
    ),
    Rule(
        "goaway-max-requests",
        "The connection reached a number of requests",
        "GOAWAY NO_ERROR with a last stream that is a round number of requests.",
        _REFERENCES,
        "session",
        check_max_requests,
    ),
    Rule(
        "goaway-max-age",
        "The connection reached its maximum age",
        "GOAWAY for the connection's age.",
        (*_REFERENCES, "gRFC A9"),
        "session",
        check_max_age,
    ),
    Rule(
        "goaway-max-idle",
        "The connection was idle for too long",
        "GOAWAY for idleness.",
        (*_REFERENCES, "gRFC A9"),
        "session",
        check_max_idle,
    ),
    Rule(
        "goaway-graceful-stop",
        "A graceful end of the connection",
        "GOAWAY NO_ERROR: shutdown, reload or drain.",
        _REFERENCES,
        "session",
        check_graceful,
    ),
    Rule(
        "goaway-single-shot",
        "A GOAWAY without announcement",
        "GOAWAY NO_ERROR that names its last stream at once and loses calls.",
        _REFERENCES,
        "session",
        check_single_shot,
    ),
    Rule(
        "goaway-too-many-pings",
        "Too many PINGs",
        "GOAWAY ENHANCE_YOUR_CALM with too_many_pings.",
        (*_REFERENCES, "gRFC A8"),
        "session",
        check_too_many_pings,
    ),
    Rule(
        "goaway-too-many-resets",
        "Too many resets",
        "GOAWAY for too many resets or small DATA frames.",
        _REFERENCES,
        "session",
        check_too_many_resets,
    ),
    Rule(
        "goaway-error",
        "A GOAWAY with an error",
        "GOAWAY with an error code, from either side.",
        (*_REFERENCES, "RFC 9113 §7"),
        "session",
        check_error,
    ),
)
