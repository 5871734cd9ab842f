"""What a replay server without a client of its own prints while it runs: its address, then a line for each event."""

from __future__ import annotations

import time
from collections.abc import Callable

from wirecase.replay.model import LiveCall, Trace
from wirecase.replay.served import Served
from wirecase_cli.reports import replay_words as words
from wirecase_cli.reports.drawing import safe

EVERY = 0.2
"""Seconds between two looks at what the clients did."""
SETTLED = 1.0
"""Seconds after which a call is told of though it has not ended."""


class Log:
    """Follows a server."""

    def __init__(self, served: Served, write: Callable[[str], object]) -> None:
        self._served = served
        self._write = write
        self._connections = 0
        self._told: set[int] = set()
        self._over = False

    def begin(self) -> None:
        """Tell where to connect."""
        served = self._served
        lines = [f"serving {safe(served.case.path)} at {served.target}, in place of {safe(served.case.server)}"]
        lines += [f"  {one.id} {one.rule}: {safe(one.title)}" for one in served.case.findings if one.severity != "info"]
        if served.ca is not None:
            lines.append(f"  TLS, by the authority in {served.ca}")
        lines.append("  Ctrl-C ends it, with a verdict")
        self._write("\n".join(lines) + "\n")

    def follow(self, stop: Callable[[], bool], timeout: float | None) -> None:
        """Tell what comes until somebody says stop or the time is over."""
        begun = time.monotonic()
        while not stop() and (timeout is None or time.monotonic() - begun < timeout):
            time.sleep(EVERY)
            self.tell(self._served.trace())
        self.tell(self._served.trace(), all_of_it=True)

    def tell(self, trace: Trace, *, all_of_it: bool = False) -> None:
        """Write lines about what was not told yet."""
        lines = []
        for one in trace.connections:
            if one.number >= self._connections:
                lines.append(f"{one.opened:8.3f} s  connection {one.number}")
                self._connections = one.number + 1
        for call in trace.calls:
            if call.number not in self._told and (all_of_it or _settled(call, trace)):
                self._told.add(call.number)
                served, became = words.served(call), words.reaction(call)
                lines.append(f"{call.at:8.3f} s  call {call.number} {safe(call.path)}: served as {served}; {became}")
        if trace.problem_over is not None and not self._over:
            self._over = True
            lines.append(f"{trace.problem_over:8.3f} s  the problem is over: healthy from now on")
        if lines:
            self._write("\n".join(lines) + "\n")


def _settled(call: LiveCall, trace: Trace) -> bool:
    ends = (call.completed, call.reset_at, call.ended)
    return any(one is not None for one in ends) or trace.ended - call.at > SETTLED
