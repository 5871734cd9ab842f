"""The report for people: what it says, and that it stays in its lines whatever the capture holds."""

from __future__ import annotations

import re
import unicodedata

import pytest

from wirecase.model import Diagnosis, Evidence
from wirecase_cli.reports import hexview, markdown, outline, terminal
from wirecase_cli.reports.screen import Screen

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else not unicodedata.combining(char) for char in line)


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", ["incident_diagnosis", "healthy_diagnosis", "hostile_diagnosis"])
@pytest.mark.parametrize("width", [40, 80, 120])
def test_fits_its_width_without_colour(name: str, width: int, request: pytest.FixtureRequest) -> None:
    text = terminal.render(request.getfixturevalue(name), Screen(width=width))
    for line in text.split("\n"):
        assert columns(line) <= width, line
        assert line == line.rstrip()
    assert text.endswith("\n")


def test_nothing_of_a_capture_gets_through(hostile_diagnosis: Diagnosis) -> None:
    text = ANSI.sub("", terminal.render(hostile_diagnosis, Screen(color=True)))
    assert not {unicodedata.category(char) for char in text.replace("\n", "")} & {"Cc", "Cf", "Cs", "Co", "Cn"}
    assert "[bold]b[/bold]" in text, "markup of rich is text"
    plain = terminal.render(hostile_diagnosis, Screen())
    assert "\x1b" not in plain


def test_says_what_a_tired_person_needs(incident_diagnosis: Diagnosis) -> None:
    text = words(terminal.render(incident_diagnosis, Screen()))
    for phrase in (
        "✗ 32 of 1,204 calls (2.7 %) failed",
        "Not inspected: 3 TLS connections without keys; 2 UDP flows",
        "└── ✗ error F2 compression flag 67",
        "×31 grpc-invalid-compression-flag",
        "error, certain; at fault: server or network",
        "first bytes of the body sent by the server, packet 41, 12:00:00.163, 157 bytes at offset 1230",
        "1230 43 6f 6e 6e 65 63 74 69 6f 6e 20 72 65 66 75 73 Connection refus",
        "^^ compressed flag 67 = 'C'",
        "~~ length 1,869,508,197 = 'onne'",
        "tonic 0.14.6 F2 INTERNAL protocol error: received message with invalid compression flag: 67",
        "grpc-go 1.65 F2 UNAVAILABLE (not checked live)",
        "retry F1: safe: no call reached the server",
        "do F1: Start the server on",
        "cf-ray 8c1f-FRA",
        "What this capture cannot show",
        "the capture ends while 7 calls are open",
        "1,204: 1,153 ok, 44 failed, 7 unfinished",
        "300,000 captured = 290,000 decoded + 10,000 skipped (retransmitted 6,000, not TCP 4,000)",
    ):
        assert phrase in text


def test_a_moment_is_no_stretch_of_time(incident_diagnosis: Diagnosis) -> None:
    blast = incident_diagnosis.verdict.blast
    assert blast.first is not None
    assert blast.last is not None
    assert re.search(r"\n  From \S+ \S+ to \S+ UTC \(", terminal.render(incident_diagnosis, Screen()))
    first = blast.first // 10**6 * 10**6
    blast.first, blast.last = first, first + 999_999
    assert re.search(r"\n  At \S+ \S+ UTC\n", terminal.render(incident_diagnosis, Screen()))


def test_a_healthy_capture_reads_as_healthy(healthy_diagnosis: Diagnosis) -> None:
    text = terminal.render(healthy_diagnosis, Screen())
    assert "✓ No fault found in 40 gRPC calls" in text
    assert "Causes" not in text


@pytest.mark.parametrize("limit", ["not_inspected", "interrupted", "failures", "no calls"])
def test_what_was_not_looked_at_never_reads_as_healthy(healthy_diagnosis: Diagnosis, limit: str) -> None:
    if limit == "not_inspected":
        healthy_diagnosis.verdict.not_inspected.append("3 TLS connections without keys")
    elif limit == "interrupted":
        healthy_diagnosis.interrupted = True
    elif limit == "failures":
        healthy_diagnosis.failures.append("x.pcap: no capture")
    else:
        healthy_diagnosis.calls.total = 0
    assert "✓" not in terminal.render(healthy_diagnosis, Screen())


def test_bytes_that_do_not_add_up_are_told(hostile_diagnosis: Diagnosis) -> None:
    assert "the bytes do not add up" in terminal.render(hostile_diagnosis, Screen())


def test_colour_is_never_the_only_carrier(incident_diagnosis: Diagnosis) -> None:
    painted = terminal.render(incident_diagnosis, Screen(color=True))
    assert "\x1b[" in painted
    assert ANSI.sub("", painted).split() == terminal.render(incident_diagnosis, Screen()).split()


def test_ascii_where_nothing_else_arrives(incident_diagnosis: Diagnosis) -> None:
    text = terminal.render(incident_diagnosis, Screen(unicode=False))
    assert text.isascii()


def test_the_same_story_on_many_connections_is_told_once(incident_diagnosis: Diagnosis) -> None:
    first = incident_diagnosis.findings[3]
    for number in range(9, 109):
        again = type(first)(**{name: getattr(first, name) for name in first.__slots__})
        again.id = f"F{number}"
        incident_diagnosis.findings.append(again)
    text = words(terminal.render(incident_diagnosis, Screen()))
    assert "×101 on 101 connections" in text
    assert text.count("502 with a text/html page") < 5
    assert "also F9, F10, F11, F12, F13, and 95 more" in text


def test_many_roots_are_cut_and_said_so(incident_diagnosis: Diagnosis) -> None:
    page = incident_diagnosis.findings[3]
    for number in range(9, 29):
        again = type(page)(**{name: getattr(page, name) for name in page.__slots__})
        again.id, again.rule = f"F{number}", f"rule-{number}"
        incident_diagnosis.findings.append(again)
    text = words(terminal.render(incident_diagnosis, Screen()))
    assert "17 more root causes are not told here in full" in text


def test_causes_in_a_circle_or_from_nowhere_lose_no_finding(incident_diagnosis: Diagnosis) -> None:
    one, two, three, *_ = incident_diagnosis.findings
    one.caused_by, two.caused_by, three.caused_by = "F2", "F1", "F99"
    incident_diagnosis.verdict.root_causes = ["F77"]
    arranged = outline.of(incident_diagnosis)
    groups = [*arranged.roots, *arranged.remarks, *arranged.limits]
    ids = [one.id for group in groups for member in (group, *group.descendants()) for one in member.findings]
    assert sorted(ids) == [f"F{n}" for n in range(1, 9)]


def test_hex_view_marks_frames() -> None:
    from wirecase.model import Finding

    goaway = bytes.fromhex("00000f0700000000000000 07cf 0000000b 7065 6572 2021 21".replace(" ", ""))
    finding = Finding("goaway-error", "error", "certain", "t", "e", ["server"])
    evidence = Evidence("primary", "GOAWAY", 0, "server", 7, 300, len(goaway), goaway)
    assert [span.label for span in hexview.spans(finding, evidence)] == ["last stream 1,999", "error code 11"]
    row, second = hexview.rows(evidence, hexview.spans(finding, evidence))
    assert row.hex_marks.split() == ["~~"] * 4 + ["^^"] * 3
    assert second.hex_marks == "^^"


@pytest.mark.parametrize("size", [0, 1, 8, 15, 16, 17, 200])
@pytest.mark.parametrize("per_row", [8, 16])
def test_hex_view_shows_each_byte_once(size: int, per_row: int) -> None:
    data = bytes(range(size))
    evidence = Evidence("primary", "n", 0, "server", 1, 5, size, data)
    rows = hexview.rows(evidence, [], per_row=per_row, most=100)
    assert bytes.fromhex("".join(row.hex for row in rows).replace(" ", "")) == data
    assert len({len(f"{row.offset}  {row.hex}") for row in rows}) <= 1, "columns are aligned"
    assert all(len(row.offset) + 4 + len(row.hex) + per_row == hexview.row_width(evidence, per_row) for row in rows)


def test_thousands_of_findings_stay_readable(incident_diagnosis: Diagnosis) -> None:
    root, child = incident_diagnosis.findings[3], incident_diagnosis.findings[4]
    for number in range(9, 2009):
        again = type(root)(**{name: getattr(root, name) for name in root.__slots__})
        again.id, again.rule = f"F{number}", f"rule-{number}"
        again.caused_by = "F5" if number % 2 else None
        again.severity = "info" if number % 3 == 0 else "error"
        incident_diagnosis.findings.append(again)
    assert child.id == "F5"
    text = terminal.render(incident_diagnosis, Screen())
    assert text.count("\n") < 700
    assert "more root causes" in text
    assert "more consequences" in text
    assert "more remarks" in text
    assert len(markdown.render(incident_diagnosis)) < 65_536
