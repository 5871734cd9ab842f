"""*retried_safely*: whether only that was sent again which may be, and not in a storm.

A request may be sent again if the wire says that it was not processed (REFUSED_STREAM, a GOAWAY below its stream; RFC
9113 §8.7), or if the user calls its path idempotent. A client may of course ask the same thing twice for reasons of its
own. So what its library counts (``grpc-previous-rpc-attempts``) is a retry for certain; an equal request after a fault
is taken for one only if neither the client nor the recorded one repeated it after a success, and if it did not report
both as calls of their own; otherwise it is left untold.
"""

from __future__ import annotations

from itertools import pairwise
from statistics import median

from wirecase.replay.judge.calls import Scene, count, is_broken, may_succeed, place, seconds
from wirecase.replay.judge.said import said
from wirecase.replay.model import Check, LiveCall

STORM_ATTEMPTS = 5
"""Attempts from which on their spacing is looked at."""
STORM_CONNECTIONS = 10
"""The same for connections."""
STORM_SPACING = 1.0
"""Seconds between attempts beyond which nothing is a storm (gRPC's first backoff,
https://github.com/grpc/grpc/blob/master/doc/connection-backoff.md)."""
GROWTH = 1.2
"""Spacing that grows by less, from the first half of the attempts to the second, does not back off."""


def retried_safely(scene: Scene) -> Check:
    """Judge it."""
    if not scene.faults_reached:
        return scene.unreached("retried_safely")
    unsafe: list[dict[str, object]] = []
    unclear: list[dict[str, object]] = []
    safe: list[dict[str, object]] = []
    for attempts in _groups(scene.trace.calls):
        told_apart = _told_apart(scene, attempts)
        habit = attempts[0].path in scene.criteria.habits
        habit = habit or any(may_succeed(before) for before, _ in pairwise(attempts))
        for before, again in pairwise(attempts):
            if not is_broken(before):
                continue
            assert before.broke_at is not None
            spacing = round(again.at - before.broke_at, 3)
            entry = place(again, repeats=before.number, spacing=spacing, attempts=again.previous_attempts)
            if before.unprocessed or scene.criteria.may_repeat(before.path):
                safe.append({**entry, "allowed": "unprocessed" if before.unprocessed else "idempotent"})
            elif again.previous_attempts > before.previous_attempts:
                unsafe.append({**entry, "counted": True})
            elif habit or told_apart:
                unclear.append(entry)
            else:
                unsafe.append({**entry, "counted": False})
    extra = _more_than_reported(scene) - len(safe)
    if extra > 0:  # so many of them were no calls of their own
        unsafe += [{**entry, "counted": True} for entry in unclear[:extra]]
        unclear = unclear[extra:]
    storms = _storms(scene)
    evidence = [*unsafe, *storms, *unclear, *safe]
    if unsafe:
        counted = any(one["counted"] for one in unsafe)
        how = (
            "it reports fewer calls, or its library counted the attempts"
            if counted
            else "the same request to the same path"
        )
        sent = f"{count(len(unsafe), 'request')} sent again after a fault"
        why = f"{sent} that does not say that the request was not processed ({how})"
        return Check("retried_safely", "fail", why, evidence)
    if storms:
        first = storms[0]
        took = seconds(float(str(first["seconds"])))
        why = f"a storm: {first['attempts']} {first['what']} in {took} without backing off"
        return Check("retried_safely", "fail", why, evidence)
    if unclear:
        repeated = count(len(unclear), "equal request")
        why = f"{repeated} came after a fault, and may be calls of their own; --idempotent says what may be repeated"
        return Check("retried_safely", "untold", why, evidence)
    if safe:
        why = (
            "one request was sent again, which is allowed" if len(safe) == 1 else f"all {len(safe)} retries are allowed"
        )
        return Check("retried_safely", "pass", why, evidence)
    return Check("retried_safely", "pass", "no request was sent again after a fault", evidence)


def _more_than_reported(scene: Scene) -> int:
    """Return how many requests came beyond the calls that the client reported, where it reported all of them.

    A client that numbers its calls without a gap and ended by itself has left none out.
    """
    numbers = {line.call for line in scene.reported}
    run = scene.run
    if not numbers or numbers != set(range(len(numbers))) or run is None or run.ended_by_us or run.bad_report_lines:
        return 0
    return sum(call.role != "housekeeping" for call in scene.trace.calls) - len(numbers)


def _groups(calls: list[LiveCall]) -> list[list[LiveCall]]:
    """Return equal requests, in the order in which they came; those whose body was never seen whole are left out."""
    groups: dict[tuple[str, str], list[LiveCall]] = {}
    for call in calls:
        if call.role != "housekeeping" and call.request_digest:
            groups.setdefault((call.path, call.request_digest), []).append(call)
    return [group for group in groups.values() if len(group) > 1]


def _told_apart(scene: Scene, attempts: list[LiveCall]) -> bool:
    """Tell whether the client reported the attempts as calls of their own."""
    numbers = {call.number for call in attempts}
    return any(group.one_each and numbers <= {call.number for call in group.calls} for group in said(scene))


def _storms(scene: Scene) -> list[dict[str, object]]:
    found = []
    for attempts in _groups(scene.trace.calls):
        if _told_apart(scene, attempts):
            continue
        run = _failing_run(attempts)
        entry = _storm([call.at for call in run], STORM_ATTEMPTS, "attempts")
        if entry is not None:
            found.append({**place(run[0]), **entry})
    moments = [call.broke_at for call in scene.broken] + [one.broke_at for one in scene.broken_connections]
    begin = min(moment for moment in moments if moment is not None)
    dials = [one.opened for one in scene.trace.connections if one.opened > begin]
    # A client with a channel for each call dials as often as it calls.
    calls = sum(call.at > begin for call in scene.trace.calls)
    entry = _storm(dials, STORM_CONNECTIONS, "connections")
    if entry is not None and len(dials) > 2 * calls:
        found.append(entry)
    return found


def _failing_run(attempts: list[LiveCall]) -> list[LiveCall]:
    """Return the longest run of attempts of which each but the last was answered without a success."""
    best: list[LiveCall] = []
    run: list[LiveCall] = []
    for call in attempts:
        run.append(call)
        if len(run) > len(best):
            best = list(run)
        if may_succeed(call):
            run = []
    return best


def _storm(times: list[float], least: int, what: str) -> dict[str, object] | None:
    """Return the figures of a storm, None where there is none: too few, far apart, or farther and farther apart."""
    if len(times) < least:
        return None
    gaps = [after - before for before, after in pairwise(times)]
    half = len(gaps) // 2
    first, second = median(gaps[:half]), median(gaps[half:])
    if median(gaps) >= STORM_SPACING or second >= GROWTH * first + 0.01:
        return None
    return {
        "what": what,
        "attempts": len(times),
        "seconds": round(times[-1] - times[0], 3),
        "spacings": [round(gap, 3) for gap in gaps[:50]],
    }
