"""What is counted over the rounds that one process of the client makes.

Its lines in ``WIRECASE_REPORT`` come when they come: which of them belong to which round can be told only where each
call has one. What the counts alone say holds in any case: see `wirecase.replay.judge.said`.
"""

from __future__ import annotations

from collections import deque

from wirecase.replay.client import ReportFile
from wirecase.replay.judge.calls import count, is_broken, may_succeed
from wirecase.replay.model import Check, ReportedCall, Sample, Trace

_KEPT = 5_000
"""Lines that are kept: those of the last rounds."""


class Books:
    """Counts over the rounds of one process."""

    def __init__(self, file: ReportFile) -> None:
        self._file = file
        self._kept: deque[ReportedCall] = deque(maxlen=_KEPT)
        self._lines = 0
        self._successes = 0
        self._calls = 0
        self._sound = 0
        self._broken = 0
        self.rounds = 0
        """Rounds that are over and were judged without their lines."""
        self.samples: list[tuple[int, Sample]] = []
        """(rounds done, sample) at the ends of rounds."""

    def read(self, *, last: bool = False) -> None:
        """Take the lines that have come."""
        for line in self._file.lines(last=last):
            self._lines += 1
            self._successes += line.code == "OK"
            self._kept.append(line)

    @property
    def bad_lines(self) -> int:
        """Lines that say nothing."""
        return self._file.bad_lines

    def enter(self, trace: Trace) -> None:
        """Count a round's calls."""
        calls = [call for call in trace.calls if call.role != "housekeeping"]
        self._calls += len(calls) + trace.forgotten_calls
        self._sound += sum(map(may_succeed, calls)) + trace.forgotten_calls
        self._broken += sum(map(is_broken, calls))

    def lines_of_last(self, trace: Trace) -> list[ReportedCall]:
        """Return the lines of the last round, all of them where there was no other; none where that cannot be told."""
        if not self.rounds:
            return list(self._kept)
        calls = sum(call.role != "housekeeping" for call in trace.calls)
        if self._lines != self._calls or not calls or calls > len(self._kept):
            return []
        return list(self._kept)[-calls:]

    def detected(self) -> Check | None:
        """Return what the counts over all rounds say, None if they say nothing."""
        if not self.rounds or not self._lines or not self._broken:
            return None
        evidence: list[dict[str, object]] = [
            {"sign": "counts", "reported": self._lines, "as_ok": self._successes, "calls": self._calls,
             "sound": self._sound, "faulty": self._broken}
        ]  # fmt: skip
        if self._lines <= self._calls and self._successes > self._calls - self._broken:
            unbroken = self._calls - self._broken
            said = f"{count(self._successes, 'call')} reported as OK, {unbroken} answered without a fault"
            return Check("detected", "fail", f"broken bytes were taken for a success: {said}", evidence)
        if self._successes <= self._sound and self._lines - self._successes >= self._broken:
            why = f"all {self._broken} faulty answers were noticed: as many errors were reported"
            return Check("detected", "pass", why, evidence)
        return None
