"""Rules on flow control (RFC 9113 §5.2, §6.9). Windows are recomputed by the walk, in the sender's favour."""

from __future__ import annotations

from collections.abc import Iterator

from wirecase.http2.facts import INITIAL_WINDOW_SIZE, MAX_WINDOW, WINDOW_UPDATE, Violation
from wirecase.model import CLIENT, SERVER, SIDE_NAMES, Mark
from wirecase.rules import clients, knobs
from wirecase.rules.base import Match, Rule, point
from wirecase.rules.limits import OTHER, blind, grpc_timeout, seconds, span
from wirecase.rules.progress import far, far_details, inside_message
from wirecase.rules.violations import WHO, Told, grouped, setting
from wirecase.session.call import Call
from wirecase.session.session import Session

FLOW_CONTROL_ERROR = 3
STALL = 1.0
"""Seconds at a window of 0 from which on a stall is told."""
OPEN_STALL = 10.0
"""The same where nothing but the capture's end ended it."""
LEAK_SAMPLES = 16
LEAK_STREAMS = 20
"""A leak is a trend over at least so many samples and finished streams."""
LEAK_SHARE = 0.25
"""Share of the window that must be gone."""


def _stall_end(call: Call) -> tuple[int, bool] | None:
    """Return (time at which a stalled call ended, whether someone ended it), or None if it cannot be judged."""
    ending, session = call.ending, call.session
    if ending is None or call.blurred or not session.h2.windows_known or blind(session):
        return None
    if ending.how in ("rst", "fin", "tcp-rst") and ending.mark is not None:
        return ending.mark.time, True
    if ending.how == "open" and session.tcp.capture_end is not None:
        return session.tcp.capture_end, False
    return None


def _long_enough(call: Call, starved: Mark, until: int, ended: bool) -> bool:
    waited = seconds(starved, until)
    if not ended:
        return waited >= OPEN_STALL
    timeout = grpc_timeout(call)
    return waited >= STALL or (timeout is not None and waited >= timeout / 2)


def _stall(call: Call, side: int, starved: Mark, until: int, scope: str) -> Match:
    sender, receiver = SIDE_NAMES[side], SIDE_NAMES[OTHER[side]]
    waited = seconds(starved, until)
    where = far(call, side)
    owed = inside_message(call, side)
    initial = call.session.h2.halves[OTHER[side]].settings.get(INITIAL_WINDOW_SIZE, 65535)
    return Match(
        severity="error",
        certainty="certain" if owed else "probable",
        who=[WHO[OTHER[side]]],
        title=f"The {sender} has used up its {scope} window and waited {span(waited)} for a WINDOW_UPDATE that never "
        "came",
        explanation=f"The {sender} sent all that the {scope} window allowed ({where}) and owes more; the {receiver} "
        f"gave no WINDOW_UPDATE for {span(waited)}, until the call ended. The windows were recomputed from the "
        f"SETTINGS and updates in the capture. Most often the {receiver} does not read: a slow or blocked consumer, or "
        "an implementation that forgets to give the window back.",
        evidence=point(starved, f"the frame that took the {scope} window to 0", side=side),
        details={
            "by": receiver,
            "blocked": sender,
            "scope": scope,
            "seconds": round(waited, 3),
            "initial_window": initial,
            **far_details(call, side),
        },
        client_sees=clients.stalled(headers=call.response is not None),
        retry_safe="unknown",
        retry_why="The server may have handled what it read." if side == CLIENT else "The server had begun to answer.",
        fix=f"Find out why the {receiver} stopped reading the stream (back-pressure, a blocked handler, a lock); "
        f"larger windows only postpone it ({knobs.WINDOWS}).",
        key=side,
    )


def _sides_open(call: Call) -> Iterator[int]:
    for side in (CLIENT, SERVER):
        if not call.stream.ended[side]:
            yield side


def check_stream_stalled(call: Call) -> Iterator[Match]:
    """A stream's window is used up and never given back."""
    end = _stall_end(call)
    if end is None:
        return
    for side in _sides_open(call):
        starved = call.stream.starved[side]
        if starved is not None and _long_enough(call, starved, *end):
            yield _stall(call, side, starved, end[0], "stream")
    shut = _shut(call)
    if shut is not None and _long_enough(call, shut, *end):
        yield _never_opened(call, shut, end[0])


def _shut(call: Call) -> Mark | None:
    """Return since when a request had to wait whose stream began with a window of 0; None where it did not."""
    stream, server = call.stream, call.session.h2.halves[SERVER]
    if stream.ended[CLIENT] or stream.data_bytes[CLIENT] or stream.windows[CLIENT] > 0 or not stream.headers:
        return None
    zero = next((one for one in server.settings_frames if one.values.get(INITIAL_WINDOW_SIZE) == 0), None)
    if zero is None or server.settings.get(INITIAL_WINDOW_SIZE) != 0:
        return None
    return max(zero.mark, call.started, key=lambda mark: mark.time)


def _never_opened(call: Call, since: Mark, until: int) -> Match:
    match = _stall(call, CLIENT, since, until, "stream")
    waited = span(seconds(since, until))
    match.title = f"The server's INITIAL_WINDOW_SIZE is 0, and in {waited} no WINDOW_UPDATE let the client send"
    match.explanation = (
        "The request's headers leave the stream open, and not one byte of its body could follow: streams of this "
        f"connection begin with a window of 0 (SETTINGS_INITIAL_WINDOW_SIZE of the server), and for {waited}, until "
        "the call ended, no WINDOW_UPDATE came for this one (RFC 9113 §6.9.2). That the client had something to send "
        "is inferred: a request of gRPC has a message, or at least an end."
    )
    match.certainty = "probable"
    match.evidence = point(since, "from here on the request waits for a window", side=CLIENT)
    match.fix = (
        "Have the server announce an INITIAL_WINDOW_SIZE of more than 0, or give each stream its credit as it opens "
        f"({knobs.WINDOWS})."
    )
    return match


def check_connection_stalled(call: Call) -> Iterator[Match]:
    """The connection's window is used up and never given back."""
    end = _stall_end(call)
    if end is None:
        return
    for side in _sides_open(call):
        starved = call.session.h2.halves[side].starved
        if starved is not None and call.stream.starved[side] is None and _long_enough(call, starved, *end):
            yield _stall(call, side, starved, end[0], "connection")


def _violation(session: Session, violation: Violation) -> Told:
    side, facts = SIDE_NAMES[violation.side], violation.facts
    scope, overrun = facts.get("scope"), facts.get("overrun", 0)
    reordered = session.client.reordered or session.server.reordered
    receiver = OTHER[violation.side]
    given = session.h2.halves[receiver].frames.by_type[WINDOW_UPDATE]
    complained = any(g.side == receiver and g.code == FLOW_CONTROL_ERROR for g in session.h2.goaways)
    agreed = bool(session.h2.halves[violation.side].frames.settings_ack)
    minds = bool(given) or agreed or complained or bool(session.rules_fired.get("rst-flow-control"))
    return Told(
        title=f"The {side} sent DATA over the {scope} window: {overrun:,} bytes too many in the first such frame",
        explanation=f"A DATA frame of {facts.get('length', 0):,} bytes came with {facts.get('window', 0):,} bytes of "
        f"{scope} window left. The receiver must answer with FLOW_CONTROL_ERROR (RFC 9113 §6.9); one that doesn't "
        "buffers without bound."
        + (
            ""
            if minds
            else f" The {SIDE_NAMES[receiver]}'s SETTINGS were never acknowledged and it gave no "
            "WINDOW_UPDATE: neither side heeds flow control here, so this is no more than a remark."
        ),
        note=f"DATA frame, {overrun:,} bytes over the {scope} window",
        fix=f"Fix or replace the flow control of the {side}'s HTTP/2 implementation.",
        severity="error" if minds else "info",
        certainty="probable" if reordered else "certain",
    )


def check_violation(session: Session) -> Iterator[Match]:
    """DATA beyond a window."""
    if session.h2.windows_known and not blind(session):
        yield from grouped(session, {"window-exceeded": _violation}, needs_whole=True)


def _overflow(session: Session, violation: Violation) -> Told:
    side, facts = SIDE_NAMES[violation.side], violation.facts
    value = facts.get("value", 0)
    setting = violation.kind == "settings-value"
    return Told(
        title=f"SETTINGS_INITIAL_WINDOW_SIZE = {value:,} from the {side} is over 2^31-1"
        if setting
        else f"The {side} grew the {facts.get('scope')} window to {value:,}, over 2^31-1",
        explanation=f"No window may exceed {MAX_WINDOW:,} bytes; the other side must answer with FLOW_CONTROL_ERROR "
        "(RFC 9113 §6.9.1).",
        note="SETTINGS" if setting else "WINDOW_UPDATE",
        fix=f"Fix or replace the flow control of the {side}'s HTTP/2 implementation.",
    )


def check_overflow(session: Session) -> Iterator[Match]:
    """A window beyond 2^31-1."""
    yield from grouped(session, {"settings-value": _overflow}, accept=setting(INITIAL_WINDOW_SIZE))
    if session.h2.windows_known:
        yield from grouped(session, {"window-overflow": _overflow}, needs_whole=True)


def _zero(session: Session, violation: Violation) -> Told:
    side, scope = SIDE_NAMES[violation.side], violation.facts.get("scope")
    return Told(
        title=f"WINDOW_UPDATE with increment 0 from the {side} ({scope})",
        explanation="An increment of 0 is a PROTOCOL_ERROR, of the stream or of the whole connection (RFC 9113 §6.9).",
        note="WINDOW_UPDATE, increment 0",
        fix=f"Fix or replace the flow control of the {side}'s HTTP/2 implementation.",
    )


def check_zero(session: Session) -> Iterator[Match]:
    """WINDOW_UPDATE of 0."""
    yield from grouped(session, {"zero-increment": _zero})


def check_leak(session: Session) -> Iterator[Match]:
    """The connection window falls from idle moment to idle moment."""
    if session.protocol != "h2" or blind(session) or not session.h2.windows_known:
        return
    for side in (CLIENT, SERVER):
        samples = list(session.h2.halves[side].window_low)
        if len(samples) < LEAK_SAMPLES:
            continue
        third = len(samples) // 3
        early = min(window for _, window in samples[:third])
        late = max(window for _, window in samples[-third:])
        streams = samples[-1][0] - samples[0][0]
        middle = [window for _, window in samples[third:-third]]
        first, last = samples[0][1], samples[-1][1]
        falls = early > max(middle) >= min(middle) > late
        if streams < LEAK_STREAMS or not falls or last > (1 - LEAK_SHARE) * first:
            continue
        receiver = SIDE_NAMES[OTHER[side]]
        lost = first - last
        yield Match(
            severity="warning",
            certainty="probable",
            who=[WHO[OTHER[side]]],
            title=f"The {SIDE_NAMES[side]}'s connection window leaks: {lost:,} bytes gone over {streams:,} finished "
            "streams",
            explanation=f"Whenever no stream was open the {SIDE_NAMES[side]}'s connection window was lower than "
            f"before: from {first:,} to {last:,} bytes. The {receiver} does not give back what it received, typically "
            "the bytes of reset streams; at 0 every call on the connection stalls.",
            evidence=point(session.side(side).last_data, "the connection's last data", side=side),
            details={
                "by": receiver,
                "from": first,
                "to": last,
                "streams": streams,
                "per_stream": round(lost / max(streams, 1), 1),
            },
            retry_safe="unknown",
            retry_why="Calls fail only once the window is used up.",
            fix=f"Update the {receiver}'s HTTP/2 implementation; until then recycle connections before the window is "
            "gone.",
            key=side,
        )


RULES: tuple[Rule, ...] = (
    Rule(
        id="fc-stream-stalled",
        title="A stream waits for flow control",
        summary="The sender's stream window is used up and no WINDOW_UPDATE comes.",
        references=("RFC 9113 §5.2", "RFC 9113 §6.9"),
        scope="call",
        check=check_stream_stalled,
    ),
    Rule(
        id="fc-connection-stalled",
        title="A connection waits for flow control",
        summary="The sender's connection window is used up and no WINDOW_UPDATE comes.",
        references=("RFC 9113 §5.2", "RFC 9113 §6.9"),
        scope="call",
        check=check_connection_stalled,
    ),
    Rule(
        id="fc-violation",
        title="More DATA than the window allows",
        summary="A side sends more than the flow-control window that it was given.",
        references=("RFC 9113 §6.9",),
        scope="session",
        check=check_violation,
    ),
    Rule(
        id="fc-overflow",
        title="A window over 2^31-1",
        summary="A WINDOW_UPDATE or SETTINGS makes a window larger than allowed.",
        references=("RFC 9113 §6.9.1",),
        scope="session",
        check=check_overflow,
    ),
    Rule(
        id="fc-zero-increment",
        title="WINDOW_UPDATE of 0",
        summary="A WINDOW_UPDATE with increment 0.",
        references=("RFC 9113 §6.9",),
        scope="session",
        check=check_zero,
    ),
    Rule(
        id="fc-window-leak",
        title="The connection window leaks",
        summary="The connection window falls over completed streams: received bytes are never given back.",
        references=("RFC 9113 §5.2.1",),
        scope="session",
        check=check_leak,
    ),
)
