"""One recorded connection as acts (`wirecase.http2.recorder.FrameRecorder`).

The frame walk says which bytes are frames; what it does not claim (a preface, HTTP/1, garbage, a frame that was cut) is
found by its offset and becomes `Raw`.
"""

from __future__ import annotations

from collections import deque

from wirecase.case.headers import complete, faulty_field
from wirecase.errors import InputError
from wirecase.http2.facts import (
    CONTINUATION,
    DATA,
    END_STREAM,
    HEADERS,
    PADDED,
    PRIORITY_FLAG,
    PUSH_PROMISE,
    ControlFrame,
    HeaderBlock,
)
from wirecase.model import CLIENT, SERVER, Mark, Marks
from wirecase.replay.plan.acts import Act, Data, End, Fragment, Frame, Headers, More, Raw
from wirecase.replay.plan.store import Blob, Store
from wirecase.session.session import Session

_PAUSE = 5_000_000
"""ns between two packets of one DATA frame from which on its parts are told apart."""
_MOST_ACTS = 400_000
_MOST_PENDING = 20_000
_BLOCKS = (HEADERS, CONTINUATION, PUSH_PROMISE)
_LONGEST_HOLE = 1 << 20
"""A hole within a DATA frame that is filled with zeros."""


class TooMuchError(InputError):
    """A connection has more frames than a plan takes."""


class _Bytes:
    """The bytes of one TCP side that the walk has not claimed yet."""

    __slots__ = ("chunks", "told")

    def __init__(self) -> None:
        self.chunks: deque[tuple[int, bytes, Marks]] = deque()
        self.told = 0

    def claim(self, end: int) -> None:
        """The bytes up to `end` are accounted for."""
        self.told = max(self.told, end)
        chunks = self.chunks
        while chunks and chunks[0][0] + len(chunks[0][1]) <= self.told:
            chunks.popleft()

    def take(self, end: int | None) -> list[tuple[int, bytes, Marks]]:
        """Take the unclaimed bytes before `end`, all of them for None."""
        found = []
        for offset, data, marks in self.chunks:
            start = max(self.told - offset, 0)
            stop = len(data) if end is None else min(end - offset, len(data))
            if stop > start:
                found.append((offset + start, data[start:stop], marks))
        if found:
            self.claim(found[-1][0] + len(found[-1][1]))
        return found


class Tape:
    """Records one connection."""

    def __init__(self, session: Session, store: Store, streams: frozenset[int] | None) -> None:
        self.session = session
        self._store = store
        self._streams = streams
        """The streams to record, None for all."""
        self._sides = (_Bytes(), _Bytes())
        self._pending: list[list[ControlFrame]] = [[], []]
        self._current: list[tuple[Blob, int, int] | None] = [None, None]
        """The DATA frame that goes on: (where its bytes go, stream, time of the last byte)."""
        self._left = [0, 0]
        self._held: list[tuple[int, int, int, Act]] = []
        """(source, packet, number, act)."""
        self._last = [(0, 0), (0, 0)]
        self.offsets: list[tuple[int, int, Act]] = []
        """(first, last offset, act) of what the server sent."""
        self.answered: set[int] = set()
        self.holes: list[int] = []
        """When the server's frames were lost, ns."""
        self.filled: set[int] = set()
        """Streams in whose answer a hole was filled with zeros."""
        self.opened = False
        """TLS was taken off: the bytes are those that were in it."""
        self.damaged = False
        """Bytes of something else than HTTP/2 are missing."""

    def wants(self, stream: int) -> bool:
        """Tell whether the frames of a stream are recorded."""
        return self._streams is None or not stream or stream in self._streams

    def open(self) -> None:
        """TLS is taken off: what was heard so far was sealed."""
        if not self.opened:
            self.opened = True
            self._sides = (_Bytes(), _Bytes())

    def bytes_of(self, side: int, data: bytes, marks: Marks) -> None:
        """The bytes that the walk is given next; `side` as TCP numbers it."""
        self._sides[side].chunks.append((marks.offsets[0], data, marks))

    def finish(self) -> None:
        """The connection is over."""
        session = self.session
        for side in (CLIENT, SERVER):
            self._abandon(side)
            state = self._sides[side ^ session.flipped]
            if session.protocol in ("h2", "http1", "other"):
                for offset, data, marks in state.take(None):
                    self._raw(side, offset, data, marks)
            state.chunks.clear()
        self._ends()

    def _ends(self) -> None:
        for side in (CLIENT, SERVER):
            facts = self.session.side(side)
            for mark, how in ((facts.fin, "fin"), (facts.rst, "rst")):
                if mark is not None:
                    end = End(side, mark.time, 0, how="fin" if how == "fin" else "rst")
                    self._held.append((mark.source, mark.packet, len(self._held), end))

    def acts(self) -> list[Act]:
        """Return everything, in the order of the capture. What follows the end of both sides is left out."""
        self._held.sort(key=lambda entry: entry[:3])
        found = [entry[3] for entry in self._held]
        for number, act in enumerate(found):
            act.order = number
        return found

    # ---- told by the walk --------------------------------------------------------------------------------------

    def frame(self, frame: ControlFrame) -> None:
        """A whole frame other than unpadded DATA."""
        side, kind = frame.side, frame.kind
        self._before(side, frame.offset, 9 + len(frame.payload))
        pending = self._pending[side]
        if pending and not (kind == CONTINUATION and frame.stream == pending[0].stream):
            self._abandon(side)
        if not self.wants(frame.stream):
            return
        if kind in _BLOCKS and len(pending) < _MOST_PENDING:
            self._pending[side].append(frame)
            return
        if kind == DATA:
            pad = frame.payload[0] if frame.payload else -1
            if 0 <= pad < len(frame.payload):
                body = self._store.put(frame.payload[1 : len(frame.payload) - pad])
                act = Data(side, _time(frame), frame.stream, flags=frame.flags, length=len(frame.payload), body=body,
                           pad=pad)  # fmt: skip
                self._add(act, frame)
                return
        self._add(
            Frame(side, _time(frame), frame.stream, kind=kind, flags=frame.flags, payload=bytes(frame.payload)), frame
        )

    def data(self, frame: ControlFrame, length: int) -> None:
        """An unpadded DATA frame, or its beginning."""
        side = frame.side
        self._before(side, frame.offset, 9 + len(frame.payload))
        self._abandon(side)
        self._left[side] = length - len(frame.payload)
        if not self.wants(frame.stream):
            self._current[side] = None
            return
        body = self._store.put(bytes(frame.payload))
        time = _time(frame)
        act = Data(side, time, frame.stream, flags=frame.flags, length=length, body=body)
        self._add(act, frame)
        self._current[side] = (body, frame.stream, time)

    def more(self, side: int, data: bytes, marks: Marks) -> None:
        """More of the payload of the last DATA frame of `side`."""
        offset = marks.offsets[0]
        self._sides[side ^ self.session.flipped].claim(offset + len(data))
        self._left[side] -= len(data)
        current = self._current[side]
        if current is None:
            return
        body, stream, before = current
        mark = marks.at(offset)
        if mark.time - before > _PAUSE:
            body = self._store.put(bytes(data))
            self._place(More(side, mark.time, stream, body=body), mark, offset, offset + len(data))
        else:
            self._store.add(body, bytes(data))
        self._current[side] = (body, stream, marks.at(offset + len(data) - 1).time)

    def block(self, frame: ControlFrame, block: HeaderBlock) -> None:
        """The decoded header block that began with `frame`."""
        side = frame.side
        pending, self._pending[side] = self._pending[side], []
        if not pending:
            return
        kind = block.get(b"content-type")
        grpc = kind is None or kind.startswith(b"application/grpc")
        fields, assumed = complete(block, side, frame.stream, answered=frame.stream in self.answered, grpc=grpc)
        if side == SERVER and not (block.status or b"").startswith(b"1"):
            self.answered.add(frame.stream)
        fragments = tuple(_fragment(one) for one in pending)
        coded = b"".join(
            one.payload[len(part.before) :][: part.size] for one, part in zip(pending, fragments, strict=True)
        )
        act = Headers(
            side, _time(pending[-1]), frame.stream, fields=fields, fragments=fragments,
            end_stream=bool(frame.flags & END_STREAM) and frame.kind == HEADERS, unknown=bool(assumed),
        )  # fmt: skip
        fault = self._fault(frame)
        if fault is not None:
            act.fields = [(n, v) for n, v in block.fields if n is not None and v is not None]
            act.tail = faulty_field(coded, *fault)
        elif block.truncated or block.list_size > max(50 * len(coded), 1 << 16):
            act.raw = coded  # a bomb inserts what it refers to
        first, last = pending[0], pending[-1]
        self._place(act, last.marks.at(last.offset + 8 + len(last.payload)), first.offset, last.offset + 9)

    def gap(self, side: int, length: int, mark: Mark) -> None:
        """Bytes are missing."""
        state = self._sides[side ^ self.session.flipped]
        state.claim(mark.offset)
        current = self._current[side]
        if 0 < length <= min(self._left[side], _LONGEST_HOLE):
            self._left[side] -= length
            if current is not None:
                self._store.add(current[0], bytes(length))
                if side == SERVER:
                    self.filled.add(current[1])
            return
        self._pending[side].clear()
        self._current[side] = None
        self._left[side] = 0
        if side == SERVER:
            self.holes.append(mark.time)

    # ---- the rest ----------------------------------------------------------------------------------------------

    def _before(self, side: int, offset: int, length: int) -> None:
        """A frame begins at `offset`: what stands unclaimed before it is no frame."""
        state = self._sides[side ^ self.session.flipped]
        if state.told < offset:
            late = self.session.h2.halves[side].joined_late
            for at, data, marks in state.take(offset):
                if not late:
                    self._raw(side, at, data, marks)
        state.claim(offset + length)

    def _fault(self, frame: ControlFrame) -> tuple[int, str] | None:
        """Return (offset in the block, kind) of what HPACK forbids in the block that began with `frame`."""
        for one in reversed(self.session.h2.violations[-4:]):
            if one.kind == "hpack" and one.side == frame.side and one.excerpt.mark.offset == frame.offset:
                return one.facts["offset"], one.facts["kind"]
        return None

    def _abandon(self, side: int) -> None:
        """Header frames whose block never became whole travel as they were recorded."""
        pending, self._pending[side] = self._pending[side], []
        for frame in pending:
            self._add(_verbatim(frame), frame)

    def _raw(self, side: int, offset: int, data: bytes, marks: Marks) -> None:
        times, offsets = marks.times, marks.offsets
        at = 0
        for i in range(len(offsets)):
            begin = max(offsets[i] - offset, at)
            stop = min(offsets[i + 1] - offset, len(data)) if i + 1 < len(offsets) else len(data)
            if stop > begin >= 0:
                mark = marks.at(offset + begin)
                self._place(Raw(side, times[i], 0, data=bytes(data[begin:stop])), mark, offset + begin, offset + stop)
                at = stop

    def _add(self, act: Act, frame: ControlFrame) -> None:
        stop = frame.offset + 9 + len(frame.payload)
        self._place(act, frame.marks.at(stop - 1), frame.offset, stop)

    def _place(self, act: Act, mark: Mark, begin: int, stop: int) -> None:
        """Put an act where its last byte was captured, never before what its side sent earlier."""
        if len(self._held) >= _MOST_ACTS:
            raise TooMuchError(
                f"connection {self.session.index} has more than {_MOST_ACTS:,} frames: choose with --finding or --call"
            )
        place = max(self._last[act.side], (mark.source, mark.packet))
        self._last[act.side] = place
        self._held.append((*place, len(self._held), act))
        if act.side == SERVER:
            self.offsets.append((begin, stop, act))


def _verbatim(frame: ControlFrame) -> Frame:
    return Frame(
        frame.side, _time(frame), frame.stream, kind=frame.kind, flags=frame.flags, payload=bytes(frame.payload)
    )


def _time(frame: ControlFrame) -> int:
    return frame.marks.at(frame.offset + 8 + len(frame.payload)).time


def _fragment(frame: ControlFrame) -> Fragment:
    """Return how a header block's part stands in a frame (RFC 9113 §6.2, §6.6, §6.10)."""
    payload = frame.payload
    if frame.kind == CONTINUATION:
        return Fragment(frame.kind, frame.flags, b"", len(payload), 0)
    start, stop = 0, len(payload)
    if frame.flags & PADDED and payload:
        start, stop = 1, max(len(payload) - payload[0], 1)
    if frame.kind == HEADERS and frame.flags & PRIORITY_FLAG:
        start += 5
    elif frame.kind == PUSH_PROMISE:
        start += 4
    start = min(start, stop)
    return Fragment(frame.kind, frame.flags, bytes(payload[:start]), stop - start, len(payload) - stop)
