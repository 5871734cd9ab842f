"""What a rule is: an id, a page of facts, and a check that looks at one subject and yields matches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from wirecase.model import (
    SIDE_NAMES,
    Certainty,
    ClientSees,
    ConnectionRef,
    Evidence,
    Excerpt,
    Mark,
    RetrySafe,
    Severity,
    Who,
)

EXCERPT_SHOWN = 96
"""Bytes of evidence that a finding carries."""


@dataclass(slots=True)
class Match:
    """One place where a rule's fault was met; matches of the same rule, connection and `key` become one finding."""

    severity: Severity
    certainty: Certainty
    who: list[Who]
    title: str
    explanation: str
    evidence: list[Evidence]
    """Primary evidence first."""
    details: dict[str, Any] = field(default_factory=dict)
    client_sees: list[ClientSees] = field(default_factory=list)
    retry_safe: RetrySafe = "unknown"
    retry_why: str = ""
    fix: str = ""
    key: Any = None
    """What tells two kinds of the same fault apart on one connection, e.g. the flag's value."""
    stream: int | None = None
    """Set by connection rules that point at a stream; call rules leave it alone."""
    mark: Mark | None = None
    """When and where it happened; by default that of the first evidence."""
    count: int = 1
    """How many times this match stands for (floods)."""
    streams: Sequence[tuple[int | None, Mark | None]] = field(default_factory=list)
    """For a connection rule that hit several streams: (id, where) of each but the first."""
    place: tuple[ConnectionRef, int, str | None] | None = None
    """For a run rule that points at one call: its connection, its number and its path."""
    across: str | None = None
    """Matches of a rule that share this text are one finding on however many connections (refused connections to one
    server, limits of the capture)."""


@dataclass(slots=True, frozen=True)
class Rule:
    """One rule: what it is called, what it is about, and how it is checked."""

    id: str
    title: str
    """What is wrong, in general: the heading of the rule's page."""
    summary: str
    """One or two sentences for the rule's page and SARIF."""
    references: tuple[str, ...]
    """``RFC 9113 §8.1``, ``gRPC PROTOCOL-HTTP2, Responses`` …"""
    scope: Literal["call", "session", "run"]
    """What `check` is given: a closed `Call`, a closed `Session`, or the `Run`."""
    check: Callable[[Any], Iterable[Match]]


def show(excerpt: Excerpt, note: str, *, role: str = "primary") -> Evidence:
    """Turn kept bytes into evidence."""
    mark = excerpt.mark
    return Evidence(
        role=role, note=note, source=mark.source, direction=SIDE_NAMES[excerpt.side], packet=mark.packet,
        offset=mark.offset, length=excerpt.length, data=excerpt.data[:EXCERPT_SHOWN], time=mark.time,
    )  # fmt: skip


def point(mark: Mark | None, note: str, *, side: int | None = None, role: str = "primary") -> list[Evidence]:
    """Evidence that is a packet and no stream bytes (a FIN, a silence); empty if there is no mark."""
    if mark is None:
        return []
    return [
        Evidence(
            role=role, note=note, source=mark.source, direction=None if side is None else SIDE_NAMES[side],
            packet=mark.packet, offset=mark.offset, time=mark.time,
        )
    ]  # fmt: skip
