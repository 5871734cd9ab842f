"""``wirecase replay`` from the outside: a real server, a small client of its own, and every way to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

from wirecase_cli.main import main

FIXTURES = Path(__file__).parents[3] / "fixtures"
FLAG = str(FIXTURES / "grpc-invalid-compression-flag" / "capture.pcapng")
CLIENT = str(Path(__file__).with_name("h2_client.py"))
EXPECTED = json.loads((FIXTURES / "grpc-invalid-compression-flag" / "expected.json").read_text())


@pytest.fixture(scope="module")
def path() -> str:
    """The path of the faulty call."""
    from wirecase.pipeline import Options, diagnose

    found = diagnose(Options([FLAG])).findings
    return next(one.path for one in found if one.rule == "grpc-invalid-compression-flag" and one.path)


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    text = resources.files("wirecase_cli").joinpath("reports", "replay_v1.schema.json").read_text()
    jsonschema.Draft202012Validator.check_schema(json.loads(text))
    return jsonschema.Draft202012Validator(json.loads(text))


def command(path: str, manner: str, *more: str) -> list[str]:
    return [sys.executable, CLIENT, "{target}", path, manner, *more]


def replay(path: str, manner: str, *options: str, more: tuple[str, ...] = ()) -> int:
    return main(["replay", FLAG, "--speed", "max", *options, "--", *command(path, manner, *more)])


def test_a_naive_client_fails(path, capsys):
    assert replay(path, "naive") == 1
    told = capsys.readouterr()
    assert "The client failed the replay" in told.out
    assert "detected: broken bytes were taken for a success" in told.out
    assert told.err == ""
    assert max(map(len, told.out.splitlines())) <= 80
    assert "\x1b" not in told.out


def test_a_patched_client_passes(path, capsys, validator):
    assert replay(path, "patched", "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    validator.validate(found)
    assert found["schema"] == "wirecase/replay/1"
    assert found["outcome"] == "pass"
    assert {name: one["outcome"] for name, one in found["checks"].items()} == {
        "detected": "pass", "contained": "untold", "recovered": "pass", "retried_safely": "pass", "not_hung": "pass",
        "not_crashed": "pass", "no_leak": "untold",
    }  # fmt: skip
    assert found["client"]["exit"] == 0
    assert [one["code"] for one in found["client"]["reported"]] == ["INTERNAL", "UNIMPLEMENTED"]
    assert found["calls"][0]["faults"] and found["calls"][0]["role"] == "problem"
    assert len(found["case"]["sha256"]) == 64


def test_junit(path, tmp_path, capsys):
    target = tmp_path / "replay.xml"
    assert replay(path, "naive", "--format", "junit", "-o", str(target)) == 1
    assert capsys.readouterr().out == ""
    suite = ElementTree.fromstring(target.read_text()).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("7", "1", "0")
    failed = [case.get("name") for case in suite.iter("testcase") if case.find("failure") is not None]
    assert failed == ["detected"]


def test_before_and_after(path, capsys, validator):
    import shlex

    old, new = (shlex.join(command(path, manner)) for manner in ("naive", "patched"))
    pair = ["replay", FLAG, "--speed", "max", "--before", old, "--after", new]
    assert main(pair) == 0
    told = capsys.readouterr().out
    assert "before: The client failed the replay" in told
    assert "after: The client took the fault as it should" in told
    row = next(line for line in told.splitlines() if line.startswith("detected"))
    assert row.split() == ["detected", "✗", "fail", "✓", "pass"]
    assert main([*pair, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    validator.validate(found)
    assert (found["before"]["outcome"], found["outcome"]) == ("fail", "pass")


def test_a_client_that_hangs_is_ended_and_its_output_is_harmless(path, capsys):
    assert replay(path, "hang", "--timeout", "1") == 1
    told = capsys.readouterr().out
    assert "not_hung" in told and "was ended by wirecase" in told
    assert "\x1b" not in told and "\\x1b]0;title\\x07" in told
    assert "abcdefghijklmnop0123456789" not in told, "a credential"


def test_a_client_that_crashes(path, capsys):
    assert replay(path, "crash") == 1
    assert "SIGABRT" in capsys.readouterr().out


def test_loops_in_new_processes(path, capsys, validator):
    assert replay(path, "patched", "--loop", "3", "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    validator.validate(found)
    assert (found["loop"]["rounds"], found["loop"]["done"]) == (3, 3)
    assert found["loop"]["checks"]["detected"] == {"pass": 3, "fail": 0, "untold": 0}
    assert found["checks"]["no_leak"]["outcome"] == "untold"


def test_loops_in_one_process(path, capsys, validator):
    assert replay(path, "patched", "--loop", "24", "--format", "json", more=("{loop}", "0.04")) == 0
    found = json.loads(capsys.readouterr().out)
    validator.validate(found)
    assert found["loop"]["done"] == 24
    assert found["loop"]["checks"]["detected"] == {"pass": 24, "fail": 0, "untold": 0}
    assert found["loop"]["checks"]["recovered"] == {"pass": 24, "fail": 0, "untold": 0}
    assert found["checks"]["no_leak"]["outcome"] == "pass", found["checks"]["no_leak"]
    assert {one["metric"] for one in found["checks"]["no_leak"]["evidence"]} == {
        "memory", "descriptors", "threads", "connections", "open streams",
    }  # fmt: skip


def test_a_leak_shows_in_a_loop(path, capsys):
    assert replay(path, "leak", "--loop", "24", "--format", "json", more=("{loop}", "0.04")) == 1
    found = json.loads(capsys.readouterr().out)
    check = found["checks"]["no_leak"]
    assert check["outcome"] == "fail", check
    grown = [one for one in check["evidence"] if one["grows"]]
    assert [one["metric"] for one in grown] == ["descriptors"]
    assert 0.8 < grown[0]["slope_per_round"] < 1.2


def test_a_client_that_goes_on_meets_the_problem_again(path, capsys, monkeypatch):
    """It is not told how many rounds there are, and does not end after its recovery."""
    monkeypatch.setattr("wirecase.replay.rounds.STAYS_AFTER", 0.2)
    assert replay(path, "patched", "--loop", "6", "--format", "json", more=("40", "0.05")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["loop"]["done"] == 6
    assert found["loop"]["checks"]["recovered"]["pass"] == 6
    assert found["loop"]["checks"]["not_hung"] == {"pass": 1, "fail": 0, "untold": 0}, "one process"


def test_serving_for_a_while(capsys):
    assert main(["replay", FLAG, "--timeout", "0.3"]) == 4
    told = capsys.readouterr().out
    assert told.startswith("serving ") and "not started by wirecase" in told


def test_a_naive_client_fails_in_every_round_of_one_process(path, capsys):
    assert replay(path, "naive", "--loop", "4", "--format", "json", more=("{loop}",)) == 1


def test_expectations(path, capsys):
    assert replay(path, "patched", "--expect", "INTERNAL:not a message", "--expect", "exit=0") == 0
    assert replay(path, "patched", "--expect", "UNAVAILABLE") == 1
    assert "as_expected: INTERNAL was reported" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["missing.pcapng", "--", "true"], 3, "missing.pcapng"),
        ([FLAG, "--finding", "F99", "--", "true"], 2, "there is no finding F99"),
        ([FLAG, "--finding", "F1", "--call", "0"], 2, "exclude each other"),
        ([FLAG, "--", "/no/such/client"], 2, "cannot be started: /no/such/client: No such file"),
        ([FLAG, "--loop", "2"], 2, "--loop needs a client"),
        ([FLAG, "--before", "true"], 2, "go together"),
        ([FLAG, "--before", "true", "--after", "true", "--", "true"], 2, "or --before and --after"),
        ([FLAG, "--before", "'", "--after", "true"], 2, "no closing quotation"),
        ([FLAG, "--before", "", "--after", "true"], 2, "names no command"),
        ([FLAG, "--alpn", "none", "--", "true"], 2, "--alpn needs --tls"),
        ([FLAG, "--expect", "FINE", "--", "true"], 2, "--expect FINE"),
        ([FLAG, "--speed", "0", "--", "true"], 2, "--speed 0"),
        ([FLAG, "--listen", "127.0.0.1:x", "--", "true"], 2, "--listen"),
        ([FLAG, "--listen", "192.0.2.1:0", "--", "true"], 3, "cannot listen on 192.0.2.1:0"),
        ([FLAG, "--", "true", "{ca}"], 2, "--tls"),
        ([FLAG, "-o", "/no/such/folder/x", "--", "true"], 2, "does not exist"),
    ],
)
def test_errors_are_one_line(arguments, status, says, capsys):
    assert main(["replay", *arguments]) == status
    told = capsys.readouterr()
    assert told.out == ""
    assert says in told.err
    assert told.err.count("\n") == 1 + ("192.0.2.1" in says)


def test_a_client_that_does_nothing_is_untold(capsys):
    assert main(["replay", FLAG, "--", "true"]) == 4
    assert "no fault was served: the client never connected" in " ".join(capsys.readouterr().out.split())


def test_listening_beyond_the_loopback_is_warned_of(capsys):
    assert main(["replay", FLAG, "--listen", "0.0.0.0:0", "--", "true"]) == 4
    assert "whoever reaches this address" in capsys.readouterr().err


def started(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "wirecase_cli", "replay", FLAG, "--speed", "max", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def test_serving_without_a_client_until_it_is_interrupted(path):
    with started() as server:
        assert server.stdout is not None
        first = server.stdout.readline()
        target = first.split(" at ")[1].split(",")[0]
        report = Path(os.devnull)
        subprocess.run(
            [sys.executable, CLIENT, target, path, "patched"], check=True, timeout=30,
            env={**os.environ, "WIRECASE_REPORT": str(report)},
        )  # fmt: skip
        time.sleep(0.5)
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=30)
    assert server.returncode == 4, err  # nobody said what the client made of it
    assert "the problem is over" in out
    assert "call 0 " in out
    assert "Whether the client took the fault well could not be told" in out


def test_an_interruption_ends_the_client_and_prints_what_is_known(path):
    with started("--format", "json", "--", *command(path, "hang")) as server:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not _children(server.pid):
            time.sleep(0.05)
        time.sleep(1.0)
        children = _children(server.pid)
        server.send_signal(signal.SIGINT)
        out, _ = server.communicate(timeout=30)
    assert server.returncode == 130
    found = json.loads(out)
    assert found["interrupted"] is True
    assert found["client"]["ended_by_us"] is True
    assert found["checks"]["not_hung"]["outcome"] == "untold"
    assert children and not any(os.path.exists(f"/proc/{pid}") for pid in children)


def _children(pid: int) -> list[int]:
    import psutil

    return [one.pid for one in psutil.Process(pid).children()]
