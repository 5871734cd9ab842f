"""What the page tells of the findings, arranged: one card for each root cause, its consequences inside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from wirecase.model import Diagnosis, Finding
from wirecase_cli.reports import hexview, outline, words
from wirecase_cli.reports.html import hexes
from wirecase_cli.reports.sarif_rules import reference_uri

MOST_ROOTS = 60
"""Root causes told in full; the others stand in the tree and in the JSON report."""
MOST_CONSEQUENCES = 40
MOST_EVIDENCE = 4
MOST_MEMBERS = 4
"""Findings of one story whose decisive evidence stands open."""


@dataclass(slots=True)
class Proof:
    """One piece of evidence. Texts are not yet escaped."""

    finding: str
    note: str
    where: str
    hex: hexes.Hex | None


@dataclass(slots=True)
class Card:
    """One finding, or several that tell the same story. Texts are not yet escaped."""

    group: outline.Group
    depth: int
    proofs: list[Proof]
    place: list[str]
    legs: list[str]
    facts: list[tuple[str, str]]
    ids: list[tuple[str, str]]
    same: list[str]
    clients: list[tuple[str, str, str, str, bool]]
    """Client, finding, code, text, whether it was checked."""
    retries: list[tuple[str, str]]
    fixes: list[tuple[str, str]]
    references: list[tuple[str, str]]
    """Text, and the address of the standard it names (empty if there is none)."""
    consequences: list[Card] = field(default_factory=list)
    """Flat, each before its own consequences; `depth` tells the tree."""
    more: int = 0
    """Consequences that are left out."""
    anchors: list[str] = field(default_factory=list)
    """Ids of further findings that are told here: links to them lead here."""

    @property
    def one(self) -> Finding:
        """The finding that stands for all."""
        return self.group.first


class Cards:
    """Makes cards of groups of findings."""

    def __init__(self, diagnosis: Diagnosis, unmasked: Diagnosis) -> None:
        """`unmasked` is the same with the bytes as they were: the page masks them in a way that can be seen."""
        self._diagnosis = diagnosis
        self._bytes = {one.id: one for one in unmasked.findings}

    def of(self, groups: Iterable[outline.Group]) -> list[Card]:
        """Return the cards of some root causes, the first `MOST_ROOTS`."""
        return [self._card(group) for group in list(groups)[:MOST_ROOTS]]

    def _card(self, group: outline.Group) -> Card:
        below = list(_below(group, 1))
        members = [group.first, *(child.first for child, _ in below if child.first.severity != "info")]
        card = self._bare(group, 0, members)
        for member in members[1:MOST_MEMBERS]:
            card.proofs += self._proofs(member, decisive=True)
        card.consequences = [self._bare(child, depth, [child.first]) for child, depth in below[:MOST_CONSEQUENCES]]
        card.more = max(len(below) - MOST_CONSEQUENCES, 0)
        return card

    def _bare(self, group: outline.Group, depth: int, members: list[Finding]) -> Card:
        one = group.first
        return Card(
            group=group,
            depth=depth,
            proofs=self._proofs(one),
            place=words.place(one),
            legs=words.legs(one),
            facts=words.details(one),
            ids=words.ids(members),
            same=words.finding_ids(group.findings[1:]),
            clients=[
                (name, finding_id, sees.code, sees.text, sees.checked)
                for name, lines in words.clients(members).items() for finding_id, sees in lines
            ],
            retries=words.retries(members),
            fixes=words.fixes(members),
            references=[(text, reference_uri(text) or "") for text in one.references],
        )  # fmt: skip

    def _proofs(self, finding: Finding, *, decisive: bool = False) -> list[Proof]:
        """Show the evidence of a finding, or only the one piece of it that shows most."""
        original = self._bytes.get(finding.id, finding)
        best = hexview.decisive(original)
        return [
            Proof(finding.id, one.note or "evidence", words.evidence(one, self._diagnosis), hexes.draw(original, raw))
            for one, raw in zip(finding.evidence, original.evidence, strict=True)
            if not decisive or raw is best
        ][:MOST_EVIDENCE]


def settle(cards: Iterable[Card], findings: Iterable[Finding]) -> list[str]:
    """Give each finding a card that links to it lead to: its own, or that of its cause. Return the ids without any."""
    homes: dict[str, Card] = {}
    for card in cards:
        for each in (card, *card.consequences):
            homes |= {one.id: each for one in each.group.findings}
            each.anchors = [one.id for one in each.group.findings[1:]]
    by_id = {one.id: one for one in findings}
    strays = []
    for one in by_id.values():
        if one.id in homes:
            continue
        cause: Finding | None = one
        seen = set()
        while cause is not None and cause.id not in homes and cause.id not in seen:
            seen.add(cause.id)
            cause = by_id.get(cause.caused_by or "")
        if cause is not None and cause.id in homes:
            homes[cause.id].anchors.append(one.id)
        else:
            strays.append(one.id)
    return strays


def _below(group: outline.Group, depth: int) -> Iterator[tuple[outline.Group, int]]:
    for child in group.children:
        yield child, depth
        yield from _below(child, depth + 1)
