"""The options that bring in Wireshark: --engine, --tshark-option, --cross-check, show --dissect."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tunnelled
from fake_tshark import fake

from wirecase.model import Compared, ConnectionRef, CrossCheck, Diagnosis, Difference
from wirecase.sources.tshark import program
from wirecase_cli.main import main
from wirecase_cli.reports import json_v1, markdown, screen, terminal

ROOT = Path(__file__).parents[2]
INCIDENT = ROOT / "fixtures" / "incident" / "capture.pcapng"
needs_tshark = pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")


@pytest.fixture(scope="module")
def esp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    packets = tunnelled.ip_packets(INCIDENT)
    frames = [(tunnelled.esp(packet, number), time) for number, (packet, time) in enumerate(packets)]
    return tunnelled.pcap(tmp_path_factory.mktemp("esp") / "esp.pcap", 1, frames)


THROUGH = ["--engine", "tshark", "--tshark-option", tunnelled.ESP_NULL]


def report(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    main(["diagnose", "--format", "json", *arguments])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    schema = json.loads((ROOT / "cli/wirecase_cli/reports/report_v1.schema.json").read_text())
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(found, schema)
    return found


# ---- the engine ------------------------------------------------------------------------------------------------------


@needs_tshark
def test_every_command_reads_through_tshark(esp: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = report([*THROUGH, str(esp)], capsys)
    assert found["findings"] == report([str(INCIDENT)], capsys)["findings"]
    assert found["sources"][0]["engine"].startswith("Wireshark ")
    assert main(["calls", *THROUGH, "--format", "csv", str(esp)]) == 0
    listed = capsys.readouterr().out
    assert main(["calls", "--format", "csv", str(INCIDENT)]) == 0
    assert capsys.readouterr().out == listed
    assert main(["show", *THROUGH, "--call", "43", str(esp)]) == 0
    shown = capsys.readouterr().out
    assert main(["show", "--call", "43", str(INCIDENT)]) == 0
    assert capsys.readouterr().out == shown
    case = tmp_path / "case.pcapng"
    assert main(["extract", *THROUGH, "--call", "43", "-o", str(case), str(esp)]) == 0
    assert main(["diagnose", str(case)]) == 1


@needs_tshark
def test_standard_input_goes_through_a_file(esp: Path) -> None:
    command = [sys.executable, "-m", "wirecase_cli", "diagnose", "--format", "json", *THROUGH, "-"]
    with esp.open("rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True, check=False, env=environment())
    found = json.loads(done.stdout)
    assert done.returncode == 1 and found["calls"]["total"] and found["sources"][0]["path"] == "-"


@pytest.mark.parametrize(
    "arguments",
    [["diagnose", "--tshark-option", "a.b:1"], ["calls", "--tshark-option", "a.b:1"],
     ["diagnose", "--engine", "tshark", "--tshark-option", "nonsense"], ["diagnose", "--engine", "wireshark"],
     ["diagnose", "--cross-check", "--since", "-15m"], ["diagnose", "--cross-check", "--path", "/x"],
     ["diagnose", "--cross-check", "--host", "10.0.0.1"], ["diagnose", "--engine", "tshark", "--follow"],
     ["show", "--dissect", "1", "--call", "1"], ["show", "--dissect", "0"]],
)  # fmt: skip
def test_what_makes_no_sense_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, str(INCIDENT)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["diagnose", "--engine", "tshark"], ["diagnose", "--cross-check"], ["show", "--dissect", "1"]]
)
def test_without_tshark(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "find", lambda: None)
    assert main([*arguments, str(INCIDENT)]) == 3
    error = capsys.readouterr().err
    assert program.install_hint() in error and error.count("\n") == 1


@needs_tshark
def test_a_preference_that_tshark_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", "--engine", "tshark", "--tshark-option", "no.such:1", str(INCIDENT)]) == 3
    assert "no.such" in capsys.readouterr().err


def environment(**more: str) -> dict[str, str]:
    paths = os.pathsep.join([str(ROOT / "cli"), str(ROOT / "decoders")])
    return {**os.environ, "PYTHONPATH": paths, **more}


def test_an_interrupt_ends_tshark_and_reports(tmp_path: Path) -> None:
    number = tmp_path / "number"
    row = "\\t".join(["1", "1.5", "60", "eth:arp"] + [""] * 16)
    fake(
        tmp_path / "bin",
        f"print({row!r}, flush=True)\nopen({str(number)!r}, 'w').write(str(os.getpid()))\n"
        "sys.stdout.flush(); print('ready', file=sys.stderr, flush=True); time.sleep(600)".replace("\\\\t", "\\t"),
    )
    path = os.pathsep.join([str(tmp_path / "bin"), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "wirecase_cli", "diagnose", "--engine", "tshark", str(INCIDENT)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(PATH=path)
    ) as running:
        while not (number.exists() and number.read_text()):
            if running.poll() is not None:
                break
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
    assert running.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(number.read_text()), 0)


# ---- the second count ------------------------------------------------------------------------------------------------


@needs_tshark
def test_cross_check(capsys: pytest.CaptureFixture[str]) -> None:
    check = report(["--cross-check", str(INCIDENT)], capsys)["cross_check"]
    assert check["agrees"] and check["frames"] == {"wirecase": 990, "wireshark": 990}
    assert check["summary"].startswith("confirmed by Wireshark ")
    assert "cross_check" not in report([str(INCIDENT)], capsys)
    assert main(["diagnose", "--cross-check", "--fail-on", "never", str(INCIDENT)]) == 0
    assert "confirmed by Wireshark" in capsys.readouterr().out
    assert main(["diagnose", "--cross-check", "--format", "markdown", str(INCIDENT)]) == 1
    assert "**Cross-check:** confirmed by Wireshark" in capsys.readouterr().out


@needs_tshark
def test_cross_check_through_the_tunnel(esp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(["--cross-check", *THROUGH, str(esp)], capsys)["cross_check"]["agrees"]


HOSTILE = "\x1b[2J</details>| `x` \u202e[red]"


@pytest.fixture
def differing(incident_diagnosis: Diagnosis) -> Diagnosis:
    where = ConnectionRef(0, "10.0.0.7:41822", "10.0.0.2:443")
    told = [Difference(where, 0, 1, "frames", 5, 4, HOSTILE), Difference(None, 0, 9, "frames", 0, 2, "")]
    incident_diagnosis.cross_check = CrossCheck(
        "Wireshark 4.0.17", Compared(2, 2), Compared(10, 9), Compared(3, 3), {"DATA": Compared(10, 9)},
        told, 20, 1, [HOSTILE],
    )  # fmt: skip
    return incident_diagnosis


def test_differences_are_told_and_harmless(differing: Diagnosis) -> None:
    texts = [terminal.render(differing, screen.plain()), markdown.render(differing), json_v1.render(differing)]
    for text in texts:
        assert "\x1b" not in text and "\u202e" not in text
        assert "1 without a known reason" in " ".join(text.split())
    assert "10 or 9 HTTP/2 frames" in " ".join(texts[0].split())
    assert "no reason is known" in texts[0] and "18 more differences" in texts[0]
    schema = json.loads((ROOT / "cli/wirecase_cli/reports/report_v1.schema.json").read_text())
    pytest.importorskip("jsonschema").validate(json.loads(texts[2]), schema)


# ---- one packet ------------------------------------------------------------------------------------------------------


@pytest.fixture
def _as_in_python_3_14(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what asyncio has lost since (bpo-94597): nothing of it may be needed."""
    for name in ("SafeChildWatcher", "set_child_watcher", "get_child_watcher", "FastChildWatcher"):
        monkeypatch.delattr(asyncio, name, raising=False)
    for name in [one for one in sys.modules if one.partition(".")[0] == "pyshark"]:
        monkeypatch.delitem(sys.modules, name)


@needs_tshark
@pytest.mark.usefixtures("_as_in_python_3_14")
def test_one_packet_in_wiresharks_words(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyshark")
    assert main(["show", "--dissect", "496", str(INCIDENT)]) == 0
    shown = capsys.readouterr().out
    assert "Stream: HEADERS, Stream ID: 3, Length 78, 200 OK" in shown
    assert shown.index("Stream: HEADERS") < shown.index("Message Length: 191") < shown.index("Stream: WINDOW_UPDATE")
    assert main(["show", "--dissect", "496", "--format", "json", str(INCIDENT)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "wirecase/dissection/1" and document["packet"] == 496
    assert [layer["name"] for layer in document["layers"]][:4] == ["frame", "eth", "ip", "tcp"]
    assert main(["show", "--dissect", "1330", str(INCIDENT)]) == 2
    assert "the capture has 1,329" in capsys.readouterr().err


def test_dissecting_without_pyshark(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "pyshark.tshark.output_parser.tshark_xml", None)
    monkeypatch.setattr("wirecase.sources.tshark.tshark", lambda: program.Tshark("/nowhere", (4, 0, 17)))
    monkeypatch.setattr(program, "find", lambda: "/nowhere")
    assert main(["show", "--dissect", "1", str(INCIDENT)]) == 3
    assert "pip install 'wirecase[tshark]'" in capsys.readouterr().err


@needs_tshark
def test_credentials_are_masked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyshark")
    body = b"GET /x HTTP/1.1\r\nHost: a\r\nAuthorization: Basic dXNlcjpodW50ZXIy\r\nX-Api-Key: 0123456789abcdef\r\n\r\n"
    head = b"\x9c\x40\x1f\x90" + bytes(7) + b"\x01" + b"\x50\x18\x00\x40" + bytes(4)
    path = tunnelled.pcap(tmp_path / "a.pcap", 101, [(tunnelled.ipv4(6, head + body), 10**18)])
    assert main(["show", "--dissect", "1", str(path)]) == 0
    masked = capsys.readouterr().out
    assert main(["show", "--dissect", "1", "--secrets", str(path)]) == 0
    plain = capsys.readouterr().out
    for secret in ("dXNlcjpodW50ZXIy", "hunter2", "0123456789abcdef"):
        assert secret in plain and secret not in masked
    assert "Host: a" in masked
