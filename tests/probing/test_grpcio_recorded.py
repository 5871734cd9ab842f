"""What passes between grpcio and a server is recorded, so that a fault that only grpcio meets comes with its case."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from live_servers import H2Server, grpc_answer, page, serving

from wirecase.model import Finding
from wirecase.pipeline import Options, diagnose
from wirecase.probing import Probe, Request, probe
from wirecase.replay.caller.address import Tls, look_up
from wirecase.replay.tls import Tls as ServerTls
from wirecase.session.call import Call
from wirecase_cli.main import main

pytest.importorskip("grpc")
GRPCIO = b"grpc-c/"


class Partial(H2Server):
    """Answers well, except where a client's user-agent names grpcio."""

    def __init__(self, other: Any) -> None:
        super().__init__(grpc_answer)
        self._other = other

    def _on(self, conn: Any, event: Any) -> None:
        if GRPCIO.decode() in dict(getattr(event, "headers", None) or ()).get("user-agent", ""):
            self._answer = self._other
        super()._on(conn, event)
        self._answer = grpc_answer


def look(port: int, folder: Path, **options: Any) -> tuple[Probe, list[tuple[bytes, str]]]:
    """Probe, and return the calls in the recording: user agent and path."""
    found, recorder = probe(Request(look_up(f"127.0.0.1:{port}"), timeout=3.0, **options))
    shutil.copy(recorder.path, folder / "all.pcapng")
    recorder.discard()
    calls: list[tuple[bytes, str]] = []

    def heard(call: Call, _findings: list[Finding]) -> None:
        block = call.request_block
        calls.append(((block.get(b"user-agent") if block is not None else None) or b"", call.path or ""))

    diagnose(Options([str(folder / "all.pcapng")], ports=[port]), on_call=heard)
    return found, calls


def paths(calls: list[tuple[bytes, str]]) -> list[str]:
    return [path for agent, path in calls if GRPCIO in agent]


def test_both_are_in_the_recording(tmp_path: Path) -> None:
    with serving(H2Server(grpc_answer)) as port:
        found, calls = look(port, tmp_path, method="/demo.Echo/Unary")
    assert {one.id: one.state for one in found.checks}["grpcio-call"] == "ok"
    assert paths(calls) == ["/grpc.health.v1.Health/Check", "/demo.Echo/Unary"]
    assert [path for agent, path in calls if GRPCIO not in agent].count("/demo.Echo/Unary") == 1
    assert found.diagnosis is not None
    assert not found.diagnosis.accounting.unbalanced
    assert found.diagnosis.accounting.captured == found.diagnosis.accounting.decoded
    assert not found.counted


@pytest.mark.parametrize("insecure", [False, True])
def test_under_tls_both_can_be_read(tmp_path: Path, insecure: bool) -> None:
    made = ServerTls()
    tls = Tls(insecure=True) if insecure else Tls(ca=made.ca)
    with contextlib.closing(made), serving(H2Server(grpc_answer), made.context) as port:
        found, calls = look(port, tmp_path, method="/demo.Echo/Unary", tls=tls)
    assert {one.id: one.state for one in found.checks}["grpcio-call"] == "ok"
    assert paths(calls) == ["/grpc.health.v1.Health/Check", "/demo.Echo/Unary"]
    assert found.diagnosis is not None
    assert not found.diagnosis.verdict.not_inspected


def test_a_handshake_that_fails_with_grpcio_alone_is_recorded(tmp_path: Path) -> None:
    """Without ALPN our own client goes on, and grpcio does not: what it said is in the recording."""
    made = ServerTls(alpn="none")
    with contextlib.closing(made), serving(H2Server(grpc_answer), made.context) as port:
        found, calls = look(port, tmp_path, tls=Tls(ca=made.ca))
    told = {one.id: one for one in found.checks}
    assert told["grpcio"].state == "bad"
    assert f"127.0.0.1:{port}" in told["grpcio"].text or "ALPN" in told["grpcio"].text
    assert not paths(calls)
    assert found.diagnosis is not None
    assert any("TLS" in text for text in found.diagnosis.verdict.not_inspected)


def test_a_fault_of_grpcio_s_call_alone_has_its_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = tmp_path / "case.pcapng"
    with serving(Partial(page(502))) as port:
        status = main(["probe", f"127.0.0.1:{port}", "--method", "/demo.Echo/Unary", "--timeout", "3", "-o", str(case)])
    text, said = capsys.readouterr()
    assert status == 1, said
    assert "is the case of" in text
    found = diagnose(Options([str(case)]))
    assert "http-error-with-body" in {one.rule for one in found.findings}
    assert main(["verify", str(case)]) == 0


def test_nothing_is_left_open(tmp_path: Path) -> None:
    me = psutil.Process()
    with serving(H2Server(grpc_answer)) as port:
        look(port, tmp_path)  # what grpcio opens once stays
        before, threads = me.num_fds(), me.num_threads()
        for _ in range(3):
            look(port, tmp_path)
        until = time.monotonic() + 5
        while (me.num_fds() > before or me.num_threads() > threads) and time.monotonic() < until:
            time.sleep(0.05)
        assert me.num_fds() <= before
        assert me.num_threads() <= threads
