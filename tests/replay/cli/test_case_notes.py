"""What the Markdown report says of a case: nothing in its manifest comes alive."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wirecase_cli.main import main
from wirecase_cli.reports import case_notes
from wirecase_cli.reports.case_notes import CaseNotes

FIXTURES = Path(__file__).parents[3] / "fixtures"
FLAG = str(FIXTURES / "grpc-invalid-compression-flag" / "capture.pcapng")
NASTY = "\x1b[31m ``` `x` <b> @someone #1 https://evil.example | \u202e\n- **no**"


def markdown(capsys: pytest.CaptureFixture[str], path: str) -> str:
    assert main(["diagnose", "--fail-on", "never", "--format", "markdown", path]) == 0
    return capsys.readouterr().out


def test_a_case_is_named(tmp_path, capsys):
    target = tmp_path / "my case.pcapng"
    page = tmp_path / "case.md"
    assert main(["extract", FLAG, "-o", str(target), "--markdown", str(page)]) == 0
    told = capsys.readouterr().out
    assert "wirecase replay FILE" in told
    text = markdown(capsys, str(target))
    assert page.read_text(encoding="utf-8") == text
    assert re.search(
        r"^- \*\*Case:\*\* `.*my case.pcapng`, SHA-256 `[0-9a-f]{64}`, made by wirecase [\d.]+ with `wirecase",
        text,
        re.M,
    )
    assert "cut from a capture with SHA-256" in text
    assert text.rstrip().endswith(f"`wirecase replay '{target}' --finding F1 -- ./client {{target}}`")


def test_a_capture_is_no_case(capsys):
    text = markdown(capsys, FLAG)
    assert "**Case:**" not in text
    assert "Replay it to a client: `wirecase replay " in text


@pytest.mark.parametrize("name", ["tcp-refused", "tcp-retransmission-storm"])
def test_what_cannot_be_replayed_has_no_such_line(name, capsys):
    assert "wirecase replay" not in markdown(capsys, str(FIXTURES / name / "capture.pcapng"))


def test_neither_has_what_is_healthy(capsys):
    sound = next(FIXTURES.glob("*healthy*/capture.pcapng"), None)
    if sound is None:
        pytest.skip("no healthy fixture")
    assert "wirecase replay" not in markdown(capsys, str(sound))


def test_hostile_manifests():
    from wirecase.model import Accounting, Blast, CallTotals, Diagnosis, SourceInfo, Verdict

    source = SourceInfo(NASTY, NASTY, "pcapng")
    found = Diagnosis(
        "1", [source], Verdict("", [], [], Blast(0, 0, 0.0, [], None, None)), [], CallTotals(), Accounting()
    )
    manifest = {
        "version": NASTY, "command": NASTY, "sources": [{"sha256": NASTY, "packets": "x"}, 5, {}],
        "redaction": {"payloads": NASTY}, "not_carried": [{"rule": NASTY, "why": NASTY}, None],
    }  # fmt: skip
    for made in (manifest, {"version": 1, "command": None, "sources": {}, "redaction": [], "not_carried": 7}, {}):
        lines = list(case_notes.head(found, CaseNotes({0: made})))
        assert all(line.isprintable() for line in lines)
        bare = re.sub(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", "\n".join(lines))
        assert not set(bare) & set("<>@#`|\x1b"), bare


def test_the_markdown_of_extract_overwrites_nothing(tmp_path, capsys):
    page = tmp_path / "case.md"
    page.write_text("mine")
    target = tmp_path / "case.pcapng"
    assert main(["extract", FLAG, "-o", str(target), "--markdown", str(page)]) == 2
    assert "--force" in capsys.readouterr().err
    assert page.read_text() == "mine" and not target.exists()
    assert main(["extract", FLAG, "-o", str(target), "--markdown", str(target)]) == 2
    assert "is the case itself" in capsys.readouterr().err
