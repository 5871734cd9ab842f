"""``wirecase report`` and ``wirecase verify`` of what it writes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

from wirecase.case.bundle import MANIFEST
from wirecase.case.extract import Request, extract
from wirecase.case.redact import Policy, Redactor
from wirecase.pipeline import Options, diagnose
from wirecase_cli.main import main
from wirecase_cli.reports import json_v1

ROOT = Path(__file__).parents[2]
INCIDENT = str(ROOT / "fixtures/incident/capture.pcapng")
RST = str(ROOT / "fixtures/rst-midbody/capture.pcapng")


def run(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert main([*arguments]) == status
    out, err = capsys.readouterr()
    if status in (0, 1):
        assert err == ""
        return out
    assert out == "" and err.count("\n") == 1
    return err


def test_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "bundle"
    said = run(capsys, "report", RST, "-o", str(target))
    names = {MANIFEST, "case.pcapng", "report.md", "report.html", "report.json"}
    assert set(os.listdir(target)) == names
    assert all(name in said for name in names)
    assert os.listdir(tmp_path) == ["bundle"]
    told = run(capsys, "verify", str(target))
    assert "all files are as the manifest says" in told and "are found again" in told


def test_the_manifest_fits_its_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = resources.files("wirecase_cli").joinpath("reports", "bundle_v1.schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    run(capsys, "report", INCIDENT, "-o", str(tmp_path / "b"))
    manifest = json.loads((tmp_path / "b" / MANIFEST).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(manifest)
    assert manifest["recording"]["calls"]["total"] > 0
    assert sum(manifest["recording"]["findings"].values()) > len(manifest["sources"])
    for wrong in ({"files": []}, {"schema": "wirecase/bundle/2"}, {"case": "../x"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(schema).validate({**manifest, **wrong})


def test_archives_are_the_same_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.zip", "b.ZIP"):
        run(capsys, "report", RST, "-o", str(tmp_path / name))
        assert "are found again" in run(capsys, "verify", str(tmp_path / name))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.ZIP").read_bytes()


def test_the_reports_are_those_of_the_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "report", INCIDENT, "-o", str(tmp_path / "b"))
    case = str(tmp_path / "b" / "case.pcapng")
    told = json.loads((tmp_path / "b" / "report.json").read_text(encoding="utf-8"))
    again = json_v1.report(diagnose(Options([case])))
    assert told["sources"][0]["path"] == "case.pcapng"
    again["sources"][0]["path"] = "case.pcapng"
    assert told == again
    page = (tmp_path / "b" / "report.md").read_text(encoding="utf-8")
    assert "**Case:** `case.pcapng`" in page and "wirecase replay case.pcapng" in page
    for file in (tmp_path / "b").iterdir():
        assert str(tmp_path).encode() not in file.read_bytes()


def test_the_diagnosis_that_extract_hands_out_is_that_of_its_file(tmp_path: Path) -> None:
    target = tmp_path / "case.pcapng"
    made = extract(Request([INCIDENT], target), Redactor(Policy()))
    assert json_v1.report(made.diagnosis) == json_v1.report(diagnose(Options([str(target)])))


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, archive = tmp_path / "b", tmp_path / "b.zip"
    for target in (folder, archive):
        run(capsys, "report", RST, "-o", str(target))
        assert "--force" in run(capsys, "report", RST, "-o", str(target), status=2)
        run(capsys, "report", INCIDENT, "-o", str(target), "--force")
        assert "all files are as the manifest says" in run(capsys, "verify", str(target))
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    assert "other files" in run(capsys, "report", RST, "-o", str(other), "--force", status=2)
    assert os.listdir(other) == ["mine.txt"]
    plain = tmp_path / "plain"
    plain.write_text("mine")
    for force in ([], ["--force"]):
        run(capsys, "report", RST, "-o", str(plain), *force, status=2)
    assert plain.read_text() == "mine"
    (tmp_path / "empty").mkdir()
    run(capsys, "report", RST, "-o", str(tmp_path / "empty"))


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--finding", "F1", "--call", "1"], 2),
        (["--finding", "F99"], 2),
        (["--where", "path~Nothing"], 2),
        (["--open", "-o", "x.zip"], 2),
        (["-o", "/nonexistent/b"], 2),
    ],
)
def test_wrong_usage(
    arguments: list[str],
    status: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    run(capsys, "report", RST, *arguments, status=status)
    assert os.listdir(tmp_path) == []


def test_a_source_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "report", str(tmp_path / "none.pcap"), "-o", str(tmp_path / "b"), status=3)
    assert os.listdir(tmp_path) == []


def test_an_interruption_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wirecase_cli.reports.json_v1.render", interrupted)
    for name in ("b", "b.zip"):
        assert run(capsys, "report", RST, "-o", str(tmp_path / name), status=130).endswith("nothing was written\n")
    assert os.listdir(tmp_path) == []


def test_a_removed_secret_in_a_report_stops_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reports are searched too: what one of them had from elsewhere would be found."""
    secrets: list[bytes] = []
    real = Redactor.headers

    def headers(self: Redactor, fields: list[tuple[bytes, bytes]], *, side: int) -> list[tuple[bytes, bytes]]:
        secrets.append(b"zq8WmvXhTt3L5pRc")
        self._ledger.secret(secrets[0])
        return real(self, fields, side=side)

    monkeypatch.setattr(Redactor, "headers", headers)
    drawn = json_v1.render
    monkeypatch.setattr("wirecase_cli.reports.json_v1.render", lambda found: drawn(found) + "zq8WmvXhTt3L5pRc\n")
    said = run(capsys, "report", RST, "-o", str(tmp_path / "b"), status=4)
    assert "report.json" in said and "zq8W" not in said
    assert secrets and os.listdir(tmp_path) == []


def test_it_goes_where_it_is_called_by_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(capsys, "report", RST)
    assert os.listdir(tmp_path) == ["wirecase-report"]


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_open_shows_the_report_to_a_person_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda uri: not shown.append(uri))
    assert main(["report", RST, "-o", str(tmp_path / "a"), "--open"]) == 0
    assert shown == [] and "no terminal" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdout", Screen())
    assert main(["report", RST, "-o", str(tmp_path / "b"), "--open"]) == 0
    assert shown == [(tmp_path / "b" / "report.html").as_uri()]


def test_verify_tells_what_was_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "b"
    run(capsys, "report", RST, "-o", str(folder))
    (folder / "report.md").write_text("# Nothing happened\n", encoding="utf-8")
    assert "damaged: report.md is not as the manifest says" in run(capsys, "verify", str(folder), status=1)
    case = folder / "case.pcapng"
    case.write_bytes(case.read_bytes()[:-40])
    said = run(capsys, "verify", str(folder), status=1)
    assert "damaged: case.pcapng is not as the manifest says" in said
    case.write_bytes(b"no case at all")
    assert "case.pcapng: is no case" in run(capsys, "verify", str(folder), status=3)


def test_verify_finds_secrets_in_the_reports_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "b"
    run(capsys, "report", RST, "-o", str(folder))
    with (folder / "report.md").open("a", encoding="utf-8") as file:
        file.write("and the key is AKIA" + "ABCDEFGHIJKLMNOP\n")
    said = run(capsys, "verify", str(folder), status=1)
    assert "looks like a secret: in report.md: aws-key, 1 times" in said
    assert "ABCDEFGH" not in said


def test_verify_of_what_is_no_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is no bundle" in run(capsys, "verify", str(tmp_path), status=3)
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../../evil\x1b[31m", b"x")
    said = run(capsys, "verify", str(archive), status=3)
    assert "unsafe name" in said and said.rstrip("\n").isprintable()
    assert sorted(os.listdir(tmp_path)) == ["a.zip"]


def test_where_nothing_was_found_the_case_has_all_calls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    healthy = ROOT / "fixtures/healthy-grpcjs-gzip/capture.pcapng"
    recorded = diagnose(Options([str(healthy)]))
    assert not recorded.findings and recorded.calls.total > 1
    run(capsys, "report", str(healthy), "-o", str(tmp_path / "b"))
    told = json.loads((tmp_path / "b" / "report.json").read_text(encoding="utf-8"))
    assert told["findings"] == [] and told["calls"]["ok"] == recorded.calls.ok
    assert "are found again" in run(capsys, "verify", str(tmp_path / "b"))


def test_where_there_is_no_call_either_no_bundle_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = str(ROOT / "fixtures/healthy-http1/capture.pcapng")
    assert "no gRPC call" in run(capsys, "report", plain, "-o", str(tmp_path / "b"), status=3)
    assert os.listdir(tmp_path) == []


def test_no_case_holds_any_number_of_calls(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wirecase.case.extract.MOST_CALLS", 1)
    healthy = str(ROOT / "fixtures/healthy-grpcjs-gzip/capture.pcapng")
    assert "--where" in run(capsys, "report", healthy, "-o", str(tmp_path / "b"), status=2)


def test_verify_reads_standard_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "report", RST, "-o", str(tmp_path / "b"))
    run(capsys, "report", RST, "-o", str(tmp_path / "b.zip"))
    broken = tmp_path / "broken.zip"
    broken.write_bytes((tmp_path / "b.zip").read_bytes()[:-1])
    for file, status, said in (
        (tmp_path / "b" / "case.pcapng", 0, "-: wirecase/case/1"),
        (tmp_path / "b.zip", 0, "-: wirecase/bundle/1"),
        (broken, 3, "wirecase: -: is damaged"),
        (Path(RST), 3, "wirecase: -: is no case"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "wirecase_cli", "verify", "-"], input=file.read_bytes(), capture_output=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == status
        assert (done.stderr if status else done.stdout).decode().startswith(said)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["diagnose", "--format", "html"], 1, b"rst-midbody"),
        (["diagnose", "--format", "json"], 1, b"rst-midbody"),
        (["show", "--call", "0"], 0, b"call 0"),
        (["report", "-o", "bundle.zip"], 0, b"MANIFEST.json"),
        (["verify"], 3, b": is no case"),
    ],
)
def test_a_pipe_that_has_a_name_is_read_once(arguments: list[str], status: int, said: bytes, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "wirecase_cli", *arguments, str(pipe)]
    reader = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path)
    pipe.write_bytes(Path(RST).read_bytes())
    out, err = reader.communicate(timeout=60)
    assert reader.returncode == status, err
    assert said in (out if status < 2 else err)
    if arguments[0] == "diagnose":
        assert str(pipe).encode() in out


@pytest.mark.parametrize("kept", [0, 4000])
def test_copies_of_standard_input_are_not_named(kept: int, tmp_path: Path) -> None:
    damaged = Path(RST).read_bytes()[:kept] if kept else b"no capture" * 20
    for arguments in (["diagnose", "-", "--format", "html"], ["calls", "-"], ["show", "-"], ["report", "-"],
                      ["compare", "-", RST]):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "wirecase_cli", *arguments], input=damaged, capture_output=True, timeout=60,
            check=False, cwd=tmp_path, env={**os.environ, "TMPDIR": str(tmp_path)},
        )  # fmt: skip
        assert str(tmp_path).encode() not in done.stdout + done.stderr, arguments
        assert kept or done.returncode == 3


def test_a_folder_on_another_file_system(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mounted folder is filled; nothing can be renamed into it from the folder above."""
    elsewhere = Path("/dev/shm")
    if not os.access(elsewhere, os.W_OK) or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system to write to")
    with tempfile.TemporaryDirectory(dir=elsewhere) as name:
        (tmp_path / "mounted").symlink_to(name)
        for force in ([], ["--force"]):
            run(capsys, "report", RST, "-o", str(tmp_path / "mounted"), *force)
        assert "are found again" in run(capsys, "verify", str(tmp_path / "mounted"))
    assert os.listdir(tmp_path) == ["mounted"]
