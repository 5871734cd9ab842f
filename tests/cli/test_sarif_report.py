"""SARIF: it fits the standard's schema, its numbers lead to what they name, its fingerprints stay."""

from __future__ import annotations

import base64
import copy
import json
import random
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest

from wirecase.model import Diagnosis, Evidence, SourceInfo
from wirecase.rules import ALL_RULES
from wirecase_cli.main import main
from wirecase_cli.reports import sarif, sarif_rules, uris

ROOT = Path(__file__).parents[2]
INCIDENT = str(ROOT / "fixtures/incident/capture.pcapng")
SCHEMA = json.loads((Path(__file__).parent / "schemas" / "sarif-schema-2.1.0.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER)


def log(found: Diagnosis, status: int = 0) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(sarif.render(found, status=status))
    VALIDATOR.validate(document)
    return document["runs"][0]  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["incident_diagnosis", "healthy_diagnosis", "hostile_diagnosis"])
def test_reports_fit_the_schema(name: str, request: pytest.FixtureRequest) -> None:
    run = log(request.getfixturevalue(name))
    assert run["tool"]["driver"]["name"] == "wirecase"


def test_the_schema_can_refuse(incident_diagnosis: Diagnosis) -> None:
    document = json.loads(sarif.render(incident_diagnosis))
    document["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(document)


def test_a_real_capture(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["diagnose", "--format", "sarif", "fixtures/incident/capture.pcapng"]) == 1
    document = json.loads(capsys.readouterr().out)
    VALIDATOR.validate(document)
    run = document["runs"][0]
    assert run["artifacts"][0]["location"] == {"uri": "fixtures/incident/capture.pcapng"}
    assert run["invocations"] == [{"executionSuccessful": True, "exitCode": 1}]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        places = result["locations"] + result.get("relatedLocations", [])
        places += [
            step["location"] for flow in result.get("codeFlows", []) for step in flow["threadFlows"][0]["locations"]
        ]
        for place in places:
            at = place["physicalLocation"]["artifactLocation"]
            assert run["artifacts"][at["index"]]["location"]["uri"] == at["uri"]
    nested = [one for one in run["artifacts"] if "parentIndex" in one]
    assert nested and all(one["parentIndex"] == 0 for one in nested)
    assert len({one["location"]["uri"] for one in run["artifacts"]}) == len(run["artifacts"])


def test_levels_causes_and_evidence(incident_diagnosis: Diagnosis) -> None:
    run = log(incident_diagnosis, 1)
    results = {one["properties"]["id"]: one for one in run["results"]}
    assert [results[name]["level"] for name in ("F1", "F5", "F6")] == ["error", "warning", "note"]
    assert results["F2"]["occurrenceCount"] == 31
    steps = results["F3"]["codeFlows"][0]["threadFlows"][0]["locations"]
    assert [step["location"]["message"]["text"].split()[0] for step in steps] == ["F1", "F2", "F3"]
    assert [step["nestingLevel"] for step in steps] == [0, 1, 2]
    assert "codeFlows" not in results["F1"]
    first = results["F2"]["relatedLocations"][0]
    region = first["physicalLocation"]["region"]
    assert (region["byteOffset"], region["byteLength"]) == (1230, 157)
    assert base64.b64decode(region["snippet"]["binary"]) == incident_diagnosis.findings[1].evidence[0].data
    assert first["physicalLocation"]["artifactLocation"]["uri"] == "connections/0/server"
    assert first["properties"]["packet"] == 41
    assert results["F2"]["locations"][0]["properties"] == {"packet": 41}
    whole = {"byteOffset": 0, "byteLength": 311_022}
    assert results["F2"]["locations"][0]["physicalLocation"]["region"] == whole
    assert results["F1"]["relatedLocations"][0]["physicalLocation"]["region"] == whole  # an RST has no bytes


def test_what_could_not_be_read(incident_diagnosis: Diagnosis) -> None:
    incident_diagnosis.failures.append("b.pcap: no capture")
    incident_diagnosis.interrupted = True
    invocation = log(incident_diagnosis, 130)["invocations"][0]
    assert invocation["executionSuccessful"] is False and invocation["exitCode"] == 130
    told = [(one["level"], one["message"]["text"]) for one in invocation["toolExecutionNotifications"]]
    assert ("error", "b.pcap: no capture") in told
    assert ("warning", "not inspected: 3 TLS connections without keys") in told


def prints(found: Diagnosis) -> dict[str, str]:
    return {one["properties"]["id"]: one["partialFingerprints"][sarif.FINGERPRINT] for one in log(found)["results"]}


def test_fingerprints_name_the_fault_and_not_the_capture(incident_diagnosis: Diagnosis) -> None:
    before = prints(incident_diagnosis)
    assert len(set(before.values())) == len(before)
    again = copy.deepcopy(incident_diagnosis)
    chance = random.Random(1)
    for one in again.findings:
        one.time = chance.randrange(1 << 60)
        one.stream, one.call, one.count = chance.randrange(99), chance.randrange(99), chance.randrange(1, 99)
        one.connection = None
        for shown in one.evidence:
            shown.packet, shown.offset, shown.time = chance.randrange(999), chance.randrange(999), chance.randrange(999)
    assert prints(again) == before
    again.findings[1].details["flag"] = 60
    changed = prints(again)
    assert {name for name in before if changed[name] != before[name]} == {"F2"}


def test_alike_findings_are_numbered(incident_diagnosis: Diagnosis) -> None:
    twin = copy.deepcopy(incident_diagnosis.findings[4])
    twin.id = "F9"
    incident_diagnosis.findings.append(twin)
    found = prints(incident_diagnosis)
    assert found["F5"].split(":")[0] == found["F9"].split(":")[0]
    assert (found["F5"][-2:], found["F9"][-2:]) == (":1", ":2")


def test_causes_that_form_a_circle(incident_diagnosis: Diagnosis) -> None:
    incident_diagnosis.findings[0].caused_by = "F3"
    log(incident_diagnosis)


def test_nothing_of_a_capture_is_markup(hostile_diagnosis: Diagnosis) -> None:
    text = sarif.render(hostile_diagnosis)
    assert text.isascii()
    for result in json.loads(text)["runs"][0]["results"]:
        said = result["message"]["text"]
        assert said.isprintable()
        assert "[bold]" not in said and "\\[bold\\]" in said  # a link needs its brackets bare
    assert sarif_rules.message("{0} of [a](b) \\") == {"text": "{{0}} of \\[a\\](b) \\\\"}
    assert sarif_rules.message("") == {"text": "-"}


def test_evidence_of_a_source_that_is_not_there(incident_diagnosis: Diagnosis) -> None:
    incident_diagnosis.findings[0].evidence.append(Evidence("context", "elsewhere", 7, "client", 3))
    incident_diagnosis.findings[0].evidence.append(Evidence("context", "nowhere"))
    log(incident_diagnosis)


def test_every_rule_is_described() -> None:
    for rule in ALL_RULES:
        found = sarif_rules.descriptor(rule.id)
        assert found["help"]["text"] and found["help"]["markdown"].startswith(f"# {rule.id}\n")
        if "helpUri" in found:
            parts = urlsplit(found["helpUri"])
            assert parts.scheme == "https" and parts.hostname
    assert sarif_rules.descriptor("a-rule-of-tomorrow") == {"id": "a-rule-of-tomorrow"}
    assert sarif_rules.reference_uri("RFC 9113 §8.1") == "https://www.rfc-editor.org/rfc/rfc9113.html#section-8.1"
    assert sarif_rules.reference_uri("wirecase: the observer's limits") is None


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("a/b.pcap", "a/b.pcap"),
        ("/var/a b.pcap", "file:///var/a%20b.pcap"),
        ("//host/a", "file:///host/a"),
        ("-", "stdin"),
        ("a:b/c.pcap", "./a:b/c.pcap"),
        ("100%?#.pcap", "100%25%3F%23.pcap"),
        ("s3://bucket/a.pcap", "s3://bucket/a.pcap"),
        ("ü\udcff.pcap", "%C3%BC%FF.pcap"),
        ("\ud800", "%5Cud800"),
    ],
)
def test_paths_as_uris(path: str, uri: str, healthy_diagnosis: Diagnosis) -> None:
    assert uris.artifact_uri(path) == uri
    if "://" not in uri and path.isascii() and not path.startswith(("-", "a:")):
        assert unquote(uri) == path
    healthy_diagnosis.sources = [SourceInfo(path)]
    log(healthy_diagnosis)
