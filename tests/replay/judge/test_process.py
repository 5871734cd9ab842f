"""*not_hung* and *not_crashed*."""

from __future__ import annotations

import pytest
from scenes import call, check, connection, cut, outcome, run, scene, silent, trace

ENDED = {"signal": 15, "ended_by_us": True, "timed_out": True}


def test_no_process():
    for name in ("not_hung", "not_crashed"):
        assert outcome(name, scene(trace(cut(0, 0.1)))) == "untold"
        assert outcome(name, scene(trace(), run(None, failed_to_start="No such file"))) == "untold"


def test_a_deadline_of_its_own_ends_a_silence():
    seen = trace(silent(0, 0.1, reset_by_client=8, reset_at=5.0))
    assert outcome("not_hung", scene(seen, run(1, ended=5.1))) == "pass"


def test_waiting_for_ever():
    found = check("not_hung", scene(trace(silent(0, 0.1)), run(None, **ENDED)))
    assert found.outcome == "fail" and "waited for 1 call" in found.why
    assert found.evidence[1]["waited"] == pytest.approx(9.9)


def test_doing_nothing_after_an_error():
    assert outcome("not_hung", scene(trace(cut(0, 0.1)), run(None, **ENDED))) == "fail"


def test_a_service_that_goes_on():
    """It was not made to end: it went on with its calls, or is idle after it recovered."""
    assert outcome("not_hung", scene(trace(cut(0, 0.1), call(1, 9.5)), run(None, **ENDED))) == "pass"
    assert outcome("not_hung", scene(trace(cut(0, 0.1), call(1, 0.5)), run(None, **ENDED))) == "untold"


def test_our_own_slowness_is_not_held_against_it():
    slow = call(1, 0.5, completed=None, ended=None, answered=None)
    found = check("not_hung", scene(trace(cut(0, 0.1), slow), run(None, **ENDED)))
    assert found.outcome == "untold" and "--timeout" in found.why


def test_a_connection_that_is_gone_is_not_waited_on():
    gone = connection(closed=0.5, closed_by="client-fin")
    found = check("not_hung", scene(trace(silent(0, 0.1), connections=[gone]), run(None, **ENDED)))
    assert found.outcome == "fail" and "did nothing more" in found.why


RUST = b"thread 'main' panicked at src/main.rs:9:5:\ncalled `Result::unwrap()`\n"
GO = b"panic: runtime error: invalid memory address\n\ngoroutine 1 [running]:\nmain.main()\n"
PYTHON = b'Traceback (most recent call last):\n  File "c.py", line 1, in <module>\n%s\n'


@pytest.mark.parametrize(
    ("client", "crashed"),
    [
        (run(0), False),
        (run(1, output=b"error: UNAVAILABLE"), False),
        (run(None, signal=11), True),
        (run(None, signal=6), True),
        (run(None, signal=9), True),
        (run(139), True),
        (run(134), True),
        (run(101, output=RUST), True),
        (run(101, output=RUST + b"test result: FAILED. 0 passed; 1 failed"), False),
        (run(101), False),
        (run(2, output=GO), True),
        (run(2, output=b"usage: client"), False),
        (run(1, output=PYTHON % b"AttributeError: 'NoneType' object has no attribute 'items'"), True),
        (run(1, output=PYTHON % b"grpc._channel._InactiveRpcError: <_InactiveRpcError of RPC>\n\tstatus = X"), False),
        (run(1, output=PYTHON % b"pyarrow._flight.FlightUnavailableError: broken"), False),
        (run(1, output=b'Exception in thread "main" java.lang.NullPointerException\n\tat A.b(A.java:1)'), True),
        (run(1, output=b'Exception in thread "main" io.grpc.StatusRuntimeException: INTERNAL'), False),
        (run(None, **ENDED), False),
    ],
)
def test_crashes(client, crashed):
    assert outcome("not_crashed", scene(trace(cut(0, 0.1)), client)) == ("fail" if crashed else "pass")


def test_what_an_event_loop_only_logs_is_no_crash():
    # As asyncio logs it: grpclib's protocol raises NotImplementedError on an event that it does not know.
    logged = (
        b"Fatal error: protocol.data_received() call failed.\nprotocol: <P object>\ntransport: <T fd=6>\n"
        b"Traceback (most recent call last):\n  File x\nKeyError: 1\n\n"
        b"During handling of the above exception, another exception occurred:\n\n"
        b"Traceback (most recent call last):\n  File x\nNotImplementedError: <Frame>\n"
        b'{"call": 0, "code": ""}\n'
    )
    own = b"Traceback (most recent call last):\n  File x\nKeyError: 1\n"
    for output, expected in ((logged, "pass"), (own, "fail"), (logged + own, "fail"), (own + logged, "fail")):
        assert outcome("not_crashed", scene(trace(cut(0, 0.1)), run(1, output=output))) == expected
