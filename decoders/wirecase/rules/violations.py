"""From the walk's violations to matches: one per kind and side, with the count and the streams that it hit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wirecase.http2.facts import END_STREAM, HEADERS, Violation
from wirecase.model import SERVER, SIDE_NAMES, Certainty, ClientSees, Mark, Severity, Who
from wirecase.rules import clients
from wirecase.rules.base import Match, show
from wirecase.rules.clients.table import GRPCLIB
from wirecase.rules.limits import only_call, speaks_http2, stray, sure, whole
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
            violations = [violation for violation in violations if _is_stray(session, violation)]
        if not violations:
            continue
        count = len(violations) if accept is not None else max(len(violations), seen.get((kind, side), 1))
        yield _match(session, violations, kinds[kind], count)


def _is_stray(session: Session, violation: Violation) -> bool:
    """Tell whether a violation is that of bytes that are no frame, where all before them was seen."""
    found = stray(session, violation.side)
    return found is not None and found.mark == violation.excerpt.mark


def setting(*numbers: int) -> Callable[[Violation], bool]:
    """Return a filter that takes illegal values (``settings-value``) of these settings only, and all other kinds."""
    return lambda violation: violation.kind != "settings-value" or violation.facts.get("setting") in numbers


def _match(session: Session, violations: list[Violation], tell: Tell, count: int) -> Match:
    first = violations[0]
    told = tell(session, first)
    found = stray(session, first.side) if _is_stray(session, first) else None
    streams: list[tuple[int | None, Mark | None]] = [(first.stream or None, None)]
    for violation in violations[1:]:
        if violation.stream != first.stream and violation.stream:
            streams.append((violation.stream, violation.excerpt.mark))
    if found:  # they belong to no stream, and hit all that are open
        streams = [*session.h2.open_at_stray] or streams
    return Match(
        severity=told.severity,
        certainty=told.certainty if found or whole(session, first.side) else sure(session, told.certainty),
        who=[WHO[first.side], "proxy"] if found else [WHO[first.side]],
        title=told.title,
        explanation=told.explanation,
        evidence=[show(found or first.excerpt, told.note)],
        details={"by": SIDE_NAMES[first.side], **_plain(first.facts), **told.details},
        client_sees=_client_sees(session, first) if first.side == SERVER else [],
        retry_safe="unknown",
        retry_why="A breach of HTTP/2 usually ends the connection: whether the call was processed is not on the wire.",
        fix=told.fix,
        key=(first.kind, first.side),
        stream=streams[0][0],
        count=count,
        streams=streams[1:],
    )


def _client_sees(session: Session, violation: Violation) -> list[ClientSees]:
    if violation.kind == "frame-size" and violation.facts["declared"] <= violation.facts["limit"]:
        return []  # they wait for its end
    frame = violation.excerpt.data
    alone = session.h2.max_open <= 1
    head: bool | None = None
    if violation.kind == "continuation-interleaved":
        head = not violation.facts["ends_stream"] if alone else None
    elif violation.kind not in ("idle-stream", "content-length") and len(frame) >= 9 and frame[3] == HEADERS:
        own = violation.kind == "malformed-headers"  # it ends its stream, and no other
        head = not frame[4] & END_STREAM if alone or own else None
    elif only_call(session):
        head = session.h2.halves[SERVER].frames.by_type[HEADERS] == 0
    rows = clients.breach(
        violation.kind,
        violation.facts,
        opening=violation.excerpt.mark.offset == 0,
        head=head,
    )
    # grpclib waits for the end of a frame before it looks at its length.
    return [row for row in rows if row.client != GRPCLIB.name] if _is_stray(session, violation) else rows


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    """Return a violation's facts in the types that a report knows."""
    return {key: value.decode("latin-1") if isinstance(value, bytes) else value for key, value in facts.items()}
