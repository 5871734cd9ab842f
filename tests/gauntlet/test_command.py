"""``wirecase gauntlet`` on the command line: formats, exit statuses, lists, installed and packed packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib import resources
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from test_replay_reports import KEY, NASTY, SECRET
from test_replay_reports import result as hostile_result

from wirecase.replay.gauntlet import FAULTS, Card, Cell
from wirecase_cli.main import main
from wirecase_cli.reports import gauntlet_json, gauntlet_junit, gauntlet_markdown, gauntlet_terminal
from wirecase_cli.reports.screen import Screen

SCHEMA = json.loads(resources.files("wirecase_cli.reports").joinpath("gauntlet_v1.schema.json").read_text())
CLIENT = [sys.executable, str(Path(__file__).with_name("client.py"))]
ROOT = Path(__file__).parents[2]
SOME = ["--only", "healthy-unary", "--only", "status-empty", "--only", "http-502-empty"]
BY_NAME = {fault.name: fault for fault in FAULTS}


def valid(text: str) -> dict:
    document = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(document)
    return document


def card(*cells: Cell) -> Card:
    return Card(["./client", "{target}"], list(cells), seconds=1.0, jobs=2, timeout=20.0)


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gauntlet", "--list"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {fault.name}  " in shown for fault in FAULTS)
    assert main(["gauntlet", "--list", "--format", "json", "--only", "goaway-race"]) == 0
    (fault,) = valid(capsys.readouterr().out)["faults"]
    assert fault["rule"] == "goaway-graceful-stop" and Path(fault["case"]).is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "which client?"),
        (["--list", "--", "./client"], "--list runs no client"),
        (["--list", "--format", "junit"], "--format terminal|json"),
        (["--only", "nonsense", "--", "./client"], "no fault is named by 'nonsense'"),
        (["--known-failing", "/nowhere", "--", "./client"], "--known-failing /nowhere"),
        (["--only", "flag-2", "--", "/nowhere/client"], "cannot be started"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gauntlet", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_run_in_every_format(tmp_path: Path) -> None:
    out = tmp_path / "card"
    client = ["--", *CLIENT, "patched", "{target}", "{kind}", "{calls}", "{deadline}"]
    assert main(["gauntlet", *SOME, "--format", "json", "-o", str(out), *client]) == 1
    document = valid(out.read_text())
    assert document["summary"]["pass"] == 2 and document["summary"]["code"] == 1
    row = next(one for one in document["faults"] if one["name"] == "status-empty")
    assert (row["word"], row["expect"], row["counts_against"]) == ("code", ["UNKNOWN"], True)
    assert row["reported"][0]["code"] == "INTERNAL" and "--only status-empty -- " in row["rerun"]
    known = tmp_path / "known"
    known.write_text("status-empty\n")
    junit = ["--format", "junit", "-o", str(out), "--force"]
    assert main(["gauntlet", *SOME, *junit, "--known-failing", str(known), *client]) == 0
    cases = ElementTree.parse(out).getroot().iter("testcase")
    assert {case.get("name"): [kind.tag for kind in case] for case in cases} == {
        "healthy-unary": [],
        "status-empty": ["skipped"],
        "http-502-empty": [],
    }
    known.write_text("status-*\nhttp-502-empty # no more\n")
    markdown = ["--format", "markdown", "-o", str(out), "--force"]
    assert main(["gauntlet", *SOME, *markdown, "--known-failing", str(known), *client]) == 1
    assert "### Known to fail, and passed" in out.read_text() and "`http-502-empty`" in out.read_text()


def test_nothing_of_a_client_is_alive_in_a_card() -> None:
    cells = [Cell(BY_NAME[name], "unary", hostile_result(), 0.1) for name in ("flag-2", "healthy-unary")]
    made = card(*cells, Cell(BY_NAME["flag-67-status-0"], "unary", None))
    texts = [
        gauntlet_terminal.render(made, Screen(), "wirecase gauntlet --only"),
        gauntlet_markdown.render(made, "wirecase gauntlet --only"),
        gauntlet_junit.render(made, "wirecase gauntlet --only"),
        gauntlet_json.render(made, "wirecase gauntlet --only"),
    ]
    valid(texts[-1])
    ElementTree.fromstring(texts[2])
    for text in texts:
        for bad in ("\x1b", "\u202e", "\u200b", "\x07", "\x85", SECRET, KEY.splitlines()[1]):
            assert bad not in text
    assert "<script>" not in texts[1] and NASTY not in texts[1]


def test_the_wheel_holds_them(tmp_path: Path) -> None:
    """Built without a network, and read from where it was unpacked."""
    pytest.importorskip("hatchling", reason="hatchling, which builds the wheel, is not installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    made = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        assert {f"wirecase/replay/gauntlet/cases/{fault.name}.pcap" for fault in FAULTS} <= names
        assert "wirecase_cli/reports/gauntlet_v1.schema.json" in names
        packed.extractall(tmp_path / "installed")
    for where in (tmp_path / "installed", wheel):  # a zip on the path is what a zipapp is
        done = subprocess.run(
            [sys.executable, "-c", "import sys, wirecase_cli.main as m; sys.exit(m.main(sys.argv[1:]))",
             "gauntlet", "--format", "json", "--only", "http-502-empty", "--",
             *CLIENT, "patched", "{target}", "{kind}", "{calls}", "{deadline}"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(where)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert valid(done.stdout)["faults"][0]["word"] == "pass"
