"""Which connections and streams a picture shows: those that findings name, and what stands next to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from wirecase.model import CLIENT, SERVER, SIDE_NAMES, Diagnosis, Finding
from wirecase.picturing.model import Fault, Limits, Link, What
from wirecase.rules.windows import SLOTS_RULE, WINDOW_RULES


@dataclass(slots=True)
class StreamWish:
    """A stream that somebody named."""

    call: int | None = None
    path: str | None = None
    findings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class HopWish:
    """What is wanted of one connection."""

    streams: dict[int, StreamWish] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    near: frozenset[int] = frozenset()
    """Streams next to the named ones."""


@dataclass(slots=True, frozen=True)
class Target:
    """The series that a finding is about."""

    stream: int
    sender: int
    what: What
    finding: str


def wishes(
    diagnosis: Diagnosis, limits: Limits, connections: Sequence[int], streams: Sequence[tuple[int, int]]
) -> dict[int, HopWish]:
    """Return what is wanted, by connection, in the order in which hops are drawn; the first `Limits.hops`."""
    found: dict[int, HopWish] = {}
    for index in (*connections, *(index for index, _ in streams)):
        found.setdefault(index, HopWish())
    for index, named in streams:
        found[index].streams.setdefault(named, StreamWish())
    chosen = bool(found)
    for finding in by_weight(diagnosis):
        for index, stream, call, path in _places(finding):
            if index not in found:
                if chosen or len(found) >= limits.hops:
                    continue
                found[index] = HopWish()
            hop = found[index]
            if finding not in hop.findings:
                hop.findings.append(finding)
            if stream:
                _name(hop, stream, call, path, finding, limits.streams - limits.neighbours)
    found = dict(list(found.items())[: limits.hops])
    for hop in found.values():
        hop.near = frozenset(
            stream + 2 * step
            for stream in hop.streams
            for step in range(-limits.neighbours // 2, limits.neighbours // 2 + 1)
        ).difference(hop.streams)
    return found


def by_weight(diagnosis: Diagnosis) -> Iterable[Finding]:
    """Yield the findings, root causes first."""
    by_id = {finding.id: finding for finding in diagnosis.findings}
    roots = {name: by_id[name] for name in diagnosis.verdict.root_causes if name in by_id}
    yield from roots.values()
    yield from (finding for finding in diagnosis.findings if finding.id not in roots)


def _name(hop: HopWish, stream: int, call: int | None, path: str | None, finding: Finding, most: int) -> None:
    wish = hop.streams.get(stream)
    if wish is None:
        if len(hop.streams) >= max(most, 1):
            return
        wish = hop.streams[stream] = StreamWish()
    wish.call = call if wish.call is None else wish.call
    wish.path = wish.path or path
    if finding.id not in wish.findings:
        wish.findings.append(finding.id)


def _places(finding: Finding) -> Iterable[tuple[int, int | None, int | None, str | None]]:
    """Yield (connection, stream, call, path) of every place that a finding names, those of its legs together."""
    for leg in finding.legs:
        yield leg.connection.index, leg.stream, leg.call, finding.path
    if finding.connection is not None:
        yield finding.connection.index, finding.stream, finding.call, finding.path
    for place in finding.occurrences:
        if place.connection is not None:
            yield place.connection, place.stream, place.call, place.path


def faults(diagnosis: Diagnosis, hops: Iterable[int]) -> list[Fault]:
    """Return where the findings lie, as far as their connections are shown."""
    shown, roots = frozenset(hops), frozenset(diagnosis.verdict.root_causes)
    return [
        Fault(
            one.id, one.rule, one.severity, one.title, one.time, one.connection.index if one.connection else None,
            one.stream, one.evidence[0].packet if one.evidence else None, one.id in roots,
        )
        for one in diagnosis.findings
        if one.connection is None or one.connection.index in shown
    ]  # fmt: skip


def links(diagnosis: Diagnosis, hops: Iterable[int]) -> list[Link]:
    """Return which streams of the hops shown are legs of the same call."""
    shown = frozenset(hops)
    found: dict[tuple[tuple[int, int], tuple[int, int]], Link] = {}
    for one in diagnosis.findings:
        for front, behind in zip(one.legs, one.legs[1:], strict=False):
            ends = ((front.connection.index, front.stream), (behind.connection.index, behind.stream))
            if ends[0][0] in shown and ends[1][0] in shown:
                found.setdefault(ends, Link(*ends, one.id))
    return list(found.values())


def targets(finding: Finding, connection: int) -> list[Target]:
    """Return the series of a connection that a finding is about; empty where its rule has none."""
    if finding.rule not in WINDOW_RULES:
        return []
    sender = _sender(finding)
    streams = {place.stream for place in finding.occurrences if place.connection == connection and place.stream}
    own = finding.connection is not None and finding.connection.index == connection
    if own and finding.stream:
        streams.add(finding.stream)
    if not own and not streams:
        return []  # another leg of the call: its windows are its own
    if finding.rule == SLOTS_RULE:
        return [Target(0, CLIENT, "stream slots", finding.id)]
    whole = finding.rule in ("fc-connection-stalled", "fc-window-leak") or finding.details.get("scope") == "connection"
    if whole or not streams:
        return [Target(0, sender, "connection window", finding.id)]
    return [Target(stream, sender, "stream window", finding.id) for stream in sorted(streams)]


def _sender(finding: Finding) -> int:
    """Return the side whose sending is limited by the windows that a finding is about."""
    details = finding.details
    if finding.rule == "stream-stalled":
        return SERVER
    by = SIDE_NAMES.index(details["by"]) if details.get("by") in SIDE_NAMES else SERVER
    return by if finding.rule == "fc-violation" else 1 - by
