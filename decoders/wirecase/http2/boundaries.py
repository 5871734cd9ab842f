"""Where a walk over frames stands, what it seldom meets, and how it survives holes.

A hole in the bytes is survived in one of two ways: inside of a DATA frame it is stepped over, since the frame's length
says where the next one begins; elsewhere the boundaries are lost and searched for again (`sync`).

Bookkeeping: every byte taken in is decoded (a byte of a frame) or skipped with a reason.
"""

from __future__ import annotations

from wirecase.http2.events import StreamEvents
from wirecase.http2.facts import (
    DATA,
    END_STREAM,
    FRAME_NAMES,
    KEPT_BYTES,
    ControlFrame,
    Http2Facts,
    Stream,
    frame_name,
    header_bytes,
)
from wirecase.http2.recorder import FrameRecorder
from wirecase.http2.streams import StreamTable
from wirecase.http2.sync import (
    FRAME_HEADER,
    find_frames,
)
from wirecase.model import (
    Excerpt,
    Mark,
    Marks,
)

LOST = "HTTP/2 frame boundaries lost"
UNFINISHED = "frame cut by the end"
OVERSIZED = "oversized frame"


class Direction:
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


class Boundaries:
    """The state of the walk over one connection, for both directions."""

    def __init__(
        self,
        facts: Http2Facts,
        events: StreamEvents,
        recorder: FrameRecorder | None = None,
    ) -> None:
        self.facts = facts
        self._recorder = recorder
        self.table = StreamTable(facts, events, recorder)
        self.is_ordinary_body = events.is_ordinary_body
        self._directions = (Direction(), Direction())

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
        self, side: int, length: int, kind: int, stream_id: int, head: bytes, marks: Marks, offset: int
    ) -> bool:
        """A frame over the receiver's limit; `head` is its header, and what follows it.

        Return False if these bytes are no frame at all: boundaries are lost.
        """
        believed = kind < len(FRAME_NAMES) and not stream_id >> 31
        excerpt = Excerpt(side, marks.at(offset), head[:9], 9 + length)
        self._violate_size(kind, stream_id if believed else 0, length, excerpt)
        if believed:
            # Limit or not: from here on the sender is taken at its word.
            self.table.limits.frame_limit[side] = max(self.table.limits.frame_limit[side], length)
            return True
        half = self.facts.halves[side]
        half.synced = False
        self._note_stray(excerpt, head)
        self.table.join_late(side)
        self._lose_bodies(side)
        return False

    def _violate_size(self, kind: int, stream_id: int, length: int, excerpt: Excerpt) -> None:
        side = excerpt.side
        peer = self.facts.halves[1 - side]
        self.facts.violate(
            "frame-size", side, stream_id, excerpt, declared=length,
            limit=self.table.limits.frame_limit[side], frame=frame_name(kind), settings_seen=bool(peer.settings_frames),
        )  # fmt: skip

    def _note_stray(self, excerpt: Excerpt, head: bytes) -> None:
        """Keep bytes that are no frame, and what follows them, unless a hole or a late join may explain them."""
        half = self.facts.halves[excerpt.side]
        if not half.gaps and not half.joined_late and half.stray is None:
            half.stray = excerpt._replace(data=head, length=len(head))
            self.facts.open_at_stray = self.facts.open_at_stray or self.table.unanswered()

    def _more_stray(self, side: int, data: bytes, marks: Marks) -> None:
        """Keep what came later of them, so that it does not matter how the bytes were cut into segments."""
        half = self.facts.halves[side]
        found = half.stray
        if found is not None and len(found.data) < KEPT_BYTES and marks.offsets[0] == found.mark.offset + found.length:
            shown = found.data + data[: KEPT_BYTES - len(found.data)]
            half.stray = found._replace(data=shown, length=len(shown))

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

    def _give_up_frame(self, side: int, length: int, kind: int, head: bytes, mark: Mark) -> None:
        """A frame too long to be put together, though the receiver's limit allows it; `head` is how it begins."""
        if kind >= len(FRAME_NAMES):  # it waits for the rest of what is hardly a frame
            excerpt = Excerpt(side, mark, head[:9], 9 + length)
            self._violate_size(kind, 0, length, excerpt)
            self._note_stray(excerpt, head)
        if kind != DATA:
            self.table.join_late(side)

    def _lose_bodies(self, side: int) -> None:
        for stream in self.facts.streams.values():
            body = stream.bodies[side]
            if body is not None:
                body.gap(None)

    def _resync(self, side: int, data: bytes, marks: Marks) -> int | None:
        half = self.facts.halves[side]
        if half.stray is not None and not half.gaps:  # no receiver finds back behind bytes that are no frame
            self._more_stray(side, data, marks)
            self._skip(side, LOST, len(data))
            return None
        base = marks.offsets[0]
        ends = frozenset(offset - base for offset in marks.offsets[1:])
        found = find_frames(data, ends, self.facts.streams)
        self._skip(side, LOST, len(data) if found is None else found)
        if found is not None:
            half.synced = True
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
