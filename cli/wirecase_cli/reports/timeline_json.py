"""Timelines for machines, ``wirecase/timeline/1``: field by field."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wirecase.listing import Timeline
from wirecase.listing.events import Event, Fold
from wirecase.model import SIDE_NAMES, Diagnosis, Mark
from wirecase_cli.reports import call_table, json_v1, masking, payload_lines, times
from wirecase_cli.reports.timeline import has_secrets

if TYPE_CHECKING:
    from wirecase.picturing import Picture

SCHEMA = "wirecase/timeline/1"


def render(
    timelines: Sequence[Timeline],
    diagnosis: Diagnosis,
    picture: Picture | None = None,
    *,
    payloads: bool,
    secrets: bool,
) -> str:
    """Return the timelines as JSON text in pure ASCII; with a `picture`, windows over time too."""
    document = json_v1.report(diagnosis)
    head = {"schema": SCHEMA} | {name: document[name] for name in ("version", "interrupted", "failures", "sources")}
    body = [_timeline(one, payloads=payloads, secrets=secrets) | _windows(one, picture) for one in timelines]
    return json.dumps({**head, "timelines": body}, allow_nan=False, indent=2) + "\n"


def _timeline(timeline: Timeline, *, payloads: bool, secrets: bool) -> dict[str, Any]:
    connection = timeline.connection
    start: int | None = None
    before: int | None = None
    events = []
    for item in timeline.items:
        mark = item.mark if isinstance(item, Event) else item.first
        start = mark.time if start is None else start
        before = mark.time if before is None else before
        entry = {"time": times.rfc3339(mark.time), "since_first_ns": mark.time - start, "delta_ns": mark.time - before}
        before = mark.time if isinstance(item, Event) else item.last.time
        if isinstance(item, Fold):
            events.append({"kind": "fold", **entry, **_fold(item)})
        else:
            events.append({"kind": item.kind, **entry, **_event(item, payloads=payloads, secrets=secrets)})
    return {
        "connection": {"index": connection.index, "client": connection.client, "server": connection.server},
        "call": None if timeline.row is None else call_table.call(timeline.row),
        "findings": [
            {"id": one.id, "rule": one.rule, "severity": one.severity, "title": one.title} for one in timeline.findings
        ],
        "events": events,
    }


def _windows(timeline: Timeline, picture: Picture | None) -> dict[str, Any]:
    """Return the windows of a call and its connection, or of a whole connection, where they were asked for."""
    if picture is None:
        return {}
    from wirecase_cli.reports import windows_json, windows_listing

    stream = None if timeline.row is None else timeline.row.stream
    chosen = windows_listing.chosen(picture, timeline.connection.index, stream)
    return {"windows": [windows_json.series(one) for one in chosen]}


def _place(mark: Mark) -> dict[str, Any]:
    return {"source": mark.source, "packet": mark.packet, "offset": mark.offset}


def _fold(fold: Fold) -> dict[str, Any]:
    return {
        **_place(fold.first),
        "last": {"time": times.rfc3339(fold.last.time), **_place(fold.last)},
        "frames": [
            {"sender": SIDE_NAMES[side], "name": name, "count": count, "bytes": size}
            for (side, name), (count, size) in fold.frames.items()
        ],
        "messages_begun": {name: fold.messages[side] for side, name in enumerate(SIDE_NAMES)},
    }


def _event(event: Event, *, payloads: bool, secrets: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"name": event.name, "sender": SIDE_NAMES[event.side], **_place(event.mark)}
    if event.kind != "tcp":
        found["length"] = event.length
    if event.kind == "frame":
        found |= {"flags": list(event.flags), "stream": event.stream}
    if event.kind != "gap":
        found |= {name: _fact(value, secrets=secrets) for name, value in event.facts.items()}
    if event.headers is not None:
        found["headers"] = [_field(name, value, secrets=secrets) for name, value in event.headers]
    if event.body is not None:
        body = event.body
        found["messages"] = {
            "begun": [{"number": one.number, "flag": one.flag, "length": one.length} for one in body.begun],
            "count": body.count,
            "continued": body.continued
            and dict(zip(("number", "before", "length"), body.continued, strict=True)),
            "foreign": body.foreign,
            "lost": body.lost,
        }  # fmt: skip
    if event.views:
        found["payloads"] = [payload_lines.as_json(one, secrets=secrets) for one in event.views]
    if event.windows is not None:
        found["windows"] = {
            name: {"stream": window.stream, "connection": window.connection}
            for name, window in zip(SIDE_NAMES, event.windows, strict=True)
        }
    if event.mentions:
        found["findings"] = [{"id": one.finding, "note": one.note} for one in event.mentions]
    if payloads and event.kind == "frame":
        found["payload_hex"] = None if has_secrets(event) and not secrets else event.payload.hex()
    return found


def _fact(value: Any, *, secrets: bool) -> Any:
    if isinstance(value, bytes):
        return (value if secrets else masking.text(value)).decode("latin-1")
    return value


def _field(name: bytes | None, value: bytes | None, *, secrets: bool) -> dict[str, Any]:
    masked = False
    if value is not None and not secrets:
        value, masked = masking.value(name, value)
    return {
        "name": None if name is None else name.decode("latin-1"),
        "value": None if value is None else value.decode("latin-1"),
        "masked": masked,
    }
