"""The incident that ships with the project, served to grpcio."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from wires import ask, channel, fixture, replayed, requests

from wirecase.replay.plan import read_plan
from wirecase.replay.server import ReplayServer

Serve = Callable[..., ReplayServer]


def test_its_faults_come_in_their_order_and_only_to_their_calls(serve: Serve) -> None:
    plan = read_plan(str(fixture("incident")))
    server = serve(plan)
    calls = sorted(plan.calls(), key=lambda call: call.started)
    with channel(server.target) as made:
        answers = [ask(made, call.path, requests(call)) for call in calls]
    trace = server.stop()
    shown = {call.number: (answer.code.name, answer.details) for call, answer in zip(calls, answers, strict=True)}
    broken = {number: answer for number, answer in shown.items() if answer[0] != "OK"}
    assert [code for code, _ in broken.values()] == [
        "INTERNAL", "UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE", "INTERNAL",
    ]  # fmt: skip
    assert "RST_STREAM" in broken[42][1]
    assert all("502" in broken[number][1] for number in (45, 47, 79, 82, 83))
    assert "400" in broken[102][1]
    assert [call.recorded for call in trace.calls] == [call.number for call in calls]
    assert {call.recorded for call in trace.calls if call.faults} == set(broken)
    assert all(call.broke_at is not None for call in trace.calls if call.faults)
    asked = {call.number: call.request_digest for call in calls}
    assert all(live.request_digest == asked[live.recorded or 0] for live in trace.calls if not live.faults)
    assert trace.problem_over is not None
    assert trace.deviations == []


def test_then_it_is_healthy_with_recorded_answers(serve: Serve) -> None:
    plan = read_plan(str(fixture("incident")))
    server = serve(plan)
    with channel(server.target) as made:
        for call in sorted(plan.calls(), key=lambda call: call.started):
            ask(made, call.path, requests(call))
        assert server.wait_problem_over(5)
        again = ask(made, "/arrow.flight.protocol.FlightService/DoGet", [b"x"])
        unknown = ask(made, "/nobody.Knows/This", [b"x"])
        health = ask(made, "/grpc.health.v1.Health/Check", [b""])
        reflection = ask(made, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", [b""])
    assert (again.code.name, len(again.messages)) == ("OK", 4)
    assert unknown.code.name == "UNIMPLEMENTED"
    assert (health.code.name, health.messages) == ("OK", [b"\x08\x01"])
    assert reflection.code.name == "UNIMPLEMENTED"
    roles = [call.role for call in server.stop().calls[-4:]]
    assert roles == ["healthy", "fallback", "housekeeping", "housekeeping"]


@pytest.mark.parametrize("options", [{}, {"match": "order"}, {"match": "any"}])
def test_each_round_is_the_same(serve: Serve, options: dict[str, Any]) -> None:
    plan = read_plan(str(fixture("flag67-grpc-go")))
    server = serve(plan, **options)
    rounds = []
    for _ in range(3):
        replayed(plan, server.target)
        assert server.wait_problem_over(5)
        trace = server.next_round()
        rounds.append([(call.role, call.recorded, call.faults, call.status) for call in trace.calls])
    assert rounds == [[("problem", 0, ["grpc-invalid-compression-flag"], 0)]] * 3
    assert server.stop().calls == []
