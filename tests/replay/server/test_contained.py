"""*contained*, with grpcio: two calls at once on one channel, of which one breaks."""

from __future__ import annotations

from pathlib import Path

import pytest
from made import Session
from wires import channel, written

import grpc
import wirecase.replay
from wirecase.model import CLIENT, SERVER

BROKEN, SLOW = "/demo.Echo/Broken", "/demo.Echo/Slow"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Two calls on one connection: one is reset at once, the other is answered half a second later."""
    made = Session().ask(1, BROKEN).ask(3, SLOW)
    made.reset(1, 2).talk.wait(0.5)
    made.answer(3, b"alive").talk.fin(CLIENT, SERVER)
    return written(tmp_path, made.talk)


def _both(target: str, *, give_up: bool) -> tuple[grpc.StatusCode, grpc.StatusCode]:
    """Make both calls at once; `give_up` takes the failure of the one for that of both."""
    with channel(target) as made:
        slow = made.unary_unary(SLOW).future(b"?", timeout=5)
        broken = made.unary_unary(BROKEN).future(b"?", timeout=5)
        code = broken.code()
        if give_up:
            slow.cancel()
        return code, slow.code()


def test_the_other_stream_lives_on(recording: Path) -> None:
    with wirecase.replay.serve(recording) as served:
        assert _both(served.target, give_up=False) == (grpc.StatusCode.INTERNAL, grpc.StatusCode.OK)
        assert served.wait_problem_over(5)
    check = served.verdict().check("contained")
    assert (check.outcome, check.why) == ("pass", "the other stream of the connection ended as they should")
    assert len(served.verdict().trace.connections) == 1


def test_a_client_that_gives_up_its_neighbours_fails(recording: Path) -> None:
    with wirecase.replay.serve(recording) as served:
        assert _both(served.target, give_up=True) == (grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED)
    check = served.verdict().check("contained")
    assert (check.outcome, "given up by the client" in check.why) == ("fail", True)
