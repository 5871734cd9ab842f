"""A call ends once, and its client logs one thing: what a consequence would have made it say is left out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from wirecase.model import Finding

LATE = "h2-stream-state-violation"
"""As a warning it stands for frames behind the end of a stream, which the call has no part in."""

LETS_PASS = {"h2-first-frame-not-settings": ("tonic",)}
"""Clients that do not mind a breach, and so meet what follows."""


def spare_consequences(findings: Sequence[Finding], breaches: Collection[str]) -> None:
    """Leave out the words that a cause of the same connection makes impossible.

    After one of the `breaches` of HTTP/2 (ids of rules) a client fails in its HTTP/2 library and never gets to what
    gRPC would make of the rest. Elsewhere the cause's words stand where cause and consequence differ for a client.
    """
    by_id = {finding.id: finding for finding in findings}
    for finding in findings:
        for cause in _causes(finding, by_id) if finding.client_sees else ():
            if cause.rule in breaches and not (cause.rule == LATE and cause.severity == "warning"):
                spared = LETS_PASS.get(cause.rule, ())
                finding.client_sees = [row for row in finding.client_sees if row.client in spared]
            said = {(row.client, row.version): (row.code, row.text) for row in reversed(cause.client_sees)}
            finding.client_sees = [
                row
                for row in finding.client_sees
                if said.get((row.client, row.version), (row.code, row.text)) == (row.code, row.text)
            ]


def _causes(finding: Finding, by_id: Mapping[str, Finding]) -> Iterator[Finding]:
    """Yield the causes of a finding, nearest first, as long as they are on its connection."""
    seen = {finding.id}
    step = by_id.get(finding.caused_by or "")
    while step is not None and step.id not in seen and _together(step, finding):
        seen.add(step.id)
        yield step
        step = by_id.get(step.caused_by or "")


def _together(cause: Finding, finding: Finding) -> bool:
    if cause.connection is None or finding.connection is None:
        return False
    return cause.connection.index == finding.connection.index
