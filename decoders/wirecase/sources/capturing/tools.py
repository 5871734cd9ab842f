"""Finding dumpcap and tcpdump, the interfaces that they can capture on, and what is in the way of it.

pyshark, where it is installed, helps out: it knows where Wireshark lies on other systems, and lists interfaces where
dumpcap itself does not. It never carries packets.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wirecase.errors import InputError
from wirecase.sources.raw import shown

ToolName = Literal["dumpcap", "tcpdump"]
PLACES = ("/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin")
"""Where these programs lie beside the search path of ordinary users."""
_PACKAGES = {
    "apt-get": {"dumpcap": "sudo apt-get install wireshark-common", "tcpdump": "sudo apt-get install tcpdump"},
    "dnf": {"dumpcap": "sudo dnf install wireshark-cli", "tcpdump": "sudo dnf install tcpdump"},
    "zypper": {"dumpcap": "sudo zypper install wireshark", "tcpdump": "sudo zypper install tcpdump"},
    "apk": {"dumpcap": "sudo apk add tshark", "tcpdump": "sudo apk add tcpdump"},
    "pacman": {"dumpcap": "sudo pacman -S wireshark-cli", "tcpdump": "sudo pacman -S tcpdump"},
    "brew": {"dumpcap": "brew install wireshark", "tcpdump": "brew install tcpdump"},
}
_LINE = re.compile(r"(\d+)\.\s*(\S+)(.*)")


class CaptureError(InputError):
    """Packets cannot be captured: no tool, no right, no such interface."""


@dataclass(frozen=True, slots=True)
class CaptureTool:
    """A program that captures."""

    name: ToolName
    path: str


@dataclass(frozen=True, slots=True)
class Interface:
    """What can be captured on."""

    name: str
    about: str = ""
    """What the tool says of it: its addresses, whether it is up."""


def find(name: ToolName) -> str | None:
    """Return where a tool is, or None; beside the search path in the usual places, and beside pyshark's tshark."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *PLACES))
    found = shutil.which(name, path=path)
    if found is None and name == "dumpcap":
        from wirecase.sources.tshark.program import find as find_tshark

        tshark = find_tshark()
        if tshark is not None:
            found = shutil.which(name, path=os.path.dirname(tshark))
    return found


def capture_tool(wanted: ToolName | None = None) -> CaptureTool:
    """Return the tool to use: the one that is `wanted`, or the first that is there and may capture.

    Raises `CaptureError` in one line that names the package, if there is none.
    """
    names: tuple[ToolName, ...] = ("dumpcap", "tcpdump") if wanted is None else (wanted,)
    there = [CaptureTool(name, path) for name in names if (path := find(name)) is not None]
    if not there:
        named = " and ".join(names)
        verb = "is" if len(names) == 1 else "are both"
        raise CaptureError(f"{named} {verb} missing: install one with: {install_hint(names[-1])}")
    for one in there:
        if may_capture(one):
            return one
    return there[0]


def may_capture(tool: CaptureTool) -> bool:
    """Tell whether a tool seems to have the rights; what it says when it is run decides."""
    if not hasattr(os, "geteuid") or os.geteuid() == 0:
        return True
    if not os.access(tool.path, os.X_OK):
        return False
    try:
        return bool(os.getxattr(tool.path, "security.capability"))  # type: ignore[attr-defined, unused-ignore]
    except (OSError, AttributeError):
        return sys.platform != "linux"


def install_hint(name: ToolName) -> str:
    """Return the command that brings a tool on this system."""
    for manager, commands in _PACKAGES.items():
        if shutil.which(manager):
            return commands[name]
    return f"the package manager of this system ({name})"


def remedy(tool: CaptureTool) -> str:
    """Say in one phrase how an ordinary user gets the right to capture with `tool`."""
    if not os.access(tool.path, os.X_OK):
        return 'sudo usermod -aG wireshark "$USER", then log in again'
    if sys.platform == "darwin":
        return "run it with sudo, or install ChmodBPF, which comes with Wireshark"
    grant = f"sudo setcap cap_net_raw,cap_net_admin+eip {shown(os.path.realpath(tool.path))}"
    if tool.name == "dumpcap":
        return f'{grant} (Debian: sudo dpkg-reconfigure wireshark-common and sudo usermod -aG wireshark "$USER")'
    return grant


def interfaces(tool: CaptureTool) -> list[Interface]:
    """Return what can be captured on, in the tool's order. Raises `CaptureError` if nobody knows.

    The tool's own list comes first: what tshark lists beyond it (extcap programs), dumpcap cannot capture on.
    """
    told = _ask(tool.path, ["-D", "-M"] if tool.name == "dumpcap" else ["-D"])
    found = _from_machine(told) if tool.name == "dumpcap" else _from_list(told)
    if not found and tool.name == "dumpcap":
        found = [Interface(name) for name in _from_pyshark()]
    if not found:
        raise CaptureError(f"{tool.name} lists no interface: {remedy(tool)}")
    return found


def _ask(path: str, arguments: Sequence[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a path that was searched for, fixed arguments
            [path, *arguments], capture_output=True, timeout=20, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C.UTF-8", "LANGUAGE": "C"},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise CaptureError(f"{shown(path)} cannot be run: {getattr(error, 'strerror', None) or error}") from error
    return done.stdout.decode("utf-8", "replace")


def _from_machine(text: str) -> list[Interface]:
    """Read ``dumpcap -D -M``: number and name, then vendor, description, type, addresses, loopback; tab separated."""
    found = []
    for line in text.splitlines():
        head, *rest = line.split("\t")
        name = head.partition(". ")[2]
        if name:
            about = [part for i, part in enumerate(rest) if part and i in (1, 3, 4)]
            found.append(Interface(name, ", ".join(about)))
    return found


def _from_list(text: str) -> list[Interface]:
    """Read ``tcpdump -D``: ``1.eth0 [Up, Running]``."""
    found = []
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            found.append(Interface(match[2], match[3].strip().strip("[]")))
    return found


def _from_pyshark() -> list[str]:
    try:
        from pyshark.tshark import tshark

        names: list[str] = tshark.get_tshark_interfaces()
    except Exception:  # noqa: BLE001 - pyshark raises what tshark's absence or refusal leads to
        return []
    return names
