"""Answers as the pipeline sees them, the recorded and the live ones alike: there is no second decoder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from wirecase.grpc.status import percent_decode
from wirecase.http2.facts import ControlFrame, HeaderBlock
from wirecase.model import SERVER, Finding, Mark, Marks
from wirecase.pipeline import Options, diagnose
from wirecase.query import row_of
from wirecase.replay.caller.model import Answer, Fault
from wirecase.session.call import Call
from wirecase.session.session import Session


@dataclass(slots=True)
class SeenCall:
    """One call."""

    number: int
    connection: int
    client: str
    stream: int
    path: str
    answer: Answer
    started: int


@dataclass(slots=True)
class Seen:
    """What one capture shows."""

    calls: list[SeenCall] = field(default_factory=list)
    connections: dict[int, list[Fault]] = field(default_factory=dict)
    """Connection -> findings that stand on itself."""
    clients: dict[int, str] = field(default_factory=dict)
    """Connection -> its client's endpoint."""


class _Digests:
    """SHA-256 of the DATA of each answer (`wirecase.http2.recorder.FrameRecorder`)."""

    def __init__(self) -> None:
        self.by_stream: dict[int, Any] = {}
        self._current: list[int] = [0, 0]

    def _add(self, stream: int, data: bytes) -> None:
        found = self.by_stream.get(stream)
        if found is None:
            found = self.by_stream[stream] = hashlib.sha256()
        found.update(data)

    def frame(self, frame: ControlFrame) -> None:
        """Take padded DATA."""
        if frame.kind == 0 and frame.side == SERVER and frame.payload:
            pad = frame.payload[0]
            self._add(frame.stream, frame.payload[1 : max(len(frame.payload) - pad, 1)])

    def data(self, frame: ControlFrame, length: int) -> None:
        """Take DATA."""
        self._current[frame.side] = frame.stream
        if frame.side == SERVER:
            self._add(frame.stream, bytes(frame.payload))

    def more(self, side: int, data: bytes, marks: Marks) -> None:
        """Take more of it."""
        if side == SERVER:
            self._add(self._current[side], bytes(data))

    def block(self, frame: ControlFrame, block: HeaderBlock) -> None:
        """Nothing to do."""

    def gap(self, side: int, length: int, mark: Mark) -> None:
        """Nothing to do."""


def see(path: str, *, ports: Sequence[int] = (), keylogs: Sequence[str] = (), wanted: set[int] | None = None) -> Seen:
    """Diagnose a capture; `wanted` names the connections of interest, None means all."""
    seen = Seen()
    digests: dict[int, _Digests] = {}
    named: list[tuple[SeenCall, list[Finding]]] = []

    def record(session: Session) -> _Digests | None:
        if wanted is not None and session.index not in wanted:
            return None
        made = digests[session.index] = _Digests()
        return made

    def closed(session: Session) -> None:
        seen.clients[session.index] = session.client.address

    def on_call(call: Call, findings: list[Finding]) -> None:
        index = call.session.index
        if wanted is not None and index not in wanted:
            return
        row = row_of(call)
        block = call.trailers.block if call.trailers is not None else None
        raw = block.get(b"grpc-message") if block is not None else None
        found = digests[index].by_stream.get(call.stream.id) if index in digests else None
        answer = Answer(
            status=row.status, message=percent_decode(raw) if raw is not None else None, http=row.http,
            messages=row.messages_received, bytes=row.bytes_received,
            digest=(found or hashlib.sha256()).hexdigest(), how=row.how, by=row.by, error=row.error,
            seconds=row.duration / 1e9,
        )  # fmt: skip
        one = SeenCall(call.index, index, row.client, row.stream, row.path or "", answer, row.started)
        seen.calls.append(one)
        named.append((one, list(findings)))

    options = Options([path], ports=list(ports), keylogs=list(keylogs))
    found = diagnose(options, record=record, on_call=on_call, closed=closed)
    by_place: dict[tuple[int, int], SeenCall] = {(one.connection, one.stream): one for one in seen.calls}
    for one, findings in named:
        one.answer.faults = [_fault(finding) for finding in findings if _counts(finding)]
    for finding in found.findings:
        if not _counts(finding):
            continue
        for place in finding.occurrences:
            if place.connection is None or place.call is not None:
                continue
            hit = by_place.get((place.connection, place.stream)) if place.stream else None
            if hit is not None:
                if all(fault.rule != finding.rule for fault in hit.answer.faults):
                    hit.answer.faults.append(_fault(finding))
                continue
            held = seen.connections.setdefault(place.connection, [])
            if all(fault.rule != finding.rule for fault in held):
                held.append(_fault(finding))
    return seen


def _counts(finding: Finding) -> bool:
    """Tell whether a finding speaks of a peer rather than of the capture."""
    return not finding.rule.startswith("obs-") and "defect" not in finding.details


def _fault(finding: Finding) -> Fault:
    sides = {shown.direction for shown in finding.evidence if shown.role == "primary" and shown.direction is not None}
    own = finding.who[:1] == ["client"] or sides == {"client"}
    return Fault(finding.rule, finding.severity, finding.title, own)
