"""One recorded connection on its way into a case: what the TCP layer tells, beside what the frame walk tells.

The walk says which bytes are frames. Bytes that it did not take for frames (a preface, HTTP/1, TLS, a frame cut by the
end, what stands where boundaries were lost) are found by their offsets and travel as they are, masked as text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal

from wirecase.case.bodies import BodyMask
from wirecase.case.frames import FrameTape
from wirecase.case.headers import filler
from wirecase.case.line import End, Hole, Line
from wirecase.case.packets import endpoint
from wirecase.case.plan import ConnectionPlan
from wirecase.case.redaction import Masks
from wirecase.case.wire import Emit, Wire
from wirecase.http2.facts import CONTINUATION, HEADERS, PUSH_PROMISE, ControlFrame, HeaderBlock
from wirecase.http2.sync import FRAME_HEADER, PREFACE, plausible_header
from wirecase.model import CLIENT, SERVER, Accounting, Mark, Marks, Stretch
from wirecase.net.facts import TcpConnection
from wirecase.session.calls import CallLog, CallTracker
from wirecase.session.decoder import ConnectionDecoder
from wirecase.session.session import Session
from wirecase.tls.keylog import KeyStore

_UNTOLD = (1 << 20) + (1 << 18)
"""Bytes that may wait to be told as a frame: more than the longest that is put together."""
_MOST_SEALED = 1 << 16
"""Bytes of a TLS connection that nobody may open which are kept: what it begins with."""
_ISN = 0x01000193

Chunk = tuple[int, bytes, Marks]
"""(stream offset, bytes, marks) of bytes as the TCP layer told them."""


class _Side:
    """The bytes of one TCP side that the walk has not told about yet."""

    __slots__ = ("chunks", "lost", "told", "untold")

    def __init__(self) -> None:
        self.chunks: deque[Chunk] = deque()
        self.told = 0
        """Stream offset up to which it is known what the bytes are."""
        self.untold = 0
        self.lost = False
        """Boundaries were lost in a hole: what comes before the next frame belongs to the hole."""

    def add(self, data: bytes, marks: Marks) -> None:
        self.chunks.append((marks.offsets[0], data, marks))
        self.untold += len(data)

    def take(self, end: int) -> list[Chunk]:
        """Take the bytes from `told` up to `end`."""
        taken: list[Chunk] = []
        chunks = self.chunks
        while chunks and chunks[0][0] < end:
            offset, data, marks = chunks[0]
            start = max(self.told - offset, 0)
            stop = min(end - offset, len(data))
            if stop > start:
                taken.append((offset + start, data[start:stop], marks))
            if stop < len(data):
                break
            chunks.popleft()
        self.skip(end)
        return taken

    def skip(self, end: int) -> None:
        """Forget the bytes up to `end`."""
        chunks = self.chunks
        while chunks and chunks[0][0] + len(chunks[0][1]) <= end:
            chunks.popleft()
        self.told = max(self.told, end)
        self.untold = sum(len(data) - max(self.told - offset, 0) for offset, data, _ in chunks)


class Tape:
    """Listens to one connection (`wirecase.model.StreamListener`)."""

    def __init__(
        self,
        tcp: TcpConnection,
        plan: ConnectionPlan,
        masks: Masks,
        *,
        emit: Emit,
        address: Callable[[str, int, bool], str],
        log: CallLog,
        accounting: Accounting,
        forced: bool,
        keep: bool,
        closed: Callable[[Tape], None],
        keys: KeyStore | None = None,
    ) -> None:
        self.session = session = Session(tcp)
        self.plan = plan
        self._masks = masks
        self._emit = emit
        self._address = address
        """Maps ``addr:port`` of a side (`CLIENT`, `SERVER`) to the case's; True where HTTP/2 will be recognised."""
        self._closed = closed
        self.line = Line(self._open_wire, self._settle)
        self.frames = FrameTape(session, plan, masks, self.line, keep=keep)
        self._decoder = ConnectionDecoder(
            session, CallTracker(session, log), accounting, forced=forced, on_closed=lambda _: None,
            recorder=_Ear(self), keys=keys, plain=_Opened(self),
        )  # fmt: skip
        self.tls_removed = False
        """The bytes stood under TLS; the case holds what was inside."""
        self._sides = (_Side(), _Side())
        self._texts: list[BodyMask | None] = [None, None]
        """Masks for the bytes that are no frames, by sender."""
        self._ends: list[tuple[int, Literal["fin", "rst"], Mark]] = []
        """Ends of TCP sides that are not queued yet, as what came before is not settled."""
        self._ended: list[str] = []
        self.greeted = False
        """The handshake was put in."""
        self.addresses: tuple[str, str] = ("", "")

    # ---- told by the assembler ---------------------------------------------------------------------------------

    def run(self, side: int, data: bytes, marks: Marks) -> None:
        """Bytes of one side."""
        if self.session.tls is None or (not self.tls_removed and self._sides[side].untold < _MOST_SEALED):
            self._sides[side].add(data, marks)
        self._decoder.run(side, data, marks)
        self._sort_out()

    def opened(self, side: int, data: bytes, marks: Marks) -> None:
        """Bytes that came out of TLS: from here on nothing else counts."""
        self._unseal()
        self._sides[side].add(data, marks)

    def opened_gap(self) -> None:
        """A hole in what comes out of TLS."""
        self._unseal()

    def _unseal(self) -> None:
        if not self.tls_removed:
            self.tls_removed = True
            self._sides = (_Side(), _Side())

    def stretch(self, stretch: Stretch) -> None:
        """Many segments at once."""
        for run in stretch.runs():
            self.run(*run)

    def gap(self, side: int, length: int, reason: str, mark: Mark) -> None:
        """A hole; the walk tells it on, where the bytes are frames."""
        self._decoder.gap(side, length, reason, mark)
        if self.session.protocol not in ("h2", "empty") and not self.tls_removed:
            self.line.mark(Hole(side ^ self.session.flipped, length))
            self._sides[side].told = mark.offset

    def ended(self, side: int, how: Literal["fin", "rst"], mark: Mark) -> None:
        """One side closed."""
        self._decoder.ended(side, how, mark)
        self._ends.append((side, how, mark))
        self._sort_out()

    def closed(self, reason: Literal["closed", "reused", "idle", "capture-end"]) -> None:
        """The connection is over."""
        self._decoder.closed(reason)
        self._sort_out(final=True)
        for side in (CLIENT, SERVER):
            self.frames.abandon(side)
            self._rest(side)
        client, server = self.session.client, self.session.server
        if self.session.protocol == "empty" and client.syn is not None and server.syn is None and not server.fin:
            self._unanswered(client.syn)
        else:
            self._queue_ends()
            self.line.drain(everything=True)
            self._conclude()
        self._closed(self)

    # ---- bytes that are no frames ------------------------------------------------------------------------------

    def before_frame(self, side: int, offset: int, length: int) -> None:
        """A frame of `length` bytes begins at `offset`: see what stands between it and the last one."""
        state = self._sides[side ^ self.session.flipped]
        if state.told != offset:
            chunks = state.take(offset)
            if state.lost:
                count = sum(len(data) for _, data, _ in chunks)
                self.line.mark(Hole(side, count))
            elif self.frames.is_greeted(side) or not self.session.h2.halves[side].joined_late:
                self._text(side, chunks)
        state.lost = False
        state.skip(offset + length)

    def told(self, side: int, end: int) -> None:
        """The bytes of `side` up to `end` were told as part of a frame."""
        self._sides[side ^ self.session.flipped].skip(end)

    def lost(self, side: int, length: int, mark: Mark) -> None:
        """Bytes of `side` are missing; frames that they were part of are lost with them, unless the frame is DATA."""
        state = self._sides[side ^ self.session.flipped]
        if self.frames.data_left[side] < length:
            length += state.untold
            state.lost = True
        state.skip(mark.offset)
        self.frames.gap(side, length, mark)

    def _sort_out(self, *, final: bool = False) -> None:
        """Pass on bytes that no frame will claim."""
        session = self.session
        protocol = session.protocol
        if protocol == "empty":
            return
        if protocol != "h2":
            waiting: list[tuple[Mark, int, Chunk]] = []
            for side, state in enumerate(self._sides):
                number = side ^ session.flipped
                waiting += [(c[2].at(c[0]), number, c) for c in state.take(1 << 62)]
                state.told = 0
            waiting.sort(key=lambda entry: entry[0][:3])
            for _, number, chunk in waiting:
                self._text(number, [chunk])
        else:
            for side, state in enumerate(self._sides):
                number = side ^ session.flipped
                if not state.untold:
                    continue
                preface = session.h2.halves[number].preface
                if preface is not None and state.told <= preface.offset:
                    self._text(number, state.take(preface.offset + len(PREFACE)))
                half = session.h2.halves[number]
                if not half.bytes or half.stray is not None or state.untold > _UNTOLD:
                    end = state.chunks[-1][0] + len(state.chunks[-1][1])
                    self._text(number, state.take(end))
        if self._ends and not final:
            for side in {end[0] ^ session.flipped for end in self._ends}:
                self.frames.abandon(side)
                self._rest(side)
            self._queue_ends()
            self.line.drain()

    def _text(self, side: int, chunks: list[Chunk]) -> None:
        """Queue bytes that are no frames; secrets in them are masked, prefaces are left alone."""
        plain = b"".join(data for _, data, _ in chunks)
        at = plain.find(PREFACE)
        mask = self._texts[side]
        if mask is None:
            mask = self._texts[side] = BodyMask(self._masks, "foreign", path="", side=side, encoding=None, keep=False)
        if at < 0:
            for offset, data, marks in chunks:
                self.line.spread(side, data, marks, offset, mask, 0)
        else:
            for offset, data, marks in chunks:
                before = max(min(at, len(data)), 0)
                at -= len(data)
                if before:
                    self.line.spread(side, data[:before], marks, offset, mask, 0)
                if data[before:]:
                    self.line.spread(side, data[before:], marks, offset + before, None, 0)
        self.line.drain()

    def _rest(self, side: int) -> None:
        """Queue the beginning of a frame that its sender never finished."""
        state = self._sides[side ^ self.session.flipped]
        if not state.chunks or self.session.protocol != "h2":
            return
        last = state.chunks[-1]
        chunks = state.take(last[0] + len(last[1]))
        data = b"".join(part for _, part, _ in chunks)
        if not data or state.lost:
            return
        offset, _, marks = chunks[0]
        if len(data) >= FRAME_HEADER.size:
            high, low, kind, flags, stream = FRAME_HEADER.unpack_from(data)
            if plausible_header(high << 8 | low, kind, flags, stream):
                if not self.plan.wants(stream):
                    return
                if kind in (HEADERS, CONTINUATION, PUSH_PROMISE):
                    data = data[:9] + filler(len(data) - 9)
                self.line.put(side, marks.at(offset).time, data)
                return
        self._text(side, chunks)

    # ---- the connection ----------------------------------------------------------------------------------------

    def _settle(self) -> None:
        self.frames.settle()
        for mask in self._texts:
            if mask is not None:
                mask.settle()

    def _queue_ends(self) -> None:
        for side, how, mark in self._ends:
            self._ended.append(f"{side}{how}")
            self.line.mark(End(side ^ self.session.flipped, how, mark.time))
        self._ends.clear()

    def _open_wire(self, time: int) -> Wire:
        session = self.session
        client, server = session.client, session.server
        known = self.plan.shown[CLIENT]  # by the client's preface
        self.addresses = (self._address(client.address, CLIENT, known), self._address(server.address, SERVER, known))
        ends = (endpoint(self.addresses[0]), endpoint(self.addresses[1]))
        wire = Wire(self._emit, ends, shown=self.plan.shown, isn=(session.index + 1) * _ISN)
        syn = client.syn.time if client.syn else None
        answer = server.syn.time if server.syn else None
        if all(self.plan.shown) and (syn is not None or self._begins_with_preface):
            self.greeted = syn is None or answer is None
            if syn is None:
                syn = time if answer is None else answer
            answer = syn if answer is None else answer
            wire.handshake(syn, answer, done=answer)
        else:
            wire.handshake(syn, answer, done=None)
        return wire

    @property
    def _begins_with_preface(self) -> bool:
        """The client's preface is there or was put in: without it, a handshake would make certain what is not."""
        return self.session.h2.halves[CLIENT].preface is not None or self.frames.late[CLIENT]

    def _conclude(self) -> None:
        """Show what the connection still has to show at its end."""
        session = self.session
        client, server = session.client, session.server
        wire = self.line.wire
        if wire is None:
            first = session.first_time
            if first is None:
                return
            wire = self.line.wire = self._open_wire(first)
        for side, facts in ((CLIENT, client), (SERVER, server)):
            tcp_side = side ^ session.flipped
            if facts.rst is not None and f"{tcp_side}rst" not in self._ended:
                wire.end(side, "rst", facts.rst.time)
        wire.flush()
        for side, facts in ((CLIENT, client), (SERVER, server)):
            if facts.zero_window is not None:
                wire.close_window(side, facts.zero_window.time)
            for mark in facts.tail_retransmissions:
                wire.repeat(side, mark.time)
        owed = [facts.acked is not None and facts.acked < facts.sent for facts in (client, server)]
        wire.finish((owed[0], owed[1]))

    def _unanswered(self, syn: Mark) -> None:
        """Show a connection that was refused, or that nobody answered."""
        session = self.session
        client, server = session.client, session.server
        known = self.plan.shown[CLIENT]  # by the client's preface
        self.addresses = (self._address(client.address, CLIENT, known), self._address(server.address, SERVER, known))
        ends = (endpoint(self.addresses[0]), endpoint(self.addresses[1]))
        self.line.wire = wire = Wire(self._emit, ends, shown=(True, True), isn=(session.index + 1) * _ISN)
        wire.handshake(syn.time, None, done=None)
        for mark in client.tail_retransmissions:
            wire.repeat_syn(mark.time)
        if server.rst is not None:
            wire.refuse(server.rst.time)
        elif client.rst is not None:
            wire.end(CLIENT, "rst", client.rst.time)


class _Opened:
    """Hears what comes out of TLS (`wirecase.tls.connection.Plain`)."""

    __slots__ = ("_tape",)

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def run(self, side: int, data: bytes, marks: Marks) -> None:
        self._tape.opened(side, data, marks)

    def gap(self, side: int, length: int, reason: str, mark: Mark) -> None:
        self._tape.opened_gap()


class _Ear:
    """Hears of the frames of one connection (`wirecase.http2.recorder.FrameRecorder`)."""

    __slots__ = ("_tape",)

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def frame(self, frame: ControlFrame) -> None:
        """A whole frame other than unpadded DATA."""
        self._tape.before_frame(frame.side, frame.offset, 9 + len(frame.payload))
        self._tape.frames.frame(frame)

    def data(self, frame: ControlFrame, length: int) -> None:
        """An unpadded DATA frame, or its beginning."""
        self._tape.before_frame(frame.side, frame.offset, 9 + len(frame.payload))
        self._tape.frames.data(frame, length)

    def more(self, side: int, data: bytes, marks: Marks) -> None:
        """More of the last DATA frame of `side`."""
        self._tape.told(side, marks.offsets[0] + len(data))
        self._tape.frames.more(side, data, marks)

    def block(self, frame: ControlFrame, block: HeaderBlock) -> None:
        """A decoded header block."""
        self._tape.frames.block(frame, block)

    def gap(self, side: int, length: int, mark: Mark) -> None:
        """A hole."""
        self._tape.lost(side, length, mark)
