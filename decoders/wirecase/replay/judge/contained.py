"""*contained*: whether the other streams of the connection lived on where they could.

Looked at are the calls that were open on a faulty call's connection when its answer broke. Where the fault ends the
whole connection (a GOAWAY with an error, TCP, HPACK) they cannot live on, and nothing is held against the client.
"""

from __future__ import annotations

from wirecase.http2.facts import error_name
from wirecase.replay.judge.calls import Scene, count, place, seconds, worst
from wirecase.replay.model import Check, LiveCall, Outcome

REACTION = 2.0
"""Seconds after the fault in which a reset of a neighbour is taken for a reaction to it."""


def contained(scene: Scene) -> Check:
    """Judge it."""
    if not scene.faults_reached:
        return scene.unreached("contained")
    outcomes: list[Outcome] = []
    evidence: list[dict[str, object]] = []
    doomed = 0
    for call in scene.broken:
        neighbours = _open_beside(scene, call)
        connection = scene.connection(call.connection)
        if connection is not None and not connection.survivable:
            doomed += len(neighbours)
            continue
        for other in neighbours:
            outcome, fate = _fate(scene, call, other)
            if outcome is not None:
                outcomes.append(outcome)
                evidence.append(place(other, beside=call.number, fate=fate))
    if not outcomes:
        if doomed:
            return Check("contained", "untold", "the fault ends the whole connection: other streams could not live on")
        return Check("contained", "untold", "no other stream was open on the connection when the answer broke")
    outcome = worst(outcomes)
    if outcome == "fail":
        lost = [one for one, result in zip(evidence, outcomes, strict=True) if result == "fail"]
        why = f"{count(len(lost), 'other stream')} of the connection was given up by the client"
        if len(lost) > 1:
            why = f"{len(lost)} other streams of the connection were given up by the client"
        return Check("contained", "fail", f"{why}, though the fault was on one stream alone", evidence)
    if outcome == "pass":
        return Check("contained", "pass", f"{_streams(len(outcomes))} of the connection ended as they should", evidence)
    return Check("contained", "untold", "how the other streams of the connection ended was not seen", evidence)


def _streams(number: int) -> str:
    return "the other stream" if number == 1 else f"all {number} other streams"


def _open_beside(scene: Scene, broken: LiveCall) -> list[LiveCall]:
    moment = broken.broke_at
    assert moment is not None
    return [
        call
        for call in scene.trace.calls
        if call.connection == broken.connection
        and call.number != broken.number
        and not call.faults
        and call.role != "housekeeping"
        and call.at <= moment
        and not any(end is not None and end <= moment for end in (call.completed, call.reset_at, call.ended))
    ]


def _fate(scene: Scene, broken: LiveCall, other: LiveCall) -> tuple[Outcome | None, str]:
    """Return how a neighbour fared, None where it is nobody's doing."""
    moment = broken.broke_at
    assert moment is not None
    if other.completed is not None and other.reset_by_client is None:
        return "pass", f"completed {seconds(other.completed - moment)} after the fault"
    if other.reset_by_client is not None and other.reset_at is not None:
        if other.completed is not None and other.completed <= other.reset_at:
            return "pass", f"completed {seconds(other.completed - moment)} after the fault"
        after = other.reset_at - moment
        fate = f"reset by the client with {error_name(other.reset_by_client)} {seconds(after)} after the fault"
        return ("fail" if after <= REACTION else "untold"), fate
    connection = scene.connection(other.connection)
    ended_by_us = scene.run is not None and scene.run.ended_by_us
    if connection is None or connection.closed is None or connection.closed_by not in ("client-fin", "client-rst"):
        return None, ""
    if ended_by_us and scene.run is not None and scene.run.ended is not None and connection.closed >= scene.run.ended:
        return None, ""
    after = connection.closed - moment
    fate = f"left open: the client closed the connection {seconds(after)} after the fault"
    return ("fail" if after <= REACTION else "untold"), fate
