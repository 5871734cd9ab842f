"""``wirecase calls``: tables that fit, formats that parse, statuses and errors in one line."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from captures import http2, pcap
from h2_bytes import REQUEST, Script, data, message
from rich.cells import cell_len

from wirecase import listing
from wirecase.model import SERVER
from wirecase.pipeline import Options
from wirecase_cli.main import main
from wirecase_cli.reports import call_table
from wirecase_cli.reports.screen import Screen

ROOT = Path(__file__).parents[2]
INCIDENT = str(ROOT / "fixtures/incident/capture.pcapng")
NASTY = "/x\x1b]52;c;aGk=\x07\x9b31m\u202e=[red]@cmd"


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert main(["calls", *arguments]) == status
    out, err = capsys.readouterr()
    assert err == ""
    return out


def error(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 2) -> str:
    assert main(["calls", *arguments]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


@pytest.fixture
def nasty(tmp_path: Path) -> str:
    """A path full of what no screen and no spreadsheet should get, and a formula for a path."""
    script = Script().hello()
    for stream, path in ((1, NASTY), (3, "=1+1"), (5, "/wide/" + "漢字" * 30)):
        fields = tuple((name, path.encode().decode("latin-1") if name == ":path" else value) for name, value in REQUEST)
        script.request(stream, message(b"a"), tuple((n, v.encode("latin-1")) for n, v in fields))  # type: ignore[misc]
        script.response(stream, message(b"b"))
    path = tmp_path / "nasty.pcap"
    path.write_bytes(pcap(http2(script).packets))
    return str(path)


def test_a_table_for_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, INCIDENT)
    lines = out.splitlines()
    assert lines[0].split() == ["call", "started", "duration", "msgs", "bytes", "status", "path"]
    assert max(cell_len(line) for line in lines) <= 80
    assert "\x1b" not in out
    assert sum(line[:6].strip().isdigit() for line in lines) == 121
    assert any("server: RST_STREAM INTERNAL_ERROR; F" in line and "rst-midbody" in line for line in lines)


def test_filter_sort_and_limit(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(printed(capsys, INCIDENT, "--where", "method=DoGet", "--sort", "-duration", "--limit", "3",
                              "--format", "json"))  # fmt: skip
    assert rows["schema"] == "wirecase/calls/1"
    assert rows["seen"] == 121
    assert rows["sources"][0]["packets"] == 1329
    took = [row["duration_ns"] for row in rows["calls"]]
    assert len(took) == 3
    assert took == sorted(took, reverse=True)
    assert all(row["path"].endswith("/DoGet") for row in rows["calls"])
    out = printed(capsys, INCIDENT, "--where", "method=DoGet", "--limit", "3")
    assert out.endswith("3 of 121 calls\n")


def test_nothing_found_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, INCIDENT, "--where", "call=9999") == "none of 121 calls fits the filter\n"
    no_calls = str(ROOT / "fixtures/tcp-refused/capture.pcapng")
    assert printed(capsys, no_calls) == "no gRPC call was found\n"
    assert json.loads(printed(capsys, no_calls, "--format", "json"))["calls"] == []


def test_csv_has_a_row_for_each_call(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(printed(capsys, INCIDENT, "--format", "csv"))))
    assert [int(row["call"]) for row in rows] == list(range(121))
    assert all("rst-midbody" in row["rules"].split() for row in rows if row["how"] == "rst")
    assert rows[0]["status_name"] == "OK"


@pytest.mark.parametrize("shape", ["terminal", "json", "csv"])
def test_nothing_of_a_capture_gets_through(nasty: str, shape: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, nasty, "--format", shape)
    for char in out:
        assert char in "\r\n" or char.isprintable(), hex(ord(char))
    if shape == "terminal":
        assert max(cell_len(line) for line in out.splitlines()) <= 80
    if shape == "csv":
        assert not any(cell.startswith(("=", "+", "-", "@")) for row in csv.reader(io.StringIO(out)) for cell in row)
    if shape == "json":
        assert json.loads(out)["calls"][1]["path"] == "=1+1"


@pytest.mark.parametrize("width", [40, 60, 120])
def test_lines_fit_any_screen_and_keep_their_text_in_colour(nasty: str, width: int) -> None:
    calls = listing.list_calls(Options([nasty]))
    plain = "".join(call_table.terminal(calls, Screen(width=width)))
    colored = "".join(call_table.terminal(calls, Screen(width=width, color=True)))
    assert max(cell_len(line) for line in plain.splitlines()) <= max(width, 60)
    assert "\x1b[" in colored
    ascii_only = "".join(call_table.terminal(calls, Screen(width=width, unicode=False)))
    assert "…" not in ascii_only


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--where", "pth~x"], "filter, column 1: there is no field pth (did you mean path?)"),
        (["--where", "path~(\x1b"], "filter, column 6"),
        (["--sort", "dration"], "did you mean duration?"),
        (["--limit", "0"], "try: wirecase calls --help"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    message_ = error(capsys, INCIDENT, *arguments)
    assert says in message_
    assert message_.rstrip("\n").isprintable()


def test_an_unreadable_input_is_status_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.pcap"
    bad.write_bytes(bytes(100))
    assert "not a capture" in error(capsys, str(bad), status=3)
    assert main(["calls", str(bad), INCIDENT, "--limit", "1"]) == 3
    out, err = capsys.readouterr()
    assert "1 of 121 calls" in out
    assert "not a capture" in err


def test_standard_input_and_a_reader_that_leaves() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "cli"), str(ROOT / "decoders")])}
    command = [sys.executable, "-m", "wirecase_cli", "calls", "-"]
    with open(INCIDENT, "rb") as capture:
        done = subprocess.run(command, stdin=capture, capture_output=True, env=environment, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout.splitlines()) > 121
    with open(INCIDENT, "rb") as capture, subprocess.Popen(
        command, stdin=capture, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_calls_that_are_no_plain_grpc_are_listed_by_their_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script().hello().request(1, message(b"a")).response(1, message(b"b"))
    peers = script.peers
    web = tuple((name, value.replace("application/grpc", "application/grpc-web+proto")) for name, value in REQUEST)
    script.request(3, message(b"a"), web).server(
        peers[SERVER].headers(3, ((":status", "200"), ("content-type", "application/grpc-web+proto"))),
        data(3, message(b"b") + message(b"grpc-status:0\r\n", 0x80), 1),
    )
    path = tmp_path / "web.pcap"
    path.write_bytes(pcap(http2(script).packets))
    document = json.loads(printed(capsys, str(path), "--format", "json", "--where", "kind!=grpc"))
    assert document["seen"] == 2
    assert [(row["call"], row["kind"], row["how"]) for row in document["calls"]] == [(1, "grpc-web", "data")]


def test_the_guide_names_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    from wirecase.query.fields import FIELDS
    from wirecase_cli.commands import guide

    page = guide.text("filters")
    for name, field in FIELDS.items():
        assert f"| `{name}` | {field.about} |" in page


def test_examples_of_the_guide_are_filters() -> None:
    import re

    from wirecase.query import compile_filter
    from wirecase_cli.commands import guide

    examples = re.findall(r"--where '([^']+)'", guide.text("filters"))
    assert len(examples) >= 6
    for example in examples:
        compile_filter(example)


def test_data_frames_of_a_call_are_no_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = Script().hello().request(1, message(b"a"), end=False)
    script.client(*(data(1, message(b"more")) for _ in range(50)), data(1, b"", 1)).response(1, message(b"b"))
    path = tmp_path / "one.pcap"
    path.write_bytes(pcap(http2(script).packets))
    (row,) = json.loads(printed(capsys, str(path), "--format", "json"))["calls"]
    assert row["messages"] == {"sent": 51, "received": 1}


def test_json_keeps_to_its_schema(nasty: str, capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads((ROOT / "cli/wirecase_cli/reports/calls_v1.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    for source in (INCIDENT, nasty, str(ROOT / "fixtures/goaway-race/capture.pcapng")):
        document = json.loads(printed(capsys, source, "--format", "json"))
        jsonschema.validate(document, schema)
        assert set(document["calls"][0]) == set(schema["$defs"]["call"]["properties"])
