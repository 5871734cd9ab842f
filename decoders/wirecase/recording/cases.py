"""Cases out of the ring, made by a process of their own so that nothing waits for them.

A case is made as `wirecase extract` makes one: diagnosed, cut, redacted, diagnosed again, and searched for what was
removed. What that refuses is not kept.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wirecase.errors import WirecaseError
from wirecase.model import Finding, Occurrence

if TYPE_CHECKING:
    from wirecase.case.select import Selection

MOST_WAITING = 32
TASKS = 100
"""Cases after which the process that makes them is replaced, as soon as it has nothing to do."""
SLOWEST = 300.0
"""Seconds that a case may take."""


@dataclass(slots=True)
class Job:
    """One case to be made."""

    number: int
    ring: str
    """The capture that it is cut out of; it is removed afterwards."""
    named: list[tuple[str, int | None]]
    """(rule, stream) of the findings that asked for it."""
    forgotten_streams: int = 0
    """Calls of the connection that were forgotten before."""
    forgotten_messages: int = 0
    """Messages of the calls in the case that were."""


@dataclass(slots=True)
class Making:
    """How cases are made."""

    folder: str
    keylogs: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Outcome:
    """What became of a job."""

    number: int
    rules: list[str]
    case: str | None = None
    """Path of the case."""
    why: str = ""
    """Why there is none."""
    headline: str = ""
    findings: list[dict[str, Any]] = field(default_factory=list)
    """Rule, severity, title, path and time of the findings in the case: redacted as the case is."""
    size: int = 0
    forgotten_streams: int = 0
    forgotten_messages: int = 0

    def as_json(self) -> str:
        """Return it as one line."""
        told = {
            "schema": "wirecase/recorded/1", "case": self.case, "why": self.why or None, "rules": self.rules,
            "headline": self.headline, "findings": self.findings, "bytes": self.size,
            "forgotten": {"calls": self.forgotten_streams, "messages": self.forgotten_messages},
        }  # fmt: skip
        return json.dumps(told, ensure_ascii=True)


class CaseMaker:
    """Hands jobs to the other process, and collects what became of them."""

    def __init__(self, making: Making) -> None:
        self._making = making
        self._pool: ProcessPoolExecutor | None = None
        self._waiting: list[tuple[Job, Future[Outcome]]] = []
        self._made = 0
        """Jobs that the process was given."""

    @property
    def busy(self) -> bool:
        """No further job should be submitted now."""
        return len(self._waiting) >= MOST_WAITING

    @property
    def waiting(self) -> int:
        """Cases that are being made."""
        return len(self._waiting)

    def submit(self, job: Job) -> None:
        """Have a case made."""
        if self._made >= TASKS and not self._waiting:
            self._drop_pool()  # an executor that does this itself may hang: github.com/python/cpython/issues/115634
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_quiet)
        self._made += 1
        self._waiting.append((job, self._pool.submit(make, job, self._making)))

    def collect(self, *, wait: bool = False) -> list[Outcome]:
        """Return what was finished since the last time; with `wait`, everything."""
        finished: list[Outcome] = []
        rest: list[tuple[Job, Future[Outcome]]] = []
        for job, future in self._waiting:
            if not wait and not future.done():
                rest.append((job, future))
                continue
            rules = sorted({rule for rule, _ in job.named})
            try:
                finished.append(future.result(SLOWEST))
            except TimeoutError:
                finished.append(Outcome(job.number, rules, why=f"making it took more than {SLOWEST:.0f} s"))
                self._drop_pool(kill=True)
            except CancelledError:
                finished.append(Outcome(job.number, rules, why="the process that makes cases was ended"))
            except (BrokenProcessPool, OSError) as error:
                finished.append(Outcome(job.number, rules, why=f"the process that makes cases died ({error})"))
                self._drop_pool()
            if os.path.exists(job.ring):
                os.unlink(job.ring)
        self._waiting = rest
        return finished

    def close(self) -> None:
        """End the process."""
        self._drop_pool()

    def _drop_pool(self, *, kill: bool = False) -> None:
        pool, self._pool, self._made = self._pool, None, 0
        if pool is None:
            return
        if kill:
            for process in list((getattr(pool, "_processes", None) or {}).values()):
                process.kill()
        pool.shutdown(wait=True, cancel_futures=True)


def _quiet() -> None:
    os.nice(10)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def make(job: Job, making: Making) -> Outcome:
    """Make one case."""
    from wirecase.case.extract import Request, extract
    from wirecase.case.redact import Policy, Redactor, searching
    from wirecase.pipeline import Options, diagnose

    rules = sorted({rule for rule, _ in job.named})
    outcome = Outcome(
        job.number, rules, forgotten_streams=job.forgotten_streams, forgotten_messages=job.forgotten_messages
    )
    try:
        found = diagnose(Options([job.ring], keylogs=making.keylogs, ports=making.ports))
        wanted = [one for one in found.findings if any((one.rule, place.stream) in job.named for place in _places(one))]
        wanted = wanted or [one for one in found.findings if one.rule in rules]
        if not wanted:
            outcome.why = "what is in the ring does not show the fault"
            return outcome
        roots = [one for one in wanted if one.id in found.verdict.root_causes]
        chosen = (roots or wanted)[0]
        selection, time = _selected(chosen, {stream for _, stream in job.named if stream})
        name = f"{_moment(time)}-{job.number:04d}-{chosen.rule}.pcapng"
        masks = Redactor(Policy())
        request = Request(
            [job.ring], Path(making.folder) / name, selection, making.ports, command="wirecase record",
            keylogs=making.keylogs,
        )  # fmt: skip
        made = extract(request, masks, search=searching(masks))
    except (WirecaseError, OSError) as error:
        outcome.why = _reason(error)
        return outcome
    outcome.case, outcome.size = str(made.path), made.size
    outcome.headline = str(made.manifest["headline"])
    outcome.findings = [
        {"rule": one.rule, "severity": one.severity, "title": one.title, "path": one.path, "time": one.time}
        for one in made.findings
    ]
    return outcome


def _places(one: Finding) -> list[Occurrence]:
    """Return where a finding was met; it names the first place itself where there is no other."""
    return one.occurrences or [Occurrence(None, one.stream, one.call, one.path, None, one.time)]


def _selected(chosen: Finding, streams: set[int]) -> tuple[Selection, int | None]:
    """Return what the case is to show, and when that was.

    The ring may hold older calls with the same fault, of which there is a case already: they are left out.
    """
    from wirecase.case.select import Selection

    here = [place for place in _places(chosen) if place.stream in streams]
    if not here or len(here) == len(_places(chosen)):
        return Selection(chosen.id), chosen.time
    times = [place.time for place in here if place.time is not None]
    return Selection(where=lambda call, _: call.stream.id in streams), min(times, default=chosen.time)


def _reason(error: Exception) -> str:
    """Return a reason of which there are few: without what differs from case to case."""
    return f"{type(error).__name__}: {str(error).partition(':')[0]}"[:200]


def _moment(time: int | None) -> str:
    import datetime

    moment = datetime.datetime.fromtimestamp((time or 0) / 1e9, datetime.UTC)
    return moment.strftime("%Y%m%dT%H%M%SZ")
