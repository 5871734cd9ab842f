"""*as_expected*, and the verdict of all checks together."""

from __future__ import annotations

import pytest
from scenes import PATH, call, check, connection, cut, lines, outcome, run, scene, trace

from wirecase.errors import UsageError
from wirecase.replay.judge import overall, parse_expectation
from wirecase.replay.model import Check, ReportedCall

ONE = trace(call(0, 0.1), cut(1, 0.2))


@pytest.mark.parametrize(
    ("expect", "code", "expected"),
    [
        ("UNAVAILABLE", "UNAVAILABLE", "pass"),
        ("unavailable", "UNAVAILABLE", "pass"),
        ("14", "UNAVAILABLE", "pass"),
        ("UNAVAILABLE", "INTERNAL", "fail"),
        ("error", "INTERNAL", "pass"),
        ("error", "OK", "fail"),
        ("ok", "INTERNAL", "fail"),
        ("INTERNAL:flag: \\d+", "INTERNAL", "pass"),
        ("INTERNAL:reset", "INTERNAL", "fail"),
    ],
)
def test_statuses(expect, code, expected):
    said = [*lines("OK"), ReportedCall(1, code, "invalid compression flag: 67")]
    assert outcome("as_expected", scene(ONE, run(0, reported=said), expect=(expect,))) == expected


def test_ok_after_a_retry():
    seen = trace(cut(0, 0.1, request_digest="same"), call(1, 0.2, request_digest="same"))
    assert outcome("as_expected", scene(seen, run(0, reported=lines((PATH, "OK"))), expect=("ok",))) == "pass"


def test_an_error_is_told_by_the_process_where_nothing_was_reported():
    assert outcome("as_expected", scene(ONE, run(1), expect=("error",))) == "pass"
    assert outcome("as_expected", scene(ONE, run(0), expect=("error",))) == "fail"
    assert outcome("as_expected", scene(ONE, run(1), expect=("INTERNAL",))) == "untold"


@pytest.mark.parametrize(
    ("expect", "client", "expected"),
    [
        ("exit=0", run(0), "pass"),
        ("exit=0", run(1), "fail"),
        ("exit=3", run(3), "pass"),
        ("exit=error", run(3), "pass"),
        ("exit=error", run(0), "fail"),
        ("exit=0", run(None, signal=15, ended_by_us=True), "fail"),
        ("exit=0", None, "untold"),
        ("output=flag: 67", run(0, output=b"invalid flag: 67", output_bytes=16), "pass"),
        ("output=flag: 68", run(0, output=b"invalid flag: 67", output_bytes=16), "fail"),
        ("output=flag: 68", run(0, output=b"invalid flag: 67", output_bytes=99), "untold"),
    ],
)
def test_the_process(expect, client, expected):
    assert outcome("as_expected", scene(ONE, client, expect=(expect,))) == expected


def test_all_of_them_must_hold():
    made = scene(ONE, run(1), expect=("exit=1", "output=nothing of the kind"))
    found = check("as_expected", made)
    assert found.outcome == "fail" and [one["outcome"] for one in found.evidence] == ["pass", "fail"]


def test_nothing_is_expected_of_faults_that_were_not_served():
    assert outcome("as_expected", scene(trace(call(0, 0.1)), run(0), expect=("error",))) == "untold"


@pytest.mark.parametrize("text", ["", "BROKEN", "exit=", "exit=-1", "exit=256", "INTERNAL:(", "output=["])
def test_what_cannot_be_expected(text):
    with pytest.raises(UsageError) as told:
        parse_expectation(text)
    assert "\n" not in str(told.value) and "--expect" in str(told.value)


def checks(**outcomes: str) -> list[Check]:
    return [Check(name, outcome, "") for name, outcome in outcomes.items()]  # type: ignore[arg-type]


def test_the_verdict():
    assert overall(checks(detected="pass", recovered="untold")) == "pass"
    assert overall(checks(detected="pass", recovered="fail")) == "fail"
    assert overall(checks(detected="untold", recovered="pass")) == "untold"
    assert overall(checks(detected="untold", as_expected="pass")) == "pass"
    assert overall(checks(detected="untold", as_expected="untold")) == "untold"


@pytest.mark.parametrize(("code", "expected"), [("INTERNAL", "pass"), ("UNKNOWN", "pass"), ("OK", "fail")])
def test_one_of_several_statuses(code, expected):
    said = run(0, reported=lines("OK", code))
    assert outcome("as_expected", scene(ONE, said, expect=("INTERNAL|2",))) == expected


def test_an_alternative_that_is_no_status():
    with pytest.raises(UsageError, match=r"INTERNAL\|NONSENSE"):
        parse_expectation("INTERNAL|NONSENSE")


def test_a_plain_recording_expects_the_same_of_every_call():
    """Nothing in it is faulty: a control, or an answer that is wrong only for what was asked."""
    seen = trace(call(0, 0.1, role="problem"), call(1, 0.2, role="problem"), call(2, 0.3))
    for said, expected in (("OK", "pass"), ("INTERNAL", "fail")):
        made = scene(seen, run(0, reported=lines("OK", said, "OK")), expect=("OK",), plain=True)
        assert outcome("as_expected", made) == expected


def test_a_plain_recording_and_calls_that_began_together():
    seen = trace(call(0, 0.1, role="problem"), call(1, 0.1, role="problem"))
    for said, expected in (("OK", "pass"), ("INTERNAL", "fail")):
        made = scene(seen, run(0, reported=lines(said, "OK")), expect=("OK",), plain=True)
        assert outcome("as_expected", made) == expected


@pytest.mark.parametrize(
    ("expect", "exit_status", "expected"),
    [("OK", 0, "pass"), ("OK", 1, "fail"), ("INTERNAL", 1, "pass"), ("INTERNAL", 0, "untold")],
)
def test_a_plain_recording_without_a_report(expect, exit_status, expected):
    seen = trace(call(0, 0.1, role="problem"))
    assert outcome("as_expected", scene(seen, run(exit_status), expect=(expect,), plain=True)) == expected


def test_a_fault_of_the_connection_is_held_against_the_calls_that_it_met():
    broken = [connection(faults=["h2-stream-state-violation"], broke_at=0.15)]
    met = call(0, 0.1, role="problem", completed=0.3, ended=0.3)
    seen = trace(met, call(1, 0.4), connections=broken)
    for code, expected in (("OK", "fail"), ("UNAVAILABLE", "pass")):
        made = scene(seen, run(0, reported=lines(code, "OK")), expect=("UNAVAILABLE",))
        assert outcome("as_expected", made) == expected


def test_a_fault_before_any_call():
    seen = trace(call(0, 0.4, connection=1), connections=[connection(faults=["h2-not-http2"], broke_at=0.1)])
    for said, expected in (
        (("UNAVAILABLE", "OK"), "pass"),
        (("INTERNAL", "OK"), "fail"),
        (("OK",), "pass"),
    ):
        made = scene(seen, run(0, reported=lines(*said)), expect=("UNAVAILABLE|OK",))
        assert outcome("as_expected", made) == expected
    assert outcome("as_expected", scene(seen, run(0, reported=lines("OK")), expect=("UNAVAILABLE",))) == "untold"


def test_an_answer_that_was_given_up_before_its_fault_was_served_whole():
    early = cut(0, 0.1, broke_at=None, ended=None, reset_by_client=1, reset_at=0.11)
    for code, expected in (("INTERNAL", "pass"), ("OK", "untold")):
        made = scene(trace(early), run(1, reported=lines(code)), expect=("INTERNAL",))
        assert outcome("as_expected", made) == expected


def test_where_only_the_fault_can_fail_a_call_each_error_counts():
    """Three lines and two calls: which line is whose cannot be told, and need not be."""
    for said, expected in (
        (("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "OK"), "fail"),
        (("INTERNAL", "INTERNAL", "OK"), "pass"),
        (("OK", "OK", "OK"), "fail"),
    ):
        seen = trace(cut(0, 0.1), call(1, 0.4))
        made = scene(seen, run(1, reported=lines(*said)), expect=("INTERNAL",), alone=True)
        assert outcome("as_expected", made) == expected
        assert outcome("as_expected", scene(seen, run(1, reported=lines(*said)), expect=("INTERNAL",))) == "untold"
