"""``wirecase show``: the diagram, what it masks, what it lets through, and how it is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from captures import Conversation, http2, pcap
from h2_bytes import (
    END_STREAM,
    HEADERS,
    REQUEST,
    RESPONSE,
    TRAILERS,
    Script,
    data,
    frame,
    goaway,
    message,
    window_update,
)
from rich.cells import cell_len

from wirecase.model import SERVER
from wirecase_cli.main import main

ROOT = Path(__file__).parents[2]
INCIDENT = str(ROOT / "fixtures/incident/capture.pcapng")
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJlc2lnbmF0dXJl"


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["show", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def error(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["show", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def check_screen(out: str) -> None:
    assert max(cell_len(line) for line in out.splitlines()) <= 80
    for char in out:
        assert char == "\n" or char.isprintable(), hex(ord(char))


def write(tmp_path: Path, talk: Conversation) -> str:
    path = tmp_path / "capture.pcap"
    path.write_bytes(pcap(talk.packets))
    return str(path)


def secret_call() -> Script:
    """A call with credentials in headers, trailers and a GOAWAY."""
    script = Script().hello()
    asked = (
        *REQUEST,
        ("authorization", "Bearer s3cr3t-value"),
        ("cookie", "id=chocolate"),
        ("x-note", f"see {TOKEN} here"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    )
    script.request(1, message(b"ask"), asked)
    peer = script.peers[SERVER]
    script.server(
        peer.headers(1, (*RESPONSE, ("x-api-key", "k3y-in-plain"))), data(1, message(f"take {TOKEN}".encode()))
    )
    script.server(goaway(1, 0, b"token=hidden-in-debug"))
    script.server(peer.headers(1, (*TRAILERS, ("set-cookie", "session=biscuit")), END_STREAM))
    return script


SECRETS = ("s3cr3t-value", "chocolate", TOKEN, "k3y-in-plain", "hidden-in-debug", "biscuit")


def test_a_diagram_for_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, INCIDENT, "--where", "finding=rst-midbody", "--limit", "1")
    check_screen(out)
    lines = out.splitlines()
    assert lines[0].startswith("call ")
    assert any("├─ HEADERS END_HEADERS" in line and line.endswith("▶│") for line in lines)
    assert any("│◀" in line and line.endswith("RST_STREAM, 4 B ─┤") for line in lines)
    assert any("INTERNAL_ERROR (2)" in line for line in lines)
    assert any("✗ F" in line and "RST_STREAM" in line and line.startswith(" ") for line in lines)
    assert any("message 4: 319 B" in line for line in lines)
    drawn = [line for line in lines if "│" in line]
    assert {cell_len(line) for line in drawn} == {80}


def test_credentials_are_masked_unless_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capture = write(tmp_path, http2(secret_call()))
    for arguments in ([], ["--hex"], ["--format", "json"], ["--format", "json", "--hex"]):
        out = printed(capsys, capture, "--call", "0", *arguments)
        flat = "".join(out.replace("│", "").split())
        for secret in SECRETS:
            assert secret not in flat
            assert secret.encode().hex() not in flat
        assert "4bf92f3577b34da6a3ce929d0e0e4736" in flat, "ids are to be seen"
        assert "masked" in out
    shown = printed(capsys, capture, "--call", "0", "--secrets", "--format", "json")
    for secret in SECRETS:
        assert secret in shown


def test_headers_in_hex_show_no_credentials_that_were_not_decoded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script().hello().request(1, message(b"ask"))
    broken = b"\x00\x0dauthorization\x07s3cr3t!" + b"\xff\xff\xff\xff\xff\xff\xff\xff"
    script.server(frame(HEADERS, 4, 1, broken))
    capture = write(tmp_path, http2(script))
    assert b"s3cr3t!".hex(" ") not in printed(capsys, capture, "--call", "0", "--hex")
    shown = printed(capsys, capture, "--call", "0", "--hex", "--secrets", "--format", "json")
    assert b"s3cr3t!".hex() in shown


def test_nothing_of_a_capture_gets_through(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b]0;owned\x07\x9b2J" + "\u202egnp.exe" + "漢" * 60
    fields = tuple((name.encode(), value.encode()) for name, value in REQUEST)
    script = Script().hello().request(1, message(b"ask"), (*fields, (b"x-evil", evil.encode())))  # type: ignore[arg-type]
    peer = script.peers[SERVER]
    script.server(peer.headers(1, ((":status", "502"), ("content-type", "text/html"))))
    script.server(data(1, f"<b>{evil}</b>".encode()), goaway(0, 2, evil.encode()))
    capture = write(tmp_path, http2(script))
    for arguments in ([], ["--hex"], ["--connection", "0"]):
        check_screen(printed(capsys, capture, *arguments))
    for line in printed(capsys, capture, "--format", "json", "--hex").splitlines():
        assert line.isascii()
        assert line.isprintable()


def test_long_runs_are_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = Script().hello().request(1, message(b"ask"))
    peer = script.peers[SERVER]
    script.server(peer.headers(1, RESPONSE))
    for _ in range(500):
        script.server(data(1, message(b"12345"))).client(window_update(1, 10), window_update(0, 10))
    script.server(peer.headers(1, TRAILERS, END_STREAM))
    capture = write(tmp_path, http2(script))
    short = printed(capsys, capture)
    check_screen(short)
    assert len(short.splitlines()) < 150
    assert "--all" in short
    document = json.loads(printed(capsys, capture, "--format", "json"))
    (fold,) = [event for event in document["timelines"][0]["events"] if event["kind"] == "fold"]
    shown = len(document["timelines"][0]["events"]) - 1
    assert sum(one["count"] for one in fold["frames"]) + shown == 1_500 + 4
    whole = json.loads(printed(capsys, capture, "--format", "json", "--all"))
    assert len(whole["timelines"][0]["events"]) == 1_504


def test_json_tells_everything(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(printed(capsys, INCIDENT, "--where", "flag=60", "--limit", "2", "--format", "json", "--hex"))
    assert document["schema"] == "wirecase/timeline/1"
    assert len(document["timelines"]) == 2
    one: dict[str, Any] = document["timelines"][0]
    assert one["call"]["flag"] == 60
    assert {finding["rule"] for finding in one["findings"]} >= {"grpc-invalid-compression-flag"}
    body = next(event for event in one["events"] if event["name"] == "DATA" and event["sender"] == "server")
    assert body["messages"]["foreign"] is True
    assert bytes.fromhex(body["payload_hex"]).startswith(b"<html>")
    assert body["findings"]
    assert body["windows"]["server"]["stream"] > 0
    assert [event["since_first_ns"] for event in one["events"]] == sorted(e["since_first_ns"] for e in one["events"])
    assert sum(event["delta_ns"] for event in one["events"]) == one["events"][-1]["since_first_ns"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "there are 121 calls: choose with --call, --where or"),
        (["--call", "121"], "there is no call 121"),
        (["--where", "call=5 and call=6"], "none of 121 calls fits"),
        (["--call", "1", "--where", "call=1"], "exclude each other"),
        (["--connection", "99"], "there is no connection 99"),
        (["--where", "cal=1"], "did you mean call?"),
        (["--call", "first"], "'first' is not a whole number"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert says in error(capsys, INCIDENT, *arguments)


def test_a_number_in_the_place_of_a_file_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", INCIDENT, "99"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == "wirecase: 99: cannot be opened: No such file or directory"
    assert "there are 121 calls: choose with --call" in second


def test_a_capture_without_calls(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no gRPC call was found" in error(capsys, str(ROOT / "fixtures/tcp-refused/capture.pcapng"))
    out = printed(capsys, str(ROOT / "fixtures/tcp-refused/capture.pcapng"), "--connection", "0")
    assert "TCP SYN" in out
    assert "TCP RST" in out


def test_standard_input_is_read_twice() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "cli"), str(ROOT / "decoders")])}
    command = [sys.executable, "-m", "wirecase_cli", "show", "-", "--call", "3", "--format", "json"]
    with open(INCIDENT, "rb") as capture:
        done = subprocess.run(command, stdin=capture, capture_output=True, env=environment, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    document = json.loads(done.stdout)
    assert document["sources"][0]["path"] == "-"
    assert document["timelines"][0]["call"]["call"] == 3


@pytest.mark.parametrize(
    "case",
    [
        "incident",
        "goaway-race",
        "obs-gap",
        "h2-flood",
        "grpc-desync-midstream",
        "obs-midconnection",
        "h2-peer-speaks-http1-midway",
    ],
)
def test_json_keeps_to_its_schema(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads((ROOT / "cli/wirecase_cli/reports/timeline_v1.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    capture = next(
        path for path in sorted((ROOT / "fixtures" / case).iterdir()) if path.name.startswith("capture.pcap")
    )
    for arguments in (["--connection", "0"], ["--where", "call>=0", "--hex"]):
        jsonschema.validate(json.loads(printed(capsys, str(capture), "--format", "json", *arguments)), schema)
