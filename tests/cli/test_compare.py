"""``wirecase compare``: what it prints, its schema, its exit status; nothing of a capture stays alive in it."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
from captured import Capture, Connection
from captures import pcap
from h2_bytes import data, message
from legs import leg

from wirecase_cli.main import main

FIXTURES = Path(__file__).parents[2] / "fixtures"
APACHE = FIXTURES / "apache-page-midstream/capture.pcapng"
CADDY = FIXTURES / "healthy-caddy-both-legs/capture.pcapng"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJlc2lnbmF0dXJl"


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(resources.files("wirecase_cli").joinpath("reports", "compare_v1.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["compare", *arguments])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.parametrize("name", ["apache-page-midstream", "healthy-caddy-both-legs", "haproxy-server-killed",
                                  "apache-timeout", "incident", "nat-server-killed"])  # fmt: skip
def test_json_keeps_to_its_schema(
    capsys: pytest.CaptureFixture[str], validator: jsonschema.Draft202012Validator, name: str
) -> None:
    status, out, _ = run(capsys, "--format", "json", str(FIXTURES / name / "capture.pcapng"))
    assert status in (0, 1, 4)
    report = json.loads(out)
    validator.validate(report)
    assert report["verdict"]["breaks"] == (status == 1)
    assert (report["calls"]["matched"] == 0) == (status == 4)


def test_one_file_is_not_both_sides(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    link = tmp_path / "link.pcapng"
    link.symlink_to(CADDY)
    for back in (CADDY, link):
        status, out, err = run(capsys, str(CADDY), str(back))
        assert (status, out) == (2, "")
        assert err.startswith("wirecase: FRONT and BACK are the same file: name ")
    assert run(capsys, str(CADDY), str(tmp_path / "none"))[0] == 3


def test_two_captures(
    capsys: pytest.CaptureFixture[str], validator: jsonschema.Draft202012Validator, tmp_path: Path
) -> None:
    front = leg(APACHE, tmp_path / "front.pcap", 8181)
    back = leg(APACHE, tmp_path / "back.pcap", 50051, shift=-90_000_000_000)
    status, out, err = run(capsys, "--format", "json", front, back)
    assert (status, err) == (1, "")
    report = json.loads(out)
    validator.validate(report)
    assert (report["front"], report["back"]) == ([0], [1])
    assert abs(report["clock"]["offset_ns"] + 90_000_000_000) <= report["clock"]["uncertainty_ns"]
    assert report["faults"][0]["hop"] == "server"
    status, out, _ = run(capsys, front, back)
    assert status == 1
    assert "behind the front capture's" in " ".join(out.split())
    assert "<!DOCTYPE" in out
    assert max(map(len, out.splitlines())) <= 80
    status, out, _ = run(capsys, "--format", "markdown", front, back)
    assert status == 1
    assert out.startswith("## wirecase: ")


def test_exit_status(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(capsys, str(CADDY))[0] == 0
    assert run(capsys, str(CADDY), str(FIXTURES / "incident/capture.pcapng"))[0] == 4
    status, out, err = run(capsys, str(CADDY), str(tmp_path / "nope.pcap"))
    assert (status, out) == (3, "")
    assert err.count("\n") == 1
    assert run(capsys)[0] == 2
    assert run(capsys, "-", "-")[0] == 2


def test_output_to_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    assert run(capsys, "--format", "json", "-o", str(target), str(CADDY))[:2] == (0, "")
    assert json.loads(target.read_text())["schema"] == "wirecase/compare/1"
    assert run(capsys, "-o", str(target), str(CADDY))[0] == 2


def test_nothing_hostile_and_no_secret_gets_through(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, validator: jsonschema.Draft202012Validator
) -> None:
    def play(talk: Connection, secret: str, text: str) -> None:
        extra = (("x-request-id", "abc"), ("authorization", secret), ("x-note", text), ("x-other", f"see {secret}"))
        talk.request(extra=extra).headers()
        talk.server(data(1, message(b"told"))).trailers().close()

    one, two = Capture(), Capture()
    two.now += 2_000_000
    play(one.connect("10.0.0.1:40000", "10.0.0.2:443").hello(), f"Bearer {TOKEN}", "\x1b]52;c;aGk=\x07<b>[x](y)`|")
    play(two.connect("10.0.0.2:40000", "10.0.0.3:443").hello(), f"Bearer {TOKEN}x", "\u202ereversed")
    names = []
    for name, capture in (("one", one), ("two", two)):
        path = tmp_path / f"{name}.pcap"
        path.write_bytes(pcap(capture.packets))
        names.append(str(path))
    for shape in ("terminal", "markdown", "json"):
        status, out, _ = run(capsys, "--format", shape, *names)
        assert status == 0
        assert "x-note" in out
        assert TOKEN not in out
        assert all(char == "\n" or char.isprintable() for char in out)
        if shape == "json":
            validator.validate(json.loads(out))
