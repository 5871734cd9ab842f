"""*detected*: what proves that a client noticed, what proves that it did not, and what proves neither."""

from __future__ import annotations

import pytest
from scenes import FLAG, PATH, call, check, connection, cut, faulty, lines, outcome, run, scene, silent, trace


def test_an_ok_for_broken_bytes_fails():
    """grpcio gives None and no error for flag 67 with status 0."""
    made = scene(trace(call(0, 0.1), faulty(1, 0.2)), run(reported=lines("OK", "OK")))
    found = check("detected", made)
    assert found.outcome == "fail" and "call 1 was reported as OK" in found.why
    assert found.evidence[0]["faults"] == [FLAG]


def test_a_reported_error_passes():
    assert (
        outcome("detected", scene(trace(call(0, 0.1), faulty(1, 0.2)), run(reported=lines("OK", "INTERNAL")))) == "pass"
    )


def test_lines_may_name_paths():
    seen = trace(call(0, 0.1), faulty(1, 0.2), call(2, 0.3, path="/other.Service/Put"))
    made = scene(seen, run(reported=lines((PATH, "OK"), (PATH, "INTERNAL"), ("Put", "OK"))))
    assert outcome("detected", made) == "pass"
    made = scene(seen, run(reported=lines(("Put", "OK"))))
    assert outcome("detected", made) == "untold"


def test_a_status_of_its_own_is_no_success():
    """A broken call with grpc-status 14 reported as OK is wrong whatever its bytes were."""
    made = scene(trace(faulty(0, 0.1, "grpc-local-reply", status=14)), run(reported=lines("OK")))
    assert outcome("detected", made) == "fail"


def test_a_whole_answer_may_be_a_success():
    """Padding is no reason to refuse an answer; nothing faulty was served."""
    made = scene(trace(faulty(0, 0.1, "h2-padded-data")), run(reported=lines("OK")))
    assert outcome("detected", made) == "untold"


def test_more_successes_than_sound_answers_fail_whatever_the_order():
    """Concurrent calls of one path: the lines come in the order of the ends."""
    seen = trace(call(0, 0.1, completed=0.5), faulty(1, 0.2), call(2, 0.25, completed=0.4))
    assert outcome("detected", scene(seen, run(reported=lines((PATH, "OK"), (PATH, "OK"), (PATH, "OK"))))) == "fail"
    assert (
        outcome("detected", scene(seen, run(reported=lines((PATH, "INTERNAL"), (PATH, "OK"), (PATH, "OK"))))) == "pass"
    )


def test_counts_accuse_only_where_they_must():
    """A client may take UNIMPLEMENTED for good, and a missing line says nothing."""
    fallback = call(2, 0.3, role="fallback", status=12)
    seen = trace(call(0, 0.1), faulty(1, 0.2), fallback, call(3, 0.4))
    assert outcome("detected", scene(seen, run(reported=lines("OK", "OK", "OK")))) == "untold"
    assert outcome("detected", scene(seen, run(reported=lines("OK", "UNIMPLEMENTED", "OK")))) == "pass"
    assert outcome("detected", scene(seen, run(reported=lines(*["OK"] * 6)))) == "untold", "calls that went elsewhere"
    seen = trace(call(0, 0.1), faulty(1, 0.2), faulty(2, 0.3), call(3, 0.4))
    assert outcome("detected", scene(seen, run(reported=lines("OK", "OK", "OK")))) == "fail"


def test_a_retry_within_one_call_is_no_accusation():
    """Two attempts on the wire, one line OK: the library retried, or the lines are not complete."""
    seen = trace(cut(0, 0.1, request_digest="same"), call(1, 0.5, request_digest="same"))
    assert outcome("detected", scene(seen, run(reported=lines("OK")))) == "untold"
    seen.calls[1].previous_attempts = 1
    assert outcome("detected", scene(seen, run(reported=lines("OK")))) == "pass"


@pytest.mark.parametrize(("code", "expected"), [(8, "pass"), (1, "pass"), (0, "untold")])
def test_a_reset_of_the_faulty_stream(code, expected):
    seen = trace(cut(0, 0.1, ended=None, reset_by_client=code, reset_at=0.2))
    assert outcome("detected", scene(seen, run(0))) == expected


def test_a_reset_before_any_answer_is_no_reaction():
    seen = trace(cut(0, 0.1, answered=0.3, broke_at=0.4, reset_by_client=8, reset_at=0.2))
    assert outcome("detected", scene(seen, run(0))) == "untold"


def test_a_goaway_with_an_error_passes_and_a_graceful_one_does_not():
    for code, expected in ((1, "pass"), (0, "untold")):
        seen = trace(faulty(0, 0.1), connections=[connection(goaway=code, closed=0.3, closed_by="client-fin")])
        assert outcome("detected", scene(seen, run(0))) == expected


def test_closing_the_connection_of_an_open_call_and_dialling_again_passes():
    gone = connection(closed=0.3, closed_by="client-rst")
    seen = trace(silent(0, 0.1), connections=[gone, connection(1, 0.4)])
    assert outcome("detected", scene(seen, run(0))) == "pass"


def test_a_channel_for_each_call_is_no_sign():
    gone = connection(closed=0.3, closed_by="client-fin")
    seen = trace(faulty(0, 0.1), connections=[gone, connection(1, 0.4)])
    assert outcome("detected", scene(seen, run(0))) == "untold"


def test_exit_statuses():
    seen = trace(call(0, 0.1), faulty(1, 0.2))
    assert outcome("detected", scene(seen, run(1))) == "pass"
    assert outcome("detected", scene(seen, run(0))) == "untold"
    assert outcome("detected", scene(seen, run(None, signal=11))) == "untold"
    assert outcome("detected", scene(seen, run(None, signal=15, ended_by_us=True, timed_out=True))) == "untold"
    assert outcome("detected", scene(seen, run(101, output=b"thread 'main' panicked at src/main.rs:1"))) == "untold"


def test_an_exit_status_does_not_outweigh_a_success_that_was_reported():
    assert outcome("detected", scene(trace(faulty(0, 0.1)), run(1, reported=lines("OK")))) == "fail"


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (trace(connections=[]), "never connected"),
        (trace(), "made no call"),
        (trace(connections=[connection(not_http2=b"GET / HTTP/1.1")]), "does not speak HTTP/2"),
        (trace(connections=[connection(tls_error="unknown ca")]), "no TLS handshake"),
        (trace(call(0, 0.1)), "none of them is one of the recording's faulty calls"),
        (trace(call(0, 0.1, role="fallback", status=12)), "--healthy RECORDING"),
    ],
)
def test_a_fault_that_was_not_reached_is_told_so(seen, says):
    found = check("detected", scene(seen, run(0)))
    assert found.outcome == "untold" and says in found.why


def test_faults_of_a_connection():
    lost = connection(faults=["goaway-error"], broke_at=0.2, survivable=False, closed=0.3, closed_by="server-fin")
    assert outcome("detected", scene(trace(call(0, 0.1), connections=[lost]), run(0))) == "untold"
    told = trace(connections=[lost])
    assert outcome("detected", scene(told, run(0, reported=lines("UNAVAILABLE")))) == "pass"
    assert outcome("detected", scene(told, run(0, reported=lines("OK")))) == "untold"
    moved = trace(call(0, 0.1), call(1, 0.5, connection=1), connections=[lost, connection(1, 0.4)])
    assert outcome("detected", scene(moved, run(0))) == "pass"


def test_numbers_of_calls_that_began_together_name_none_of_them():
    """Which of two threads was the first on the wire is not which of them began first."""
    both = trace(cut(0, 0.1, answered=0.15), call(1, 0.105))
    assert outcome("detected", scene(both, run(1, reported=lines("OK", "INTERNAL")))) == "pass"
    one_by_one = trace(cut(0, 0.1, answered=0.11), call(1, 0.12))
    assert outcome("detected", scene(one_by_one, run(1, reported=lines("OK", "INTERNAL")))) == "fail"
