"""*as_expected*: whether the client reported what the user says that it should."""

from __future__ import annotations

from wirecase.replay.judge.calls import Scene, place, worst
from wirecase.replay.judge.expectation import Expectation
from wirecase.replay.judge.said import Said, line_of, said
from wirecase.replay.model import Check, LiveCall, Outcome, ReportedCall

_Judged = tuple[Outcome, str, list[dict[str, object]]]


def as_expected(scene: Scene) -> Check:
    """Judge every expectation; all of them must hold."""
    judged = [(one, _judge(scene, one)) for one in scene.criteria.expectations]
    evidence: list[dict[str, object]] = []
    for one, (outcome, why, rests_on) in judged:
        evidence.append({"expected": one.text, "outcome": outcome, "why": why, "on": rests_on})
    outcome = worst(result[0] for _, result in judged)
    if outcome == "pass":
        return Check("as_expected", "pass", "the client did what was expected of it", evidence)
    reasons = [why for _, (result, why, _) in judged if result == outcome]
    return Check("as_expected", outcome, reasons[0], evidence)


def _judge(scene: Scene, one: Expectation) -> _Judged:
    run = scene.run
    if one.kind in ("exit", "output"):
        if run is None or run.failed_to_start is not None:
            return "untold", "no process was watched", []
        return _exit(scene, one) if one.kind == "exit" else _output(scene, one)
    if not scene.faults_reached and not scene.hit:
        return "untold", scene.unreached("as_expected").why, []
    return _reported(scene, one) if scene.hit else _never_asked(scene, one)


def _exit(scene: Scene, one: Expectation) -> _Judged:
    run = scene.run
    assert run is not None
    if run.ended_by_us:
        return "fail", "the client did not end by itself", [{"signal": run.signal}]
    got = run.exit
    right = got not in (0, None) if one.code == "error" else got == int(one.code)
    ended = f"status {got}" if got is not None else f"signal {run.signal}"
    wanted = "any status but 0" if one.code == "error" else f"status {one.code}"
    return ("pass" if right else "fail"), f"the client ended with {ended}, expected was {wanted}", [{"exit": got}]


def _output(scene: Scene, one: Expectation) -> _Judged:
    run = scene.run
    assert run is not None
    assert one.pattern is not None
    found = one.pattern.search(run.output.decode("utf-8", "replace"))
    if found:
        return "pass", "its output matches", [{"at": found.start()}]
    if run.output_bytes > len(run.output):
        return "untold", "the end of its output that was kept does not match", []
    return "fail", "its output does not match", []


def _never_asked(scene: Scene, one: Expectation) -> _Judged:
    """Judge a fault that came before any call: what came of it is an error line, or a call on another connection."""
    errors = [line for line in scene.reported if line.code != "OK"]
    on: list[dict[str, object]] = [{"reported": line.code, "details": line.details} for line in errors[:20]]
    wrong = [line.code for line in errors if not _right(one, line)]
    if wrong:
        return "fail", f"{wrong[0]} was reported, which is not as expected", on
    if errors or (scene.reported and "OK" in one.codes):
        return "pass", "reported as expected", on
    return "untold", "the client reported no error", on


def _right(one: Expectation, line: ReportedCall) -> bool:
    right = line.code != "OK" if one.kind == "error" else line.code in one.codes
    return right and (one.pattern is None or one.pattern.search(line.details) is not None)


def _any_line(scene: Scene, groups: list[Said], one: Expectation, call: LiveCall) -> ReportedCall | None:
    """Return a line for a call whose own cannot be told, where the same is expected of all that may be it."""
    about = next((group for group in groups if group.about(call)), None)
    if about is None:
        return None
    if scene.criteria.alone:
        lines = [line for line in about.lines if line.code != "OK"]
        if not lines:
            # Each success needs an answer of its own: with too few of them, one was made of nothing.
            return about.lines[0] if "OK" in one.codes or about.successes > about.sound else None
    elif len(about.lines) == len(about.calls) and all(other in scene.hit for other in about.calls):
        lines = about.lines
    else:
        return None
    return next((line for line in lines if not _right(one, line)), lines[0])


def _reported(scene: Scene, one: Expectation) -> _Judged:
    """Hold the lines about the faulty calls against what was expected of them."""
    groups = said(scene)
    outcomes: list[Outcome] = []
    rests_on: list[dict[str, object]] = []
    for call in scene.hit:
        line = line_of(groups, call)
        if line is None and "OK" in one.codes:
            # Retried within one call of the client: as many successes as sound answers, and nothing else.
            about = next((one for one in groups if one.about(call)), None)
            if about is not None and about.successes == len(about.lines) <= about.sound:
                line = about.lines[0]
        if line is None:
            line = _any_line(scene, groups, one, call)
        if line is None:
            outcomes.append("untold")
            rests_on.append(place(call, reported=None))
            continue
        early = line.code == "OK" and not scene.faults_reached and not scene.criteria.plain
        outcomes.append("untold" if early else "pass" if _right(one, line) else "fail")
        rests_on.append(place(call, reported=line.code, details=line.details))
    outcome = worst(outcomes)
    run = scene.run
    if outcome == "untold" and one.kind == "error" and not groups and run is not None and not run.ended_by_us:
        # Without lines of its own the process must tell it.
        if run.exit == 0:
            return "fail", "an error was expected, and the client ended with status 0 and reported none", rests_on
        return "pass", "the client ended with an error", rests_on
    if outcome == "untold" and scene.criteria.plain and not groups and run is not None and not run.ended_by_us:
        if one.codes == ("OK",):
            ended = "by a signal" if run.exit is None else f"with status {run.exit}"
            why = f"the client ended {ended}" + ("" if run.exit == 0 else ", though nothing was broken")
            return ("pass" if run.exit == 0 else "fail"), why, rests_on
        if run.exit != 0:
            return "pass", "the client ended with an error", rests_on
    if outcome == "untold":
        return outcome, "the client did not report these calls: let it write to WIRECASE_REPORT", rests_on
    wrong = next((p["reported"] for p, o in zip(rests_on, outcomes, strict=True) if o == "fail"), None)
    if outcome == "fail":
        return outcome, f"{wrong} was reported, which is not as expected", rests_on
    return outcome, "reported as expected", rests_on
