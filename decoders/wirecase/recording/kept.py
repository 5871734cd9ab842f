"""What is kept of one connection so that a case can be made of it at any time, however long it lives.

As long as a connection is short, its bytes are kept as they came. Of a long one the frames are kept by stream, so that
those of calls that went well can be forgotten one call after the other. Two things of HTTP/2 depend on what was
forgotten, and both are made independent of it: header blocks are kept decoded and written without the table (RFC 7541
§6.2.2), and the credit for forgotten DATA is taken off the windows (RFC 9113 §6.9). Of a stream that is open for long,
whole messages are forgotten from its beginning on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal

from wirecase.case.headers import complete, fault_of, faulty_field, fragments, reframe
from wirecase.http2.facts import (
    CONTINUATION,
    DATA,
    END_STREAM,
    GOAWAY,
    HEADERS,
    MAX_WINDOW,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    ControlFrame,
    HeaderBlock,
    header_bytes,
)
from wirecase.http2.sync import PREFACE
from wirecase.model import CLIENT, SERVER, Mark, Marks
from wirecase.recording.entries import COST, Entry, KeptStream, Messages, literal, window_taken
from wirecase.session.session import Session

RAW = 256 << 10
"""Bytes of a connection up to which they are kept as they came; where it is no HTTP/2, of each side."""
_MOST_CONTROL = 4096
"""Frames of the connection itself that are kept."""
_MOST_LASTING = 64
"""Of those, the ones that count for ever: SETTINGS and GOAWAY."""
_MOST_PENDING = 10_000
_MOST_BLOCK = 256 << 10
"""Bytes of a header block that is written anew; a longer one is kept as it came."""
_BLOCKS = (HEADERS, CONTINUATION, PUSH_PROMISE)


class KeptConnection:
    """One connection (`wirecase.http2.recorder.FrameRecorder`)."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.streams: dict[int, KeptStream] = {}
        self.size = 0
        """Bytes of memory, roughly."""
        self.raw: list[Entry] | None = []
        self._raw_size = 0
        self._raw_sizes = [0, 0]
        self.control: deque[Entry] = deque()
        self.finished: list[KeptStream] = []
        """Streams that have closed and were not asked for yet."""
        self.closed = False
        self.given_up = False
        """It is too large to be kept: nothing is, any more."""
        self._order = 0
        self.credit = [0, 0]
        """What forgotten WINDOW_UPDATEs of the connection gave, by who sent them."""
        self.spent = [0, 0]
        """DATA of forgotten streams, by who sent it."""
        self.pending: list[list[ControlFrame]] = [[], []]
        self._pending_size = [0, 0]
        self._pending_order = [0, 0]
        """Where a header block that is not whole stands among the entries."""
        self._open_data: list[tuple[KeptStream, Entry] | None] = [None, None]
        self.forgotten_streams = 0

    # ---- told by TCP (sides as TCP numbers them) ---------------------------------------------------------------

    def bytes_came(self, side: int, data: bytes, marks: Marks) -> None:
        """Keep bytes as they came, as long as they are few."""
        raw = self.raw
        if raw is None:
            return
        base = marks.offsets[0]
        edges = [offset - base for offset in marks.offsets] + [len(data)]
        for i, time in enumerate(marks.times):
            piece = data[edges[i] : edges[i + 1]]
            if piece:
                self._add_raw(Entry(self._next(), time, side, "data", piece))

    def _add_raw(self, entry: Entry) -> None:
        raw = self.raw
        if raw is None:
            return
        if self._raw_size > RAW and self.is_framed and entry.kind in ("data", "hole"):
            self.forget_raw()
            return
        if self._raw_sizes[entry.side] > RAW and entry.kind in ("data", "hole"):
            # What is no HTTP/2 shows what it is at each side's beginning: of the rest only the length is kept.
            entry.length, entry.data = entry.length + len(entry.data), b""
            entry.kind = "hole"
            if raw[-1].kind == "hole" and raw[-1].side == entry.side:
                raw[-1].length += entry.length
                return
        raw.append(entry)
        size = len(entry.data) + COST
        self._raw_sizes[entry.side] += size
        self._raw_size += size
        self.size += size
        if self._raw_size > 4 * RAW:
            self.give_up()

    @property
    def is_framed(self) -> bool:
        """The connection is HTTP/2 from its first byte on, so that its frames are all of it."""
        session = self.session
        first = session.first_bytes[CLIENT]
        answer = session.first_bytes[SERVER]
        halves = session.h2.halves
        whole = first is None or not session.from_start or first.data.startswith(PREFACE)
        framed = answer is None or halves[SERVER].joined_late or answer.data[3:4] == bytes((SETTINGS,))
        return session.protocol == "h2" and whole and framed

    def forget_raw(self) -> None:
        """Keep frames only."""
        self.raw = None
        self.size -= self._raw_size
        self._raw_size = 0

    def gap_came(self, side: int, length: int, mark: Mark) -> None:
        """Bytes are missing."""
        self._add_raw(Entry(self._next(), mark.time, side, "hole", length=length))

    def ended(self, side: int, how: Literal["fin", "rst"], mark: Mark) -> None:
        """One side has closed."""
        self._add_raw(Entry(self._next(), mark.time, side, how))
        self._add_control(Entry(self._next(), mark.time, side ^ self.session.flipped, how))

    # ---- told by the walk over frames (sides are client and server) --------------------------------------------

    def frame(self, frame: ControlFrame) -> None:
        """Keep a whole frame other than unpadded DATA."""
        if self.given_up:
            return
        side, kind = frame.side, frame.kind
        self._open_data[side] = None
        pending = self.pending[side]
        if pending and not (kind == CONTINUATION and frame.stream == pending[0].stream):
            self._abandon(side)
        if kind in _BLOCKS:
            if not self.pending[side]:
                self._pending_order[side] = self._next()
            if len(pending) < _MOST_PENDING and self._pending_size[side] < RAW:
                self.pending[side].append(frame)
                self._pending_size[side] += len(frame.payload) + 9
            return
        time = frame.marks.at(frame.offset + 8 + len(frame.payload)).time
        data = header_bytes(len(frame.payload), kind, frame.flags, frame.stream) + frame.payload
        entry = Entry(self._next(), time, side, "frame", data, type=kind)
        if not frame.stream:
            self._add_control(entry)
            return
        if frame.stream not in self.streams and kind != DATA:  # of a stream that is forgotten, or was never open
            if kind != WINDOW_UPDATE:
                self._add_control(entry)
            return
        stream = self._stream(frame.stream)
        self._add(stream, entry)
        if kind == DATA:
            stream.messages[side] = None  # padded: not cut
            self._half_closed(stream, side, time, ended=bool(frame.flags & END_STREAM))
        elif kind == RST_STREAM:
            self._done(stream, time)

    def data(self, frame: ControlFrame, length: int) -> None:
        """Keep an unpadded DATA frame, or its beginning."""
        if self.given_up:
            return
        side = frame.side
        self._abandon(side)
        stream = self._stream(frame.stream)
        time = frame.mark().time
        entry = Entry(self._next(), time, side, "data", bytearray(frame.payload), length=length, flags=frame.flags)
        self._add(stream, entry)
        self._open_data[side] = (stream, entry)
        messages = stream.messages[side]
        if messages is not None:
            messages.feed(frame.payload)
        self._half_closed(stream, side, time, ended=bool(frame.flags & END_STREAM))

    def more(self, side: int, data: bytes, marks: Marks) -> None:
        """Keep more of the last DATA frame of `side`."""
        held = self._open_data[side]
        if held is None or self.given_up:
            return
        stream, entry = held
        assert isinstance(entry.data, bytearray)
        entry.data += data
        stream.size += len(data)
        self.size += len(data)
        messages = stream.messages[side]
        if messages is not None:
            messages.feed(data)

    def block(self, frame: ControlFrame, block: HeaderBlock) -> None:
        """Keep a decoded header block."""
        side = frame.side
        pending, self.pending[side] = self.pending[side], []
        self._pending_size[side] = 0
        if not pending or self.given_up:
            return
        stream = self._stream(frame.stream)
        kind = block.get(b"content-type") or b""
        grpc = not kind or kind.startswith(b"application/grpc")
        late = self.session.h2.halves[side].joined_late
        fields = block.fields if late else complete(block, side, frame.stream, answered=stream.answered, grpc=grpc)[0]
        fault = fault_of(self.session.h2.violations, frame)
        coded = literal(fields, late=late)
        if fault is not None:
            known = [(name, value) for name, value in block.fields if name is not None and value is not None]
            coded = literal(known, late=late) + faulty_field(fragments(pending), *fault)
        if len(coded) > _MOST_BLOCK:
            coded = fragments(pending)
        last = pending[-1]
        time = last.marks.at(last.offset + 8 + len(last.payload)).time
        if kind.startswith(b"application/grpc") and not kind.startswith(b"application/grpc-web"):
            if stream.messages[side] is None and not stream.ended[side]:
                stream.messages[side] = Messages()
        self._add(stream, Entry(self._next(), time, side, "frame", reframe(pending, coded), type=HEADERS))
        self._half_closed(stream, side, time, ended=bool(frame.flags & END_STREAM))

    def gap(self, side: int, length: int, mark: Mark) -> None:
        """Bytes of frames are missing."""
        self._abandon(side)
        held = self._open_data[side]
        self._open_data[side] = None
        entry = Entry(self._next(), mark.time, side, "hole", length=length)
        if held is not None:
            held[0].messages[side] = None
        self._add_control(entry)

    def _abandon(self, side: int) -> None:
        """A header block never became whole: keep its frames as they came."""
        pending, self.pending[side] = self.pending[side], []
        self._pending_size[side] = 0
        for frame in pending:
            self._add(self._stream(frame.stream), self.raw_frame(frame))

    def raw_frame(self, frame: ControlFrame) -> Entry:
        """Return a frame of a header block that is not whole, as it came."""
        data = header_bytes(len(frame.payload), frame.kind, frame.flags, frame.stream) + frame.payload
        return Entry(self._pending_order[frame.side], frame.mark().time, frame.side, "frame", data)

    # ---- keeping -----------------------------------------------------------------------------------------------

    def _next(self) -> int:
        self._order += 1
        return self._order

    def _stream(self, number: int) -> KeptStream:
        stream = self.streams.get(number)
        if stream is None:
            stream = self.streams[number] = KeptStream(number)
            self.size += stream.size
        return stream

    def _add(self, stream: KeptStream, entry: Entry) -> None:
        stream.entries.append(entry)
        stream.answered |= entry.kind == "frame" and entry.side == SERVER
        size = len(entry.data) + COST
        stream.size += size
        self.size += size

    def _add_control(self, entry: Entry) -> None:
        if self.given_up:
            return
        self.control.append(entry)
        self.size += len(entry.data) + COST
        if len(self.control) > _MOST_CONTROL:
            # By order, not by time: a flood comes at one moment.
            middle = self.control[len(self.control) // 2].order
            self._forget_control(lambda one: one.order < middle)

    def _half_closed(self, stream: KeptStream, side: int, time: int, *, ended: bool) -> None:
        if ended:
            stream.ended[side] = True
            if stream.ended[1 - side]:
                self._done(stream, time)

    def _done(self, stream: KeptStream, time: int) -> None:
        if not stream.done:
            stream.done = time
            self.finished.append(stream)

    # ---- forgetting --------------------------------------------------------------------------------------------

    def forget(self, number: int) -> None:
        """Forget a stream that has closed and was fine."""
        stream = self.streams.pop(number, None)
        if stream is None:
            return
        self.size -= stream.size
        self.forgotten_streams += 1
        for side in (CLIENT, SERVER):
            self.spent[side] += stream.spent[side]
        for entry in stream.entries:
            self.spent[entry.side] += window_taken(entry)
        if self.raw is not None and self.is_framed:
            self.forget_raw()  # what is written from now on lacks this stream either way

    def prune(self, before: int) -> None:
        """Forget what the connection itself said before a time, except what still counts."""
        self._forget_control(lambda one: one.time < before)

    def _forget_control(self, is_old: Callable[[Entry], bool]) -> None:
        kept: deque[Entry] = deque()
        lasting = 0
        for entry in self.control:
            old = is_old(entry)
            if old and entry.type == WINDOW_UPDATE and len(entry.data) == 13:
                self.credit[entry.side] += int.from_bytes(entry.data[9:], "big") & MAX_WINDOW
            elif (
                old
                and entry.kind in ("frame", "hole")
                and (entry.type not in (SETTINGS, GOAWAY) or lasting >= _MOST_LASTING)
            ):
                pass
            else:
                lasting += entry.kind == "frame"
                kept.append(entry)
                continue
            self.size -= len(entry.data) + COST
        self.control = kept

    def trim(self, stream: KeptStream, room: int) -> int:
        """Forget whole messages from the beginning of an open stream until it has `room` bytes; return how many."""
        count = 0
        for side in (CLIENT, SERVER):
            messages = stream.messages[side]
            if messages is None:
                continue
            here = sum(len(one.data) for one in stream.entries if one.side == side and one.kind == "data")
            cut = max(here - room // 2, 0) + stream.begins[side]
            while len(messages.starts) > 1 and messages.starts[1] <= cut:
                messages.starts.popleft()
                count += 1
            if messages.starts[0] > stream.begins[side]:
                self._cut(stream, side, messages.starts[0])
        stream.forgotten += count
        return count

    def _cut(self, stream: KeptStream, side: int, to: int) -> None:
        """Forget the body of `side` up to offset `to`."""
        at = stream.begins[side]
        kept: deque[Entry] = deque()
        before = stream.size
        for entry in stream.entries:
            if entry.side == side and entry.kind == "data" and at < to:
                less = min(len(entry.data), to - at)
                at += less
                stream.spent[side] += less
                stream.size -= less
                if less == entry.length and not entry.flags & END_STREAM:
                    stream.size -= COST
                    continue
                entry.data = bytearray(entry.data[less:])
                entry.length -= less
            kept.append(entry)
        stream.entries = kept
        stream.begins[side] = to
        self.size -= before - stream.size

    def give_up(self) -> None:
        """Keep nothing of this connection any more."""
        self.given_up = True
        for stream in self.streams.values():
            stream.entries.clear()
        self.streams.clear()
        self.control.clear()
        self.raw = None
        self._raw_size = self.size = 0
        self._open_data = [None, None]
