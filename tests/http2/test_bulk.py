"""The fast path by columns against the walk: the same facts, the same calls, the same findings on any traffic."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from captures import Conversation, Decoded, batches, decode, merge
from h2_bytes import (
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    REQUEST,
    RESPONSE,
    T0,
    TRAILERS,
    Script,
    data,
    frame,
    goaway,
    message,
    padded,
    plain,
    rst,
    settings,
    settings_ack,
    window_update,
)
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from wirecase.model import CLIENT, SERVER, Diagnosis
from wirecase.pipeline import Options, Pipeline
from wirecase.session.calls import CallLog

Packets = list[tuple[int, bytes]]


class Traffic:
    """Calls on one connection, many at once, and what else peers do; the same for the same `seed`."""

    def __init__(self, seed: int, *, at_once: int, odd: float, unique: float, aligned: float) -> None:
        self.chance = random.Random(seed)
        self.script = Script()
        self.at_once, self.odd, self.unique, self.aligned = at_once, odd, unique, aligned
        self.stages: dict[int, int] = {}
        """Open calls: 0 asking, 1 asked, 2 answering."""
        self.over: list[int] = []
        self.next = 1
        self.held: list[tuple[int, bytes]] = []

    def say(self, side: int, *parts: bytes) -> None:
        """Send frames in segments of their own, or held back to share or cross segments with those that follow."""
        if self.held and self.held[-1][0] != side:
            self.flush()
        self.held.append((side, b"".join(parts)))
        if self.chance.random() < 0.8:
            self.flush()

    def flush(self) -> None:
        """Send what is held back."""
        if not self.held:
            return
        side, wire = self.held[0][0], b"".join(part for _, part in self.held)
        self.held.clear()
        while wire:
            size = len(wire) if self.chance.random() < self.aligned else self.chance.randrange(1, len(wire) + 1)
            self.script.send(side, wire[:size])
            wire = wire[size:]

    def fields(self, base: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        """Header fields, some with a value of their own."""
        if self.chance.random() >= self.unique:
            return base
        more = [
            ("x-request-id", f"{self.chance.getrandbits(64):016x}"),
            ("grpc-timeout", self.chance.choice(("9S", "100m", f"{self.chance.randrange(10**6)}u", "never"))),
            ("x-b-bin", self.chance.choice(("YWJj", "a", "!"))),
            ("x-long", "v" * self.chance.randrange(300)),
            ("user-agent", "grpc/1"),
            ("x-odd", "a" + chr(self.chance.choice((1, 9, 200)))),
            (self.chance.choice(("x-a", "X-B", "connection", "content-length", "te")), "1"),
        ]
        return (*base, *self.chance.sample(more[: self.chance.choice((5, 5, 5, 7))], self.chance.randrange(1, 4)))

    def body(self) -> bytes:
        """Whole messages."""
        return b"".join(message(bytes(self.chance.randrange(60))) for _ in range(self.chance.choice((1, 1, 1, 2))))

    def step(self) -> None:
        """Let one thing happen."""
        if self.chance.random() < self.odd:
            self.chance.choice(ODD)(self)
        elif len(self.stages) < self.at_once and (not self.stages or self.chance.random() < 0.4):
            self.ask()
        else:
            self.go_on(self.chance.choice(list(self.stages)))

    def ask(self, *, end: bool = True) -> int:
        """Begin a call."""
        stream, self.next = self.next, self.next + 2
        parts = [self.script.peers[CLIENT].headers(stream, self.fields(REQUEST))]
        self.stages[stream] = 0
        if self.chance.random() < 0.8:
            parts.append(data(stream, self.body(), END_STREAM if end else 0))
            self.stages[stream] = int(end)
        self.say(CLIENT, *parts)
        return stream

    def go_on(self, stream: int) -> None:
        """Bring a call a little further."""
        stage = self.stages[stream]
        peer = self.script.peers[SERVER]
        if stage == 0:
            end = self.chance.random() < 0.7
            empty = end and self.chance.random() < 0.2
            self.say(CLIENT, data(stream, b"" if empty else self.body(), END_STREAM if end else 0))
            self.stages[stream] = int(end)
        elif stage == 1 and self.chance.random() < 0.5:
            self.say(SERVER, peer.headers(stream, RESPONSE), data(stream, self.body()),
                     peer.headers(stream, self.fields(TRAILERS), END_STREAM))  # fmt: skip
            self.finish(stream)
        elif stage == 1:
            self.say(SERVER, peer.headers(stream, RESPONSE))
            self.stages[stream] = 2
        elif self.chance.random() < 0.5:
            self.say(SERVER, data(stream, self.body()))
        else:
            self.say(SERVER, peer.headers(stream, TRAILERS, END_STREAM))
            self.finish(stream)

    def finish(self, stream: int) -> None:
        """A call is over."""
        del self.stages[stream]
        self.over.append(stream)

    def any(self) -> int:
        """A stream: open, over, or never opened."""
        return self.chance.choice(
            [*list(self.stages)[-3:], *self.over[-3:], *self.over[:1], self.next, self.next + 4, 1]
        )

    def side(self) -> int:
        """A side."""
        return self.chance.randrange(2)


def ping(t: Traffic) -> None:
    t.say(t.side(), frame(PING, t.side(), 0, t.chance.randbytes(8)))


def grow_connection(t: Traffic) -> None:
    t.say(t.side(), window_update(0, t.chance.choice((1, 500, 70_000, 1 << 24))))


def grow_stream(t: Traffic) -> None:
    t.say(
        t.side(), *[window_update(t.any(), t.chance.choice((1, 9, 0, 1 << 20, 1 << 30)))] * t.chance.choice((1, 1, 12))
    )


def reset_any(t: Traffic) -> None:
    stream = t.any()
    t.stages.pop(stream, None)
    t.say(t.side(), rst(stream, t.chance.choice((0, 2, 7, 8))))


def end_by(status: str) -> Callable[[Traffic], None]:
    """A call that ends with a status, trailers-only if it has not been answered."""

    def end(t: Traffic) -> None:
        if t.stages:
            stream = t.chance.choice(list(t.stages))
            only = RESPONSE if t.stages[stream] < 2 else ()
            fields = (*only, ("grpc-status", status))
            t.say(SERVER, t.script.peers[SERVER].headers(stream, fields, END_STREAM))
            t.finish(stream)

    return end


def no_trailers(t: Traffic) -> None:
    if t.stages:
        stream = t.chance.choice(list(t.stages))
        if t.stages[stream] < 2:
            t.say(SERVER, t.script.peers[SERVER].headers(stream, RESPONSE))
        t.say(SERVER, data(stream, t.body(), END_STREAM))
        t.finish(stream)


def page(t: Traffic) -> None:
    stream = t.ask()
    t.say(SERVER, t.script.peers[SERVER].headers(stream, ((":status", "502"), ("content-type", "text/html"))),
          data(stream, b"<html>502", END_STREAM))  # fmt: skip
    t.finish(stream)


def odd_data(t: Traffic) -> None:
    stream = t.any()
    side = t.side()
    body = t.chance.choice((b"", b"\0\0", b"Gateway", message(bytes(20))[:9], message(b"x", 1), message(bytes(5000))))
    t.say(side, data(stream, body, t.chance.choice((0, 0, END_STREAM))))


def padding(t: Traffic) -> None:
    if t.stages:
        t.say(CLIENT, frame(0, 8, t.chance.choice(list(t.stages)), padded(t.body(), t.chance.randrange(30))))


def continued(t: Traffic) -> None:
    stream, t.next = t.next, t.next + 2
    t.say(CLIENT, *t.script.peers[CLIENT].continued(stream, t.fields(REQUEST), [3, 9]))
    t.stages[stream] = 0


def skip_a_stream(t: Traffic) -> None:
    t.next += 2


def answer_early(t: Traffic) -> None:
    """The capture shows the answer before its request."""
    stream, t.next = t.next, t.next + 2
    t.say(SERVER, t.script.peers[SERVER].headers(stream, RESPONSE), data(stream, t.body()))
    t.say(CLIENT, t.script.peers[CLIENT].headers(stream, REQUEST), data(stream, t.body(), END_STREAM))
    t.stages[stream] = 2


def request_trailers(t: Traffic) -> None:
    if t.stages:
        stream = t.chance.choice(list(t.stages))
        t.say(CLIENT, t.script.peers[CLIENT].headers(stream, (("x-checksum", "1"),), END_STREAM))
        t.stages[stream] = max(t.stages[stream], 1)


def new_settings(t: Traffic) -> None:
    side = t.side()
    number, value = t.chance.choice(
        ((1, 0), (1, 300), (1, 4096), (3, 2), (3, 1000), (4, 65_535), (4, 200), (4, 1 << 20), (6, 200), (6, 1 << 16))
    )
    t.say(side, settings((number, value)))
    t.say(1 - side, settings_ack())
    if number == 1:
        t.script.peers[1 - side].encoder.header_table_size = value


def broken_block(t: Traffic) -> None:
    t.say(
        t.side(),
        frame(HEADERS, END_HEADERS, t.any(), t.chance.choice((b"\x82\xff\xff\xff\x01", b"\x40\x05ab", b"\xc5"))),
    )


def go_away(t: Traffic) -> None:
    t.say(t.side(), goaway(t.chance.choice((t.next, max(t.next - 6, 0))), t.chance.choice((0, 0, 11)), b"bye"))


COMMON: tuple[Callable[[Traffic], None], ...] = (
    ping, grow_connection, grow_stream, reset_any, end_by("0"), end_by("13"), no_trailers, page, padding, continued,
    skip_a_stream, request_trailers, odd_data,
)  # fmt: skip
RARE: tuple[Callable[[Traffic], None], ...] = (answer_early, new_settings, broken_block, go_away)
ODD = COMMON * 4 + RARE


def snapshot(done: Decoded) -> dict[str, Any]:
    """What the layers tell, sorted where only the order of telling may differ."""
    log = done.log
    found: dict[str, Any] = {
        "accounting": plain(done.accounting), "totals": plain(log.totals), "statuses": dict(log.statuses),
        "numbered": log.numbered,
        "calls": sorted(
            (call.index, call.session.index, call.stream.id, call.path, call.status_text, plain(call.ending),
             plain(call.stream)[0], call.stream.closed or call.stream.windows)
            for call in log.suspicious
        ),
    }  # fmt: skip
    for session in done.sessions:
        facts = plain(session.h2)
        facts["violations"] = sorted(facts["violations"], key=str)
        facts.pop("streams")
        for half in facts["halves"]:  # a closed stream of which more comes is sampled once more by the walk
            half["window_low"] = list(dict(reversed(half["window_low"])).items())[:40]
        found[f"session {session.index}"] = (facts, session.calls_seen, session.calls_ok, session.calls_matched)
    return found


def diagnose(packets: Packets, *, size: int, columns: bool | None) -> Diagnosis:
    """The whole pipeline."""
    pipeline = Pipeline(Options([]), columns=columns)
    for batch in batches(packets, size):
        pipeline.feed(batch)
    return pipeline.finish([], [], interrupted=False)


def findings(diagnosis: Diagnosis) -> list[Any]:
    """All that a report says, without the excerpts of DATA frames, which are as long as what had come by then."""
    told = []
    for finding in diagnosis.findings:
        whole = asdict(finding)
        for evidence in whole["evidence"]:
            evidence["data"] = evidence["data"][:9]
        told.append(whole)
    return told


def check(packets: Packets, *, sizes: tuple[int, ...] = (60, 0)) -> Decoded:
    """Compare the walk's facts and findings with those by columns."""
    for size in sizes:
        slow = decode(packets, size=size, columns=False)
        expected, fast = snapshot(slow), snapshot(decode(packets, size=size, columns=True))
        for name, value in expected.items():
            assert fast[name] == value, name
    one, other = (diagnose(packets, size=0, columns=columns) for columns in (False, True))
    assert findings(one) == findings(other)
    assert one.verdict == other.verdict
    return slow


def play(*traffic: Traffic, steps: int) -> Packets:
    """All traffic at once, a connection each."""
    talks = []
    for number, one in enumerate(traffic):
        one.script.hello()
        one.say(CLIENT, window_update(0, 1 << 20))
        one.say(SERVER, window_update(0, 1 << 20))
        for _ in range(steps):
            one.step()
        one.flush()
        talks.append(Conversation((40_000 + number, 50_051)).open().play(one.script))
    return merge(talks)


@profile(max_examples=60, deadline=None)
@given(
    st.integers(0, 1 << 32),
    st.sampled_from((1, 3, 12)),
    st.sampled_from((0.0, 0.02, 0.2)),
    st.sampled_from((0.0, 0.3, 1.0)),
    st.sampled_from((1.0, 0.9)),
)
def test_any_traffic(seed: int, at_once: int, odd: float, unique: float, aligned: float) -> None:
    check(play(Traffic(seed, at_once=at_once, odd=odd, unique=unique, aligned=aligned), steps=220))


@profile(max_examples=10, deadline=None)
@given(st.integers(0, 1 << 32), st.sampled_from((0.0, 0.05)))
def test_calls_are_numbered_over_connections(seed: int, odd: float) -> None:
    traffic = [Traffic(seed + i, at_once=4, odd=odd, unique=0.3, aligned=1.0) for i in range(3)]
    check(play(*traffic, steps=150))


# --- one thing at a time ----------------------------------------------------------------------------------------------


def busy(calls: int, *odd: bytes, at: int = 0) -> Script:
    """Ordinary calls on streams 1, 3, …; what the client sends oddly stands behind call number `at`."""
    script = Script().hello()
    for number in range(calls):
        stream = 2 * number + 1
        script.request(stream, message(b"ask")).response(stream, message(b"answer"))
        if odd and number == at:
            script.client(*odd)
    return script


def packets_of(script: Script) -> Packets:
    """The whole connection."""
    return Conversation().open().play(script).fin(CLIENT, SERVER).packets


@pytest.mark.parametrize("at", [150, 160, 400, 599])
def test_a_late_reset_of_a_counted_call_names_that_call(at: int) -> None:
    done = check(packets_of(busy(600, rst(2 * 150 + 1, 2), at=at)), sizes=(0, 500))
    resets = [(call.index, call.stream.id) for call in done.log.suspicious]
    assert resets == ([(150, 301)] if at - 150 < 256 else [])  # longer ago than closed streams are remembered
    assert done.log.totals.total == 600


def test_a_stream_that_was_skipped_is_not_idle() -> None:
    script = busy(60)
    script.request(125, message(b"a")).client(window_update(123, 7)).response(125, message(b"b"))
    for stream in range(127, 200, 2):
        script.request(stream, message(b"a")).response(stream, message(b"b"))
    done = check(packets_of(script))
    assert done.sessions[0].h2.violations == []


def test_a_window_update_before_its_stream_is_idle() -> None:
    done = check(packets_of(busy(80, window_update(2 * 41 + 1, 7), at=40)))
    assert [violation.kind for violation in done.sessions[0].h2.violations] == ["idle-stream"]


def test_most_streams_open_at_once() -> None:
    script = Script().client(settings()).server(settings((3, 3)), settings_ack()).client(settings_ack())
    for stream in range(1, 400, 6):
        for one in (stream, stream + 2, stream + 4):
            script.request(one, message(b"a"))
        for one in (stream, stream + 2, stream + 4):
            script.response(one, message(b"b"))
    done = check(packets_of(script))
    assert done.sessions[0].h2.max_open == 3
    assert len(done.sessions[0].h2.limit_waits) == 20


def test_segments_of_single_bytes() -> None:
    script = busy(40)
    wire = script.peers[CLIENT].headers(801, REQUEST) + data(801, message(b"a"), END_STREAM)
    for at in range(len(wire)):
        script.client(wire[at : at + 1])
    script.response(801, message(b"b"))
    assert check(packets_of(script)).log.totals.ok == 41


def test_ranges_are_let_go() -> None:
    """Between batches only so much stays in memory, and what had to go can still be told."""
    talks = []
    for number in range(12):
        script = busy(300)
        talks.append(Conversation((40_000 + number, 50_051), start=T0 + number * 10**10).open().play(script))
    late = [talk.wait(200).send(CLIENT, rst(599, 2)) for talk in talks]
    log = CallLog(room=150_000)
    done = decode(merge(late), size=1500, columns=True, log=log)
    assert log.held <= 150_000
    assert [call.stream.id for call in done.log.suspicious] == [599] * 12
    assert [call.index for call in done.log.suspicious] == [300 * number + 299 for number in range(12)]
    assert done.log.totals.total == 3600
