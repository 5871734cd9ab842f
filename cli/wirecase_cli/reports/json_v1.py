"""The report for machines, ``wirecase/report/1``: field by field, never a dump of the library's own types.

A later version of wirecase may add fields, and does not change or remove one without a new schema name. The JSON
Schema, `report_v1.schema.json`, lies beside this file.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from wirecase.model import Diagnosis, Evidence, Finding, SourceInfo
from wirecase_cli.reports import cross_check, escape, log_lines
from wirecase_cli.reports.times import rfc3339

SCHEMA = "wirecase/report/1"

MAX_OCCURRENCES = 100
"""Occurrences of one finding that the report lists."""

_SURROGATES = re.compile("[\ud800-\udfff]")


def render(diagnosis: Diagnosis) -> str:
    """Return the report as JSON text in pure ASCII, with a newline at its end."""
    return json.dumps(report(diagnosis), ensure_ascii=True, allow_nan=False, indent=2) + "\n"


def report(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the report as plain dicts, lists, strings and numbers."""
    verdict, calls, accounting = diagnosis.verdict, diagnosis.calls, diagnosis.accounting
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "version": diagnosis.version,
        "interrupted": diagnosis.interrupted,
        "failures": diagnosis.failures,
        "sources": [input_of(source) for source in diagnosis.sources],
        "verdict": {
            "headline": verdict.headline,
            "root_causes": verdict.root_causes,
            "not_inspected": verdict.not_inspected,
            "blast": {
                "calls": verdict.blast.calls,
                "of": verdict.blast.of,
                "share": verdict.blast.share,
                "paths": verdict.blast.paths,
                "first": _time(verdict.blast.first),
                "last": _time(verdict.blast.last),
            },
        },
        "findings": [_finding(finding, diagnosis.sources) for finding in diagnosis.findings],
        "calls": {
            "total": calls.total,
            "ok": calls.ok,
            "failed": calls.failed,
            "unfinished": calls.unfinished,
            "by_status": calls.by_status,
            "legs": calls.legs,
            "doubtful": calls.doubtful,
        },
        "accounting": {
            "captured": accounting.captured,
            "decoded": accounting.decoded,
            "skipped": [{"reason": reason, "bytes": count} for reason, count in accounting.skipped.items()],
            "unbalanced": [
                {
                    "connection": one.connection,
                    "direction": one.direction,
                    "captured": one.captured,
                    "decoded": one.decoded,
                    "skipped": one.skipped,
                }
                for one in accounting.unbalanced
            ],
        },
    }
    if diagnosis.cross_check is not None:
        document["cross_check"] = cross_check.as_json(diagnosis.cross_check)
    if diagnosis.log is not None:
        document["log"] = log_lines.as_json(diagnosis.log)
    safe: dict[str, Any] = json_safe(document)
    return safe


def input_of(source: SourceInfo) -> dict[str, Any]:
    """Return how a report names one input."""
    return {
        "path": source.path,
        "sha256": source.sha256,
        "format": source.format,
        "packets": source.packets,
        "bytes": source.bytes,
        "first": _time(source.first),
        "last": _time(source.last),
        "engine": source.engine or "wirecase",
    }


def _finding(finding: Finding, sources: list[SourceInfo]) -> dict[str, Any]:
    connection = finding.connection
    return {
        "id": finding.id,
        "rule": finding.rule,
        "severity": finding.severity,
        "certainty": finding.certainty,
        "title": finding.title,
        "explanation": finding.explanation,
        "who": finding.who,
        "caused_by": finding.caused_by,
        "link": finding.link,
        "connection": connection
        and {"index": connection.index, "client": connection.client, "server": connection.server},
        "stream": finding.stream,
        "call": finding.call,
        "path": finding.path,
        "time": _time(finding.time),
        "count": finding.count,
        "occurrences": [
            {
                "connection": one.connection,
                "stream": one.stream,
                "call": one.call,
                "path": one.path,
                **_place(_source_of(finding), one.packet, sources),
                "time": _time(one.time),
            }
            for one in finding.occurrences[:MAX_OCCURRENCES]
        ],
        "details": finding.details,
        "evidence": [_evidence(one, sources) for one in finding.evidence],
        "client_sees": [
            {
                "client": one.client,
                "version": one.version,
                "code": one.code,
                "text": one.text,
                "checked": one.checked,
            }
            for one in finding.client_sees
        ],
        "retry_safe": finding.retry_safe,
        "retry_why": finding.retry_why,
        "fix": finding.fix,
        "ids": finding.ids,
        "references": finding.references,
        "legs": [
            {
                "connection": leg.connection.index,
                "client": leg.connection.client,
                "server": leg.connection.server,
                "stream": leg.stream,
                "call": leg.call,
            }
            for leg in finding.legs
        ],
    }


def _source_of(finding: Finding) -> int | None:
    return next((one.source for one in finding.evidence if one.source is not None), None)


def _place(source: int | None, number: int | None, sources: list[SourceInfo]) -> dict[str, int | None]:
    """Return the packet's number, or that of the record where the source has no packets."""
    form = sources[source].form if source is not None and source < len(sources) else None
    if form is None or not form.own_numbers:
        return {"packet": number, "record": None}
    return {"packet": None, "record": number if form.ordered else None}


def _evidence(evidence: Evidence, sources: list[SourceInfo]) -> dict[str, Any]:
    return {
        "source": evidence.source,
        "role": evidence.role,
        "direction": evidence.direction,
        **_place(evidence.source, evidence.packet, sources),
        "offset": _offset(evidence),
        "length": evidence.length,
        "hex": evidence.data.hex(),
        "text": escape.from_bytes(evidence.data),
        "note": evidence.note,
    }


def _offset(evidence: Evidence) -> int | None:
    """Return the place in the byte stream; a control packet that stands before its first byte has none."""
    return None if evidence.offset is None or evidence.offset < 0 else evidence.offset


def _time(ns: int | None) -> str | None:
    return None if ns is None else rfc3339(ns)


def json_safe(value: Any) -> Any:
    r"""Return `value` as something that every JSON parser takes.

    Bytes become escaped text, numbers that JSON lacks become null, other types their text. Lone surrogates, which
    strict parsers refuse, are written out; every other character that is not printable ASCII leaves as ``\uNNNN``.
    """
    match value:
        case None | bool() | int():
            return value
        case str():
            return _SURROGATES.sub(lambda found: escape.line(found.group()), value)
        case float():
            return value if math.isfinite(value) else None
        case bytes() | bytearray() | memoryview():
            return escape.from_bytes(bytes(value))
        case dict():
            return {json_safe(str(key)): json_safe(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [json_safe(item) for item in value]
    return json_safe(str(value))
