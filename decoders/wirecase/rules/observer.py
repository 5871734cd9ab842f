"""The observer's limits as findings: what this capture cannot show. They blame the capture, never a peer.

Limits that many connections share are one finding over the whole capture.
"""

from __future__ import annotations

from collections.abc import Iterator

from wirecase.model import CLIENT, SERVER, SIDE_NAMES, Evidence, Mark
from wirecase.rules.base import Match, Rule, point
from wirecase.session.run import Run
from wirecase.session.session import Session

WEAKENED = "What a hole could explain is not blamed on either peer."
CAPTURE = "the capture"


def _info(title: str, explanation: str, evidence: list[Evidence], fix: str, **details: object) -> Match:
    return Match(
        severity="info",
        certainty="certain",
        who=["capture"],
        title=title,
        explanation=explanation,
        evidence=evidence,
        details=dict(details),
        retry_why="This is about the capture, not about a call.",
        fix=fix,
        across=CAPTURE,
    )


def check_midconnection(session: Session) -> Iterator[Match]:
    """The capture begins in the middle of a connection."""
    if session.protocol == "empty" or session.from_start:
        return
    first = session.client.first or session.server.first
    yield _info(
        "The capture begins in the middle of a connection",
        "Its handshake is not in the capture. SETTINGS, header tables and flow-control windows from before are "
        f"unknown: header fields that refer to them are shown as unknown, and windows are not judged. {WEAKENED}",
        point(first, "the connection's first packet in the capture"),
        "Start the capture before the client connects, or make the client reconnect while it runs.",
        roles=session.roles,
    )


def check_gap(session: Session) -> Iterator[Match]:
    """Packets are missing."""
    for side in (CLIENT, SERVER):
        facts = session.side(side)
        holes = [gap for gap in facts.gaps if gap.reason != "snaplen"]
        missing = facts.missing - facts.cut
        if missing <= 0:
            continue
        who = SIDE_NAMES[side]
        match = _info(
            f"{missing:,} bytes from the {who} are missing from the capture",
            f"{len(holes) or 1} {'hole' if len(holes) <= 1 else 'holes'} in the bytes that the {who} sent: the peers "
            f"had them (or they were lost for both), the capture has not. {WEAKENED}",
            point(holes[0].mark if holes else facts.last, "the packet after the hole", side=side),
            "Raise the capture's buffer (tcpdump -B 65536), capture less (a filter), or write to a faster disk.",
            missing=missing,
            holes=len(holes),
            by=who,
        )
        match.across, match.key = None, side
        match.severity = "warning" if session.protocol == "h2" else "info"
        yield match


def check_snaplen(session: Session) -> Iterator[Match]:
    """Packets were cut."""
    cut = session.client.cut + session.server.cut
    if not cut:
        return
    gap = next((g for side in (SERVER, CLIENT) for g in session.side(side).gaps if g.reason == "snaplen"), None)
    yield Match(
        severity="warning",
        certainty="certain",
        who=["capture"],
        title="The capture cut packets short (snaplen)",
        explanation=f"The capture kept only the beginning of packets; {cut:,} bytes of the first such connection are "
        f"lost. Without payload, messages and header blocks cannot be read. {WEAKENED}",
        evidence=point(gap.mark if gap else session.client.first, "a packet that was cut"),
        details={"missing": cut},
        retry_why="This is about the capture, not about a call.",
        fix="Capture whole packets: tcpdump -s 0, dumpcap -s 262144.",
        across=CAPTURE,
    )


def check_one_direction(session: Session) -> Iterator[Match]:
    """Only one side's packets were captured."""
    if not session.one_direction or (session.tls is not None and session.tls.one_sided):
        return  # where keys are missing, that is told as such
    seen = CLIENT if session.client.packets else SERVER
    facts = session.side(seen)
    if not facts.delivered and not facts.missing:
        return  # SYNs that nobody answered
    yield _info(
        f"Only the {SIDE_NAMES[seen]}'s packets were captured",
        "The other direction is not in the capture (asymmetric routing, a filter on one direction, one interface of "
        f"two). Requests or responses, windows and acknowledgements of that side are unknown. {WEAKENED}",
        point(facts.first, f"the {SIDE_NAMES[seen]}'s first packet", side=seen),
        "Capture on the host itself or on all interfaces (-i any), and without a filter on the direction.",
        seen=SIDE_NAMES[seen],
    )


def check_capture_ends(session: Session) -> Iterator[Match]:
    """The capture ends with streams open."""
    if session.closed_reason != "capture-end" or session.protocol != "h2" or session.first_end() is not None:
        return
    count = session.h2.open_at_end_count
    half_frame = any(half.unfinished is not None for half in session.h2.halves)
    if not count and not half_frame:
        return
    last: Mark | None = max(
        (f.last for f in (session.client, session.server) if f.last), key=lambda m: (m.source, m.packet), default=None
    )
    streams: list[tuple[int, Mark | None]] = list(session.h2.open_at_end)
    match = _info(
        "The capture ends with calls under way" if count else "The capture ends in the middle of a frame",
        f"{count:,} streams of the first such connection were open when the capture ended. They are unfinished, not "
        "cut: how they ended is not known.",
        point(last, "the connection's last packet in the capture"),
        "Let the capture run until the calls have ended.",
        open_streams=count,
    )
    if streams:
        match.stream, match.streams, match.count = streams[0][0], streams[1:], count
    yield match


def check_offload(session: Session) -> Iterator[Match]:
    """Segments longer than any wire carries."""
    if not session.tcp.offload or session.protocol != "h2":
        return
    yield _info(
        "Segments are longer than the wire carries (segmentation offload)",
        "The capture was taken on a host before its network card cut segments, or after it joined them. The bytes are "
        "right; packet counts, sizes and retransmissions are not those of the wire.",
        point(session.client.first, "the connection's first packet"),
        "Nothing is to be done, unless packet sizes matter: then switch GSO, TSO and GRO off (ethtool -K).",
    )


def check_conflicting(session: Session) -> Iterator[Match]:
    """Two different copies of the same bytes."""
    for side in (CLIENT, SERVER):
        conflicts = session.side(side).conflicts
        if not conflicts:
            continue
        first = conflicts[0]
        match = Match(
            severity="warning",
            certainty="certain",
            who=["capture", "network"],
            title=f"Two different copies of the same bytes from the {SIDE_NAMES[side]}",
            explanation="A retransmission carried other bytes than the first copy. The first was used; the receiver "
            "may have used the other. Broken middleboxes, injected packets and captures put together from two places "
            "do this.",
            evidence=[
                Evidence(
                    role="primary",
                    note=f"the later copy; the first was {first.kept[:16].hex(' ')}",
                    source=first.mark.source,
                    direction=SIDE_NAMES[side],
                    packet=first.mark.packet,
                    offset=first.mark.offset,
                    length=len(first.other),
                    data=first.other,
                    time=first.mark.time,
                )
            ],
            details={
                "by": SIDE_NAMES[side],
                "offset": first.mark.offset,
                "kept": first.kept.hex(),
                "other": first.other.hex(),
            },
            retry_why="This is about the capture, not about a call.",
            fix="Capture at one place only; if the copies really differ on the wire, look for a device that rewrites "
            "or injects packets.",
            key=side,
            count=len(conflicts),
        )
        yield match


def check_bad_reset(session: Session) -> Iterator[Match]:
    """A TCP RST that its receiver ignores."""
    for side in (CLIENT, SERVER):
        facts = session.side(side)
        if facts.bad_rst is None:
            continue
        match = _info(
            f"A TCP RST in the {SIDE_NAMES[side]}'s name is outside of the window and was ignored",
            "Its sequence number is not one that the peer would accept (RFC 9293 §3.10.7.4), so the connection lived "
            "on. Forged resets, late packets of an earlier connection and broken middleboxes look like this.",
            point(facts.bad_rst, "RST outside of the window", side=side),
            "Look for a device that sends resets in the peers' names, if calls were lost at this time.",
            by=SIDE_NAMES[side],
        )
        match.across, match.key, match.count = None, side, max(1, facts.bad_rsts)
        match.who = ["network", "capture"]
        yield match


def check_file_damaged(run: Run) -> Iterator[Match]:
    """Inputs that could not be read to their end."""
    for damage in run.damages:
        path = run.sources[damage.source].path if damage.source < len(run.sources) else "the input"
        yield Match(
            severity="warning",
            certainty="certain",
            who=["capture"],
            title=f"{path} is damaged after packet {damage.packet:,}: {damage.reason}",
            explanation=f"Reading failed at byte {damage.offset:,}. What could be read before (and after, where "
            "reading found its way again) is reported; anything else is not known.",
            evidence=[],
            details={
                "source": damage.source,
                "offset": damage.offset,
                "packet": damage.packet,
                "bytes": damage.bytes,
                "text": damage.reason,
            },
            retry_why="This is about the capture, not about a call.",
            fix="Copy the file again, or take a new capture; a capture tool that was killed leaves a cut tail.",
            key=(damage.source, damage.offset),
        )


def _rule(name: str, title: str, summary: str, check: object, *, run: bool = False) -> Rule:
    return Rule(name, title, summary, ("wirecase: the observer's limits",), "run" if run else "session", check)  # type: ignore[arg-type]


RULES: tuple[Rule, ...] = (
    _rule(
        "obs-midconnection",
        "Joined in the middle",
        "The capture begins in the middle of a connection.",
        check_midconnection,
    ),
    _rule("obs-gap", "Packets are missing", "Bytes of a connection are not in the capture.", check_gap),
    _rule("obs-snaplen", "Packets were cut", "The capture kept only the beginning of packets.", check_snaplen),
    _rule("obs-one-direction", "Only one direction", "Only one side's packets were captured.", check_one_direction),
    _rule(
        "obs-capture-ends",
        "The capture ends too early",
        "Calls were under way when the capture ended.",
        check_capture_ends,
    ),
    _rule(
        "obs-conflicting-data",
        "Conflicting copies",
        "The same bytes were seen with different contents.",
        check_conflicting,
    ),
    _rule("obs-bad-reset", "A reset that was ignored", "A TCP RST outside of the window.", check_bad_reset),
    _rule("obs-offload", "Segmentation offload", "Segments are longer than the wire carries.", check_offload),
    _rule(
        "obs-file-damaged", "The input is damaged", "Part of an input could not be read.", check_file_damaged, run=True
    ),
)
