"""What a diagnosis consists of, from the verdict down to the bytes that a finding rests on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from wirecase.model.sources import Damage, SourceInfo
from wirecase.model.words import Certainty, ConnectionRef, Link, RetrySafe, Severity, Who

if TYPE_CHECKING:
    from wirecase.model.opinions import CrossCheck, LogReport


@dataclass(slots=True)
class Evidence:
    """Bytes of the capture that a finding rests on."""

    role: str
    """``primary`` for the bytes that prove it, ``context`` for those that explain it."""
    note: str
    """What the reader sees there, one line."""
    source: int | None = None
    direction: Literal["client", "server"] | None = None
    """The side that sent the bytes."""
    packet: int | None = None
    offset: int | None = None
    length: int = 0
    """Length of the thing shown in bytes."""
    data: bytes = b""
    """The bytes themselves, possibly cut short of `length`."""
    time: int | None = None


@dataclass(slots=True)
class ClientSees:
    """What one client logs when it meets the fault."""

    client: str
    """``tonic``, ``grpc-go``, ``grpc-core`` (C++ and Python), ``grpc-java``, ``grpc-js`` …"""
    version: str
    code: str
    """gRPC status name that the application gets, e.g. ``INTERNAL``; ``OK`` where the client notices nothing."""
    text: str
    checked: bool = False
    """True if this version of the client was seen to end calls so, in live sessions with faults of the finding's rule.

    False where the words were only read in the client's source, or remembered.
    """


@dataclass(slots=True)
class Occurrence:
    """One place where a finding's fault was met."""

    connection: int | None
    stream: int | None
    call: int | None
    path: str | None
    packet: int | None
    time: int | None


@dataclass(slots=True, frozen=True)
class Leg:
    """One stretch of a call's way: before or behind a proxy, a NAT, a mirror."""

    connection: ConnectionRef
    stream: int
    call: int | None
    """Number of the call, where it has one of its own."""


@dataclass(slots=True)
class Finding:
    """One fault of one kind on one connection, whatever the number of streams that it hit."""

    rule: str
    severity: Severity
    certainty: Certainty
    title: str
    """One line, specific: names the value, the side and the place."""
    explanation: str
    """A short paragraph in plain words: what happened, what is certain and what is inferred."""
    who: list[Who]
    """Who is at fault, the likeliest first."""
    id: str = ""
    """``F1`` …, given when the diagnosis is complete."""
    caused_by: str | None = None
    link: Link | None = None
    """What ties it to the finding that it is caused by; None where there is none."""
    connection: ConnectionRef | None = None
    stream: int | None = None
    call: int | None = None
    path: str | None = None
    time: int | None = None
    count: int = 1
    occurrences: list[Occurrence] = field(default_factory=list)
    """The first 100."""
    details: dict[str, Any] = field(default_factory=dict)
    """The rule's own typed facts (str, int, float, bool, None and lists of them)."""
    evidence: list[Evidence] = field(default_factory=list)
    client_sees: list[ClientSees] = field(default_factory=list)
    retry_safe: RetrySafe = "unknown"
    retry_why: str = ""
    fix: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    """Correlation ids that the call carried: ``traceparent``, ``x-request-id``, ``cf-ray`` …"""
    references: list[str] = field(default_factory=list)
    legs: list[Leg] = field(default_factory=list)
    """All legs on which its call was captured, from the client on; empty if there is only one."""


@dataclass(slots=True)
class Blast:
    """How far the faults reach."""

    calls: int
    """Calls that an error or warning names."""
    of: int
    """Calls seen."""
    share: float
    paths: list[str]
    first: int | None
    last: int | None


@dataclass(slots=True)
class Verdict:
    """The answer on top of the report."""

    headline: str
    root_causes: list[str]
    """Ids of the findings that nothing else explains, the weightiest first."""
    not_inspected: list[str]
    """What the capture holds and wirecase could not look into, one phrase each."""
    blast: Blast


@dataclass(slots=True)
class CallTotals:
    """Counts over all gRPC calls."""

    total: int = 0
    ok: int = 0
    failed: int = 0
    unfinished: int = 0
    """Still open when the capture ended, or with an end that it does not show; nothing wrong was seen."""
    by_status: dict[str, int] = field(default_factory=dict)
    """Calls by grpc-status name as it stood on the wire; ``none`` where there was no status."""
    legs: int = 0
    """Calls that are in none of these counts, since they are another leg (behind a proxy, a NAT) of one that is."""
    doubtful: int = 0
    """Calls that may be counted twice: a proxy's both sides were captured, and its calls could not be told apart."""


@dataclass(slots=True)
class Unbalanced:
    """A direction whose bytes do not add up: a defect of wirecase, shown instead of hidden."""

    connection: int
    direction: Literal["client", "server"]
    captured: int
    decoded: int
    skipped: int


@dataclass(slots=True)
class Accounting:
    """Where every captured byte went: ``captured == decoded + sum(skipped)``."""

    captured: int = 0
    """Captured bytes of all packets, link header to last byte."""
    decoded: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    """Bytes by reason."""
    unbalanced: list[Unbalanced] = field(default_factory=list)

    def skip(self, reason: str, count: int) -> None:
        """Book `count` bytes as skipped for `reason`."""
        if count:
            self.skipped[reason] = self.skipped.get(reason, 0) + count


@dataclass(slots=True)
class Diagnosis:
    """All that `diagnose` found; every report is drawn from this."""

    version: str
    sources: list[SourceInfo]
    verdict: Verdict
    findings: list[Finding]
    calls: CallTotals
    accounting: Accounting
    connections: int = 0
    """TCP connections seen."""
    interrupted: bool = False
    """True if reading was stopped before the end of the input."""
    damaged: list[Damage] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Inputs that could not be read at all, one line each."""
    cross_check: CrossCheck | None = None
    """How Wireshark's counts compare, where that was asked for."""
    log: LogReport | None = None
    """A log beside the capture, where one was given."""
