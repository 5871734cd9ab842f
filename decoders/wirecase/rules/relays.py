"""Rules on a call that was captured on both sides of a proxy: what the proxy changed, and what it lost in between.

They look at the pairs that `leg_match` found: calls that are known to be one, by an id or by their bytes. So what is
said here does not rest on the time alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from wirecase.grpc.status import status_name
from wirecase.model import CLIENT, SERVER, Certainty, Evidence, Mark
from wirecase.rules.base import Match, Rule, point
from wirecase.rules.leg_match import CallPrint
from wirecase.session.run import Run

MS = 1_000_000
CROSSED = 10 * MS
"""How long after a request its server's FIN or RST may be seen that was on its way when the request was sent, ns."""
SAME_MOMENT = 2 * MS
"""The same where a connection in use is probable to have been closed without regard to the request, ns."""
IDLE = 1000 * MS
"""Silence before a request from which on its connection counts as idle, ns."""
SOON = 200 * MS
"""How long after the loss a proxy's error may leave it to be the answer to it, ns: retries lie between."""
HELD_BACK = 100 * MS
"""How long a proxy must have had the server's answer when it cuts its client off or tells it of a timeout, ns."""
_GATEWAY = (500, 502, 503)
_ENDS = ("trailers", "trailers-only", "data", "rst", "fin", "tcp-rst")
_HOW = {"fin": "TCP FIN", "tcp-rst": "TCP RST", "goaway": "GOAWAY", "rst": "RST_STREAM"}


def _last_legs(run: Run) -> Iterator[tuple[CallPrint, CallPrint, int]]:
    """Yield (leg behind, leg before, number of legs behind) of each call; after retries the leg that ended last."""
    behind: dict[tuple[int, int], tuple[CallPrint, CallPrint, int]] = {}
    for back, front in run.leg_pairs:
        held = behind.get(front.place)
        count = held[2] + 1 if held else 1
        later = held is None or (back.end or 0) >= (held[0].end or 0)
        last = back if held is None or later else held[0]
        behind[front.place] = (last, front, count)
    yield from behind.values()


def _told(leg: CallPrint) -> str:
    """Say how a leg ended, in a few words."""
    if isinstance(leg.status, bytes):
        number = leg.status.decode("latin-1")
        name = f" ({status_name(int(number))})" if number.isdigit() and len(number) < 4 else ""
        return f"grpc-status {number[:20]}{name}"
    if leg.http is not None and leg.http != 200:
        return f"HTTP {leg.http} without a grpc-status"
    return "no grpc-status" + (f" ({_HOW[leg.how]})" if leg.how in _HOW else "")


def _evidence(run: Run, leg: CallPrint, mark: Mark | None, note: str, role: str) -> list[Evidence]:
    return point(mark, f"{run.leg_refs[leg.place[0]].server}: {note}", side=SERVER, role=role)


def _disagree(run: Run) -> Iterator[Match]:
    """The answer that came out of a proxy is not the one that went in."""
    for back, front, _ in _last_legs(run):
        if not (back.whole and front.whole) or front.how not in _ENDS or front.by == CLIENT:
            continue
        if (
            not isinstance(back.status, bytes)
            or back.end is None
            or front.end is None
            or back.by == CLIENT
            or back.left
        ):
            continue  # the server's own word is not known
        if back.source == front.source and back.end > front.end:
            continue  # it came too late to be passed on
        died, late = front.how in ("fin", "tcp-rst"), front.status == b"4" or front.http == 504
        if (died or late) and back.end + HELD_BACK > front.end:
            continue  # the proxy's connection died just then, which is said as such, or its time was up
        if back.how not in ("trailers", "trailers-only") or front.status == "unknown":
            continue
        same_status = front.status == back.status
        changed = back.response is not None and front.response is not None and back.response != front.response
        if same_status and not changed:
            continue
        place = run.leg_refs[front.place[0]]
        behind = run.leg_refs[back.place[0]]
        got, gave = _told(front), _told(back)
        if same_status:
            sizes = (front.response or (0, 0))[0], (back.response or (0, 0))[0]
            title = (
                f"The proxy at {place.server} changed the body of the answer ({sizes[1]:,} bytes, then {sizes[0]:,})"
            )
            what = f"Behind the proxy the answer has {sizes[1]:,} bytes, before it {sizes[0]:,} other ones."
        else:
            title = f"The proxy at {place.server} changed the outcome: the server answered {gave}, the client got {got}"
            what = f"Behind the proxy {behind.server} ended the call with {gave}; before it the client got {got}."
        yield Match(
            severity="warning" if same_status else "error",
            certainty="probable" if same_status else "certain",
            who=["proxy"],
            title=title,
            explanation=f"One call was captured on both sides. {what} So the server did its part, and what the client "
            "saw was made in between."
            + (" A service that puts answers together does so by design." if same_status else ""),
            evidence=[
                *_evidence(run, front, front.over or front.begun, f"the client's leg ends with {got}", "primary"),
                *_evidence(run, back, back.over or back.begun, f"the server's leg ends with {gave}", "context"),
            ],
            details={
                "before": got, "behind": gave, "http_status": front.http, "back_http_status": back.http,
                "back_server": behind.server, "proxy_address": place.server, "body_changed": changed,
            },
            retry_safe="no" if back.status == b"0" else "unknown",
            retry_why="The server has completed the call." if back.status == b"0" else "The server has ended the call.",
            fix="Let the proxy speak HTTP/2 to the server and pass trailers and statuses on: nginx grpc_pass (not "
            "proxy_pass), no grpc_hide_header, error_page or grpc_intercept_errors; HAProxy proto h2 on the server "
            "line, no http-response rules or filters on the body; Envoy http2_protocol_options on the cluster, no "
            "local_reply_config mapper, compressor or transcoder filter for this route; ALB target group with "
            "protocol version gRPC. wirecase compare shows the call on both legs.",
            key=(front.place[0], got, gave, changed),
            place=(place, front.call, front.path),
            stream=front.place[1],
            mark=front.over or front.begun,
        )  # fmt: skip


def _sureness(back: CallPrint, late: int) -> Certainty | None:
    """Tell how sure it is that a server closed a connection without having seen the request; None: it did not."""
    if back.how == "goaway":
        return "certain"  # the server itself says that it did not process the stream
    if late <= 0:
        return "certain" if back.how == "fin" else "probable"
    idle = back.quiet is not None and back.quiet >= IDLE
    if late <= SAME_MOMENT and idle:
        return "probable"
    return "possible" if late <= CROSSED and back.quiet is not None else None


def _race(run: Run) -> Iterator[Match]:
    """A proxy sends a request on a connection that the server is just closing, and answers with an error of its own."""
    for back, front, tried in _last_legs(run):
        if back.answered or back.by != SERVER or back.how not in ("fin", "tcp-rst", "goaway") or back.over is None:
            continue
        if not back.whole or back.begun is None or (back.quiet is None and back.how != "goaway"):
            continue
        if back.source != front.source:
            continue  # by two clocks milliseconds say nothing
        if front.http not in _GATEWAY and front.status != b"14":
            continue
        lost = max(back.begun.time, back.over.time)
        if front.end is None or not -SAME_MOMENT <= front.end - lost <= SOON:
            continue
        late = back.over.time - back.begun.time
        sure = _sureness(back, late)
        if sure is None:
            continue
        behind, place = run.leg_refs[back.place[0]], run.leg_refs[front.place[0]]
        how, ms = _HOW[back.how], abs(late) / MS
        when = f"{ms:.1f} ms before" if late <= 0 else f"{ms:.1f} ms after"
        missed = late <= -CROSSED and back.how != "goaway"
        closing = "had closed" if missed else "was just closing"
        why = (
            "The proxy had the time to see that end, and did not look before it sent: it was busy or held up, or does "
            "not watch the connections of its pool."
            if missed
            else "Both sides keep to the rules: the one closes, the other has not seen it yet. Where the server closes "
            "because of the request itself (a crash), the same packets are seen, only later."
        )
        idle = back.quiet is not None and back.quiet >= IDLE
        quiet = f" after {(back.quiet or 0) / 1e9:.1f} s without a word from the server" if idle else ""
        again = " It did not try another connection." if tried == 1 else f" It tried {tried} times."
        yield Match(
            severity="error",
            certainty=sure,
            who=["proxy", "server"],
            title=f"The proxy sent the call on a connection that {behind.server} {closing} ({how} {when} it)",
            explanation=f"The proxy at {place.server} took a pooled connection to {behind.server}{quiet} and sent the "
            f"request; the server's {how} was captured {when} the request, and no byte of an answer came. The proxy "
            f"then answered its client with {_told(front)}.{again} {why}",
            evidence=[
                *_evidence(run, back, back.over, f"{how} of the server", "primary"),
                *point(back.begun, f"{behind.server}: the request is sent", side=CLIENT, role="context"),
                *_evidence(run, front, front.over, f"the proxy's own answer: {_told(front)}", "context"),
            ],
            details={
                "how": back.how, "late_ms": round(late / MS, 3),
                "idle_ms": None if back.quiet is None else round(back.quiet / MS, 3),
                "http_status": front.http, "proxy_address": place.server, "attempts": tried,
            },
            retry_safe="yes" if sure == "certain" else "unknown",
            retry_why=(
                "The server had closed, or refused the stream, before it read the request."
                if sure == "certain"
                else "The server most likely never read the request; that is not proven."
            ),
            fix="Let the proxy drop idle connections before the server does: nginx keepalive_timeout in the upstream "
            "block (and keepalive_requests, keepalive_time below the server's limits); Envoy idle_timeout in "
            "common_http_protocol_options of the cluster; HAProxy pool-purge-delay or http-reuse safe. Or make the "
            "server's own idle timeout longer (grpc-go MaxConnectionIdle, GRPC_ARG_MAX_CONNECTION_IDLE_MS, nginx "
            "keepalive_timeout). "
            "Let it retry what was not processed: nginx grpc_next_upstream error non_idempotent where calls may run "
            "twice; Envoy retry_on reset-before-request, refused-stream; HAProxy retry-on conn-failure empty-response.",
            key=(back.place[0], back.how),
            place=(behind, back.call, back.path),
            stream=back.place[1],
            mark=min(back.begun, back.over, key=lambda mark: mark.time),
        )  # fmt: skip


RULES: tuple[Rule, ...] = (
    Rule(
        "proxy-legs-disagree",
        "A proxy changed the answer",
        "The same call was captured before and behind a proxy, and its status or its bytes differ.",
        ("gRPC PROTOCOL-HTTP2, Responses", "RFC 9110 §7.6"),
        "run",
        _disagree,
    ),
    Rule(
        "proxy-upstream-race",
        "A proxy used a connection that its server was closing",
        "A proxy's error follows within milliseconds on the end of its connection to the server.",
        ("RFC 9112 §9.5", "RFC 9113 §6.8", "RFC 9113 §8.7"),
        "run",
        _race,
    ),
)
