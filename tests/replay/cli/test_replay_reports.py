"""The reports of a replay: nothing of a client or a capture is alive in them, and the schema holds."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from wirecase.model import Finding
from wirecase.replay.model import (
    Check,
    ClientRun,
    Deviation,
    LiveCall,
    LiveConnection,
    ReportedCall,
    Sample,
    Trace,
)
from wirecase.replay.result import ReplayedCase, ReplayResult, Tally
from wirecase_cli.reports import replay_json, replay_junit, replay_terminal
from wirecase_cli.reports.screen import Screen

NASTY = (
    "\x1b]52;c;aGk=\x07\x1b[31mred\x1b[0m \u202egnp.exe\u2066 nul\x00 c1\x85 line\nbreak\r\ttab [bold]b[/bold] "
    "<script>alert(1)</script> ]]> \udc9b \u200b a\u0300\u0301\u0302\u0303"
)
SECRET = "Authorization: Bearer abcdefghijklmnop0123456789"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----"


def result() -> ReplayResult:
    """A failed replay with hostile text in every place that a client or a capture can write to."""
    finding = Finding("rst-midbody", "error", "certain", NASTY, NASTY, ["server"], id="F1")
    call = LiveCall(
        0, 0, 1, NASTY, "problem", 0.1, recorded=3, faults=["rst-midbody"], broke_at=0.2, request_ended=0.1,
        reset_by_client=8, reset_at=0.3, previous_attempts=1, unprocessed=True,
    )  # fmt: skip
    quiet = LiveCall(1, 1, 1, "/a.B/C", "fallback", 1.0, completed=1.1, status=12)
    connections = [
        LiveConnection(
            0,
            0.0,
            recorded=0,
            closed=0.4,
            closed_by="client-rst",
            goaway=1,
            goaway_debug=NASTY.encode("utf-8", "replace"),
        ),
        LiveConnection(1, 0.9, tls_error=NASTY, not_http2=b"GET / \x1b[0m"),
    ]
    output = f"{NASTY}\n{SECRET}\n{KEY}\n".encode("utf-8", "surrogatepass")
    run = ClientRun(
        ["./client", "--token=" + SECRET, NASTY], 0.0, 1.2, exit=1, output=output, output_bytes=len(output),
        samples=[Sample(0.1 * i, 1 << 20, 0.1, 5, 2, 1, 1) for i in range(1000)],
        reported=[ReportedCall(NASTY, "INTERNAL", f"{NASTY} {SECRET}", 3)],
    )  # fmt: skip
    checks = [
        Check(
            "detected", "fail", "broken bytes were taken for a success", [{"call": 0, "path": NASTY, "details": SECRET}]
        ),
        Check("contained", "untold", "no other stream was open"),
        Check("recovered", "pass", "the next sound call worked"),
        *(Check(name, "pass", "well") for name in ("retried_safely", "not_hung", "not_crashed", "no_leak")),
    ]
    trace = Trace("127.0.0.1:1", connections, [call, quiet], [Deviation("late", NASTY, 0.5, 0, 0, 3)] * 3, ended=1.3)
    case = ReplayedCase(NASTY, "ab" * 32, NASTY, NASTY, [finding], "F1", None, [("redacted", NASTY)], True)
    return ReplayResult(case, trace, run, checks, 3, 3, 1, {"detected": Tally(2, 1, 0)}, interrupted=True)


@pytest.fixture(scope="module")
def validator() -> Any:
    text = resources.files("wirecase_cli").joinpath("reports", "replay_v1.schema.json").read_text()
    return jsonschema.Draft202012Validator(json.loads(text))


def test_terminal() -> None:
    for before in (None, result()):
        text = replay_terminal.render(result(), Screen(), before)
        assert text.replace("\n", "").isprintable()
        assert max(map(len, text.splitlines())) <= 80
        for secret in ("abcdefghijklmnop0123456789", "MIIEow"):
            assert secret not in text
        assert "The client failed the replay" in text
    assert "(3 times)" in replay_terminal.render(result(), Screen())


def test_terminal_in_colour_and_in_ascii() -> None:
    assert "\x1b[" in replay_terminal.render(result(), Screen(color=True))
    made = result()
    made.case = ReplayedCase("case.pcapng", "ab" * 32, "a headline", "10.0.0.1:443")
    made.trace.calls[0].path = "/a.B/C"
    made.trace.deviations = []
    made.trace.connections = []
    made.run = None
    made.checks[0].evidence = []
    text = replay_terminal.render(made, Screen(unicode=False))
    assert text.isascii()


def test_json(validator: Any) -> None:
    for before in (None, result()):
        text = replay_json.render(result(), before)
        assert all(" " <= char <= "~" or char == "\n" for char in text)
        assert "abcdefghijklmnop0123456789" not in text and "MIIEow" not in text
        document = json.loads(text)
        validator.validate(document)
        assert ("before" in document) is (before is not None)
    assert len(document["client"]["resources"]["samples"]) <= 300
    assert document["loop"]["checks"]["detected"] == {"pass": 2, "fail": 1, "untold": 0}


def test_the_schema_refuses_what_is_not_in_the_contract(validator: Any) -> None:
    for place in ([], ["case"], ["client"], ["checks", "detected"], ["calls", 0], ["connections", 0], ["loop"]):
        document = replay_json.report(result())
        inner: Any = document
        for step in place:
            inner = inner[step]
        inner["surprise"] = {}
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(document)
        del inner["surprise"]
        inner.popitem()
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(document)


def test_a_replay_without_a_client(validator: Any) -> None:
    made = result()
    made.run, made.rounds = None, 1
    document = json.loads(replay_json.render(made))
    validator.validate(document)
    assert document["client"] is None and document["loop"] is None
    assert "not started by wirecase" in replay_terminal.render(made, Screen())
    ElementTree.fromstring(replay_junit.render(made))


def test_junit() -> None:
    text = replay_junit.render(result(), result())
    assert "\x1b" not in text and "abcdefghijklmnop0123456789" not in text and "MIIEow" not in text
    root = ElementTree.fromstring(text)
    suites = root.findall("testsuite")
    assert [suite.get("name", "")[-8:] for suite in suites] == ["(before)", " (after)"]
    for suite in suites:
        assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("7", "1", "1")
        assert suite.find("testcase/failure") is not None
        assert suite.find("testcase/skipped") is not None
        assert "".join(suite.itertext()).replace("\n", "").isprintable()


def test_many_calls_are_not_all_drawn() -> None:
    made = result()
    made.trace.calls = [LiveCall(i, 0, 1, "/a.B/C", "healthy", 0.1) for i in range(5000)]
    text = replay_terminal.render(made, Screen())
    assert text.count("\n") < 150
    assert "more calls" in text
    assert json.loads(replay_json.render(made))["calls_left_out"] == 3000
