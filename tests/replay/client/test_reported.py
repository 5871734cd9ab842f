"""``WIRECASE_REPORT``: whole, byte by byte, with trailing data, and with anything that a client may put there."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecase.replay.client import ReportFile, reported
from wirecase.replay.client.reported import canonical, parse
from wirecase.replay.model import ReportedCall


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("INTERNAL", "INTERNAL"), ("Internal", "INTERNAL"), (13, "INTERNAL"), ("13", "INTERNAL"),
        ("StatusCode.INTERNAL", "INTERNAL"), ("Code::Internal", "INTERNAL"), ("DeadlineExceeded", "DEADLINE_EXCEEDED"),
        ("deadline_exceeded", "DEADLINE_EXCEEDED"), ("Canceled", "CANCELLED"), ("CANCELLED", "CANCELLED"),
        ("Ok", "OK"), (0, "OK"), ("data-loss", "DATA_LOSS"), ("NOT FOUND", "NOT_FOUND"),
        (17, None), (-1, None), ("", None), ("BROKEN", None), (True, None), (None, None), (1.0, None), ([], None),
        ("x" * 1000, None),
    ],
)  # fmt: skip
def test_spellings_of_statuses(code, name):
    assert canonical(code) == name


LINES = (
    b'{"call": "/a.B/C", "code": "INTERNAL", "details": "flag 67", "messages": 3}\n'
    b"not json\n"
    b"\n"
    b'{"code": 0}\n'
    b'{"call": 7, "code": "OK", "other": [1, 2], "messages": -1, "details": 5}\n'
    b'[1]\n{"call": null, "code": 1}\n'
)
SAID = [ReportedCall("/a.B/C", "INTERNAL", "flag 67", 3), ReportedCall(2, "OK"), ReportedCall(7, "OK")]


def test_whole(tmp_path):
    path = tmp_path / "report"
    path.write_bytes(LINES)
    file = ReportFile(str(path))
    assert file.lines(last=True) == SAID
    assert file.bad_lines == 3
    assert file.lines(last=True) == []


def test_byte_by_byte(tmp_path):
    path = tmp_path / "report"
    file = ReportFile(str(path))
    assert file.lines() == []
    found = []
    for byte in LINES:
        with path.open("ab") as target:
            target.write(bytes((byte,)))
        found += file.lines()
    assert found == SAID


def test_a_line_without_its_newline_counts_at_the_end_only(tmp_path):
    path = tmp_path / "report"
    path.write_bytes(b'{"call": 1, "code": "OK"}')
    file = ReportFile(str(path))
    assert file.lines() == []
    assert file.lines(last=True) == [ReportedCall(1, "OK")]


def test_what_is_no_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert ReportFile(str(tmp_path / "pipe")).lines(last=True) == []
    assert ReportFile(str(tmp_path)).lines(last=True) == []
    (tmp_path / "secret").write_text('{"code": 0}\n')
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    assert ReportFile(str(tmp_path / "link")).lines(last=True) == []
    assert ReportFile(str(tmp_path / "missing")).lines(last=True) == []


def test_bounds(tmp_path, monkeypatch):
    monkeypatch.setattr(reported, "MOST_BYTES", 1000)
    monkeypatch.setattr(reported, "LONGEST_LINE", 100)
    path = tmp_path / "report"
    path.write_bytes(b"x" * 150)
    file = ReportFile(str(path))
    assert file.lines() == []
    with path.open("ab") as target:
        target.write(b'x\n{"call": 1, "code": "OK"}\n' + b'{"call": 2, "code": "OK"}\n' * 100)
    assert len(file.lines(last=True)) < 40
    assert file.bad_lines


def test_long_texts_are_cut():
    found = parse(json.dumps({"code": 13, "details": "x" * 100_000}).encode(), 0)
    assert found is not None
    assert len(found.details) == 4096
    assert parse(json.dumps({"code": 13, "call": "x" * 100_000}).encode(), 0) is None
    assert parse(b"[" * 100_000, 0) is None


@given(st.binary(max_size=200))
def test_any_bytes(data):
    parse(data, 0)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("call", "code", "details", "messages"), json_values)))
def test_any_fields(fields):
    found = parse(json.dumps(fields).encode(), 0)
    assert found is None or (isinstance(found.call, int | str) and isinstance(found.details, str))
