"""The driver clients of fixtures/clients, and which of them can run here."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[3] / "fixtures" / "clients"
RUN = FOLDER / "run"
NAMES = ("grpcio", "grpc-go", "grpc-js", "grpc-java", "tonic", "grpclib", "connect-go")
_NEEDS = {
    "grpc-go": ("build/grpc-go", None),
    "connect-go": ("build/connect-go", None),
    "grpc-js": ("build/grpc-js/node_modules", "node"),
    "grpc-java": ("build/grpc-java/driver.jar", "java"),
    "tonic": ("build/tonic/release/tonic-driver", None),
    "naive-tonic": ("build/tonic/release/incident-naive", None),
    "patched-tonic": ("build/tonic/release/incident-patched", None),
}
_MODULES = {"grpcio": "grpc", "grpclib": "grpclib", "naive-python": "grpc", "patched-python": "grpc"}


def missing(name: str) -> str | None:
    """Why the client cannot run here, or None if it can."""
    if name in _MODULES:
        return None if importlib.util.find_spec(_MODULES[name]) else f"the module {_MODULES[name]} is not installed"
    built, command = _NEEDS[name]
    if command and not shutil.which(command):
        return f"{command} is not installed"
    return None if (FOLDER / built).exists() else "not built: make -C fixtures/clients build"


def command(name: str, *arguments: str) -> list[str]:
    """How the client is started, its target apart: the first word after the name."""
    return [str(RUN), name, *arguments]


def environment() -> dict[str, str]:
    """What the launcher needs to know: which Python has the libraries."""
    return {"PYTHON": sys.executable}


def versions(names: Sequence[str]) -> list[str]:
    """``name version`` of each library, as pinned in the lock files and, for Python, as installed."""
    return [f"{name} {_version(name)}" for name in names]


def _version(name: str) -> str:
    if name in ("grpcio", "grpclib"):
        return importlib.metadata.version(name)
    file, pattern = _PINNED[name]
    found = re.search(pattern, (FOLDER / name / file).read_text())
    return found.group(1) if found else "?"


_PINNED = {
    "grpc-go": ("go.mod", r"google\.golang\.org/grpc v(\S+)"),
    "connect-go": ("go.mod", r"connectrpc\.com/connect v(\S+)"),
    "grpc-js": ("package.json", r'"@grpc/grpc-js": "([^"]+)"'),
    "grpc-java": ("pom.xml", r"<grpc\.version>([^<]+)"),
    "tonic": ("Cargo.toml", r'tonic = \{ version = "=([^"]+)"'),
}
