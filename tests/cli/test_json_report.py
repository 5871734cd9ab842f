"""The report for machines: its schema, its names, and what it does with hostile values."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import jsonschema
import pytest

from wirecase.model import Diagnosis
from wirecase_cli.reports import json_v1
from wirecase_cli.reports.times import rfc3339


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    text = resources.files("wirecase_cli").joinpath("reports", "report_v1.schema.json").read_text()
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", ["incident_diagnosis", "healthy_diagnosis", "hostile_diagnosis"])
def test_reports_fit_the_schema(name: str, request: pytest.FixtureRequest, validator: Any) -> None:
    validator.validate(json.loads(json_v1.render(request.getfixturevalue(name))))


def test_the_schema_refuses_what_is_not_in_the_contract(incident_diagnosis: Diagnosis, validator: Any) -> None:
    for place in ([], ["verdict"], ["findings", 0], ["findings", 1, "evidence", 0], ["accounting"]):
        report = json_v1.report(incident_diagnosis)
        inner: Any = report
        for step in place:
            inner = inner[step]
        inner["surprise"] = 1
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(report)
        del inner["surprise"]
        inner.popitem()
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(report)


def test_details_are_open(incident_diagnosis: Diagnosis, validator: Any) -> None:
    incident_diagnosis.findings[0].details["anything"] = {"nested": [1, "two", None]}
    validator.validate(json_v1.report(incident_diagnosis))


def test_names_and_values(incident_diagnosis: Diagnosis) -> None:
    report = json.loads(json_v1.render(incident_diagnosis))
    assert report["schema"] == "wirecase/report/1"
    assert report["sources"][0]["first"] == "2025-06-01T12:00:00.123456789Z"
    flag = report["findings"][1]
    assert flag["id"] == "F2"
    assert flag["caused_by"] == "F1"
    assert flag["connection"] == {"index": 0, "client": "10.0.0.7:41822", "server": "10.0.0.2:443"}
    assert flag["count"] == 31
    assert len(flag["occurrences"]) == 31
    assert flag["occurrences"][1] == {
        "connection": 0,
        "stream": 7,
        "call": 3,
        "path": "/arrow.flight.protocol.FlightService/DoGet",
        "packet": 42,
        "record": None,
        "time": "2025-06-01T12:00:00.164456789Z",
    }
    evidence = flag["evidence"][0]
    assert (evidence["source"], evidence["packet"], evidence["offset"], evidence["length"]) == (0, 41, 1230, 157)
    assert bytes.fromhex(evidence["hex"]).startswith(b"Connection refused")
    assert evidence["text"].startswith("Connection refused by upstream 10.0.0.5\\n<html>")
    assert report["verdict"]["blast"]["calls"] == 32
    assert report["accounting"]["skipped"] == [
        {"reason": "retransmitted", "bytes": 6000},
        {"reason": "not TCP", "bytes": 4000},
    ]


def test_values_that_json_lacks(incident_diagnosis: Diagnosis) -> None:
    details = json.loads(json_v1.render(incident_diagnosis))["findings"][1]["details"]
    assert details["share"] is None
    assert details["body"] == "\\x1b]52;c;"
    assert details["flags_later"] == [111, 110]


def test_no_byte_outside_of_printable_ascii(hostile_diagnosis: Diagnosis) -> None:
    text = json_v1.render(hostile_diagnosis)
    assert all(" " <= char <= "~" or char == "\n" for char in text)
    assert "\\ud" not in text.lower().replace("\\udb40", "").replace("\\udc41", ""), "a lone surrogate"
    assert "\x1b" in json.loads(text)["findings"][0]["details"]["text"], "nothing is lost either"


def test_at_most_a_hundred_occurrences(incident_diagnosis: Diagnosis) -> None:
    flag = incident_diagnosis.findings[1]
    flag.occurrences *= 10
    assert len(json_v1.report(incident_diagnosis)["findings"][1]["occurrences"]) == 100


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (1_748_779_200_123_456_789, "2025-06-01T12:00:00.123456789Z"),
        (2**63, "2262-04-11T23:47:16.854775808Z"),
        (10**30, "9999-12-31T23:59:59.000000000Z"),
        (-(10**30), "0001-01-01T00:00:00.000000000Z"),
    ],
)
def test_times(ns: int, text: str) -> None:
    assert rfc3339(ns) == text


def test_a_packet_before_the_first_byte_has_no_offset(incident_diagnosis: Diagnosis, validator: Any) -> None:
    incident_diagnosis.findings[0].evidence[0].offset = -1
    report = json_v1.report(incident_diagnosis)
    assert report["findings"][0]["evidence"][0]["offset"] is None
    validator.validate(report)
