"""The verdict on a client for machines, ``wirecase/replay/1``: field by field.

A later version of wirecase may add fields, and does not change or remove one without a new schema name. The JSON
Schema, `replay_v1.schema.json`, lies beside this file.
"""

from __future__ import annotations

import json
from typing import Any

from wirecase import __version__
from wirecase.replay.model import ClientRun, Deviation, LiveCall, LiveConnection, Sample
from wirecase.replay.result import ReplayResult
from wirecase_cli.reports import replay_words as words
from wirecase_cli.reports.json_v1 import json_safe

SCHEMA = "wirecase/replay/1"
MAX_CALLS = 2000
MAX_DEVIATIONS = 1000
MAX_SAMPLES = 300
MAX_REPORTED = 2000


def render(result: ReplayResult, before: ReplayResult | None = None) -> str:
    """Return the report as JSON text in pure ASCII, with a newline at its end."""
    return json.dumps(report(result, before), ensure_ascii=True, allow_nan=False, indent=2) + "\n"


def report(result: ReplayResult, before: ReplayResult | None = None) -> dict[str, Any]:
    """Return the report as plain dicts, lists, strings and numbers.

    Of two clients, `result` is the one after; the one before stands in ``before`` with the same fields.
    """
    case = result.case
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "version": __version__,
        "case": {
            "path": case.path,
            "sha256": case.sha256,
            "headline": case.headline,
            "server": case.server,
            "finding": case.finding,
            "call": case.call,
            "redacted": case.redacted,
            "findings": [
                {"id": one.id, "rule": one.rule, "severity": one.severity, "title": one.title} for one in case.findings
            ],
        },
        **_verdict(result),
    }
    if before is not None:
        document["before"] = _verdict(before)
    safe: dict[str, Any] = json_safe(document)
    return safe


def _verdict(result: ReplayResult) -> dict[str, Any]:
    trace = result.trace
    known = {(one.what, one.why) for one in trace.deviations}
    notes = [Deviation(what, why) for what, why in result.case.notes if (what, why) not in known]
    return {
        "outcome": result.outcome,
        "summary": result.summary,
        "interrupted": result.interrupted,
        "client": None if result.run is None else _client(result.run),
        "checks": {
            one.name: {"outcome": one.outcome, "why": one.why, "evidence": words.evidence(one.evidence)}
            for one in result.checks
        },
        "loop": None
        if result.rounds == 1
        else {
            "rounds": result.rounds,
            "done": result.rounds_done,
            "shown": result.round_shown,
            "checks": {
                name: {"pass": one.passed, "fail": one.failed, "untold": one.untold}
                for name, one in result.tallies.items()
            },
        },
        "target": trace.target,
        "problem_over": trace.problem_over,
        "ended": trace.ended,
        "connections": [_connection(one) for one in trace.connections[:MAX_CALLS]],
        "calls": [_call(one) for one in trace.calls[:MAX_CALLS]],
        "calls_left_out": trace.forgotten_calls + max(len(trace.calls) - MAX_CALLS, 0),
        "deviations": [
            {"what": one.what, "why": one.why, "at": one.at, "connection": one.connection, "call": one.call,
             "recorded": one.recorded}
            for one in [*notes, *trace.deviations][:MAX_DEVIATIONS]
        ],
    }  # fmt: skip


def _client(run: ClientRun) -> dict[str, Any]:
    samples = run.samples[:: max(1, -(-len(run.samples) // MAX_SAMPLES))]
    return {
        "command": [words.masked(part.encode("utf-8", "surrogateescape")) for part in run.command],
        "started": run.started,
        "ended": run.ended,
        "exit": run.exit,
        "signal": run.signal,
        "timed_out": run.timed_out,
        "ended_by_us": run.ended_by_us,
        "failed_to_start": run.failed_to_start,
        "left_behind": run.left_behind,
        "output": words.output_lines(run),
        "output_bytes": run.output_bytes,
        "resources": {
            "max_rss": max((one.rss for one in run.samples), default=None),
            "cpu_seconds": max((one.cpu for one in run.samples), default=None),
            "max_descriptors": max((one.descriptors for one in run.samples), default=None),
            "max_threads": max((one.threads for one in run.samples), default=None),
            "samples": [_sample(one) for one in samples],
        },
        "reported": [
            {"call": one.call, "code": one.code, "details": words.masked(one.details.encode("utf-8", "replace")),
             "messages": one.messages}
            for one in run.reported[:MAX_REPORTED]
        ],
        "bad_report_lines": run.bad_report_lines,
    }  # fmt: skip


def _sample(one: Sample) -> dict[str, Any]:
    return {
        "at": one.at, "rss": one.rss, "cpu": one.cpu, "descriptors": one.descriptors, "threads": one.threads,
        "connections": one.connections, "open_streams": one.open_streams,
    }  # fmt: skip


def _connection(one: LiveConnection) -> dict[str, Any]:
    return {
        "number": one.number, "opened": one.opened, "recorded": one.recorded, "alpn": one.alpn,
        "tls_error": one.tls_error, "closed": one.closed, "closed_by": one.closed_by, "goaway": one.goaway,
        "goaway_debug": one.goaway_debug, "faults": one.faults, "broke_at": one.broke_at,
        "survivable": one.survivable, "not_http2": one.not_http2.hex(), "unread": one.unread,
    }  # fmt: skip


def _call(one: LiveCall) -> dict[str, Any]:
    return {
        "number": one.number, "connection": one.connection, "stream": one.stream, "path": one.path,
        "role": one.role, "at": one.at, "recorded": one.recorded, "faults": one.faults, "broke_at": one.broke_at,
        "request_ended": one.request_ended, "request_bytes": one.request_bytes,
        "request_messages": one.request_messages, "request_digest": one.request_digest,
        "previous_attempts": one.previous_attempts, "answered": one.answered, "completed": one.completed,
        "ended": one.ended, "status": one.status, "unprocessed": one.unprocessed,
        "reset_by_client": one.reset_by_client, "reset_at": one.reset_at, "messages_sent": one.messages_sent,
    }  # fmt: skip
