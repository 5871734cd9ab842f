"""Rule on a call whose time ran out (PH2 Requests, grpc-timeout; statuscodes.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from wirecase.grpc import status as s
from wirecase.http2.facts import error_name
from wirecase.model import CLIENT, SERVER, SIDE_NAMES, Certainty, Evidence
from wirecase.rules import clients
from wirecase.rules.base import Match, Rule, point, show
from wirecase.rules.calls import is_grpc_call, plural, request_context
from wirecase.rules.limits import call_seen, grpc_timeout, seconds, span
from wirecase.session.call import Call

_EARLY = 0.05
"""Seconds, or share of the timeout, by which a client's clock may run ahead of the wire."""
_LATE = 0.5
"""Seconds, or share of the timeout, by which the end may come late."""

_LOST = 3
"""Retransmissions without an answer from which on a client is cut off."""


class Met(NamedTuple):
    """A client that ended a call at its deadline."""

    timeout: float
    """grpc-timeout, seconds."""
    elapsed: float
    """Seconds from the request's headers to the end."""


def _at(timeout: float, elapsed: float) -> bool:
    early = max(_EARLY, 0.02 * timeout)
    return timeout - early <= elapsed <= timeout + max(_LATE, 0.1 * timeout) and elapsed > 0


def deadline_met(call: Call) -> Met | None:
    """Return the deadline at which the client gave up an unfinished call, by a reset or by closing; else None."""
    timeout, ending, frame = grpc_timeout(call), call.ending, call.request
    if timeout is None or ending is None or frame is None or call.response_complete:
        return None
    if ending.by != CLIENT or ending.how not in ("rst", "fin", "tcp-rst"):
        return None
    if ending.how == "rst" and (ending.reset is None or ending.reset.code not in (0, 8)):
        return None
    elapsed = seconds(frame.excerpt.mark, ending.mark)
    return Met(timeout, elapsed) if _at(timeout, elapsed) else None


def _progress(call: Call) -> str:
    body = call.response_body
    if call.response is None:
        return "no response headers had come"
    if body is None or not body.bytes:
        return "response headers but no message had come"
    pending = body.pending()
    if pending is not None and pending.declared is not None:
        return (
            f"{plural(body.messages, 'message')} and {pending.got:,} of {pending.declared:,} bytes of the next had come"
        )
    return f"{plural(body.messages, 'message')} had come"


def _silence(call: Call) -> str:
    last = call.stream.last_mark(SERVER)
    if last is None or call.ending is None or call.ending.mark is None:
        return ""
    return f" The server's last frame on the stream came {span(seconds(last, call.ending.mark))} before the end."


def _late_answer(call: Call) -> tuple[str, list[Evidence], dict[str, float]]:
    """Return what is to be said of an answer that came behind the client's reset: a sentence, its bytes, its delay."""
    last, ending = call.stream.late, call.ending
    if last is None or ending is None or ending.how != "rst":
        return "", [], {}
    late = seconds(ending.mark, last.mark)
    return (
        f" The server's answer ended {span(late)} after that: late, not lost.",
        [show(last, "the server ends its answer, too late", role="context")],
        {"late_ms": round(late * 1000, 3)},
    )


def _deadline(call: Call) -> Iterator[Match]:
    if not is_grpc_call(call):
        return
    met = deadline_met(call)
    if met is not None:
        yield _by_client(call, met)
    elif call.grpc_status == s.DEADLINE_EXCEEDED:
        yield _by_server(call)
    else:
        unseen = _unseen(call)
        if unseen is not None:
            yield unseen


def _by_client(call: Call, met: Met) -> Match:
    ending = call.ending
    how = "closed the connection"
    evidence = point(ending.mark if ending else None, "the client closes the connection", side=CLIENT)
    if ending is not None and ending.how == "rst" and ending.reset is not None:
        name = error_name(ending.reset.code)
        how = f"reset the stream ({name})"
        evidence = [show(ending.reset.excerpt, f"RST_STREAM {name} by the client")]
    body = call.response_body
    late, late_evidence, late_details = _late_answer(call)
    return Match(
        severity="warning",
        certainty="certain",
        who=["server", "client", "network"],
        title=f"Deadline exceeded: the client gave up after {span(met.elapsed)} (grpc-timeout {span(met.timeout)})",
        explanation=(
            f"The request allowed {span(met.timeout)}; {span(met.elapsed)} after it the client {how}. By then "
            f"{_progress(call)}.{_silence(call)}{late} That the time ran out is certain; whether the server was slow "
            "or the deadline too short is not on the wire."
        ),
        evidence=[*evidence, *late_evidence, *request_context(call)],
        details={
            "timeout_ms": round(met.timeout * 1000, 3),
            "elapsed_ms": round(met.elapsed * 1000, 3),
            "by": "client",
            "how": None if ending is None else ending.how,
            "error_code": ending.reset.code if ending is not None and ending.reset is not None else None,
            "after_messages": body.messages if body is not None else 0,
            "response_headers": call.response is not None,
            **late_details,
        },
        client_sees=clients.deadline(headers=call.response is not None),
        retry_safe="unknown",
        retry_why="The server may have processed the call after the client stopped waiting.",
        fix="Compare the method's usual time with the deadline; look for what the server waited for.",
        key="client",
    )


def _unseen(call: Call) -> Match | None:
    """A call whose end is not in the capture, although its time is up, or will be: the client hears nothing."""
    timeout, ending, end = grpc_timeout(call), call.ending, call.session.tcp.capture_end
    frame = call.request
    if timeout is None or ending is None or ending.how != "open" or end is None or frame is None or not call_seen(call):
        return None
    left = timeout - seconds(frame.excerpt.mark, end)
    since = call.session.client.tail_since
    lost = len(call.session.client.tail_retransmissions)
    if left < -max(_LATE, 0.1 * timeout):
        title = f"The call's deadline of {span(timeout)} passed without an end on the wire"
        text = (
            f"The request allowed {span(timeout)}; the capture goes on longer, but neither an answer nor a reset of "
            f"the client is in it. Until then {_progress(call)}. The client has given the call up; its reset did not "
            "get through, or did not pass here."
        )
    elif lost >= _LOST and since is not None:
        silent = span(seconds(since, end))
        title = f"The call runs into its deadline of {span(timeout)}: nothing has been acknowledged for {silent}"
        text = (
            f"The client sends the same bytes again and again ({lost} times) and hears nothing. The capture ends "
            f"{span(max(left, 0.0))} before the call's time is up; until then {_progress(call)}. Unless the network "
            "recovers, the client reports DEADLINE_EXCEEDED."
        )
    else:
        return None
    return Match(
        severity="info",
        certainty="probable" if left < 0 else "possible",
        who=["network", "server", "client"],
        title=title,
        explanation=text,
        evidence=[
            *point(since, "the first bytes that were never acknowledged", side=CLIENT, role="context"),
            *request_context(call),
        ],
        details={"timeout_ms": round(timeout * 1000, 3), "by": "client", "how": "open", "retransmissions": lost},
        client_sees=clients.deadline(headers=call.response is not None),
        retry_safe="unknown",
        retry_why="The server may have processed the call.",
        fix="Look for what stopped the traffic between the two sides.",
        key="unseen",
    )


def _by_server(call: Call) -> Match:
    trailers = call.trailers
    timeout, frame = grpc_timeout(call), call.request
    message = s.percent_decode(trailers.block.get(b"grpc-message") or b"") if trailers else ""
    elapsed = seconds(frame.excerpt.mark, trailers.excerpt.mark) if frame and trailers else None
    certainty: Certainty = "certain"
    sees = clients.answered(s.DEADLINE_EXCEEDED, message)
    if timeout is None:
        fits = " The request carried no grpc-timeout that could be seen: a server or a proxy set the limit."
        certainty = "probable"
    elif elapsed is not None and _at(timeout, elapsed):
        fits = f" That fits the request's grpc-timeout of {span(timeout)}."
        sees = clients.deadline(headers=None)  # by then the client's own clock has run out as well
    else:
        fits = (
            f" The request's grpc-timeout is {span(timeout)}, which does not fit: the status was passed on from a call "
            "further behind, or another limit applies."
        )
        certainty = "probable"
    body = call.response_body
    after = f" after {span(elapsed)}" if elapsed else ""
    return Match(
        severity="warning",
        certainty=certainty,
        who=["server", "client"],
        title=f"Deadline exceeded: the server ended the call{after} with status 4",
        explanation=(
            f"The {SIDE_NAMES[SERVER]} answered DEADLINE_EXCEEDED{after}"
            + (f' ("{message[:120]}").' if message else ".")
            + f"{fits} Until then {_progress(call)}."
        ),
        evidence=[
            *([show(trailers.excerpt, "grpc-status 4 (DEADLINE_EXCEEDED)")] if trailers else []),
            *request_context(call),
        ],
        details={
            "timeout_ms": None if timeout is None else round(timeout * 1000, 3),
            "elapsed_ms": None if elapsed is None else round(elapsed * 1000, 3),
            "by": "server",
            "grpc_status": s.DEADLINE_EXCEEDED,
            "grpc_message": message,
            "after_messages": body.messages if body is not None else 0,
        },
        client_sees=sees,
        retry_safe="unknown",
        retry_why="The server may have done part of the work.",
        fix="Compare the method's usual time with the deadline; look for what the server waited for.",
        key="server",
    )


RULES: tuple[Rule, ...] = (
    Rule(
        "grpc-deadline",
        "A call whose time ran out",
        "The client gave up at about its grpc-timeout, or the server answered DEADLINE_EXCEEDED.",
        ("gRPC PROTOCOL-HTTP2, Requests (Timeout)", "gRPC statuscodes.md"),
        "call",
        _deadline,
    ),
)
