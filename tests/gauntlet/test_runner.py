"""Real clients of every character through a few faults."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from wirecase.errors import UsageError
from wirecase.replay.gauntlet import FAULTS, Gauntlet, run
from wirecase.replay.gauntlet.choice import choose
from wirecase.replay.gauntlet.runner import one_kind

CLIENT = [sys.executable, str(Path(__file__).with_name("client.py"))]
ASKS = ["{target}", "{kind}", "{calls}", "{deadline}"]


def words(character: str, *names: str, **more: object) -> dict[str, str]:
    command = [*CLIENT, character, *ASKS]
    card = run(Gauntlet(command, choose(names), one_kind(command), jobs=2, **more))  # type: ignore[arg-type]
    return {cell.fault.name: cell.word for cell in card.cells}


def test_a_patched_client() -> None:
    found = words(
        "patched", "healthy-unary", "healthy-streaming", "healthy-gzip", "status-app", "http-401-empty",
        "rst-refused-once", "flag-67-proxy-page", "rst-midbody-cancel", "goaway-race", "fin-before-settings",
        "ping-length-4",
    )  # fmt: skip
    assert found == dict.fromkeys(found, "pass")


def test_a_naive_client() -> None:
    found = words("naive", "healthy-unary", "flag-67-proxy-page", "fin-midbody", "stall-midbody", "ping-length-4")
    wrong = {"flag-67-proxy-page": "success", "fin-midbody": "success", "stall-midbody": "success"}
    assert found == {"healthy-unary": "pass", **wrong, "ping-length-4": "accepted"}


def test_a_client_without_deadlines() -> None:
    assert words("hanging", "stall-at-once", "fin-midbody", timeout=2.0) == {
        "stall-at-once": "hang",
        "fin-midbody": "pass",
    }


def test_a_crashing_client() -> None:
    found = words("crashing", "healthy-unary", "http-502-empty")
    assert found == {"healthy-unary": "pass", "http-502-empty": "crash"}


def test_a_client_that_reports_nothing() -> None:
    """Its exit status tells something of it; what it took for a success it does not tell."""
    found = words("silent", "healthy-unary", "http-502-empty", "flag-67-status-0")
    assert found == {"healthy-unary": "pass", "http-502-empty": "pass", "flag-67-status-0": "untold"}


def test_another_status_than_the_documented_one() -> None:
    assert words("patched", "status-empty") == {"status-empty": "code"}
    assert words("patched", "status-empty", any_code=True) == {"status-empty": "pass"}


def test_a_client_with_one_kind_of_call() -> None:
    command = [*CLIENT, "patched", "{target}"]
    assert one_kind(command) == "unary" and one_kind([*command, "{kind}"]) is None
    card = run(Gauntlet(command, choose(["healthy-streaming", "fin-midbody"]), one_kind(command), jobs=1))
    assert [fault.name for fault in card.left_out] == ["healthy-streaming"]
    (cell,) = card.cells
    assert (cell.fault.name, cell.kind, cell.word) == ("fin-midbody", "unary", "pass")


def test_known_failures() -> None:
    command = [*CLIENT, "patched", *ASKS]
    how = Gauntlet(command, choose(["status-empty", "healthy-unary"]), jobs=2)
    how.known_failing = frozenset(["status-empty"])
    assert run(how).outcome == "pass"
    how.known_failing = frozenset(["status-empty", "healthy-unary"])
    card = run(how)
    assert card.outcome == "fail"
    assert [cell.fault.name for cell in card.cells if cell.fails] == ["healthy-unary"]


def test_stopped_before_the_end() -> None:
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 1

    card = run(Gauntlet([*CLIENT, "patched", *ASKS], choose(["healthy-*"]), jobs=1, stop=stop))
    assert card.interrupted and card.outcome == "untold"
    assert all(cell.why == "not run" for cell in card.cells[1:])


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_command_that_does_not_start(jobs: int) -> None:
    with pytest.raises(UsageError, match="cannot be started"):
        run(Gauntlet(["/nowhere/client", "{target}"], choose(["healthy-*"]), jobs=jobs))


def test_the_faults_are_asked_for_by_placeholder_and_environment() -> None:
    fault = next(one for one in FAULTS if one.name == "healthy-bidi")
    assert fault.placeholders("bidi") == {
        "fault": "healthy-bidi", "kind": "bidi", "path": "/demo.Echo/Stream", "calls": "2", "parallel": "1",
        "messages": "3", "deadline": "5",
    }  # fmt: skip
