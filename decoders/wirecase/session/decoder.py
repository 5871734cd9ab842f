"""One connection from its TCP bytes to its calls: takes TLS off, recognises the protocol, then feeds the walk.

Until the protocol is known everything is held back (at most some 64 KiB a side); then it is told again in order. Where
it is TLS, what was held goes through `wirecase.tls`, and the question is asked anew of what comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol

from wirecase.http2.recorder import FrameRecorder
from wirecase.http2.sync import PREFACE
from wirecase.http2.walk import FrameWalk
from wirecase.model import CLIENT, Accounting, Excerpt, Mark, Marks, Stretch
from wirecase.session.booking import book
from wirecase.session.calls import CallTracker
from wirecase.session.detect import Decision, can_begin_frames, decide, decide_half
from wirecase.session.session import Session

if TYPE_CHECKING:
    from wirecase.tls.connection import TlsConnection
    from wirecase.tls.keylog import KeyStore

_FIRST_BYTES = 512
_ASKED_AGAIN = 1024
"""Bytes from which on it is no more asked at every run what they are, but whenever they have grown by a quarter."""

_BEGINNING = 16
"""Segments of a stretch that are taken one by one before it is asked again whether the rest can be taken at once."""


class PlainListener(Protocol):
    """Hears the bytes that come out of TLS, before they are decoded."""

    def run(self, side: int, data: bytes, marks: Marks) -> None:
        """Bytes of one side, as TCP numbers it; offsets count the plaintext."""

    def gap(self, side: int, length: int, reason: str, mark: Mark) -> None:
        """A hole in them."""


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
        keys: KeyStore | None = None,
        plain: PlainListener | None = None,
    ) -> None:
        """`keys` open TLS; `plain` hears the bytes that come out of it."""
        self.session = session
        self._keys = keys
        self._plain = plain
        self._tls: TlsConnection | None = None
        self._sealed: list[Excerpt | None] = [None, None]
        """The first bytes of each TCP side, where they are TLS."""
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
        """Bytes taken in (after TLS), by TCP side."""
        self._next_try = 0
        """Bytes of both sides at which it is next asked what they are."""

    def hear_inside(self, plain: PlainListener) -> None:
        """Let somebody hear the bytes that come out of TLS."""
        self._plain = plain

    def hand_on(self) -> int:
        """Hand on the calls that closed a while ago (`wirecase.http2.closed.ClosedStreams.hand_on`)."""
        return self._walk.table.closed.hand_on() if self.session.protocol == "h2" else 0

    def give_up(self, before: int) -> None:
        """Let go of streams whose ends a hole may hide (`wirecase.http2.streams.StreamTable.give_up`)."""
        if self.session.protocol == "h2":
            self._walk.table.give_up(before)

    # ---- told by the assembler ---------------------------------------------------------------------------------

    def run(self, side: int, data: bytes, marks: Marks) -> None:
        """Bytes of one side, in order."""
        if self._tls is None:
            self._run(side, data, marks)
        else:
            self._tls.run(side, data, marks)

    def _run(self, side: int, data: bytes, marks: Marks) -> None:
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
        if self._tls is not None:
            self._tls.stretch(stretch)
            return
        rest = self._until_plain(stretch, self.run)
        if rest is not None and self._tls is not None:
            self._tls.stretch(rest)
        elif rest is not None:
            self._whole_stretch(rest)

    def _until_plain(self, stretch: Stretch, run: Callable[[int, bytes, Marks], None]) -> Stretch | None:
        """Take segments one by one until the rest can be taken at once; None if there is no rest."""
        at, step = 0, _BEGINNING
        tls = self._tls
        while at < len(stretch) and not self._is_plain() and self._tls is tls:
            for one in stretch.runs(at, min(at + step, len(stretch))):
                run(*one)
            at += step
            step *= 2
        return stretch.after(at) if at < len(stretch) else None

    def _whole_stretch(self, rest: Stretch) -> None:
        lengths = rest.ends - rest.begins
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
        if self._tls is None:
            self._gap(side, length, reason, mark)
        else:
            self._tls.gap(side, length, reason, mark)

    def _gap(self, side: int, length: int, reason: str, mark: Mark) -> None:
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
        if self._held is not None and self._tls is None:
            self._try_to_decide(final=True)
        if self._tls is not None:
            self._tls.finish()
            if self._held is not None:
                self._try_to_decide(final=True)
            if session.protocol == "empty":
                session.protocol = "tls"
                sealed = self._sealed[:: -1 if session.flipped else 1]
                session.first_bytes = [one and one._replace(side=side) for side, one in enumerate(sealed)]
        if session.protocol == "h2":
            self._walk.finish()
        book(session, self._accounting, self._payload, self._foreign)
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
        tls = self._tls
        if tls is not None and (tls.blind(0) or tls.blind(1)):
            decision = decide_half(first, client=int(session.flipped), final=final)
        else:
            decision = decide(first, from_start=from_start, initiator=initiator, final=final, forced=self._forced)
        if decision is not None:
            if decision.protocol == "tls" and tls is None:
                self._take_off(decision)
            else:
                self._settle(decision, first)
            return
        held = self._payload[0] + self._payload[1]
        self._next_try = held + held // 4 if held > _ASKED_AGAIN else 0

    def _take_off(self, decision: Decision) -> None:
        """Send what was held, and all that comes, through TLS."""
        from wirecase.tls.connection import TlsConnection
        from wirecase.tls.facts import TlsFacts
        from wirecase.tls.keylog import KeyStore

        session = self.session
        session.flipped = decision.client == 1
        if session.tcp.syn_seen:
            session.roles = "syn"
        elif decision.client is not None:
            session.roles = "content"
        self._tls = tls = TlsConnection(TlsFacts(), self._keys or KeyStore(), _Inside(self), flipped=session.flipped)
        session.take_off(tls)
        held, self._held = self._held or [], []
        self._sealed, session.first_bytes = session.first_bytes, [None, None]
        self._first = [bytearray(), bytearray()]
        self._payload = [0, 0]
        self._hole_first, self._next_try = False, 0
        for what, arguments in held:
            if what == "run":
                tls.run(*arguments)
            else:
                tls.gap(*arguments)

    def hear(self, side: int, data: bytes, marks: Marks) -> None:
        """Take plaintext of one side."""
        if self._plain is not None:
            self._plain.run(side, data, marks)
        self._run(side, data, marks)

    def hear_stretch(self, stretch: Stretch) -> None:
        """Take plaintext of both sides."""
        if self._plain is not None:
            for run in stretch.runs():
                self.hear(*run)
            return
        rest = self._until_plain(stretch, self._run)
        if rest is not None:
            self._whole_stretch(rest)

    def hear_gap(self, side: int, length: int, reason: str, mark: Mark) -> None:
        """Take a hole in the plaintext of one side."""
        if self._plain is not None:
            self._plain.gap(side, length, reason, mark)
        self._gap(side, length, reason, mark)

    def _settle(self, decision: Decision, first: list[bytes]) -> None:
        session = self.session
        session.protocol = "other" if decision.protocol == "tls" else decision.protocol
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
                blind = self._tls is not None and self._tls.blind(side)
                if decision.late[side] or unseen or blind:
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


class _Inside:
    """Takes the plaintext of a connection's TLS (`wirecase.tls.connection.Plain`)."""

    __slots__ = ("_decoder",)

    def __init__(self, decoder: ConnectionDecoder) -> None:
        self._decoder = decoder

    def run(self, side: int, data: bytes, marks: Marks) -> None:
        self._decoder.hear(side, data, marks)

    def stretch(self, stretch: Stretch) -> None:
        self._decoder.hear_stretch(stretch)

    def gap(self, side: int, length: int, reason: str, mark: Mark) -> None:
        self._decoder.hear_gap(side, length, reason, mark)
