"""Lines that people pasted into public issue threads, each with its thread and the rule that it stands for."""

from __future__ import annotations

import json
from pathlib import Path

from wirecase.explaining import explain
from wirecase.rules import ALL_RULES

LINES = json.loads((Path(__file__).parent / "data" / "lines.json").read_text(encoding="utf-8"))
SHARE = 0.9


def test_the_lines_are_many_and_cited() -> None:
    assert len(LINES) >= 50
    assert len({line["text"] for line in LINES}) == len(LINES)
    assert all(line["source"].startswith("https://github.com/") for line in LINES)
    assert {line["rule"] for line in LINES} <= {rule.id for rule in ALL_RULES}
    assert len({line["rule"] for line in LINES}) >= 20


def test_the_first_candidate_is_the_right_one() -> None:
    missed = []
    for line in LINES:
        candidates = explain(line["text"].splitlines()).candidates
        first = candidates[0].rule if candidates else None
        if first != line["rule"]:
            missed.append((line["rule"], first, line["text"][:100]))
    assert len(missed) <= (1 - SHARE) * len(LINES), missed


def test_a_whole_log_leads_with_what_it_says_most() -> None:
    page = next(line["text"] for line in LINES if line["rule"] == "http-error-with-body")
    pings = next(line["text"] for line in LINES if line["rule"] == "goaway-too-many-pings")
    found = explain([page, "2025-06-01T12:00:00Z INFO all is well", *[pings] * 3])
    assert [one.rule for one in found.candidates[:2]] == ["goaway-too-many-pings", "http-error-with-body"]
    assert found.candidates[0].count == 3
    assert found.candidates[0].lines == [3, 4, 5]
    assert (found.records, found.recognised) == (5, 4)
