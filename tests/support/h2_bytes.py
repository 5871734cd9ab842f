"""HTTP/2 bytes made by hand, the walk driven over them in any pieces, and all that it says in one comparable value."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from itertools import pairwise
from typing import Any

from hpack import Encoder

from wirecase.http2 import FrameWalk
from wirecase.http2.facts import FrameCounts, HeaderBlock, HeadersFrame, Http2Facts, Stream, header_bytes
from wirecase.model import CLIENT, SERVER, Excerpt, Mark, Marks

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 1
END_HEADERS, PADDED, PRIORITY_FLAG = 4, 8, 0x20
T0 = 1_700_000_000_000_000_000
REQUEST = (
    (":method", "POST"), (":scheme", "http"), (":path", "/demo.Echo/Unary"), (":authority", "demo"),
    ("te", "trailers"), ("content-type", "application/grpc"),
)  # fmt: skip
RESPONSE = ((":status", "200"), ("content-type", "application/grpc"))
TRAILERS = (("grpc-status", "0"),)
Fields = Sequence[tuple[str, str]]


# --- frames ----------------------------------------------------------------------------------------------------------


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """One frame, right or wrong."""
    return header_bytes(len(payload), kind, flags, stream) + payload


def padded(payload: bytes, pad: int) -> bytes:
    """A payload with `pad` bytes of padding (RFC 9113 §6.1)."""
    return bytes((pad,)) + payload + bytes(pad)


def settings(*pairs: tuple[int, int], stream: int = 0) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, stream, b"".join(k.to_bytes(2, "big") + v.to_bytes(4, "big") for k, v in pairs))


def settings_ack() -> bytes:
    """The ACK of a SETTINGS frame."""
    return frame(SETTINGS, ACK)


def window_update(stream: int, increment: int) -> bytes:
    """A WINDOW_UPDATE frame."""
    return frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def rst(stream: int, code: int) -> bytes:
    """A RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def goaway(last: int, code: int, debug: bytes = b"") -> bytes:
    """A GOAWAY frame."""
    return frame(GOAWAY, 0, 0, last.to_bytes(4, "big") + code.to_bytes(4, "big") + debug)


def data(stream: int, payload: bytes, flags: int = 0) -> bytes:
    """A DATA frame without padding."""
    return frame(DATA, flags, stream, payload)


def message(payload: bytes, flag: int = 0) -> bytes:
    """A length-prefixed message."""
    return bytes((flag,)) + len(payload).to_bytes(4, "big") + payload


class Peer:
    """One side's encoder: header blocks with a dynamic table that lasts over the connection."""

    def __init__(self) -> None:
        self.encoder = Encoder()

    def block(self, fields_: Fields, *, huffman: bool = True) -> bytes:
        """An encoded header list."""
        return self.encoder.encode(list(fields_), huffman=huffman)

    def headers(self, stream: int, fields_: Fields, flags: int = 0) -> bytes:
        """A HEADERS frame with END_HEADERS."""
        return frame(HEADERS, END_HEADERS | flags, stream, self.block(fields_))

    def continued(self, stream: int, fields_: Fields, cuts: Sequence[int], flags: int = 0) -> list[bytes]:
        """The same as a HEADERS frame and CONTINUATION frames, cut at byte positions `cuts` of the block."""
        block = self.block(fields_)
        bounds = [0, *(min(c, len(block)) for c in cuts), len(block)]
        parts = [block[a:b] for a, b in pairwise(bounds)]
        last = len(parts) - 1
        return [
            frame(
                CONTINUATION if i else HEADERS,
                (flags if not i else 0) | (END_HEADERS if i == last else 0),
                stream,
                part,
            )
            for i, part in enumerate(parts)
        ]


# --- a connection as it was captured ---------------------------------------------------------------------------------


class Script:
    """Segments of both sides in capture order, one packet each."""

    def __init__(self) -> None:
        self.segments: list[tuple[int, bytes]] = []
        self.peers = (Peer(), Peer())

    def send(self, side: int, *parts: bytes) -> Script:
        """Add one segment with `parts`."""
        self.segments.append((side, b"".join(parts)))
        return self

    def client(self, *parts: bytes) -> Script:
        """Add a segment of the client."""
        return self.send(CLIENT, *parts)

    def server(self, *parts: bytes) -> Script:
        """Add a segment of the server."""
        return self.send(SERVER, *parts)

    def hello(self) -> Script:
        """SETTINGS and ACK of both sides (the preface is not the walk's)."""
        return self.client(settings()).server(settings(), settings_ack()).client(settings_ack())

    def request(self, stream: int, body: bytes = b"", fields_: Fields = REQUEST, *, end: bool = True) -> Script:
        """A whole request."""
        peer = self.peers[CLIENT]
        if not body:
            return self.client(peer.headers(stream, fields_, END_STREAM if end else 0))
        return self.client(peer.headers(stream, fields_), data(stream, body, END_STREAM if end else 0))

    def response(self, stream: int, body: bytes = b"", trailers: Fields = TRAILERS) -> Script:
        """A whole gRPC response."""
        peer = self.peers[SERVER]
        return self.server(
            peer.headers(stream, RESPONSE), data(stream, body), peer.headers(stream, trailers, END_STREAM)
        )


@dataclass
class Body:
    """What the walk handed to a `BodySink`: the bytes, and the packet and offset of every one of them."""

    data: bytes = b""
    places: list[tuple[int, int, int]] = field(default_factory=list)
    """(packet, stream offset of its first byte, bytes), in order; neighbours that belong together are joined."""
    gaps: tuple[int | None, ...] = ()

    def feed(self, data: bytes, start: int, stop: int, marks: Marks, offset: int) -> None:
        """As `wirecase.model.BodySink` says."""
        assert 0 <= start < stop <= len(data)
        self.data += data[start:stop]
        end = offset + stop - start
        while offset < end:
            packet = marks.at(offset).packet
            following = bisect_right(marks.offsets, offset)
            upto = min(end, marks.offsets[following]) if following < len(marks.offsets) else end
            last = self.places[-1] if self.places else (0, 0, 0)
            if last[0] == packet and last[1] + last[2] == offset:
                self.places[-1] = (packet, last[1], last[2] + upto - offset)
            else:
                self.places.append((packet, offset, upto - offset))
            offset = upto

    def feed_all(self, data: bytes, places: list[int], marks: Marks, base: int) -> None:
        """As `wirecase.model.BodySink` says."""
        for start, stop in zip(places[::2], places[1::2], strict=True):
            self.feed(data, start, stop, marks, base + start)

    def gap(self, length: int | None) -> None:
        """As `wirecase.model.BodySink` says."""
        self.gaps += (length,)

    def ended(self) -> None:
        """As `wirecase.model.BodySink` says."""


class Events:
    """Records what `StreamTable` tells, and gives every stream its bodies. No exchange is ordinary here."""

    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.bodies: dict[tuple[int, int], Body] = {}
        self.streams: dict[int, Stream] = {}

    def grade(self, block: HeaderBlock, side: int) -> int:
        """Every block wants a closer look."""
        return 0

    def is_ordinary_body(self, data: bytes, start: int, stop: int) -> bool:
        """No body is ordinary."""
        return False

    def begun(self, exchange: Any, marks: Marks, offset: int) -> None:
        """Never called."""
        raise AssertionError

    def completed(self, exchange: Any) -> None:
        """Never called."""
        raise AssertionError

    def headers(self, stream: Stream, frame: HeadersFrame) -> None:
        """A header block arrived."""
        self.streams[stream.id] = stream
        self.log.append(("headers", stream.id, frame.side, frame.block.fields, frame.end_stream, frame.excerpt.mark))
        for side in (CLIENT, SERVER):
            if stream.bodies[side] is None:
                stream.bodies[side] = self.bodies.setdefault((stream.id, side), Body())

    def ended(self, stream: Stream, side: int) -> None:
        """END_STREAM."""
        self.log.append(("ended", stream.id, side, stream.ended_by[side]))

    def closed(self, stream: Stream) -> None:
        """Nothing more will be known of the stream."""
        self.log.append(("closed", stream.id, plain(stream)))


@dataclass
class Walked:
    """A finished walk."""

    facts: Http2Facts
    events: Events

    def kinds(self) -> list[tuple[str, int]]:
        """(kind, side) of every violation."""
        return [(v.kind, v.side) for v in self.facts.violations]

    def body(self, stream: int, side: int) -> bytes:
        """The body that came through."""
        return self.events.bodies[stream, side].data

    def snapshot(self) -> Any:
        """All that can be told from outside, as one comparable value."""
        return (plain(self.facts), self.events.log, self.events.bodies)

    def check_books(self, fed: Sequence[int]) -> None:
        """Every byte taken in is decoded or skipped."""
        for side in (CLIENT, SERVER):
            half = self.facts.halves[side]
            assert half.bytes == fed[side]
            assert half.decoded + sum(half.skipped.values()) == fed[side], (half.decoded, half.skipped, fed[side])
            assert half.decoded >= 0
            assert all(count > 0 for count in half.skipped.values())


_HIDDEN = {"call", "bodies", "exchange", "view", "windows"}


def plain(value: Any) -> Any:
    """Turn facts into tuples that compare by value."""
    if isinstance(value, Excerpt):
        # How much of a DATA frame is shown depends on what had come by then; its header and place do not.
        shown = value.data[:9] if value.data[3:4] == b"\0" else value.data
        return (value.side, value.mark, shown, value.length)
    if isinstance(value, Marks):
        return "marks"
    if isinstance(value, Stream):
        named = {name: plain(getattr(value, name)) for name in Stream.__slots__ if name not in {*_HIDDEN, "last"}}
        return (named, value.windows[:], value.last_mark(CLIENT), value.last_mark(SERVER))
    if isinstance(value, HeaderBlock):
        return (value.fields, value.list_size, value.wire_size, value.unknown, value.truncated, value.problems)
    if isinstance(value, FrameCounts):
        return {name: plain(getattr(value, name)) for name in FrameCounts.__slots__}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {plain(k): plain(v) for k, v in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return (type(value).__name__, *(plain(item) for item in value))
    if isinstance(value, (list, tuple)) or type(value).__name__ == "deque":
        return tuple(plain(item) for item in value)
    return value


def runs(
    segments: Iterable[tuple[int, bytes]], cuts: Callable[[int], bool] | None = None
) -> Iterator[tuple[int, bytes, Marks]]:
    """Yield runs of bytes with their marks.

    Neighbouring segments of one side are joined. `cuts` says of each position in the whole capture's bytes (counted
    over both sides) whether a run ends there; None cuts only where the side changes.
    """
    offsets = [0, 0]
    total = 0
    open_: list[Any] | None = None
    for number, (side, payload) in enumerate(segments, 1):
        begin = 0
        while begin < len(payload):
            if open_ is not None and (open_[0] != side or (cuts is not None and cuts(total))):
                yield _run(open_)
                open_ = None
            end = begin + 1
            while end < len(payload) and (cuts is None or not cuts(total + end - begin)):
                end += 1
            if open_ is None:
                open_ = [side, bytearray(), [], [], []]
            open_[1] += payload[begin:end]
            open_[2].append(offsets[side])
            open_[3].append(number)
            open_[4].append(T0 + number)
            offsets[side] += end - begin
            total += end - begin
            begin = end
    if open_ is not None:
        yield _run(open_)


def _run(held: list[Any]) -> tuple[int, bytes, Marks]:
    return held[0], bytes(held[1]), Marks(0, held[2], held[3], held[4])


def walk(
    script: Script | Sequence[tuple[int, bytes]],
    cuts: Callable[[int], bool] | None = None,
    *,
    late: Sequence[int] = (),
) -> Walked:
    """Walk over a script in runs cut by `cuts`; `late` are the sides that are joined in mid-connection."""
    segments = script.segments if isinstance(script, Script) else script
    facts, events = Http2Facts(), Events()
    walker = FrameWalk(facts, events)
    for side in late:
        walker.join_late(side)
    fed = [0, 0]
    for side, payload, marks in runs(segments, cuts):
        walker.feed(side, payload, marks)
        fed[side] += len(payload)
    walker.finish()
    done = Walked(facts, events)
    done.check_books(fed)
    return done


def by_segment(segments: Sequence[tuple[int, bytes]]) -> Callable[[int], bool]:
    """Cuts at the beginning of every segment: packet by packet."""
    begins, total = set(), 0
    for _, payload in segments:
        begins.add(total)
        total += len(payload)
    return begins.__contains__


def by_byte(_position: int) -> bool:
    """Cuts everywhere."""
    return True


class GapWalk:
    """A walk that is told of holes: pieces are bytes, an int for so many missing bytes."""

    def __init__(self, *, late: Sequence[int] = ()) -> None:
        self.facts, self.events = Http2Facts(), Events()
        self.walker = FrameWalk(self.facts, self.events)
        for side in late:
            self.walker.join_late(side)
        self._offsets = [0, 0]
        self._fed = [0, 0]
        self._packet = 0

    def send(self, side: int, *pieces: bytes | int) -> GapWalk:
        """Feed pieces of one side, each bytes piece a packet and a run of its own."""
        for piece in pieces:
            if not piece:
                continue
            self._packet += 1
            at = self._offsets[side]
            if isinstance(piece, int):
                mark = Mark(0, self._packet, T0 + self._packet, at + piece)
                self.walker.gap(side, piece, mark)
                self._offsets[side] += piece
                continue
            marks = Marks(0, [at], [self._packet], [T0 + self._packet])
            self.walker.feed(side, piece, marks)
            self._offsets[side] += len(piece)
            self._fed[side] += len(piece)
        return self

    def segments(self, side: int, *pieces: bytes) -> GapWalk:
        """Feed pieces as one run of several segments."""
        at = self._offsets[side]
        starts = [at + sum(map(len, pieces[:i])) for i in range(len(pieces))]
        numbers = [self._packet + 1 + i for i in range(len(pieces))]
        self._packet += len(pieces)
        joined = b"".join(pieces)
        self.walker.feed(side, joined, Marks(0, starts, numbers, [T0 + n for n in numbers]))
        self._offsets[side] += len(joined)
        self._fed[side] += len(joined)
        return self

    def finish(self) -> Walked:
        """End the connection and check the books."""
        self.walker.finish()
        done = Walked(self.facts, self.events)
        done.check_books(self._fed)
        return done


def packet_of(segments: Sequence[tuple[int, bytes]], side: int, offset: int) -> int:
    """Return the number of the packet that carried a byte, worked out independently of `Marks`."""
    starts, numbers, at = [], [], 0
    for number, (sender, payload) in enumerate(segments, 1):
        if sender == side and payload:
            starts.append(at)
            numbers.append(number)
            at += len(payload)
    return numbers[bisect_right(starts, offset) - 1]
