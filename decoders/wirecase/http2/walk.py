"""Frame boundaries: bytes of both directions in, whole frames and stretches of DATA out.

Theory. Each direction is one chain of frames (RFC 9113 §4.1). DATA is passed on as it comes, without waiting for the
frame's end and without being copied; every other frame is put together first. The loop in `_walk` is where a large
capture spends its time, so DATA and WINDOW_UPDATE, which are nearly all of it, are handled in the loop itself.

A hole in the bytes is survived in one of two ways: inside of a DATA frame it is stepped over, since the frame's length
says where the next one begins; elsewhere the boundaries are lost and searched for again (`sync`).

Bookkeeping: every byte taken in is decoded (a byte of a frame) or skipped with a reason.
"""

from __future__ import annotations

from struct import Struct

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
    Stream,
    frame_name,
    header_bytes,
)
from wirecase.http2.ordinary import LARGEST_DATA, LARGEST_INCREMENT, MOST_FRAMES, REQUEST, RESPONSE, TRAILERS
from wirecase.http2.recorder import FrameRecorder
from wirecase.http2.streams import StreamEvents, StreamTable
from wirecase.http2.sync import FRAME_HEADER, find_frames
from wirecase.model import CLIENT, Excerpt, Mark, Marks, Stretch

_BUFFERED = 1 << 20
"""The longest frame other than DATA that is put together."""
_INCREMENT = Struct(">I")
_STRETCH = 48
"""Segments from which on a stretch may be taken at once."""
_HEADERS_FLAGS = END_HEADERS | PADDED | PRIORITY_FLAG
LOST = "HTTP/2 frame boundaries lost"
UNFINISHED = "frame cut by the end"
OVERSIZED = "oversized frame"


class _Direction:
    """Where one direction's walk stands."""

    __slots__ = (
        "data_flags", "data_left", "data_start", "data_stream", "need", "partial", "segments", "skip_left", "source",
    )  # fmt: skip

    def __init__(self) -> None:
        self.partial = bytearray()
        """The beginning of a frame that is not whole yet."""
        self.segments: tuple[list[int], list[int], list[int]] = ([], [], [])
        """Offsets, packets and times of the segments in `partial`, as in `Marks`."""
        self.source = 0
        self.need = 9
        """Bytes that `partial` must hold before the walk can go on."""
        self.data_left = 0
        """Payload bytes still to come of an unpadded DATA frame."""
        self.data_stream: Stream | None = None
        self.data_flags = 0
        self.data_start: tuple[Marks, int, int] | None = None
        """(marks, offset, declared length) of that DATA frame."""
        self.skip_left = 0
        """Bytes still to come of a frame that is too long to be put together."""


class _Patience:
    """Says when the fast path is worth a try: after it found no calls in a stretch, not for a while."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = 0

    def ready(self) -> bool:
        """Tell whether to try, and count the times that it was not."""
        self._rest -= 1
        return self._rest < 0

    def note(self, segments: int, calls: int) -> None:
        """Learn from a try."""
        self._rest = 0 if calls * 16 >= segments else 16


class FrameWalk:
    """The walk over one connection. Feed it runs of bytes in capture order."""

    def __init__(
        self,
        facts: Http2Facts,
        events: StreamEvents,
        recorder: FrameRecorder | None = None,
        *,
        columns: bool | None = None,
    ) -> None:
        self.facts = facts
        self.columns = columns
        """Whether stretches are taken by columns: always, never, or (None) as their size and contents suggest."""
        self._recorder = recorder
        self.table = StreamTable(facts, events, recorder)
        self.is_ordinary_body = events.is_ordinary_body
        self._patience = _Patience()
        self._directions = (_Direction(), _Direction())

    def preface(self, mark: Mark) -> None:
        """The client's connection preface (24 bytes, RFC 9113 §3.4) stood at `mark`."""
        half = self.facts.halves[0]
        half.preface = mark
        half.bytes += 24
        half.decoded += 24

    def join_late(self, side: int) -> None:
        """The bytes of `side` begin in mid-connection: boundaries, HPACK table and windows are unknown."""
        self.facts.halves[side].synced = False
        self.table.join_late(side)

    @property
    def between_frames(self) -> bool:
        """Both directions stand between two frames, and nothing is odd: the next segments may be taken at once."""
        return (
            self.table.limits.roomy
            and not self.table.blocks.open
            and all(half.synced and half.first_frame is not None for half in self.facts.halves)
            and not any(state.partial or state.data_left or state.skip_left for state in self._directions)
        )

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
        if self._recorder is not None or self.columns is False:
            return False
        if self.columns is None and (len(stretch) < _STRETCH or not self._patience.ready()):
            return False
        return self.between_frames

    def tell(self, frame: ControlFrame, decoded: HeaderBlock | None) -> None:
        """Take one whole frame, found elsewhere, that has been counted and charged to the connection's window."""
        if decoded is not None:
            self._block(frame, decoded)
        elif frame.kind == WINDOW_UPDATE:
            exchange = self.table.exchanges.get(frame.stream)
            increment = int.from_bytes(frame.payload, "big") & MAX_WINDOW
            if exchange is not None and (
                not 0 < increment <= LARGEST_INCREMENT or len(exchange.frames) >= MOST_FRAMES
            ):
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
                and len(exchange.frames) < MOST_FRAMES
                and self.is_ordinary_body(payload, 0, len(payload))
            ):
                exchange.frames.append((frame, None))
                if frame.flags:
                    exchange.stage = 1
                return
            table.unfold(exchange)
        stream = self.facts.streams.get(frame.stream)
        if stream is None or stream.ended[side]:
            stream = self._odd_data(side, frame.flags, frame.stream, payload[:64], len(payload), frame.marks, frame.offset)
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
            self._skip(side, OVERSIZED, pos)
        if pos < len(data):
            self._walk(side, data, pos, marks, base)

    def _continue_data(self, side: int, data: bytes, marks: Marks, base: int) -> int:
        state = self._directions[side]
        count = min(state.data_left, len(data))
        state.data_left -= count
        if self._recorder is not None:
            self._recorder.more(side, data[:count], marks)
        stream = state.data_stream
        if stream is not None:
            body = stream.bodies[side]
            if body is not None:
                body.feed(data, 0, count, marks, base)
            stream.last[side] = (marks, base + count - 1)
            if not state.data_left:
                self._data_ended(side)
        return count

    def _data_ended(self, side: int) -> None:
        """A DATA frame that arrived in parts is whole."""
        state = self._directions[side]
        stream, start = state.data_stream, state.data_start
        state.data_stream = None
        if stream is not None and start is not None and state.data_flags & END_STREAM and not stream.ended[side]:
            marks, offset, length = start
            excerpt = Excerpt(
                side, marks.at(offset), header_bytes(length, DATA, state.data_flags, stream.id), 9 + length
            )
            self.table.end_stream(stream, side, DATA, excerpt)

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
        start = pos
        end = len(data)
        while end - pos >= 9:
            high, low, kind, flags, stream_id = unpack(data, pos)
            length = high << 8 | low
            body_at = pos + 9
            stop = body_at + length
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
                        and len(exchange.frames) < MOST_FRAMES
                        and not table.blocks.open
                        and is_ordinary_body(data, body_at, stop)
                    ):
                        by_type[0] += 1
                        half.window = window
                        payload = data[body_at:stop]
                        exchange.frames.append((ControlFrame(side, DATA, flags, stream_id, payload, marks, base + pos), None))
                        if flags:
                            exchange.stage = 1
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
                if stream is not None:
                    windows = stream.windows
                    windows[side] = left = windows[side] - length
                    stream.data_bytes[side] += length
                    stream.data_frames[side] += 1
                    stream.last[side] = (marks, base + min(stop, end) - 1)
                    if left <= 0 or window <= 0:
                        self._starved(side, stream, length, data, pos, marks, base + pos)
                    if not length and not flags:
                        half.frames.empty_data += 1
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
                frame = ControlFrame(side, kind, flags, stream_id & 0x7FFFFFFF, data[body_at:stop], marks, base + pos)
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
                side, high << 8 | low, kind, flags, stream_id, marks, base + pos
            ):
                half.decoded += pos - start
                self._skip(side, LOST, end - pos)
                return
            if kind == DATA and not flags & PADDED:
                continue  # too long, but believed: the limit is raised, and it is taken like any other
            if stop > end:
                if length > _BUFFERED:
                    self._give_up_frame(side, kind)
                    half.decoded += pos - start
                    self._skip(side, OVERSIZED, end - pos)
                    self._directions[side].skip_left = stop - end
                    return
                break
            if kind < len(FRAME_NAMES):
                by_type[kind] += 1
            frame = ControlFrame(side, kind, flags, stream_id & 0x7FFFFFFF, data[body_at:stop], marks, base + pos)
            if half.first_frame is None:
                half.first_frame = (kind, frame.excerpt())
            if recorder is not None:
                recorder.frame(frame)
            if kind == DATA:
                self._padded_data(frame)
            else:
                table.control(frame)
            pos = stop
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
            if grade == TRAILERS and stage == 2 and frame.flags == END_HEADERS | END_STREAM:
                exchange.frames.append((frame, decoded))
                table.complete(exchange)
                return
            table.unfold(exchange)
        table.headers(frame, decoded)

    def _hold(self, side: int, data: bytes, pos: int, marks: Marks, base: int) -> None:
        """Keep the beginning of a frame whose end is still to come."""
        state = self._directions[side]
        state.partial = bytearray(data[pos:])
        first = marks.at(base + pos)
        later = [
            i for i, offset in enumerate(marks.offsets[-8:], max(len(marks.offsets) - 8, 0)) if offset > base + pos
        ]
        if len(later) == 8:
            later = [i for i, offset in enumerate(marks.offsets) if offset > base + pos]
        state.source = marks.source
        state.segments = (
            [base + pos, *(marks.offsets[i] for i in later)],
            [first.packet, *(marks.packets[i] for i in later)],
            [first.time, *(marks.times[i] for i in later)],
        )
        state.need = 9
        if len(data) - pos >= 9:
            state.need = 9 + int.from_bytes(data[pos : pos + 3], "big")

    # ---- the unusual -------------------------------------------------------------------------------------------

    def _odd_data(
        self, side: int, flags: int, stream_id: int, head: bytes, length: int, marks: Marks, offset: int
    ) -> Stream | None:
        """DATA on a stream that is not open for it, or inside of a header block."""
        frame = ControlFrame(side, DATA, flags, stream_id & 0x7FFFFFFF, head[:length], marks, offset, length)
        self.table.blocks.interrupt(frame)
        half = self.facts.halves[side]
        if half.first_frame is None:
            half.first_frame = (DATA, frame.excerpt())
        stream = self.facts.streams.get(frame.stream)
        if stream is None:
            return self.table.stream_for_data(frame)
        if stream.ended[side]:
            self.facts.violate("closed-stream", side, stream.id, frame.excerpt(), frame="DATA")
            return None
        return stream

    def _starved(
        self, side: int, stream: Stream, length: int, data: bytes, pos: int, marks: Marks, offset: int
    ) -> None:
        """A window of the sender is used up (RFC 9113 §6.9): note since when, or by how much it was overrun."""
        half = self.facts.halves[side]
        for scope, window in (("stream", stream.windows[side]), ("connection", half.window)):
            if window > 0:
                continue
            if scope == "stream":
                stream.starved[side] = stream.starved[side] or marks.at(offset)
            else:
                half.starved = half.starved or marks.at(offset)
            if window < 0 and self.facts.windows_known and length:
                excerpt = Excerpt(side, marks.at(offset), data[pos : pos + min(9 + length, KEPT_BYTES)], 9 + length)
                self.facts.violate(
                    "window-exceeded", side, stream.id if scope == "stream" else 0, excerpt,
                    scope=scope, overrun=-window, window=window + length, length=length,
                )  # fmt: skip

    def _padded_data(self, frame: ControlFrame) -> None:
        side = frame.side
        half = self.facts.halves[side]
        payload = frame.payload
        half.window -= len(payload)
        if frame.stream in self.table.exchanges:
            self.table.unfold(self.table.exchanges[frame.stream])
        stream = self.facts.streams.get(frame.stream)
        exchange = self.table.exchanges.get(frame.stream)
        if stream is None and exchange is not None:
            stream = self.table.unfold(exchange)
        if stream is None or stream.ended[side] or self.table.blocks.open:
            stream = self._odd_data(
                side, frame.flags, frame.stream, payload[:64], len(payload), frame.marks, frame.offset
            )
            if stream is None:
                return
        pad = payload[0] if payload else 0
        if not payload or pad + 1 > len(payload):
            self.facts.violate("padding", side, stream.id, frame.excerpt(), pad=pad, length=len(payload))
            return
        stream.windows[side] -= len(payload)
        stream.padded[side] += 1
        stream.data_frames[side] += 1
        stream.data_bytes[side] += len(payload) - 1 - pad
        stream.last[side] = (frame.marks, frame.offset + 8 + len(payload))
        if stream.windows[side] <= 0 or half.window <= 0:
            self._starved(side, stream, len(payload), frame.excerpt().data, 0, frame.marks, frame.offset)
        body = stream.bodies[side]
        if body is not None and len(payload) > 1 + pad:
            body.feed(payload, 1, len(payload) - pad, frame.marks, frame.offset + 10)
        if frame.flags & END_STREAM:
            self.table.end_stream(stream, side, DATA, frame.excerpt())

    def _oversized(
        self, side: int, length: int, kind: int, flags: int, stream_id: int, marks: Marks, offset: int
    ) -> bool:
        """A frame over the receiver's limit. Return False if these bytes are no frame at all: boundaries are lost."""
        excerpt = Excerpt(side, marks.at(offset), header_bytes(length, kind, flags, stream_id), 9 + length)
        peer = self.facts.halves[1 - side]
        self.facts.violate(
            "frame-size", side, stream_id & 0x7FFFFFFF, excerpt, declared=length, limit=self.table.limits.frame_limit[side],
            frame=frame_name(kind), settings_seen=bool(peer.settings_frames),
        )  # fmt: skip
        if kind < len(FRAME_NAMES) and not stream_id >> 31:
            # Believed, limit or not: from here on the sender is taken at its word.
            self.table.limits.frame_limit[side] = max(self.table.limits.frame_limit[side], length)
            return True
        half = self.facts.halves[side]
        half.synced = False
        half.lost_at = half.lost_at or excerpt.mark
        self.table.join_late(side)
        self._lose_bodies(side)
        return False

    def _give_up_frame(self, side: int, kind: int) -> None:
        if kind != DATA:
            self.table.join_late(side)

    # ---- holes -------------------------------------------------------------------------------------------------

    def gap(self, side: int, length: int, mark: Mark) -> None:
        """`length` bytes of `side` are missing before `mark`."""
        if self._recorder is not None:
            self._recorder.gap(side, length, mark)
        state = self._directions[side]
        half = self.facts.halves[side]
        half.gaps += 1
        if state.data_left >= length and half.synced:
            state.data_left -= length
            stream = state.data_stream
            body = stream.bodies[side] if stream is not None else None
            if body is not None:
                body.gap(length)
            if not state.data_left:
                self._data_ended(side)
            return
        if state.skip_left >= length and half.synced:
            state.skip_left -= length
            return
        self._skip(side, LOST, len(state.partial))
        state.partial = bytearray()
        state.data_left = state.skip_left = 0
        state.data_stream = None
        half.synced = False
        self.table.join_late(side)
        self._lose_bodies(side)

    def _lose_bodies(self, side: int) -> None:
        for stream in self.facts.streams.values():
            body = stream.bodies[side]
            if body is not None:
                body.gap(None)

    def _resync(self, side: int, data: bytes, marks: Marks) -> int | None:
        base = marks.offsets[0]
        ends = frozenset(offset - base for offset in marks.offsets[1:])
        found = find_frames(data, ends, self.facts.streams)
        self._skip(side, LOST, len(data) if found is None else found)
        if found is not None:
            self.facts.halves[side].synced = True
        return found

    def _skip(self, side: int, reason: str, count: int) -> None:
        if count:
            skipped = self.facts.halves[side].skipped
            skipped[reason] = skipped.get(reason, 0) + count

    def finish(self) -> None:
        """The connection is over: book what is left and hand open streams on."""
        for side, state in enumerate(self._directions):
            half = self.facts.halves[side]
            if state.partial:
                part = bytes(state.partial[:KEPT_BYTES])
                begin = Marks(state.source, *state.segments)
                half.unfinished = Excerpt(side, begin.at(begin.offsets[0]), part, state.need)
                if len(part) >= 9:
                    high, low, kind, _flags, stream_id = FRAME_HEADER.unpack_from(part)
                    half.unfinished_frame = (high << 8 | low, kind, stream_id & 0x7FFFFFFF, len(state.partial) - 9)
                self._skip(side, UNFINISHED, len(state.partial))
                state.partial = bytearray()
            elif state.data_left and state.data_start is not None:
                marks, offset, length = state.data_start
                stream_id = state.data_stream.id if state.data_stream else 0
                half.unfinished = Excerpt(
                    side, marks.at(offset), header_bytes(length, DATA, state.data_flags, stream_id), 9 + length
                )
                half.unfinished_frame = (length, DATA, stream_id, length - state.data_left)
        self.table.finish()
