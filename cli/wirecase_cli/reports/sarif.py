"""SARIF 2.1.0, for code hosts and their viewers (OASIS, Static Analysis Results Interchange Format, errata 01).

A capture is the artifact, a finding a result, a rule a reporting descriptor. The bytes of evidence do not stand in the
file as they are read: they were put together from packets, TLS was taken off them. So a result's location is the
capture, with the packet among its properties, and what it relates to are regions of nested artifacts (§3.24.4,
`parentIndex`): one for each direction of a connection, in which offsets count as everywhere in wirecase.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from typing import Any

from wirecase.explaining import pages
from wirecase.model import Diagnosis, Evidence, Finding, SourceInfo
from wirecase_cli.reports import escape, hexview, json_v1, outline, sarif_rules, words
from wirecase_cli.reports.sarif_rules import message
from wirecase_cli.reports.times import rfc3339
from wirecase_cli.reports.uris import artifact_uri

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT = "wirecaseFinding/v1"

MAX_OCCURRENCES = 20
MAX_CHAIN = 50

_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def render(diagnosis: Diagnosis, *, status: int = 0) -> str:
    """Return the log as JSON text in pure ASCII, with a newline at its end; `status` is what the command ends with."""
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_Run(diagnosis).as_json(status)]}
    return json.dumps(json_v1.json_safe(document), ensure_ascii=True, allow_nan=False, indent=2) + "\n"


class _Run:
    """One run of the tool over all sources."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        self._found = diagnosis
        self._by_id = {one.id: one for one in diagnosis.findings}
        known = pages()
        used = {one.rule for one in diagnosis.findings}
        self._rules = [name for name in known if name in used] + sorted(used - known.keys())
        self._artifacts = [_artifact(source) for source in diagnosis.sources]
        self._streams: dict[tuple[int, int, str], int] = {}
        """(source, connection, direction) -> number of its nested artifact."""
        self._alike: Counter[str] = Counter()

    def as_json(self, status: int) -> dict[str, Any]:
        found = self._found
        results = [self._result(one) for one in found.findings]
        return {
            "tool": {
                "driver": {
                    "name": "wirecase",
                    "version": found.version,
                    "semanticVersion": found.version,
                    "shortDescription": {"text": "Says why gRPC calls died on the wire, from packet captures."},
                    "rules": [sarif_rules.descriptor(name) for name in self._rules],
                }
            },
            "invocations": [_invocation(found, status)],
            "artifacts": self._artifacts,
            "results": results,
            "columnKind": "unicodeCodePoints",
            "properties": {
                "headline": escape.line(found.verdict.headline),
                "rootCauses": found.verdict.root_causes,
                "notInspected": [escape.line(one) for one in found.verdict.not_inspected],
                "calls": {"total": found.calls.total, "ok": found.calls.ok, "failed": found.calls.failed,
                          "unfinished": found.calls.unfinished},
            },
        }  # fmt: skip

    # ---- results ------------------------------------------------------------------------------------------------

    def _result(self, one: Finding) -> dict[str, Any]:
        source = _source_of(one)
        result: dict[str, Any] = {
            "ruleId": one.rule,
            "ruleIndex": self._rules.index(one.rule),
            "kind": "fail",
            "level": _LEVELS[one.severity],
            "message": message(f"{one.title}. {one.explanation}" if one.explanation else one.title),
            "locations": [self._location(one, source)] if source is not None else [],
            "occurrenceCount": max(one.count, 1),
            "partialFingerprints": {FINGERPRINT: self._fingerprint(one)},
            "properties": _properties(one),
        }
        related = [self._evidence(one, shown, number) for number, shown in enumerate(one.evidence, 1)]
        if related:
            result["relatedLocations"] = related
        chain = self._chain(one)
        if len(chain) > 1:
            result["codeFlows"] = [self._flow(chain)]
        return result

    def _location(self, one: Finding, source: int) -> dict[str, Any]:
        """Return the place of a finding: the capture, and the call in it."""
        packet = next((each.packet for each in one.evidence if each.packet is not None), None)
        location: dict[str, Any] = {"physicalLocation": self._whole(source)}
        logical = _logical(one)
        if logical:
            location["logicalLocations"] = logical
        if packet is not None:
            location["properties"] = {self._unit(source): packet}
        return location

    def _evidence(self, one: Finding, shown: Evidence, number: int) -> dict[str, Any]:
        """Return a piece of evidence as a related location, with its bytes where it has any."""
        where = words.evidence(shown, self._found)
        text = f"{shown.note or 'evidence'}" + (f" ({where})" if where else "")
        location: dict[str, Any] = {"id": number, "message": message(text)}
        if shown.source is None or shown.source >= len(self._found.sources):
            return location
        properties: dict[str, Any] = {"role": shown.role}
        if shown.packet is not None:
            properties[self._unit(shown.source)] = shown.packet
        if shown.time is not None:
            properties["time"] = rfc3339(shown.time)
        location["properties"] = properties
        index = one.connection.index if one.connection is not None else None
        length = max(shown.length, len(shown.data))
        if index is None or shown.direction is None or shown.offset is None or shown.offset < 0 or not length:
            location["physicalLocation"] = self._whole(shown.source)
            return location
        region: dict[str, Any] = {"byteOffset": shown.offset, "byteLength": length}
        if shown.data:
            region["snippet"] = {"binary": base64.b64encode(shown.data).decode("ascii")}
            labels = [span.label for span in hexview.spans(one, shown)]
            if labels:
                region["message"] = message("; ".join(labels))
        stream = self._stream(shown.source, index, shown.direction)
        location["physicalLocation"] = {"artifactLocation": self._at(stream), "region": region}
        return location

    def _chain(self, one: Finding) -> list[Finding]:
        """Return a finding's causes, the root first, and itself."""
        chain = [one]
        while (cause := self._by_id.get(chain[-1].caused_by or "")) is not None and len(chain) < MAX_CHAIN:
            if cause in chain:
                break
            chain.append(cause)
        return chain[::-1]

    def _flow(self, chain: list[Finding]) -> dict[str, Any]:
        steps = []
        for level, one in enumerate(chain):
            source = _source_of(one)
            location = self._location(one, source) if source is not None else {}
            location["message"] = message(f"{one.id} {one.title}")
            importance = "essential" if level in (0, len(chain) - 1) else "important"
            steps.append({"location": location, "nestingLevel": level, "importance": importance})
        return {
            "message": {"text": "From the root cause to this finding."},
            "threadFlows": [{"locations": steps}],
        }

    def _fingerprint(self, one: Finding) -> str:
        """Return what is the same when the same fault is captured again: no packet, port, time or number is in it.

        Findings that are alike in all of this are numbered in the order of the report.
        """
        facts = {name: one.details[name] for name in outline.TELLING if one.details.get(name) is not None}
        causes = [cause.rule for cause in self._chain(one)[:-1]]
        parts = [one.rule, list(one.who), one.path, facts, causes]
        text = json.dumps(json_v1.json_safe(parts), sort_keys=True)
        digest = hashlib.sha256(text.encode("ascii")).hexdigest()[:32]
        self._alike[digest] += 1
        return f"{digest}:{self._alike[digest]}"

    # ---- artifacts ----------------------------------------------------------------------------------------------

    def _whole(self, source: int) -> dict[str, Any]:
        """Return a source as a physical location: all of it (§3.30.11)."""
        place: dict[str, Any] = {"artifactLocation": self._at(source)}
        if self._found.sources[source].bytes:
            place["region"] = {"byteOffset": 0, "byteLength": self._found.sources[source].bytes}
        return place

    def _at(self, number: int) -> dict[str, Any]:
        return {"uri": self._artifacts[number]["location"]["uri"], "index": number}

    def _unit(self, source: int) -> str:
        form = self._found.sources[source].form
        return "record" if form is not None and form.own_numbers else "packet"

    def _stream(self, source: int, connection: int, direction: str) -> int:
        """Return the number of the nested artifact that is one direction of a connection."""
        key = (source, connection, direction)
        if key not in self._streams:
            self._streams[key] = len(self._artifacts)
            self._artifacts.append(
                {
                    "location": {"uri": f"connections/{connection}/{direction}"},
                    "parentIndex": source,
                    "mimeType": "application/octet-stream",
                    "description": {
                        "text": f"What the {direction} of connection {connection} sent: the bytes of its TCP stream, "
                        "after TLS where TLS was taken off."
                    },
                }
            )
        return self._streams[key]


def _artifact(source: SourceInfo) -> dict[str, Any]:
    artifact: dict[str, Any] = {
        "location": {"uri": artifact_uri(source.path)},
        "roles": ["analysisTarget"],
        "mimeType": "application/vnd.tcpdump.pcap" if source.form is None else "application/octet-stream",
        "properties": {"format": source.format, "packets": source.packets},
    }
    if source.bytes:
        artifact["length"] = source.bytes
    if source.sha256:
        artifact["hashes"] = {"sha-256": source.sha256}
    return artifact


def _invocation(found: Diagnosis, status: int) -> dict[str, Any]:
    """Return how the run went. The command line is left out: it may tell more than the report."""
    told = [{"level": "error", "message": message(one)} for one in found.failures]
    if found.interrupted:
        told.append({"level": "warning", "message": message("reading was stopped before the end of the input")})
    told += [{"level": "warning", "message": message(f"not inspected: {one}")} for one in found.verdict.not_inspected]
    invocation: dict[str, Any] = {
        "executionSuccessful": not found.failures and not found.interrupted,
        "exitCode": status,
    }
    if told:
        invocation["toolExecutionNotifications"] = told
    return invocation


def _source_of(one: Finding) -> int | None:
    return next((each.source for each in one.evidence if each.source is not None), None)


def _logical(one: Finding) -> list[dict[str, Any]]:
    """Return the call, stream and connection as a logical location (§3.33)."""
    parts = []
    if one.connection is not None:
        parts.append(f"connection {one.connection.index}")
    if one.stream is not None:
        parts.append(f"stream {one.stream}")
    if one.call is not None:
        parts.append(f"call {one.call}")
    if not parts:
        return []
    kind = "call" if one.call is not None else "stream" if one.stream is not None else "connection"
    name = escape.line(one.path) if one.path else parts[-1]
    return [{"name": name, "fullyQualifiedName": "/".join(parts), "kind": kind}]


def _properties(one: Finding) -> dict[str, Any]:
    """Return what SARIF has no place for, by the names of ``wirecase/report/1``."""
    found: dict[str, Any] = {
        "id": one.id,
        "certainty": one.certainty,
        "who": one.who,
        "details": one.details,
        "retry_safe": one.retry_safe,
    }
    connection = one.connection
    more = {
        "caused_by": one.caused_by,
        "connection": connection
        and {"index": connection.index, "client": connection.client, "server": connection.server},
        "stream": one.stream,
        "call": one.call,
        "path": one.path,
        "time": None if one.time is None else rfc3339(one.time),
        "retry_why": one.retry_why,
        "fix": one.fix,
        "ids": one.ids,
        "client_sees": [
            {"client": each.client, "version": each.version, "code": each.code, "text": each.text,
             "checked": each.checked}
            for each in one.client_sees
        ],
        "occurrences": [
            {"connection": each.connection, "stream": each.stream, "call": each.call, "packet": each.packet}
            for each in one.occurrences[:MAX_OCCURRENCES]
        ],
    }  # fmt: skip
    found.update({name: value for name, value in more.items() if value not in (None, "", [], {})})
    return found
