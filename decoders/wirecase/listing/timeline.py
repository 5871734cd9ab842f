"""Timelines: every frame of a call in both directions, and what happened on its connection meanwhile.

The calls are known from a first reading of the sources; a second one records the frames of their connections. A frame
is recorded before it has any effect, so the windows that it leaves behind are read when the next one comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from wirecase import pipeline
from wirecase.grpc.schema import Schema
from wirecase.http2.facts import DATA, ControlFrame, HeaderBlock, Stream, frame_name
from wirecase.http2.recorder import FrameRecorder
from wirecase.listing.bodies import BodyWalk
from wirecase.listing.events import NO_FRAME, Event, Fold, Folder, Window, facts_of, flag_names
from wirecase.listing.evidence import EvidencePlaces
from wirecase.listing.payloads import NODES, PayloadWalk
from wirecase.model import CLIENT, SERVER, ConnectionRef, Finding, Mark, Marks
from wirecase.query import CallRow
from wirecase.session.session import Session

_BUDGET = 64 << 20
"""Payload bytes that all timelines together keep."""


@dataclass(slots=True)
class Timeline:
    """What happened to one call, or on one connection."""

    connection: ConnectionRef
    row: CallRow | None
    """The call; None where the whole connection is shown."""
    findings: list[Finding]
    """Those that the call, or the connection, is part of."""
    items: list[Event | Fold] = field(default_factory=list)


class _Look:
    """One timeline in the making."""

    def __init__(self, row: CallRow | None, findings: list[Finding], *, everything: bool) -> None:
        self.row = row
        self.findings = findings
        self.folder = Folder(everything=everything)
        self.seen = row is None
        """The stream has been opened; a whole connection is open from the start."""
        self.done = False
        """The stream has closed: what happens on the connection does not concern it any more."""
        self.last: Mark | None = None

    def wants(self, stream: int) -> bool:
        """Tell whether a frame of `stream` belongs into it."""
        row = self.row
        return row is None or stream == row.stream or (stream == 0 and self.seen and not self.done)


class _Recorder:
    """Records one connection for some looks (`wirecase.http2.recorder.FrameRecorder`)."""

    def __init__(
        self, session: Session, looks: list[_Look], findings: Sequence[Finding], payload: int, budget: list[int],
        payloads: PayloadWalk,
    ) -> None:  # fmt: skip
        self.session = session
        self.looks = looks
        self._payload = payload
        self._budget = budget
        self._pending: Event | None = None
        """The last frame, whose effect is still to come."""
        self._headers: list[Event | None] = [None, None]
        """The last frame of each side that began a header block, with its offset in `mark`."""
        self._bodies: dict[tuple[int, int], BodyWalk] = {}
        self._data: list[Event | None] = [None, None]
        """The last DATA frame of each side, if it is wanted."""
        self._rest = [(0, 0), (0, 0)]
        """(stream, payload bytes still to come) of that frame, wanted or not."""
        self._streams: dict[int, Stream] = {}
        self._evidence = [EvidencePlaces(findings, session.index, side) for side in (CLIENT, SERVER)]
        self._payloads = payloads

    # ---- told by the walk --------------------------------------------------------------------------------------

    def frame(self, frame: ControlFrame) -> None:
        """A whole frame other than unpadded DATA."""
        event = self._take(frame, len(frame.payload))
        self._rest[frame.side] = (0, 0)
        if event is None:
            return
        if frame.kind == DATA:
            pad = frame.payload[0] if frame.payload else 0
            self._feed(event, frame.payload[1 : max(len(frame.payload) - pad, 1)])
            self._data[frame.side] = None
        else:
            event.facts = facts_of(frame)
            if event.name in ("HEADERS", "PUSH_PROMISE"):
                self._headers[frame.side] = event

    def data(self, frame: ControlFrame, length: int) -> None:
        """An unpadded DATA frame."""
        event = self._take(frame, length)
        self._rest[frame.side] = (frame.stream & 0x7FFFFFFF, length - len(frame.payload))
        self._data[frame.side] = event
        if event is not None:
            self._feed(event, frame.payload)

    def more(self, side: int, data: bytes, marks: Marks) -> None:
        """More of the last DATA frame."""
        stream, rest = self._rest[side]
        self._rest[side] = (stream, rest - len(data))
        event = self._data[side]
        if event is not None:
            self._keep(event, data)
            self._feed(event, data)

    def block(self, frame: ControlFrame, block: HeaderBlock) -> None:
        """The header block that began with `frame`."""
        event = self._headers[frame.side]
        if event is not None and event.mark.offset == frame.offset:
            event.headers = block.fields
            self._payloads.headers(event.stream or 0, frame.side, block)

    def gap(self, side: int, length: int, mark: Mark) -> None:
        """Bytes are missing."""
        self._settle()
        self._payloads.gap(side)
        inside, rest = self._rest[side]
        if length <= rest:  # within one DATA frame, whose length tells how it goes on
            self._rest[side] = (inside, rest - length)
            if (inside, side) in self._bodies:
                self._bodies[inside, side].gap(length)
        else:
            for (_, sender), walk in self._bodies.items():
                if sender == side:
                    walk.gap(None)
        for look in self.looks:
            if look.seen and not look.done:
                look.folder.add(Event("gap", "gap", side, mark, length=length))

    # ---- events ------------------------------------------------------------------------------------------------

    def _take(self, frame: ControlFrame, length: int) -> Event | None:
        self._settle()
        stream = frame.stream & 0x7FFFFFFF
        wanted = [look for look in self.looks if look.wants(stream)]
        if not wanted:
            return None
        event = Event(
            "frame", frame_name(frame.kind), frame.side, frame.mark(), flag_names(frame.kind, frame.flags), stream,
            length, mentions=self._evidence[frame.side].within(frame.offset, frame.offset + 9 + length),
        )  # fmt: skip
        self._keep(event, frame.payload)
        for look in wanted:
            if look.row is None or stream:
                look.last = event.mark
                look.seen = True
            look.folder.add(event)
        self._pending = event
        return event

    def _keep(self, event: Event, data: bytes) -> None:
        """Keep the first bytes of a payload, as far as they are wanted and there is room."""
        room = min(self._payload - len(event.payload), self._budget[0])
        if room > 0 and event.fold is None:
            part = bytes(data[:room])
            self._budget[0] -= len(part)
            event.payload += part

    def _feed(self, event: Event, data: bytes) -> None:
        walk = self._bodies.get((event.stream or 0, event.side))
        if walk is None:
            walk = self._bodies[event.stream or 0, event.side] = BodyWalk()
        if event.body is None:
            event.body = walk.begin()
        before = event.body.count
        walk.feed(data, event.body)
        views = self._payloads.feed(event.stream or 0, event.side, data, event.mark)
        if event.fold is None:
            event.views += views
        if event.fold is not None:
            event.fold.messages[event.side] += event.body.count - before

    def _settle(self) -> None:
        """The last frame has had its effect: note the windows that it left, and whether it closed a stream."""
        event, self._pending = self._pending, None
        if event is None:
            return
        h2 = self.session.h2
        if event.stream:
            open_now = h2.streams.get(event.stream)
            if open_now is not None:
                self._streams[event.stream] = open_now
            elif event.stream in self._streams:
                for look in self.looks:
                    look.done = look.done or (look.row is not None and look.row.stream == event.stream)
        if not h2.windows_known:
            return
        stream = self._streams.get(event.stream or 0)
        event.windows = (
            Window(stream.windows[CLIENT] if stream else None, h2.halves[CLIENT].window),
            Window(stream.windows[SERVER] if stream else None, h2.halves[SERVER].window),
        )

    # ---- the end -----------------------------------------------------------------------------------------------

    def timelines(self) -> list[tuple[_Look, Timeline]]:
        """Everything was read: return what was recorded."""
        self._settle()
        found = []
        for look in self.looks:
            look.folder.flush()
            items = _with_tcp(look, self.session, self._evidence)
            found.append((look, Timeline(self.session.ref, look.row, look.findings, items)))
        return found


def _with_tcp(look: _Look, session: Session, evidence: list[EvidencePlaces]) -> list[Event | Fold]:
    """Return the items of a look with the events of TCP that concern it at their places."""
    events: list[Event] = []
    for side in (CLIENT, SERVER):
        facts = session.side(side)
        marks = {"SYN": facts.syn if look.row is None else None, "zero window": facts.zero_window, "FIN": facts.fin}
        marks |= {"RST": facts.rst, "RST that its peer ignores": facts.bad_rst}
        for name, mark in marks.items():
            if mark is not None and _concerns(look, mark):
                events.append(Event("tcp", name, side, mark, mentions=evidence[side].at_packet(mark)))
    for side, half in enumerate(session.h2.halves):
        found = half.stray
        if found is not None and _concerns(look, found.mark):
            begin = found.mark.offset
            mentions = evidence[side].within(begin, begin + found.length)
            events.append(Event("tcp", NO_FRAME, side, found.mark, facts={"text": found.data}, mentions=mentions))
    if not events:
        return look.folder.items
    events.sort(key=lambda event: event.mark[:2])
    merged: list[Event | Fold] = []
    for item in look.folder.items:
        place = (item.mark if isinstance(item, Event) else item.first)[:2]
        while events and events[0].mark[:2] < place:
            merged.append(events.pop(0))
        merged.append(item)
    return merged + list(events)


def _concerns(look: _Look, mark: Mark) -> bool:
    """Tell whether an end of the connection touched the call: it came while the call was open."""
    row = look.row
    if row is None:
        return True
    if (mark.source, mark.packet) < (row.source, row.packet):
        return False
    return not look.done or (look.last is not None and mark[:2] <= look.last[:2])


def timelines(
    options: pipeline.Options,
    rows: Sequence[CallRow],
    findings: Sequence[Finding],
    *,
    connections: Sequence[int] = (),
    everything: bool = False,
    payload: int = 0,
    schema: Schema | None = None,
    progress: pipeline.Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> list[Timeline]:
    """Read the sources again and return the timelines of `rows` and of whole `connections`, in that order.

    `rows` and `findings` are those of a first reading of the same sources. `everything` keeps what would be folded;
    `payload` is how many bytes of each frame are kept. `schema` has the types that payloads are read with.
    """
    by_id = {finding.id: finding for finding in findings}
    looks: dict[int, list[_Look]] = {}
    order: list[_Look] = []
    for row in rows:
        named = [by_id[one] for one in row.findings if one in by_id]
        order.append(_Look(row, named, everything=everything))
        looks.setdefault(row.connection, []).append(order[-1])
    for connection in connections:
        named = [one for one in findings if one.connection is not None and one.connection.index == connection]
        order.append(_Look(None, named, everything=everything))
        looks.setdefault(connection, []).append(order[-1])
    budget, drawn = [_BUDGET], [NODES]
    recorders: list[_Recorder] = []

    def record(session: Session) -> FrameRecorder | None:
        wanted = looks.get(session.index)
        if wanted is None:
            return None
        recorders.append(_Recorder(session, wanted, findings, payload, budget, PayloadWalk(schema, drawn)))
        return recorders[-1]

    pipeline.diagnose(options, progress=progress, stop=stop, record=record)
    found = {id(look): timeline for recorder in recorders for look, timeline in recorder.timelines()}
    return [found[id(look)] for look in order if id(look) in found]
