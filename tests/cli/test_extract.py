"""``wirecase extract`` and ``wirecase verify`` from the outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wirecase_cli.main import main

FIXTURES = Path(__file__).parents[2] / "fixtures"
FLAG = str(FIXTURES / "grpc-invalid-compression-flag" / "capture.pcapng")
INCIDENT = str(FIXTURES / "incident" / "capture.pcapng")


def test_a_case_is_written_told_and_verified(tmp_path, capsys):
    target = tmp_path / "case.pcapng"
    assert main(["extract", FLAG, "-o", str(target)]) == 0
    told = capsys.readouterr()
    assert "shows F1 grpc-invalid-compression-flag" in told.out and told.err == ""
    assert main(["verify", str(target)]) == 0
    assert "all 2 findings are found again" in capsys.readouterr().out
    assert main(["diagnose", str(target)]) == 1


def test_nothing_is_overwritten_without_being_asked_to(tmp_path, capsys):
    target = tmp_path / "case.pcapng"
    target.write_bytes(b"mine")
    assert main(["extract", FLAG, "-o", str(target)]) == 2
    assert "--force" in capsys.readouterr().err
    assert target.read_bytes() == b"mine"
    assert main(["extract", FLAG, "-o", str(target), "--force"]) == 0
    assert target.read_bytes() != b"mine"


def test_a_failure_leaves_nothing_behind(tmp_path, capsys):
    target = tmp_path / "case.pcapng"
    storm = FIXTURES / "tcp-retransmission-storm" / "capture.pcapng"
    assert main(["extract", str(storm), "-o", str(target)]) == 3
    told = capsys.readouterr().err
    assert "cannot be shown in a case" in told and told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["extract", FLAG], 2, "--output"),
        (["extract", FLAG, "-o", "OUT", "--finding", "F9"], 2, "there is no finding F9: F1 to F2"),
        (["extract", FLAG, "-o", "OUT", "--call", "7"], 2, "there is no call 7"),
        (["extract", FLAG, "-o", "OUT", "--call", "0", "--finding", "F1"], 2, "exclude each other"),
        (["extract", FLAG, "-o", "OUT", "--where", "path~"], 2, "a value is due"),
        (["extract", FLAG, "-o", "OUT", "--where", "finding=F1"], 2, "use --finding"),
        (["extract", "missing.pcap", "-o", "OUT"], 3, "missing.pcap"),
        (["verify", FLAG], 3, "is no case"),
        (["verify", "missing.pcapng"], 3, "cannot be opened"),
    ],
)
def test_errors_are_one_line(arguments, status, says, tmp_path, capsys):
    arguments = [str(tmp_path / "case.pcapng") if one == "OUT" else one for one in arguments]
    assert main(arguments) == status
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and says in told.err


def test_calls_are_chosen_by_number_and_by_filter(tmp_path, capsys):
    assert main(["extract", INCIDENT, "-o", str(tmp_path / "one.pcapng"), "--call", "0"]) == 0
    assert main(["extract", INCIDENT, "-o", str(tmp_path / "two.pcapng"), "--where", "http=400"]) == 0
    capsys.readouterr()
    assert main(["diagnose", str(tmp_path / "two.pcapng")]) == 1
    assert "400" in capsys.readouterr().out


def test_standard_input_is_read_twice(tmp_path):
    target = tmp_path / "case.pcapng"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-m", "wirecase_cli", "extract", "-", "-o", str(target)],
        input=Path(FLAG).read_bytes(), capture_output=True, env=environment, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert main(["verify", str(target)]) == 0


def test_payloads_are_kept_only_when_asked_for(tmp_path, capsys):
    source = str(FIXTURES / "rst-midbody" / "capture.pcapng")
    for choice in ("keep", "redact", "hash"):
        target = tmp_path / f"{choice}.pcapng"
        assert main(["extract", source, "-o", str(target), "--payloads", choice]) == 0
        assert f"payloads: {choice}" in capsys.readouterr().out
    assert (tmp_path / "keep.pcapng").read_bytes() != (tmp_path / "redact.pcapng").read_bytes()


def test_names_of_files_do_not_travel(tmp_path, capsys):
    named = tmp_path / "customer-4711.pcapng"
    named.write_bytes(Path(FLAG).read_bytes())
    assert main(["extract", str(named), "-o", str(tmp_path / "case.pcapng")]) == 0
    assert b"4711" not in (tmp_path / "case.pcapng").read_bytes()


@pytest.mark.parametrize("stage", ["_choose", "cut", "compare", "annotate"])
def test_ctrl_c_leaves_nothing_behind(stage, tmp_path, monkeypatch, capsys):
    from wirecase.case import extract as room

    real = getattr(room, stage)

    def interrupted(*args, **options):
        real(*args, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(room, stage, interrupted)
    assert main(["extract", FLAG, "-o", str(tmp_path / "case.pcapng")]) == 130
    told = capsys.readouterr()
    assert told.out == "" and told.err == "wirecase: interrupted: nothing was written\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc to see open files in")
def test_a_signal_ends_it(tmp_path):
    """While a large capture is read."""
    source = tmp_path / "large.pcap"
    with open(source, "wb") as file:
        for _ in range(700):
            file.write(Path(INCIDENT).read_bytes())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.Popen(
        [sys.executable, "-m", "wirecase_cli", "extract", str(source), "-o", str(tmp_path / "case.pcapng")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True,
    )  # fmt: skip
    handles = Path(f"/proc/{run.pid}/fd")
    for _ in range(1000):
        if any(os.path.realpath(one) == str(source) for one in handles.iterdir()):
            break
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert (run.returncode, out, err) == (130, "", "wirecase: interrupted: nothing was written\n")
    assert [one.name for one in tmp_path.iterdir()] == ["large.pcap"]
