"""Raw byte streams, in every command that reads captures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from forms_data import DATA, read

from wirecase.errors import InputError, UsageError
from wirecase.sources.byte_pair import BytePair, pairs
from wirecase_cli.main import main

CLIENT, SERVER = str(DATA / "raw-client.bin"), str(DATA / "raw-server.bin")


def test_diagnosis() -> None:
    found = read(BytePair(CLIENT, SERVER))
    first = found.diagnosis.findings[0]
    assert first.rule == "grpc-invalid-compression-flag"
    assert first.details["flag"] == ord("<")
    assert first.time is None
    assert found.diagnosis.verdict.blast.first is None
    assert found.calls == [("ServerStream", None)]
    assert found.diagnosis.sources[0].format == "raw bytes"
    assert found.diagnosis.sources[0].first is None


def test_one_side_is_missing(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    found = read(BytePair(CLIENT, str(empty)))
    assert found.diagnosis.calls.total == 1
    assert not any(one.severity == "error" for one in found.diagnosis.findings)
    with pytest.raises(InputError, match="both files are empty"):
        read(BytePair(str(empty), str(empty)))


def test_the_middle_of_a_connection(tmp_path: Path) -> None:
    later = tmp_path / "later"
    later.write_bytes((DATA / "raw-client.bin").read_bytes()[24:])
    found = read(BytePair(str(later), SERVER))
    assert found.diagnosis.findings[0].rule == "grpc-invalid-compression-flag"


def test_usage() -> None:
    with pytest.raises(UsageError, match="pairs"):
        pairs([CLIENT])
    with pytest.raises(UsageError, match="standard input"):
        pairs([CLIENT, "-"])
    with pytest.raises(InputError, match="name the client's file first"):
        read(BytePair(SERVER, CLIENT))
    with pytest.raises(InputError, match="cannot be opened"):
        read(BytePair(CLIENT, "/nowhere/at/all"))


def test_commands(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["diagnose", "--raw", CLIENT, SERVER, "--format", "json"]) == 1
    report = json.loads(capsys.readouterr().out)
    evidence = report["findings"][0]["evidence"][0]
    assert (evidence["packet"], evidence["record"], report["findings"][0]["time"]) == (None, None, None)
    assert evidence["direction"] == "server"
    assert main(["calls", "--raw", CLIENT, SERVER]) == 0
    assert "ServerStream" in capsys.readouterr().out
    assert main(["show", "--raw", CLIENT, SERVER, "--call", "0"]) == 0
    assert "HEADERS" in capsys.readouterr().out
    case = tmp_path / "case.pcapng"
    assert main(["extract", "--raw", CLIENT, SERVER, "-o", str(case)]) == 0
    assert main(["verify", str(case)]) == 0
    assert main(["diagnose", "--raw", CLIENT]) == 2


@pytest.mark.parametrize(
    "name",
    ["binlog-go-client.bin", "envoy-socket-buffered-down.json", "mitmproxy-grpc.flows", "exported-pdu-tls.pcapng"],
)
def test_commands_on_other_forms(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = str(DATA / name)
    assert main(["diagnose", path, "--format", "json", "--fail-on", "never"]) == 0
    report = json.loads(capsys.readouterr().out)
    numbers = [(one["packet"], one["record"]) for f in report["findings"] for one in f["evidence"]]
    assert all(packet is None and record for packet, record in numbers)
    assert main(["calls", path, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["calls"]
    assert main(["show", path, "--call", "0"]) == 0
    case = tmp_path / "case.pcapng"
    assert main(["extract", path, "--call", "2", "-o", str(case)]) == 0
    assert main(["diagnose", str(case), "--fail-on", "never", "--format", "json"]) == 0
    capsys.readouterr()
