"""Frame boundaries: bytes of both directions in, whole frames and stretches of DATA out.

Theory. Each direction is one chain of frames (RFC 9113 §4.1). DATA is passed on as it comes, without waiting for the
frame's end and without being copied; every other frame is put together first. The loop in `_walk` is where a large
capture spends its time, so DATA and WINDOW_UPDATE, which are nearly all of it, are handled in the loop itself.
"""

from __future__ import annotations

from struct import Struct

from wirecase.http2.boundaries import (
    LOST,
    OVERSIZED,
    Boundaries,
)
from wirecase.http2.events import StreamEvents
from wirecase.http2.facts import (
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_NAMES,
    HEADERS,
    KEPT_BYTES,
    MAX_WINDOW,
    PADDED,
    PRIORITY_FLAG,
    WINDOW_UPDATE,
    ControlFrame,
    HeaderBlock,
    Http2Facts,
)
from wirecase.http2.ordinary import (
    LARGEST_DATA,
    LARGEST_INCREMENT,
    MOST_FRAMES,
    REQUEST,
    RESPONSE,
    TRAILERS,
)
from wirecase.http2.recorder import FrameRecorder
from wirecase.http2.spans import book
from wirecase.http2.sync import FRAME_HEADER
from wirecase.model import (
    CLIENT,
    Excerpt,
    Marks,
    Stretch,
)

_BUFFERED = 1 << 20
"""The longest frame other than DATA that is put together."""
_INCREMENT = Struct(">I")
_STRETCH = 48
"""Segments from which on a stretch may be taken at once."""
_SHORTEST_PAUSE, _LONGEST_PAUSE = 8, 64
"""Stretches for which the fast path is not tried again where it was no use."""
_HEADERS_FLAGS = END_HEADERS | PADDED | PRIORITY_FLAG


class _Patience:
    """Says when the fast path is worth a try: after it found no calls, not for a while, and for ever longer."""

    __slots__ = ("_pause", "_rest")

    def __init__(self) -> None:
        self._rest = 0
        self._pause = _SHORTEST_PAUSE

    def ready(self) -> bool:
        """Tell whether to try, and count the times that it was not."""
        self._rest -= 1
        return self._rest < 0

    def note(self, segments: int, calls: int) -> None:
        """Learn from a try."""
        if calls * 16 >= segments:
            self._rest, self._pause = 0, _SHORTEST_PAUSE
        else:
            self._rest, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)


class FrameWalk(Boundaries):
    """The walk over one connection. Feed it runs of bytes in capture order."""

    def __init__(
        self,
        facts: Http2Facts,
        events: StreamEvents,
        recorder: FrameRecorder | None = None,
        *,
        columns: bool | None = None,
    ) -> None:
        super().__init__(facts, events, recorder)
        self.columns = columns
        """Whether stretches are taken by columns: always, never, or (None) as their size and contents suggest."""
        self._patience = _Patience()

    def stretch(self, stretch: Stretch, *, flipped: bool) -> None:
        """Take many segments at once; ``flipped`` says that side 1 of the stretch is the client."""
        if self._worth_columns(stretch):
            from wirecase.http2 import bulk

            opened = self.facts.opened
            bulk.take(self, stretch, flipped=flipped)
            self._patience.note(len(stretch), self.facts.opened - opened)
            return
        for side, data, marks in stretch.runs():
            self.feed(side ^ flipped, data, marks)

    def _worth_columns(self, stretch: Stretch) -> bool:
        if self._recorder is not None or self.columns is not None:
            return self._recorder is None and bool(self.columns)
        return len(stretch) >= _STRETCH and self.table.limits.roomy and self._patience.ready()

    def tell(self, frame: ControlFrame, decoded: HeaderBlock | None) -> None:
        """Take one whole frame, found elsewhere, that has been counted and charged to the connection's window."""
        if decoded is not None:
            self._block(frame, decoded)
        elif frame.kind == WINDOW_UPDATE:
            exchange = self.table.exchanges.get(frame.stream)
            increment = int.from_bytes(frame.payload, "big") & MAX_WINDOW
            if exchange is not None and (not 0 < increment <= LARGEST_INCREMENT or len(exchange.frames) >= MOST_FRAMES):
                self.table.unfold(exchange)
            self.table.limits.on_window_update(frame)
        elif frame.kind != DATA:
            self.table.control(frame)
        else:
            self._tell_data(frame)

    def _tell_data(self, frame: ControlFrame) -> None:
        table = self.table
        side, payload = frame.side, frame.payload
        exchange = table.exchanges.get(frame.stream)
        if exchange is not None:
            if (
                exchange.stage == side + side
                and len(payload) <= LARGEST_DATA
                and frame.flags <= END_STREAM - side
                and (payload or frame.flags)
                and len(exchange.frames) < MOST_FRAMES
                and self.is_ordinary_body(payload, 0, len(payload))
            ):
                exchange.frames.append((frame, None))
                if frame.flags:
                    exchange.stage = 1
                elif side:
                    exchange.answered = True
                return
            table.unfold(exchange)
        stream = self.facts.streams.get(frame.stream)
        if stream is None or stream.ended[side]:
            stream = self._odd_data(
                side, frame.flags, frame.stream, payload[:64], len(payload), frame.marks, frame.offset
            )
        if not payload and not frame.flags:
            self.facts.halves[side].frames.empty_data += 1
        if stream is None:
            return
        table.tell_data(stream, frame)
        if stream.windows[side] <= 0 or self.facts.halves[side].window <= 0:
            self._starved(side, stream, len(payload), frame.excerpt().data, 0, frame.marks, frame.offset)

    def feed(self, side: int, data: bytes, marks: Marks) -> None:
        """Take the next bytes of `side`; ``marks.offsets[0]`` is the stream offset of ``data[0]``."""
        state = self._directions[side]
        half = self.facts.halves[side]
        half.bytes += len(data)
        base = marks.offsets[0]
        pos = 0
        if not half.synced:
            found = self._resync(side, data, marks)
            if found is None:
                return
            pos = found
        elif state.partial:
            state.partial += data
            for held, more in zip(state.segments, (marks.offsets, marks.packets, marks.times), strict=True):
                held.extend(more)
            if len(state.partial) < state.need:
                return
            data = bytes(state.partial)
            marks = Marks(marks.source, *state.segments)
            base = marks.offsets[0]
            state.partial = bytearray()
        elif state.data_left:
            pos = self._continue_data(side, data, marks, base)
            half.decoded += pos
        elif state.skip_left:
            pos = min(state.skip_left, len(data))
            state.skip_left -= pos
            self._more_stray(side, data[:pos], marks)
            self._skip(side, OVERSIZED, pos)
        if pos < len(data):
            self._walk(side, data, pos, marks, base)

    def _walk(self, side: int, data: bytes, pos: int, marks: Marks, base: int) -> None:
        table = self.table
        facts = self.facts
        half = facts.halves[side]
        streams = facts.streams
        other = facts.halves[1 - side]
        recorder = self._recorder
        unpack = FRAME_HEADER.unpack_from
        increment_at = _INCREMENT.unpack_from
        by_type = half.frames.by_type
        limit = table.limits.frame_limit
        exchanges = table.exchanges
        is_ordinary_body = self.is_ordinary_body
        spans: dict[int, list[int]] = {}
        most = limit[side]
        start = pos
        end = len(data)
        while end - pos >= 9:
            high, low, kind, flags, stream_id = unpack(data, pos)
            length = high << 8 | low
            body_at = pos + 9
            stop = body_at + length
            if not kind and not flags and length and stop <= end and length <= most:  # plain DATA
                places = spans.get(stream_id)
                if places is not None:
                    places += (body_at, stop)
                    pos = stop
                    continue
                stream = streams.get(stream_id)
                if stream is not None and not stream.ended[side] and not table.blocks.open and recorder is None:
                    spans[stream_id] = [body_at, stop]
                    pos = stop
                    continue
            if spans:
                book(facts, side, spans, data, marks, base, self._starved)
            if kind == DATA and not flags & PADDED and length <= limit[side]:
                stream = streams.get(stream_id)
                if stream is None and stream_id in exchanges:
                    exchange = exchanges[stream_id]
                    window = half.window - length
                    if (
                        exchange.stage == side + side
                        and stop <= end
                        and length <= LARGEST_DATA
                        and window > 0
                        and flags <= END_STREAM - side  # END_STREAM on the server's DATA is not ordinary
                        and (length or flags)
                        and len(exchange.frames) < MOST_FRAMES
                        and not table.blocks.open
                        and is_ordinary_body(data, body_at, stop)
                    ):
                        by_type[0] += 1
                        half.window = window
                        payload = data[body_at:stop]
                        near = marks.near(base + pos, stop - pos)
                        exchange.frames.append(
                            (ControlFrame(side, DATA, flags, stream_id, payload, near, base + pos), None)
                        )
                        if flags:
                            exchange.stage = 1
                        elif side:
                            exchange.answered = True
                        pos = stop
                        continue
                    stream = table.unfold(exchange)
                if stream is None or stream.ended[side] or table.blocks.open:
                    stream = self._odd_data(
                        side, flags, stream_id, data[body_at : body_at + 64], length, marks, base + pos
                    )
                if recorder is not None:
                    payload = data[body_at : min(stop, end)]
                    recorder.data(ControlFrame(side, kind, flags, stream_id, payload, marks, base + pos), length)
                by_type[0] += 1
                half.window = window = half.window - length
                if not length and not flags:
                    half.frames.empty_data += 1
                if stream is not None:
                    windows = stream.windows
                    windows[side] = left = windows[side] - length
                    stream.data_bytes[side] += length
                    stream.data_frames[side] += 1
                    stream.last[side] = (marks, base + min(stop, end) - 1)
                    if left <= 0 or window <= 0:
                        self._starved(side, stream, length, data, pos, marks, base + pos)
                    sink = stream.bodies[side]
                    if stop <= end:
                        if sink is not None and length:
                            sink.feed(data, body_at, stop, marks, base + body_at)
                        if flags & END_STREAM:
                            excerpt = Excerpt(
                                side, marks.at(base + pos), data[pos : min(stop, pos + KEPT_BYTES)], 9 + length
                            )
                            table.end_stream(stream, side, DATA, excerpt)
                        pos = stop
                        continue
                    if sink is not None and body_at < end:
                        sink.feed(data, body_at, end, marks, base + body_at)
                elif stop <= end:
                    pos = stop
                    continue
                state = self._directions[side]
                state.data_left = stop - end
                state.data_stream = stream
                state.data_flags = flags
                state.data_start = (marks, base + pos, length)
                pos = end
                break
            if kind == HEADERS and flags & _HEADERS_FLAGS == END_HEADERS and stop <= end and length <= limit[side]:
                by_type[HEADERS] += 1
                near = marks.near(base + pos, stop - pos)
                frame = ControlFrame(side, kind, flags, stream_id & 0x7FFFFFFF, data[body_at:stop], near, base + pos)
                if half.first_frame is None:
                    half.first_frame = (kind, frame.excerpt())
                if recorder is not None:
                    recorder.frame(frame)
                self._headers(frame)
                pos = stop
                continue
            if kind == WINDOW_UPDATE and length == 4 and stop <= end and not table.blocks.open and recorder is None:
                by_type[WINDOW_UPDATE] += 1
                (increment,) = increment_at(data, body_at)
                if stream_id == 0 and 0 < increment <= MAX_WINDOW - other.window:
                    other.window += increment
                    if other.starved is not None and other.window > 0:
                        other.starved = None
                else:
                    increment &= MAX_WINDOW
                    if stream_id in exchanges and (
                        not 0 < increment <= LARGEST_INCREMENT or len(exchanges[stream_id].frames) >= MOST_FRAMES
                    ):
                        table.unfold(exchanges[stream_id])
                    table.limits.window_update(side, stream_id & MAX_WINDOW, increment, marks, base + pos)
                if half.first_frame is None:
                    half.first_frame = (kind, Excerpt(side, marks.at(base + pos), data[pos:stop], 13))
                pos = stop
                continue
            if length > limit[side] and not self._oversized(
                side, high << 8 | low, kind, stream_id, data[pos : pos + KEPT_BYTES], marks, base + pos
            ):
                half.decoded += pos - start
                self._skip(side, LOST, end - pos)
                return
            if kind == DATA and not flags & PADDED:
                continue  # too long, but believed: the limit is raised, and it is taken like any other
            if stop > end:
                if length > _BUFFERED:
                    head = data[pos : pos + KEPT_BYTES]
                    self._give_up_frame(side, length, kind, head, marks.at(base + pos))
                    half.decoded += pos - start
                    self._skip(side, OVERSIZED, end - pos)
                    self._directions[side].skip_left = stop - end
                    return
                break
            if kind < len(FRAME_NAMES):
                by_type[kind] += 1
            near = marks.near(base + pos, stop - pos)
            frame = ControlFrame(side, kind, flags, stream_id & 0x7FFFFFFF, data[body_at:stop], near, base + pos)
            if half.first_frame is None:
                half.first_frame = (kind, frame.excerpt())
            if recorder is not None:
                recorder.frame(frame)
            if kind == DATA:
                self._padded_data(frame)
            else:
                table.control(frame)
            pos = stop
            most = limit[side]
        if spans:
            book(facts, side, spans, data, marks, base, self._starved)
        half.decoded += pos - start
        if pos < end:
            self._hold(side, data, pos, marks, base)

    def _headers(self, frame: ControlFrame) -> None:
        """Take a HEADERS frame that is whole and has neither padding nor priority."""
        table = self.table
        if table.blocks.open or not frame.stream:
            table.control(frame)
        else:
            self._block(frame, table.blocks.decode(frame, frame.payload))

    def _block(self, frame: ControlFrame, decoded: HeaderBlock) -> None:
        """Take a HEADERS frame whose block is decoded."""
        table = self.table
        stream_id = frame.stream
        grade = decoded.grade
        if grade < 0:
            grade = table.grade(decoded, frame.side)
        exchange = table.exchanges.get(stream_id)
        if exchange is None:
            if (
                grade == REQUEST
                and self._recorder is None
                and table.limits.roomy
                and frame.flags == END_HEADERS
                and stream_id & 1
                and stream_id > self.facts.halves[CLIENT].highest_stream
                and not table.remembers(stream_id)
                and stream_id not in self.facts.streams
            ):
                table.begin(frame, decoded)
                return
        else:
            stage = exchange.stage
            if grade == RESPONSE and stage == 1 and frame.flags == END_HEADERS:
                exchange.frames.append((frame, decoded))
                exchange.stage = 2
                return
            if grade == TRAILERS and stage == 2 and exchange.answered and frame.flags == END_HEADERS | END_STREAM:
                exchange.frames.append((frame, decoded))
                table.complete(exchange)
                return
            table.unfold(exchange)
        table.headers(frame, decoded)
