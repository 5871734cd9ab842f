"""Every kind of violation: what fires it, with which facts, and what looks alike and is right."""

from __future__ import annotations

from typing import Any

import pytest
from h2_bytes import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PRIORITY_FLAG,
    PUSH_PROMISE,
    REQUEST,
    RESPONSE,
    RST_STREAM,
    SETTINGS,
    TRAILERS,
    Script,
    by_byte,
    data,
    frame,
    message,
    padded,
    rst,
    settings,
    settings_ack,
    walk,
    window_update,
)
from violations import asked, check, only

from wirecase.http2.facts import VIOLATIONS_KEPT
from wirecase.model import CLIENT, SERVER

# --- sizes -----------------------------------------------------------------------------------------------------------


def test_frame_size() -> None:
    script = asked().client(settings((5, 20_000))).client(data(1, bytes(16_385)))
    violation = only(script, "frame-size", CLIENT)
    assert violation.facts == {"declared": 16_385, "limit": 16_384, "frame": "DATA", "settings_seen": True}
    assert violation.stream == 1
    check(asked().client(data(1, bytes(16_384))))
    check(asked().server(settings((5, 20_000))).client(data(1, bytes(20_000))))


def test_frame_size_without_settings_of_the_peer() -> None:
    script = Script().client(settings()).request(1, end=False).client(data(1, bytes(17_000)))
    assert only(script, "frame-size", CLIENT).facts["settings_seen"] is False


@pytest.mark.parametrize(
    ("wire", "facts"),
    [
        (frame(PRIORITY, 0, 1, bytes(4)), {"declared": 4, "wanted": "5", "frame": "PRIORITY"}),
        (frame(RST_STREAM, 0, 1, bytes(3)), {"declared": 3, "wanted": "4", "frame": "RST_STREAM"}),
        (frame(SETTINGS, 0, 0, bytes(7)), {"declared": 7, "wanted": "a multiple of 6", "frame": "SETTINGS"}),
        (frame(SETTINGS, ACK, 0, bytes(6)), {"declared": 6, "wanted": "0 with ACK", "frame": "SETTINGS"}),
        (frame(PING, 0, 0, bytes(9)), {"declared": 9, "wanted": "8", "frame": "PING"}),
        (frame(GOAWAY, 0, 0, bytes(7)), {"declared": 7, "wanted": "at least 8", "frame": "GOAWAY"}),
        (frame(8, 0, 1, bytes(5)), {"declared": 5, "wanted": "4", "frame": "WINDOW_UPDATE"}),
        (frame(HEADERS, END_HEADERS | PRIORITY_FLAG, 3, b"1234"),
         {"declared": 4, "wanted": "at least 5 with PRIORITY", "frame": "HEADERS"}),
    ],
)  # fmt: skip
def test_fixed_size(wire: bytes, facts: dict[str, Any]) -> None:
    done = walk(asked().client(wire))
    first = done.facts.violations[0]
    assert (first.kind, first.side, first.facts) == ("fixed-size", CLIENT, facts)
    assert {v.kind for v in done.facts.violations[1:]} <= {"malformed-headers"}  # of the block that is not there


def test_push_promise_without_a_stream() -> None:
    done = walk(asked().server(frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\2")))
    assert done.kinds() == [("fixed-size", SERVER)]


@pytest.mark.parametrize("kind", [DATA, HEADERS, PUSH_PROMISE])
@pytest.mark.parametrize("payload", [b"", b"\1", b"\4abc", b"\xffabc"])
def test_padding(kind: int, payload: bytes) -> None:
    script = asked().server(frame(kind, PADDED | (END_HEADERS if kind else 0), 1, payload))
    violation = only(script, "padding", SERVER)
    assert violation.facts == {"pad": payload[0] if payload else 0, "length": len(payload)}


def test_padding_that_fills_the_frame_is_right() -> None:
    check(asked().client(frame(DATA, PADDED, 1, padded(b"", 255)), frame(DATA, PADDED | END_STREAM, 1, padded(b"", 0))))


# --- header blocks in parts ------------------------------------------------------------------------------------------


def test_continuation_orphan() -> None:
    assert only(asked().client(frame(CONTINUATION, END_HEADERS, 1, b"\x82")), "continuation-orphan", CLIENT).stream == 1
    # Also right behind a whole block.
    script = Script().hello()
    script.client(script.peers[CLIENT].headers(1, REQUEST), frame(CONTINUATION, END_HEADERS, 1))
    only(script, "continuation-orphan", CLIENT)


BETWEEN = {
    "DATA": data(1, b"x"),
    "padded DATA": frame(DATA, PADDED, 1, padded(b"x", 3)),
    "HEADERS": frame(HEADERS, END_HEADERS, 5, b""),
    "PRIORITY": frame(PRIORITY, 0, 3, bytes(5)),
    "RST_STREAM": rst(1, 8),
    "SETTINGS": settings(),
    "PING": frame(PING, 0, 0, bytes(8)),
    "WINDOW_UPDATE": window_update(0, 9),
    "WINDOW_UPDATE on a stream": window_update(1, 9),
    "GOAWAY": frame(GOAWAY, 0, 0, bytes(8)),
    "CONTINUATION of another": frame(CONTINUATION, END_HEADERS, 1, b""),
    "type 0x20": frame(0x20, 0, 0, b"anything"),
}


@pytest.mark.parametrize("name", BETWEEN)
def test_continuation_interleaved(name: str) -> None:
    script = asked()
    first, second = script.peers[CLIENT].continued(3, REQUEST, [20])
    done = walk(script.client(first, BETWEEN[name], second))
    assert walk(script, by_byte).snapshot() == done.snapshot()
    violation = done.facts.violations[0]
    assert (violation.kind, violation.side, violation.stream) == ("continuation-interleaved", CLIENT, 3)
    assert violation.facts == {
        "frame": name.removeprefix("padded ").split(" of ")[0].split(" on ")[0],
        "expected_stream": 3,
        "ends_stream": False,
    }
    assert {v.kind for v in done.facts.violations[1:]} <= {"malformed-headers"}  # of the empty HEADERS


@pytest.mark.parametrize("name", BETWEEN)
def test_frames_of_the_other_side_interrupt_nothing(name: str) -> None:
    script = asked()
    first, second = script.peers[CLIENT].continued(3, REQUEST, [20])
    done = walk(script.client(first).server(BETWEEN[name]).client(second))
    assert "continuation-interleaved" not in {v.kind for v in done.facts.violations}
    assert 3 in done.events.streams


# --- stream ids and states -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wire", [
    data(0, b"x"), frame(HEADERS, END_HEADERS, 0, b"\x82"), frame(PRIORITY, 0, 0, bytes(5)), rst(0, 1),
    frame(CONTINUATION, END_HEADERS, 0, b""), frame(PUSH_PROMISE, END_HEADERS, 0, b"\0\0\0\2\x82"),
    settings(stream=1), frame(SETTINGS, ACK, 1), frame(PING, 0, 1, bytes(8)), frame(GOAWAY, 0, 1, bytes(8)),
    frame(DATA, PADDED, 0, padded(b"x", 1)),
])  # fmt: skip
def test_stream_id(wire: bytes) -> None:
    assert only(asked().server(wire), "stream-id", SERVER).excerpt.data[:9] == wire[:9]


def test_idle_stream() -> None:
    for wire, name in ((data(9, b"x"), "DATA"), (rst(9, 1), "RST_STREAM"), (window_update(9, 1), "WINDOW_UPDATE")):
        for side in (CLIENT, SERVER):
            violation = only(asked().send(side, wire), "idle-stream", side)
            assert (violation.stream, violation.facts) == (9, {"frame": name})
    script = asked()
    only(script.server(script.peers[SERVER].headers(9, RESPONSE)), "idle-stream", SERVER)
    check(asked().client(frame(PRIORITY, 0, 9, bytes(5))))  # PRIORITY may name any stream


def test_idle_stream_of_the_client_is_not_excused_by_opening_it_later() -> None:
    script = asked().client(data(3, b"x"))
    check(script.request(3, message(b"a")), ("idle-stream", CLIENT))


@pytest.mark.parametrize("early", ["headers", "data", "rst", "window_update"])
def test_directions_out_of_order_are_not_idle(early: str) -> None:
    script = asked()
    peer = script.peers[SERVER]
    wire = {
        "headers": peer.headers(3, RESPONSE), "data": data(3, b"x"), "rst": rst(3, 8),
        "window_update": window_update(3, 5),
    }[early]  # fmt: skip
    done = check(script.server(wire).request(3, message(b"ask")))
    assert (3, CLIENT) in done.events.bodies or early == "rst"
    assert done.facts.halves[CLIENT].highest_stream == 3


def test_response_captured_before_its_request() -> None:
    script = asked()
    script.response(3, message(b"answer")).request(3, message(b"ask"))
    done = check(script)
    stream = done.events.streams[3]
    assert [f.side for f in stream.headers] == [CLIENT, SERVER, SERVER]
    assert stream.seen_start
    assert stream.closed
    assert done.body(3, CLIENT) == message(b"ask")


def test_closed_stream() -> None:
    # By END_STREAM of both sides, by END_STREAM of one, by its own reset.
    for wire, name in ((data(1, b"x"), "DATA"), (b"", "HEADERS")):
        script = asked(end=True).response(1, message(b"r"))
        late = wire or script.peers[SERVER].headers(1, TRAILERS, END_STREAM)
        assert only(script.server(late), "closed-stream", SERVER).facts == {"frame": name}
        script = asked(end=True)
        late = wire or script.peers[CLIENT].headers(1, TRAILERS, END_STREAM)
        assert only(script.client(late), "closed-stream", CLIENT).stream == 1
        script = asked()
        late = wire or script.peers[SERVER].headers(1, RESPONSE)
        only(script.server(rst(1, 8), late), "closed-stream", SERVER)
        # What the other side sends may be in flight.
        script = asked()
        late = wire or script.peers[CLIENT].headers(1, TRAILERS, END_STREAM)
        check(script.server(rst(1, 8)).client(late))


def test_what_may_follow_a_closed_stream() -> None:
    script = asked(end=True).response(1, message(b"r"))
    check(script.client(rst(1, 0), window_update(1, 5), frame(PRIORITY, 0, 1, bytes(5))).server(rst(1, 0)))


def test_closed_data_shows_the_bytes_on_the_wire() -> None:
    script = asked(end=True).client(data(1, b"0123456789" * 50))
    excerpt = only(script, "closed-stream", CLIENT).excerpt
    assert excerpt.length == 509
    assert excerpt.data[:9] == data(1, b"0123456789" * 50)[:9]


def test_even_stream() -> None:
    assert only(asked().request(4, message(b"a")), "even-stream", CLIENT).stream == 4


def test_regressing_stream() -> None:
    violation = only(asked(9).request(5, message(b"a")), "regressing-stream", CLIENT)
    assert (violation.stream, violation.facts) == (5, {"highest": 9})
    check(asked(1).request(9).request(11))


def promise(script: Script, stream: int, promised: int) -> bytes:
    """A PUSH_PROMISE."""
    return frame(
        PUSH_PROMISE, END_HEADERS, stream, promised.to_bytes(4, "big") + script.peers[SERVER].block(REQUEST[:3])
    )


def test_push() -> None:
    script = asked()
    only(script.client(frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2\x82")), "push", CLIENT)
    for promised in (0, 1, 3):
        script = asked()
        assert only(script.server(promise(script, 1, promised)), "push", SERVER).facts == {"promised": promised}
    script = asked()
    script.server(promise(script, 1, 4), promise(script, 1, 2))
    only(script, "push", SERVER)
    script = asked()
    script.server(promise(script, 1, 2), promise(script, 1, 2))
    only(script, "push", SERVER)


def test_push_of_the_client_s_own_stream_does_not_replace_it() -> None:
    script = asked()
    done = check(script.server(promise(script, 1, 1)).response(1, message(b"r")), ("push", SERVER))
    assert done.body(1, CLIENT) == message(b"a")


def test_push_that_is_allowed() -> None:
    script = asked()
    script.server(promise(script, 1, 2)).response(2, message(b"p"))
    done = check(script)
    assert done.facts.streams.keys() == {1}
    assert done.facts.halves[SERVER].highest_stream == 2


def test_push_that_is_switched_off() -> None:
    script = Script().client(settings((2, 0))).server(settings()).request(1)
    check(script.server(promise(script, 1, 2)))  # not acknowledged so far: the server may not know
    script = Script().client(settings((2, 0))).server(settings(), settings_ack()).request(1)
    only(script.server(promise(script, 1, 2)), "push", SERVER)


# --- SETTINGS --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", [(2, 2), (4, 2**31), (5, 16_383), (5, 2**24), (5, 0)])
def test_settings_value(pair: tuple[int, int]) -> None:
    violation = only(Script().client(settings((3, 100), pair)), "settings-value", CLIENT)
    assert violation.facts == {"setting": pair[0], "value": pair[1]}


@pytest.mark.parametrize(
    "pair", [(2, 0), (2, 1), (4, 0), (4, 2**31 - 1), (5, 16_384), (5, 2**24 - 1), (0xFE03, 1), (1, 2**32 - 1), (6, 0)]
)
def test_settings_value_that_is_right(pair: tuple[int, int]) -> None:
    assert check(Script().client(settings(pair))).facts.halves[CLIENT].settings_frames[0].values == dict([pair])


# --- many ------------------------------------------------------------------------------------------------------------


def test_all_are_counted_and_the_first_are_kept() -> None:
    script = Script().hello()
    for _ in range(10):
        script.client(window_update(0, 0) * 100)
    done = walk(script)
    assert done.facts.violations_seen == {("zero-increment", CLIENT): 1000}
    assert len(done.facts.violations) == VIOLATIONS_KEPT
