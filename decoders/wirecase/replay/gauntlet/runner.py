"""A client through the gauntlet: one replay for each fault, some of them side by side.

Each replay has a server, a port and a process of its own, so they may run in parallel. What a busy machine could cause,
a client that was still waiting when its time was over, is looked at a second time, alone, before it is believed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from wirecase.replay.client.command import uses
from wirecase.replay.gauntlet.fault import ERRORS, Fault, Kind
from wirecase.replay.gauntlet.score import Card, Cell
from wirecase.replay.gauntlet.shipped import HEALTHY, on_disk
from wirecase.replay.judge import Criteria, parse_expectation
from wirecase.replay.session import ServeSettings, replay

TIMEOUT = 20.0
"""Seconds after which a client is ended: longer than the deadlines of its calls together."""
MOST_JOBS = 4


@dataclass(slots=True)
class Gauntlet:
    """How it is run."""

    command: Sequence[str]
    """The client, with its placeholders: those of replay, and `Fault.placeholders`."""
    faults: Sequence[Fault]
    kind: Kind | None = None
    """The only kind of call that the client makes; None if it is told the kind."""
    jobs: int = field(default_factory=lambda: min(os.cpu_count() or 1, MOST_JOBS))
    timeout: float = TIMEOUT
    any_code: bool = False
    """Any error will do, whatever status gRPC's documents name."""
    known_failing: frozenset[str] = frozenset()
    stop: Callable[[], bool] = lambda: False
    progress: Callable[[int, int, str], None] | None = None
    """Told of each fault that is done: how many, of how many, and how it came out."""


def one_kind(command: Sequence[str]) -> Kind | None:
    """Return the kind of call that a client makes which is not told: unary calls. None for one that is."""
    return None if uses(command, "kind") else "unary"


def run(how: Gauntlet) -> Card:
    """Run the client against all faults. Raises UsageError if it cannot be started."""
    began = time.monotonic()
    fit = [fault for fault in how.faults if how.kind is None or not fault.strict_kind or fault.kind == how.kind]
    cells = _side_by_side(how, fit) if how.jobs > 1 else [_one(how, fault, done) for done, fault in enumerate(fit)]
    for cell in cells:
        if how.jobs > 1 and _ran_out_of_time(cell) and not how.stop():
            alone = _meet(how, cell.fault)
            cell.result, cell.seconds, cell.again = alone.result, alone.seconds, True
    left_out = [fault for fault in how.faults if fault not in fit]
    took = time.monotonic() - began
    return Card(list(how.command), cells, left_out, took, how.jobs, how.timeout, how.stop())


def _one(how: Gauntlet, fault: Fault, done: int, total: int = 0) -> Cell:
    cell = _meet(how, fault)
    if how.progress is not None:
        how.progress(done + 1, total or len(how.faults), cell.outcome)
    return cell


def _side_by_side(how: Gauntlet, faults: Sequence[Fault]) -> list[Cell]:
    done = 0

    def counted(cell: Cell) -> None:
        nonlocal done
        done += 1
        if how.progress is not None:
            how.progress(done, len(faults), cell.outcome)

    with ThreadPoolExecutor(how.jobs, thread_name_prefix="wirecase-gauntlet") as pool:
        futures = [pool.submit(_meet, how, fault) for fault in faults]
        for future in futures:
            future.add_done_callback(lambda one: None if one.cancelled() or one.exception() else counted(one.result()))
        _, waiting = wait(futures, return_when=FIRST_EXCEPTION)
        for future in waiting:
            future.cancel()
    return [future.result() for future in futures if not future.cancelled()]


def _meet(how: Gauntlet, fault: Fault) -> Cell:
    """Serve one fault to the client."""
    kind = how.kind or fault.kind
    known = fault.name in how.known_failing
    if how.stop():
        return Cell(fault, kind, None, known_failing=known)
    expected = fault.expectation if not how.any_code or "OK" in fault.expect else "|".join({*fault.expect, *ERRORS})
    criteria = Criteria(how.timeout, expectations=(parse_expectation(expected),), plain=fault.plain, alone=True)
    began = time.monotonic()
    with on_disk(fault.name) as path, on_disk(HEALTHY[kind]) as healthy:
        settings = ServeSettings(str(path), match="any", healthy=str(healthy))
        result = replay(settings, how.command, criteria, stop=how.stop, more=fault.placeholders(kind))
    return Cell(fault, kind, result, time.monotonic() - began, known)


def _ran_out_of_time(cell: Cell) -> bool:
    return cell.result is not None and cell.result.run is not None and cell.result.run.timed_out
