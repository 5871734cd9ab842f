"""Why a GOAWAY was sent, as far as its code, its debug data, its last stream and the connection's age tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from wirecase.http2.facts import MAX_WINDOW, Goaway, error_name
from wirecase.model import CLIENT, SERVER, SIDE_NAMES, Certainty, Evidence
from wirecase.rules.base import show
from wirecase.rules.limits import first_time, seconds, span
from wirecase.session.session import Session

NO_ERROR = 0
LAST_ANY = MAX_WINDOW
"""The last_stream_id of a first, graceful GOAWAY (RFC 9113 §6.8)."""
DEBUG = (
    (b"too_many_pings", "goaway-too-many-pings"),
    (b"too_many_resets", "goaway-too-many-resets"),
    (b"too_many_internal_resets", "goaway-too-many-resets"),
    (b"too_many_data_frames", "goaway-too-many-resets"),
    (b"max_age", "goaway-max-age"),
    (b"max_idle", "goaway-max-idle"),
    (b"graceful_stop", "goaway-graceful-stop"),
    (b"app_requested", "goaway-graceful-stop"),
    (b"session_timed_out", "goaway-graceful-stop"),
)
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
            return reason(rule, why=f"Its debug data says so: {quoted(debug)}.")
    if goaway.code != NO_ERROR:
        return reason("goaway-error", idle=b"idle" in debug.lower() and not goaway.open_streams)
    if goaway.side == CLIENT or session.roles == "guess":
        return reason("goaway-graceful-stop")
    by_age = _round_age(session, first)
    requests = (goaway.last_stream + 1) // 2
    if goaway.last_stream != LAST_ANY and goaway.last_stream % 2 and requests in ROUND_REQUESTS:
        return reason(
            "goaway-max-requests",
            "probable",
            f"Stream {goaway.last_stream} is the {requests:,}th of the connection, a round number: a limit of requests "
            "per connection.",
            requests=requests,
        )
    if by_age is not None:
        return reason(
            "goaway-max-age",
            "probable",
            f"The connection was {span(by_age[1])} old, close to {span(by_age[0])}.",
            limit_seconds=by_age[0],
        )
    if not graceful and (goaway.highest_seen > goaway.last_stream or lost_calls(session)) and goaway.last_stream > 0:
        if goaway.last_stream % 2 and requests <= 10:
            return reason(
                "goaway-single-shot",
                "certain",
                f"It came after {requests} requests: a limit of requests per connection would look like this, but so "
                "would a reload.",
                requests=requests,
            )
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


def quoted(debug: bytes) -> str:
    """Return debug data for a sentence."""
    text = debug[:200].decode("utf-8", "replace")
    return repr(text)


def lost_calls(session: Session) -> int:
    """Return how many calls a GOAWAY of the server left unprocessed."""
    return session.rules_fired.get("goaway-race", 0)


def details(session: Session, reason: Reason) -> dict[str, Any]:
    """Return the typed facts of a GOAWAY."""
    goaway = reason.goaway
    return {
        "by": SIDE_NAMES[goaway.side],
        "error_code": goaway.code,
        "error_name": error_name(goaway.code),
        "last_stream": goaway.last_stream,
        "debug": (goaway.debug or reason.first.debug).decode("utf-8", "replace"),
        "highest_stream": goaway.highest_seen,
        "open_streams": goaway.open_streams,
        "lost_calls": lost_calls(session),
        "age_seconds": round(seconds(first_time(session), goaway.excerpt.mark), 3),
        "graceful": reason.graceful,
        **reason.facts,
    }


def evidence(reason: Reason) -> list[Evidence]:
    """Return the GOAWAY, and the one that announced it."""
    goaway = reason.goaway
    last = "any" if goaway.last_stream == LAST_ANY else str(goaway.last_stream)
    found = [show(goaway.excerpt, f"GOAWAY {error_name(goaway.code)}, last stream {last}")]
    if reason.first is not goaway:
        found.append(show(reason.first.excerpt, "the first GOAWAY", role="context"))
    return found
