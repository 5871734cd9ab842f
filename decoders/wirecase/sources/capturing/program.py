"""A running dumpcap or tcpdump: its packets come through a pipe, what it says stands on standard error.

No shell is involved. The child has a process group of its own, so that a terminal's Ctrl-C reaches us alone: it is then
asked to end (SIGINT), writes what it holds, and says how many packets the kernel dropped.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from wirecase.sources.capturing.tools import CaptureError, CaptureTool, remedy
from wirecase.sources.raw import shown

BUFFER = 64
"""MiB of kernel buffer that are asked for."""
_KEPT = 32
_PATIENCE = 5.0
"""Seconds that a child has to end after it was asked to."""
_LATE = 1.1
"""Seconds after which tcpdump has every packet that was captured: the kernel hands packets over block by block, a block
that is not full after a second (libpcap's timeout, pcap(3)). What tcpdump has not got when it ends is lost."""
_DUMPCAP_DROPS = re.compile(r"Packets received/dropped on interface .*?: (\d+)/(\d+) ")
_TCPDUMP_DROPS = re.compile(r"(\d+) packets? dropped by (kernel|interface)")
_RIGHTS = re.compile(r"permission|not permitted|privilege|denied", re.IGNORECASE)
_LISTED = "wirecase watch --list shows the interfaces"
_NOISE = ("capturing on", "file:", "packets captured", "packets received", "cap_set_proc", "listening on",
          "data link type", "verbose output")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wish:
    """What to capture."""

    interfaces: tuple[str, ...]
    filter: str = ""
    """In the language of pcap-filter(7), applied by the kernel."""
    snaplen: int = 0
    """Bytes kept of each packet, 0 for all."""
    buffer: int = BUFFER
    """MiB of kernel buffer."""


class CaptureProgram:
    """The child. `stop` asks it to end, `end` makes sure of it; both may be called at any time."""

    def __init__(self, tool: CaptureTool, wish: Wish) -> None:
        """Start it. Raises `CaptureError` if that cannot be done."""
        self.tool = tool
        self._lines: deque[str] = deque(maxlen=_KEPT)
        self.dropped: int | None = None
        """Packets that the kernel, the card or the tool itself dropped; None until it said so."""
        self._counts: dict[str, int] = {}
        if tool.name == "tcpdump" and len(wish.interfaces) > 1:
            raise CaptureError("tcpdump captures on one interface: give one -i, or -i any, or use dumpcap")
        try:
            self._process = subprocess.Popen(  # noqa: S603 - no shell; the arguments are ours and the user's own
                [tool.path, *_arguments(tool, wish)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "LC_ALL": "C.UTF-8", "LANGUAGE": "C"},
                process_group=0,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            hint = f": {remedy(tool)}" if isinstance(error, PermissionError) else ""
            raise CaptureError(f"{shown(tool.path)} cannot be started: {reason}{hint}") from error
        self._stopping: threading.Timer | None = None
        self._listener = threading.Thread(target=self._listen, name="wirecase-capture", daemon=True)
        self._listener.start()

    @property
    def output(self) -> int:
        """The descriptor that packets come from."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    @property
    def running(self) -> bool:
        """It has not ended."""
        return self._process.poll() is None

    def ask(self) -> None:
        """Let tcpdump say how many packets were dropped so far; dumpcap says it at its end only."""
        if self.tool.name == "tcpdump" and self.running:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGUSR1)

    def stop(self) -> None:
        """Ask it to end, once it has all that was captured by now: it writes what it holds, and closes its output."""
        if self._stopping is None and self.running:
            wait = _LATE if self.tool.name == "tcpdump" else 0.0
            self._stopping = threading.Timer(wait, self._interrupt)
            self._stopping.daemon = True
            self._stopping.start()

    def _interrupt(self) -> None:
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGINT)

    def end(self) -> None:
        """Make sure that it has ended; harmless when it has."""
        process = self._process
        try:
            process.wait(_PATIENCE if process.poll() is None else 0)
        except subprocess.TimeoutExpired:
            process.terminate()
            try:
                process.wait(1)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._listener.join(2)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def problem(self) -> CaptureError | None:
        """Return why it ended by itself, None if it ended as it should; to be asked behind `end`."""
        status = self._process.returncode
        if status in (0, None, -signal.SIGINT):
            return None
        said = self.complaint or (f"it was ended by signal {-status}" if status < 0 else f"exit status {status}")
        if _RIGHTS.search(said):
            return CaptureError(f"{self.tool.name} may not capture ({said}): {remedy(self.tool)}")
        where = "pcap-filter(7) tells how filters are written" if "filter" in said.lower() else _LISTED
        return CaptureError(f"{self.tool.name}: {said} ({where})")

    @property
    def complaint(self) -> str:
        """What standard error says went wrong, one line, harmless in a terminal."""
        for line in self._lines:
            if line and not any(noise in line.lower() for noise in _NOISE):
                return line[:300]
        return ""

    def _listen(self) -> None:
        assert self._process.stderr is not None
        try:
            while raw := self._process.stderr.readline(4096):
                line = shown(raw.decode("utf-8", "replace").strip()).removeprefix(f"{self.tool.name}: ")
                if not self._count(line):
                    self._lines.append(line)
        except (OSError, ValueError):  # closed meanwhile
            pass

    def _count(self, line: str) -> bool:
        """Take a line that says how many packets were dropped."""
        found = _DUMPCAP_DROPS.search(line)
        if found:
            self._counts[line.partition(": ")[0]] = int(found[2])
        else:
            found = _TCPDUMP_DROPS.search(line)
            if found is None:
                return False
            for said in _TCPDUMP_DROPS.finditer(line):
                self._counts[said[2]] = int(said[1])
        self.dropped = sum(self._counts.values())
        return True


def _arguments(tool: CaptureTool, wish: Wish) -> Sequence[str]:
    """Return the arguments; whatever a name or filter looks like, it can be nothing but a value."""
    if tool.name == "dumpcap":
        found = ["-q", "-s", str(wish.snaplen), "-B", str(wish.buffer)]
        for name in wish.interfaces:
            found += ["-i", name]
        # A filter behind all interfaces would count for the last one alone.
        if wish.filter:
            found = ["-f", wish.filter, *found]
        return [*found, "-w", "-"]
    found = ["-U", "-n", "-s", str(wish.snaplen), "-B", str(wish.buffer * 1024), "-i", wish.interfaces[0], "-w", "-"]
    return [*found, "--", wish.filter] if wish.filter else found
