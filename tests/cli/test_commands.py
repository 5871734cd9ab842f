"""Exit statuses, error lines and the small commands: how the command behaves towards the one who called it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from prepared_cli import ENVIRONMENT, ROOT, Stub

from wirecase import errors
from wirecase.model import Diagnosis
from wirecase_cli.main import main


@pytest.mark.parametrize(
    ("fail_on", "severities", "status"),
    [
        ("error", ["error"], 1),
        ("error", ["warning", "info"], 0),
        ("warning", ["warning"], 1),
        ("warning", ["info"], 0),
        ("info", ["info"], 1),
        ("never", ["error", "warning", "info"], 0),
        ("info", [], 0),
    ],
)
def test_findings_decide_the_status(
    stub: Stub, incident_diagnosis: Diagnosis, fail_on: str, severities: list[Any], status: int
) -> None:
    del incident_diagnosis.findings[len(severities) :]
    for one, severity in zip(incident_diagnosis.findings, severities, strict=True):
        one.severity = severity
    assert main(["diagnose", "--fail-on", fail_on, "x.pcap"]) == status


def test_an_unreadable_input_wins_over_findings(
    stub: Stub, incident_diagnosis: Diagnosis, capsys: pytest.CaptureFixture[str]
) -> None:
    incident_diagnosis.failures.append("b.pcap: no capture")
    assert main(["diagnose", "a.pcap", "b.pcap"]) == 3
    out, err = capsys.readouterr()
    assert err == "wirecase: b.pcap: no capture\n"
    assert "F2 compression flag 67" in out


def test_nothing_readable_gives_one_line_and_no_report(
    stub: Stub, healthy_diagnosis: Diagnosis, capsys: pytest.CaptureFixture[str]
) -> None:
    healthy_diagnosis.sources.clear()
    healthy_diagnosis.failures.append("b.pcap: no capture\x1b[2J")
    stub.answer = healthy_diagnosis
    assert main(["diagnose", "b.pcap"]) == 3
    assert capsys.readouterr() == ("", "wirecase: b.pcap: no capture\\x1b[2J\n")
    assert main(["diagnose", "--format", "json", "b.pcap"]) == 3
    assert json.loads(capsys.readouterr().out)["failures"] == ["b.pcap: no capture\x1b[2J"]


def test_interrupted_prints_what_is_known(
    stub: Stub, incident_diagnosis: Diagnosis, capsys: pytest.CaptureFixture[str]
) -> None:
    incident_diagnosis.interrupted = True
    assert main(["diagnose", "x.pcap"]) == 130
    out = capsys.readouterr().out
    assert "F2 compression flag 67" in out
    assert "Interrupted:" in out


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (errors.InputError("x.pcap: no such file"), 3, "wirecase: x.pcap: no such file\n"),
        (errors.UsageError("--host is odd"), 2, "wirecase: --host is odd\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_declared_failures_are_one_line(
    stub: Stub, error: BaseException, status: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.answer = error
    assert main(["diagnose", "x.pcap"]) == status
    assert capsys.readouterr() == ("", line)


def test_a_defect_is_one_line_and_a_traceback_only_on_demand(
    stub: Stub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WIRECASE_DEBUG", raising=False)
    stub.answer = ZeroDivisionError("division by zero\x1b[31m")
    assert main(["diagnose", "x.pcap"]) == 70
    err = capsys.readouterr().err
    assert err.startswith("wirecase: defect: ZeroDivisionError at prepared_cli.py:")
    assert err.count("\n") == 1
    assert "\x1b" not in err
    monkeypatch.setenv("WIRECASE_DEBUG", "1")
    assert main(["diagnose", "x.pcap"]) == 70
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["--nonsense"],
        ["diagnose"],
        ["diagnose", "--nonsense", "x"],
        ["diagnose", "--format", "xml", "x"],
        ["diagnose", "--fail-on", "sometimes", "x"],
        ["diagnose", "--port", "0", "x"],
        ["diagnose", "--port", "65536", "x"],
        ["diagnose", "--port", "http", "x"],
        ["diagnose", "--since", "yesterday", "x"],
        ["diagnose", "--since", "2025-06-01T12:00:00Z", "--until", "2025-06-01T11:00:00Z", "x"],
        ["diagnose", "--output", "/nonexistent/report", "x"],
        ["diagnose", "--output", "/", "x"],
        ["diagnose", "--keylog"],
        ["replay"],
        ["guide", "nonsense"],
        ["doctor", "--format", "markdown"],
    ],
)
def test_a_wrong_command_line_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("wirecase: ")
    assert err.count("\n") == 1


def test_an_option_of_another_command_is_not_met_with_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", "--where", "status=1", "x"]) == 2
    assert capsys.readouterr().err == "wirecase: no such option: --where (try: wirecase diagnose --help)\n"


def test_options_reach_the_pipeline(stub: Stub) -> None:
    arguments = "--keylog a.keys --keylog b.keys --port 50051 --port 8080 --host 10.0.0.2 --path /Do"
    times = ["--since", "2025-06-01T12:00:00Z", "--until", "1748779260.5"]
    main(["diagnose", *arguments.split(), *times, "x.pcap", "y.pcap"])
    asked = stub.asked
    assert asked.sources == ["x.pcap", "y.pcap"]
    assert asked.keylogs == ["a.keys", "b.keys"]
    assert asked.ports == [50051, 8080]
    assert (asked.host, asked.path) == ("10.0.0.2", "/Do")
    assert (asked.since, asked.until) == (1_748_779_200_000_000_000, 1_748_779_260_500_000_000)


def test_version_imports_nothing_heavy() -> None:
    script = (
        "import sys; from wirecase_cli.main import main; status = main(['--version']);"
        "heavy = {'typer', 'click', 'rich', 'numpy', 'json', 'asyncio', 'inspect'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else status)"
    )
    done = subprocess.run([sys.executable, "-c", script], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("wirecase ")


def test_version_beside_other_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-V"]) == 0
    assert capsys.readouterr().out.startswith("wirecase ")


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--format", "json"]) == 0
    checks = {one["name"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["python"]["state"] == "ok"
    assert {"typer", "rich", "numpy", "tshark", "dumpcap", "tcpdump", "capture", "SSLKEYLOGFILE"} <= set(checks)
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in checks)


def test_doctor_names_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from wirecase.sources.tshark import program
    from wirecase_cli.commands import doctor

    monkeypatch.setattr(doctor, "_MODULES", (("no_such_module", "no-such", True, ""),))
    monkeypatch.setattr(doctor, "_find", lambda name: None)
    monkeypatch.setattr(program, "find", lambda: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.delenv("SSLKEYLOGFILE", raising=False)
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "missing, and required" in out
    assert "-m pip install no-such" in out
    assert program.install_hint() in out
    assert "captures that others took can be diagnosed" in out


def test_guide_lists_and_prints_its_pages(capsys: pytest.CaptureFixture[str]) -> None:
    from wirecase_cli.commands import guide

    pages = {one.stem for one in (ROOT / "cli" / "wirecase_cli" / "pages").glob("*.md")}
    assert pages == set(guide.PAGES)
    assert main(["guide"]) == 0
    listed = capsys.readouterr().out
    for name in pages:
        assert name in listed
        assert main(["guide", name]) == 0
        assert capsys.readouterr().out == guide.text(name)
