"""Rules on calls that were cut off or waited in vain: TCP's end, and a server that fell silent.

One event gets one root. A FIN or RST of TCP in the middle of a call is `body-cut-connection`; where the client closed
because nothing (more) came, it is `stream-no-response` or `stream-stalled` instead. A peer is called silent only where
its TCP has acknowledged the request and both flow-control windows were open.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from wirecase.model import CLIENT, SERVER, SIDE_NAMES, Evidence, Mark
from wirecase.rules import clients, knobs
from wirecase.rules.base import Match, Rule, point
from wirecase.rules.limits import blind, first_end, first_time, grpc_timeout, seconds, span, sure
from wirecase.rules.progress import age, aged, around, far, far_details, inside_message, last_heard, retry
from wirecase.session.call import Call, How

SILENCE = 1.0
"""Seconds without a frame from which on silence is worth a word."""
LONG_SILENCE = 5.0
"""Seconds from which on a caller that gives up without a deadline has waited long."""
HOUSEKEEPING = 300.0
"""Seconds from which on a client that closes a quiet stream's connection may just be tidying up."""
DRIP = 3.0
"""A stall is this many times longer than the usual pause between the server's frames."""
AT_DEADLINE = 0.9
"""Share of grpc-timeout from which on a call has reached its deadline."""


class Silence(NamedTuple):
    """A server that sent nothing (more) on a stream until the client ended it."""

    since: Mark
    """The last frame before it: the server's, or the client's request where the server sent none."""
    answered: bool
    """The server had sent something on the stream."""
    until: int
    """ns."""
    seconds: float
    deadline: float | None
    """The request's grpc-timeout, where the call reached it."""
    how: How
    """How the client ended it: ``rst``, ``fin``, ``tcp-rst``; ``open`` if the deadline just passed."""
    mark: Mark | None
    """Where it did."""


def tcp_end(call: Call) -> tuple[int, How, Mark] | None:
    """Return (side, how, mark) of TCP's end if it came while the response was incomplete.

    A server may still answer a client that has closed its side: that came too late, and does not count.
    """
    ending, session = call.ending, call.session
    if ending is None or ending.how == "goaway" or (ending.reset is not None and ending.how == "rst"):
        return None
    end = first_end(session)
    if end is None or session.server.missing:
        return None
    side, kind, mark = end
    if mark.offset > session.side(side).sent:
        return None  # bytes before it were not captured
    how: How = "fin" if kind == "fin" else "tcp-rst"
    if call.response_complete:
        last = call.stream.ending[SERVER]
        if side != CLIENT or last is None or last.mark[:3] <= mark[:3]:
            return None
    return side, how, mark


def _last_frame(call: Call, side: int, before: int) -> Mark | None:
    """Return a side's last DATA or HEADERS frame on the stream up to a time."""
    marks = (mark for mark in call.stream.last_marks(side) if mark.time <= before)
    return max(marks, default=None, key=lambda mark: (mark.time, mark.offset))


def silence(call: Call) -> Silence | None:
    """Return how long the server kept a call waiting; None if it may not be blamed for it."""
    ending, session, stream = call.ending, call.session, call.stream
    if ending is None or call.blurred:
        return None
    timeout = grpc_timeout(call)
    due = None if timeout is None else call.started.time + int(timeout * 1e9)
    how: How = ending.how
    mark = ending.mark
    left = tcp_end(call)
    if left is not None and left[0] == CLIENT:
        _, how, mark = left
        until = left[2].time
    elif ending.how == "rst" and ending.by == CLIENT and mark is not None:
        until = mark.time
    elif ending.how == "open" and due is not None and (session.tcp.capture_end or 0) > due:
        until = due
    else:
        return None
    asked = _last_frame(call, CLIENT, until)
    client, server = session.client, session.server
    if asked is None or server.missing or client.acked is None or client.acked <= asked.offset:
        return None
    if not session.can_be_read(SERVER):
        return None  # it may have answered
    h2 = session.h2
    if client.zero_window or (h2.windows_known and min(stream.windows[SERVER], h2.halves[SERVER].window) <= 0):
        return None  # the server was not allowed to send
    if stream.starved[CLIENT] or h2.halves[CLIENT].starved or inside_message(call, CLIENT):
        return None  # the request itself is not complete
    heard = _last_frame(call, SERVER, until)
    since = heard or asked
    reached = timeout if timeout is not None and until - call.started.time >= AT_DEADLINE * timeout * 1e9 else None
    return Silence(since, heard is not None, until, seconds(since, until), reached, how, mark)


def _never_answered(call: Call) -> Silence | None:
    quiet = silence(call)
    if quiet is None or quiet.answered or not call.stream.ended[CLIENT]:
        return None
    long = quiet.seconds >= SILENCE or (quiet.deadline is not None and quiet.seconds >= AT_DEADLINE * quiet.deadline)
    return quiet if long else None


def _stalled(call: Call) -> Silence | None:
    """Return the silence of a server that had begun to answer, if it is one that may be held against it.

    A stream on which both sides may speak, or which waits for news, is quiet by nature: a stall needs a message cut in
    half, a deadline that passed, or a client that closed the connection over it.
    """
    quiet = silence(call)
    if quiet is None or not quiet.answered or quiet.seconds < SILENCE:
        return None
    waiting = call.stream.ended[CLIENT] and (
        quiet.deadline is not None or (quiet.how == "fin" and quiet.seconds < HOUSEKEEPING)
    )
    if not inside_message(call, SERVER) and not waiting:
        return None
    first = call.response.excerpt.mark if call.response else quiet.since
    frames = call.stream.data_frames[SERVER]
    if frames > 1 and quiet.seconds < DRIP * seconds(first, quiet.since) / frames:
        return None  # a slow drip
    return quiet


def check_no_response(call: Call) -> Iterator[Match]:
    """The request was complete and acknowledged, and nothing came back until the client gave up."""
    quiet = _never_answered(call)
    if quiet is None:
        return
    loud = quiet.deadline is not None or quiet.seconds >= LONG_SILENCE or quiet.how != "rst"
    how = _gave_up(quiet)
    safe, why = retry(call)
    yield Match(
        severity="warning" if loud else "info",
        certainty=sure(call.session, "probable" if loud else "possible"),
        who=["server", "proxy"],
        title=f"No response for {span(quiet.seconds)} to a complete request, until {how}",
        explanation="The request was sent in full and the server's TCP acknowledged it, but no frame came back on the "
        f"stream for {span(quiet.seconds)}; then {how}. That nothing came is certain; whether the server was busy, "
        "waited for something behind it or lost the call is not on this wire.",
        evidence=[*point(quiet.since, "the end of the request", side=CLIENT), *_end_point(quiet)],
        details={"seconds": round(quiet.seconds, 3), "grpc_timeout": quiet.deadline, "by": "server"},
        client_sees=clients.stalled(headers=False) if quiet.deadline is not None else [],
        retry_safe=safe,
        retry_why=why,
        fix="Find out what the server did at that time (its log, its thread pool, the backend behind it), or raise the "
        f"deadline or the proxy's timeout if such calls are meant to take this long: {knobs.WAITS}.",
    )


def check_stalled(call: Call) -> Iterator[Match]:
    """The server began to answer and fell silent, with the windows open."""
    quiet = _stalled(call)
    if quiet is None:
        return
    how, where = _gave_up(quiet), far(call)
    safe, why = retry(call)
    yield Match(
        severity="warning",
        certainty=sure(call.session, "probable"),
        who=["server", "proxy"],
        title=f"The server fell silent for {span(quiet.seconds)} {where}, until {how}",
        explanation=f"The server stopped {where}; {span(quiet.seconds)} later {how}. Both flow-control windows and the "
        "client's TCP window were open and nothing is missing from the capture, so the server (or what is behind it) "
        "did not send.",
        evidence=[
            *point(quiet.since, "the server's last frame on the stream", side=SERVER),
            *_end_point(quiet),
            *around(call),
        ],
        details={
            "seconds": round(quiet.seconds, 3),
            "grpc_timeout": quiet.deadline,
            "by": "server",
            **far_details(call),
        },
        client_sees=clients.stalled(),
        retry_safe=safe,
        retry_why=why,
        fix="Find out what the server did at that time (its log, a lock, the backend behind it). If it is a proxy, "
        "capture its upstream side too.",
    )


def _gave_up(quiet: Silence) -> str:
    if quiet.how == "open":
        return f"its deadline of {span(quiet.deadline)} passed" if quiet.deadline is not None else "the capture ended"
    verb = {"rst": "reset the stream", "fin": "closed the connection", "tcp-rst": "reset the connection"}[quiet.how]
    return f"the client {verb}" + (f" at its deadline of {span(quiet.deadline)}" if quiet.deadline is not None else "")


def _end_point(quiet: Silence) -> list[Evidence]:
    return point(quiet.mark, "the client ends the wait", side=CLIENT, role="context")


def check_body_cut(call: Call) -> Iterator[Match]:
    """TCP ends in the middle of a call."""
    session = call.session
    end = tcp_end(call)
    if end is None or call.blurred or not session.can_be_read(SERVER) or _never_answered(call) or _stalled(call):
        return
    side, how, mark = end
    if call.response_complete and not inside_message(call, CLIENT):
        return  # the client had closed its half of TCP, and was answered all the same
    if side == CLIENT and session.client.missing:
        return
    yield _cut(call, side, how == "fin", mark)


def _cut(call: Call, by: int, fin: bool, mark: Mark) -> Match:
    session, stream = call.session, call.stream
    who, how = SIDE_NAMES[by], "TCP FIN" if fin else "TCP RST"
    own = by == CLIENT and inside_message(call, CLIENT)
    where = far(call, CLIENT if own else SERVER)
    goaways = [g for g in session.h2.goaways if g.side == by]
    goaway = "after a GOAWAY" if goaways else "without a GOAWAY"
    safe, why = retry(call)
    loud = by == SERVER or own
    open_calls = session.h2.open_at_end_count
    lasted = seconds(first_time(session), mark)
    limits = blind(session)
    request = "the request was complete" if stream.ended[CLIENT] else "the request was still open"
    return Match(
        severity="error" if loud else "warning",
        certainty=sure(session),
        who=["server", "proxy", "network"] if by == SERVER else ["client"],
        title=f"The {who} {'closed' if fin else 'reset'} the connection ({how}) {where}",
        explanation=f"{how} came from the {who}'s side {goaway}, {aged(call, mark)} into the call and {span(lasted)} "
        f"into the connection, {where}; {request}. The packet is certain, the reason is not on the wire: "
        + (
            "a killed or crashed process, a proxy's timeout, or a device between that resets."
            if by == SERVER
            else "the client's process ended, or it gave the call up."
        )
        + (f" Seen with limits: {', '.join(limits)}." if limits else ""),
        evidence=[
            *point(mark, f"{how} from the {who}", side=by),
            *around(call, CLIENT if own else SERVER),
            *last_heard(call, SERVER),
        ],
        details={
            "by": who,
            "how": "fin" if fin else "rst",
            "goaway": bool(goaways),
            "seconds": age(call, mark),
            "connection_seconds": lasted,
            "open_streams": open_calls,
            "http_status": call.http_status,
            "request_complete": stream.ended[CLIENT],
            **far_details(call, CLIENT if own else SERVER),
        },
        client_sees=clients.body_cut(
            "fin" if fin else "rst",
            headers=call.response is not None,
            in_frame=session.h2.halves[SERVER].unfinished_frame is not None,
            in_message=inside_message(call, SERVER) and session.h2.halves[SERVER].unfinished_frame is None,
            goaway=(goaways[-1].code, goaways[-1].debug.decode("utf-8", "replace")) if goaways else None,
        )
        if by == SERVER
        else [],
        retry_safe=safe,
        retry_why=why,
        fix="Look for a restart, crash, OOM kill or deployment of the server at this time, and for idle or lifetime "
        f"limits of what lies between; servers should drain with GOAWAY first: {knobs.DRAIN}."
        if by == SERVER
        else "Look at the client's log: shut clients down only after their calls have ended.",
        key=(by, fin),
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="body-cut-connection",
        title="The connection ended in the middle of a call",
        summary="A FIN or RST of TCP came while the stream was open.",
        references=("RFC 9113 §5.4", "RFC 9293 §3.6", "gRPC PROTOCOL-HTTP2, Errors"),
        scope="call",
        check=check_body_cut,
    ),
    Rule(
        id="stream-no-response",
        title="The server never answered",
        summary="The request was complete, nothing came back, and the client gave up.",
        references=("gRPC PROTOCOL-HTTP2, Responses",),
        scope="call",
        check=check_no_response,
    ),
    Rule(
        id="stream-stalled",
        title="The server fell silent in the middle of its answer",
        summary="The server stopped sending with the stream open and window to spare.",
        references=("RFC 9113 §5.2", "gRPC PROTOCOL-HTTP2, Responses"),
        scope="call",
        check=check_stalled,
    ),
)
