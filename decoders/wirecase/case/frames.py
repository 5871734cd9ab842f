"""The frames of one connection on their way into a case (`wirecase.http2.recorder.FrameRecorder`).

Frames travel as they were recorded, with four exceptions: header blocks are written anew so that they stand alone,
bodies and other texts are masked, streams that nobody asked for are left out (and the credit for their bytes is taken
off the connection's window updates), and what a recording that joined late cannot show is put in its place.
"""

from __future__ import annotations

from wirecase.case.bodies import BodyMask
from wirecase.case.credit import WIDE, Credit
from wirecase.case.headers import (
    REQUEST,
    RESPONSE,
    Assumed,
    BlockWriter,
    beginning,
    blank,
    complete,
    fault_of,
    faulty_field,
    fragments,
    reframe,
)
from wirecase.case.line import Hole, Line
from wirecase.case.plan import ConnectionPlan
from wirecase.case.redaction import Fields, Masks
from wirecase.case.streams import Stream, Streams
from wirecase.http2.facts import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_NAMES,
    GOAWAY,
    HEADER_TABLE_SIZE,
    HEADERS,
    INITIAL_WINDOW_SIZE,
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
from wirecase.session.session import Session

_MOST_PENDING = 10_000
_FEW = 8
"""Frames of an unfinished header block that are no flood: what it began with is shown."""
_BLOCKS = (HEADERS, CONTINUATION, PUSH_PROMISE)


class FrameTape:
    """Takes the recorder's calls and queues what the case gets. `mend` is told of bytes between two frames."""

    def __init__(self, session: Session, plan: ConnectionPlan, masks: Masks, line: Line, *, keep: bool) -> None:
        self._session = session
        self._plan = plan
        self._masks = masks
        self._line = line
        self._keep = keep
        plain = plan.plain_headers
        self._writers = (BlockWriter(masks, CLIENT, plain=plain), BlockWriter(masks, SERVER, plain=plain))
        self._pending: list[list[ControlFrame]] = [[], []]
        """Frames of a header block that is not decoded yet, by side."""
        self._streams = Streams()
        self._greeted = [False, False]
        self._table_sizes: list[list[int | None]] = [[], []]
        """HEADER_TABLE_SIZE of the SETTINGS that each side sent and the other has not acknowledged."""
        self._left_out = [0, 0]
        """DATA bytes of each side that were left out and not yet taken off the connection's window."""
        self._more: list[tuple[BodyMask | None, bool] | None] = [None, None]
        """Where the rest of each side's last DATA frame goes: (its body, replaced by zeros), or None for nowhere."""
        self._credit = (Credit(), Credit())
        """Of the connection, by the side that gives it."""
        self.data_left = [0, 0]
        self.assumed: list[Assumed] = []
        self.late = [False, False]
        """Sides whose beginning was put in."""
        self.reframed = 0
        """DATA frames whose messages began out of sight and were framed anew."""

    # ---- told by the walk --------------------------------------------------------------------------------------

    def frame(self, frame: ControlFrame) -> None:
        """Take a whole frame other than unpadded DATA."""
        side, kind = frame.side, frame.kind
        self.greet(side, frame.mark().time, whole=kind == SETTINGS and not frame.flags & ACK and not frame.offset)
        pending = self._pending[side]
        if pending and not (kind == CONTINUATION and frame.stream == pending[0].stream):
            self.abandon(side)
        if not self._plan.wants(frame.stream):
            if kind == DATA:
                self._left_out[side] += len(frame.payload)
            return
        if kind in _BLOCKS:
            if len(pending) < _MOST_PENDING:
                self._pending[side].append(frame)
            return
        time = _end(frame).time
        head = header_bytes(len(frame.payload), kind, frame.flags, frame.stream)
        if kind == DATA:
            self._padded(frame, head, time)
        elif kind == WINDOW_UPDATE and not frame.stream:
            self._window_update(frame, time)
        elif kind == GOAWAY:
            self._put(side, time, head + frame.payload[:8] + self._masks.debug(frame.payload[8:]))
        elif kind >= len(FRAME_NAMES):
            self._put(side, time, head + self._masks.foreign(frame.payload))
        else:
            if kind == SETTINGS:
                self._settings(frame)
            payload = frame.payload
            if kind in (RST_STREAM, WINDOW_UPDATE) and not self._streams.is_done(frame.stream):
                stream = self._stream(frame.stream, side, time)
                if kind == RST_STREAM:
                    self._streams.close(frame.stream)
                elif self.late[side]:
                    payload = stream.credit[side].limited(payload)
            self._put(side, time, head + payload)

    def data(self, frame: ControlFrame, length: int) -> None:
        """Take an unpadded DATA frame, or its beginning."""
        side, stream_id = frame.side, frame.stream
        time = frame.mark().time
        self.greet(side, time)
        self.abandon(side)
        self.data_left[side] = length - len(frame.payload)
        if not self._plan.wants(stream_id):
            self._left_out[side] += length
            self._more[side] = None
            return
        stream = self._stream(stream_id, side, time)
        stream.credit[1 - side].spend(length)
        self._credit[1 - side].spend(length)
        if stream.lost[side]:
            self._lost_data(frame, length)
            return
        body = self._body(stream, side)
        self._more[side] = (body, False)
        head = header_bytes(length, DATA, frame.flags, stream_id)
        self._line.spread(side, head + frame.payload, frame.marks, frame.offset, body, len(head))
        if frame.flags & END_STREAM:
            if not self.data_left[side]:
                body.settle()
            self._streams.end(stream_id, side)
        self._line.drain()

    def more(self, side: int, data: bytes, marks: Marks) -> None:
        """Take more of the last DATA frame of `side`."""
        self.data_left[side] -= len(data)
        target = self._more[side]
        if target is not None:
            body, zeros = target
            self._line.spread(side, bytes(len(data)) if zeros else data, marks, marks.offsets[0], body, 0)
            self._line.drain()

    def block(self, frame: ControlFrame, block: HeaderBlock) -> None:
        """Take the decoded header block that began with `frame`."""
        side = frame.side
        pending, self._pending[side] = self._pending[side], []
        if not pending:
            return
        time = _end(pending[-1]).time
        if side == CLIENT:
            stream = self._streams.get(frame.stream)
            stream.opened = True
        else:
            stream = self._stream(frame.stream, side, time, headers=block.status is None)
        hidden = block.get(b"content-type") is None
        grpc = hidden or (block.get(b"content-type") or b"").startswith(b"application/grpc")
        fields, assumed = complete(block, side, frame.stream, answered=stream.answered, grpc=grpc)
        self.assumed += assumed
        if self._plan.verbatim[side]:
            self._put(side, time, reframe(pending, fragments(pending)))
            self._learn(stream, side, fields)
            self._writers[side].saw(fields)
            if frame.flags & END_STREAM:
                self._streams.end(frame.stream, side)
            return
        fault = fault_of(self._session.h2.violations, frame)
        if fault is None:
            coded = self._writers[side].encode(fields)
        else:
            raw = fragments(pending)
            known = [(name, value) for name, value in block.fields if name is not None and value is not None]
            coded = self._writers[side].encode(known) + faulty_field(raw, *fault)
        self._put(side, time, reframe(pending, coded))
        self._learn(stream, side, fields)
        if frame.flags & END_STREAM:
            self._streams.end(frame.stream, side)

    def gap(self, side: int, length: int, mark: Mark) -> None:
        """Leave out what the recording lacks."""
        self.abandon(side)
        self._line.mark(Hole(side, length))
        if self.data_left[side] >= length:
            self.data_left[side] -= length
            target = self._more[side]
            if target is not None and target[0] is not None:
                target[0].lose(length)
        else:
            self.data_left[side] = 0
            self._more[side] = None
            self._writers[side].forget()
            self._streams.lose(side)

    # ---- the rest ----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Mask everything that is held."""
        self._streams.settle()

    @property
    def paths(self) -> dict[bytes, None]:
        """Paths of the requests as they travel."""
        return self._writers[CLIENT].paths

    def is_greeted(self, side: int) -> bool:
        """Tell whether a frame of `side` was seen."""
        return self._greeted[side]

    def abandon(self, side: int) -> None:
        """Something stands where the rest of a header block should: the block will not be decoded."""
        pending, self._pending[side] = self._pending[side], []
        shown = beginning(fragments(pending)) if 0 < len(pending) <= _FEW else []
        if shown:
            coded = self._writers[side].encode_apart(shown)
            self._put(side, _end(pending[-1]).time, reframe(pending, coded))
            if pending[0].kind == HEADERS:  # a body may follow all the same
                self._learn(self._streams.get(pending[0].stream), side, shown)
            return
        for frame in pending:
            self._put(side, _end(frame).time, blank(frame))

    def greet(self, side: int, time: int, *, whole: bool = False) -> None:
        """Put the beginning of the connection in where the recording joined late; `whole` says that it did not."""
        if self._greeted[side]:
            return
        self._greeted[side] = True
        if whole and side == SERVER:
            return
        if not self._session.h2.halves[side].joined_late or not self._plan.shown[side]:
            return
        self.late[side] = True
        if side == SERVER and not self._greeted[CLIENT]:
            self.greet(CLIENT, time)
        settings = INITIAL_WINDOW_SIZE.to_bytes(2, "big") + WIDE.to_bytes(4, "big")
        start = PREFACE if side == CLIENT else b""
        start += header_bytes(6, SETTINGS, 0, 0) + settings
        start += header_bytes(4, WINDOW_UPDATE, 0, 0) + (WIDE - 65535).to_bytes(4, "big")
        self._line.put(side, time, start)
        if self._plan.shown[1 - side]:
            self._line.put(1 - side, time, header_bytes(0, SETTINGS, ACK, 0))

    def _put(self, side: int, time: int, data: bytes) -> None:
        self._line.put(side, time, data)
        self._line.drain()

    def _stream(self, stream_id: int, side: int, time: int, *, headers: bool = True) -> Stream:
        """Return a stream; if it was opened out of sight, open it (and its response, unless `headers` is False)."""
        stream = self._streams.get(stream_id)
        if not stream_id % 2:
            return stream
        if not stream.opened and self.late[CLIENT] and self._plan.shown[CLIENT]:
            stream.opened = True
            self._open_unseen(stream_id, CLIENT, REQUEST, stream, time)
        if side == SERVER and headers and not stream.answered and self.late[SERVER]:
            self._open_unseen(stream_id, SERVER, RESPONSE, stream, time)
        return stream

    def _open_unseen(self, stream_id: int, side: int, fields: Fields, stream: Stream, time: int) -> None:
        block = self._writers[side].encode(fields)
        self._line.put(side, time, header_bytes(len(block), HEADERS, END_HEADERS, stream_id) + block)
        self.assumed += [Assumed(stream_id, side, name.decode(), value.decode()) for name, value in fields]
        self._learn(stream, side, fields)
        stream.lost[side] = True

    def _learn(self, stream: Stream, side: int, fields: Fields) -> None:
        """Take what headers say about the body behind them."""
        found = {name.lower(): value for name, value in reversed(fields)}
        if side == SERVER:
            status = found.get(b":status")
            if stream.answered or (status is not None and len(status) == 3 and status.startswith(b"1")):
                return
            stream.answered = True
        elif stream.path:
            return
        else:
            stream.path = found.get(b":path", b"").decode("latin-1")
        kind = found.get(b"content-type", b"").lower()
        grpc = kind.startswith(b"application/grpc") and not kind.startswith(b"application/grpc-web-text")
        stream.kinds[side] = "messages" if grpc else "foreign" if side == SERVER else "opaque"
        stream.encodings[side] = found.get(b"grpc-encoding")

    def _body(self, stream: Stream, side: int) -> BodyMask:
        body = stream.bodies[side]
        if body is None:
            body = stream.bodies[side] = BodyMask(
                self._masks, stream.kinds[side], path=stream.path, side=side, encoding=stream.encodings[side],
                keep=self._keep,
            )  # fmt: skip
        return body

    def _padded(self, frame: ControlFrame, head: bytes, time: int) -> None:
        side, payload = frame.side, frame.payload
        stream = self._stream(frame.stream, side, time)
        pad = payload[0] if payload else 0
        piece = self._line.put(side, time, head + payload)
        if len(payload) > 1 + pad:
            self._body(stream, side).feed(piece, len(head) + 1, len(head) + len(payload) - pad)
        if pad and pad < len(payload):
            piece.data[len(piece.data) - pad :] = bytes(pad)
        self._line.drain()

    def _lost_data(self, frame: ControlFrame, length: int) -> None:
        """Put a message of zeros in place of DATA whose messages began out of sight."""
        side = frame.side
        size = length if length >= 5 else 0
        self.reframed += 1
        data = header_bytes(size, DATA, frame.flags, frame.stream)
        if size:
            data += (b"\0" + (size - 5).to_bytes(4, "big") + bytes(len(frame.payload)))[: len(frame.payload)]
        self._more[side] = (None, True) if size and len(frame.payload) >= 5 else None
        if size and len(frame.payload) < 5:  # the frame's first packet holds less than a message's prefix
            data += (b"\0" + (size - 5).to_bytes(4, "big") + bytes(size))[len(frame.payload) : size]
        self._put(side, frame.mark().time, data)

    def _settings(self, frame: ControlFrame) -> None:
        """Keep to the header table that the other side asks for, from its acknowledgement on."""
        side = frame.side
        if frame.flags & ACK:
            sizes = self._table_sizes[1 - side]
            size = sizes.pop(0) if sizes else None
            if size is not None:
                self._writers[side].set_table_size(size)
            return
        found: int | None = None
        for at in range(0, len(frame.payload) - 5, 6):
            if int.from_bytes(frame.payload[at : at + 2], "big") == HEADER_TABLE_SIZE:
                found = int.from_bytes(frame.payload[at + 2 : at + 6], "big")
        if len(self._table_sizes[side]) < _MOST_PENDING:
            self._table_sizes[side].append(found)

    def _window_update(self, frame: ControlFrame, time: int) -> None:
        """Take the credit for bytes that were left out off the connection's window."""
        sender = 1 - frame.side
        payload = frame.payload
        if len(payload) == 4 and self._left_out[sender]:
            increment = int.from_bytes(payload, "big") & 0x7FFFFFFF
            less = min(increment, self._left_out[sender])
            self._left_out[sender] -= less
            increment -= less
            if not increment and less:
                return
            payload = increment.to_bytes(4, "big")
        if self.late[frame.side]:
            payload = self._credit[frame.side].limited(payload)
        head = header_bytes(len(payload), WINDOW_UPDATE, frame.flags, 0)
        self._put(frame.side, time, head + payload)


def _end(frame: ControlFrame) -> Mark:
    """Return where a frame ends."""
    return frame.marks.at(frame.offset + 8 + len(frame.payload))
