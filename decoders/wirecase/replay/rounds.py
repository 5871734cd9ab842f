"""The rounds of one replay: the client is started, watched and judged, once or, with a loop, many times.

A client that ends is started again for the next round. A client that goes on is given the problem again in the same
process, each time it has recovered: from the beginning where it was told how many rounds there are (``{loop}`` in its
command), otherwise once it is still there some time after its first recovery. Only within one process can a leak show.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from wirecase.replay.books import Books
from wirecase.replay.client import ClientProcess, ReportFile, Target, environment, fill
from wirecase.replay.client.command import uses
from wirecase.replay.judge import Criteria, Scene, judge, no_leak
from wirecase.replay.judge.calls import is_sound
from wirecase.replay.model import Check, ClientRun, Outcome, Sample, Trace
from wirecase.replay.result import ReplayedCase, ReplayResult, Tally, ordered

STAYS_AFTER = 2.0
"""Seconds after its recovery (longer than gRPC's first backoff of 1 s with its jitter of 0.6) after which a client that
has not ended is taken for one that goes on."""
_LEAVES = 5.0
"""Seconds that a client has to end by itself after its last round."""
_SETTLE = 0.25
"""Seconds to wait, once the client has ended, for the ends of its connections to arrive."""
_STEP = 0.02
_PROCESS_CHECKS = ("not_hung", "not_crashed", "as_expected")
"""What is judged once for a process, not in each of its rounds."""


class Server(Protocol):
    """What a running replay server offers here (`wirecase.replay.server.ReplayServer`)."""

    def trace(self) -> Trace:
        """Return what was seen of the client in this round."""

    def problem_over(self) -> bool:
        """Tell whether the recorded problem of this round was served."""

    def next_round(self) -> Trace:
        """Serve the problem session again; return what was seen until now."""

    def rearm(self, on: bool) -> None:
        """Let the next round begin by itself once the client has recovered, or not."""

    def past_rounds(self) -> list[Trace]:
        """Return the rounds that ended by themselves since this was asked last."""

    def now(self) -> float:
        """Return the seconds since the replay began."""

    def counts(self) -> tuple[int, int]:
        """Return how many connections and streams are open."""


@dataclass(slots=True)
class Settings:
    """How the client is run and judged."""

    command: Sequence[str]
    report: str
    """Path of the file for ``WIRECASE_REPORT``; it is emptied before each start."""
    criteria: Criteria = field(default_factory=Criteria)
    rounds: int = 1
    stop: Callable[[], bool] = lambda: False
    """Asked often; once it says yes, the client is ended and what is known is judged."""
    progress: Callable[[int, int, Outcome], None] | None = None
    """Told of each round: how many are done, of how many, and how it came out."""


class Rounds:
    """Runs them and gathers what they came to."""

    def __init__(self, server: Server, target: Target, case: ReplayedCase, settings: Settings) -> None:
        self._server = server
        self._target = target
        self._case = case
        self._settings = settings
        self._tallies: dict[str, Tally] = {}
        self._shown: tuple[int, Trace, ClientRun, list[Check]] | None = None
        self._failed = False
        self._done = 0
        self._samples: list[tuple[int, Sample]] = []
        """Those of the process that made most rounds."""
        self._past: list[Trace] = []
        """Rounds that are over and not judged yet; the latest is kept until it is known whether its process goes on."""

    def play(self) -> ReplayResult:
        """Run the client until all rounds are done, it cannot be started, or somebody says stop."""
        settings = self._settings
        while self._done < settings.rounds and not settings.stop():
            if self._done:
                self._server.next_round()
            if not self._one_process():
                break
        return self._result()

    def _one_process(self) -> bool:
        """Run one process of the client, for one round or several; return whether another may follow."""
        settings, server = self._settings, self._server
        with open(settings.report, "wb"):
            pass
        books = Books(ReportFile(settings.report))
        target = replace(self._target, rounds=settings.rounds - self._done)
        command = fill(settings.command, target)
        client = ClientProcess(command, environment(target, settings.report), server.now, server.counts)
        stays = settings.rounds > 1 and uses(settings.command, "loop")
        server.rearm(stays)
        with client:
            while True:
                running = client.wait(partial(self._look, books, stays), settings.criteria.timeout)
                if not running or settings.stop():
                    break
                if self._all_done():
                    break
                if len(self._past) > 1:
                    self._end_rounds(client, books)
                elif not stays and self._may_stay():
                    stays = True
                    server.rearm(True)
                    self._past.append(server.next_round())
                else:
                    break
            server.rearm(False)
            timed_out = running and not settings.stop() and not self._all_done()
            if running and self._all_done():
                client.wait(settings.stop, _LEAVES)  # every round is done: it may end by itself, and need not
            run = client.end(timed_out=timed_out)
        self._settle()
        self._last_round(run, books)
        return run.failed_to_start is None

    def _look(self, books: Books, stays: bool) -> bool:
        """Look at what has come; return whether there is something to do."""
        if self._settings.rounds > 1:
            books.read()
            if stays:
                self._past += self._server.past_rounds()
        if self._settings.stop() or self._all_done() or len(self._past) > 1:
            return True
        return not stays and self._may_stay()

    def _all_done(self) -> bool:
        """Tell whether the client, which still runs, has made as many rounds as there are to be."""
        return bool(self._past) and self._done + len(self._past) >= self._settings.rounds

    def _may_stay(self) -> bool:
        """Tell whether the client, which still runs, recovered some time ago, and another round is due."""
        if self._done + 1 >= self._settings.rounds or not self._server.problem_over():
            return False
        trace = self._server.trace()
        if trace.problem_over is None:
            return False
        worked = [
            call.completed
            for call in trace.calls
            if is_sound(call) and call.completed is not None and call.at >= trace.problem_over
        ]
        return bool(worked) and self._server.now() - min(worked) > STAYS_AFTER

    def _end_rounds(self, client: ClientProcess, books: Books) -> None:
        """Judge the rounds that are over, but for the latest: it may be the last of this process."""
        sample = client.sample()
        while len(self._past) > 1:
            trace = self._past.pop(0)
            books.enter(trace)
            books.rounds += 1
            self._judge(trace, replace(client.run), books, whole=False)
        if sample is not None:
            books.samples.append((books.rounds, sample))

    def _last_round(self, run: ClientRun, books: Books) -> None:
        """Judge the last round of a process that has ended."""
        past = [*self._past, *self._server.past_rounds()]
        self._past = []
        current = self._server.trace()
        # What follows the last recovery is a round only if it met the problem again, or if there was no other.
        rounds = [*past, current] if not past or any(call.faults for call in current.calls) else past
        *before, trace = rounds[: max(self._settings.rounds - self._done, 1)]
        for one in before:
            books.enter(one)
            books.rounds += 1
            self._judge(one, replace(run), books, whole=False)
        for one in rounds[len(before) :]:
            books.enter(one)
        books.read(last=True)
        run.reported, run.bad_report_lines = books.lines_of_last(trace), books.bad_lines
        self._judge(trace, run, books, whole=True)
        if len(books.samples) > len(self._samples):
            self._samples = books.samples

    def _settle(self) -> None:
        """Wait until the server has seen the ends of the client's connections."""
        deadline = time.monotonic() + _SETTLE
        while self._server.counts()[0] and time.monotonic() < deadline:
            time.sleep(_STEP)

    def _judge(self, trace: Trace, run: ClientRun, books: Books, *, whole: bool) -> None:
        """Judge a round; only with the last one of a process also how that ended."""
        checks = judge(Scene(trace, run, self._settings.criteria))
        if not whole:
            checks = [one for one in checks if one.name not in _PROCESS_CHECKS]
        for one in checks:
            self._tallies.setdefault(one.name, Tally()).add(one.outcome)
        counted = books.detected() if whole else None
        if counted is not None:
            checks = [self._counted(one, counted, books) if one.name == "detected" else one for one in checks]
        failed = any(one.outcome == "fail" for one in checks)
        if not self._failed or self._shown is None:
            self._shown = (self._done, trace, run, checks)
        self._failed = self._failed or failed
        self._done += 1
        if self._settings.progress is not None:
            outcome: Outcome = "fail" if failed else "pass"
            self._settings.progress(self._done, self._settings.rounds, outcome)

    def _counted(self, check: Check, counted: Check, books: Books) -> Check:
        """Let what the lines of a process say in sum decide what its rounds, judged without them, could not."""
        if check.outcome == "fail":
            return check
        tally = self._tallies["detected"]
        untold = min(tally.untold, books.rounds + (check.outcome == "untold"))
        tally.untold -= untold
        if counted.outcome == "pass":
            tally.passed += untold
        else:
            tally.failed += max(untold, 1)
        return counted

    def _result(self) -> ReplayResult:
        settings = self._settings
        if self._shown is None:  # stopped before anything was started
            number, trace, run = 0, self._server.trace(), None
            checks = judge(Scene(trace, None, settings.criteria))
        else:
            number, trace, run, checks = self._shown
        checks = [*checks, no_leak(self._samples, settings.rounds)]
        checks = [self._over_all(one) for one in checks]
        names = {one.name for one in checks}
        still = "the client was still running in the round that is shown"
        wanted = _PROCESS_CHECKS if settings.criteria.expectations else _PROCESS_CHECKS[:2]
        checks += [self._over_all(Check(name, "untold", still)) for name in wanted if name not in names]
        return ReplayResult(
            self._case, trace, run, ordered(checks), settings.rounds, self._done, number, self._tallies, settings.stop()
        )

    def _over_all(self, check: Check) -> Check:
        """Return the check as it came out over all rounds: a failure in any of them is one of the whole."""
        tally = self._tallies.get(check.name)
        if tally is None or self._done < 2:
            return check
        total = tally.passed + tally.failed + tally.untold
        if check.outcome == "fail":
            return replace(check, why=f"{check.why} (in {tally.failed} of {total} rounds)")
        if tally.failed:
            return Check(check.name, "fail", f"failed in {tally.failed} of {total} rounds", check.evidence)
        if check.outcome == "pass" and tally.untold:
            return replace(check, why=f"{check.why} (untold in {tally.untold} of {total} rounds)")
        return check
