"""What a recorded client did, in an order that holds when the server is faster, slower or answers otherwise.

Theory. A client's act on a stream comes after its own acts before it, and after as much of the answer as it had seen
by then: header blocks, whole messages, the end. A call begins after the call that began before it, and after those that
were over by then: as many calls are open at once as were in the recording. Delays count from the latest of these.
What a live peer does by itself (acknowledgements, credit for DATA) is not played, unless the fault lies in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from wirecase.http2.facts import ACK, END_STREAM, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE
from wirecase.model import CLIENT, SERVER, Finding
from wirecase.replay.plan import Act, Blob, Data, End, Frame, Headers, MessageCount, More, Raw, RecordedConnection

FREE = ("h2-", "fc-", "hpack-")
"""Beginnings of rules whose faults, if they are the client's, are sent as they are, whatever the server allows."""

PINGS = frozenset({"goaway-too-many-pings", "keepalive-unanswered", "h2-flood", "idle-cut"})
"""Rules that speak of the client's PINGs."""


@dataclass(slots=True)
class Step:
    """Something to send on a stream."""

    act: Act
    delay: int
    """ns since the latest of what it comes after."""
    headers: int = 0
    """Header blocks of the answer that had come."""
    messages: int = 0
    """Whole messages of the answer that had come."""
    ended: bool = False
    """The answer was over."""
    body: list[Blob] = field(default_factory=list)
    """For DATA: its payload."""
    cut: bool = False
    """The frame was never finished: nothing can follow it on the connection."""


@dataclass(slots=True)
class Script:
    """All that is sent on one stream."""

    stream: int
    call: int | None
    path: str
    steps: list[Step] = field(default_factory=list)
    delay: int = 0
    """ns from the latest of what its beginning comes after."""
    setup: int = 0
    """Acts of the connection that came before it."""
    over: list[int] = field(default_factory=list)
    """Streams that were over when it began, and not yet when the one before it did."""

    @property
    def is_ended(self) -> bool:
        """The request has an end."""
        return any(_ends(step.act) for step in self.steps)


@dataclass(slots=True)
class Setup:
    """Something to send on the connection itself."""

    act: Act
    delay: int
    begun: int = 0
    """Streams that had begun."""
    over: list[int] = field(default_factory=list)
    """Streams that were over, and not yet at the act before it."""
    order: int = 0


@dataclass(slots=True)
class Play:
    """One connection."""

    index: int
    started: int
    setup: list[Setup] = field(default_factory=list)
    scripts: list[Script] = field(default_factory=list)
    free: bool = False
    """The client's own faults are played: stream ids, windows and limits are as recorded."""
    acknowledge: bool = True
    """SETTINGS and PING of the server are answered as they come."""
    credit: bool = True
    """Credit is given as DATA comes, not as recorded."""
    pings: bool = False
    """PINGs are sent as recorded, as a finding speaks of them. Elsewhere they are a client's own affair."""
    plain: bool = False
    """Header blocks are encoded without a dynamic table."""
    late: bool = False
    """The beginning of the client's bytes is not in the recording."""
    upgraded: bool = False
    """h2c by Upgrade: the server answers in HTTP/1.1 first."""
    after_settings: bool = False
    """The server's SETTINGS had come before the first stream was begun."""
    speaks: bool = True
    """The client sent anything at all."""

    @property
    def span(self) -> int:
        """ns that the delays of its longest chain come to, roughly."""
        steps = sum(step.delay for script in self.scripts for step in script.steps)
        return steps + sum(one.delay for one in self.setup) + sum(script.delay for script in self.scripts)


@dataclass(slots=True)
class _Heard:
    """What had come of the answer on a stream."""

    headers: int = 0
    count: MessageCount = field(default_factory=MessageCount)
    ended: bool = False
    last: int = 0
    """Time of the last act on the stream."""


def play_of(made: RecordedConnection, findings: Sequence[Finding]) -> Play:
    """Return what is sent on one connection."""
    own = {
        one.rule
        for one in findings
        if one.who[:1] == ["client"]
        and one.severity != "info"
        and any(place.connection == made.index for place in one.occurrences)
    }
    play = Play(
        made.index, made.started, plain=made.plain_headers, late=made.late[CLIENT], upgraded=made.upgraded,
        free=any(rule.startswith(FREE) for rule in own),
        acknowledge=not own & {"h2-flood", "h2-settings-not-acked", "keepalive-unanswered"},
        credit=not any(rule.startswith("fc-") for rule in own),
    )  # fmt: skip
    play.pings = not play.acknowledge or any(
        one.rule in PINGS and any(place.connection == made.index for place in one.occurrences) for one in findings
    )
    _Writer(play).write(made)
    play.speaks = bool(play.setup or play.scripts)
    return play


class _Writer:
    def __init__(self, play: Play) -> None:
        self._play = play
        self._scripts: dict[int, Script] = {}
        self._heard: dict[int, _Heard] = {}
        self._over: list[int] = []
        """Streams that were over since the last beginning of a stream."""
        self._over_before_setup: list[int] = []
        self._latest = play.started
        """Time of the latest of what a beginning comes after."""
        self._answered = False
        self._open: tuple[Step, int] | None = None
        """DATA that goes on, and how much of it is still to come."""

    def write(self, made: RecordedConnection) -> None:
        last = {act.stream: act.order for act in made.acts if act.side == CLIENT}
        for act in made.acts:
            if act.side == SERVER:
                self._hear(act, counts=act.order < last.get(act.stream, -1))
            elif act.stream:
                self._on_stream(act, made)
            else:
                self._on_connection(act)
        if self._open is not None:
            self._open[0].cut = True

    def _stream(self, number: int) -> _Heard:
        heard = self._heard.get(number)
        if heard is None:
            heard = self._heard[number] = _Heard()
        return heard

    def _finished(self, number: int, heard: _Heard, time: int) -> None:
        if not heard.ended:
            heard.ended = True
            if number in self._scripts:
                self._over.append(number)
                self._over_before_setup.append(number)
                self._latest = max(self._latest, time)

    def _hear(self, act: Act, *, counts: bool) -> None:
        if not act.stream:
            if isinstance(act, Frame) and act.kind == SETTINGS and not act.flags & ACK and not self._play.scripts:
                self._play.after_settings = True
            return
        heard = self._stream(act.stream)
        heard.last = act.time
        if isinstance(act, Headers):
            heard.headers += 1
        elif isinstance(act, Data | More):
            self._answered = True
            if counts:
                heard.count.feed(act.body.read())
        if _ends(act):
            self._finished(act.stream, heard, act.time)

    def _on_stream(self, act: Act, made: RecordedConnection) -> None:
        if isinstance(act, More):
            self._go_on(act)
            return
        if self._is_habit(act):
            return
        script = self._scripts.get(act.stream)
        heard = self._stream(act.stream)
        if script is None:
            call = made.calls.get(act.stream)
            script = Script(
                act.stream, call.number if call is not None else None, call.path if call is not None else "",
                delay=max(act.time - self._latest, 0), setup=len(self._play.setup), over=self._over,
            )  # fmt: skip
            self._over = []
            self._scripts[act.stream] = script
            self._play.scripts.append(script)
            self._latest = max(self._latest, act.time)
            step = Step(act, 0)
        else:
            step = Step(act, max(act.time - heard.last, 0), heard.headers, heard.count.whole, heard.ended)
        script.steps.append(step)
        heard.last = act.time
        if isinstance(act, Data):
            step.body.append(act.body)
            left = act.length - act.body.size - (1 + act.pad if act.pad is not None else 0)
            self._open = (step, left) if left > 0 else None
        if isinstance(act, Frame) and act.kind == RST_STREAM:
            self._finished(act.stream, heard, act.time)

    def _go_on(self, act: More) -> None:
        """Put more of a DATA frame to it: a pause within a frame is nothing that a server can tell from its end."""
        if self._open is None:
            return
        step, left = self._open
        step.body.append(act.body)
        left -= act.body.size
        self._open = (step, left) if left > 0 else None

    def _on_connection(self, act: Act) -> None:
        if self._is_habit(act):
            return
        if isinstance(act, End) and any(isinstance(one.act, End) for one in self._play.setup):
            return
        last = self._play.setup[-1].act.time if self._play.setup else self._play.started
        self._play.setup.append(
            Setup(
                act, max(act.time - max(self._latest, last), 0), len(self._play.scripts), self._over_before_setup,
                act.order,
            )
        )  # fmt: skip
        self._over_before_setup = []

    def _is_habit(self, act: Act) -> bool:
        """Tell whether a live peer does this by itself."""
        if not isinstance(act, Frame):
            return False
        if act.kind in (SETTINGS, PING) and act.flags & ACK:
            return self._play.acknowledge
        if act.kind == PING:
            return not self._play.pings
        return act.kind == WINDOW_UPDATE and self._play.credit and self._answered


def _ends(act: Act) -> bool:
    if isinstance(act, Headers):
        return act.end_stream
    if isinstance(act, Data):
        return bool(act.flags & END_STREAM)
    return isinstance(act, Frame) and act.kind == RST_STREAM


def first_settings(play: Play) -> bytes | None:
    """Return the payload of the SETTINGS that the client begins with."""
    for one in play.setup:
        act = one.act
        if isinstance(act, Frame) and act.kind == SETTINGS and not act.flags & ACK:
            return act.payload
        if not isinstance(act, Raw):
            return None
    return None


def greeting(play: Play) -> int:
    """Return how many acts the client begins with before it may answer anything: its preface and SETTINGS."""
    count = 0
    for one in play.setup:
        if isinstance(one.act, Raw):
            count += 1
            continue
        return count + (isinstance(one.act, Frame) and one.act.kind == SETTINGS)
    return count
