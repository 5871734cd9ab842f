"""The list of formats, and what is masked in those that travel."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wirecase.errors import UsageError
from wirecase.model import Diagnosis
from wirecase_cli.commands import guide
from wirecase_cli.reports import formats, masking
from wirecase_cli.reports.job import Job, failing
from wirecase_cli.reports.json_v1 import report

ROOT = Path(__file__).parents[2]
INCIDENT = str(ROOT / "fixtures/incident/capture.pcapng")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("cli", "decoders"))}
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
AWS = "AKIA" + "ZQ8WMVXHTT3L5PRC"
PASSWORD = "hT3L5pRcZq8W"


@pytest.fixture
def leaky(incident_diagnosis: Diagnosis) -> Diagnosis:
    """Credentials in every place that a capture can write to."""
    found = copy.deepcopy(incident_diagnosis)  # parts of it are shared by all tests
    for one in found.findings:
        one.title += f" Bearer {JWT}"
        one.explanation += f" {AWS}"
        one.path = f"/a.B/C?api_key={PASSWORD}"
        one.details |= {"text": f"key {AWS}", "raw": f"key {JWT}".encode(), "password": PASSWORD, "more": [AWS, 1]}
        one.ids = {"authorization": PASSWORD, "x-request-id": AWS}
        one.fix = one.retry_why = f"use {AWS}"
        for shown in one.evidence:
            shown.note += f" {AWS}"
            shown.data += f" {JWT} ".encode()
        for occurrence in one.occurrences:
            occurrence.path = one.path
        for sees in one.client_sees:
            sees.text += f" {JWT}"
    found.sources[0].path = f"https://me:{PASSWORD}@store/a.pcap"
    found.verdict.headline += f" {AWS}"
    found.verdict.not_inspected.append(AWS)
    found.verdict.blast.paths.append(f"/{AWS}")
    found.calls.by_status[AWS] = 1
    found.failures.append(f"cannot read {AWS}")
    return found


def everywhere(value: object) -> Iterator[str]:
    match value:
        case dict():
            for name, inner in value.items():
                yield str(name)
                yield from everywhere(inner)
        case list():
            for inner in value:
                yield from everywhere(inner)
        case _:
            yield str(value)


def test_a_masked_diagnosis_has_no_credential_left(leaky: Diagnosis) -> None:
    before = copy.deepcopy(leaky)
    masked = masking.diagnosis(leaky)
    assert leaky == before  # it is a copy
    said = "\n".join(everywhere(report(masked)))
    for secret in (JWT, AWS, PASSWORD):
        assert secret not in said
        assert secret.encode().hex() not in said
        assert secret in "\n".join(everywhere(report(leaky)))
    assert [one.id for one in masked.findings] == [one.id for one in leaky.findings]
    for one, other in zip(leaky.findings, masked.findings, strict=True):
        assert [len(shown.data) for shown in one.evidence] == [len(shown.data) for shown in other.evidence]


def test_nothing_else_is_changed(incident_diagnosis: Diagnosis, hostile_diagnosis: Diagnosis) -> None:
    for found in (incident_diagnosis, hostile_diagnosis):
        assert repr(masking.diagnosis(found)) == repr(found)


@pytest.mark.parametrize("form", formats.FORMATS, ids=lambda form: form.name)
def test_formats_that_travel_are_masked(form: formats.Format, leaky: Diagnosis) -> None:
    text = formats.write(leaky, form, Job(to_file=True))
    assert text.endswith("\n")
    found = [secret for secret in (JWT, AWS, PASSWORD) if secret in text]
    assert found == ([] if form.masked else found) and (form.masked or found)


@pytest.mark.parametrize("form", formats.FORMATS, ids=lambda form: form.name)
@pytest.mark.parametrize("name", ["healthy_diagnosis", "hostile_diagnosis"])
def test_every_format_draws_every_sample(form: formats.Format, name: str, request: pytest.FixtureRequest) -> None:
    text = formats.write(request.getfixturevalue(name), form, Job(to_file=True))
    assert not set(text) & set("\x1b\x07\x85\x9b\u202e\u2066\u200b\x00")


@pytest.mark.parametrize("name", [one.name for one in formats.FORMATS if one.again or one.listener] + ["sarif"])
def test_standard_input(name: str, tmp_path: Path) -> None:
    """Formats that read the sources again get them from a pipe, too."""
    command = [sys.executable, "-m", "wirecase_cli", "diagnose", "--format", name, "-o", str(tmp_path / "report"), "-"]
    with Path(INCIDENT).open("rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True, check=False, env=ENVIRONMENT)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")
    assert (tmp_path / "report").stat().st_size > 10_000


def test_names() -> None:
    assert len(set(formats.NAMES)) == len(formats.NAMES)
    page = guide.text("reports")
    assert all(f"| `{name}` |" in page for name in formats.NAMES)
    assert [one.masked for one in formats.FORMATS] == [f"| `{one.name}` |" in _masked(page) for one in formats.FORMATS]
    with pytest.raises(UsageError, match="terminal, json"):
        formats.named("yaml")
    assert formats.complete("j") == ["json", "junit"]
    assert failing("never") == frozenset()
    assert failing("warning") == {"warning", "error"}


def _masked(page: str) -> str:
    return "\n".join(line for line in page.splitlines() if line.endswith("| masked |"))
