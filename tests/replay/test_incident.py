"""The whole thread of the incident: diagnose, extract, replay to a naive client (fails) and to a patched one (passes).

The incident has four faults: a stream reset in the middle of its body, two plain texts where a message is due (flags 67
and 101), and an empty 400. The clients are those of ``fixtures/clients/incident``, over grpcio and over tonic.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import pytest

from wirecase_cli.main import main

FIXTURES = Path(__file__).parents[2] / "fixtures"
CAPTURE = str(FIXTURES / "incident" / "capture.pcapng")
CLIENTS = FIXTURES / "clients"
FAULTS = {
    "reset": ("rst-midbody", {"error_code": 2}),
    "flag-67": ("grpc-invalid-compression-flag", {"flag": 67}),
    "flag-101": ("grpc-invalid-compression-flag", {"flag": 101}),
    "empty-400": ("http-error-empty", {"http_status": 400}),
}
SERVICE = "/arrow.flight.protocol.FlightService"
READS = [word for name in ("Handshake", "GetFlightInfo", "DoGet") for word in ("--idempotent", f"{SERVICE}/{name}")]


def client(kind: str, language: str) -> list[str]:
    """The command of a client, or a reason to skip."""
    if language == "python":
        pytest.importorskip("grpc")
        return [sys.executable, str(CLIENTS / "incident" / f"{kind}.py")]
    program = CLIENTS / "build" / "tonic" / "release" / f"incident-{kind}"
    if not program.is_file():
        needed = (
            "make -C fixtures/clients build" if shutil.which("cargo") else "cargo, and make -C fixtures/clients build"
        )
        pytest.skip(f"the client over tonic is not built: it needs {needed}")
    return [str(program)]


@pytest.fixture(scope="module")
def findings() -> list[dict[str, object]]:
    """What diagnose finds on the leg that the client saw (the first connection of the capture)."""
    from wirecase.pipeline import Options, diagnose

    found = diagnose(Options([CAPTURE]))
    return [
        {"id": one.id, "rule": one.rule, "details": one.details}
        for one in found.findings
        if one.connection is not None and one.connection.server.endswith(":8080")
    ]


@pytest.fixture(scope="module", params=FAULTS)
def case(request, findings, tmp_path_factory) -> tuple[Path, str]:
    """A case for one of the faults with a few sound calls beside it, and the fault's finding in the case."""
    from wirecase.case.manifest import read_manifest

    rule, facts = FAULTS[request.param]
    wanted = next(one["id"] for one in findings if one["rule"] == rule and facts.items() <= one["details"].items())
    target = tmp_path_factory.mktemp("cases") / f"{request.param}.pcapng"
    page = target.with_suffix(".md")
    assert (
        main(["extract", CAPTURE, "--finding", wanted, "--context", "4", "-o", str(target), "--markdown", str(page)])
        == 0
    )
    shows = read_manifest(str(target))["shows"]
    return target, next(one["finding"] for one in shows if one["recorded"]["finding"] == wanted)


def replay(case: tuple[Path, str], command: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, dict]:
    path, finding = case
    capsys.readouterr()
    status = main([
        "replay", str(path), "--finding", finding, "--speed", "max", "--timeout", "60", "--expect", "exit=0", *READS,
        "--format", "json", "--", *command, "{target}", "--queries", "4",
    ])  # fmt: skip
    return status, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("language", ["python", "tonic"])
def test_the_naive_client_fails(case, language, capsys):
    status, found = replay(case, client("naive", language), capsys)
    assert (status, found["outcome"]) == (1, "fail"), found["checks"]
    served = [one for one in found["calls"] if one["role"] == "problem" and one["faults"]]
    assert served, "the fault was reached"
    failed = {name for name, one in found["checks"].items() if one["outcome"] == "fail"}
    # It takes the stream that broke off for a whole one, and dies of the others.
    if "rst-midbody" in served[0]["faults"]:
        assert failed == {"detected"}
    else:
        assert "as_expected" in failed and failed <= {"as_expected", "not_crashed"}


@pytest.mark.parametrize("language", ["python", "tonic"])
def test_the_patched_client_passes(case, language, capsys):
    status, found = replay(case, client("patched", language), capsys)
    assert (status, found["outcome"]) == (0, "pass"), found["checks"]
    outcomes = {name: one["outcome"] for name, one in found["checks"].items()}
    for name in ("detected", "recovered", "retried_safely", "not_hung", "not_crashed", "as_expected"):
        assert outcomes[name] == "pass", found["checks"][name]


def test_the_markdown_is_enough_without_the_tool(case):
    path, _ = case
    text = path.with_suffix(".md").read_text(encoding="utf-8")
    assert f"SHA-256 `{hashlib.sha256(path.read_bytes()).hexdigest()}`" in text
    assert "made by wirecase" in text
    assert "`wirecase extract SOURCE --finding" in text
    assert "What the clients log:" in text
    last = text.rstrip().splitlines()[-1]
    assert last.startswith("Replay it to a client: `wirecase replay ") and last.endswith(" -- ./client {target}`")


def test_the_whole_incident_at_once(capsys):
    """Without a choice of finding everything that went wrong on the client's leg is served in one session."""
    outcomes = {}
    for kind in ("naive", "patched"):
        command = [*client(kind, "python"), "{target}", "--queries", "15"]
        outcomes[kind] = main(["replay", CAPTURE, "--speed", "max", *READS, "--expect", "exit=0", "--", *command])
        capsys.readouterr()
    assert outcomes == {"naive": 1, "patched": 0}
