"""Limits and windows: what SETTINGS allow from when on, and what a window holds (RFC 9113 §5.2, §6.5.3, §6.9)."""

from __future__ import annotations

from h2_bytes import (
    END_STREAM,
    RESPONSE,
    Script,
    Walked,
    by_byte,
    data,
    frame,
    goaway,
    message,
    padded,
    settings,
    settings_ack,
    walk,
    window_update,
)

from wirecase.model import CLIENT, SERVER

CONNECTION = window_update(0, 1 << 20)
"""Room on the connection, so that only streams count."""


def check(script: Script, *expected: tuple[str, int]) -> Walked:
    """Walk whole and byte by byte; what is noted must be `expected`."""
    done = walk(script)
    assert walk(script, by_byte).snapshot() == done.snapshot()
    assert done.kinds() == list(expected)
    return done


def chunks(stream: int, size: int) -> list[bytes]:
    """DATA frames of `size` bytes in all."""
    full, rest = divmod(size, 16_384)
    return [data(stream, bytes(n)) for n in [16_384] * full + ([rest] if rest else [])]


def answering(*first: bytes) -> Script:
    """A request is open and the client has sent `first` at the beginning."""
    script = Script().client(*first or (settings(),)).server(settings(), settings_ack()).client(settings_ack())
    script.request(1)
    return script.server(script.peers[SERVER].headers(1, RESPONSE))


def test_a_window_may_be_used_up() -> None:
    done = check(answering(settings(), CONNECTION).server(*chunks(1, 65_535)))
    stream = done.facts.streams[1]
    assert stream.windows[SERVER] == 0
    assert stream.starved[SERVER] is not None
    assert done.facts.halves[SERVER].starved is None


def test_one_byte_too_many_on_a_stream() -> None:
    done = check(answering(settings(), CONNECTION).server(*chunks(1, 65_536)), ("window-exceeded", SERVER))
    (violation,) = done.facts.violations
    assert violation.stream == 1
    assert violation.facts == {"scope": "stream", "overrun": 1, "window": 16_383, "length": 16_384}


def test_one_byte_too_many_on_the_connection() -> None:
    done = check(answering(settings((4, 1 << 20))).server(*chunks(1, 65_536)), ("window-exceeded", SERVER))
    (violation,) = done.facts.violations
    assert (violation.stream, violation.facts["scope"], violation.facts["overrun"]) == (0, "connection", 1)
    assert done.facts.halves[SERVER].starved is not None


def test_empty_data_needs_no_window() -> None:
    script = answering(settings((4, 0)), CONNECTION)
    done = check(script.server(data(1, b""), data(1, b"", END_STREAM)))
    assert done.facts.halves[SERVER].frames.empty_data == 1


def test_window_update_opens_a_window() -> None:
    script = answering(settings(), CONNECTION).server(*chunks(1, 65_535)).client(window_update(1, 100))
    done = check(script.server(data(1, bytes(100))))
    assert done.facts.streams[1].windows[SERVER] == 0
    script = answering(settings(), CONNECTION).server(*chunks(1, 65_535)).client(window_update(1, 100))
    assert check(script).facts.streams[1].starved[SERVER] is None


def test_padding_counts() -> None:
    script = answering(settings((4, 200)), CONNECTION)
    done = check(script.server(frame(0, 8, 1, padded(bytes(100), 100))), ("window-exceeded", SERVER))
    assert done.facts.violations[0].facts["overrun"] == 1  # 100 bytes, 100 of padding, and the length of the padding


def test_data_on_a_closed_stream_counts_for_the_connection() -> None:
    script = answering().client(frame(3, 0, 1, bytes(4))).server(*chunks(1, 1000))
    assert check(script).facts.halves[SERVER].window == 64_535


# --- SETTINGS_INITIAL_WINDOW_SIZE ------------------------------------------------------------------------------------


def test_initial_window_holds_for_new_streams() -> None:
    done = check(answering(settings((4, 10)), CONNECTION).server(data(1, bytes(11))), ("window-exceeded", SERVER))
    assert done.facts.violations[0].facts["window"] == 10


def test_a_raised_initial_window_holds_from_the_frame_on() -> None:
    script = answering(settings(), CONNECTION).client(settings((4, 100_000))).server(*chunks(1, 100_000))
    check(script)  # the ACK has not come so far


def test_a_lowered_initial_window_holds_from_its_ack_on() -> None:
    script = answering(settings(), CONNECTION).client(settings((4, 10))).server(data(1, bytes(1000)))
    done = check(script)
    assert done.facts.streams[1].windows[SERVER] == 64_535
    script.server(settings_ack())
    assert check(script).facts.streams[1].windows[SERVER] == 10 - 1000
    check(script.server(data(1, b"x")), ("window-exceeded", SERVER))


def test_changes_reach_all_open_streams() -> None:
    script = answering(settings(), CONNECTION)
    script.request(3).client(settings((4, 70_000)))
    done = check(script.server(data(1, bytes(5))))
    assert [done.facts.streams[n].windows[SERVER] for n in (1, 3)] == [69_995, 70_000]
    assert [done.facts.streams[n].windows[CLIENT] for n in (1, 3)] == [65_535, 65_535]


def test_two_changes_are_acknowledged_in_order() -> None:
    script = answering(settings(), CONNECTION).client(settings((4, 10)), settings((4, 20)))
    assert check(script).facts.streams[1].windows[SERVER] == 65_535
    assert check(script.server(settings_ack())).facts.streams[1].windows[SERVER] == 10
    done = check(script.server(settings_ack()))
    assert done.facts.streams[1].windows[SERVER] == 20
    assert done.facts.halves[CLIENT].settings_unacked == []
    check(script.server(settings_ack()))  # one too many is nobody's business


def test_starvation_ends_with_a_larger_initial_window() -> None:
    script = answering(settings((4, 5)), CONNECTION).server(data(1, bytes(5)))
    assert check(script).facts.streams[1].starved[SERVER] is not None
    assert check(script.client(settings((4, 6)))).facts.streams[1].starved[SERVER] is None


# --- SETTINGS_MAX_FRAME_SIZE -----------------------------------------------------------------------------------------


def test_a_raised_frame_size_holds_from_the_frame_on() -> None:
    script = answering(settings(), CONNECTION).client(settings((5, 20_000))).server(data(1, bytes(20_000)))
    check(script)


def test_a_lowered_frame_size_holds_from_its_ack_on() -> None:
    script = answering(settings((5, 30_000)), CONNECTION).client(settings((5, 16_384))).server(data(1, bytes(20_000)))
    check(script)
    check(script.server(settings_ack()).server(data(1, bytes(20_000))), ("frame-size", SERVER))


def test_a_limit_is_what_the_receiver_said() -> None:
    script = answering(settings(), CONNECTION).server(settings((5, 30_000))).server(data(1, bytes(20_000)))
    check(script, ("frame-size", SERVER))


# --- WINDOW_UPDATE ---------------------------------------------------------------------------------------------------


def test_zero_increment() -> None:
    done = check(answering().client(window_update(0, 0), window_update(1, 0)), *[("zero-increment", CLIENT)] * 2)
    assert [v.facts["scope"] for v in done.facts.violations] == ["connection", "stream"]


def test_overflow() -> None:
    largest = 2**31 - 1
    done = check(answering().client(window_update(0, largest)), ("window-overflow", CLIENT))
    assert done.facts.violations[0].facts == {"scope": "connection", "value": largest + 65_535}
    check(answering().client(window_update(1, largest - 65_534)), ("window-overflow", CLIENT))
    check(answering().client(window_update(0, largest - 65_535), window_update(1, largest - 65_535)))


def test_the_reserved_bit_is_ignored() -> None:
    wire = frame(8, 0, 1, (0x80000005).to_bytes(4, "big"))
    assert check(answering().client(wire)).facts.streams[1].windows[SERVER] == 65_540


# --- streams at once, GOAWAY -----------------------------------------------------------------------------------------


def test_waiting_for_a_stream() -> None:
    script = Script().client(settings()).server(settings((3, 2)), settings_ack()).client(settings_ack())
    for stream in (1, 3, 5):
        script.request(stream, message(b"a")).response(stream, message(b"b"))
    assert check(script).facts.limit_waits == []
    script.request(7).request(9)
    facts = check(script).facts
    assert [limit for _, limit in facts.limit_waits] == [2]
    assert facts.max_open == 2


def test_no_streams_at_all() -> None:
    facts = check(Script().client(settings()).server(settings((3, 0)))).facts
    assert facts.concurrent_limit_zero is not None
    assert facts.concurrent_limit_zero.packet == 2


def test_goaway() -> None:
    script = answering().request(3).server(goaway(2**31 - 1, 0), goaway(1, 11, b"too_many_pings" * 200))
    facts = check(script).facts
    assert facts.goaways_seen == 2
    first, second = facts.goaways
    assert (first.last_stream, first.code, first.highest_seen, first.open_streams) == (2**31 - 1, 0, 3, 2)
    assert (second.side, second.last_stream, second.code) == (SERVER, 1, 11)
    assert second.debug == (b"too_many_pings" * 200)[:1024]


def test_pings() -> None:
    ping, pong = frame(6, 0, 0, b"12345678"), frame(6, 1, 0, b"12345678")
    facts = check(answering().client(ping)).facts
    assert list(facts.pings_open) == [(CLIENT, b"12345678")]
    facts = check(answering().client(ping).server(pong)).facts
    assert facts.pings_open == {}
    assert facts.halves[SERVER].frames.ping_ack == 1
    facts = check(answering().client(ping).client(pong)).facts
    assert len(facts.pings_open) == 1  # its own ACK answers nothing
