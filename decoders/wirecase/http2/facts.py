"""What is known of one HTTP/2 connection and its streams. Filled by the frame walk, read by the rules.

Pairs are indexed by the side that *sent* the thing: ``x[CLIENT]`` was sent by the client. Windows are indexed by the
side whose *sending* they limit.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from wirecase.model import CLIENT, SERVER, BodySink, Excerpt, Mark, Marks

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
FRAME_NAMES = (
    "DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE",
    "CONTINUATION",
)  # fmt: skip
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY_FLAG = 0x20

ERROR_NAMES = (
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
    "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
)  # fmt: skip
"""RFC 9113 §7, by code."""

SETTING_NAMES = {
    1: "HEADER_TABLE_SIZE", 2: "ENABLE_PUSH", 3: "MAX_CONCURRENT_STREAMS", 4: "INITIAL_WINDOW_SIZE",
    5: "MAX_FRAME_SIZE", 6: "MAX_HEADER_LIST_SIZE", 8: "ENABLE_CONNECT_PROTOCOL",
}  # fmt: skip
HEADER_TABLE_SIZE, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 1, 3, 4, 5, 6
MAX_WINDOW = 2**31 - 1
KEPT_BYTES = 96
"""Bytes of a frame that are kept as evidence."""
VIOLATIONS_KEPT = 200


def error_name(code: int) -> str:
    """Return the name of an HTTP/2 error code, e.g. ``INTERNAL_ERROR``, or ``0x1f`` for an unknown one."""
    return ERROR_NAMES[code] if code < len(ERROR_NAMES) else f"{code:#x}"


def frame_name(kind: int) -> str:
    """Return the name of a frame type, or ``type 0x1f`` for an unknown one."""
    return FRAME_NAMES[kind] if kind < len(FRAME_NAMES) else f"type {kind:#x}"


def header_bytes(length: int, kind: int, flags: int, stream: int) -> bytes:
    """Return the nine bytes of a frame header (RFC 9113 §4.1)."""
    return length.to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")


class ControlFrame(NamedTuple):
    """One whole frame other than unpadded DATA."""

    side: int
    kind: int
    flags: int
    stream: int
    payload: bytes
    marks: Marks
    offset: int
    """Stream offset of the frame's header."""
    length: int = -1
    """Length of the payload where only its beginning is in `payload`, else -1."""

    def mark(self) -> Mark:
        """Return where the frame begins."""
        return self.marks.at(self.offset)

    def excerpt(self) -> Excerpt:
        """Return the frame's header and first bytes."""
        length = len(self.payload) if self.length < 0 else self.length
        head = header_bytes(length, self.kind, self.flags, self.stream)
        return Excerpt(self.side, self.mark(), head + self.payload[: KEPT_BYTES - 9], 9 + length)


class Settings(NamedTuple):
    """One SETTINGS frame without ACK."""

    mark: Mark
    values: dict[int, int]


class Goaway(NamedTuple):
    """One GOAWAY frame."""

    side: int
    last_stream: int
    code: int
    debug: bytes
    excerpt: Excerpt
    highest_seen: int
    """Highest stream id that the other side had opened in the capture by then."""
    open_streams: int
    """Streams open at that moment."""


class Reset(NamedTuple):
    """One RST_STREAM frame."""

    side: int
    code: int
    excerpt: Excerpt


class Ping(NamedTuple):
    """One PING without ACK, and when its ACK came."""

    side: int
    payload: bytes
    mark: Mark


class Violation(NamedTuple):
    """A frame or header block that breaks RFC 9113 or RFC 7541, as the walk met it. Judging it is for the rules."""

    kind: str
    """Which one; the rules map it to a rule id. See `wirecase.http2` for the list."""
    side: int
    """Who sent it."""
    stream: int
    excerpt: Excerpt
    facts: dict[str, Any]


class FrameCounts:
    """How many frames of each type a side sent, and those that floods are made of."""

    __slots__ = ("by_type", "empty_continuation", "empty_data", "ping_ack", "resets", "settings_ack", "unknown")

    def __init__(self) -> None:
        self.by_type = [0] * 10
        self.empty_data = 0
        """DATA of length 0 without END_STREAM."""
        self.empty_continuation = 0
        self.settings_ack = 0
        self.ping_ack = 0
        self.resets = 0
        self.unknown = 0
        """Frames of types that RFC 9113 does not define (to be ignored, §4.1)."""


class HeaderBlock:
    """One decoded header list. Blocks with the same bytes in the same table state share one object: never change it."""

    __slots__ = ("fields", "grade", "list_size", "method", "names", "owed_size", "path", "problems", "status",
                 "truncated", "unknown", "view", "wire_size")  # fmt: skip

    def __init__(self, fields: tuple[tuple[bytes | None, bytes | None], ...]) -> None:
        self.fields = fields
        """(name, value) in order; None where a late join or a gap hides it."""
        self.names: dict[bytes, bytes | None] = {}
        """First value by name."""
        unknown = False
        for name, value in fields:
            if name is None:
                unknown = True
            elif name not in self.names:
                self.names[name] = value
            if value is None:
                unknown = True
        self.unknown = unknown
        """True if some name or value could not be known."""
        self.list_size = 0
        """RFC 9113 §6.5.2: names + values + 32 each."""
        self.wire_size = 0
        self.truncated = False
        """True if the list was longer than what is kept in `fields`."""
        self.owed_size: int | None = None
        """RFC 7541 §4.2: the lowered table size that the encoder ignored."""
        self.problems: tuple[tuple[str, bytes, bytes], ...] = ()
        """What breaks RFC 9113 §8.2 and §8.3: (problem, name, value)."""
        self.status = self.names.get(b":status")
        self.method = self.names.get(b":method")
        self.path = self.names.get(b":path")
        self.grade = -1
        """Which part of an ordinary exchange it can be (`wirecase.http2.ordinary`)."""
        self.view: Any = None
        """For the room above: its own reading of the block, kept with it."""

    def get(self, name: bytes) -> bytes | None:
        """Return the first value of `name` (lower case), or None if it is absent or unknown."""
        return self.names.get(name)

    def values(self, name: bytes) -> list[bytes]:
        """Return all known values of `name`, in order."""
        return [value for key, value in self.fields if key == name and value is not None]

    def text(self, name: bytes) -> str | None:
        """Return the first value of `name` as text (Latin-1: one character per byte), or None."""
        value = self.names.get(name)
        return None if value is None else value.decode("latin-1")


def is_informational(block: HeaderBlock) -> bool:
    """Tell whether a response block is a 1xx (RFC 9113 §8.1)."""
    status = block.status
    return status is not None and len(status) == 3 and status.startswith(b"1")


class HeadersFrame(NamedTuple):
    """One header block as it stood on a stream, CONTINUATION included."""

    side: int
    block: HeaderBlock
    end_stream: bool
    frame: ControlFrame
    """The HEADERS frame that the block began with."""

    @property
    def excerpt(self) -> Excerpt:
        """Frame header and the first bytes of the block."""
        return self.frame.excerpt()


class Stream:
    """One stream. `headers` holds every block in order of arrival; what gRPC makes of it is a `Call`."""

    __slots__ = (
        "before_headers", "bodies", "call", "data_bytes", "data_frames", "ended", "ended_by", "ending", "exchange",
        "headers", "id",
        "last", "late", "opened", "padded", "resets", "seen_start", "starved", "windows",
    )  # fmt: skip

    def __init__(self, stream_id: int, opened: Mark, windows: list[int]) -> None:
        self.id = stream_id
        self.opened = opened
        """Its first frame in the capture."""
        self.seen_start = True
        """False if the opening HEADERS is not in the capture."""
        self.windows = windows
        """How much each side may still send; meaningless before SETTINGS are known (`Http2Facts.windows_known`)."""
        self.starved: list[Mark | None] = [None, None]
        """Since when a side's stream window has been 0 or less."""
        self.headers: list[HeadersFrame] = []
        self.bodies: list[BodySink | None] = [None, None]
        self.data_bytes = [0, 0]
        """Payload bytes of DATA frames, without padding."""
        self.data_frames = [0, 0]
        self.padded = [0, 0]
        """PADDED DATA or HEADERS frames."""
        self.ended: list[bool] = [False, False]
        """END_STREAM seen from the side."""
        self.ended_by: list[int] = [-1, -1]
        """Frame type that carried END_STREAM: `DATA` or `HEADERS`."""
        self.ending: list[Excerpt | None] = [None, None]
        """The frame that carried END_STREAM."""
        self.resets: list[Reset] = []
        self.late: Excerpt | None = None
        """The frame with the server's END_STREAM where that came to a client that had reset the stream before.

        Nothing of what came so late is told otherwise: not its headers, its bytes, its end."""
        self.last: list[tuple[Marks, int] | None] = [None, None]
        """(marks, stream offset) of a side's last byte of DATA or, if that came later, its last HEADERS frame."""
        self.before_headers: list[tuple[Marks, int] | None] = [None, None]
        """What `last` was when a side's last HEADERS frame came."""
        self.call: Any = None
        """The gRPC call, or None."""
        self.exchange: Any = None
        """The ordinary exchange that it was unfolded from, or None."""

    def last_mark(self, side: int) -> Mark | None:
        """Return where the last byte of DATA of `side` was, or its last HEADERS frame if that came later."""
        held = self.last[side]
        return held[0].at(held[1]) if held else None

    def last_marks(self, side: int) -> list[Mark]:
        """Return the places of HEADERS frames of `side`, of its last DATA, and of its last DATA before the trailers."""
        marks = [frame.excerpt.mark for frame in self.headers if frame.side == side]
        return marks + [held[0].at(held[1]) for held in (self.before_headers[side], self.last[side]) if held]

    @property
    def closed(self) -> bool:
        """Both sides ended, or one reset it."""
        return (self.ended[0] and self.ended[1]) or bool(self.resets)


@dataclass(slots=True)
class Http2Half:
    """What one side sent, on the connection as a whole."""

    preface: Mark | None = None
    """Client only: where the connection preface stood."""
    bytes: int = 0
    """Stream bytes taken in."""
    decoded: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    """Bytes by reason; ``bytes == decoded + sum(skipped) + pending``."""
    frames: FrameCounts = field(default_factory=FrameCounts)
    settings: dict[int, int] = field(default_factory=dict)
    """Values in force, from its SETTINGS (lowered values from their ACK on)."""
    settings_frames: list[Settings] = field(default_factory=list)
    """The first 20."""
    settings_unacked: list[Settings] = field(default_factory=list)
    """Those whose ACK has not come."""
    first_frame: tuple[int, Excerpt] | None = None
    """Type and bytes of the first frame (after the preface)."""
    window: int = 65535
    """Connection window: how much this side may still send."""
    starved: Mark | None = None
    """Since when its connection window has been 0 or less."""
    window_low: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=64))
    """(finished streams so far, connection window) sampled whenever no DATA is outstanding: falls in a leak."""
    highest_stream: int = 0
    """Highest stream id that it opened."""
    synced: bool = True
    """False while frame boundaries are lost."""
    stray: Excerpt | None = None
    """The first bytes that stood where a frame was due and are none, though nothing before them was missing."""
    joined_late: bool = False
    """Its HPACK table is not known from the start (mid-connection, or a gap swallowed header blocks)."""
    gaps: int = 0
    longest_block: tuple[int, int, int, Excerpt] | None = None
    """(CONTINUATION frames, bytes, stream, its HEADERS frame) of the longest chain of CONTINUATION frames."""
    hpack_error: Violation | None = None
    unfinished: Excerpt | None = None
    """A frame whose end is not in the capture: its beginning."""
    unfinished_frame: tuple[int, int, int, int] | None = None
    """(declared length, type, stream, payload bytes there) of that frame."""


@dataclass(slots=True)
class Http2Facts:
    """One HTTP/2 connection, whatever is open and whatever was odd."""

    halves: tuple[Http2Half, Http2Half] = field(default_factory=lambda: (Http2Half(), Http2Half()))
    streams: dict[int, Stream] = field(default_factory=dict)
    """Open streams by id."""
    opened: int = 0
    """Streams that have been opened by the client, in all."""
    goaways: list[Goaway] = field(default_factory=list)
    """The first 100."""
    goaways_seen: int = 0
    pings_open: dict[tuple[int, bytes], Ping] = field(default_factory=dict)
    """PINGs without an ACK so far, at most 1,000."""
    ping_times: tuple[deque[int], deque[int]] = field(default_factory=lambda: (deque(maxlen=64), deque(maxlen=64)))
    """Times of each side's last PINGs (no ACKs), ns."""
    ping_first: list[Mark | None] = field(default_factory=lambda: [None, None])
    violations: list[Violation] = field(default_factory=list)
    """The first 200; `violations_seen` counts them all by kind."""
    violations_seen: dict[tuple[str, int], int] = field(default_factory=dict)
    """(kind, side) -> how many."""
    client_resets: int = 0
    """Streams that the client reset before any response headers."""
    rapid: Mark | None = None
    """First of those."""
    rapid_stream: int = 0
    """Its stream."""
    open_at_end: list[tuple[int, Mark]] = field(default_factory=list)
    """(id, where it was opened) of the streams that were open when connection or capture ended; the first 100."""
    open_at_end_count: int = 0
    """How many those are in all."""
    open_at_stray: list[tuple[int, Mark]] = field(default_factory=list)
    """The same, and all of them, where the first bytes that are no frame stood (`Http2Half.stray`)."""
    max_open: int = 0
    """Most client-opened streams open at once."""
    limit_waits: list[tuple[Mark, int]] = field(default_factory=list)
    """(mark, limit) whenever open streams reached the server's MAX_CONCURRENT_STREAMS; the first 20."""
    concurrent_limit_zero: Mark | None = None
    """SETTINGS that took MAX_CONCURRENT_STREAMS to 0."""
    windows_known: bool = True
    """False from a mid-connection start or after a gap: windows cannot be recomputed."""
    upgraded: bool = False
    """h2c by HTTP/1.1 Upgrade: stream 1 was opened by the upgraded request (RFC 7540 §3.2)."""

    def violate(self, kind: str, side: int, stream: int, excerpt: Excerpt, /, **facts: Any) -> Violation:
        """Note what breaks a rule; all are counted, the first `VIOLATIONS_KEPT` are kept."""
        violation = Violation(kind, side, stream, excerpt, facts)
        seen = self.violations_seen
        seen[(kind, side)] = seen.get((kind, side), 0) + 1
        if len(self.violations) < VIOLATIONS_KEPT:
            self.violations.append(violation)
        return violation

    def highest_of(self, stream: int) -> int:
        """Return the highest stream id that has been opened by whoever may open `stream` (RFC 9113 §5.1.1)."""
        return self.halves[CLIENT if stream % 2 else SERVER].highest_stream

    def wrong_stream_id(self, frame: ControlFrame) -> None:
        """Note a frame on stream 0 that needs a stream, or the reverse."""
        self.violate("stream-id", frame.side, frame.stream, frame.excerpt(), frame=frame_name(frame.kind))

    def wrong_size(self, frame: ControlFrame, wanted: str) -> None:
        """Note a frame whose length its type does not allow."""
        self.violate(
            "fixed-size", frame.side, frame.stream, frame.excerpt(),
            declared=len(frame.payload), wanted=wanted, frame=frame_name(frame.kind),
        )  # fmt: skip
