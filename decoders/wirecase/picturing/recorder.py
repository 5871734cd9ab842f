"""Hears every frame of one connection and draws what is wanted of it.

A frame is told before it has any effect, so the windows that it leaves behind are read when the next one comes.
"""

from __future__ import annotations

from typing import Literal

from wirecase.http2.facts import (
    ACK,
    DATA,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_WINDOW,
    SETTINGS,
    ControlFrame,
    HeaderBlock,
    Stream,
    frame_name,
)
from wirecase.http2.facts import Violation as Breach
from wirecase.model import CLIENT, SERVER, Mark, Marks
from wirecase.picturing.lanes import LaneMaker, Proofs
from wirecase.picturing.model import Hop, Limits, Series, Violation
from wirecase.picturing.wanted import HopWish
from wirecase.picturing.windows import Watch
from wirecase.session.session import Session

_SIDES = (CLIENT, SERVER)
_NOTHING_NAMED = 8
"""Lanes of streams where no finding names one."""


class _Followed:
    """A stream that has a lane, and its two windows."""

    __slots__ = ("maker", "open", "watches")

    def __init__(self, maker: LaneMaker, watches: tuple[Watch, Watch]) -> None:
        self.maker = maker
        self.watches = watches
        """By sender."""
        self.open: Stream | None = None
        """What the walk knows of it; None before its first frame had its effect."""


class PictureRecorder:
    """Records one connection (`wirecase.http2.recorder.FrameRecorder`)."""

    def __init__(self, session: Session, wish: HopWish, limits: Limits) -> None:
        self.session = session
        self._wish = wish
        self._limits = limits
        self._proofs = Proofs(wish.findings, session.index)
        self._own = LaneMaker(0, None, limits)
        self._followed: dict[int, _Followed] = {}
        self._neighbours = limits.neighbours if wish.streams else min(limits.streams, _NOTHING_NAMED)
        self._pending: tuple[ControlFrame, Mark, int] | None = None
        """The last frame, where it stood, and the length of its payload."""
        self._windows = self._pair(0)
        self._slots = Watch(Series(session.index, 0, CLIENT, "stream slots"), limits)
        self._breaches = 0
        """Violations that were looked at."""
        self._idle_at = -1
        """Streams opened at the last idle moment."""
        self._holes = False

    def _pair(self, stream: int) -> tuple[Watch, Watch]:
        what: Literal["stream window", "connection window"] = "stream window" if stream else "connection window"
        index = self.session.index
        client, server = (Watch(Series(index, stream, side, what), self._limits) for side in _SIDES)
        return client, server

    # ---- told by the walk --------------------------------------------------------------------------------------

    def frame(self, frame: ControlFrame) -> None:
        """A whole frame other than unpadded DATA."""
        self._take(frame, len(frame.payload))

    def data(self, frame: ControlFrame, length: int) -> None:
        """An unpadded DATA frame."""
        self._take(frame, length)

    def more(self, side: int, data: bytes, marks: Marks) -> None:
        """More of the last DATA frame: its length was known from its header."""

    def block(self, frame: ControlFrame, block: HeaderBlock) -> None:
        """The header block that began with `frame`."""
        followed = self._followed.get(frame.stream)
        if followed is not None and not followed.maker.empty:
            followed.maker.block(frame, block)

    def gap(self, side: int, length: int, mark: Mark) -> None:
        """Bytes are missing."""
        self._settle()
        self._holes = True
        self._own.event("gap", side, mark, length, ())

    # ---- frames ------------------------------------------------------------------------------------------------

    def _take(self, frame: ControlFrame, length: int) -> None:
        self._settle()
        mark = frame.mark()
        stream = frame.stream & 0x7FFFFFFF
        maker = self._own if not stream else self._maker(stream)
        if maker is not None and not maker.empty:
            maker.frame(frame, mark, length, self._proofs.in_frame(frame.side, mark, length))
        self._begin(mark)
        self._pending = (frame, mark, length)

    def _maker(self, stream: int) -> LaneMaker | None:
        """Return the lane of a stream, if it has one or is to get one."""
        followed = self._followed.get(stream)
        if followed is None:
            wish = self._wish.streams.get(stream)
            if wish is None:
                if not self._neighbours or (self._wish.streams and stream not in self._wish.near):
                    return None
                self._neighbours -= 1
            followed = _Followed(LaneMaker(stream, wish, self._limits), self._pair(stream))
            self._followed[stream] = followed
        return followed.maker

    def _begin(self, mark: Mark) -> None:
        """See to it that the connection's own windows have a first point."""
        h2 = self.session.h2
        for watch in self._windows:
            if not watch.known and watch.series.unknown_since is None and h2.windows_known:
                watch.open(mark, h2.halves[watch.series.sender].window)

    # ---- effects -----------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """The last frame has had its effect: read the windows that it left."""
        if self._pending is None:
            return
        frame, mark, length = self._pending
        self._pending = None
        h2 = self.session.h2
        stream = frame.stream & 0x7FFFFFFF
        followed = self._followed.get(stream)
        if followed is not None and followed.open is None:
            followed.open = h2.streams.get(stream)
            if followed.open is not None and h2.windows_known:
                self._open(followed, followed.open, frame, mark, length)
        if not h2.windows_known:
            self._lose(mark)
            return
        name = frame_name(frame.kind)
        if frame.kind == SETTINGS:
            name = "SETTINGS ACK" if frame.flags & ACK else name
            for one in self._followed.values():
                self._read(one, frame, mark, name)
        elif followed is not None:
            self._read(followed, frame, mark, name)
        busy = bool(h2.streams)
        for watch in self._windows:
            watch.move(frame, mark, name, h2.halves[watch.series.sender].window, busy=busy)
        self._count_slots(frame, mark, name)
        if not busy and h2.opened and h2.opened != self._idle_at:
            self._idle_at = h2.opened
            for watch in self._windows:
                watch.idle(mark.time, h2.opened)
        self._look_at_breaches()

    @staticmethod
    def _open(followed: _Followed, stream: Stream, frame: ControlFrame, mark: Mark, length: int) -> None:
        """Begin the windows of a stream with what they were before its first frame took effect."""
        for watch in followed.watches:
            sender = watch.series.sender
            sent = length if frame.kind == DATA and frame.side == sender else 0
            watch.open(mark, stream.windows[sender] + sent)

    @staticmethod
    def _read(followed: _Followed, frame: ControlFrame, mark: Mark, name: str) -> None:
        stream = followed.open
        if stream is None:
            return
        for watch in followed.watches:
            sender = watch.series.sender
            if stream.resets and name != "RST_STREAM" and frame.stream != stream.id:
                continue  # SETTINGS do not reach what is closed
            busy = not stream.ended[sender] and not stream.resets
            watch.move(frame, mark, name, stream.windows[sender], busy=busy)

    def _count_slots(self, frame: ControlFrame, mark: Mark, name: str) -> None:
        """Follow the room that MAX_CONCURRENT_STREAMS leaves (RFC 9113 §5.1.2)."""
        h2 = self.session.h2
        limit = h2.halves[SERVER].settings.get(MAX_CONCURRENT_STREAMS)
        if limit is None:
            return
        left = limit - len(h2.streams)
        if self._slots.value is None:
            self._slots.open(mark, left)
        else:
            self._slots.move(frame, mark, name, left, busy=True)

    def _lose(self, mark: Mark) -> None:
        h2, session = self.session.h2, self.session
        if self._holes or any(half.gaps for half in h2.halves):
            by, why = "gap", "bytes are missing from the capture"
        elif not session.from_start:
            by, why = "mid-connection", "the capture begins in the middle of the connection"
        elif session.one_direction:
            by, why = "mid-connection", "only one direction can be read"
        else:
            by, why = "gap", "frames could not be read"
        watches = [*self._windows, *(watch for one in self._followed.values() for watch in one.watches)]
        for watch in (*watches, *([self._slots] if self._slots.known else [])):
            watch.lose(mark, by, why)

    def _look_at_breaches(self) -> None:
        breaches = self.session.h2.violations
        while self._breaches < len(breaches):
            breach = breaches[self._breaches]
            self._breaches += 1
            self._note(breach)

    def _note(self, breach: Breach) -> None:
        mark, facts = breach.excerpt.mark, breach.facts
        stream, sender = breach.stream, 1 - breach.side
        allowed: int | None = None
        kind: Literal["over", "overflow", "zero"]
        if breach.kind == "window-exceeded":
            kind, amount, sender = "over", int(facts.get("overrun", 0)), breach.side
        elif breach.kind == "window-overflow":
            amount = int(facts.get("value", 0)) - MAX_WINDOW
            kind, allowed = "overflow", int.from_bytes(breach.excerpt.data[9:13], "big") - amount
        elif breach.kind == "zero-increment":
            kind, amount = "zero", 0
        elif breach.kind == "settings-value" and facts.get("setting") == INITIAL_WINDOW_SIZE:
            kind, amount, stream = "overflow", int(facts.get("value", 0)) - MAX_WINDOW, 0
        else:
            return
        watch = self._windows[sender]
        if stream:
            followed = self._followed.get(stream)
            if followed is None:
                return
            watch = followed.watches[sender]
        watch.violate(Violation(kind, mark.time, mark.source, mark.packet, stream, breach.side, amount, allowed))

    # ---- the end -----------------------------------------------------------------------------------------------

    def finish(self) -> Hop:
        """The connection is over: return what was recorded."""
        self._settle()
        session = self.session
        for side in _SIDES:
            facts = session.side(side)
            events = {"SYN": facts.syn, "zero window": facts.zero_window, "FIN": facts.fin, "RST": facts.rst}
            events["RST that its peer ignores"] = facts.bad_rst
            for name, mark in events.items():
                if mark is not None:
                    self._own.event(name, side, mark, 0, self._proofs.at_packet(side, mark))
        begin, end = session.first_time or 0, session.last_time or 0
        hop = Hop(
            session.ref, session.protocol, begin, end, streams_seen=session.h2.opened,
            findings=tuple(finding.id for finding in self._wish.findings),
        )  # fmt: skip
        hop.lanes = [self._own.finish(), *(self._followed[one].maker.finish() for one in sorted(self._followed))]
        last = session.tcp.capture_end
        left = session.first_end()
        over = left[2].time if left is not None else last if last is not None else end
        # Where the rules wait until the end of the capture, so does the picture.
        hop.end = max(end, over)
        watches = [*self._windows, self._slots]
        for number in sorted(self._followed):
            followed = self._followed[number]
            self._ends(followed)
            watches += followed.watches
        hop.series = [watch.finish(over) for watch in watches if watch.begun]
        return hop

    @staticmethod
    def _ends(followed: _Followed) -> None:
        """Let stalls end with their stream where its last frame came in parts."""
        stream = followed.open
        if stream is None:
            return
        for watch in followed.watches:
            sender = watch.series.sender
            if stream.ended[sender] or stream.resets:
                ending = stream.ending[sender]
                mark = ending.mark if ending is not None else stream.last_mark(sender)
                watch.done(mark)
