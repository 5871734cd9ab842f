"""Lanes: the frames of a stream, or of the connection itself, as marks in time."""

from __future__ import annotations

from wirecase.http2.facts import (
    ACK,
    DATA,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    ControlFrame,
    HeaderBlock,
    frame_name,
)
from wirecase.listing.events import Mention, facts_of, flag_names
from wirecase.listing.evidence import EvidencePlaces
from wirecase.model import CLIENT, SERVER, SIDE_NAMES, Finding, Mark, Severity
from wirecase.picturing.model import FrameMark, Lane, Limits
from wirecase.picturing.thinning import MarkBundler
from wirecase.picturing.wanted import StreamWish

_NOTE = 120
"""Characters of a note."""
_WORST: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}


class Proofs:
    """Where the evidence of the findings of one connection stands."""

    def __init__(self, findings: list[Finding], connection: int) -> None:
        self._places = [EvidencePlaces(findings, connection, side) for side in (CLIENT, SERVER)]
        self._points: dict[tuple[str, int | None, int, int], list[Mention]] = {}
        """Evidence that names a place and no bytes, by (side, source, packet, offset)."""
        for finding in findings:
            if finding.connection is None or finding.connection.index != connection:
                continue
            for one in finding.evidence:
                if one.direction and one.packet is not None and one.offset is not None and not one.length:
                    mention = Mention(finding.id, finding.severity, one.note)
                    self._points.setdefault((one.direction, one.source, one.packet, one.offset), []).append(mention)

    def in_frame(self, side: int, mark: Mark, length: int) -> tuple[Mention, ...]:
        """Return what stands in a frame with `length` bytes of payload."""
        found = self._places[side].within(mark.offset, mark.offset + 9 + length)
        if self._points:
            found = (*found, *self._points.get((SIDE_NAMES[side], mark.source, mark.packet, mark.offset), ()))
        return found

    def at_packet(self, side: int, mark: Mark) -> tuple[Mention, ...]:
        """Return what is this very packet."""
        return self._places[side].at_packet(mark)


class LaneMaker:
    """One lane in the making."""

    def __init__(self, stream: int, wish: StreamWish | None, limits: Limits) -> None:
        self.lane = Lane(stream, named=wish is not None)
        if wish is not None:
            self.lane.call, self.lane.path, self.lane.findings = wish.call, wish.path, tuple(wish.findings)
        self._bundler = MarkBundler(limits.marks)
        self.empty = not limits.marks
        """No frames are kept."""
        self._block: list[FrameMark | None] = [None, None]
        """The last mark of each side that began a header block."""

    def frame(self, frame: ControlFrame, mark: Mark, length: int, mentions: tuple[Mention, ...]) -> None:
        """Take a frame of the lane's stream."""
        kind = frame.kind
        shown = _shown("frame", frame_name(kind), frame.side, mark, frame.stream, length, mentions)
        shown.flags = flag_names(kind, frame.flags)
        if kind not in (DATA, HEADERS):
            shown.note = _note(frame)
        notable = kind in (HEADERS, RST_STREAM, GOAWAY, PUSH_PROMISE)
        notable = notable or (kind == DATA and bool(frame.flags & END_STREAM))
        standing = self._add(shown, notable=notable or (kind == SETTINGS and not frame.flags & ACK))
        if kind in (HEADERS, PUSH_PROMISE):
            self._block[frame.side] = standing

    def block(self, frame: ControlFrame, block: HeaderBlock) -> None:
        """Take the header block that began with `frame`."""
        if frame.side == CLIENT and self.lane.path is None and block.path is not None:
            self.lane.path = block.text(b":path")
        shown = self._block[frame.side]
        if shown is not None and shown.offset == frame.offset and shown.count == 1:
            shown.note = _told(block)[:_NOTE]

    def event(self, kind: str, side: int, mark: Mark, length: int, mentions: tuple[Mention, ...]) -> None:
        """Take a gap, or an event of TCP."""
        shown = _shown("gap" if kind == "gap" else "tcp", kind, side, mark, self.lane.stream, length, mentions)
        self._add(shown, notable=True)

    def _add(self, shown: FrameMark, *, notable: bool) -> FrameMark:
        lane = self.lane
        lane.begin = shown.time if lane.begin is None else min(lane.begin, shown.time)
        lane.end = shown.time if lane.end is None else max(lane.end, shown.time)
        return self._bundler.add(shown, notable=notable)

    def finish(self) -> Lane:
        """Nothing more will come."""
        self.lane.marks = list(self._bundler.marks())
        self.lane.seen = self._bundler.seen
        return self.lane


def _shown(
    kind: str, name: str, side: int, mark: Mark, stream: int, length: int, mentions: tuple[Mention, ...]
) -> FrameMark:  # fmt: skip
    shown = FrameMark(
        "gap" if kind == "gap" else "tcp" if kind == "tcp" else "frame",
        name, side, mark.time, mark.source, mark.packet, mark.offset, stream, length,
    )  # fmt: skip
    if mentions:
        shown.findings = tuple(dict.fromkeys(mention.finding for mention in mentions))
        worst: Severity = min((mention.severity for mention in mentions), key=_WORST.__getitem__)
        shown.severity = worst
        shown.evidence = mentions[0].note
    return shown


def _note(frame: ControlFrame) -> str:
    """Say what the payload of a control frame holds, in a few words."""
    facts = facts_of(frame)
    if "increment" in facts:
        return f"+{facts['increment']:,}"
    if "last_stream" in facts:
        debug = facts.get("debug", b"").decode("latin-1")
        return f"{facts['error']}, last stream {facts['last_stream']}{', ' if debug else ''}{debug}"[:_NOTE]
    if "error" in facts:
        return str(facts["error"])
    if "settings" in facts:
        return ", ".join(f"{name} {value:,}" for name, value in facts["settings"].items())[:_NOTE]
    return ""


def _told(block: HeaderBlock) -> str:
    """Say what a header block is about, in a few words."""
    parts = []
    if block.path is not None:
        parts.append(block.text(b":path") or "")
    for name in (b":status", b"grpc-status", b"grpc-message"):
        value = block.text(name)
        if value is not None:
            parts.append(f"{name.decode()} {value}")
    return ", ".join(parts)
