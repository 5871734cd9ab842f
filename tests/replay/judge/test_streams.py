"""*contained*, *recovered* and *retried_safely*: what the client did with its other calls."""

from __future__ import annotations

import pytest
from scenes import PATH, call, check, connection, cut, faulty, lines, outcome, run, scene, silent, trace

# ---- contained -----------------------------------------------------------------------------------------------------


def test_neighbours_that_complete():
    made = scene(trace(cut(0, 0.1), call(1, 0.05, completed=0.5, ended=0.5)), run(0))
    assert outcome("contained", made) == "pass"


@pytest.mark.parametrize(("reset_at", "expected"), [(0.2, "fail"), (9.0, "untold")])
def test_neighbours_that_the_client_resets(reset_at, expected):
    """At once it is a reaction to the fault; much later it may be a deadline of their own."""
    other = call(1, 0.05, completed=None, ended=None, reset_by_client=8, reset_at=reset_at)
    assert outcome("contained", scene(trace(cut(0, 0.1), other), run(0))) == expected


def test_neighbours_that_are_left_with_the_connection():
    other = call(1, 0.05, completed=None, ended=None)
    gone = connection(closed=0.3, closed_by="client-rst")
    assert outcome("contained", scene(trace(cut(0, 0.1), other, connections=[gone]), run(0))) == "fail"


def test_a_client_that_we_ended_gave_nothing_up():
    other = call(1, 0.05, completed=None, ended=None)
    gone = connection(closed=1.01, closed_by="client-rst")
    ended = run(None, signal=15, ended=1.0, ended_by_us=True, timed_out=True)
    assert outcome("contained", scene(trace(silent(0, 0.1), other, connections=[gone]), ended)) == "untold"


def test_neighbours_that_could_not_live_on():
    other = call(1, 0.05, completed=None, ended=None)
    gone = connection(survivable=False, closed=0.2, closed_by="server-rst")
    found = check("contained", scene(trace(cut(0, 0.1), other, connections=[gone]), run(0)))
    assert found.outcome == "untold" and "could not live on" in found.why


@pytest.mark.parametrize("other", [call(1, 0.5), call(1, 0.01), call(1, 0.05, connection=1, completed=0.5)])
def test_no_neighbours(other):
    """After the fault, over before it, on another connection."""
    seen = trace(cut(0, 0.1), other, connections=[connection(), connection(1)])
    found = check("contained", scene(seen, run(0)))
    assert found.outcome == "untold" and "no other stream" in found.why


# ---- recovered -----------------------------------------------------------------------------------------------------


def test_the_next_sound_call_and_its_time():
    found = check("recovered", scene(trace(cut(0, 0.1), call(1, 1.1)), run(0)))
    assert found.outcome == "pass" and "1.0 s" in found.why
    assert found.evidence[0]["seconds"] == 1.0 and found.evidence[0]["by"] == "a new stream"


def test_a_new_connection_is_named():
    seen = trace(cut(0, 0.1), call(1, 1.1, connection=1), connections=[connection(), connection(1, 1.0)])
    assert check("recovered", scene(seen, run(0))).evidence[0]["by"] == "a new connection"


def test_unimplemented_shows_that_the_wire_works():
    assert outcome("recovered", scene(trace(cut(0, 0.1), call(1, 0.5, role="fallback", status=12)), run(0))) == "pass"


def test_no_further_call_tells_nothing():
    assert outcome("recovered", scene(trace(call(1, 0.05), cut(0, 0.1)), run(0))) == "untold"


def test_calls_on_a_healthy_server_that_fail():
    dead = call(1, 1.0, completed=None, ended=None, reset_by_client=8, reset_at=6.0)
    assert outcome("recovered", scene(trace(cut(0, 0.1), dead), run(1))) == "fail"


def test_calls_that_we_cut_short_are_not_held_against_the_client():
    dead = call(1, 9.9, completed=None, ended=None)
    ended = run(None, signal=15, ended_by_us=True, timed_out=True)
    assert outcome("recovered", scene(trace(cut(0, 0.1), dead), ended)) == "untold"


def test_several_faults():
    seen = trace(cut(0, 0.1), call(1, 0.2), cut(2, 0.3))
    found = check("recovered", scene(seen, run(0)))
    assert found.outcome == "pass" and "1 of 2 faults" in found.why


def test_faults_that_strike_together_are_one():
    """A GOAWAY hits the connection and every call on it."""
    gone = connection(faults=["goaway-error"], broke_at=0.21, survivable=False, closed=0.3, closed_by="server-fin")
    seen = trace(cut(0, 0.1, broke_at=0.2), cut(1, 0.1, broke_at=0.205), call(2, 0.5, connection=1),
                 connections=[gone, connection(1, 0.4)])  # fmt: skip
    found = check("recovered", scene(seen, run(0)))
    assert found.outcome == "pass" and "after the fault the next sound call worked" in found.why


def test_dialling_again_without_tls():
    seen = trace(cut(0, 0.1), connections=[connection(), connection(1, 0.5, tls_error="bad certificate")])
    assert outcome("recovered", scene(seen, run(1))) == "fail"


# ---- retried_safely ------------------------------------------------------------------------------------------------


def again(number: int, at: float, **fields: object):
    return call(number, at, **{"request_digest": "same", **fields})


def test_the_same_request_after_a_fault():
    found = check("retried_safely", scene(trace(cut(0, 0.1, request_digest="same"), again(1, 0.5)), run(0)))
    assert found.outcome == "fail" and found.evidence[0]["repeats"] == 0
    assert found.evidence[0]["spacing"] == pytest.approx(0.39)


def test_what_may_be_sent_again():
    refused = cut(0, 0.1, "rst-refused-stream", request_digest="same", unprocessed=True)
    assert outcome("retried_safely", scene(trace(refused, again(1, 0.5)), run(0))) == "pass"
    seen = trace(cut(0, 0.1, request_digest="same"), again(1, 0.5))
    for path in (PATH, "Get", "Service/Get"):
        assert outcome("retried_safely", scene(seen, run(0), idempotent=(path,))) == "pass"
    assert outcome("retried_safely", scene(seen, run(0), idempotent=("et",))) == "fail"


def test_other_requests_are_no_retries():
    assert outcome("retried_safely", scene(trace(cut(0, 0.1), call(1, 0.5)), run(0))) == "pass"
    other = again(1, 0.5, path="/pkg.Service/Put")
    assert outcome("retried_safely", scene(trace(cut(0, 0.1, request_digest="same"), other), run(0))) == "pass"


def test_a_client_that_always_asks_the_same_is_not_accused():
    seen = trace(again(0, 0.1), cut(1, 0.2, request_digest="same"), again(2, 0.5))
    assert outcome("retried_safely", scene(seen, run(0))) == "untold"
    seen.calls[2].previous_attempts = 1
    assert outcome("retried_safely", scene(seen, run(0))) == "fail"


def test_a_recorded_habit_is_not_held_against_the_client():
    seen = trace(cut(0, 0.1, request_digest="same"), again(1, 0.5))
    assert outcome("retried_safely", scene(seen, run(0), habits=frozenset({PATH}))) == "untold"
    seen.calls[1].previous_attempts = 1
    assert outcome("retried_safely", scene(seen, run(0), habits=frozenset({PATH}))) == "fail"


def test_calls_that_were_reported_one_by_one_are_not_accused():
    seen = trace(cut(0, 0.1, request_digest="same"), again(1, 0.5))
    assert outcome("retried_safely", scene(seen, run(0, reported=lines("INTERNAL", "OK")))) == "untold"


def attempts(*times: float):
    refused = {"request_digest": "same", "unprocessed": True}
    return [cut(i, at, "rst-refused-stream", **refused) for i, at in enumerate(times)]


def test_a_storm():
    found = check("retried_safely", scene(trace(*attempts(*(i * 0.05 for i in range(12)))), run(1)))
    assert found.outcome == "fail" and "12 attempts" in found.why
    assert found.evidence[0]["spacings"] == [0.05] * 11


@pytest.mark.parametrize(
    "times",
    [
        (0.0, 0.1, 0.3, 0.7, 1.5, 3.1),  # backs off
        (0.0, 0.05, 0.1, 0.15),  # few
        tuple(i * 1.5 for i in range(12)),  # far apart
    ],
)
def test_no_storm(times):
    assert outcome("retried_safely", scene(trace(*attempts(*times)), run(1))) == "pass"


def test_a_storm_of_connections():
    dials = [connection(i, 0.05 * i) for i in range(40)]
    assert outcome("retried_safely", scene(trace(cut(0, 0.1), connections=dials), run(1))) == "fail"
    calls = [call(i, 0.05 * i, connection=i) for i in range(5, 40)]
    seen = trace(cut(0, 0.1), *calls, connections=dials)
    assert outcome("retried_safely", scene(seen, run(1))) == "pass", "a channel for each call"


def test_a_body_that_was_never_seen_whole_is_compared_with_nothing():
    seen = trace(cut(0, 0.1, request_digest=""), call(1, 0.5, request_digest=""))
    assert outcome("retried_safely", scene(seen, run(0))) == "pass"


def test_faults_that_were_not_reached():
    for name in ("contained", "recovered", "retried_safely"):
        assert outcome(name, scene(trace(call(0, 0.1)), run(0))) == "untold"
        assert outcome(name, scene(trace(faulty(0, 0.1, broke_at=None)), run(0))) == "untold"


def test_more_requests_than_calls_are_retries_for_certain():
    """It repeats the same request after successes, but it reports three calls and four requests came."""
    seen = trace(*(made(n, 0.1 * n, request_digest="same") for n, made in enumerate((cut, call, call, call), 1)))
    assert outcome("retried_safely", scene(seen, run(0, reported=lines("OK", "OK", "OK")))) == "fail"
    assert outcome("retried_safely", scene(seen, run(1, reported=lines("INTERNAL", "OK", "OK", "OK")))) == "untold"
    some = lines((0, "OK"), (2, "OK"), (3, "OK"))  # one that it did not report may be the first
    assert outcome("retried_safely", scene(seen, run(0, reported=some))) == "untold"


def test_more_requests_than_calls_may_be_allowed_retries():
    seen = trace(cut(0, 0.1, unprocessed=True, request_digest="a"), call(1, 0.2, request_digest="a"))
    assert outcome("retried_safely", scene(seen, run(0, reported=lines("OK")))) == "pass"
