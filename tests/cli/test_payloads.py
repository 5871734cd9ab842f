"""Messages in ``wirecase show``: with a schema, without one, Arrow Flight, and what is masked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from captures import http2, pcap
from h2_bytes import END_STREAM, REQUEST, RESPONSE, TRAILERS, Script, data, message

from wirecase.model import CLIENT, SERVER
from wirecase_cli.main import main

FIXTURES = Path(__file__).parents[2] / "fixtures"
CASE = FIXTURES / "grpc-payload-undecodable"
TOKEN = b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJlc2lnbmF0dXJl"
PROTO = """
syntax = "proto3";
package demo;
message Login { string user = 1; string password = 2; string note = 3; int32 pin = 4; Login inner = 5; }
service Echo { rpc Unary(Login) returns (Login); }
"""


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["show", *arguments]) == 0
    return capsys.readouterr().out


def payloads(text: str) -> list[dict[str, Any]]:
    return [one for event in json.loads(text)["timelines"][0]["events"] for one in event.get("payloads", ())]


def field(number: int, value: bytes) -> bytes:
    return bytes((number << 3 | 2, len(value))) + value


@pytest.fixture
def login(tmp_path: Path) -> list[str]:
    body = field(1, b"me\x1b[31m") + field(2, b"hunter22") + field(3, b"see " + TOKEN) + b"\x20\x85\x11"
    script = Script()
    script.send(CLIENT, *(script.peers[CLIENT].headers(1, REQUEST), data(1, message(body), END_STREAM)))
    script.send(SERVER, script.peers[SERVER].headers(1, RESPONSE), data(1, message(body)))
    script.send(SERVER, script.peers[SERVER].headers(1, TRAILERS, END_STREAM))
    path = tmp_path / "capture.pcap"
    path.write_bytes(pcap(http2(script).packets))
    (tmp_path / "login.proto").write_text(PROTO)
    return [str(path), str(tmp_path / "login.proto")]


def test_names_from_a_proto_file_and_secrets_by_name_and_shape(
    capsys: pytest.CaptureFixture[str], login: list[str]
) -> None:
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed")
    out = shown(capsys, "--proto", login[1], login[0])
    assert "demo.Login" in out
    assert 'user: "me\\x1b[31m"' in out
    assert "hunter22" not in out
    assert TOKEN.decode() not in out
    assert "2181" not in out
    assert "password: " in out
    text = shown(capsys, "--proto", login[1], "--format", "json", login[0])
    assert "hunter22" not in text
    assert TOKEN.decode() not in text
    assert [one["name"] for one in payloads(text)[0]["fields"]] == ["user", "password", "note", "pin"]
    assert "hunter22" in shown(capsys, "--proto", login[1], "--secrets", login[0])


def test_without_a_schema_shapes_are_masked(capsys: pytest.CaptureFixture[str], login: list[str]) -> None:
    out = shown(capsys, login[0])
    assert "without a schema" in out
    assert TOKEN.decode() not in out
    assert "4: 2181" in out


def test_a_message_that_does_not_decode(capsys: pytest.CaptureFixture[str]) -> None:
    capture, schema = str(CASE / "capture.pcapng"), str(CASE / "schema.binpb")
    out = shown(capsys, "--protoset", schema, capture)
    assert "demo.v1.EchoRequest" in out
    assert "does not decode" in out
    answers = payloads(shown(capsys, "--protoset", schema, "--format", "json", capture))
    assert answers[0]["fields"][1] == {"number": 3, "name": "count", "type": "int32", "value": 10}
    assert answers[1]["problem"]


def test_flight_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    capture = str(FIXTURES / "incident/capture.pcapng")
    text = shown(capsys, "--where", "path~DoGet", "--limit", "1", "--format", "json", capture)
    found = payloads(text)
    assert found[0]["type"] == "arrow.flight.protocol.Ticket"
    kinds = {
        one["arrow"]["kind"] for message_ in found for one in message_["fields"] if "arrow" in one
    }  # fmt: skip
    assert "Schema" in kinds
    shake = shown(capsys, "--call", "0", capture)
    assert "HandshakeRequest" in shake
    assert "session-0001" not in shake
    assert "payload: (masked" in shake


@pytest.mark.parametrize("arguments", [["--proto", "nope.proto"], ["--protoset", "nope"], ["-I", "x"],
                                       ["--reflect", "nowhere"]])  # fmt: skip
def test_a_schema_that_cannot_be_had(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(["show", *arguments, str(CASE / "capture.pcapng")]) in (2, 3)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
