"""Exit statuses, error lines, files and pipes: how the command behaves towards the one who called it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from wirecase import errors
from wirecase.model import Diagnosis
from wirecase_cli import moments
from wirecase_cli.main import main

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "WIRECASE_DEBUG")},
    "PYTHONPATH": os.pathsep.join([str(ROOT / "cli"), str(ROOT / "decoders")]),
}


class Stub:
    """Stands in for the pipeline: hands back a prepared answer and keeps what it was asked."""

    def __init__(self) -> None:
        self.answer: Diagnosis | BaseException | None = None
        self.asked: Any = None

    def diagnose(self, options: Any, *, progress: Any = None, stop: Any = None, opened: Any = None) -> Diagnosis:
        self.asked = options
        if isinstance(self.answer, BaseException):
            raise self.answer
        assert self.answer is not None
        return self.answer


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, incident_diagnosis: Diagnosis) -> Stub:
    found = Stub()
    found.answer = incident_diagnosis
    module = types.ModuleType("wirecase.pipeline")
    module.Options = types.SimpleNamespace  # type: ignore[attr-defined]
    module.diagnose = found.diagnose  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wirecase.pipeline", module)
    import wirecase

    monkeypatch.setattr(wirecase, "pipeline", module, raising=False)
    nothing = types.SimpleNamespace(begin=lambda: None, total_bytes=None)
    monkeypatch.setattr("wirecase.sources.open_sources", lambda *_, **__: nothing)
    return found


@pytest.mark.parametrize(
    ("fail_on", "severities", "status"),
    [
        ("error", ["error"], 1),
        ("error", ["warning", "info"], 0),
        ("warning", ["warning"], 1),
        ("warning", ["info"], 0),
        ("info", ["info"], 1),
        ("never", ["error", "warning", "info"], 0),
        ("info", [], 0),
    ],
)
def test_findings_decide_the_status(
    stub: Stub, incident_diagnosis: Diagnosis, fail_on: str, severities: list[Any], status: int
) -> None:
    del incident_diagnosis.findings[len(severities) :]
    for one, severity in zip(incident_diagnosis.findings, severities, strict=True):
        one.severity = severity
    assert main(["diagnose", "--fail-on", fail_on, "x.pcap"]) == status


def test_an_unreadable_input_wins_over_findings(
    stub: Stub, incident_diagnosis: Diagnosis, capsys: pytest.CaptureFixture[str]
) -> None:
    incident_diagnosis.failures.append("b.pcap: no capture")
    assert main(["diagnose", "a.pcap", "b.pcap"]) == 3
    out, err = capsys.readouterr()
    assert err == "wirecase: b.pcap: no capture\n"
    assert "F2 compression flag 67" in out


def test_nothing_readable_gives_one_line_and_no_report(
    stub: Stub, healthy_diagnosis: Diagnosis, capsys: pytest.CaptureFixture[str]
) -> None:
    healthy_diagnosis.sources.clear()
    healthy_diagnosis.failures.append("b.pcap: no capture\x1b[2J")
    stub.answer = healthy_diagnosis
    assert main(["diagnose", "b.pcap"]) == 3
    assert capsys.readouterr() == ("", "wirecase: b.pcap: no capture\\x1b[2J\n")
    assert main(["diagnose", "--format", "json", "b.pcap"]) == 3
    assert json.loads(capsys.readouterr().out)["failures"] == ["b.pcap: no capture\x1b[2J"]


def test_interrupted_prints_what_is_known(
    stub: Stub, incident_diagnosis: Diagnosis, capsys: pytest.CaptureFixture[str]
) -> None:
    incident_diagnosis.interrupted = True
    assert main(["diagnose", "x.pcap"]) == 130
    out = capsys.readouterr().out
    assert "F2 compression flag 67" in out
    assert "Interrupted:" in out


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (errors.InputError("x.pcap: no such file"), 3, "wirecase: x.pcap: no such file\n"),
        (errors.UsageError("--host is odd"), 2, "wirecase: --host is odd\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_declared_failures_are_one_line(
    stub: Stub, error: BaseException, status: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.answer = error
    assert main(["diagnose", "x.pcap"]) == status
    assert capsys.readouterr() == ("", line)


def test_a_defect_is_one_line_and_a_traceback_only_on_demand(
    stub: Stub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WIRECASE_DEBUG", raising=False)
    stub.answer = ZeroDivisionError("division by zero\x1b[31m")
    assert main(["diagnose", "x.pcap"]) == 70
    err = capsys.readouterr().err
    assert err.startswith("wirecase: defect: ZeroDivisionError at test_commands.py:")
    assert err.count("\n") == 1
    assert "\x1b" not in err
    monkeypatch.setenv("WIRECASE_DEBUG", "1")
    assert main(["diagnose", "x.pcap"]) == 70
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["--nonsense"],
        ["diagnose"],
        ["diagnose", "--nonsense", "x"],
        ["diagnose", "--format", "xml", "x"],
        ["diagnose", "--fail-on", "sometimes", "x"],
        ["diagnose", "--port", "0", "x"],
        ["diagnose", "--port", "65536", "x"],
        ["diagnose", "--port", "http", "x"],
        ["diagnose", "--since", "yesterday", "x"],
        ["diagnose", "--since", "2025-06-01T12:00:00Z", "--until", "2025-06-01T11:00:00Z", "x"],
        ["diagnose", "--output", "/nonexistent/report", "x"],
        ["diagnose", "--output", "/", "x"],
        ["diagnose", "--keylog"],
        ["replay"],
        ["guide", "nonsense"],
        ["doctor", "--format", "markdown"],
    ],
)
def test_a_wrong_command_line_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("wirecase: ")
    assert err.count("\n") == 1


def test_options_reach_the_pipeline(stub: Stub) -> None:
    arguments = "--keylog a.keys --keylog b.keys --port 50051 --port 8080 --host 10.0.0.2 --path /Do"
    times = ["--since", "2025-06-01T12:00:00Z", "--until", "1748779260.5"]
    main(["diagnose", *arguments.split(), *times, "x.pcap", "y.pcap"])
    asked = stub.asked
    assert asked.sources == ["x.pcap", "y.pcap"]
    assert asked.keylogs == ["a.keys", "b.keys"]
    assert asked.ports == [50051, 8080]
    assert (asked.host, asked.path) == ("10.0.0.2", "/Do")
    assert (asked.since, asked.until) == (1_748_779_200_000_000_000, 1_748_779_260_500_000_000)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0", 0),
        ("1748779200", 1_748_779_200 * 10**9),
        ("1748779200.000000001", 1_748_779_200 * 10**9 + 1),
        ("2025-06-01T12:00:00Z", 1_748_779_200 * 10**9),
        ("2025-06-01 12:00", 1_748_779_200 * 10**9),
        ("2025-06-01T12:00:00.123456789Z", 1_748_779_200_123_456_789),
        ("2025-06-01T14:00:00+02:00", 1_748_779_200 * 10**9),
        ("2025-06-01T08:00:00-0400", 1_748_779_200 * 10**9),
        ("-90s", 10**18 - 90 * 10**9),
        ("-15m", 10**18 - 900 * 10**9),
        ("-2h", 10**18 - 7200 * 10**9),
        ("-1d", 10**18 - 86400 * 10**9),
    ],
)
def test_moments(text: str, ns: int) -> None:
    assert moments.parse(text, "--since", now=10**18) == ns


@pytest.mark.parametrize(
    "text", ["", "x", "12:00", "+5m", "-5x", "2025-13-01T00:00:00Z", "2025-06-01T25:00:00Z", "1e9"]
)
def test_moments_that_are_none(text: str) -> None:
    with pytest.raises(errors.UsageError, match="--since"):
        moments.parse(text, "--since")


def test_output_goes_to_a_file_and_never_over_another(
    stub: Stub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    assert main(["diagnose", "--format", "json", "--output", str(report), "x.pcap"]) == 1
    assert capsys.readouterr() == ("", "")
    assert json.loads(report.read_text())["schema"] == "wirecase/report/1"
    assert [one.name for one in tmp_path.iterdir()] == ["report.json"], "no temporary file is left"

    assert main(["diagnose", "--output", str(report), "x.pcap"]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["diagnose", "--force", "--output", str(report), "x.pcap"]) == 1
    assert report.read_text().startswith("wirecase 0.1.0\n")
    assert "\x1b" not in report.read_text()


def test_output_never_overwrites_an_input(stub: Stub, tmp_path: Path) -> None:
    capture = tmp_path / "x.pcap"
    capture.write_bytes(b"precious")
    assert main(["diagnose", "--force", "--output", str(capture), str(capture)]) == 2
    assert capture.read_bytes() == b"precious"


def test_a_report_that_cannot_be_written_is_status_4(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert main(["diagnose", "--output", str(tmp_path / "r"), "x.pcap"]) == 4
    assert capsys.readouterr().err.endswith("No space left on device\n")
    assert list(tmp_path.iterdir()) == []


def test_version_imports_nothing_heavy() -> None:
    script = (
        "import sys; from wirecase_cli.main import main; status = main(['--version']);"
        "heavy = {'typer', 'click', 'rich', 'numpy', 'json', 'asyncio', 'inspect'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else status)"
    )
    done = subprocess.run([sys.executable, "-c", script], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("wirecase ")


def test_version_beside_other_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-V"]) == 0
    assert capsys.readouterr().out.startswith("wirecase ")


CAPTURE = str(ROOT / "fixtures" / "incident" / "capture.pcapng")
"""Any that can be opened; what is told of it is prepared."""

STUBBED = """
import runpy, sys, types
sample = runpy.run_path({sample!r})
module = types.ModuleType("wirecase.pipeline")
module.Options = types.SimpleNamespace
module.diagnose = lambda options, **_: sample["incident"]()
sys.modules["wirecase.pipeline"] = module
import wirecase
wirecase.pipeline = module
from wirecase_cli.main import main
sys.exit(main())
"""


def stubbed(*arguments: str) -> list[str]:
    return [sys.executable, "-c", STUBBED.format(sample=str(ROOT / "tests" / "cli" / "conftest.py")), *arguments]


@pytest.mark.parametrize(
    "arguments", [["diagnose", CAPTURE], ["diagnose", "--format", "json", CAPTURE], ["guide", "capturing"], ["--help"]]
)
def test_a_closed_pipe_ends_quietly(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        stubbed(*arguments), env=ENVIRONMENT, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == int(arguments[0] == "diagnose"), "the verdict is still told"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output_is_told() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            stubbed("diagnose", CAPTURE), env=ENVIRONMENT, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 4
    assert done.stderr == "wirecase: cannot write to standard output: No space left on device\n"


def test_a_closed_standard_output_is_no_defect() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *stubbed("diagnose", CAPTURE)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")


def test_a_pipe_has_eighty_columns_and_no_colour() -> None:
    environment = {**ENVIRONMENT, "COLUMNS": "200", "TERM": "xterm-256color"}
    done = subprocess.run(stubbed("diagnose", CAPTURE), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.split("\n"))) == 80


@pytest.mark.parametrize(
    ("extra", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "0"}, False),
    ],
)
def test_no_color_and_force_color(extra: dict[str, str], coloured: bool) -> None:
    environment = ENVIRONMENT | extra
    done = subprocess.run(stubbed("diagnose", CAPTURE), env=environment, capture_output=True, text=True, check=False)
    assert ("\x1b[" in done.stdout) is coloured


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_of_standard_output(encoding: str) -> None:
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": encoding}
    done = subprocess.run(stubbed("diagnose", CAPTURE), env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"")
    assert ("✗" in done.stdout.decode(encoding)) is (encoding == "utf-8")


INTERRUPTED = """
import runpy, sys, time, types
sample = runpy.run_path({sample!r})
def diagnose(options, stop, **_):
    print("reading", file=sys.stderr, flush=True)
    found = sample["incident"]()
    deadline = time.monotonic() + 20
    while not stop() and time.monotonic() < deadline:
        time.sleep(0.01)
    found.interrupted = stop()
    return found
module = types.ModuleType("wirecase.pipeline")
module.Options, module.diagnose = types.SimpleNamespace, diagnose
sys.modules["wirecase.pipeline"] = module
import wirecase
wirecase.pipeline = module
from wirecase_cli.main import main
sys.exit(main())
"""


READING = """
import sys
from wirecase import pipeline
from wirecase_cli.main import main
read = pipeline.diagnose
told = []
def progress(done, total):
    if not told:
        told.append(print("reading", file=sys.stderr, flush=True))
def diagnose(options, stop, **_):
    return read(options, progress=progress, stop=stop)
pipeline.diagnose = diagnose
sys.exit(main())
"""


def test_ctrl_c_prints_what_is_known_so_far() -> None:
    script = INTERRUPTED.format(sample=str(ROOT / "tests" / "cli" / "conftest.py"))
    process = subprocess.Popen(
        [sys.executable, "-c", script, "diagnose", CAPTURE],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "reading\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Interrupted: this is what was known" in out
    assert err == ""


def test_ctrl_c_ends_a_quiet_pipe() -> None:
    capture = (ROOT / "fixtures" / "incident" / "capture.pcapng").read_bytes()
    process = subprocess.Popen(
        [sys.executable, "-c", READING, "diagnose", "-"],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(capture[: len(capture) // 2])
    process.stdin.flush()
    assert process.stderr.readline() == b"reading\n"
    process.send_signal(signal.SIGINT)  # and the pipe stays open
    assert process.wait(timeout=30) == 130
    assert process.stdout is not None
    assert b"Interrupted: this is what was known" in process.stdout.read()
    assert process.stderr.read() == b""
    for stream in (process.stdin, process.stdout, process.stderr):
        with contextlib.suppress(BrokenPipeError):
            stream.close()


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--format", "json"]) == 0
    checks = {one["name"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["python"]["state"] == "ok"
    assert {"typer", "rich", "numpy", "tshark", "dumpcap", "tcpdump", "capture", "SSLKEYLOGFILE"} <= set(checks)
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in checks)


def test_doctor_names_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from wirecase.sources.tshark import program
    from wirecase_cli.commands import doctor

    monkeypatch.setattr(doctor, "_MODULES", (("no_such_module", "no-such", True, ""),))
    monkeypatch.setattr(doctor, "_find", lambda name: None)
    monkeypatch.setattr(program, "find", lambda: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.delenv("SSLKEYLOGFILE", raising=False)
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "missing, and required" in out
    assert "-m pip install no-such" in out
    assert program.install_hint() in out
    assert "captures that others took can be diagnosed" in out


def test_guide_lists_and_prints_its_pages(capsys: pytest.CaptureFixture[str]) -> None:
    from wirecase_cli.commands import guide

    pages = {one.stem for one in (ROOT / "cli" / "wirecase_cli" / "pages").glob("*.md")}
    assert pages == set(guide.PAGES)
    assert main(["guide"]) == 0
    listed = capsys.readouterr().out
    for name in pages:
        assert name in listed
        assert main(["guide", name]) == 0
        assert capsys.readouterr().out == guide.text(name)


def test_a_device_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    done = subprocess.run(
        stubbed("diagnose", "--output", str(pipe), CAPTURE), env=ENVIRONMENT, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert os.read(reading, 1 << 16).startswith(b"wirecase")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    os.close(reading)
