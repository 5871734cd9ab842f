"""``wirecase replay CASE --to HOST:PORT`` from the outside."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

sys.path.append(str(Path(__file__).parents[1] / "replay" / "caller"))
from servers import Conversation, Echo, fixture, free_port, grpc_server, raw_server

from wirecase.replay.caller import Target
from wirecase_cli.commands import replay_to
from wirecase_cli.main import main

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "cli/wirecase_cli/reports/replay_to_v1.schema.json").read_text(encoding="utf-8"))
FLAG = fixture("grpc-invalid-compression-flag")
QUICK = ("--speed", "max", "--timeout", "3")


@pytest.mark.parametrize("through", ["raw", "grpcio"])
def test_a_patched_server_is_told_to_be_fine(through, capsys):
    with grpc_server(Echo()) as target:
        assert main(["replay", FLAG, "--to", target, "--through", through, *QUICK]) == 0
    told = capsys.readouterr()
    assert "The fault is gone. 1 call: 1 fixed." in told.out and told.err == ""
    assert "then" in told.out and "now" in told.out


def test_a_broken_one_is_told_to_be_broken(capsys):
    def handle(one: Conversation) -> None:
        one.request()
        one.connection.close()

    with raw_server(handle) as (target, _):
        assert main(["replay", FLAG, "--to", target, *QUICK]) == 1
    assert "broken-differently" in capsys.readouterr().out


def test_json_keeps_to_its_schema(tmp_path, capsys):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    file = tmp_path / "report.json"
    with grpc_server(Echo()) as target:
        for name in ("grpc-invalid-compression-flag", "goaway-race", "h2-bad-preface"):
            for through in ("raw", "grpcio"):
                arguments = [
                    "--to",
                    target,
                    "--through",
                    through,
                    "--format",
                    "json",
                    "-o",
                    str(file),
                    "--force",
                    *QUICK,
                ]
                assert main(["replay", fixture(name), *arguments]) in (0, 1, 4)
                document = json.loads(file.read_text())
                jsonschema.validate(document, SCHEMA)
                assert set(document) == set(SCHEMA["properties"])
                for one in document["calls"]:
                    assert set(one["before"]) == set(SCHEMA["$defs"]["answer"]["properties"])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--to", "nowhere"], 2, "write HOST:PORT"),
        (["--to", "127.0.0.1:0"], 2, "write HOST:PORT"),
        (["--to", "::1:50051"], 2, "write HOST:PORT"),
        (["--to", "no.such.host.invalid:1"], 3, "the host is not known"),
        (["--to", "192.0.2.1:50051"], 2, "add --yes"),
        (["--to", "127.0.0.1:1", "--ca", "x.pem"], 2, "need --tls"),
        (["--to", "127.0.0.1:1", "--tls", "--ca", "missing.pem"], 3, "missing.pem"),
        (["--to", "127.0.0.1:1", "--tls", "--ca", "a", "--insecure"], 2, "exclude each other"),
        (["--to", "127.0.0.1:1", "--format", "junit"], 2, "--format junit"),
        (["--to", "127.0.0.1:1", "--loop", "3"], 2, "--loop is for"),
        (["--to", "127.0.0.1:1", "--speed", "0"], 2, "--speed"),
        (["--to", "127.0.0.1:1", "--metadata", "authorization"], 2, "NAME=VALUE"),
        (["--to", "127.0.0.1:1", "--metadata", "a=b\x1b[31m"], 2, "no header may hold"),
        (["--to", "127.0.0.1:1", "--metadata", "a=@missing"], 3, "missing"),
        (["--to", "127.0.0.1:1", "--finding", "F1", "--call", "0"], 2, "exclude each other"),
        (["--to", "127.0.0.1:1", "--finding", "F9"], 2, "no finding F9"),
        (["--to", "127.0.0.1:1", "--", "./client"], 2, "a client is for"),
        (["--through", "grpcio"], 2, "--through needs --to"),
        (["--yes"], 2, "--yes needs --to"),
        (["--to", "CLOSED"], 3, "cannot be reached: the connection was refused"),
        (["--to", "CLOSED", "--through", "grpcio"], 3, "cannot be reached: the connection was refused"),
    ],
)
def test_errors_are_one_line(arguments, status, says, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    closed = f"127.0.0.1:{free_port()}"
    assert main(["replay", FLAG, *(closed if one == "CLOSED" else one for one in arguments)]) == status
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and says in told.err


def test_what_holds_no_request_is_refused(capsys):
    assert main(["replay", fixture("obs-encrypted"), "--to", "127.0.0.1:1"]) == 3
    assert main(["replay", fixture("obs-one-direction"), "--to", "127.0.0.1:1"]) == 3
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 2 and "defect" not in told.err


class Terminal:
    """Standard input or error that a person sits at."""

    def __init__(self, answer: str = "") -> None:
        self.answer = answer
        self.shown = ""

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self.answer

    def write(self, text: str) -> None:
        self.shown += text

    def flush(self) -> None:
        pass


@pytest.mark.parametrize(
    ("answer", "goes"), [("y\n", True), ("yes\n", True), ("\n", False), ("n\n", False), ("", False)]
)
def test_another_machine_is_asked_about(answer, goes, monkeypatch):
    far = Target("far.example\x1b[31m", 50051, "192.0.2.1", socket.AF_INET)
    screen = Terminal()
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    monkeypatch.setattr("sys.stderr", screen)
    if goes:
        replay_to.confirm(far, yes=False)
    else:
        with pytest.raises(replay_to.UsageError, match="nothing was sent"):
            replay_to.confirm(far, yes=False)
    assert "192.0.2.1:50051" in screen.shown and "\x1b" not in screen.shown


@pytest.mark.parametrize("ip", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_not(ip):
    replay_to.confirm(Target("localhost", 1, ip, 0), yes=False)


def test_grpcio_that_is_missing_is_one_line(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc", None)
    monkeypatch.setitem(sys.modules, "grpc.aio", None)
    assert main(["replay", FLAG, "--to", "127.0.0.1:1", "--through", "grpcio"]) == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1 and 'pip install "wirecase[grpc]"' in told.err


def test_nothing_of_an_answer_reaches_the_terminal_as_it_is(capsys, nasty):
    import grpc

    class Hostile(Echo):
        def service(self, details):
            def handle(requests, context):
                context.abort(grpc.StatusCode.INTERNAL, nasty.encode("utf-8", "replace").decode())

            return grpc.stream_stream_rpc_method_handler(handle)

    with grpc_server(Hostile()) as target:
        for through in ("raw", "grpcio"):
            for form in ("terminal", "json"):
                main(["replay", FLAG, "--to", target, "--through", through, "--format", form, *QUICK])
    told = capsys.readouterr().out
    assert "INTERNAL" in told
    assert not [char for char in told if char != "\n" and (ord(char) < 32 or 0x7F <= ord(char) < 0xA0)]
    assert not set(told) & set("\u202e\u2066\u200b")


def test_ctrl_c_tells_what_is_known(tmp_path):
    def handle(one: Conversation) -> None:
        one.request()
        one.rest()

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with raw_server(handle) as (target, received):
        run = subprocess.Popen(
            [sys.executable, "-m", "wirecase_cli", "replay", FLAG, "--to", target, "--timeout", "60"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True,
        )  # fmt: skip
        for _ in range(200):
            if received and len(received[0]) > 100:
                break
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=30)
    assert run.returncode == 130
    assert "(interrupted)" in out and "Traceback" not in err
