"""Recording real traffic on the loopback of a network namespace of its own.

The namespace is made by ``unshare`` and belongs to the processes in it: no name is left behind when one of them dies.
With it comes a process namespace, so that the end of the first process is the end of all of them. Inside, nothing but
the traffic of the benchmark exists, ports are free, and the loopback's MTU and offloads can be set without touching
the machine's.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from traffic.sidecar import CannotGenerate

RECORDING_BUFFER_MIB = 1024
"""Kernel buffer of dumpcap: larger than any recorded capture, so that a busy machine loses nothing."""

_RECEIVED = re.compile(r"Packets received/dropped on interface '[^']*': (\d+)/(\d+)")


def require_tools(*names: str) -> None:
    """Raise CannotGenerate with the first of *names* that is not on the PATH."""
    for name in names:
        if shutil.which(name) is None:
            raise CannotGenerate(f"{name} is not installed")


def run_in_namespace(arguments: list[str], timeout: float) -> None:
    """Run this Python with *arguments* in namespaces of its own, at most *timeout* seconds.

    Raises CannotGenerate where the machine does not permit namespaces or the run fails.
    """
    require_tools("unshare", "ip", "ethtool", "dumpcap")
    unshare = ["unshare", "--net", "--pid", "--fork", "--kill-child"]
    if os.geteuid() != 0:
        unshare.append("--map-root-user")
    probe = subprocess.run([*unshare, "true"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        raise CannotGenerate(f"no network namespace (root is needed here): {probe.stderr.strip()}")
    with subprocess.Popen([*unshare, sys.executable, *arguments]) as inside:
        try:
            status = inside.wait(timeout)
        except subprocess.TimeoutExpired:
            raise CannotGenerate(f"the recording did not end within {timeout:.0f} s") from None
        finally:
            inside.kill()  # --kill-child takes the namespace's processes along
    if status != 0:
        raise CannotGenerate(f"the recording failed with status {status}")


def set_up_loopback(mtu: int) -> None:
    """Bring the namespace's loopback up with *mtu*.

    Below the usual 65536 the offloads go off too: with them the capture would show segments of up to 64 KiB that no
    wire ever carries.
    """
    subprocess.run(["ip", "link", "set", "dev", "lo", "mtu", str(mtu), "up"], check=True)
    if mtu < 65536:
        subprocess.run(["ethtool", "-K", "lo", "tso", "off", "gso", "off", "gro", "off"], check=True)


@dataclass(slots=True)
class Recorded:
    """What dumpcap says at its end."""

    packets: int = 0


@contextmanager
def recorded(path: Path, port: int, *, pcapng: bool) -> Iterator[Recorded]:
    """Record TCP *port* on the loopback into *path* while the block runs; its result is filled in at the end.

    Raises CannotGenerate where a packet was dropped: such a capture measures something else.
    """
    command = ["dumpcap", "-i", "lo", "-f", f"tcp port {port}", "-B", str(RECORDING_BUFFER_MIB), "-w", str(path)]
    if not pcapng:
        command.append("-P")
    result = Recorded()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as dumpcap:
        assert dumpcap.stderr is not None
        try:
            for line in dumpcap.stderr:
                if line.startswith("File:"):
                    break
            else:
                raise CannotGenerate("dumpcap did not start")
            time.sleep(0.5)  # the socket is open, its filter follows
            yield result
            _wait_until_written(path)
        finally:
            if dumpcap.poll() is None:
                dumpcap.send_signal(signal.SIGINT)
        said = dumpcap.stderr.read()
    counts = _RECEIVED.search(said)
    if counts is None:
        raise CannotGenerate(f"dumpcap did not say what it dropped: {said.strip()[-200:]}")
    result.packets = int(counts[1])
    if int(counts[2]):
        raise CannotGenerate(f"dumpcap dropped {counts[2]} of {int(counts[1]) + int(counts[2])} packets")


def _wait_until_written(path: Path) -> None:
    """Wait until dumpcap has emptied its buffer: the file's size stays the same for two seconds, at most 120."""
    unchanged, last = 0, -1
    for _ in range(240):
        size = path.stat().st_size
        unchanged = unchanged + 1 if size == last else 0
        if unchanged == 4:
            return
        last = size
        time.sleep(0.5)
