"""Floods and bombs: one summarised finding each, with its count.

See CVE-2019-9512, -9514, -9515, -9518, CVE-2023-44487, CVE-2024-27316 and CVE-2016-6581.

All thresholds stand here. They are chosen against normal traffic that looks alike: C-core sends a PING for each burst
of DATA that it receives (bandwidth probing) and changes its window by SETTINGS; keep-alive PINGs add up over days; a
client whose server hangs resets many streams at their deadline; large metadata takes a few CONTINUATION frames.
"""

from __future__ import annotations

from collections.abc import Iterator

from wirecase.http2.facts import CONTINUATION, DATA, HEADERS, PING, PRIORITY, SETTINGS, Http2Half, Violation
from wirecase.model import CLIENT, SERVER, SIDE_NAMES, Mark
from wirecase.rules import clients
from wirecase.rules.base import Match, Rule, point, show
from wirecase.rules.limits import OTHER, SECOND, blind, first_end, first_time, last_time, seconds, span, sure
from wirecase.rules.violations import WHO, Told, grouped
from wirecase.session.session import Session

FRAMES = 500
"""From so many frames of one kind on, a flood is considered at all."""
PER_DATA = 2
"""PING or SETTINGS frames for each DATA frame received: bandwidth probing stays at 1."""
PING_RATE = 10.0
"""PINGs per second over the time in which they came: keep-alive stays far below."""
UNASKED = 100
"""ACKs beyond what the peer asked for."""
UNASKED_CLOSED = 2
"""The same where the peer closed the connection within a second of them."""
RESETS = 30
"""Streams that the client reset before an answer."""
RESET_SHARE = 0.5
"""Their share of all streams opened."""
RESET_RATE = 20.0
"""Their number per second."""
RESETS_PER_OPEN = 4
"""Resets for each stream of the largest number open at once: a hung server under deadlines stays near 1."""
CONTINUATIONS = 64
"""CONTINUATION frames in one header block (1 MiB of full frames)."""
EMPTY_CONTINUATIONS = 16
"""Empty ones among them."""

FIX = (
    "Rate-limit or close such peers: Envoy max_inbound_*_frames and overload manager, nginx 1.25.3+ (built-in limits), "
    "haproxy tune.h2.fe.glitches-threshold, grpc-go 1.58.3+, and current Node, Go and nghttp2 releases."
)


def check_flood(session: Session) -> Iterator[Match]:
    """PING, SETTINGS, ACK, PRIORITY, empty DATA or unknown frames in masses."""
    if session.protocol != "h2":
        return
    for side in (CLIENT, SERVER):
        half, peer = session.h2.halves[side], session.h2.halves[OTHER[side]]
        for name, count, total in _floods(session, side, half, peer):
            yield _flood(session, side, name, count, total)


def _floods(session: Session, side: int, half: Http2Half, peer: Http2Half) -> Iterator[tuple[str, int, int]]:
    """Yield (frame, how many too many, how many in all) for each kind of flood that `side` sent."""
    frames, by_type = half.frames, half.frames.by_type
    expected = max(PER_DATA * peer.frames.by_type[DATA], FRAMES)
    pings = by_type[PING] - frames.ping_ack
    if pings > expected and _ping_rate(session, side, pings) >= PING_RATE:
        yield "PING", pings, pings
    settings = by_type[SETTINGS] - frames.settings_ack
    if settings > expected:
        yield "SETTINGS", settings, settings
    if not blind(session):
        asked = peer.frames.by_type[SETTINGS] - peer.frames.settings_ack
        for name, acks, due in (
            ("SETTINGS ACK", frames.settings_ack, asked),
            ("PING ACK", frames.ping_ack, peer.frames.by_type[PING] - peer.frames.ping_ack),
        ):
            extra = acks - due
            if extra >= UNASKED or (extra >= UNASKED_CLOSED and _closed_on(session, OTHER[side])):
                yield name, extra, acks
    if frames.empty_data >= FRAMES and frames.empty_data * 2 >= by_type[DATA]:
        yield "empty DATA", frames.empty_data, by_type[DATA]
    if by_type[PRIORITY] >= FRAMES and by_type[PRIORITY] > 10 * max(session.h2.opened, 1):
        yield "PRIORITY", by_type[PRIORITY], by_type[PRIORITY]
    if frames.unknown >= FRAMES and frames.unknown > 2 * sum(by_type):
        yield "unknown", frames.unknown, frames.unknown


def _ping_rate(session: Session, side: int, pings: int) -> float:
    times, first = session.h2.ping_times[side], session.h2.ping_first[side]
    lasted = seconds(first, times[-1]) if times and first else 0.0
    return pings / max(lasted, 0.001)


def _closed_on(session: Session, side: int) -> bool:
    """Tell whether `side` closed first, right after the other's last bytes, without a call to answer."""
    end = first_end(session)
    last = session.side(OTHER[side]).last_data
    return (
        end is not None
        and end[0] == side
        and last is not None
        and abs(end[2].time - last.time) < SECOND
        and not session.h2.opened
    )


def _flood(session: Session, side: int, name: str, count: int, total: int) -> Match:
    h2 = session.h2
    who, target = SIDE_NAMES[side], SIDE_NAMES[OTHER[side]]
    mark: Mark | None = h2.ping_first[side] if name == "PING" else None
    if mark is None:
        mark = session.side(side).last_data
    lasted = seconds(first_time(session), last_time(session))
    large = count >= UNASKED
    return Match(
        severity="error" if large else "warning",
        certainty=sure(session),
        who=[WHO[side]],
        title=f"{count:,} {name} frames from the {who}{'' if large else ' that nothing asked for'} in {span(lasted)}",
        explanation=f"The {who} sent {count:,} {name} frames ({total:,} of that type in all), far more than its "
        f"traffic explains. Each costs the {target} work, an answer or both. The count is certain, the intent is not: "
        "it is an attack or a broken implementation."
        + ("" if large else f" The {target} closed the connection at once, so this may be a flood's beginning."),
        evidence=point(mark, f"{name}: first or last of {count:,}", side=side),
        details={"by": who, "frame": name, "count": count, "seconds": lasted},
        retry_safe="unknown",
        retry_why="Calls are not refused by the flood itself; the connection may be closed over it.",
        fix=FIX,
        key=(name, side),
        count=count,
        stream=h2.halves[CLIENT].highest_stream or None if h2.opened == 1 else None,
    )


def check_rapid_reset(session: Session) -> Iterator[Match]:
    """Streams opened and reset at once, in masses (CVE-2023-44487)."""
    h2 = session.h2
    if session.protocol != "h2" or h2.client_resets < RESETS or h2.rapid is None:
        return
    last = session.client.last_data
    lasted = max(seconds(h2.rapid, last), 0.001)
    rate = h2.client_resets / lasted
    deadlines = session.rules_fired.get("grpc-deadline", 0)
    if (
        h2.client_resets < RESET_SHARE * h2.opened
        or rate < RESET_RATE
        or h2.client_resets < RESETS_PER_OPEN * h2.max_open
        or deadlines * 2 >= h2.client_resets
    ):
        return
    yield Match(
        severity="error",
        certainty=sure(session),
        who=["client"],
        title=f"The client opened and reset {h2.client_resets:,} of {h2.opened:,} streams within {span(lasted)}",
        explanation=f"{h2.client_resets:,} streams were reset by the client before any answer, with at most "
        f"{h2.max_open} open at once: the pattern of HTTP/2 rapid reset (CVE-2023-44487), which makes a server start "
        "work that is cancelled at once. The count and the rate are certain; a client that retries and cancels in a "
        "loop looks the same.",
        evidence=point(h2.rapid, "RST_STREAM: the first", side=CLIENT),
        details={
            "by": "client",
            "count": h2.client_resets,
            "opened": h2.opened,
            "rate": round(rate, 1),
            "max_open": h2.max_open,
        },
        retry_safe="no",
        retry_why="The client itself gave these calls up.",
        fix=FIX,
        stream=h2.rapid_stream or None,
        count=h2.client_resets,
    )


def check_continuation_flood(session: Session) -> Iterator[Match]:
    """Header blocks that are strung out over CONTINUATION frames (CVE-2024-27316)."""
    if session.protocol != "h2":
        return
    for side in (CLIENT, SERVER):
        half = session.h2.halves[side]
        longest = half.longest_block
        if longest is None:
            continue
        frames, size, stream, excerpt = longest
        empty = half.frames.empty_continuation
        if frames < CONTINUATIONS and empty < EMPTY_CONTINUATIONS:
            continue
        who = SIDE_NAMES[side]
        total = half.frames.by_type[CONTINUATION]
        yield Match(
            severity="error",
            certainty=sure(session),
            who=[WHO[side]],
            title=f"{frames:,} CONTINUATION frames for one header block from the {who} on stream {stream}",
            explanation=f"The {who} strung one header block of {size:,} bytes out over {frames:,} CONTINUATION frames "
            f"({empty:,} empty, {total:,} on the connection, {half.frames.by_type[HEADERS]:,} HEADERS). Receivers that "
            "collect such a block without a limit run out of memory or time (CVE-2024-27316). The count is certain.",
            evidence=[show(excerpt, "HEADERS without END_HEADERS: the block begins here")],
            details={"by": who, "count": frames, "empty": empty, "bytes": size},
            retry_safe="no",
            retry_why="A block like this is refused again.",
            fix="Limit header blocks and CONTINUATION frames: nghttp2 1.61, Node 18.20.1/20.12.1, Go 1.21.9/1.22.2, "
            "Envoy 1.29.3, Apache 2.4.59 or later.",
            key=side,
            stream=stream or None,
            count=frames,
        )


def _bomb(session: Session, violation: Violation) -> Told:
    side = SIDE_NAMES[violation.side]
    size, wire = violation.facts.get("list_size", 0), violation.facts.get("wire_size", 0)
    return Told(
        title=f"{wire:,} bytes of headers from the {side} decode to {size:,} on stream {violation.stream}",
        explanation=f"The header block on stream {violation.stream} grows from {wire:,} to {size:,} bytes when "
        "decoded, by naming large table entries over and over: an HPACK bomb (CVE-2016-6581). Receivers must stop at "
        "their header list limit.",
        note=f"header block: {wire:,} bytes, {size:,} when decoded",
        fix="Set SETTINGS_MAX_HEADER_LIST_SIZE and enforce it while decoding; refuse such peers.",
    )


def check_hpack_bomb(session: Session) -> Iterator[Match]:
    """A header block that decodes to far more than its size."""
    for match in grouped(session, {"hpack-bomb": _bomb}):
        if match.details["by"] == "server":
            match.client_sees = clients.header_list_too_large()
        match.retry_safe, match.retry_why = "no", "The same headers are refused again."
        yield match


RULES: tuple[Rule, ...] = (
    Rule(
        id="h2-flood",
        title="A flood of frames",
        summary="One side sends PING, SETTINGS, ACK, PRIORITY, empty DATA or unknown frames in masses.",
        references=("RFC 9113 §10.5", "CVE-2019-9512", "CVE-2019-9515", "CVE-2019-9518"),
        scope="session",
        check=check_flood,
    ),
    Rule(
        id="h2-rapid-reset",
        title="Rapid reset",
        summary="The client opens streams and resets them at once, in masses.",
        references=("RFC 9113 §10.5", "CVE-2023-44487"),
        scope="session",
        check=check_rapid_reset,
    ),
    Rule(
        id="h2-continuation-flood",
        title="A flood of CONTINUATION frames",
        summary="A header block is strung out over very many CONTINUATION frames.",
        references=("RFC 9113 §10.5", "CVE-2024-27316"),
        scope="session",
        check=check_continuation_flood,
    ),
    Rule(
        id="hpack-bomb",
        title="An HPACK bomb",
        summary="A small header block decodes to a very large header list.",
        references=("RFC 7541 §7.3", "CVE-2016-6581"),
        scope="session",
        check=check_hpack_bomb,
    ),
)
