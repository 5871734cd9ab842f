"""The list of faults, and the recordings that ship: each shows what it is said to."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from wirecase.pipeline import Options, diagnose
from wirecase.replay.gauntlet import FAULTS, Fault
from wirecase.replay.gauntlet.fault import BASES, ERRORS, TOPICS
from wirecase.replay.gauntlet.faults import resets
from wirecase.replay.gauntlet.shipped import HEALTHY, case
from wirecase.replay.judge import parse_expectation
from wirecase.rules import ALL_RULES

CASES = Path(str(case("healthy-unary"))).parent
RULES = {rule.id for rule in ALL_RULES}


def test_there_are_many_of_every_topic() -> None:
    topics = Counter(fault.topic for fault in FAULTS)
    assert sum(topics.values()) - topics["control"] >= 140
    assert all(topics[topic] >= 4 for topic in TOPICS)


def test_names_are_plain_and_differ() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)
    assert not set(names) & set(TOPICS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fields(fault: Fault) -> None:
    assert {fault.rule, *fault.also} - {""} <= RULES
    assert fault.basis in BASES and not fault.summary.endswith(".")
    assert parse_expectation(fault.expectation).codes == fault.expect
    assert fault.control == (fault.expect == ("OK",))
    assert fault.rule or fault.plain
    assert ("DEADLINE_EXCEEDED" in fault.expect) == (fault.topic == "stall" or fault.name == "window-never-opened")


def test_a_deadline_is_no_answer_to_what_is_over() -> None:
    assert "DEADLINE_EXCEEDED" not in ERRORS and "OK" not in ERRORS


def test_every_error_code_of_http2_is_there() -> None:
    assert {code for code, _ in resets.MAPPED.values()} >= {"NO_ERROR", "CANCEL", "HTTP_1_1_REQUIRED"}
    assert len(resets.MAPPED) == 15


def test_the_recordings_are_those_of_the_recipes_and_no_others() -> None:
    assert {path.name for path in CASES.iterdir()} == {f"{fault.name}.pcap" for fault in FAULTS}
    making = [sys.executable, str(Path(__file__).with_name("making.py")), "--check"]
    done = subprocess.run(making, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_the_recordings_are_small() -> None:
    assert sum(path.stat().st_size for path in CASES.iterdir()) < 300_000


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_diagnosis_names_the_fault(fault: Fault) -> None:
    found = diagnose(Options([str(CASES / f"{fault.name}.pcap")]))
    rules = {one.rule for one in found.findings}
    roots = {one.rule for one in found.findings if one.id in found.verdict.root_causes}
    assert not found.accounting.unbalanced
    if fault.control:
        assert not roots, "a control is healthy"
    elif fault.rule and not fault.plain:
        assert fault.rule in roots
    assert ({fault.rule} if fault.rule else set()) | set(fault.also) <= rules


def test_they_are_found_beside_the_code() -> None:
    assert Path(__file__).parents[2] / "decoders" / "wirecase" / "replay" / "gauntlet" / "cases" == CASES
    assert all(case(name).is_file() for name in HEALTHY.values())
