"""Comparisons for machines, ``wirecase/compare/1``: field by field. The JSON Schema lies beside this file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from wirecase.comparing.model import Change, Comparison, Fault, LegCall, Pair, Single
from wirecase.model import Evidence
from wirecase_cli.reports import compare_words, escape, json_v1, masking
from wirecase_cli.reports.times import rfc3339

SCHEMA = "wirecase/compare/1"


def render(found: Comparison) -> str:
    """Return the comparison as JSON text in pure ASCII, with a newline at its end."""
    return json.dumps(report(found), ensure_ascii=True, allow_nan=False, indent=2) + "\n"


def report(found: Comparison) -> dict[str, Any]:
    """Return the comparison as plain dicts, lists, strings and numbers."""
    totals, clock = found.totals, found.clock
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "version": found.version,
        "interrupted": found.interrupted,
        "failures": found.failures,
        "sources": [json_v1.input_of(source) for source in found.sources],
        "front": found.front,
        "back": found.back,
        "verdict": {"headline": found.headline, "breaks": found.breaks},
        "clock": {
            "same": clock.same,
            "offset_ns": clock.offset,
            "uncertainty_ns": clock.uncertainty,
            "samples": clock.samples,
            "consistent": clock.consistent,
        },
        "calls": {
            "front": totals.front,
            "back": totals.back,
            "matched": totals.matched,
            "same": totals.same,
            "broken": totals.broken,
            "only_front": totals.only_front,
            "only_back": totals.only_back,
            "retries": totals.retries,
            "ambiguous": totals.ambiguous,
            "beyond": totals.beyond,
        },
        "latency": [
            {
                "direction": one.direction, "calls": one.calls, "least_ns": one.least, "median_ns": one.median,
                "most_ns": one.most,
            }
            for one in found.latency
        ],
        "faults": [_fault(one) for one in found.faults],
        "changes": [_change(one) for one in found.changes],
        "pairs": [_pair(one) for one in found.pairs],
        "only_front": [_single(one) for one in found.only_front],
        "only_back": [_single(one) for one in found.only_back],
    }  # fmt: skip
    safe: dict[str, Any] = json_v1.json_safe(document)
    return safe


def details(change: Change) -> dict[str, Any]:
    """Return the facts of a change, with credentials masked."""
    name = str(change.details.get("name", "")).encode("latin-1", "replace") or None
    return {
        key: masking.value(name, value)[0] if isinstance(value, bytes) else value
        for key, value in change.details.items()
    }


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "hop": fault.hop,
        "certainty": fault.certainty,
        "why": fault.why,
        "count": fault.count,
        "calls": _numbers(fault.calls),
        "evidence": _evidence(fault.front, fault.back),
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "severity": change.severity,
        "title": change.title,
        "text": change.text,
        "count": change.count,
        "details": details(change),
        "calls": _numbers(change.calls),
        "evidence": _evidence(change.front, change.back),
    }


def _numbers(calls: Iterable[tuple[int | None, int | None]]) -> list[dict[str, int | None]]:
    return [{"front": front, "back": back} for front, back in calls]


def _evidence(front: Iterable[Evidence], back: Iterable[Evidence]) -> dict[str, Any]:
    return {"front": [_item(one) for one in front], "back": [_item(one) for one in back]}


def _item(one: Evidence) -> dict[str, Any]:
    one = compare_words.shown(one)
    return {
        "source": one.source,
        "direction": one.direction,
        "packet": one.packet,
        "offset": None if one.offset is None or one.offset < 0 else one.offset,
        "time": None if one.time is None else rfc3339(one.time),
        "length": one.length,
        "hex": one.data.hex(),
        "text": escape.from_bytes(one.data),
        "note": one.note,
    }


def _leg(leg: LegCall) -> dict[str, Any]:
    return {
        "call": leg.call,
        "connection": {"index": leg.ref.index, "client": leg.ref.client, "server": leg.ref.server},
        "stream": leg.stream,
        "packet": leg.opened.packet,
        "started": rfc3339(leg.opened.time),
        "ended": None if leg.ended is None else rfc3339(leg.ended.time),
        "http": leg.http_status,
        "status": leg.status,
        "how": leg.how,
        "by": None if leg.by is None else ("client", "server")[leg.by],
        "error_code": leg.code,
        "messages": {"sent": leg.request_body.messages, "received": leg.response_body.messages},
        "bytes": {"sent": leg.request_body.size, "received": leg.response_body.size},
        "data_frames": {"sent": leg.request_body.frames, "received": leg.response_body.frames},
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "path": pair.front.path,
        "matched_by": pair.matched_by,
        "breaks": pair.breaks,
        "hop": pair.hop,
        "request_equal": pair.request_equal,
        "response_equal": pair.response_equal,
        "changes": pair.changes,
        "front": _leg(pair.front),
        "back": _leg(pair.back),
    }


def _single(single: Single) -> dict[str, Any]:
    return {
        "path": single.leg.path,
        "reason": single.reason,
        "attempt_of": single.attempt_of,
        "leg": _leg(single.leg),
    }
