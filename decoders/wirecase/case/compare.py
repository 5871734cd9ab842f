"""Whether a case still tells the same: its findings against those of the recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from wirecase.case.carry import why_not
from wirecase.case.plan import Plan
from wirecase.model import Finding

DECISIVE = (
    "flag", "error_code", "code", "http_status", "grpc_status", "how", "by", "frame", "problem", "kind", "setting",
    "value", "after_messages", "last_stream", "encoding", "declared", "side", "scope",
)  # fmt: skip
"""Details that must not change; texts and names may be masked, times and places are others."""


STRONGER = {"close-without-goaway": ("body-cut-connection",)}
"""Rule -> what a case may show instead, as nothing of it is out of sight."""


class Place(NamedTuple):
    """Where a finding stands: a connection of the case, and a stream."""

    connection: int | None
    stream: int | None


class Match(NamedTuple):
    """A finding of the recording and the one that shows it in the case."""

    recorded: Finding
    shown: Finding | None
    missing: str
    """Why the case does not show it; empty if it does."""


def compare(
    chosen: Sequence[Finding], shown: Sequence[Finding], connections: Mapping[int, int], plan: Plan
) -> list[Match]:
    """Find each chosen finding again; `connections` maps connections of the recording to those of the case."""
    matches = []
    for one in chosen:
        ref = one.connection
        kept = None if ref is None else plan.connections.get(ref.index)
        first_kept = ref is None or (kept is not None and kept.wants(one.stream or 0))
        twin, difference = _twin(one, shown, connections, first_kept=first_kept)
        reason = "" if twin is not None else why_not(one.rule) or difference
        matches.append(Match(one, twin, reason))
    return matches


def lost(matches: Sequence[Match]) -> list[Match]:
    """Return what should be there and is not; what only a missing cause explains may be missing with it."""
    excused = {
        match.recorded.id for match in matches if match.shown is None and why_not(match.recorded.rule) is not None
    }
    left = [match for match in matches if match.shown is None and match.recorded.id not in excused]
    while more := [match for match in left if match.recorded.caused_by in excused]:
        excused |= {match.recorded.id for match in more}
        left = [match for match in left if match not in more]
    return left


def added(recorded: Sequence[Finding], shown: Sequence[Finding]) -> list[Finding]:
    """Return the errors that a case shows and the recording, all of it, does not."""
    known = {one.rule for one in recorded}
    for rule in list(known):
        known.update(STRONGER.get(rule, ()))
    return [one for one in shown if one.severity == "error" and one.rule not in known]


def _place(one: Finding, connections: Mapping[int, int]) -> Place:
    if one.connection is None:
        return Place(None, None)
    return Place(connections.get(one.connection.index), one.stream)


def _twin(
    one: Finding, shown: Sequence[Finding], connections: Mapping[int, int], *, first_kept: bool
) -> tuple[Finding | None, str]:
    """Return the finding that shows the same, or None and what differs.

    `first_kept` says that the case holds the call that the finding speaks of, not only others that it hit.
    """
    place = _place(one, connections)
    same_rule = [other for other in shown if other.rule == one.rule]
    if not same_rule:
        for other in shown:
            if other.rule in STRONGER.get(one.rule, ()) and _places(other) & {place}:
                return other, ""
        return None, "it is not found in the case"
    difference = "it is found in another place of the case"
    places = {place} | {
        Place(connections.get(o.connection) if o.connection is not None else None, o.stream) for o in one.occurrences
    }
    for other in same_rule:
        there = _places(other)
        if not places & there:
            whole = one.stream is None or other.stream is None
            if not whole or not {p.connection for p in places} & {p.connection for p in there}:
                continue
        if not first_kept:  # what the finding says in particular, it says of a call that was not asked for
            return other, ""
        changed = [name for name in DECISIVE if _differs(one.details, other.details, name)]
        if other.severity != one.severity:
            difference = f"its severity is {other.severity} instead of {one.severity}"
        elif changed:
            name = changed[0]
            difference = f"its {name} is {other.details.get(name)!r} instead of {one.details.get(name)!r}"
        else:
            return other, ""
    return None, difference


def _places(one: Finding) -> set[Place]:
    return {Place(None if one.connection is None else one.connection.index, one.stream)} | {
        Place(o.connection, o.stream) for o in one.occurrences
    }


def _differs(one: Mapping[str, Any], other: Mapping[str, Any], name: str) -> bool:
    mine, theirs = one.get(name), other.get(name)
    if isinstance(mine, str) and isinstance(theirs, str) and len(mine) == len(theirs) and name == "value":
        return False  # masked
    return bool(mine != theirs)
