"""The streams of one connection: opening, closing, resets, and the frames about the connection as a whole.

Theory. States follow RFC 9113 §5.1, but nothing is refused: a frame in the wrong state is noted and otherwise taken for
what it says. Streams that have closed are remembered for a while, since frames may still be in flight behind a
RST_STREAM: the rest of a proxy's error page behind the client's reset is evidence like its beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from wirecase.http2 import connection
from wirecase.http2.blocks import HeaderBlocks
from wirecase.http2.closed import ClosedStreams, came_too_late, in_flight
from wirecase.http2.early import EarlyFrames
from wirecase.http2.events import StreamEvents
from wirecase.http2.facts import (
    ACK,
    CONTINUATION,
    DATA,
    END_STREAM,
    GOAWAY,
    HEADERS,
    MAX_CONCURRENT_STREAMS,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    ControlFrame,
    HeaderBlock,
    HeadersFrame,
    Http2Facts,
    Reset,
    Stream,
    is_informational,
)
from wirecase.http2.fields import check_content_length, problems_in_place
from wirecase.http2.limits import Limits
from wirecase.http2.ordinary import LARGEST_LIST, ODD, UNGRADED, Exchange
from wirecase.http2.recorder import FrameRecorder
from wirecase.model import CLIENT, SERVER, Excerpt, Mark

if TYPE_CHECKING:
    from wirecase.http2.kept import Kept

_KEPT_HEADERS, _KEPT_RESETS, _KEPT_OPEN, _KEPT_WAITS = 32, 4, 100, 20
_WEIGHTY = frozenset((b":method", b":status", b"te"))
"""Fields whose value decides whether a header list is sound (`fields.find_problems`)."""


class StreamTable:
    """All state of one HTTP/2 connection above the frame boundaries."""

    def __init__(self, facts: Http2Facts, events: StreamEvents, recorder: FrameRecorder | None = None) -> None:
        self.facts = facts
        self._recorder = recorder
        self._events = events
        self.blocks = HeaderBlocks(facts)
        self.exchanges: dict[int, Exchange] = {}
        """Open exchanges that are ordinary so far, by stream."""
        self.early = EarlyFrames(facts)
        self.limits = Limits(facts, self.blocks.set_table_limit, self.early.note, self.exchanges)
        self._open_noted = False
        self.closed = ClosedStreams(facts, events, self.exchanges)
        self._recent = self.closed.recent
        self._handlers = {
            HEADERS: self._on_block,
            CONTINUATION: self._on_block,
            PUSH_PROMISE: self._on_block,
            PRIORITY: self._on_priority,
            RST_STREAM: self._on_reset,
            SETTINGS: self._on_settings,
            PING: self._on_ping,
            GOAWAY: self._on_goaway,
            WINDOW_UPDATE: self.limits.on_window_update,
        }

    def join_late(self, side: int) -> None:
        """Forget what a hole in `side`'s bytes makes uncertain: its HPACK table, windows, a half-read header block."""
        self.unfold_all()
        self.blocks.join_late(side)
        self.limits.forget()

    def control(self, frame: ControlFrame) -> None:
        """Take one frame other than DATA."""
        if self.blocks.open:
            self.blocks.interrupt(frame)
        if frame.stream in self.exchanges:
            self.unfold(self.exchanges[frame.stream])
        handler = self._handlers.get(frame.kind)
        if handler is None:
            self.facts.halves[frame.side].frames.unknown += 1
        else:
            handler(frame)

    # ---- header blocks -----------------------------------------------------------------------------------------

    def _on_block(self, frame: ControlFrame) -> None:
        whole = self.blocks.take(frame)
        if whole is None:
            return
        if whole.promised is None:
            self.headers(whole.frame, whole.block)
        elif frame.side == SERVER:  # a client's is noted already
            self._promise(whole.frame, whole.promised)

    def _promise(self, frame: ControlFrame, stream_id: int) -> None:
        """Reserve the stream of a server's PUSH_PROMISE (RFC 9113 §6.6): an even one, higher than all before."""
        facts = self.facts
        if not stream_id or stream_id % 2:
            return  # noted already
        again = stream_id in facts.streams or stream_id in self._recent
        if facts.windows_known and (again or stream_id <= facts.halves[SERVER].highest_stream):
            facts.violate("push", SERVER, frame.stream, frame.excerpt(), promised=stream_id)
        if not again:
            self._open(SERVER, stream_id, frame.mark()).ended[CLIENT] = True  # nothing of the client belongs on it

    def headers(self, frame: ControlFrame, decoded: HeaderBlock) -> None:
        """Take a decoded header block on the stream of `frame`, the HEADERS frame that it began with."""
        side, stream_id = frame.side, frame.stream
        end_stream = bool(frame.flags & END_STREAM)
        if self._recorder is not None:
            self._recorder.block(frame, decoded)
        came_late = False
        stream = self.facts.streams.get(stream_id)
        if stream is None:
            stream = self._stream_for_headers(frame)
            if stream is None:
                return
        elif stream.ended[side]:
            self.facts.violate("closed-stream", side, stream_id, frame.excerpt(), frame="HEADERS")
            self._count_highest(frame)
            return
        elif (
            side == CLIENT and not stream.seen_start and (stream_id in self.early.frames or decoded.method is not None)
        ):
            self.early.opened(stream_id)
            self._opened_late(stream, frame.mark())
            came_late = True
        trailers = not came_late and any(
            f.side == side and (side == CLIENT or not is_informational(f.block)) for f in stream.headers
        )
        if side == SERVER and decoded.status is None and not self.facts.windows_known:
            trailers = True  # the response headers stood where nothing was seen
        for problem, name, value in problems_in_place(decoded, side, trailers=trailers):
            self.facts.violate(
                "malformed-headers", side, stream_id, frame.excerpt(), problem=problem, name=name, value=value
            )
        stream.before_headers[side] = stream.last[side]
        stream.last[side] = (frame.marks, frame.offset)
        if frame.flags & PADDED:
            stream.padded[side] += 1
        whole = HeadersFrame(side, decoded, end_stream, frame)
        if came_late:
            stream.headers.insert(0, whole)
        elif len(stream.headers) < _KEPT_HEADERS:
            stream.headers.append(whole)
        self._events.headers(stream, whole)
        if end_stream:
            self.end_stream(stream, side, HEADERS, frame.excerpt())

    def _count_highest(self, frame: ControlFrame) -> None:
        """Take a HEADERS frame of the client, whatever else is odd about it, as word of its stream id."""
        half = self.facts.halves[CLIENT]
        if frame.side == CLIENT and frame.stream > half.highest_stream:
            half.highest_stream = frame.stream

    def grade(self, decoded: HeaderBlock, side: int) -> int:
        """Return a block's grade, worked out once."""
        if decoded.grade == UNGRADED:
            odd = decoded.unknown or decoded.list_size > LARGEST_LIST or decoded.view is not None
            if not odd:
                problems_in_place(decoded, side, trailers=side == SERVER and decoded.status is None)
                odd = bool(decoded.problems) or b"content-length" in decoded.names
            decoded.grade = ODD if odd else self._events.grade(decoded, side)
        return decoded.grade

    def weigh(self, name: bytes) -> Callable[[bytes], bytes] | None:
        """Say what of a field's value `grade` depends on (`StreamEvents.weigh`)."""
        return bytes if name in _WEIGHTY else self._events.weigh(name)

    def _stream_for_headers(self, frame: ControlFrame) -> Stream | None:
        """Open the stream that a HEADERS frame names, or note why it may not be opened."""
        side, stream_id = frame.side, frame.stream
        facts = self.facts
        half = facts.halves[side]
        old = self._recall(stream_id)
        if old is not None:
            if in_flight(old, side):
                self._count_highest(frame)
                return self._unless_late(old, frame)
            facts.violate("closed-stream", side, stream_id, frame.excerpt(), frame="HEADERS")
            return None
        certain = facts.windows_known and not half.gaps
        if side == SERVER:
            if certain and stream_id <= facts.highest_of(stream_id):
                return None  # closed long ago and forgotten
            return self._open_early(side, stream_id, "HEADERS", frame.excerpt())
        if stream_id % 2 == 0:
            facts.violate("even-stream", side, stream_id, frame.excerpt())
        elif stream_id < half.highest_stream and certain:
            facts.violate("regressing-stream", side, stream_id, frame.excerpt(), highest=half.highest_stream)
        self.early.opened(stream_id)
        return self._open(CLIENT, stream_id, frame.mark())

    # ---- ordinary exchanges ------------------------------------------------------------------------------------

    def begin(self, frame: ControlFrame, decoded: HeaderBlock) -> None:
        """Open an ordinary exchange with its request headers."""
        exchange = Exchange(frame.stream)
        exchange.frames.append((frame, decoded))
        self.exchanges[frame.stream] = exchange
        self.early.opened(frame.stream)
        self._count_opened(CLIENT, frame.stream, frame)
        self._events.begun(exchange, frame.marks, frame.offset)

    def complete(self, exchange: Exchange) -> None:
        """An exchange has come to its ordinary end."""
        exchange.stage = 3
        del self.exchanges[exchange.id]
        self.closed.keep(exchange.id, exchange)

    def recognise(self, kept: Kept) -> None:
        """Whole ordinary exchanges were recognised at once: they are ordinary to their end."""
        self._events.completed_all(kept)

    def unfold(self, exchange: Exchange) -> Stream:
        """Turn an exchange into a stream: tell its frames again, to the ordinary path."""
        facts = self.facts
        self.exchanges.pop(exchange.id, None)
        request = exchange.frames[0][0]
        stream = Stream(exchange.id, request.mark(), self.limits.new_windows())
        stream.exchange = exchange
        facts.streams[exchange.id] = stream
        for frame, block in exchange.frames:
            if block is not None:
                self.headers(frame, block)
            elif frame.kind == WINDOW_UPDATE:
                self.limits.on_window_update(frame)
            else:
                self.tell_data(stream, frame)
        return stream

    def unfold_all(self) -> None:
        """Nothing is ordinary any more."""
        for exchange in list(self.exchanges.values()):
            self.unfold(exchange)

    def tell_data(self, stream: Stream, frame: ControlFrame) -> None:
        """Take a whole DATA frame that the connection's window has been charged for."""
        side, payload = frame.side, frame.payload
        stream.windows[side] -= len(payload)
        stream.data_bytes[side] += len(payload)
        stream.data_frames[side] += 1
        stream.last[side] = (frame.marks, frame.offset + 8 + len(payload))
        body = stream.bodies[side]
        if body is not None and payload:
            body.feed(payload, 0, len(payload), frame.marks, frame.offset + 9)
        if frame.flags & END_STREAM:
            self.end_stream(stream, side, DATA, frame.excerpt())

    def remembers(self, stream_id: int) -> bool:
        """Tell whether a stream closed lately: its request may be captured behind its response."""
        return stream_id in self._recent

    def _recall(self, stream_id: int) -> Stream | None:
        """Return a stream that closed lately."""
        old = self._recent.get(stream_id)
        if old is None or isinstance(old, Stream):
            return old
        if isinstance(old, Exchange):
            return self.unfold(old)
        self._events.recalled()
        exchange = old.exchange(stream_id)
        old.release(stream_id)
        return self.unfold(exchange)

    # ---- streams -----------------------------------------------------------------------------------------------

    def _open(self, opener: int, stream_id: int, mark: Mark) -> Stream:
        stream = Stream(stream_id, mark, self.limits.new_windows())
        self.facts.streams[stream_id] = stream
        self._count_opened(opener, stream_id, mark)
        return stream

    def _count_opened(self, opener: int, stream_id: int, where: Mark | ControlFrame) -> None:
        facts = self.facts
        half = facts.halves[opener]
        if stream_id > half.highest_stream:
            half.highest_stream = stream_id
        facts.opened += 1
        count = len(facts.streams) + len(self.exchanges)
        if count > facts.max_open:
            facts.max_open = count
        limit = facts.halves[1 - opener].settings.get(MAX_CONCURRENT_STREAMS)
        if limit is not None and count >= limit and len(facts.limit_waits) < _KEPT_WAITS:
            facts.limit_waits.append((where if isinstance(where, Mark) else where.mark(), limit))

    def upgrade(self, mark: Mark) -> None:
        """The connection began as HTTP/1.1: its request is stream 1, half-closed by the client (RFC 7540 §3.2)."""
        self.facts.upgraded = True
        self._open(CLIENT, 1, mark).ended[CLIENT] = True

    def _open_early(self, side: int, stream_id: int, name: str, excerpt: Excerpt) -> Stream:
        """Open a stream whose opening HEADERS has not been seen.

        It may still come, where the capture shows the two directions out of order, or never, where the capture began
        later. Only what `EarlyFrames.finish` still finds was sent on an idle stream (RFC 9113 §5.1).
        """
        self.early.note(side, stream_id, name, excerpt)
        highest = [half.highest_stream for half in self.facts.halves]
        stream = self._open(CLIENT if stream_id % 2 else SERVER, stream_id, excerpt.mark)
        stream.seen_start = False
        if self.facts.windows_known:
            for half, number in zip(self.facts.halves, highest, strict=True):
                half.highest_stream = number
        return stream

    def _opened_late(self, stream: Stream, mark: Mark) -> None:
        """The opening HEADERS of an early stream has come: the directions were out of order, nothing else."""
        stream.seen_start = True
        stream.opened = mark
        half = self.facts.halves[CLIENT]
        half.highest_stream = max(half.highest_stream, stream.id)

    def stream_for_data(self, frame: ControlFrame) -> Stream | None:
        """Return the stream that a DATA frame belongs to where the table has none, or note why there is none."""
        side, stream_id = frame.side, frame.stream
        facts = self.facts
        if stream_id == 0:
            self.facts.wrong_stream_id(frame)
            return None
        old = self._recall(stream_id)
        if old is not None:
            if in_flight(old, side):
                return self._unless_late(old, frame)
            self.facts.violate("closed-stream", side, stream_id, frame.excerpt(), frame="DATA")
            return None
        if stream_id <= facts.highest_of(stream_id) and facts.windows_known:
            return None  # closed long ago and forgotten
        return self._open_early(side, stream_id, "DATA", frame.excerpt())

    def _unless_late(self, stream: Stream, frame: ControlFrame) -> Stream | None:
        """Return a stream that closed lately, unless the frame is none of it any more."""
        if not came_too_late(stream, frame):
            return stream
        if frame.flags & END_STREAM and stream.late is None:
            stream.late = frame.excerpt()
        return None

    def end_stream(self, stream: Stream, side: int, kind: int, excerpt: Excerpt | None) -> None:
        """Take END_STREAM of `side`, carried by a frame of type `kind`."""
        stream.ended[side] = True
        stream.ended_by[side] = kind
        stream.ending[side] = excerpt
        check_content_length(self.facts, stream, side, excerpt)
        self._events.ended(stream, side)
        if stream.ended[1 - side] and not stream.resets:
            self._close(stream)

    def _check_unended(self, stream: Stream) -> None:
        for side in (CLIENT, SERVER):
            if not stream.ended[side]:
                check_content_length(self.facts, stream, side, None)

    def _close(self, stream: Stream) -> None:
        stream.last = [held and (held[0].near(held[1]), held[1]) for held in stream.last]
        stream.before_headers = [held and (held[0].near(held[1]), held[1]) for held in stream.before_headers]
        self.facts.streams.pop(stream.id, None)
        self.closed.keep(stream.id, stream)

    def _on_reset(self, frame: ControlFrame) -> None:
        side = frame.side
        half = self.facts.halves[side]
        half.frames.resets += 1
        if len(frame.payload) != 4:
            self.facts.wrong_size(frame, "4")
            return
        if frame.stream == 0:
            self.facts.wrong_stream_id(frame)
            return
        reset = Reset(side, int.from_bytes(frame.payload, "big"), frame.excerpt())
        stream = self.facts.streams.get(frame.stream)
        if stream is None:
            old = self._recall(frame.stream)
            if old is not None:
                if len(old.resets) < _KEPT_RESETS:
                    old.resets.append(reset)
            elif frame.stream > max(h.highest_stream for h in self.facts.halves):
                self.early.note(side, frame.stream, "RST_STREAM", reset.excerpt)
            return
        stream.resets.append(reset)
        if side == CLIENT and not any(f.side == SERVER for f in stream.headers):
            self.facts.client_resets += 1
            if self.facts.rapid is None:
                self.facts.rapid = reset.excerpt.mark
                self.facts.rapid_stream = stream.id
        self._check_unended(stream)
        self._close(stream)

    def _on_settings(self, frame: ControlFrame) -> None:
        if not frame.flags & ACK:
            self.unfold_all()
        self.limits.on_settings(frame)

    def _on_priority(self, frame: ControlFrame) -> None:
        if len(frame.payload) != 5:
            self.facts.wrong_size(frame, "5")
        elif frame.stream == 0:
            self.facts.wrong_stream_id(frame)

    # ---- the connection ----------------------------------------------------------------------------------------

    def _on_ping(self, frame: ControlFrame) -> None:
        connection.on_ping(self.facts, frame)

    def _on_goaway(self, frame: ControlFrame) -> None:
        connection.on_goaway(self.facts, frame, open_streams=len(self.facts.streams) + len(self.exchanges))
        if frame.side == SERVER and len(frame.payload) >= 8:
            self._note_disowned(frame, int.from_bytes(frame.payload[:4], "big") & 0x7FFFFFFF)

    def _note_disowned(self, frame: ControlFrame, last: int) -> None:
        """RFC 9113 §6.8: `last` is the highest stream that may have been processed, so none above it has an answer."""
        answered = [exchange.id for exchange in self.exchanges.values() if exchange.stage == 2]
        answered += [
            stream.id
            for stream in self.facts.streams.values()
            if not stream.ended[SERVER] and any(block.side == SERVER for block in stream.headers)
        ]
        code = int.from_bytes(frame.payload[4:8], "big")
        for stream_id in sorted(one for one in answered if one % 2 and one > last):
            self.facts.violate("goaway-disowns", SERVER, stream_id, frame.excerpt(), last_stream=last, error_code=code)

    def note_open(self) -> None:
        """Note, the first time, which streams an end of TCP or of the capture meets open: a reset may follow it."""
        if self._open_noted:
            return
        self._open_noted = True
        found = self.unanswered()
        self.facts.open_at_end_count = len(found)
        self.facts.open_at_end = found[:_KEPT_OPEN]

    def unanswered(self) -> list[tuple[int, Mark]]:
        """Return the streams that the server has not ended, and where each was opened."""
        found = [(stream.id, stream.opened) for stream in self.facts.streams.values() if not stream.ended[SERVER]]
        found += [(exchange.id, exchange.frames[0][0].mark()) for exchange in self.exchanges.values()]
        return sorted(found)

    def give_up(self, before: int) -> None:
        """Let go of streams without a frame since `before` (ns), where their ends may have fallen into a hole.

        A connection may live for days; without this it would hold on to them all.
        """
        if self.facts.windows_known:
            return
        for stream in list(self.facts.streams.values()):
            marks = (stream.last_mark(CLIENT), stream.last_mark(SERVER))
            if max(mark.time for mark in (stream.opened, *marks) if mark is not None) < before:
                del self.facts.streams[stream.id]
                self._events.closed(stream)

    def finish(self) -> None:
        """The connection is over: hand every stream on as it is."""
        facts = self.facts
        self.early.finish()
        self.unfold_all()
        self.note_open()
        self.closed.finish()
        for _, stream in sorted(facts.streams.items()):
            self._check_unended(stream)
            self._events.closed(stream)
