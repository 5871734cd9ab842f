"""``--follow`` and several files through the command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wirecase_cli.main import main

CAPTURE = Path(__file__).parents[2] / "fixtures" / "rst-midbody" / "capture.pcapng"


def test_a_file_that_does_not_grow_any_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", "--format", "json", str(CAPTURE)]) == 1
    plain = json.loads(capsys.readouterr().out)
    assert main(["diagnose", "--format", "json", "--follow", "--follow-timeout", "0.1", str(CAPTURE)]) == 1
    followed = json.loads(capsys.readouterr().out)
    assert followed["sources"] == plain["sources"]
    assert [one["rule"] for one in followed["findings"]] == [one["rule"] for one in plain["findings"]]
    assert not followed["interrupted"]


def test_ctrl_c_ends_it_with_what_is_known(tmp_path: Path) -> None:
    """The last record is half written: that is no damage."""
    data = CAPTURE.read_bytes()
    path = tmp_path / "live.pcapng"
    path.write_bytes(data[: len(data) - 40])
    code = "import sys; from wirecase_cli.main import main; sys.exit(main())"
    run = subprocess.Popen(
        [sys.executable, "-c", code, "diagnose", "--follow", "--format", "json", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    time.sleep(1.5)
    run.send_signal(2)
    out, complaint = run.communicate(timeout=20)
    assert run.returncode == 130, complaint
    report = json.loads(out)
    assert report["interrupted"]
    assert report["sources"][0]["packets"] > 50
    assert "obs-file-damaged" not in [one["rule"] for one in report["findings"]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--follow-timeout", "1", str(CAPTURE)], "goes with --follow"),
        (["--follow", "s3://bucket/key"], "no file to follow"),
        (["--follow", "--follow-timeout", "-1", str(CAPTURE)], "--follow-timeout"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_the_parts_of_a_ring_say_what_the_whole_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cut by tshark's own tool in the middle of calls; the names do not tell the order."""
    if shutil.which("editcap") is None:
        pytest.skip("editcap is not installed (Debian: apt-get install tshark)")
    whole = tmp_path / "whole"
    whole.mkdir()
    ring = tmp_path / "ring"
    ring.mkdir()
    capture = CAPTURE.parents[1] / "incident" / "capture.pcapng"
    subprocess.run(["editcap", "-c", "300", str(capture), str(whole / "cap.pcapng")], check=True, capture_output=True)
    parts = sorted(whole.iterdir())
    assert len(parts) > 3
    for i, part in enumerate(parts):
        shutil.copy(part, ring / f"cap.pcap{(i + 3) % len(parts)}")
    assert main(["diagnose", "--format", "json", str(ring)]) == 1
    pieces = json.loads(capsys.readouterr().out)
    assert main(["diagnose", "--format", "json", str(capture)]) == 1
    once = json.loads(capsys.readouterr().out)
    assert pieces["calls"] == once["calls"]
    assert pieces["verdict"]["headline"] == once["verdict"]["headline"]
    assert [one["title"] for one in pieces["findings"]] == [one["title"] for one in once["findings"]]
