"""One client against one fault: live, captured, and replayed; what the client said each time."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from livebench import clients
from livebench.normalise import words
from livebench.server import Fault, serve

PATIENCE = 5.0
"""Seconds that a client may take beyond its own deadline, before it counts as hung."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a client made of a session."""

    calls: tuple[tuple[int, str, str, int], ...]
    """Number, code, normalised text and messages of each call, in the order of numbers."""
    end: str
    """``exit 1``, ``signal 11``, or ``hung``."""
    raw: tuple[str, ...] = field(default=(), compare=False)
    """The lines as the client wrote them."""

    def errors(self) -> tuple[tuple[int, str, str], ...]:
        """Code and text of each call."""
        return tuple(call[:3] for call in self.calls)


def limit(fault: Fault) -> float:
    """Seconds after which the client counts as hung."""
    return fault.timeout * fault.calls / fault.parallel + PATIENCE


def reported(lines: list[str], end: str) -> Said:
    """Lines of WIRECASE_REPORT, read."""
    calls = []
    for line in lines:
        with contextlib.suppress(ValueError):
            one = json.loads(line)
            calls.append((one["call"], one["code"], words(one["details"]), one["messages"]))
    return Said(tuple(sorted(calls)), end, tuple(lines))


def capturing() -> str | None:
    """Why packets cannot be captured here, or None if they can."""
    if os.geteuid() != 0:
        return "capturing on the loopback interface needs root"
    return (
        None if shutil.which("tcpdump", path=os.environ.get("PATH", "") + ":/usr/sbin") else "tcpdump is not installed"
    )


@contextlib.contextmanager
def capture(path: Path, port: int) -> Iterator[Callable[[], bool]]:
    """Record the port's packets on the loopback interface while the block runs; tells afterwards if all are there.

    Each slot of the kernel's buffer is as long as the longest packet kept, so the buffer has to be a large one.
    """
    command = [
        "tcpdump",
        "-i",
        "lo",
        "-n",
        "-U",
        "--immediate-mode",
        "-B",
        "65536",
        "-w",
        str(path),
        f"tcp port {port}",
    ]
    search = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin"}
    recorder = subprocess.Popen(command, stderr=subprocess.PIPE, env=search)
    assert recorder.stderr is not None
    for line in recorder.stderr:
        if b"listening on" in line:
            break
    else:
        raise RuntimeError("tcpdump did not start")
    last: list[bytes] = []
    try:
        yield lambda: b"\n0 packets dropped by kernel" in last[0]
        time.sleep(0.2)
    finally:
        recorder.send_signal(signal.SIGINT)
        last.append(recorder.stderr.read())
        recorder.wait(10)


def run_client(name: str, port: int, fault: Fault) -> Said:
    """Run the client once against what listens on the port."""
    with tempfile.TemporaryDirectory(prefix="fidelity-") as folder:
        report = Path(folder) / "report"
        environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        environment |= {**clients.environment(), "WIRECASE_REPORT": str(report)}
        process = subprocess.Popen(
            clients.command(name, f"127.0.0.1:{port}", *fault.arguments()),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        try:
            code = process.wait(limit(fault))
            end = f"exit {code}" if code >= 0 else f"signal {-code}"
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            end = "hung"
        return reported(report.read_text().splitlines() if report.exists() else [], end)


def live(name: str, fault: Fault, recording: Path | None = None) -> Said:
    """One live session, captured into `recording`; made again if packets were lost to the capture."""
    for _ in range(3):
        with serve(fault) as port:
            if recording is None:
                return run_client(name, port, fault)
            with capture(recording, port) as complete:
                said = run_client(name, port, fault)
            if complete():
                return said
    raise RuntimeError(f"packets were lost to the capture of {name} against {fault.name}, three times")
