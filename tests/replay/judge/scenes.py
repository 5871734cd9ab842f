"""Short ways to write down what a server saw of a client."""

from __future__ import annotations

from typing import Any

from wirecase.replay.judge import Criteria, Scene, judge, parse_expectation
from wirecase.replay.model import Check, ClientRun, LiveCall, LiveConnection, ReportedCall, Trace

PATH = "/pkg.Service/Get"
FLAG = "grpc-invalid-compression-flag"


def call(number: int, at: float, **fields: Any) -> LiveCall:
    """A call; sound, and answered after 10 ms, unless `fields` say otherwise."""
    values: dict[str, Any] = {
        "connection": 0,
        "stream": 2 * number + 1,
        "path": PATH,
        "role": "healthy",
        "request_ended": at,
        "request_digest": f"digest-{number}",
        "answered": at + 0.005,
        "completed": at + 0.01,
        "ended": at + 0.01,
        "status": 0,
    }
    return LiveCall(number=number, at=at, **{**values, **fields})


def faulty(number: int, at: float, *rules: str, **fields: Any) -> LiveCall:
    """A call whose answer carried a fault and ended with status 0 all the same, as a proxy's page in a body does."""
    values: dict[str, Any] = {
        "role": "problem",
        "recorded": number,
        "faults": list(rules or (FLAG,)),
        "broke_at": at + 0.01,
    }
    return call(number, at, **{**values, **fields})


def cut(number: int, at: float, *rules: str, **fields: Any) -> LiveCall:
    """A call that was reset by the server in the middle of its answer."""
    values: dict[str, Any] = {"completed": None, "status": None, "ended": at + 0.01}
    return faulty(number, at, *(rules or ("rst-midbody",)), **{**values, **fields})


def silent(number: int, at: float, **fields: Any) -> LiveCall:
    """A call that is never answered to its end."""
    values: dict[str, Any] = {"completed": None, "status": None, "ended": None}
    return faulty(number, at, "stream-stalled", **{**values, **fields})


def connection(number: int = 0, opened: float = 0.0, **fields: Any) -> LiveConnection:
    return LiveConnection(number, opened, **fields)


def trace(*calls: LiveCall, connections: list[LiveConnection] | None = None, **fields: Any) -> Trace:
    made = Trace("127.0.0.1:1", [connection()] if connections is None else connections, list(calls), ended=20.0)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def run(exit_status: int | None = 0, **fields: Any) -> ClientRun:
    values: dict[str, Any] = {"started": 0.0, "ended": 10.0, "exit": exit_status}
    return ClientRun(["client"], **{**values, **fields})


def lines(*said: str | tuple[int | str, str]) -> list[ReportedCall]:
    """Codes in the order of calls, or (call, code)."""
    return [ReportedCall(*one) if isinstance(one, tuple) else ReportedCall(i, one) for i, one in enumerate(said)]


def scene(seen: Trace, client: ClientRun | None = None, *, expect: tuple[str, ...] = (), **criteria: Any) -> Scene:
    return Scene(seen, client, Criteria(expectations=tuple(map(parse_expectation, expect)), **criteria))


def check(name: str, made: Scene) -> Check:
    return next(one for one in judge(made) if one.name == name)


def outcome(name: str, made: Scene) -> str:
    return check(name, made).outcome
