"""*recovered*: whether a new call of the client worked after the fault, and how long that took.

The server answers soundly once the recorded problem is over; a call that it does not know is answered with
UNIMPLEMENTED, which is sound as well: the wire works.
"""

from __future__ import annotations

from wirecase.replay.judge.calls import Scene, count, is_sound, place, seconds
from wirecase.replay.model import Check, LiveCall


def recovered(scene: Scene) -> Check:
    """Judge it."""
    if not scene.faults_reached:
        return scene.unreached("recovered")
    faults = _moments(scene)
    sound = [call for call in scene.trace.calls if is_sound(call)]
    evidence: list[dict[str, object]] = []
    good: list[float] = []
    dead: list[LiveCall] = []
    for number, moment in enumerate(faults):
        following = faults[number + 1] if number + 1 < len(faults) else float("inf")
        after = [call for call in sound if moment < call.at <= following]
        worked = [call for call in after if _worked(call)]
        if worked:
            first = min(worked, key=lambda call: call.completed or 0.0)
            assert first.completed is not None
            good.append(first.completed - moment)
            redialled = any(one.opened > moment and one.number == first.connection for one in scene.trace.connections)
            evidence.append(
                place(
                    first,
                    fault_at=round(moment, 3),
                    seconds=round(first.completed - moment, 3),
                    by="a new connection" if redialled else "a new stream",
                    status=first.status,
                    answer=first.role,
                )
            )
        elif number + 1 == len(faults):
            dead = [call for call in after if call.completed is None or call.reset_by_client is not None]
    if good:
        slowest = max(good)
        which = "after the fault" if len(faults) == 1 else f"after {len(good)} of {count(len(faults), 'fault')}"
        rest = "" if len(good) == len(faults) else "; after the others it made no call that could show it"
        if dead:
            rest = f"; {count(len(dead), 'call')} after the last one did not come to an end"
        took = f"within {seconds(slowest)}" if len(good) == 1 else f"within {seconds(slowest)} at the longest"
        why = f"{which} the next sound call worked, {took}{rest}"
        return Check("recovered", "untold" if dead and not _excused(scene, dead) else "pass", why, evidence)
    if dead and not _excused(scene, dead):
        evidence += [place(call, reset=call.reset_by_client) for call in dead[:20]]
        why = f"{count(len(dead), 'call')} after the fault did not come to a sound end, though the server was healthy"
        return Check("recovered", "fail", why, evidence)
    new = [one for one in scene.trace.connections if one.opened > faults[-1]]
    if any(one.tls_error for one in new):
        return Check("recovered", "fail", "the client dialled again, and no TLS handshake succeeded", evidence)
    if new:
        return Check("recovered", "untold", "the client dialled again and made no further call", evidence)
    return Check("recovered", "untold", "the client made no further call after the fault", evidence)


def _moments(scene: Scene) -> list[float]:
    """Return when faults struck; those between which the client began no call are one: the latest counts."""
    calls = {call.broke_at for call in scene.broken if call.broke_at is not None}
    struck = sorted(calls | {one.broke_at for one in scene.broken_connections if one.broke_at is not None})
    return [
        moment
        for moment, following in zip(struck, [*struck[1:], None], strict=True)
        if following is None or any(moment < call.at <= following for call in scene.trace.calls)
    ]


def _worked(call: LiveCall) -> bool:
    return call.completed is not None and (call.reset_at is None or call.reset_at >= call.completed)


def _excused(scene: Scene, calls: list[LiveCall]) -> bool:
    """Tell whether the calls were cut short by us: the client was ended, or the answer was still on its way."""
    run = scene.run
    if run is None:
        return all(call.reset_by_client is None for call in calls)
    ended = run.ended if run.ended is not None else scene.trace.ended
    open_at_end = all(call.reset_by_client is None for call in calls)
    return run.ended_by_us and open_at_end and all(call.at <= ended for call in calls)
