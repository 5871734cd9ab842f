"""Rules on HTTP/2 frames: sizes, CONTINUATION, stream states, SETTINGS (RFC 9113 §4 to §6)."""

from __future__ import annotations

from collections.abc import Iterator

from wirecase.http2.facts import MAX_FRAME_SIZE, SETTING_NAMES, SETTINGS, Violation, frame_name
from wirecase.model import CLIENT, SERVER, SIDE_NAMES, Excerpt
from wirecase.rules import clients
from wirecase.rules.base import Match, Rule, point, show
from wirecase.rules.foreign import TEXT_SHOWN, classify_first
from wirecase.rules.limits import (
    OTHER,
    PREFACE,
    SECOND,
    blind,
    http1_between_frames,
    last_time,
    looks_like_frame,
    seconds,
    span,
    speaks_http2,
    stray,
    whole,
)
from wirecase.rules.violations import WHO, Told, grouped, setting
from wirecase.session.call import Call
from wirecase.session.session import Session

ENABLE_PUSH = 2
"""SETTINGS_ENABLE_PUSH."""
ACK_PATIENCE = 10 * SECOND
"""A SETTINGS frame is called unacknowledged only if its receiver went on sending this long after it, ns."""


def _side(violation: Violation) -> str:
    return SIDE_NAMES[violation.side]


def _frame(violation: Violation) -> str:
    frame = violation.facts.get("frame", "frame")
    return frame_name(frame) if isinstance(frame, int) else str(frame)


# --- sizes -----------------------------------------------------------------------------------------------------------


def _frame_size(session: Session, violation: Violation) -> Told:
    found = stray(session, violation.side)
    if found is not None and found.mark == violation.excerpt.mark:
        return _no_frame(violation, found)
    declared, limit = violation.facts.get("declared", 0), violation.facts.get("limit", 16384)
    known = bool(violation.facts.get("settings_seen", True))
    receiver = SIDE_NAMES[OTHER[violation.side]]
    return Told(
        title=f"{_frame(violation)} frame of {declared:,} bytes from the {_side(violation)}, the {receiver} takes "
        f"{limit:,}",
        explanation=f"The {_side(violation)} declared a frame of {declared:,} bytes. The {receiver} allows "
        f"SETTINGS_MAX_FRAME_SIZE = {limit:,}{'' if known else ' (the default: its SETTINGS were not seen)'} and must "
        "answer with FRAME_SIZE_ERROR (RFC 9113 §4.2). A length like this often means that the bytes are no HTTP/2 "
        "frame at all.",
        note=f"frame header: length {declared:,}",
        fix=f"Make the {_side(violation)} honour the peer's SETTINGS_MAX_FRAME_SIZE, and look for something that "
        "writes raw bytes into the connection.",
        certainty="certain" if known else "probable",
    )


def _no_frame(violation: Violation, found: Excerpt) -> Told:
    declared, limit, side = violation.facts["declared"], violation.facts["limit"], _side(violation)
    receiver = SIDE_NAMES[OTHER[violation.side]]
    foreign = classify_first(found.data)
    what = f"{foreign.name} {foreign.quote}" if foreign.recognised and foreign.headline else "bytes that are none"
    return Told(
        title=f"Where a frame is due, the {side} sent {what}",
        explanation=f"All frames of the {side} before this place were seen, and these bytes can be none: read as a "
        f"frame header they declare {declared:,} bytes of the type {found.data[3]:#04x} (RFC 9113 §4.1). "
        + (
            "The receiver must answer with FRAME_SIZE_ERROR (§4.2) and end the connection, with every call on it."
            if declared > limit
            else f"The {receiver} allows frames of up to {limit:,} bytes: it waits for the rest of this one, and takes "
            "all that follows for its contents."
        )
        + " Something wrote raw bytes into the connection, or declared the frame before shorter than it was.",
        note=f"{foreign.name if foreign.recognised else 'no frame header'}: length {declared:,}",
        fix=f"Look for what writes into the connection on the {side}'s side besides its HTTP/2 implementation: an "
        "error page of a proxy, a second writer, a buffer sent twice.",
        certainty="certain" if declared > limit else "probable",
        details={"text": foreign.text[:TEXT_SHOWN], "looks_like": foreign.kind} if foreign.recognised else {},
    )


def _fixed_size(session: Session, violation: Violation) -> Told:
    declared, wanted = violation.facts.get("declared"), violation.facts.get("wanted")
    return Told(
        title=f"{_frame(violation)} frame of {declared} bytes from the {_side(violation)} where {wanted} are due",
        explanation=f"A {_frame(violation)} frame has a fixed size ({wanted} bytes). The {_side(violation)} sent "
        f"{declared}: the receiver must treat that as FRAME_SIZE_ERROR (RFC 9113 §4.2, §6).",
        note=f"frame header: length {declared}",
        fix=f"Fix or replace the HTTP/2 implementation of the {_side(violation)}.",
    )


def _padding(session: Session, violation: Violation) -> Told:
    pad, length = violation.facts.get("pad"), violation.facts.get("length")
    return Told(
        title=f"{_frame(violation)} frame from the {_side(violation)} claims {pad} bytes of padding in a payload of "
        f"{length}",
        explanation="Padding that is as long as the payload or longer is a connection error PROTOCOL_ERROR (RFC 9113 "
        "§6.1).",
        note=f"pad length {pad}",
        fix=f"Fix or replace the HTTP/2 implementation of the {_side(violation)}.",
    )


def _setting_value(session: Session, violation: Violation) -> Told:
    setting, value = violation.facts.get("setting"), violation.facts.get("value")
    name = SETTING_NAMES.get(setting, str(setting)) if isinstance(setting, int) else str(setting)
    return Told(
        title=f"SETTINGS_{name} = {value} from the {_side(violation)} is not allowed",
        explanation=f"RFC 9113 §6.5.2 bounds this setting; the receiver of {value} must close the connection.",
        note=f"{name} = {value}",
        fix=f"Correct the HTTP/2 settings of the {_side(violation)}.",
    )


def check_frame_size(session: Session) -> Iterator[Match]:
    """Frames over the receiver's limit, of an illegal fixed size, padded beyond their end, or an illegal limit."""
    kinds = {
        "frame-size": _frame_size,
        "fixed-size": _fixed_size,
        "padding": _padding,
        "settings-value": _setting_value,
    }
    belongs = setting(MAX_FRAME_SIZE)

    def accept(violation: Violation) -> bool:
        """Hold nobody to a limit that may have been raised unseen."""
        if violation.kind == "frame-size" and violation.side == SERVER and http1_between_frames(session):
            return False  # h2-peer-speaks-http1 says it better
        if violation.kind == "frame-size" and violation.facts["declared"] <= violation.facts["limit"]:
            found = stray(session, violation.side)
            return found is not None and classify_first(found.data).recognised  # else it may be a legal extension
        known = violation.facts.get("settings_seen") and whole(session, OTHER[violation.side])
        return belongs(violation) and (violation.kind != "frame-size" or bool(known))

    for match in grouped(session, kinds, needs_whole=True, accept=accept):
        match.explanation += _blind_note(session)
        yield match


def _blind_note(session: Session) -> str:
    reasons = blind(session)
    return f" Seen with limits: {', '.join(reasons)}." if reasons else ""


# --- CONTINUATION ----------------------------------------------------------------------------------------------------


def _orphan(session: Session, violation: Violation) -> Told:
    return Told(
        title=f"CONTINUATION without a header block before it, from the {_side(violation)} on stream "
        f"{violation.stream}",
        explanation="A CONTINUATION frame must follow a HEADERS, PUSH_PROMISE or CONTINUATION without END_HEADERS of "
        "the same stream. This one follows none: a connection error PROTOCOL_ERROR (RFC 9113 §6.10).",
        note="CONTINUATION frame",
        fix=f"Fix or replace the HTTP/2 implementation of the {_side(violation)}.",
    )


def _interleaved(session: Session, violation: Violation) -> Told:
    expected = violation.facts.get("expected_stream")
    return Told(
        title=f"{_frame(violation)} frame inside the header block of stream {expected}, from the {_side(violation)}",
        explanation=f"The {_side(violation)} began a header block on stream {expected} and sent another frame before "
        "it was complete. Nothing may stand between HEADERS and its CONTINUATION frames (RFC 9113 §4.3, §6.10): a "
        "connection error.",
        note=f"{_frame(violation)} where CONTINUATION of stream {expected} is due",
        fix=f"Two writers share the connection of the {_side(violation)} without a lock: fix or replace it.",
    )


def check_continuation(session: Session) -> Iterator[Match]:
    """Orphan or interleaved CONTINUATION."""
    kinds = {"continuation-orphan": _orphan, "continuation-interleaved": _interleaved}
    yield from grouped(session, kinds, needs_whole=True)


# --- stream states ---------------------------------------------------------------------------------------------------

STATES = {
    "stream-id": ("{frame} on stream {stream}", "This frame type belongs on {where} (RFC 9113 §6)."),
    "idle-stream": (
        "{frame} on stream {stream}, which nobody has opened",
        "Only HEADERS may open a stream; a frame on an idle one is a connection error (RFC 9113 §5.1).",
    ),
    "closed-stream": (
        "{frame} on stream {stream} after it was closed",
        "Nothing but PRIORITY, WINDOW_UPDATE or RST_STREAM in flight may follow (RFC 9113 §5.1).",
    ),
    "even-stream": (
        "the client opens the even stream {stream}",
        "Streams that a client opens have odd ids (RFC 9113 §5.1.1): a connection error.",
    ),
    "regressing-stream": (
        "stream {stream} is opened after stream {highest}",
        "New ids must be higher than all before (RFC 9113 §5.1.1): a connection error.",
    ),
    "push": (
        "PUSH_PROMISE where no push is allowed",
        "A client never pushes, and a server only if SETTINGS_ENABLE_PUSH allows it (RFC 9113 §8.4).",
    ),
}


def _state(session: Session, violation: Violation) -> Told:
    text, rule = STATES[violation.kind]
    names = {
        "frame": _frame(violation),
        "stream": violation.stream,
        "highest": violation.facts.get("highest"),
        "where": "a stream, not on the connection" if violation.stream == 0 else "stream 0",
    }
    title = text.format(**names)
    if not title.startswith("the client"):
        title = f"{title}, from the {_side(violation)}"
    in_flight = violation.kind == "closed-stream"
    return Told(
        title=title[0].upper() + title[1:],
        explanation=rule.format(**names)
        + (" Frames that were in flight when the stream was reset have been left out." if in_flight else ""),
        note=title,
        fix=f"Fix or replace the HTTP/2 implementation of the {_side(violation)}.",
        severity="warning" if in_flight else "error",
        certainty="probable" if in_flight else "certain",
    )


def _disowns(session: Session, violation: Violation) -> Told:
    last = violation.facts["last_stream"]
    return Told(
        title=f"The server's GOAWAY names stream {last} as the last, though stream {violation.stream} was being "
        "answered",
        explanation=f"The response headers of stream {violation.stream} had come when the GOAWAY said that no stream "
        f"above {last} was taken. The last stream must be the highest that may have been processed (RFC 9113 §6.8), so "
        "the two contradict each other. Clients believe the GOAWAY: they give the call up at once, as one that was "
        "never processed, and some make it again by themselves.",
        note=f"GOAWAY, last stream {last}",
        fix="Mend the server or proxy that writes this GOAWAY: it must name the highest stream that it has taken, or "
        "2^31-1 in a first one that only announces the end.",
    )


def check_stream_state(session: Session) -> Iterator[Match]:
    """Frames on idle or closed streams, even, regressing or misplaced ids, forbidden pushes, answers disowned."""
    begun = session.h2.halves[CLIENT].longest_block

    def accept(violation: Violation) -> bool:
        """Leave answers out to a request that was upgraded from HTTP/1.1, or was still being strung out."""
        if violation.kind != "idle-stream" or violation.side != SERVER:
            return True
        upgraded = session.h2.upgraded and violation.stream == 1
        return not upgraded and (begun is None or violation.stream != begun[2])

    yield from grouped(session, dict.fromkeys(STATES, _state), needs_whole=True, accept=accept)
    yield from grouped(session, {"settings-value": _setting_value}, accept=setting(ENABLE_PUSH))
    yield from grouped(session, {"goaway-disowns": _disowns})


# --- SETTINGS --------------------------------------------------------------------------------------------------------


def check_first_frame(session: Session) -> Iterator[Match]:
    """The first frame of a side is not SETTINGS."""
    if session.protocol != "h2" or session.h2.upgraded:
        return
    for side in (CLIENT, SERVER):
        first = session.h2.halves[side].first_frame
        if first is None or first[0] == SETTINGS or not session.tcp.syn_seen or not whole(session, side):
            continue
        kept = session.first_bytes[side]
        if kept is not None and not looks_like_frame(kept.data) and not kept.data.startswith(PREFACE):
            continue  # no HTTP/2 at all: h2-not-http2, h2-peer-speaks-http1 or h2-bad-preface says so
        kind, excerpt = first
        yield Match(
            severity="error",
            certainty="certain",
            who=[WHO[side]],
            title=f"The {SIDE_NAMES[side]}'s first frame is {frame_name(kind)}, not SETTINGS",
            explanation="Each side must begin with a SETTINGS frame, which may be empty (RFC 9113 §3.4). Many peers "
            "close the connection on anything else.",
            evidence=[show(excerpt, f"first frame: {frame_name(kind)}")],
            details={"by": SIDE_NAMES[side], "frame": frame_name(kind)},
            retry_safe="unknown",
            client_sees=clients.first_frame_not_settings(frame_name(kind), kept.data if kept else b"")
            if side == SERVER
            else [],
            retry_why="The connection cannot be used; whether a call was processed is not known.",
            fix=f"Fix or replace the HTTP/2 implementation of the {SIDE_NAMES[side]}.",
            key=side,
        )


def check_settings_acked(session: Session) -> Iterator[Match]:
    """SETTINGS that the peer never acknowledged although it went on sending."""
    if session.protocol != "h2" or blind(session):
        return
    end = last_time(session)
    for side in (CLIENT, SERVER):
        receiver = OTHER[side]
        heard = session.side(receiver).last_data
        if not speaks_http2(session, receiver) or heard is None or end is None:
            continue
        late = [s for s in session.h2.halves[side].settings_unacked if heard.time - s.mark.time >= ACK_PATIENCE]
        if not late:
            continue
        waited = span(seconds(late[0].mark, end))
        yield Match(
            severity="warning",
            certainty="probable",
            who=[WHO[receiver]],
            title=f"The {SIDE_NAMES[receiver]} never acknowledged the {SIDE_NAMES[side]}'s SETTINGS ({waited})",
            explanation=f"The {SIDE_NAMES[receiver]} went on sending after the SETTINGS frame, without the ACK that "
            "must follow as soon as it is processed (RFC 9113 §6.5.3). Its sender may close with SETTINGS_TIMEOUT, and "
            "lowered limits never take effect.",
            evidence=point(late[0].mark, "SETTINGS without an ACK", side=side),
            details={"by": SIDE_NAMES[receiver], "unacknowledged": len(late), "seconds": seconds(late[0].mark, end)},
            retry_safe="unknown",
            retry_why="Calls are not touched by this alone.",
            fix=f"Fix or replace the HTTP/2 implementation of the {SIDE_NAMES[receiver]}.",
            key=side,
            count=len(late),
        )


def check_padded(call: Call) -> Iterator[Match]:
    """PADDED frames on a call that went wrong."""
    for side in (CLIENT, SERVER):
        padded = call.stream.padded[side]
        if not padded:
            continue
        shown = call.response if side == SERVER else call.request
        yield Match(
            severity="info",
            certainty="certain",
            who=[WHO[side]],
            title=f"The {SIDE_NAMES[side]} pads its frames ({padded} PADDED on stream {call.stream.id})",
            explanation="Padding is legal (RFC 9113 §6.1), but some gRPC clients fail a call on padded DATA or HEADERS "
            "(C-core: 'unsupported data flags').",
            evidence=[show(shown.excerpt, "the stream's first header block")] if shown else [],
            details={"by": SIDE_NAMES[side], "padded": padded},
            retry_why="Padding itself stops no call; a client that cannot take it fails again.",
            fix="Turn padding off where the client cannot take it.",
            key=side,
        )


RULES: tuple[Rule, ...] = (
    Rule(
        id="h2-frame-size",
        title="A frame has a size that is not allowed",
        summary="A frame is longer than the receiver's SETTINGS_MAX_FRAME_SIZE, has a length other than its type "
        "demands, or claims more padding than payload.",
        references=("RFC 9113 §4.2", "RFC 9113 §6"),
        scope="session",
        check=check_frame_size,
    ),
    Rule(
        id="h2-continuation-violation",
        title="CONTINUATION out of place",
        summary="A CONTINUATION frame without a header block before it, or another frame inside a header block.",
        references=("RFC 9113 §4.3", "RFC 9113 §6.10"),
        scope="session",
        check=check_continuation,
    ),
    Rule(
        id="h2-stream-state-violation",
        title="A frame on a stream that cannot take it",
        summary="A frame on an idle or closed stream, an even or regressing stream id, a push that nobody allowed, or "
        "a GOAWAY whose last stream lies below one that is being answered.",
        references=("RFC 9113 §5.1", "RFC 9113 §5.1.1", "RFC 9113 §6.8"),
        scope="session",
        check=check_stream_state,
    ),
    Rule(
        id="h2-first-frame-not-settings",
        title="The first frame is not SETTINGS",
        summary="A side does not begin its half of the connection with a SETTINGS frame.",
        references=("RFC 9113 §3.4",),
        scope="session",
        check=check_first_frame,
    ),
    Rule(
        id="h2-settings-not-acked",
        title="SETTINGS never acknowledged",
        summary="A side went on sending for a long time without acknowledging the peer's SETTINGS.",
        references=("RFC 9113 §6.5.3",),
        scope="session",
        check=check_settings_acked,
    ),
    Rule(
        id="h2-padded-data",
        title="Padded frames",
        summary="Legal padding that some clients fail a call on.",
        references=("RFC 9113 §6.1", "RFC 9113 §6.2"),
        scope="call",
        check=check_padded,
    ),
)
