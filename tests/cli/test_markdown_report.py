"""The report to paste: its parts, and that the capture writes none of its Markdown."""

from __future__ import annotations

import re

import pytest

from wirecase.model import Diagnosis
from wirecase_cli.reports import markdown

FENCE = re.compile(r"^(`{3,})text\n(.*?)\n\1$", re.S | re.M)
SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")


def bare(text: str) -> str:
    """What is left outside of code."""
    return SPAN.sub("", FENCE.sub("", text))


def test_has_its_parts(incident_diagnosis: Diagnosis) -> None:
    text = markdown.render(incident_diagnosis)
    for part in (
        "## wirecase: 32 of 1,204 calls",
        "- **Not inspected:** 3 TLS connections without keys; 2 UDP flows",
        "  - **error** F2 compression flag 67",
        "    - **error** F3",
        "1230  43 6f 6e 6e 65",
        "| tonic 0.14.6 | F2 | INTERNAL | `protocol error: received message with invalid compression flag: 67",
        "(not checked live)",
        "**Retry (F1):** safe: no call reached the server",
        "<details><summary>Sources and bytes</summary>",
        f"SHA-256 `{'ab' * 32}`",
        "Made by wirecase 0.1.0.",
    ):
        assert part in text


@pytest.mark.parametrize("name", ["incident_diagnosis", "hostile_diagnosis"])
def test_only_our_own_markup_is_alive(name: str, request: pytest.FixtureRequest) -> None:
    rest = bare(markdown.render(request.getfixturevalue(name)))
    for tag in ("<details>", "</details>", "<summary>", "</summary>"):
        rest = rest.replace(tag, "")
    assert not set(rest) & set("<>[]&@`~$\\"), rest
    assert "://" not in rest
    assert not re.search(r"#\d|GH-\d|(?<![#\n])#", rest.replace("\n## ", "\n").replace("\n### ", "\n").lstrip("# "))
    assert set(re.findall(r"\*+", rest)) <= {"**"}


def test_every_line_of_a_table_has_four_cells(hostile_diagnosis: Diagnosis) -> None:
    rows = [line for line in markdown.render(hostile_diagnosis).split("\n") if line.startswith("| ")]
    assert rows
    for row in rows:
        assert len(re.findall(r"(?<!\\)\|", row)) == 5, row


def test_no_control_character(hostile_diagnosis: Diagnosis) -> None:
    assert markdown.render(hostile_diagnosis).replace("\n", "").isprintable()
