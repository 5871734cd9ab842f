"""One recorded connection, played to a live server."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from wirecase.http2.facts import (
    DATA,
    END_STREAM,
    INITIAL_WINDOW_SIZE,
    PADDED,
    RST_STREAM,
    SETTINGS,
    header_bytes,
)
from wirecase.http2.sync import PREFACE
from wirecase.replay.caller.address import Target, Tls
from wirecase.replay.caller.frames import HeaderWriter, Replaced
from wirecase.replay.caller.model import Sent
from wirecase.replay.caller.scanner import LiveStream, Scanner
from wirecase.replay.caller.script import Play, Script, Setup, Step, first_settings, greeting
from wirecase.replay.caller.tap import Recorder
from wirecase.replay.caller.wire import LiveWire, dial, reason_of
from wirecase.replay.plan import Act, Data, End, Frame, Headers, Raw

_PATIENCE = 2.0
"""Seconds that an answer may be later than the recorded one before the request goes on without it."""
_LINGER = 0.25
"""Seconds in which the server may still say something once all calls are over."""
_CANCEL = (8).to_bytes(4, "big")


@dataclass(slots=True)
class Manner:
    """How the requests are sent."""

    speed: float = 1.0
    """Factor on the recorded tempo; infinity for no delays at all."""
    timeout: float = 30.0
    """Seconds for each call."""
    replaced: Replaced = ()
    """Header fields with other values than the recorded ones."""

    def pause(self, nanoseconds: int) -> float:
        """Return the seconds that a recorded delay takes."""
        return nanoseconds / 1e9 / self.speed


@dataclass(slots=True)
class _Live:
    """A stream that is being played."""

    script: Script
    number: int
    state: LiveStream
    begun: float
    over: asyncio.Event = field(default_factory=asyncio.Event)
    sent: int = 0
    """Steps that were sent."""
    patient: bool = True
    """The request waits for as much of the answer as had come in the recording."""


class Caller:
    """Plays one connection; `run` returns when it is over."""

    def __init__(
        self, play: Play, target: Target, tls: Tls | None, recorder: Recorder, sent: Sent, manner: Manner
    ) -> None:
        self._play = play
        self._target = target
        self._tls = tls
        self._recorder = recorder
        self._sent = sent
        self._manner = manner
        self._scanner = Scanner(self._answer, acknowledge=play.acknowledge, credit=play.credit)
        self._scanner.http1_head = play.upgraded
        settings = first_settings(play)
        for at in range(0, len(settings or b"") - 5, 6):
            assert settings is not None
            if int.from_bytes(settings[at : at + 2], "big") == INITIAL_WINDOW_SIZE:
                self._scanner.own_window = int.from_bytes(settings[at + 2 : at + 6], "big")
        self._headers = HeaderWriter(plain=play.plain, replaced=manner.replaced)
        self._wire: LiveWire
        self._live: dict[int, _Live] = {}
        """By recorded stream."""
        self._begun = 0
        self._set_up = 0
        self._greeting = greeting(play)
        self._owed = bytearray()
        """Answers that wait for the greeting to be sent."""
        self._next_id = 1

    # ---- the whole ---------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Connect, play, close. What could not be done is noted, nothing is raised."""
        if not await self._connect():
            return
        listening = asyncio.create_task(self._wire.listen())
        try:
            await self._perform()
        finally:
            self._wire.close()
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening
        if self._wire.flooded:
            self._sent.deviate(
                "cut-off", "the server sent more than is taken: the connection was closed", connection=self._play.index
            )

    async def _connect(self) -> bool:
        try:
            reader, writer = await dial(self._target, self._tls)
        except (OSError, TimeoutError) as error:
            self._sent.errors[self._play.index] = reason_of(error)
            return False
        tape = self._recorder.open()
        self._wire = LiveWire(reader, writer, tape, self._scanner, self._notify)
        self._sent.connections[tape.client] = self._play.index
        return True

    async def _perform(self) -> None:
        play = self._play
        if play.late:
            self._sent.deviate(
                "joined-late", "the beginning of the connection is not in the recording: it is the replay's own",
                connection=play.index,
            )  # fmt: skip
            self._scanner.own_window = 65_535
            self._wire.write(PREFACE + header_bytes(0, SETTINGS, 0, 0))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._set_everything_up())
            await self._begin_streams(tasks)
        await self._wire.until(lambda: self._wire.lost, _LINGER)

    def _notify(self) -> None:
        for live in self._live.values():
            if live.state.ended or self._wire.lost:
                live.over.set()
        self._wire.pulse()

    # ---- the connection itself ---------------------------------------------------------------------------------

    async def _set_everything_up(self) -> None:
        for one in self._play.setup:
            await self._wire.until(lambda one=one: self._begun >= one.begun, self._manner.timeout)  # type: ignore[misc]
            for stream in one.over:
                await self._wait_over(stream)
            if isinstance(one.act, End):
                await self._wire.until(lambda one=one: self._sent_before(one), self._manner.timeout)  # type: ignore[misc]
            await self._sleep(one.delay)
            if not self._wire.lost:
                await self._set_up_with(one.act)
            self._set_up += 1
            if self._set_up >= self._greeting and self._owed:
                self._wire.write(bytes(self._owed))
                self._owed.clear()
            self._notify()

    def _sent_before(self, end: Setup) -> bool:
        """Tell whether everything was sent that was sent before the client's end."""
        return all(
            live.over.is_set()
            or live.sent >= len(live.script.steps)
            or live.script.steps[live.sent].act.order > end.order
            for live in self._live.values()
        )

    async def _set_up_with(self, act: Act) -> None:
        if isinstance(act, Raw):
            self._wire.write(act.data)
        elif isinstance(act, Frame):
            self._wire.write(header_bytes(len(act.payload), act.kind, act.flags, 0) + act.payload)
        elif isinstance(act, End) and act.how == "rst":
            self._wire.abort()
        elif isinstance(act, End):
            if any(not live.over.is_set() for live in self._live.values()):
                self._wire.half_close()
        elif isinstance(act, Headers):  # a header block on stream 0
            self._wire.write(self._headers.frames(act, 0, largest=1 << 24))
        elif isinstance(act, Data):
            body = act.body.read()
            self._wire.write(header_bytes(act.length, DATA, act.flags, 0) + body)
        await self._wire.drain()

    # ---- streams -----------------------------------------------------------------------------------------------

    async def _begin_streams(self, tasks: asyncio.TaskGroup) -> None:
        if self._play.after_settings:
            await self._wire.until(lambda: self._scanner.settings_seen or not self._scanner.is_http2, _PATIENCE)
        for script in self._play.scripts:
            await self._wire.until(lambda script=script: self._set_up >= script.setup, self._manner.timeout)  # type: ignore[misc]
            for stream in script.over:
                await self._wait_over(stream)
            await self._sleep(script.delay)
            if not self._wire.lost and not self._play.free:
                await self._room_for(script)
            if self._wire.lost or self._wire.mute:
                self._skip(script)
            else:
                live = self._begin(script)
                tasks.create_task(self._go_on(live))
            self._begun += 1
            self._notify()

    def _skip(self, script: Script) -> None:
        if script.call is not None:
            self._sent.skipped[script.call] = "the connection was over before it began"

    async def _room_for(self, script: Script) -> None:
        """Respect the server's MAX_CONCURRENT_STREAMS (RFC 9113 §5.1.2)."""
        scanner = self._scanner

        def room() -> bool:
            limit = scanner.max_streams
            return limit is None or sum(not one.over.is_set() for one in self._live.values()) < limit

        if not room():
            self._sent.deviate(
                "waited-for-streams", "the server allows fewer streams at once than the recording had",
                connection=self._play.index, call=script.call,
            )  # fmt: skip
            await self._wire.until(room, self._manner.timeout)

    def _begin(self, script: Script) -> _Live:
        if self._play.free:
            number = script.stream
        else:
            number = max(script.stream, self._next_id) if script.stream % 2 else script.stream
            self._next_id = number + 2 if number % 2 else self._next_id
        state = self._scanner.open(number)
        live = _Live(script, number, state, asyncio.get_running_loop().time())
        self._live[script.stream] = live
        if script.call is not None:
            self._sent.streams[self._wire.tape.client, number] = script.call
        first = script.steps[0].act
        if isinstance(first, Headers):
            self._send_headers(first, live)
        elif isinstance(first, Frame):
            self._send_frame(first, live)
        return live

    async def _go_on(self, live: _Live) -> None:
        """Send the rest of a request, and wait for its answer."""
        try:
            async with asyncio.timeout(self._manner.timeout):
                steps = live.script.steps
                if isinstance(steps[0].act, Data):
                    await self._send_data(steps[0], live)
                live.sent = 1
                for step in steps[1:]:
                    if self._wire.lost or self._wire.mute:
                        break
                    await self._step(step, live)
                    live.sent += 1
                    self._wire.pulse()
                await self._wire.drain()
                await self._end_request(live)
                await live.over.wait()
        except TimeoutError:
            if live.script.call is not None:
                self._sent.gave_up.add(live.script.call)
            if not self._play.free:
                self._wire.write(header_bytes(4, RST_STREAM, 0, live.number) + _CANCEL)
        live.over.set()
        self._notify()

    async def _end_request(self, live: _Live) -> None:
        """End a request that has no end in the recording, as its answer came first: the live one may wait for it."""
        state = live.state
        if live.script.is_ended or self._play.free or self._wire.mute:
            return
        if await self._wire.until(lambda: state.ended or live.over.is_set(), _PATIENCE) or self._wire.lost:
            return
        self._sent.deviate(
            "request-ended", "the recorded request has no end, as its answer came first: it was ended",
            connection=self._play.index, call=live.script.call,
        )  # fmt: skip
        self._wire.write(header_bytes(0, DATA, END_STREAM, live.number))

    async def _step(self, step: Step, live: _Live) -> None:
        state = live.state

        def ready() -> bool:
            enough = state.headers >= step.headers and state.count.whole >= step.messages
            return state.ended or (enough and not step.ended)

        # nobody waits for the end of an answer to send more of a request: it was on its way already
        crossed = step.ended and isinstance(step.act, Data | Headers)
        if not crossed and live.patient and not ready():
            waited = await self._wire.until(ready, self._manner.pause(step.delay) + _PATIENCE)
            live.patient = waited
            if not waited and not self._wire.lost:
                self._sent.deviate(
                    "went-on", "the request went on although less of the answer had come than in the recording",
                    connection=self._play.index, call=live.script.call,
                )  # fmt: skip
        await self._sleep(step.delay)
        act = step.act
        if self._wire.lost or self._wire.mute:
            return
        if isinstance(act, Data):
            await self._send_data(step, live)
        elif isinstance(act, Headers):
            self._send_headers(act, live)
        elif isinstance(act, Frame):
            if act.kind == RST_STREAM and state.ended and not step.ended:
                self._sent.deviate(
                    "not-reset", "the recorded client reset the call; the live answer was over by then",
                    connection=self._play.index, call=live.script.call,
                )  # fmt: skip
                return
            self._send_frame(act, live)
            if act.kind == RST_STREAM:
                live.over.set()
                self._notify()

    def _send_headers(self, act: Headers, live: _Live) -> None:
        self._headers.set_table_size(self._scanner.table_size)
        largest = 1 << 24 if self._play.free else self._scanner.max_frame
        self._wire.write(self._headers.frames(act, live.number, largest=largest))

    def _send_frame(self, act: Frame, live: _Live) -> None:
        self._wire.write(header_bytes(len(act.payload), act.kind, act.flags, live.number) + act.payload)

    async def _send_data(self, step: Step, live: _Live) -> None:
        """Send a DATA frame as it was recorded, or in parts where the server's windows ask for it (RFC 9113 §5.2)."""
        act = step.act
        assert isinstance(act, Data)
        body = b"".join(blob.read() for blob in step.body)
        scanner, state = self._scanner, live.state
        if step.cut or self._play.free:
            head = header_bytes(act.length, DATA, act.flags, live.number)
            padding = bytes(act.pad) if act.pad is not None else b""
            pad = bytes((act.pad,)) if act.pad is not None else b""
            self._wire.write(head + pad + body + padding)
            self._wire.mute = self._wire.mute or step.cut
            await self._wire.drain()
            return
        whole = len(body) + (1 + act.pad if act.pad is not None else 0)
        room = min(scanner.window, state.window)
        if whole <= scanner.max_frame and whole <= room:
            self._data_frame(body, act.flags, act.pad, live)
            await self._wire.drain()
            return
        self._sent.deviate(
            "frame-split", "DATA frames were split, as the server's windows or largest frame ask for smaller ones",
            connection=self._play.index,
        )  # fmt: skip
        at = 0
        while at < len(body) or not body:
            await self._wire.until(lambda: state.ended or min(scanner.window, state.window) > 0, self._manner.timeout)
            size = min(scanner.max_frame, scanner.window, state.window, len(body) - at)
            if self._wire.lost or state.ended or (size <= 0 and body):
                return
            last = at + size >= len(body)
            self._data_frame(body[at : at + size], act.flags & ~PADDED if last else 0, None, live)
            at += size
            await self._wire.drain()
            if last:
                return

    def _data_frame(self, body: bytes, flags: int, pad: int | None, live: _Live) -> None:
        payload = body if pad is None else bytes((pad,)) + body + bytes(pad)
        if pad is None:
            flags &= ~PADDED
        self._scanner.window -= len(payload)
        live.state.window -= len(payload)
        self._wire.write(header_bytes(len(payload), DATA, flags, live.number) + payload)

    # ---- bytes -------------------------------------------------------------------------------------------------

    def _answer(self, data: bytes) -> None:
        """Send what the server is owed at once, but not before the connection was begun."""
        if self._set_up < self._greeting:
            self._owed += data
        else:
            self._wire.write(data)

    async def _sleep(self, nanoseconds: int) -> None:
        seconds = self._manner.pause(nanoseconds)
        if seconds > 0 and not self._wire.lost:
            await asyncio.sleep(seconds)

    async def _wait_over(self, stream: int) -> None:
        live = self._live.get(stream)
        if live is not None:
            await live.over.wait()
