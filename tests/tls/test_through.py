"""TLS through the whole tool: key logs named, in folders and in the environment; cases without TLS; late imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wirecase.case.extract import Request, extract
from wirecase.case.redact import Policy, Redactor
from wirecase.case.select import Selection
from wirecase.errors import InputError
from wirecase.model import Diagnosis
from wirecase.pipeline import Options, diagnose
from wirecase_cli.commands.options import key_logs

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
SEALED = FIXTURES / "obs-encrypted"


def run(capture: Path, *keylogs: Path) -> Diagnosis:
    return diagnose(Options([str(capture)], keylogs=[str(one) for one in keylogs]))


def test_with_and_without_keys() -> None:
    closed = run(SEALED / "capture.pcapng")
    assert closed.calls.total == 0
    assert {finding.rule for finding in closed.findings} == {"obs-encrypted"}
    assert closed.verdict.not_inspected == ["1 TLS connection without keys"]
    opened = run(SEALED / "capture.pcapng", SEALED / "keys.log")
    assert (opened.calls.total, opened.calls.ok) == (4, 4)
    assert opened.findings == []
    for found in (closed, opened):
        assert found.accounting.captured == found.accounting.decoded + sum(found.accounting.skipped.values())
        assert not found.accounting.unbalanced


def test_a_folder_of_key_logs(tmp_path: Path) -> None:
    (tmp_path / "a.keys").write_text("# nothing\n")
    (tmp_path / "b.keys").write_bytes((SEALED / "keys.log").read_bytes())
    assert run(SEALED / "capture.pcapng", tmp_path).calls.ok == 4


def test_the_key_log_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(SEALED / "keys.log"))
    assert key_logs(None) == [str(SEALED / "keys.log")]
    assert key_logs([SEALED / "keys.log"]) == [str(SEALED / "keys.log")]
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "none"))
    assert key_logs([Path("a")]) == ["a"]


@pytest.mark.parametrize("name", ["none", "empty"])
def test_a_key_log_that_is_not_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="key log"):
        run(SEALED / "capture.pcapng", tmp_path / name)


def test_evidence_counts_the_bytes_after_tls_and_names_the_packet() -> None:
    found = run(FIXTURES / "obs-keylog" / "capture.pcapng")
    flag = next(one for one in found.findings if one.rule == "grpc-invalid-compression-flag")
    first = flag.evidence[0]
    assert (first.packet, first.offset, first.data[:10]) == (21, 63, b"Connection")


def test_a_case_is_written_without_tls_and_without_keys(tmp_path: Path) -> None:
    source = FIXTURES / "tls-truncated" / "capture.pcapng"
    made = extract(
        Request([str(source)], tmp_path / "case.pcapng", Selection(None, None, None, 0)), Redactor(Policy())
    )  # fmt: skip
    assert made.notes[0]["tls_removed"] is True
    data = made.path.read_bytes()
    assert b"PRI * HTTP/2.0" in data
    assert b"CLIENT_RANDOM" not in data
    again = run(made.path)
    assert [one.rule for one in again.findings] == ["body-cut-connection"]
    assert [one.recorded.rule for one in made.not_carried] == ["tls-truncated"]


def test_cleartext_needs_no_cryptography() -> None:
    code = (
        "import sys; from wirecase.pipeline import Options, diagnose; "
        f"diagnose(Options([{str(FIXTURES / 'rst-midbody' / 'capture.pcapng')!r}])); "
        "print('cryptography' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
