"""Where a report goes: files, pipes, devices and terminals, of any encoding, full or gone."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest
from prepared_cli import CAPTURE, ENVIRONMENT, Stub, stubbed

from wirecase_cli.main import main


def test_output_goes_to_a_file_and_never_over_another(
    stub: Stub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    assert main(["diagnose", "--format", "json", "--output", str(report), "x.pcap"]) == 1
    assert capsys.readouterr() == ("", "")
    assert json.loads(report.read_text())["schema"] == "wirecase/report/1"
    assert [one.name for one in tmp_path.iterdir()] == ["report.json"], "no temporary file is left"

    assert main(["diagnose", "--output", str(report), "x.pcap"]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["diagnose", "--force", "--output", str(report), "x.pcap"]) == 1
    assert report.read_text().startswith("wirecase 0.1.0\n")
    assert "\x1b" not in report.read_text()


def test_output_never_overwrites_an_input(stub: Stub, tmp_path: Path) -> None:
    capture = tmp_path / "x.pcap"
    capture.write_bytes(b"precious")
    assert main(["diagnose", "--force", "--output", str(capture), str(capture)]) == 2
    assert capture.read_bytes() == b"precious"


def test_a_report_that_cannot_be_written_is_status_4(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert main(["diagnose", "--output", str(tmp_path / "r"), "x.pcap"]) == 4
    assert capsys.readouterr().err.endswith("No space left on device\n")
    assert list(tmp_path.iterdir()) == []


def test_a_device_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    done = subprocess.run(
        stubbed("diagnose", "--output", str(pipe), CAPTURE), env=ENVIRONMENT, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert os.read(reading, 1 << 16).startswith(b"wirecase")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    os.close(reading)


@pytest.mark.parametrize(
    "arguments", [["diagnose", CAPTURE], ["diagnose", "--format", "json", CAPTURE], ["guide", "capturing"], ["--help"]]
)
def test_a_closed_pipe_ends_quietly(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        stubbed(*arguments), env=ENVIRONMENT, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == int(arguments[0] == "diagnose"), "the verdict is still told"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output_is_told() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            stubbed("diagnose", CAPTURE), env=ENVIRONMENT, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 4
    assert done.stderr == "wirecase: cannot write to standard output: No space left on device\n"


def test_a_closed_standard_output_is_no_defect() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *stubbed("diagnose", CAPTURE)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")


def test_a_pipe_has_eighty_columns_and_no_colour() -> None:
    environment = {**ENVIRONMENT, "COLUMNS": "200", "TERM": "xterm-256color"}
    done = subprocess.run(stubbed("diagnose", CAPTURE), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.split("\n"))) == 80


@pytest.mark.parametrize(
    ("extra", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "0"}, False),
    ],
)
def test_no_color_and_force_color(extra: dict[str, str], coloured: bool) -> None:
    environment = ENVIRONMENT | extra
    done = subprocess.run(stubbed("diagnose", CAPTURE), env=environment, capture_output=True, text=True, check=False)
    assert ("\x1b[" in done.stdout) is coloured


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_of_standard_output(encoding: str) -> None:
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": encoding}
    done = subprocess.run(stubbed("diagnose", CAPTURE), env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"")
    assert ("✗" in done.stdout.decode(encoding)) is (encoding == "utf-8")
