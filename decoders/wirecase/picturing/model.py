"""What a picture of a session is made of: hops, lanes, frames in time, and windows over time.

A picture is data and no drawing: terminal, Markdown and HTML draw the same one. `wirecase.picturing.picture` makes it::

    picture(options: pipeline.Options, diagnosis: Diagnosis, *, limits: Limits = Limits(),
            connections: Sequence[int] = (), streams: Sequence[tuple[int, int]] = (),
            progress: Progress | None = None, stop: Callable[[], bool] | None = None) -> Picture

by a second reading of the sources, in which only the connections that findings name (and a few neighbours) are
recorded. Times are ns since the epoch, packets are Wireshark's ``frame.number`` within their source, sides are
`CLIENT` (0) and `SERVER` (1), stream 0 is the connection itself. All text in it that comes from the capture is raw:
whoever draws it escapes it.

Everything is bounded by `Limits`. Where frames are too many they are bundled by time (`FrameMark.count`), where points
are too many the first, the least, the greatest and the last of each stretch of time stay; how many there were is said
(`Lane.seen`, `Series.seen`, `Hop.streams_seen`, `Picture.remarks`).

What is not known is None, never a guess: a window after a gap or in a connection that was joined late has no number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from wirecase.model import Certainty, ConnectionRef, Severity

What = Literal["stream window", "connection window", "stream slots"]


@dataclass(slots=True, frozen=True)
class Limits:
    """How much a picture may hold."""

    hops: int = 12
    """Connections."""
    streams: int = 24
    """Lanes of streams per connection, neighbours included."""
    neighbours: int = 4
    """Lanes of streams next to those that findings name: what else went on."""
    marks: int = 400
    """Frames (or bundles of them) per lane, at least 64; 0 where only windows are wanted: lanes stay empty then."""
    points: int = 400
    """Points per series."""
    stalls: int = 50
    """Stalls, and violations, that are listed per series."""


@dataclass(slots=True)
class FrameMark:
    """One frame on a lane, or a bundle of frames of one type from one side that stand close together."""

    kind: Literal["frame", "gap", "tcp"]
    name: str
    """Frame type (``DATA``, ``type 0x1f``), ``gap``, or ``SYN``, ``FIN``, ``RST``, ``zero window``."""
    side: int
    """Who sent it; for a gap, whose bytes are missing."""
    time: int
    source: int
    packet: int
    offset: int
    """Offset of the (first) frame in its side's byte stream: with `side` and the connection it names the frame."""
    stream: int
    length: int
    """Payload bytes, of all frames of a bundle; bytes missing in a gap."""
    flags: tuple[str, ...] = ()
    """Of all frames of a bundle."""
    note: str = ""
    """A few words: ``+65,535``, ``:status 200``, ``grpc-status 13``, ``CANCEL``, ``ACK``. Raw text of the capture."""
    findings: tuple[str, ...] = ()
    """Ids of the findings that have evidence in it: the fault is marked here."""
    severity: Severity | None = None
    """The worst of these findings."""
    evidence: str = ""
    """What the first of them sees here."""
    count: int = 1
    """Frames that it stands for."""
    until: int = 0
    """Time of the last of them; equals `time` for a single frame."""
    last_packet: int = 0
    """Packet of the last of them."""


@dataclass(slots=True)
class Lane:
    """One stream of a hop, or (stream 0) what concerns the connection as a whole."""

    stream: int
    call: int | None = None
    """Number of the call, where a finding tells it."""
    path: str | None = None
    """``:path`` of the request."""
    begin: int | None = None
    """Time of its first frame."""
    end: int | None = None
    """Time of its last one."""
    named: bool = False
    """A finding names it; otherwise it is a neighbour."""
    findings: tuple[str, ...] = ()
    marks: list[FrameMark] = field(default_factory=list)
    """By time. Those that prove a finding, and those that begin or end something, are never bundled (up to
    `Limits.marks`)."""
    seen: int = 0
    """Frames that it had in all; more than ``len(marks)`` where some are bundled."""


@dataclass(slots=True)
class Point:
    """How much was left after something changed it."""

    time: int
    value: int | None
    """Bytes (or slots) left; negative where the sender went over it. None: unknown from here on."""
    by: str
    """The frame that moved it: ``DATA``, ``WINDOW_UPDATE``, ``SETTINGS``, ``SETTINGS ACK``, ``HEADERS``,
    ``RST_STREAM``; ``open`` for the first point, ``gap`` or ``mid-connection`` where it becomes unknown."""
    change: int = 0
    """By how much."""
    source: int = 0
    packet: int = 0
    stream: int = 0
    """The stream of that frame."""
    offset: int = 0
    """Offset of that frame in the byte stream of `side`."""
    side: int = 0
    """Who sent that frame."""


@dataclass(slots=True)
class Stall:
    """From when to when nothing was left while the sender was not done."""

    since: int
    until: int
    value: int
    """What was left: 0 or less."""
    packet: int
    """Packet of the frame that used it up."""
    source: int
    ended_by: str
    """``WINDOW_UPDATE``, ``SETTINGS``; ``stream end``, ``reset``, ``unknown`` (a gap); ``end`` if nothing ended it
    before the connection or the capture was over."""
    end_packet: int | None = None
    """Packet that ended it."""
    findings: tuple[str, ...] = ()
    """Findings that call it a fault. Without one it is no more than a moment at 0."""


@dataclass(slots=True)
class Violation:
    """A frame that breaks the rules of flow control."""

    kind: Literal["over", "overflow", "zero"]
    """More DATA than was left; a window over 2^31-1; a WINDOW_UPDATE of 0."""
    time: int
    source: int
    packet: int
    stream: int
    side: int
    """Who sent it."""
    amount: int
    """Bytes too many (``over``, ``overflow``); 0 for ``zero``."""
    allowed: int | None = None
    """For a WINDOW_UPDATE that overflows: the largest increment that was allowed."""
    findings: tuple[str, ...] = ()


@dataclass(slots=True)
class Leak:
    """How the connection window fell from idle moment to idle moment (no stream open)."""

    begin: int
    """Time of the first idle moment."""
    end: int
    at_begin: int
    """Window then, bytes."""
    at_end: int
    streams: int
    """Streams that finished between them."""
    per_stream: float
    """Bytes lost per finished stream."""
    per_second: float
    """Bytes lost per second; 0 where no time passed."""
    findings: tuple[str, ...] = ()


@dataclass(slots=True)
class Missing:
    """The frame that should have come and did not."""

    name: str
    """``WINDOW_UPDATE``; ``DATA or HEADERS`` of a sender that had window left; ``END_STREAM or RST_STREAM`` where
    streams have to end first; ``SETTINGS``."""
    side: int
    """Who should have sent it."""
    stream: int
    """On which stream; 0 for the connection."""
    at_least: int | None
    """Smallest increment that would have helped, bytes; None where it is no matter of bytes."""
    for_message: int | None
    """Increment that the message in hand needed to be finished, where its length is known."""
    after: int
    """Time from which on it was due."""
    packet: int
    """Packet after which it was due."""
    source: int
    text: str
    """One sentence, without text of the capture."""
    certainty: Certainty
    """As the finding's."""
    finding: str


@dataclass(slots=True)
class Series:
    """One window over time, or the room for more streams: what limits one side's sending."""

    connection: int
    stream: int
    """0: the connection's window, or its room for streams."""
    sender: int
    """The side that it limits."""
    what: What
    """Slots: how many more streams the server's MAX_CONCURRENT_STREAMS would let the client open."""
    points: list[Point] = field(default_factory=list)
    """By time; the value holds until the next point."""
    seen: int = 0
    """Points that there were in all."""
    begin: int = 0
    end: int = 0
    """Until when the last value held: the end of the stream, or of the connection."""
    unknown_since: int | None = None
    """From when on there are no numbers; the time of the beginning if there never were."""
    unknown_why: str = ""
    """One phrase."""
    lowest: Point | None = None
    highest: Point | None = None
    stalls: list[Stall] = field(default_factory=list)
    """The longest, by time."""
    stalls_seen: int = 0
    stalled: int = 0
    """ns in all of them together."""
    violations: list[Violation] = field(default_factory=list)
    """The first."""
    violations_seen: int = 0
    leak: Leak | None = None
    missing: list[Missing] = field(default_factory=list)
    findings: tuple[str, ...] = ()
    """Findings that are about this very series."""

    @property
    def unit(self) -> str:
        """``bytes`` or ``streams``."""
        return "streams" if self.what == "stream slots" else "bytes"

    @property
    def moved(self) -> bool:
        """It changed after its first point: worth drawing."""
        return len({point.value for point in self.points}) > 1


@dataclass(slots=True)
class Hop:
    """One connection: a hop of the way from client to server."""

    connection: ConnectionRef
    protocol: str
    """As `wirecase.session.session.Protocol`: lanes have frames only where it is ``h2``."""
    begin: int
    """Times of its first and last packet."""
    end: int
    lanes: list[Lane] = field(default_factory=list)
    """The connection's own (stream 0) first, then streams by id."""
    series: list[Series] = field(default_factory=list)
    """Connection windows first, then streams by id, client's sending before server's."""
    streams_seen: int = 0
    """Streams that it carried in all, shown or not."""
    findings: tuple[str, ...] = ()
    """Findings about it, the headline first."""


@dataclass(slots=True)
class Fault:
    """Where a finding lies in the picture."""

    finding: str
    rule: str
    severity: Severity
    title: str
    time: int | None
    connection: int | None
    stream: int | None
    packet: int | None
    root: bool
    """Nothing else explains it: the fault to be marked first."""


@dataclass(slots=True)
class Link:
    """The same call on two hops, from the client on."""

    front: tuple[int, int]
    """(connection, stream)."""
    behind: tuple[int, int]
    finding: str


@dataclass(slots=True)
class Picture:
    """A session, or some, as lanes in time."""

    hops: list[Hop] = field(default_factory=list)
    """Those of one call stand next to each other, the client's first."""
    faults: list[Fault] = field(default_factory=list)
    """In the order of the report."""
    links: list[Link] = field(default_factory=list)
    begin: int = 0
    """Earliest and latest time of all hops: the time axis."""
    end: int = 0
    remarks: list[str] = field(default_factory=list)
    """What was left out and why, one sentence each, without text of the capture."""

    def series_of(self, finding: str) -> list[Series]:
        """Return the series that a finding is about."""
        return [one for hop in self.hops for one in hop.series if finding in one.findings]
