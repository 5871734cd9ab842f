"""Answers of two recordings are never mixed up, though both count their calls from 0."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from wirecase.replay.plan import read_plan
from wirecase.replay.server.endpoints import Endpoints

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"


def test_calls_of_the_same_number_keep_their_own_answers() -> None:
    with (
        closing(read_plan(str(FIXTURES / "incident" / "capture.pcapng"))) as one,
        closing(read_plan(str(FIXTURES / "rst-midbody" / "capture.pcapng"))) as two,
    ):
        calls = {call.number: call for call in one.calls()}
        pairs = [(calls[other.number], other) for other in two.calls() if other.number in calls]
        assert pairs
        endpoints = Endpoints("127.0.0.1", 1, tls=False)
        for mine, other in pairs:
            first = endpoints.acts(mine)
            assert endpoints.acts(other) is not first
            assert endpoints.acts(mine) is first
