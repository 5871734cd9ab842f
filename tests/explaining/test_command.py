from __future__ import annotations

import gzip
import io
import json
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest

from wirecase.rules import ALL_RULES
from wirecase_cli.main import main

ROOT = Path(__file__).parents[2]
CAPTURE = str(ROOT / "fixtures" / "http-error-with-body" / "capture.pcapng")
FLAG = (
    "protocol error: received message with invalid compression flag: 60 (valid flags are 0 and 1) "
    "while receiving response with status: 502 Bad Gateway"
)
HOSTILE = "\x1b]52;c;aGk=\x07\u202e<img src=x>[red]`|"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(list(arguments))
    out, err = capsys.readouterr()
    return status, out, err


def test_json_lists_candidates_best_first(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "explain", "--format", "json", FLAG)
    document = json.loads(out)
    assert status == 0
    assert document["schema"] == "wirecase/explain/1"
    assert [one["rule"] for one in document["candidates"][:2]] == [
        "http-error-with-body",
        "grpc-invalid-compression-flag",
    ]
    assert all(one["why"] and one["certainty"] in ("certain", "probable", "possible") for one in document["candidates"])
    assert {"what": "compression flag", "value": "60", "text": "<"}.items() <= document["decoded"][0].items()


def test_words_need_no_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "explain", "invalid", "compression", "flag:", "67")
    assert "grpc-invalid-compression-flag" in out
    assert "'C'" in out


def test_a_log_comes_from_a_file_or_from_standard_input(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "app.log"
    log.write_text(f"2025-06-01T12:00:00Z INFO ok\n2025-06-01T12:00:01Z ERROR {FLAG}\n")
    packed = tmp_path / "app.log.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    _, plain, _ = run(capsys, "explain", "--format", "json", "--file", str(log))
    _, unpacked, _ = run(capsys, "explain", "--format", "json", "--file", str(packed))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(log.read_bytes())))
    _, piped, _ = run(capsys, "explain", "--format", "json", "-")
    assert plain == unpacked == piped
    assert json.loads(plain)["candidates"][0]["lines"] == [2]


@pytest.mark.parametrize(
    "arguments", [["explain"], ["explain", "a", "--file", "b"], ["explain", "a", "--format", "markdown"]]
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1


def test_a_log_that_cannot_be_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    broken = tmp_path / "broken.gz"
    broken.write_bytes(b"\x1f\x8b\x08\x00nothing")
    for path in (tmp_path / "missing.log", tmp_path, broken):
        status, _, err = run(capsys, "explain", "--file", str(path))
        assert status == 3
        assert err.startswith("wirecase: cannot read the log")
        assert err.count("\n") == 1
    assert run(capsys, "diagnose", CAPTURE, "--log", str(tmp_path / "missing.log"))[0] == 3


def test_what_nothing_explains_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "explain", "the moon is full")
    assert status == 0
    assert "No rule explains this text" in out
    assert json.loads(run(capsys, "explain", "--format", "json", "the moon is full")[1])["candidates"] == []


def test_a_rules_page(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "explain", "rst-midbody")
    assert status == 0
    assert out == resources.files("wirecase_cli").joinpath("pages", "rules", "rst-midbody.md").read_text(
        encoding="utf-8"
    )
    document = json.loads(run(capsys, "explain", "--format", "json", "RST-MIDBODY")[1])
    assert document["candidates"][0]["rule"] == "rst-midbody"
    assert any(one["client"] == "grpc-js" for one in document["candidates"][0]["clients"])


def test_all_rules_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    ids = list(dict.fromkeys(rule.id for rule in ALL_RULES))
    document = json.loads(run(capsys, "rules", "--format", "json")[1])
    assert document["schema"] == "wirecase/rules/1"
    assert [one["rule"] for one in document["rules"]] == ids
    assert [line.split()[0] for line in run(capsys, "rules")[1].splitlines() if line[:1].strip()] == ids


def test_hostile_text_stays_harmless(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text(f"{FLAG} {HOSTILE}\nreceived bogus greeting from client: {HOSTILE}\n", encoding="utf-8")
    outs = [
        run(capsys, "explain", "--file", str(log))[1],
        run(capsys, "explain", "--format", "json", "--file", str(log))[1],
        *(
            run(capsys, "diagnose", "--format", kind, CAPTURE, "--log", str(log))[1]
            for kind in ("terminal", "json", "markdown")
        ),
    ]
    for out in outs:
        assert "\x1b" not in out
        assert "\u202e" not in out
        assert "\x07" not in out
    assert "<img" not in outs[-1].replace("`", "\0").split("\0")[0]


def test_diagnose_matches_a_log(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text(f"ERROR {FLAG}\nERROR x509: certificate signed by unknown authority\n")
    status, out, _ = run(capsys, "diagnose", "--format", "json", CAPTURE, "--log", str(log))
    document = json.loads(out)
    schema = json.loads(resources.files("wirecase_cli").joinpath("reports", "report_v1.schema.json").read_text("utf-8"))
    jsonschema.validate(document, schema)
    assert status == 1
    assert document["log"]["errors"] == 2
    rules = {one["id"]: one["rule"] for one in document["findings"]}
    assert rules[document["log"]["matched"][0]["findings"][0]] in (
        "http-error-with-body",
        "grpc-invalid-compression-flag",
    )
    assert document["log"]["unexplained"][0]["rules"][0] == "tls-alert"
    assert document["log"]["clock_offset"] is None
    terminal = run(capsys, "diagnose", CAPTURE, "--log", str(log))[1]
    assert "1 of 2 lines with errors explained" in " ".join(terminal.split())
    assert "not in the capture, may be tls-alert" in " ".join(terminal.split())
    markdown = run(capsys, "diagnose", "--format", "markdown", CAPTURE, "--log", str(log))[1]
    assert "Log lines that nothing explains" in markdown


def test_without_a_log_the_report_has_no_such_field(capsys: pytest.CaptureFixture[str]) -> None:
    assert "log" not in json.loads(run(capsys, "diagnose", "--format", "json", CAPTURE)[1])
