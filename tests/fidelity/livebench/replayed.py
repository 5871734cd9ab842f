"""The recorded session served to the same client by ``wirecase replay``, through the command line as a user would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livebench import clients
from livebench.server import Fault
from livebench.session import Said, limit, reported

REFUSED = 3
"""Exit status of a case that cannot be replayed (or read)."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One replay of a recorded session."""

    said: Said | None
    """What the client made of it; None if it was not started."""
    status: int
    """Exit status of ``wirecase replay``; -1 if it had to be ended."""
    words: str
    """What it wrote on standard error."""
    report: dict[str, Any] | None
    """What it printed, ``wirecase/replay/1``."""


def ended(report: dict[str, Any] | None) -> str:
    """How the client's process ended, as replay tells it."""
    client = (report or {}).get("client") or {}
    if client.get("timed_out"):
        return "hung"
    if client.get("signal"):
        return f"signal {client['signal']}"
    return f"exit {client.get('exit')}"


def replay(name: str, fault: Fault, recording: Path) -> Replayed:
    """Serve the recording to the client. Its report file is given by us, so that nothing rests on replay's reading."""
    with tempfile.TemporaryDirectory(prefix="fidelity-") as folder:
        report = Path(folder) / "report"
        own = [f"{key}={value}" for key, value in {**clients.environment(), "WIRECASE_REPORT": str(report)}.items()]
        command = [
            *(sys.executable, "-m", "wirecase_cli", "replay", str(recording), "--format", "json"),
            *("--timeout", str(limit(fault)), "--"),
            *("env", *own, *clients.command(name, "{target}", *fault.arguments())),
        ]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=limit(fault) + 20, env=environment, check=False
            )
        except subprocess.TimeoutExpired as late:
            return Replayed(None, -1, f"replay did not end: {late.stderr!r}", None)
        try:
            printed = json.loads(done.stdout) if done.stdout.strip() else None
        except ValueError:
            printed = None
        lines = report.read_text().splitlines() if report.exists() else []
        said = reported(lines, ended(printed)) if lines or printed else None
        return Replayed(said, done.returncode, done.stderr.strip(), printed)
