"""*not_hung* and *not_crashed*: how the client's process ended."""

from __future__ import annotations

import re
import signal

from wirecase.replay.judge.calls import Scene, count, place, seconds
from wirecase.replay.model import Check, ClientRun, LiveCall

_RECENT = 0.2
"""Share of the time limit, counted from its end, in which a sound answer shows that the client was at work."""
_SHELL_SIGNALS = {128 + number: number for number in (4, 5, 6, 7, 8, 11)}
"""Exit statuses by which a shell tells that its command died of SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV."""
_PYTHON_ERROR = re.compile(rb"^([A-Za-z_][\w.]*)(?::|$)", re.M)
_TRACEBACK = re.compile(
    rb"^(?:((?:handle|protocol|transport|task|future|client_session|asyncgen): .*|Exception (?:ignored )?in .*)\r?\n"
    rb"|((?:During handling of the above|The above) exception.*)\r?\n\r?\n)?Traceback \(most recent call last\):",
    re.M,
)
"""A traceback; the first group where asyncio logs it and goes on (`asyncio.loop.call_exception_handler`), the second
where it belongs to the one before."""
_OWN_WORDS = re.compile(
    rb"(?:RpcError|GRPCError|Rendezvous|Flight\w*Error|Stream\w*Error|Connection\w*Error|TimeoutError|AssertionError"
    rb"|SystemExit|Status(?:Runtime)?Exception)\Z"
)
"""Exceptions by which a program says that a call failed, or that what it checks does not hold."""


def crash_of(run: ClientRun) -> str | None:
    """Say how the client crashed, None if it did not.

    An error of gRPC that nobody caught is told by the language's runtime like a crash, and is none: the client said
    what went wrong.
    """
    if run.ended_by_us:
        return None
    if run.signal is not None:
        return f"it was ended by {_signal_name(run.signal)}"
    status, text = run.exit, run.output
    if status in (0, None):
        return None
    assert status is not None
    if status in _SHELL_SIGNALS:
        return f"its status {status} says that it was ended by {_signal_name(_SHELL_SIGNALS[status])}"
    if status == 101 and b"panicked at" in text and b"test result: FAILED" not in text:
        return "it panicked (Rust, status 101)"
    if status == 2 and re.search(rb"^(?:panic|fatal error): ", text, re.M) and b"goroutine " in text:
        return "it panicked (Go, status 2)"
    trace = _last_traceback(text) if status == 1 else None
    if trace is not None:
        last = _PYTHON_ERROR.findall(trace)
        name = last[-1].rpartition(b".")[2] if last else b""
        if name and not _OWN_WORDS.search(name):
            return "an exception that is no error of gRPC ended it (Python)"
    thrown = re.search(rb'^Exception in thread "[^"\n]*" ([\w.$]+)', text, re.M)
    if status == 1 and thrown and not _OWN_WORDS.search(thrown[1]):
        return "an exception that is no error of gRPC ended it (JVM)"
    return None


def _last_traceback(text: bytes) -> bytes | None:
    """Return the last traceback of a Python program that may have ended it: none that its event loop only logged."""
    found, logged = None, False
    for one in _TRACEBACK.finditer(text):
        logged = one[1] is not None or (logged and one[2] is not None)
        found = found if logged else text[one.start() :]
    return found


def not_crashed(scene: Scene) -> Check:
    """Judge whether the process came to a proper end."""
    run = scene.run
    if run is None:
        return Check("not_crashed", "untold", "no process was watched")
    if run.failed_to_start is not None:
        return Check("not_crashed", "untold", "the client could not be started")
    evidence: list[dict[str, object]] = [{"exit": run.exit, "signal": run.signal, "ended_by_us": run.ended_by_us}]
    crash = crash_of(run)
    if crash is not None:
        return Check("not_crashed", "fail", f"the client crashed: {crash}", evidence)
    if run.ended_by_us:
        return Check("not_crashed", "pass", "the client ran until it was ended by wirecase", evidence)
    return Check("not_crashed", "pass", f"the client ended by itself with status {run.exit}", evidence)


def not_hung(scene: Scene) -> Check:
    """Judge whether the client came to an end, or went on with its work."""
    run = scene.run
    if run is None:
        return Check("not_hung", "untold", "no process was watched")
    if run.failed_to_start is not None:
        return Check("not_hung", "untold", "the client could not be started")
    ended = run.ended if run.ended is not None else scene.trace.ended
    evidence: list[dict[str, object]] = [{"seconds": round(ended - run.started, 3), "limit": scene.criteria.timeout}]
    if not run.timed_out:
        if run.ended_by_us:
            return Check("not_hung", "untold", "the client was ended by wirecase before its time was over", evidence)
        return Check("not_hung", "pass", f"the client ended by itself after {seconds(ended - run.started)}", evidence)
    waiting = [call for call in scene.trace.calls if _open_at(scene, call, ended)]
    lasted = seconds(ended - run.started)
    if waiting:
        evidence += [place(call, waited=round(ended - call.at, 3)) for call in waiting[:20]]
        return Check(
            "not_hung",
            "fail",
            f"the client still waited for {count(len(waiting), 'call')} when its {lasted} were over",
            evidence,
        )
    if any(_still_answered(call) for call in scene.trace.calls):
        why = f"not every call was answered yet when the client's {lasted} were over: give it a longer --timeout"
        return Check("not_hung", "untold", why, evidence)
    recent = ended - _RECENT * (ended - run.started)
    sound = [call for call in scene.trace.calls if call.completed is not None and not call.faults]
    if any(call.completed is not None and call.completed >= recent for call in sound):
        return Check("not_hung", "pass", f"the client was still at work when its {lasted} were over", evidence)
    broke = [call.broke_at for call in scene.broken if call.broke_at is not None]
    broke += [one.broke_at for one in scene.broken_connections if one.broke_at is not None]
    if broke and any(call.completed is not None and call.completed > max(broke) for call in sound):
        why = f"the client recovered, was idle and did not end within {lasted}: it may be meant to go on"
        return Check("not_hung", "untold", why, evidence)
    if not broke:
        return Check("not_hung", "untold", f"the client did not end within {lasted}; no fault was served", evidence)
    return Check("not_hung", "fail", f"the client did nothing more and did not end within {lasted}", evidence)


def _open_at(scene: Scene, call: LiveCall, ended: float) -> bool:
    """Tell whether the client was still waiting for the rest of a faulty answer: silence, or a body without an end."""
    if call.role == "housekeeping" or call.reset_at is not None or call.broke_at is None:
        return False
    connection = scene.connection(call.connection)
    if connection is not None and connection.closed is not None and connection.closed < ended:
        return False
    return call.request_ended is not None and call.completed is None and call.ended is None


def _still_answered(call: LiveCall) -> bool:
    """Tell whether the answer was on its way."""
    waits = call.role != "housekeeping" and call.request_ended is not None and call.reset_at is None
    return waits and call.broke_at is None and call.completed is None and call.ended is None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
