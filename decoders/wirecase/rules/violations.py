"""From the walk's violations to matches: one per kind and side, with the count and the streams that it hit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wirecase.http2.facts import Violation
from wirecase.model import SIDE_NAMES, Certainty, Severity, Who
from wirecase.rules.base import Match, show
from wirecase.rules.limits import speaks_http2, sure, whole
from wirecase.session.session import Session

WHO: tuple[Who, Who] = ("client", "server")
"""Who is at fault, by side."""


@dataclass(slots=True, frozen=True)
class Told:
    """What a rule says of one kind of violation."""

    title: str
    explanation: str
    note: str
    """Beside the bytes."""
    fix: str
    severity: Severity = "error"
    certainty: Certainty = "certain"
    details: dict[str, Any] = field(default_factory=dict)
    """Facts beyond those of the violation itself."""


Tell = Callable[[Session, Violation], Told]


def grouped(
    session: Session,
    kinds: Mapping[str, Tell],
    *,
    needs_whole: bool = False,
    accept: Callable[[Violation], bool] | None = None,
) -> Iterator[Match]:
    """Yield one match for each (kind, side) among `kinds` that the walk met on a side that speaks HTTP/2.

    With `needs_whole` nothing is said of a side whose bytes were not all seen; `accept` leaves violations out.
    """
    if session.protocol != "h2":
        return
    found: dict[tuple[str, int], list[Violation]] = {}
    for violation in session.h2.violations:
        if violation.kind in kinds and (accept is None or accept(violation)):
            found.setdefault((violation.kind, violation.side), []).append(violation)
    seen = session.h2.violations_seen
    for (kind, side), violations in found.items():
        if not speaks_http2(session, side) or (needs_whole and not whole(session, side)):
            continue
        count = len(violations) if accept is not None else max(len(violations), seen.get((kind, side), 1))
        yield _match(session, violations, kinds[kind], count)


def setting(*numbers: int) -> Callable[[Violation], bool]:
    """Return a filter that takes illegal values (``settings-value``) of these settings only, and all other kinds."""
    return lambda violation: violation.kind != "settings-value" or violation.facts.get("setting") in numbers


def _match(session: Session, violations: list[Violation], tell: Tell, count: int) -> Match:
    first = violations[0]
    told = tell(session, first)
    streams: list[tuple[int, Any]] = []
    for violation in violations[1:]:
        if violation.stream != first.stream and violation.stream:
            streams.append((violation.stream, violation.excerpt.mark))
    return Match(
        severity=told.severity,
        certainty=told.certainty if whole(session, first.side) else sure(session, told.certainty),
        who=[WHO[first.side]],
        title=told.title,
        explanation=told.explanation,
        evidence=[show(first.excerpt, told.note)],
        details={"by": SIDE_NAMES[first.side], **_plain(first.facts), **told.details},
        retry_safe="unknown",
        retry_why="A breach of HTTP/2 usually ends the connection: whether the call was processed is not on the wire.",
        fix=told.fix,
        key=(first.kind, first.side),
        stream=first.stream or None,
        count=count,
        streams=streams,
    )


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    """Return a violation's facts in the types that a report knows."""
    return {key: value.decode("latin-1") if isinstance(value, bytes) else value for key, value in facts.items()}
