"""Ctrl-C, or a request to end, while a capture is read."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prepared_cli import CAPTURE, ENVIRONMENT, ROOT

INTERRUPTED = """
import runpy, sys, time, types
sample = runpy.run_path({sample!r})
def diagnose(options, stop, **_):
    print("reading", file=sys.stderr, flush=True)
    found = sample["incident"]()
    deadline = time.monotonic() + 20
    while not stop() and time.monotonic() < deadline:
        time.sleep(0.01)
    found.interrupted = stop()
    return found
module = types.ModuleType("wirecase.pipeline")
module.Options, module.diagnose = types.SimpleNamespace, diagnose
sys.modules["wirecase.pipeline"] = module
import wirecase
wirecase.pipeline = module
from wirecase_cli.main import main
sys.exit(main())
"""


READING = """
import sys
from wirecase import pipeline
from wirecase_cli.main import main
read = pipeline.diagnose
told = []
def progress(done, total):
    if not told:
        told.append(print("reading", file=sys.stderr, flush=True))
def diagnose(options, stop, **_):
    return read(options, progress=progress, stop=stop)
pipeline.diagnose = diagnose
sys.exit(main())
"""


def test_ctrl_c_prints_what_is_known_so_far() -> None:
    script = INTERRUPTED.format(sample=str(ROOT / "tests" / "cli" / "conftest.py"))
    process = subprocess.Popen(
        [sys.executable, "-c", script, "diagnose", CAPTURE],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "reading\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Interrupted: this is what was known" in out
    assert err == ""


def test_ctrl_c_ends_a_quiet_pipe() -> None:
    capture = (ROOT / "fixtures" / "incident" / "capture.pcapng").read_bytes()
    process = subprocess.Popen(
        [sys.executable, "-c", READING, "diagnose", "-"],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(capture[: len(capture) // 2])
    process.stdin.flush()
    assert process.stderr.readline() == b"reading\n"
    process.send_signal(signal.SIGINT)  # and the pipe stays open
    assert process.wait(timeout=30) == 130
    assert process.stdout is not None
    assert b"Interrupted: this is what was known" in process.stdout.read()
    assert process.stderr.read() == b""
    for stream in (process.stdin, process.stdout, process.stderr):
        with contextlib.suppress(BrokenPipeError):
            stream.close()


@pytest.mark.parametrize("command", ["report", "show", "diagnose"])
def test_a_request_to_end_leaves_no_copy_behind(command: str, tmp_path: Path) -> None:
    """What is read twice was written to a temporary file, as it came."""
    arguments = {"report": ["-o", "bundle"], "show": [], "diagnose": ["--format", "html"]}[command]
    process = subprocess.Popen(
        [sys.executable, "-m", "wirecase_cli", command, "-", *arguments], stdin=subprocess.PIPE, cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(b"x" * 100_000)
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while not os.listdir(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert os.listdir(tmp_path)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (-signal.SIGTERM, b"", b"")
    assert os.listdir(tmp_path) == []
