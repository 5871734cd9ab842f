"""Reports of one line each: ndjson and CSV, of findings and of calls."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecase.model import Diagnosis
from wirecase_cli.main import main
from wirecase_cli.reports import call_table, csv_rows, finding_table, json_v1, ndjson

ROOT = Path(__file__).parents[2]
INCIDENT = str(ROOT / "fixtures/incident/capture.pcapng")


@pytest.mark.parametrize("name", ["incident_diagnosis", "healthy_diagnosis", "hostile_diagnosis"])
def test_the_lines_together_are_the_report(name: str, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(name)
    text = ndjson.render(found)
    assert text.isascii() and text.endswith("\n")
    lines = [json.loads(line) for line in text.split("\n")[:-1]]
    whole = json_v1.report(found)
    *findings, last = lines
    assert [one.pop("type") for one in findings] == ["finding"] * len(found.findings)
    assert findings == whole.pop("findings")
    assert last == {"type": "verdict", **whole, "findings": len(findings)}


def test_ndjson_where_nothing_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(b"no capture at all, and long enough to be looked at")
    status = main(["diagnose", "--format", "ndjson", str(path), INCIDENT])
    assert status == 3
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["type"] == "verdict" and len(last["failures"]) == 1


def test_calls_as_ndjson(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", INCIDENT, "--format", "ndjson", "--where", "method=DoGet", "--limit", "3"]) == 0
    *rows, end = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row.pop("type") for row in rows] == ["call"] * 3
    assert (end["type"], end["seen"], end["listed"]) == ("end", 121, 3)
    assert main(["calls", INCIDENT, "--format", "json", "--where", "method=DoGet", "--limit", "3"]) == 0
    assert rows == json.loads(capsys.readouterr().out)["calls"]


def test_the_columns_of_calls_are_those_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", INCIDENT, "--format", "csv", "--where", "path~NothingOfTheKind"]) == 0
    assert next(csv.reader(io.StringIO(capsys.readouterr().out))) == list(call_table.COLUMNS)
    assert main(["calls", INCIDENT, "--format", "json", "--limit", "1"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["calls"]
    names = [f"{name}_{inner}" for name, value in row.items() if isinstance(value, dict) for inner in value]
    assert set(call_table.COLUMNS) == {name for name, value in row.items() if not isinstance(value, dict)} | set(names)


def test_findings_as_csv(incident_diagnosis: Diagnosis) -> None:
    rows = list(csv.DictReader(io.StringIO(finding_table.render(incident_diagnosis), newline="")))
    assert [row["id"] for row in rows] == [one.id for one in incident_diagnosis.findings]
    flag = rows[1]
    assert (flag["caused_by"], flag["count"], flag["packet"], flag["offset"]) == ("F1", "31", "41", "1230")
    assert json.loads(flag["details"])["flag"] == 67
    assert flag["server"] == "10.0.0.2:443"


def test_hostile_findings_as_csv(hostile_diagnosis: Diagnosis) -> None:
    text = finding_table.render(hostile_diagnosis)
    assert text.replace("\r\n", "").isprintable()
    assert len(list(csv.reader(io.StringIO(text, newline="")))) == 1 + len(hostile_diagnosis.findings)


@pytest.mark.parametrize(
    "formula",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =cmd|'/c calc'!A0",
        "＝1+1",
        "＋1",
        "－1",
        "＠x",
        "\x0b=1",
    ],
)
def test_formulas_are_texts(formula: str) -> None:
    assert str(csv_rows.cell(formula)).startswith("'")


@given(st.lists(st.one_of(st.none(), st.integers(0, 1 << 64), st.text(), st.lists(st.text(max_size=5), max_size=3))))
def test_cells_come_back_and_do_nothing(values: list[object]) -> None:
    """Whatever stands in a cell, a reader finds the same cells, and none that begins a formula."""
    text = "".join(csv_rows.lines(["a"], [values]))
    assert text.replace("\r\n", "").isprintable()
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    if not values:
        assert rows in ([["a"]], [["a"], []])
        return
    assert rows[1] == [str(csv_rows.cell(value)) for value in values]
    for cell in rows[1]:
        assert not cell.lstrip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))
    # The same where other separators are meant: every text is quoted.
    for value in values:
        if isinstance(value, str):
            line = "".join(csv_rows.lines(["a"], [[value]])).split("\r\n")[1]
            assert line.startswith('"') and line.endswith('"')
