"""The score card for a person at a terminal: the surprises first, then the rest, then how each topic went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from wirecase import __version__
from wirecase.replay.gauntlet import Card, Cell, Fault
from wirecase.replay.gauntlet.fault import TOPICS
from wirecase.replay.gauntlet.score import WORDS
from wirecase_cli.reports import gauntlet_words as words
from wirecase_cli.reports import replay_words
from wirecase_cli.reports.drawing import DIM, fields, hanging, joined, printed, safe, section, text
from wirecase_cli.reports.screen import Screen

STYLE = {"pass": "bold green", "fail": "bold red", "untold": "bold yellow"}
SIGN = {"pass": "✓", "fail": "✗", "untold": "·"}


def render(card: Card, screen: Screen, again: str) -> str:
    """Return the card as text."""
    return printed(_parts(card, again), screen)


def listing(faults: Sequence[Fault], screen: Screen) -> str:
    """Return the list of faults as text."""
    return printed(_listed(faults), screen)


def _listed(faults: Sequence[Fault]) -> Iterator[RenderableType]:
    broken = sum(not fault.control for fault in faults)
    yield text(f"{broken} faults and {len(faults) - broken} controls")
    for topic, about in TOPICS.items():
        of = [fault for fault in faults if fault.topic == topic]
        if of:
            yield section(f"{topic}: {about}")
            for fault in of:
                label = joined(
                    (fault.name, "bold"), (f"  {fault.summary}; expected: {fault.wanted}", ""),
                    (f"  {fault.rule}" if fault.rule else "", DIM),
                )  # fmt: skip
                yield hanging("  ", label)


def _parts(card: Card, again: str) -> Iterator[RenderableType]:
    yield text(f"wirecase {__version__}", DIM)
    stopped = " (interrupted)" if card.interrupted else ""
    yield hanging(
        f"{SIGN[card.outcome]} ", text(words.HEADLINE[card.outcome] + stopped, "bold"), STYLE[card.outcome]
    )  # fmt: skip
    yield fields(
        [
            ("client", text(safe(replay_words.command(card.command)))),
            ("faults", text(f"{len(card.cells)} in {card.seconds:.1f} s, {card.jobs} at a time")),
            ("score", text(words.summary(card))),
        ]
    )
    yield from _group("Surprises", words.surprises(card), card, again)
    yield from _group("Other failures", words.lesser(card), card, again)
    yield from _group("Known to fail, and passed: take them from the list", words.fixed(card), card, again)
    yield from _group("Untold", words.untold(card), card, again)
    yield section("By topic")
    yield _topics(card)
    if card.left_out:
        yield section("Left out")
        names = ", ".join(fault.name for fault in card.left_out)
        yield text(f"calls of another kind are needed for {names}: put {{kind}} and {{path}} into the command", DIM)


def _group(title: str, cells: Sequence[Cell], card: Card, again: str) -> Iterator[RenderableType]:
    if not cells:
        return
    yield section(f"{title}: {len(cells)}")
    before = ""
    for cell in cells:
        if cell.word != before and cell.outcome == "fail":
            yield text(f"{cell.word}: {WORDS[cell.word]}", DIM)
        before = cell.word
        yield _row(cell, card, again)


def _row(cell: Cell, card: Card, again: str) -> RenderableType:
    known = "  known to fail" if cell.known_failing else ""
    label = joined(
        (cell.fault.name, "bold"), (f"  {cell.fault.summary}", ""), (known, DIM),
    )  # fmt: skip
    facts = f"{safe(cell.why)}; reported {safe(words.reported(cell))}, expected {cell.fault.wanted}"
    lines: list[RenderableType] = [
        hanging(f"{words.SIGNS[cell.word]} ", label, STYLE[cell.outcome]),
        hanging("    ", text(facts)),
    ]
    if cell.details:
        lines.append(hanging("    ", text(safe(words.masked(cell.details), 200), DIM)))
    lines.append(hanging("    ", text(safe(words.again(card, cell, again), 2000), DIM)))
    return Group(*lines)


def _topics(card: Card) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(4):
        table.add_column(no_wrap=True)
    table.add_column()
    for topic in TOPICS:
        of = [cell for cell in card.cells if cell.fault.topic == topic]
        if not of:
            continue
        counts = {one: sum(cell.outcome == one for cell in of) for one in STYLE}
        shown = [Text(f"{SIGN[one]} {number}", STYLE[one]) if number else Text("") for one, number in counts.items()]
        wrong = ", ".join(cell.fault.name for cell in of if cell.outcome == "fail")
        table.add_row(Text(topic), *shown, Text(wrong, DIM))
    return table
