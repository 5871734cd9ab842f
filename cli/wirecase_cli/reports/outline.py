"""The order in which a report tells its findings: roots with their consequences, remarks, limits of the capture.

Findings that tell the same story on many connections are put together into one `Group`, so that a fault on a hundred
connections is read once. Reports draw the outline; none of them sorts findings by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from wirecase.model import Diagnosis, Finding, Severity

_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}
TELLING = ("flag", "error_code", "http_status", "grpc_status", "content_type")
"""Details that make two findings of one rule different stories."""


@dataclass(slots=True)
class Group:
    """Findings of one rule with the same facts and the same consequences; at least one."""

    findings: list[Finding]
    children: list[Group] = field(default_factory=list)
    """What it led to, in the first finding's own case."""
    leg: str | None = None
    """The server's address, where a report tells of several and the title does not name it."""

    @property
    def first(self) -> Finding:
        """The finding that stands for all."""
        return self.findings[0]

    @property
    def count(self) -> int:
        """How often the fault was met, over all findings."""
        return sum(one.count for one in self.findings)

    def descendants(self) -> Iterable[Group]:
        """Yield every consequence, each before its own consequences."""
        for child in self.children:
            yield child
            yield from child.descendants()


@dataclass(slots=True)
class Outline:
    """All findings of a diagnosis, each in exactly one place."""

    roots: list[Group]
    """Root causes of errors and warnings, the weightiest first."""
    remarks: list[Group]
    """Information that explains no fault."""
    limits: list[Group]
    """What the capture cannot show (rules ``obs-…``)."""


def of(diagnosis: Diagnosis) -> Outline:
    """Arrange the findings of `diagnosis`; links that form a cycle or lead nowhere lose no finding."""
    by_id = {one.id: one for one in diagnosis.findings}
    children: dict[str, list[Finding]] = {}
    limits: list[Finding] = []
    for one in diagnosis.findings:
        if is_limit(one):
            limits.append(one)
            continue
        cause = by_id.get(one.caused_by or "")
        if cause is not None and cause is not one and not is_limit(cause):
            children.setdefault(cause.id, []).append(one)

    placed: set[str] = {one.id for one in limits}
    named = [by_id[each] for each in diagnosis.verdict.root_causes if each in by_id]
    linked = {one.id for ones in children.values() for one in ones}
    unlinked = [one for one in diagnosis.findings if one.id not in linked]
    trees: list[_Tree] = []
    # The verdict's order first, then whatever it does not name, then whatever only a cycle keeps from being a root.
    for one in (*named, *unlinked, *diagnosis.findings):
        if one.id not in placed:
            trees.append(_grow(one, children, placed))

    return _told_apart(Outline(*_sorted(trees, limits)))


def _sorted(trees: list[_Tree], limits: list[Finding]) -> tuple[list[Group], list[Group], list[Group]]:
    """Return the groups of roots, remarks and limits."""
    loud = [tree for tree in trees if tree.weight < _ORDER["info"]]
    quiet = [tree for tree in trees if tree.weight == _ORDER["info"]]
    return _grouped(loud), _grouped(quiet), _grouped([_Tree(one) for one in limits])


def _told_apart(outline: Outline) -> Outline:
    """Name the server of each group where there is more than one: the legs of a proxy tell the same story twice."""
    groups = [group for root in outline.roots for group in (root, *root.descendants())]
    if len({group.first.connection.server for group in groups if group.first.connection}) > 1:
        for group in groups:
            one = group.first
            if one.connection is not None and one.connection.server not in one.title:
                group.leg = one.connection.server
    return outline


def is_limit(finding: Finding) -> bool:
    """Tell whether a finding is about the capture itself."""
    return finding.rule.startswith("obs-")


@dataclass(slots=True)
class _Tree:
    finding: Finding
    children: list[_Tree] = field(default_factory=list)

    @property
    def weight(self) -> int:
        return min([_ORDER[self.finding.severity], *(child.weight for child in self.children)])

    @property
    def story(self) -> tuple[Any, ...]:
        one = self.finding
        facts = tuple(str(one.details.get(name)) for name in TELLING)
        return one.rule, one.severity, tuple(one.who), facts, frozenset(child.story for child in self.children)


def _grow(root: Finding, children: dict[str, list[Finding]], placed: set[str]) -> _Tree:
    placed.add(root.id)
    tree = _Tree(root)
    open_nodes = [tree]
    while open_nodes:
        node = open_nodes.pop()
        for one in children.get(node.finding.id, ()):
            if one.id not in placed:
                placed.add(one.id)
                child = _Tree(one)
                node.children.append(child)
                open_nodes.append(child)
    return tree


def _grouped(trees: list[_Tree]) -> list[Group]:
    groups: dict[tuple[Any, ...], Group] = {}
    for tree in sorted(trees, key=lambda one: one.weight):
        story = tree.story
        if story in groups:
            groups[story].findings.append(tree.finding)
        else:
            groups[story] = Group([tree.finding], _grouped(tree.children))
    return list(groups.values())
