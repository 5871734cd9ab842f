"""JUnit: what CI systems read of a diagnosis, by the schema of Jenkins and by a reader of its own."""

from __future__ import annotations

import io
import json
from pathlib import Path
from xml.etree import ElementTree

import junitparser
import pytest
import xmlschema

from wirecase.model import Diagnosis, SourceInfo
from wirecase_cli.main import main
from wirecase_cli.reports import diagnosis_junit, junit

INCIDENT = str(Path(__file__).parents[2] / "fixtures/incident/capture.pcapng")


@pytest.fixture(scope="module")
def schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(str(Path(__file__).parent / "schemas" / "junit-10.xsd"))


def read(text: str) -> list[junitparser.TestSuite]:
    """What a consumer makes of it."""
    parsed = junitparser.JUnitXml.fromroot(ElementTree.parse(io.StringIO(text)).getroot())
    return list(parsed)


def outcomes(suite: junitparser.TestSuite) -> dict[str, str]:
    return {case.name: type(case.result[0]).__name__ if case.result else "Passed" for case in suite}


@pytest.mark.parametrize("name", ["incident_diagnosis", "healthy_diagnosis", "hostile_diagnosis"])
@pytest.mark.parametrize("fail_on", ["never", "info", "warning", "error"])
def test_reports_fit_the_schema(
    name: str, fail_on: str, request: pytest.FixtureRequest, schema: xmlschema.XMLSchema
) -> None:
    text = diagnosis_junit.render(request.getfixturevalue(name), fail_on=fail_on)
    schema.validate(text)
    assert "".join(ElementTree.fromstring(text).itertext()).replace("\n", "").isprintable()


def test_the_schema_can_refuse(schema: xmlschema.XMLSchema) -> None:
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        schema.validate("<testsuites><testcase/></testsuites>")


def test_a_case_for_each_rule(incident_diagnosis: Diagnosis) -> None:
    (suite,) = read(diagnosis_junit.render(incident_diagnosis))
    assert suite.name == "incident/capture.pcapng"
    assert (suite.tests, suite.failures, suite.skipped) == (9, 4, 1)
    assert outcomes(suite) == {
        "tcp-refused": "Failure", "grpc-invalid-compression-flag": "Failure", "grpc-status-missing": "Failure",
        "http-error-with-body": "Failure", "rst-midbody": "Passed", "grpc-app-status": "Passed",
        "obs-capture-ends": "Passed", "obs-encrypted": "Passed", "everything inspected": "Skipped",
    }  # fmt: skip
    flag = next(case for case in suite if case.name == "grpc-invalid-compression-flag")
    assert flag.classname == "wirecase.incident/capture_pcapng"
    assert flag.result[0].message.startswith("compression flag 67")
    assert "follows from F1" in flag.result[0].text and "43 6f 6e 6e" in flag.result[0].text
    assert "To do" not in flag.result[0].text and "to do: Treat 502" in flag.result[0].text


def test_fail_on_decides(incident_diagnosis: Diagnosis) -> None:
    def failed(fail_on: str) -> int:
        return sum(suite.failures for suite in read(diagnosis_junit.render(incident_diagnosis, fail_on=fail_on)))

    assert [failed(one) for one in ("never", "error", "warning", "info")] == [0, 4, 6, 8]


def test_a_clean_capture_has_a_case_that_passed(healthy_diagnosis: Diagnosis) -> None:
    (suite,) = read(diagnosis_junit.render(healthy_diagnosis))
    assert outcomes(suite) == {"verdict": "Passed"}


def test_several_sources(incident_diagnosis: Diagnosis) -> None:
    incident_diagnosis.sources.append(SourceInfo("b.pcap", "cd" * 32, "pcap", 3, 300))
    incident_diagnosis.failures.append("c.pcap: no capture")
    first, second, rest = read(diagnosis_junit.render(incident_diagnosis))
    assert (first.failures, second.failures) == (2, 0)
    assert outcomes(second) == {"verdict": "Passed"}
    told = outcomes(rest)
    assert told["c.pcap: no capture"] == "Error"
    assert told["everything inspected"] == "Skipped"
    assert told["grpc-status-missing"] == "Failure"  # it has no evidence that names a source


def test_names_stay_where_the_capture_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", "--format", "junit", INCIDENT]) == 1
    once = capsys.readouterr().out
    assert main(["diagnose", "--format", "junit", INCIDENT]) == 1
    assert capsys.readouterr().out == once
    assert main(["diagnose", "--format", "json", INCIDENT]) == 1
    rules = {one["rule"] for one in json.loads(capsys.readouterr().out)["findings"]}
    (suite,) = read(once)
    assert rules == set(outcomes(suite)) - {"verdict", "everything inspected"}


def test_a_source_that_cannot_be_read_is_a_case_in_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], schema: xmlschema.XMLSchema
) -> None:
    broken = tmp_path / "no.pcap"
    broken.write_bytes(b"no capture at all, and long enough to be looked at")
    assert main(["diagnose", "--format", "junit", str(broken), INCIDENT]) == 3
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    schema.validate(out)
    assert sum(suite.errors for suite in read(out)) == 1


def test_every_outcome_of_the_writer(schema: xmlschema.XMLSchema) -> None:
    cases = [
        junit.Case("a", "c", lines=["said \x1b[31m"]),
        junit.Case("b", "c", "failure", "why", "kind", ["more", "]]>"]),
        junit.Case("d", "c", "error", "broken"),
        junit.Case("e", "c", "skipped", "not told"),
    ]
    text = junit.document("x", [junit.Suite("s", cases, -1.0, {"k": "v"}, ["out"])])
    schema.validate(text)
    (suite,) = read(text)
    assert (suite.tests, suite.failures, suite.errors, suite.skipped, suite.time) == (4, 1, 1, 1, 0.0)
