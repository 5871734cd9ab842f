"""*detected*: whether the client noticed that the answer was broken, or took broken bytes for a success.

What the client said of the call decides. Without that, only a sign that no success can leave behind is a proof: it
reset the faulty stream, it ended the connection with an error, its library sent the call again and counted attempts, or
its process ended with a status other than 0. That it ended with 0 proves nothing: a fault that was swallowed and one
that was retried look the same from outside.
"""

from __future__ import annotations

from wirecase.http2.facts import error_name
from wirecase.replay.judge.calls import Scene, count, is_broken, place, where, worst
from wirecase.replay.judge.process import crash_of
from wirecase.replay.judge.said import Said, line_of, said
from wirecase.replay.model import Check, LiveCall, LiveConnection, Outcome

_Found = tuple[Outcome, dict[str, object]]
NO_ERROR = 0


def detected(scene: Scene) -> Check:
    """Judge it."""
    if not scene.faults_reached:
        return scene.unreached("detected")
    groups = said(scene)
    found: list[_Found] = [_call(scene, groups, call) for call in scene.broken]
    found += _more_successes(groups)
    found += [_connection(scene, one) for one in scene.broken_connections if not _carried_by_calls(scene, one)]
    told = scene.run is not None and scene.run.exit not in (0, None) and crash_of(scene.run) is None
    found.sort(key=lambda one: ("fail", "untold", "pass").index(one[0]))
    evidence = [one for _, one in found]
    if told and all(outcome != "fail" for outcome, _ in found):
        assert scene.run is not None
        evidence.append({"sign": "exit", "exit": scene.run.exit})
        open_ones = sum(outcome == "untold" for outcome, _ in found)
        found = [("pass", one) for _, one in found]
        if open_ones:
            why = f"the client ended with status {scene.run.exit}: it did not claim success"
            return Check("detected", "pass", why, evidence)
    return _summed(scene, found, evidence)


def _summed(scene: Scene, found: list[_Found], evidence: list[dict[str, object]]) -> Check:
    outcomes = [outcome for outcome, _ in found]
    total = count(len(found), "faulty answer")
    match worst(outcomes):
        case "fail":
            wrong = next(one for outcome, one in found if outcome == "fail")
            return Check("detected", "fail", f"broken bytes were taken for a success: {wrong['said']}", evidence)
        case "pass":
            signs = list(dict.fromkeys(str(one["sign"]) for one in evidence))
            how = ", ".join(_SIGNS[sign] for sign in signs)
            each = "the fault was noticed" if len(found) == 1 else f"all of {total} were noticed"
            return Check("detected", "pass", f"{each}: {how}", evidence)
    known = sum(outcome == "pass" for outcome in outcomes)
    so_far = f"{known} of {total} were noticed; of the others " if known else ""
    silent = "it did not write to WIRECASE_REPORT"
    if scene.reported:
        silent = "its lines in WIRECASE_REPORT do not tell the calls apart"
    why = f"{so_far}nothing on the wire says that the client noticed, and {silent}"
    return Check("detected", "untold", why, evidence)


_SIGNS = {
    "reported": "the client reported an error",
    "counts": "it reported as many errors as there were faulty answers",
    "retried": "its library counted another attempt",
    "reset": "the client reset the stream",
    "goaway": "the client ended the connection with an error",
    "closed": "the client closed the connection while the call was open",
    "moved": "the client went on with a new connection",
    "exit": "the client ended with an error",
}


def _call(scene: Scene, groups: list[Said], call: LiveCall) -> _Found:
    line = line_of(groups, call)
    if line is not None:
        facts: dict[str, object] = {"sign": "reported", "code": line.code, "details": line.details}
        if line.code != "OK":
            return "pass", place(call, **facts)
        return "fail", place(call, **facts, said=f"call {call.number} was reported as OK")
    sign = _sign(scene, call)
    if sign is not None:
        return "pass", place(call, **sign)
    if any(group.about(call) and group.agrees for group in groups):
        return "pass", place(call, sign="counts")
    return "untold", place(call, sign=None)


def _sign(scene: Scene, call: LiveCall) -> dict[str, object] | None:
    """Return what the client did on the wire that it does not do after a success."""
    seen = call.answered if call.answered is not None else call.broke_at
    assert seen is not None
    if call.reset_by_client not in (None, NO_ERROR) and call.reset_at is not None and call.reset_at >= seen:
        assert call.reset_by_client is not None
        return {"sign": "reset", "error": error_name(call.reset_by_client), "at": call.reset_at}
    again = _counted_retry(scene, call)
    if again is not None:
        return {"sign": "retried", "by": again.number, "attempts": again.previous_attempts}
    connection = scene.connection(call.connection)
    if connection is None or call.broke_at is None:
        return None
    if connection.goaway not in (None, NO_ERROR):
        assert connection.goaway is not None
        return {"sign": "goaway", "error": error_name(connection.goaway)}
    ended_by_us = scene.run is not None and scene.run.ended_by_us
    waits = call.completed is None and call.ended is None
    gave_up = waits and connection.closed_by in ("client-fin", "client-rst") and not ended_by_us
    later = [one for one in scene.trace.connections if connection.closed is not None and one.opened > connection.closed]
    if gave_up and later and connection.closed is not None and connection.closed >= seen:
        return {"sign": "closed", "at": connection.closed}
    return None


def _counted_retry(scene: Scene, call: LiveCall) -> LiveCall | None:
    """Return the attempt that names the faulty one as its predecessor (``grpc-previous-rpc-attempts``)."""
    return next(
        (
            one
            for one in scene.trace.calls
            if one.previous_attempts > call.previous_attempts
            and one.path == call.path
            and one.request_digest == call.request_digest
            and one.at > call.at
        ),
        None,
    )


def _more_successes(groups: list[Said]) -> list[_Found]:
    """Find broken answers that must have been taken for a success because there were not enough sound ones."""
    found: list[_Found] = []
    for group in groups:
        if not group.paired and group.accuses:
            broken = [call for call in group.calls if is_broken(call)]
            text = f"{count(group.successes, 'call')} reported as OK, {group.unbroken} answered without a fault"
            found.append(("fail", place(broken[0], sign="reported", code="OK", said=text)))
    return found


def _carried_by_calls(scene: Scene, connection: LiveConnection) -> bool:
    """Tell whether the connection's fault hit calls that are judged themselves."""
    return any(call.connection == connection.number for call in scene.broken)


def _connection(scene: Scene, connection: LiveConnection) -> _Found:
    """Judge a fault that stands on the connection and hit no call: the client must not go on using it."""
    broke = connection.broke_at
    assert broke is not None
    if connection.goaway not in (None, NO_ERROR):
        assert connection.goaway is not None
        return "pass", where(connection, sign="goaway", error=error_name(connection.goaway))
    if scene.reported and all(line.code != "OK" for line in scene.reported):
        return "pass", where(connection, sign="reported", code=scene.reported[0].code)
    if any(one.opened > broke for one in scene.trace.connections):
        return "pass", where(connection, sign="moved")
    return "untold", where(connection, sign=None)
