"""What replay serves of the recordings: the fault once, and nothing of it afterwards."""

from __future__ import annotations

import struct
from contextlib import closing
from pathlib import Path

import pytest

import grpc
from wirecase.replay import serve
from wirecase.replay.gauntlet import FAULTS
from wirecase.replay.gauntlet.shipped import case
from wirecase.replay.plan import read_plan
from wirecase.replay.server.stage import _settings

CASES = Path(str(case("healthy-unary"))).parent
PATH = "/some.Other/Path"


@pytest.mark.parametrize("fault", [one for one in FAULTS if not one.control], ids=lambda fault: fault.name)
def test_all_of_it_can_be_served_and_no_faulty_frame_is_called_healthy(fault) -> None:
    with closing(read_plan(str(CASES / f"{fault.name}.pcap"))) as plan:
        for calls in plan.healthy.values():
            assert not any(act.faulty for call in calls for act in call.acts)
        if not fault.plain:
            assert any(call.faults for call in plan.calls()) or any(one.faults for one in plan.connections)
        for at in range(0, len(payload := _settings(plan)), 6):
            key, value = struct.unpack_from(">HI", payload, at)
            assert key != 4 or value < 2**31, "a new connection is not greeted with the fault"


def test_any_call_gets_a_sound_answer_afterwards_whatever_its_path() -> None:
    healthy = CASES / "healthy-unary.pcap"
    with (
        serve(CASES / "http-502-empty.pcap", match="any", healthy=healthy) as served,
        grpc.insecure_channel(served.target) as channel,
    ):
        ask = channel.unary_unary(PATH)
        with pytest.raises(grpc.RpcError) as told:
            ask(b"", timeout=5)
        assert told.value.code() is grpc.StatusCode.UNAVAILABLE
        assert ask(b"", timeout=5).startswith(b"\xfa\xff\xff\xff\x0f")  # a field that no schema has
        assert [call.role for call in served.trace().calls] == ["problem", "healthy"]
        assert [call.accepts for call in served.trace().calls] == ["identity, deflate, gzip"] * 2


def test_by_path_an_unknown_call_still_gets_the_fallback() -> None:
    with (
        serve(CASES / "http-502-empty.pcap", healthy=CASES / "healthy-unary.pcap") as served,
        grpc.insecure_channel(served.target) as channel,
    ):
        with pytest.raises(grpc.RpcError) as told:
            channel.unary_unary(PATH)(b"", timeout=5)
        assert told.value.code() is grpc.StatusCode.UNIMPLEMENTED
