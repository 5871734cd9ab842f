"""*as_expected*, and the verdict of all checks together."""

from __future__ import annotations

import pytest
from scenes import PATH, call, check, cut, lines, outcome, run, scene, trace

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
