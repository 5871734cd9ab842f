"""``wirecase record`` from the command line, with a real client and server."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import pytest

import grpc
from wirecase.pipeline import Options, diagnose

PATIENCE = 30.0


@pytest.fixture
def target() -> Iterator[int]:
    """Yield the port of a gRPC server."""

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: Any) -> Any:
            if details.method.endswith("/Echo"):
                return grpc.unary_unary_rpc_method_handler(lambda request, _: request)
            return grpc.unary_unary_rpc_method_handler(lambda _, context: time.sleep(60))

    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(0)


class Recorder:
    """The command as a process."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "wirecase_cli", "record", "--listen", "0", *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stderr is not None
        self.said = []
        while not self.said or "listening on" not in self.said[-1]:
            line = self.process.stderr.readline()
            assert line, "".join(self.said)
            self.said.append(line)
        found = re.search(r"listening on 127\.0\.0\.1:(\d+)", self.said[-1])
        assert found
        self.port = int(found[1])

    def end(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, "".join(self.said) + err

    def kill(self) -> None:
        """Kill all of its processes at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate(timeout=PATIENCE)


@pytest.fixture
def record() -> Iterator[Callable[..., Recorder]]:
    begun: list[Recorder] = []

    def begin(*options: str) -> Recorder:
        begun.append(Recorder(*options))
        return begun[-1]

    yield begin
    for one in begun:
        if one.process.poll() is None:
            one.kill()


def _calls(port: int, count: int) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for number in range(count):
            body = b"x" * number
            assert channel.unary_unary("/t.Service/Echo")(body, timeout=PATIENCE) == body


def _hang(port: int) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError):
        channel.unary_unary("/t.Service/Hang")(b"", timeout=1.0)


def test_what_passed_is_recorded_and_diagnosed(target: int, record: Callable[..., Recorder], tmp_path: Path) -> None:
    path = tmp_path / "all.pcapng"
    it = record("--to", f"127.0.0.1:{target}", "-o", str(path), "--fail-on", "warning")
    _calls(it.port, 50)
    _hang(it.port)
    status, out, err = it.end()
    assert status == 1, err
    assert "grpc-deadline" in out
    assert "51 calls" in err
    assert "Traceback" not in err
    found = diagnose(Options([str(path)]))
    assert (found.calls.total, found.calls.ok) == (51, 50)
    assert not found.damaged
    assert not found.accounting.unbalanced
    assert found.accounting.captured == found.accounting.decoded
    assert {one.rule for one in found.findings} >= {"grpc-deadline"}
    assert path.stat().st_mode & 0o077 == 0, "others may not read what passed"


def test_a_flight_recorder_writes_cases_and_numbers(
    target: int, record: Callable[..., Recorder], tmp_path: Path
) -> None:
    pytest.importorskip("prometheus_client", reason="wirecase[live] is not installed")
    folder = tmp_path / "cases"
    it = record("--to", f"127.0.0.1:{target}", "--cases", str(folder), "--on", "warning", "--metrics", "0", "-q")
    _calls(it.port, 20)
    _hang(it.port)
    url = re.search(r"http://\S+", it.said[0])
    assert url
    end = time.monotonic() + PATIENCE
    text = ""
    while "wirecase_cases_total 1.0" not in text and time.monotonic() < end:
        time.sleep(0.2)
        with urllib.request.urlopen(url[0], timeout=10) as answer:
            text = answer.read().decode()
    assert 'wirecase_calls_total{outcome="ok"} 20.0' in text
    assert 'rule="grpc-deadline"' in text
    status, _, err = it.end()
    assert status == 0, err
    (line,) = (folder / "cases.jsonl").read_text().splitlines()
    told = json.loads(line)
    found = diagnose(Options([told["case"]]))
    assert "grpc-deadline" in {one.rule for one in found.findings}
    assert found.calls.total == 1


def test_killed_it_leaves_what_was_written(target: int, record: Callable[..., Recorder], tmp_path: Path) -> None:
    path = tmp_path / "all.pcapng"
    it = record("--to", f"127.0.0.1:{target}", "-o", str(path), "-q")
    _calls(it.port, 50)
    time.sleep(1)
    it.kill()
    found = diagnose(Options([str(path)]))
    assert found.calls.ok == 50
    assert any("cut off" in one.reason for one in found.damaged)


def test_the_other_processes_end_with_the_first(target: int, record: Callable[..., Recorder], tmp_path: Path) -> None:
    import psutil

    it = record("--to", f"127.0.0.1:{target}", "-o", str(tmp_path / "all.pcapng"), "-q")
    children = psutil.Process(it.process.pid).children(recursive=True)
    assert len(children) >= 2
    it.process.kill()
    it.process.communicate(timeout=PATIENCE)
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--listen", "0", "--to", "127.0.0.1:1"], 2, "nothing would be kept"),
        (["--listen", "x", "--to", "127.0.0.1:1", "-o", "{tmp}/x"], 2, "--listen x is no address"),
        (["--listen", "0", "--to", "nowhere", "-o", "{tmp}/x"], 2, "--to nowhere is no address"),
        (["--listen", "0", "--to", "no.such.invalid:1", "-o", "{tmp}/x"], 3, "no.such.invalid cannot be resolved"),
        (["--listen", "{busy}", "--to", "127.0.0.1:1", "-o", "{tmp}/x"], 3, "cannot listen on 127.0.0.1"),
        (["--listen", "0", "--to", "127.0.0.1:1", "-o", "{tmp}/no/x"], 2, "does not exist"),
        (["--listen", "0", "--to", "127.0.0.1:1", "-o", "{tmp}/x", "--ca-out", "x"], 2, "go with --tls terminate"),
        (["--listen", "0", "--to", "127.0.0.1:1", "-o", "{tmp}/x", "--hook", "true"], 2, "go with --cases"),
        (["--listen", "0", "--to", "127.0.0.1:1", "--cases", "{tmp}", "--keep", "x"], 2, "--keep x is no duration"),
        (["--listen", "0", "--to", "127.0.0.1:1", "--cases", "{tmp}", "--keep-bytes", "x"], 2, "is no size"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    options: list[str], status: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from wirecase_cli.main import main

    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = str(busy.getsockname()[1])
        args = [one.replace("{tmp}", str(tmp_path)).replace("{busy}", port) for one in options]
        assert main(["record", *args]) == status
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert words in said[0]
