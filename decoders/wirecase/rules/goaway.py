"""Rules on GOAWAY: why a side ends the connection, and which calls that costs (RFC 9113 §6.8; gRFC A8, A9; catalogue §7).

Every GOAWAY gets one reason. A graceful one is information unless calls were lost; then `goaway-race` names the calls
and the reason is their cause.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from wirecase.http2.facts import ERROR_NAMES, MAX_WINDOW, PING, Goaway, error_name
from wirecase.model import CLIENT, SERVER, SIDE_NAMES, Certainty, Evidence, RetrySafe, Severity
from wirecase.rules import clients
from wirecase.rules.base import Match, Rule, show
from wirecase.rules.limits import OTHER, first_time, seconds, span, sure
from wirecase.rules.progress import aged
from wirecase.rules.violations import WHO
from wirecase.session.call import Call
from wirecase.session.session import Session

NO_ERROR = 0
LAST_ANY = MAX_WINDOW
"""The last_stream_id of a first, graceful GOAWAY (RFC 9113 §6.8)."""
DEBUG = (
    (b"too_many_pings", "goaway-too-many-pings"),
    (b"too_many_resets", "goaway-too-many-resets"), (b"too_many_internal_resets", "goaway-too-many-resets"),
    (b"too_many_data_frames", "goaway-too-many-resets"),
    (b"max_age", "goaway-max-age"), (b"max_idle", "goaway-max-idle"),
    (b"graceful_stop", "goaway-graceful-stop"), (b"app_requested", "goaway-graceful-stop"),
    (b"session_timed_out", "goaway-graceful-stop"),
)  # fmt: skip
"""Debug data that names the reason."""
ROUND_AGES = (60, 300, 600, 900, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
"""Seconds of age at which servers and proxies are set to recycle connections."""
AGE_SLACK = 0.02
ROUND_REQUESTS = (100, 128, 250, 256, 500, 512, 1000, 1024, 2000, 2048, 2500, 5000, 10_000, 20_000, 50_000, 100_000)
"""Requests per connection at which proxies are set to recycle: nginx 1000 (100 before 1.19.10), ALB 10,000."""


class Reason(NamedTuple):
    """What a GOAWAY says, with what it rests on."""

    rule: str
    goaway: Goaway
    """The last of its side: the one whose last_stream_id counts."""
    first: Goaway
    graceful: bool
    """A GOAWAY with last_stream_id 2^31-1 came first."""
    certainty: Certainty
    why: str
    facts: dict[str, Any]


def reasons(session: Session) -> Iterator[Reason]:
    """Yield the reason of each GOAWAY that is worth a word, the graceful pair of one side as one."""
    if session.protocol != "h2":
        return
    for side in (CLIENT, SERVER):
        sent = [g for g in session.h2.goaways if g.side == side]
        told: set[int] = set()
        for goaway in reversed(sent):
            if goaway.code not in told:
                told.add(goaway.code)
                same = [g for g in sent if g.code == goaway.code]
                graceful = goaway.code == NO_ERROR and sent[0].last_stream == LAST_ANY
                if goaway.code == NO_ERROR and len(told) > 1:
                    continue  # an announcement; the error that followed is the reason
                yield _reason(session, goaway, same[0], graceful)


def _reason(session: Session, goaway: Goaway, first: Goaway, graceful: bool) -> Reason:
    def reason(rule: str, certainty: Certainty = "certain", why: str = "", **facts: Any) -> Reason:
        return Reason(rule, goaway, first, graceful, certainty, why, facts)

    debug = goaway.debug or first.debug
    for text, rule in DEBUG:
        if text in debug:
            return reason(rule, why=f"Its debug data says so: {_quoted(debug)}.")
    if goaway.code != NO_ERROR:
        return reason("goaway-error")
    if goaway.side == CLIENT or session.roles == "guess":
        return reason("goaway-graceful-stop")
    by_age = _round_age(session, first)
    requests = (goaway.last_stream + 1) // 2
    if goaway.last_stream != LAST_ANY and goaway.last_stream % 2 and requests in ROUND_REQUESTS:
        return reason("goaway-max-requests", "probable", f"Stream {goaway.last_stream} is the {requests:,}th of the connection, "
                      "a round number: a limit of requests per connection.", requests=requests)  # fmt: skip
    if by_age is not None:
        return reason("goaway-max-age", "probable", f"The connection was {span(by_age[1])} old, close to {span(by_age[0])}.",
                      limit_seconds=by_age[0])  # fmt: skip
    if not graceful and (goaway.highest_seen > goaway.last_stream or lost_calls(session)) and goaway.last_stream > 0:
        if goaway.last_stream % 2 and requests <= 10:
            return reason("goaway-single-shot", "certain", f"It came after {requests} requests: a limit of requests per connection "
                          "would look like this, but so would a reload.", requests=requests)  # fmt: skip
        return reason("goaway-single-shot")
    return reason("goaway-graceful-stop")


def _round_age(session: Session, goaway: Goaway) -> tuple[int, float] | None:
    """Return (round age, age) in seconds where a GOAWAY came near one; only from a connection's real start."""
    if not session.tcp.syn_seen:
        return None
    age = seconds(first_time(session), goaway.excerpt.mark)
    for limit in ROUND_AGES:
        if abs(age - limit) <= max(AGE_SLACK * limit, 1.0) and age >= 59:
            return limit, age
    return None


def _quoted(debug: bytes) -> str:
    text = debug[:200].decode("utf-8", "replace")
    return repr(text)


def lost_calls(session: Session) -> int:
    """Return how many calls a GOAWAY of the server left unprocessed."""
    return session.rules_fired.get("goaway-race", 0)


# --- one rule per reason ---------------------------------------------------------------------------------------------


def _details(session: Session, reason: Reason) -> dict[str, Any]:
    goaway = reason.goaway
    return {
        "by": SIDE_NAMES[goaway.side], "error_code": goaway.code, "error_name": error_name(goaway.code),
        "last_stream": goaway.last_stream, "debug": (goaway.debug or reason.first.debug).decode("utf-8", "replace"),
        "highest_stream": goaway.highest_seen, "open_streams": goaway.open_streams, "lost_calls": lost_calls(session),
        "age_seconds": round(seconds(first_time(session), goaway.excerpt.mark), 3), "graceful": reason.graceful, **reason.facts,
    }  # fmt: skip


def _evidence(reason: Reason) -> list[Evidence]:
    goaway = reason.goaway
    last = "any" if goaway.last_stream == LAST_ANY else str(goaway.last_stream)
    found = [show(goaway.excerpt, f"GOAWAY {error_name(goaway.code)}, last stream {last}")]
    if reason.first is not goaway:
        found.append(show(reason.first.excerpt, "the first GOAWAY", role="context"))
    return found


def _matches(session: Session, rule: str, title: str, text: str, fix: str, safe: RetrySafe, why: str) -> Iterator[Match]:
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
        calls = f" {lost:,} {'call was' if lost == 1 else 'calls were'} lost to it." if costs else " No call was lost to it."
        yield Match(
            severity=severity, certainty=sure(session, reason.certainty), who=[WHO[goaway.side]],
            title=title.format(who=who, last="any" if goaway.last_stream == LAST_ANY else goaway.last_stream, **{"requests": reason.facts.get("requests", "?")}),
            explanation=f"GOAWAY NO_ERROR came from the {who} {span(seconds(first_time(session), goaway.excerpt.mark))} into the connection. "
            f"{text}{' ' + reason.why if reason.why else ''}{calls}",
            evidence=_evidence(reason), details=_details(session, reason), retry_safe=safe, retry_why=why, fix=fix, key=goaway.side,
        )  # fmt: skip


RETRY_ABOVE = "Streams above last_stream_id were never processed; those at or below it are finished as usual (RFC 9113 §6.8)."


def check_max_requests(session: Session) -> Iterator[Match]:
    """A GOAWAY at a round number of requests."""
    yield from _matches(
        session, "goaway-max-requests", "The {who} ended the connection after {requests:,} requests (last stream {last})",
        "It is a limit on requests per connection.",
        "Raise the limit (keepalive_requests in nginx, max_requests_per_connection in Envoy; an ALB's 10,000 is fixed), rotate "
        "channels before it is reached, and retry UNAVAILABLE for calls that GOAWAY refused.", "yes", RETRY_ABOVE,
    )  # fmt: skip


def check_max_age(session: Session) -> Iterator[Match]:
    """A GOAWAY for the connection's age."""
    yield from _matches(
        session, "goaway-max-age", "The {who} ended the connection for its age",
        "The connection had reached its maximum age.",
        "Expected with max_connection_age (grpc) or keepalive_time (nginx); set a grace period that calls fit into "
        "(max_connection_age_grace).", "yes", RETRY_ABOVE,
    )  # fmt: skip


def check_max_idle(session: Session) -> Iterator[Match]:
    """A GOAWAY for idleness."""
    yield from _matches(
        session, "goaway-max-idle", "The {who} ended the connection because it was idle", "The connection had been idle for too long.",
        "Expected with max_connection_idle; no action is needed unless calls are lost.", "yes", RETRY_ABOVE,
    )  # fmt: skip


def check_graceful(session: Session) -> Iterator[Match]:
    """A graceful GOAWAY without a more special reason."""
    yield from _matches(
        session, "goaway-graceful-stop", "The {who} is ending the connection gracefully (last stream {last})",
        "It asks the other side to use a new connection; calls that were accepted may finish.",
        "Expected at restarts, reloads and deployments; clients reconnect by themselves.", "yes", RETRY_ABOVE,
    )  # fmt: skip


def check_single_shot(session: Session) -> Iterator[Match]:
    """A GOAWAY without the announcement that saves calls in flight."""
    yield from _matches(
        session, "goaway-single-shot", "The {who} ended the connection at stream {last} without announcing it first",
        "A graceful shutdown first sends GOAWAY with last stream 2^31-1, so that calls in flight are still taken; this one "
        "named its last stream at once, and calls that were on their way were refused.",
        "Retry UNAVAILABLE for such calls; make the sender shut down in two steps (nginx cannot: raise keepalive_requests and "
        "keepalive_time instead).", "yes", RETRY_ABOVE,
    )  # fmt: skip


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
            severity="error", certainty="certain", who=[WHO[sender]],
            title=f"The {SIDE_NAMES[reason.goaway.side]} ended the connection: too_many_pings ({seen})",
            explanation=f"GOAWAY {error_name(reason.goaway.code)} with debug data {_quoted(reason.goaway.debug)}. {seen}. gRPC servers allow one "
            "keep-alive PING in 5 minutes without data by default (GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, "
            "EnforcementPolicy.MinTime), and two strikes more.",
            evidence=_evidence(reason),
            details={**_details(session, reason), "pings": pings, "interval_seconds": median,
                     "intervals": [round(gap / 1e9, 3) for gap in [b - a for a, b in pairwise(times)][:10]]},
            client_sees=clients.too_many_pings(), retry_safe="yes",
            retry_why="Calls above last_stream_id were not processed; those below may finish.",
            fix="Raise the client's keep-alive interval to at least the server's minimum, or lower the server's (permit_keepalive_time, "
            "MinTime, PermitWithoutStream).",
            key=reason.goaway.side,
        )  # fmt: skip


def check_too_many_resets(session: Session) -> Iterator[Match]:
    """A GOAWAY for too many resets or DATA frames."""
    for reason in reasons(session):
        if reason.rule == "goaway-too-many-resets":
            yield _error(
                session, reason, "is over its limit of resets or small frames",
                "hyperium/h2 and others count resets and tiny DATA frames per connection to stop rapid reset; many cancelled calls on a "
                "long connection reach the limit slowly (1024 by default for internal resets).",
                "Recycle connections, cancel fewer calls, or raise max_local_error_reset_streams / max_pending_accept_reset_streams.",
            )  # fmt: skip


def check_error(session: Session) -> Iterator[Match]:
    """A GOAWAY with any other error code."""
    for reason in reasons(session):
        if reason.rule == "goaway-error":
            yield _error(
                session, reason, "ends it with an error",
                f"The {SIDE_NAMES[reason.goaway.side]} holds the {SIDE_NAMES[OTHER[reason.goaway.side]]} or itself in breach; all calls on the "
                "connection end. Breaches that the capture shows are findings of their own.",
                "Look at the log of the side that sent it, and at the frames just before.",
            )  # fmt: skip


def _error(session: Session, reason: Reason, what: str, text: str, fix: str) -> Match:
    goaway = reason.goaway
    who, name = SIDE_NAMES[goaway.side], error_name(goaway.code)
    debug = goaway.debug.decode("utf-8", "replace")
    said = f", saying {_quoted(goaway.debug)}" if debug else ""
    known = goaway.code < len(ERROR_NAMES)
    return Match(
        severity="error" if known or goaway.side == SERVER else "warning", certainty="certain", who=[WHO[goaway.side], WHO[OTHER[goaway.side]]],
        title=f"The {who} sent GOAWAY {name} ({goaway.code}){said}",
        explanation=f"GOAWAY {name} came from the {who} {span(seconds(first_time(session), goaway.excerpt.mark))} into the connection, with last "
        f"stream {goaway.last_stream} and {goaway.open_streams} open: the {who} {what}. {text}",
        evidence=_evidence(reason), details=_details(session, reason),
        client_sees=clients.goaway_error(goaway.code, debug) if goaway.side == SERVER and goaway.open_streams else [],
        retry_safe="unknown", retry_why=RETRY_ABOVE + " Of the others it is not known.", fix=fix, key=(goaway.side, goaway.code),
        stream=session.h2.halves[CLIENT].highest_stream if session.h2.opened == 1 and goaway.open_streams else None,
    )  # fmt: skip


def check_race(call: Call) -> Iterator[Match]:
    """A call whose stream id is above a GOAWAY's last_stream_id."""
    ending, session = call.ending, call.session
    if ending is None or ending.how != "goaway":
        return
    goaway = next((g for g in session.h2.goaways if g.side == SERVER and call.stream.id > g.last_stream), None)
    if goaway is None:
        return
    name, debug = error_name(goaway.code), goaway.debug.decode("utf-8", "replace")
    late = call.started.time - goaway.excerpt.mark.time
    when = f"{span(late / 1e9)} after the GOAWAY passed" if late > 0 else f"{span(-late / 1e9)} before the GOAWAY passed"
    request = call.request
    yield Match(
        severity="error", certainty="certain", who=["server", "proxy"],
        title=f"Stream {call.stream.id} is above the GOAWAY's last stream {goaway.last_stream}: the call was never processed",
        explanation=f"The call began {when} the capture, and the server's GOAWAY {name} names stream {goaway.last_stream} as the last that it "
        f"took. The call and the GOAWAY crossed on the way; it ended after {aged(call, ending.mark) if late <= 0 else 'no time'} without "
        "any answer. That it was not processed is certain.",
        evidence=[show(goaway.excerpt, f"GOAWAY {name}, last stream {goaway.last_stream}"),
                  *([show(request.excerpt, f"the request on stream {call.stream.id}", role="context")] if request else [])],
        details={"last_stream": goaway.last_stream, "error_code": goaway.code, "error_name": name, "debug": debug, "by": "server"},
        client_sees=clients.goaway_race(goaway.code, debug), retry_safe="yes",
        retry_why="The GOAWAY promises that streams above last_stream_id were not processed (RFC 9113 §6.8).",
        fix="Retry such calls on a new connection (gRPC's transparent retry does; where the client does not, retry UNAVAILABLE), and make "
        "connections end less often or in two steps.",
    )  # fmt: skip


_REFERENCES = ("RFC 9113 §6.8", "gRPC PROTOCOL-HTTP2, GOAWAY")
RULES: tuple[Rule, ...] = (
    Rule("goaway-race", "A call crossed a GOAWAY", "The stream's id is above a GOAWAY's last_stream_id: never processed.",
         _REFERENCES, "call", check_race),
    Rule("goaway-max-requests", "The connection reached a number of requests",
         "GOAWAY NO_ERROR with a last stream that is a round number of requests.", _REFERENCES, "session", check_max_requests),
    Rule("goaway-max-age", "The connection reached its maximum age", "GOAWAY for the connection's age.",
         (*_REFERENCES, "gRFC A9"), "session", check_max_age),
    Rule("goaway-max-idle", "The connection was idle for too long", "GOAWAY for idleness.",
         (*_REFERENCES, "gRFC A9"), "session", check_max_idle),
    Rule("goaway-graceful-stop", "A graceful end of the connection", "GOAWAY NO_ERROR: shutdown, reload or drain.",
         _REFERENCES, "session", check_graceful),
    Rule("goaway-single-shot", "A GOAWAY without announcement", "GOAWAY NO_ERROR that names its last stream at once and loses calls.",
         _REFERENCES, "session", check_single_shot),
    Rule("goaway-too-many-pings", "Too many PINGs", "GOAWAY ENHANCE_YOUR_CALM with too_many_pings.",
         (*_REFERENCES, "gRFC A8"), "session", check_too_many_pings),
    Rule("goaway-too-many-resets", "Too many resets", "GOAWAY for too many resets or small DATA frames.",
         _REFERENCES, "session", check_too_many_resets),
    Rule("goaway-error", "A GOAWAY with an error", "GOAWAY with an error code, from either side.",
         (*_REFERENCES, "RFC 9113 §7"), "session", check_error),
)  # fmt: skip
