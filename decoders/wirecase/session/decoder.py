"""One connection from its TCP bytes to its calls: recognises the protocol, then feeds the walk.

Until the protocol is known everything is held back (at most some 64 KiB a side); then it is told again in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from wirecase.http2.recorder import FrameRecorder
from wirecase.http2.sync import PREFACE
from wirecase.http2.walk import FrameWalk
from wirecase.model import CLIENT, Accounting, Excerpt, Mark, Marks, Stretch, Unbalanced
from wirecase.session.calls import CallTracker
from wirecase.session.detect import Decision, can_begin_frames, decide
from wirecase.session.session import Session

_FIRST_BYTES = 512
_ASKED_AGAIN = 1024
"""Bytes from which on it is no more asked at every run what they are, but whenever they have grown by a quarter."""

_BEGINNING = 16
"""Segments of a stretch that are taken one by one before it is asked again whether the rest can be taken at once."""

SKIPPED = {
    "tls": "TLS without keys",
    "http1": "HTTP/1",
    "other": "not HTTP/2",
    "empty": "not HTTP/2",
}


class ConnectionDecoder:
    """Takes what the assembler tells of one connection (`wirecase.model.StreamListener`)."""

    def __init__(
        self,
        session: Session,
        tracker: CallTracker,
        accounting: Accounting,
        *,
        forced: bool,
        on_closed: Callable[[Session], None],
        recorder: FrameRecorder | None = None,
        columns: bool | None = None,
    ) -> None:
        self.session = session
        self._accounting = accounting
        self._forced = forced
        self._on_closed = on_closed
        self._walk = FrameWalk(session.h2, tracker, recorder, columns=columns)
        self._held: list[tuple[str, tuple[Any, ...]]] | None = []
        """What came before the protocol was known; None afterwards."""
        self._first = [bytearray(), bytearray()]
        self._hole_first = False
        """The first thing that a side showed was a hole."""
        self._skip = [0, 0]
        self._preface: Mark | None = None
        """Where the client's preface began."""
        self._foreign = [False, False]
        self._payload = [0, 0]
        """Bytes taken in, by TCP side."""
        self._next_try = 0
        """Bytes of both sides at which it is next asked what they are."""

    # ---- told by the assembler ---------------------------------------------------------------------------------

    def run(self, side: int, data: bytes, marks: Marks) -> None:
        """Bytes of one side, in order."""
        self._payload[side] += len(data)
        held = self._held
        if held is None:
            if self.session.first_bytes[side ^ self.session.flipped] is None:
                self._meet(side, data, marks)
            self._deliver(side, data, marks)
            return
        first = self._first[side]
        if not first and self.session.first_bytes[side] is None:
            shown = bytes(data[:_FIRST_BYTES])
            self.session.first_bytes[side] = Excerpt(side, marks.at(marks.offsets[0]), shown, len(data))
        first += data
        held.append(("run", (side, data, marks)))
        if self._payload[0] + self._payload[1] >= self._next_try:
            self._try_to_decide(final=False)

    def stretch(self, stretch: Stretch) -> None:
        """Many segments at once."""
        at, step = 0, _BEGINNING
        while at < len(stretch) and not self._is_plain():
            for run in stretch.runs(at, min(at + step, len(stretch))):
                self.run(*run)
            at += step
            step *= 2
        if at >= len(stretch):
            return
        rest = stretch.after(at)
        lengths = rest.bounds[1:] - rest.bounds[:-1]
        second = int(lengths[rest.sides == 1].sum())
        self._payload[1] += second
        self._payload[0] += int(lengths.sum()) - second
        self._walk.stretch(rest, flipped=self.session.flipped)

    def _is_plain(self) -> bool:
        """Tell whether all that comes is HTTP/2, on both sides."""
        session = self.session
        plain = self._held is None and session.protocol == "h2" and None not in session.first_bytes
        return plain and not any(self._foreign) and not any(self._skip)

    def gap(self, side: int, length: int, reason: str, mark: Mark) -> None:
        """A hole in one side's bytes."""
        if self._held is None:
            self._deliver_gap(side, length, mark)
            return
        if not self._first[side]:
            self._hole_first = True
        self._held.append(("gap", (side, length, reason, mark)))
        self._try_to_decide(final=False)

    def ended(self, side: int, how: Literal["fin", "rst"], mark: Mark) -> None:
        """One side closed: its facts stand in `TcpSide`; the streams that it meets open are noted."""
        if self.session.protocol == "h2":
            self._walk.table.note_open()

    def closed(self, reason: str) -> None:
        """The connection is over."""
        session = self.session
        session.closed_reason = reason
        if self._held is not None:
            self._try_to_decide(final=True)
        if session.protocol == "h2":
            self._walk.finish()
        self._book()
        self._on_closed(session)

    def _meet(self, side: int, data: bytes, marks: Marks) -> None:
        """Hear the first bytes of a side that had been silent when the protocol was settled by the other's."""
        session = self.session
        number = side ^ session.flipped
        session.first_bytes[number] = Excerpt(number, marks.at(marks.offsets[0]), bytes(data[:_FIRST_BYTES]), len(data))
        from_start = session.tcp.syn_seen and marks.offsets[0] == 0
        if session.protocol == "h2" and from_start and not can_begin_frames(data):
            self._foreign[side] = True

    # ---- protocol ----------------------------------------------------------------------------------------------

    def _try_to_decide(self, *, final: bool) -> None:
        first = [bytes(self._first[0]), bytes(self._first[1])]
        session = self.session
        tcp = session.tcp
        if not first[0] and not first[1]:
            if final:
                self._held = None
            return
        initiator = 0 if tcp.syn_seen else None
        from_start = tcp.syn_seen and not self._hole_first
        decision = decide(first, from_start=from_start, initiator=initiator, final=final, forced=self._forced)
        if decision is not None:
            self._settle(decision, first)
            return
        held = self._payload[0] + self._payload[1]
        self._next_try = held + held // 4 if held > _ASKED_AGAIN else 0

    def _settle(self, decision: Decision, first: list[bytes]) -> None:
        session = self.session
        session.protocol = decision.protocol
        if session.tcp.syn_seen:
            session.roles = "syn"
        if decision.client is not None:
            session.flipped = decision.client == 1
            if decision.how == "preface" or not session.tcp.syn_seen:
                session.roles = decision.how or session.roles
        if session.flipped:
            session.first_bytes.reverse()
        session.first_bytes = [
            held._replace(side=side) if held is not None else None for side, held in enumerate(session.first_bytes)
        ]
        self._foreign = list(decision.foreign)
        self._skip = list(decision.skip)
        if decision.protocol == "h2":
            asked = session.first_bytes[CLIENT]
            if decision.upgraded and asked is not None:
                self._walk.table.upgrade(asked.mark)
            for side in (0, 1):
                unseen = session.tcp.sides[side].first is None  # one direction only: its settings are not known either
                if decision.late[side] or unseen:
                    self._walk.join_late(side ^ session.flipped)
        if decision.protocol == "h2" and decision.how == "preface" and decision.client is not None:
            self._skip[decision.client] += len(PREFACE)
        held, self._held = self._held or [], None
        for what, arguments in held:
            if what == "run":
                self._deliver(*arguments)
            else:
                self._deliver_gap(arguments[0], arguments[1], arguments[3])
        self._first = [bytearray(), bytearray()]

    # ---- delivery ----------------------------------------------------------------------------------------------

    def _deliver(self, side: int, data: bytes, marks: Marks) -> None:
        session = self.session
        if session.protocol != "h2" or self._foreign[side]:
            return
        skip = self._skip[side]
        number = side ^ session.flipped
        if skip:
            data, marks = self._skip_front(side, data, marks)
            if not data:
                return
        self._walk.feed(number, data, marks)

    def _skip_front(self, side: int, data: bytes, marks: Marks) -> tuple[bytes, Marks]:
        """Take the preface, and an upgrade's HTTP/1.1 before it, off a side's first bytes."""
        skip = self._skip[side]
        count = min(skip, len(data))
        self._skip[side] = skip - count
        session = self.session
        number = side ^ session.flipped
        if number == CLIENT and session.roles == "preface":
            before = skip - len(PREFACE)
            if 0 <= before < count:
                self._preface = marks.at(marks.offsets[0] + before)
            if skip == count and self._preface is not None:
                self._walk.preface(self._preface)
        if count == len(data):
            return b"", marks
        return data[count:], marks.after(count)

    def _deliver_gap(self, side: int, length: int, mark: Mark) -> None:
        if self.session.protocol == "h2" and not self._foreign[side]:
            self._walk.gap(side ^ self.session.flipped, length, mark)

    # ---- bookkeeping -------------------------------------------------------------------------------------------

    def _book(self) -> None:
        """Put every byte of the connection to its place in the accounts."""
        session, accounting = self.session, self._accounting
        if session.protocol != "h2":
            accounting.skip(SKIPPED[session.protocol], self._payload[0] + self._payload[1])
            return
        for side in (0, 1):
            half = session.h2.halves[side ^ session.flipped]
            accounting.decoded += half.decoded
            skipped = 0
            for reason, count in half.skipped.items():
                accounting.skip(reason, count)
                skipped += count
            rest = self._payload[side] - half.decoded - skipped
            reason = "other protocol on an HTTP/2 connection" if self._foreign[side] else "HTTP/1.1 before the upgrade"
            if self._foreign[side] or session.h2.upgraded:
                accounting.skip(reason, rest)
            elif rest:
                accounting.unbalanced.append(
                    Unbalanced(
                        session.index,
                        "client" if side ^ session.flipped == CLIENT else "server",
                        self._payload[side],
                        half.decoded,
                        skipped,
                    )
                )
                accounting.skip("unaccounted", rest)
