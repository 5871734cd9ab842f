"""``wirecase doctor``: what this machine can do, what is missing, and what works without it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

import typer

from wirecase_cli import output

State = Literal["ok", "missing", "broken"]


class Format(StrEnum):
    """What the answer can be drawn as."""

    terminal = "terminal"
    json = "json"


@dataclass(slots=True, frozen=True)
class Check:
    """One thing looked at."""

    group: str
    name: str
    state: State
    found: str
    """Version or place; empty if it is missing."""
    required: bool = False
    without: str = ""
    """What works without it, or what does not."""
    install: str = ""
    """The command that brings it."""


_NO_ZSTD = "captures packed with zstd go through zstd -dc FILE | wirecase diagnose -"
_MODULES = (
    # name to import, distribution (None: comes with Python), required, what works without it
    ("typer", "typer", True, ""),
    ("rich", "rich", True, ""),
    ("numpy", "numpy", True, ""),
    ("cryptography", "cryptography", True, ""),
    ("h2", "h2", True, ""),
    ("hpack", "hpack", True, ""),
    ("jinja2", "jinja2", True, ""),
    ("psutil", "psutil", True, ""),
    ("pyshark", "pyshark", False, "all but show --dissect works without it"),
    ("grpc", "grpcio", False, "wirecase probe looks with its own client alone, replay --to cannot go through grpcio"),
    ("compression.zstd", None, False, _NO_ZSTD)
    if sys.version_info >= (3, 14)
    else ("zstandard", "zstandard", False, _NO_ZSTD),
)

_TOOLS = (
    # name, option that prints the version, what works without it, package
    ("dumpcap", "--version", "any other tool that writes pcap or pcapng does", "wireshark-common"),
    ("tcpdump", "--version", "any other tool that writes pcap or pcapng does", "tcpdump"),
)


def doctor(
    report: Annotated[
        Format, typer.Option("--format", metavar="terminal|json", help="What to print.")
    ] = Format.terminal,
) -> int:
    """Say what this machine can do, and what is missing.

    Exit status: 0 all that is required is there, 1 something required is missing.
    """
    checks = examine()
    output.to_stdout(_as_json(checks) if report is Format.json else _as_text(checks))
    return int(any(one.required and one.state != "ok" for one in checks))


def examine() -> list[Check]:
    """Look at everything, one after the other; nothing here changes the machine."""
    return [
        _python(),
        *map(_module, _MODULES),
        _tshark(),
        *map(_tool, _TOOLS),
        *_rights(),
        _key_log(),
        *_terminal(),
    ]


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    state: State = "ok" if sys.version_info >= (3, 11) else "broken"
    return Check("Python", "python", state, f"{version} ({sys.executable})", required=True)


def _module(entry: tuple[str, str | None, bool, str]) -> Check:
    import importlib
    from importlib import metadata

    name, distribution, required, without = entry
    install = f"{sys.executable} -m pip install {distribution}" if distribution else "a Python built with it"
    try:
        importlib.import_module(name)
        found = metadata.version(distribution) if distribution else "comes with Python"
        return Check("Python", name, "ok", found, required, without)
    except metadata.PackageNotFoundError:
        return Check("Python", name, "ok", "version unknown", required, without)
    except ModuleNotFoundError:
        return Check("Python", name, "missing", "", required, without, install)
    except Exception as error:  # noqa: BLE001 - a compiled module may fail in any way of its own
        return Check("Python", name, "broken", f"{type(error).__name__}: {error}", required, without, install)


def _tshark() -> Check:
    from wirecase.sources.tshark import program

    name, without = "tshark", "all but --engine tshark, --cross-check and show --dissect works without it"
    path = program.find()
    if path is None:
        return Check("Tools", name, "missing", "", False, without, program.install_hint())
    try:
        there = program.tshark()
    except program.TsharkError as error:
        return Check("Tools", name, "broken", str(error), False, without, program.install_hint())
    return Check("Tools", name, "ok", f"{there.name} ({path})")


def _tool(entry: tuple[str, str, str, str]) -> Check:
    name, option, without, package = entry
    path = _find(name)
    if path is None:
        return Check("Tools", name, "missing", "", False, without, f"sudo apt-get install {package}")
    version = (_ask([path, option]).splitlines() or ["version unknown"])[0]
    return Check("Tools", name, "ok", f"{version} ({path})")


def _rights() -> list[Check]:
    return [_may_capture(), _capture_group()]


def _may_capture() -> Check:
    without = "captures that others took can be diagnosed"
    if not hasattr(os, "geteuid"):
        return Check("Rights", "capture", "missing", "", False, without, "run the capture tool as administrator")
    if os.geteuid() == 0:
        return Check("Rights", "capture", "ok", "root")
    dumpcap = _find("dumpcap")
    getcap = _find("getcap")
    grant = 'sudo setcap cap_net_raw,cap_net_admin+eip "$(command -v dumpcap)"'
    if dumpcap is None:
        return Check("Rights", "capture", "missing", "", False, without, "sudo apt-get install wireshark-common")
    if not os.access(dumpcap, os.X_OK):
        join = 'sudo usermod -aG wireshark "$USER" and log in again'
        return Check("Rights", "capture", "missing", "dumpcap is for its group only", False, without, join)
    held = _ask([getcap, dumpcap]) if getcap is not None else ""
    if "cap_net_raw" in held:
        return Check("Rights", "capture", "ok", "dumpcap has cap_net_raw")
    return Check("Rights", "capture", "missing", "neither root nor capabilities on dumpcap", False, without, grant)


def _capture_group() -> Check:
    without = "needed only where dumpcap belongs to that group"
    try:
        import grp

        group = grp.getgrnam("wireshark")
    except (ImportError, KeyError):
        return Check("Rights", "group wireshark", "missing", "", False, without)
    if group.gr_gid in (*os.getgroups(), os.getegid()) or os.geteuid() == 0:
        return Check("Rights", "group wireshark", "ok", "a member" if os.geteuid() else "not needed as root")
    return Check("Rights", "group wireshark", "missing", "", False, without, 'sudo usermod -aG wireshark "$USER"')


def _key_log() -> Check:
    path = os.environ.get("SSLKEYLOGFILE")
    without = "needed only to read TLS: see wirecase guide capturing"
    if not path:
        return Check("TLS", "SSLKEYLOGFILE", "missing", "not set", False, without)
    if os.access(path if os.path.exists(path) else os.path.dirname(path) or ".", os.W_OK):
        return Check("TLS", "SSLKEYLOGFILE", "ok", path)
    return Check("TLS", "SSLKEYLOGFILE", "broken", f"{path} cannot be written", False, without)


def _terminal() -> list[Check]:
    from wirecase_cli.reports import screen

    where = screen.of_stdout()
    kind = "a terminal" if sys.stdout is not None and sys.stdout.isatty() else "no terminal"
    characters = "with line drawing" if where.unicode else "ASCII only"
    colour = "colour" if where.color else "no colour"
    return [Check("Output", "standard output", "ok", f"{kind}, {where.width} columns, {colour}, {characters}")]


def _find(name: str) -> str | None:
    """Find a program, also where ordinary users have no path to it."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(name, path=os.pathsep.join([path, "/usr/sbin", "/sbin", "/usr/local/sbin"]))


def _ask(command: list[str]) -> str:
    """Run a program and return what it prints; empty if it does not answer."""
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603 - found by name in the caller's own path, fixed arguments
            command, capture_output=True, timeout=5, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return (done.stdout or done.stderr).decode("utf-8", "replace").strip()


def _as_json(checks: list[Check]) -> str:
    from wirecase import __version__

    document = {
        "schema": "wirecase/doctor/1",
        "version": __version__,
        "checks": [
            {
                "group": one.group,
                "name": one.name,
                "state": one.state,
                "found": one.found,
                "required": one.required,
                "without": one.without,
                "install": one.install,
            }
            for one in checks
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def _as_text(checks: list[Check]) -> str:
    from wirecase_cli.reports import screen
    from wirecase_cli.reports.escape import line

    where = screen.of_stdout()
    paint = _painter(where.color)
    symbols = dict(zip(("ok", "missing", "broken"), "✓·✗" if where.unicode else "+-x", strict=True))
    colours = {"ok": "32", "missing": "33", "broken": "31"}
    lines: list[str] = []
    group = ""
    for one in checks:
        if one.group != group:
            group = one.group
            lines += ["", paint(group, "1")] if lines else [paint(group, "1")]
        bad = one.required and one.state != "ok"
        state = "broken" if bad else one.state
        symbol = paint(symbols[state], colours[state])
        found = line(one.found) if one.found else "missing" + (", and required" if bad else "")
        lines.append(f"  {symbol} {one.name.ljust(16)} {found}")
        if one.state != "ok":
            remarks = (one.without, one.install and f"install: {one.install}")
            lines += [f"    {' ' * 16} {text}" for text in remarks if text]
    return "\n".join(lines) + "\n"


def _painter(color: bool) -> Callable[[str, str], str]:
    return (lambda text, code: f"\x1b[{code}m{text}\x1b[0m") if color else (lambda text, code: text)
