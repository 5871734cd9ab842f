"""Faults chosen by name, rule, topic and pattern; lists of known failures."""

from __future__ import annotations

import pytest

from wirecase.errors import UsageError
from wirecase.replay.gauntlet import FAULTS
from wirecase.replay.gauntlet.choice import choose, known_failing


def names(*patterns: str) -> set[str]:
    return {fault.name for fault in choose(patterns)}


def test_all_without_a_pattern() -> None:
    assert choose([]) == list(FAULTS)


def test_by_name_topic_rule_and_pattern() -> None:
    assert names("goaway-race") == {"goaway-race"}
    assert names("stall") == {"stall-at-once", "stall-after-headers", "stall-midbody", "stall-mid-message"}
    assert {"flag-67-proxy-page", "flag-2", "content-encoding-gzip"} <= names("grpc-invalid-compression-flag")
    assert names("fin-*", "goaway-race") == {"goaway-race", *(one.name for one in FAULTS if one.name[:4] == "fin-")}


def test_nothing_by_that_name() -> None:
    with pytest.raises(UsageError, match=r"no fault is named by 'flag-68'.*--list"):
        choose(["goaway-race", "flag-68"])


def test_known_failures() -> None:
    text = ["# all of them", "", "flag-2  # as it ever was", "  fin-mid-*"]
    assert known_failing(text, "list") == {"flag-2", "fin-mid-message", "fin-mid-frame"}


def test_a_list_that_names_what_is_not_there() -> None:
    with pytest.raises(UsageError, match=r"list\.txt:2: no fault has the name 'flag-68'"):
        known_failing(["flag-2", "flag-68"], "list.txt")
