"""Which recorded call a live one is answered as."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from h2_bytes import GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS
from made import Session, plan_of
from wires import Bare, ask, channel

from wirecase.model import CLIENT, SERVER
from wirecase.replay.server import ReplayServer

Serve = Callable[..., ReplayServer]
A, B = "/demo.Echo/A", "/demo.Echo/B"


def _mixed(folder: Path) -> Session:
    """Four calls, one of which is reset."""
    made = Session()
    made.ask(1, A, b"one").answer(1, b"a1").ask(3, B, b"two").answer(3, b"b1")
    made.ask(5, A, b"three").reset(5, 2).ask(7, B, b"four").answer(7, b"b2")
    return made


@pytest.mark.parametrize(
    ("mode", "asked", "recorded"),
    [
        ("path", [(B, b"x"), (B, b"x"), (A, b"x"), (A, b"x"), (A, b"x")], [1, 3, 0, 2, 0]),
        ("order", [(A, b"x"), (A, b"x"), (B, b"x"), (A, b"x"), (B, b"x")], [0, 0, 1, 2, 3]),
        ("any", [("/other/Path", b"x"), (A, b"x"), (A, b"x"), (B, b"x")], [0, 1, 2, 3]),
        ("message", [(A, b"three"), (B, b"two"), (A, b"one"), (B, b"nothing")], [2, 1, 0, 1]),
    ],
)  # fmt: skip
def test_modes(serve: Serve, tmp_path: Path, mode: str, asked: list[tuple[str, bytes]], recorded: list[int]) -> None:
    server = serve(plan_of(tmp_path, _mixed(tmp_path)), match=mode)
    with channel(server.target) as made:
        for path, body in asked:
            ask(made, path, [body])
    calls = server.stop().calls
    assert [call.recorded for call in calls] == recorded
    broken = [call.number for call in calls if call.faults]
    assert broken == [number for number, one in enumerate(recorded) if one == 2]


def test_an_unmatched_call_gets_the_fallback_and_is_listed(serve: Serve, tmp_path: Path) -> None:
    server = serve(plan_of(tmp_path, _mixed(tmp_path)), fallback=(12, "not here"))
    with channel(server.target) as made:
        answer = ask(made, "/not.In/It", [b"x"])
    assert (answer.code.name, answer.details) == ("UNIMPLEMENTED", "not here")
    trace = server.stop()
    assert [call.role for call in trace.calls] == ["fallback"]
    assert {one.recorded for one in trace.deviations if one.what == "call-not-made"} == {0, 1, 2, 3}


def test_connections_are_given_in_order_and_unused_ones_do_not_count(serve: Serve, tmp_path: Path) -> None:
    first = Session(40_000).ask(1, A).reset(1, 2)
    second = Session(40_001, at=1.0).ask(1, A).reset(1, 8)
    server = serve(plan_of(tmp_path, first, second))
    unused = Bare(server.address)
    assert unused.until(SETTINGS) is not None
    unused.close()
    codes = []
    for _ in range(2):
        one = Bare(server.address)
        one.request(1, A, b"x")
        found = one.until(RST_STREAM)
        assert found is not None
        codes.append(int.from_bytes(found[3], "big"))
        one.close()
    assert codes == [2, 8]
    assert server.wait_problem_over(5)
    assert [one.recorded for one in server.stop().connections] == [0, 0, 1]


def test_two_connections_at_once_get_theirs_by_their_first_call(serve: Serve, tmp_path: Path) -> None:
    first = Session(40_000).ask(1, A).reset(1, 2)
    second = Session(40_001, at=1.0).ask(1, B).reset(1, 8)
    server = serve(plan_of(tmp_path, first, second))
    left, right = Bare(server.address), Bare(server.address)
    left.until(SETTINGS)
    right.until(SETTINGS)
    left.request(1, B, b"x")
    found = left.until(RST_STREAM)
    assert found is not None and found[3] == (8).to_bytes(4, "big")
    right.request(1, A, b"x")
    found = right.until(RST_STREAM)
    assert found is not None and found[3] == (2).to_bytes(4, "big")
    assert [one.recorded for one in server.stop().connections] == [1, 0]


def _away(port: int, at: float) -> Session:
    """A connection that the server ends before any call."""
    made = Session(port, at=at).goaway(0, 0, b"session_timed_out")
    made.talk.fin(SERVER, CLIENT)
    return made


def test_a_connection_that_carried_no_call_is_ended_again(serve: Serve, tmp_path: Path) -> None:
    first = Session(40_001, at=0.5).ask(1, A)
    first.goaway(0, 0).talk.fin(SERVER, CLIENT)
    server = serve(plan_of(tmp_path, _away(40_000, 0.2), first, _away(40_002, 1.0)))
    ends = []
    for asks in (False, True, False):
        client = Bare(server.address)
        if asks:
            client.request(1, A, b"x")
        assert client.until(GOAWAY) is not None
        ends.append(client.end())
        client.close()
    assert ends == ["fin", "fin", "fin"]
    assert server.wait_problem_over(5)
    last = Bare(server.address)
    last.request(1, A, b"y")
    assert last.fields(1)["grpc-status"] == "12"
    trace = server.stop()
    assert [one.recorded for one in trace.connections] == [0, 1, 2, None]
    assert trace.deviations == []


def test_nobody_has_to_dial_again_to_be_sent_away(serve: Serve, tmp_path: Path) -> None:
    server = serve(plan_of(tmp_path, Session(40_000).ask(1, A).reset(1, 2), _away(40_001, 1.0)))
    client = Bare(server.address)
    client.request(1, A, b"x")
    assert client.until(RST_STREAM) is not None
    assert server.wait_problem_over(5)


def test_who_was_sent_away_long_before_is_no_part_of_it(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, _away(40_000, 0.0), Session(40_001, at=5.0).ask(1, A).reset(1, 2))
    assert [made.index for made in plan.connections] == [1]


def test_a_transparent_retry_that_was_not_recorded_shifts_nothing(serve: Serve, tmp_path: Path) -> None:
    made = Session().ask(1, A, b"one").reset(1, 7).ask(3, A, b"two").reset(3, 2)
    server = serve(plan_of(tmp_path, made))
    client = Bare(server.address)
    client.request(1, A, b"one")
    client.until(RST_STREAM, stream=1)
    client.request(3, A, b"one")  # the same request again
    assert client.fields(3)["grpc-status"] == "12"
    client.request(5, A, b"two")
    found = client.until(RST_STREAM, stream=5)
    assert found is not None and found[3] == (2).to_bytes(4, "big")
    calls = server.stop().calls
    assert [(call.role, call.recorded, call.unprocessed) for call in calls] == [
        ("problem", 0, True), ("fallback", None, False), ("problem", 1, False),
    ]  # fmt: skip


def test_a_retry_that_was_recorded_is_answered_as_itself(serve: Serve, tmp_path: Path) -> None:
    made = Session().ask(1, A, b"one").reset(1, 7).ask(3, A, b"one").answer(3, b"yes").ask(5, A, b"two").reset(5, 2)
    server = serve(plan_of(tmp_path, made))
    client = Bare(server.address)
    for stream, body in ((1, b"one"), (3, b"one"), (5, b"two")):
        client.request(stream, A, body)
        client.until(RST_STREAM, HEADERS, stream=stream)
    assert [call.recorded for call in server.stop().calls] == [0, 1, 2]


def test_goaway_is_rebased_onto_live_streams(serve: Serve, tmp_path: Path) -> None:
    made = Session().ask(1, A).answer(1, b"ok").ask(3, A).ask(5, A).goaway(3, 0, b"bye").answer(3, b"ok")
    made.talk.fin(SERVER, CLIENT)
    server = serve(plan_of(tmp_path, made))
    client = Bare(server.address)
    client.request(101, A, b"x")
    client.until(HEADERS, stream=101)
    client.request(103, A, b"x")
    client.request(105, A, b"x")
    found = client.until(GOAWAY)
    assert found is not None
    assert (int.from_bytes(found[3][:4], "big"), found[3][8:]) == (103, b"bye")
    assert client.fields(103)[":status"] == "200"
    assert client.end() == "fin"
    assert [call.unprocessed for call in server.stop().calls] == [False, False, True]


def test_the_end_of_a_connection_waits_for_the_calls_before_it(serve: Serve, tmp_path: Path) -> None:
    made = Session().ask(1, A).answer(1, b"ok").ask(3, B)
    made.talk.reset(SERVER)
    server = serve(plan_of(tmp_path, made))
    client = Bare(server.address)
    client.request(1, A, b"x")
    client.until(HEADERS, stream=1)
    client.send(b"\0\0\x08\x06\0\0\0\0\0" + bytes(8))
    assert client.until(PING) is not None  # answered: the connection lives
    client.request(3, B, b"x")
    assert client.end() == "rst"
    trace = server.stop()
    assert trace.problem_over is not None
    (connection,) = trace.connections
    assert (connection.closed_by, connection.survivable) == ("server-rst", False)
    assert trace.calls[1].faults == ["body-cut-connection"]


def test_an_open_call_does_not_wait_for_ever_for_others(serve: Serve, tmp_path: Path) -> None:
    made = Session().ask(1, A).ask(3, B)
    made.talk.fin(SERVER, CLIENT)
    server = serve(plan_of(tmp_path, made), patience=0.2)
    client = Bare(server.address)
    client.request(1, A, b"x")
    assert client.end() == "fin"
    assert "calls-missing" in {one.what for one in server.stop().deviations}


def test_the_recorded_order_of_sides_is_kept(serve: Serve, tmp_path: Path) -> None:
    """Bidirectional: each answer waits for its request message, not for the end."""
    from h2_bytes import RESPONSE, data, message

    made = Session().ask(1, A, b"1", end=False)
    made.raw(made.peers[SERVER].headers(1, RESPONSE) + data(1, message(b"first")))
    made.talk.send(CLIENT, data(1, message(b"2")))
    made.raw(data(1, message(b"second"))).reset(1, 2)
    server = serve(plan_of(tmp_path, made))
    client = Bare(server.address)
    client.request(1, A, b"1", end=False)
    first = client.until(0, stream=1)
    assert first is not None and first[3][5:] == b"first"
    assert client.until(0, RST_STREAM, stream=1, wait=0.2) is None
    client.send(data(1, message(b"2")))
    second = client.until(0, stream=1)
    assert second is not None and second[3][5:] == b"second"
    assert client.until(RST_STREAM, stream=1) is not None
