"""The score card as JUnit XML: a suite for each topic, a case for each fault.

What could not be told, what does not apply and what is known to fail is a skipped case; a known failure that is none
any more is a failed one, so that the list stays true.
"""

from __future__ import annotations

from wirecase.replay.gauntlet import Card, Cell
from wirecase.replay.gauntlet.fault import TOPICS
from wirecase_cli.reports import gauntlet_words as words
from wirecase_cli.reports import junit, replay_words


def render(card: Card, again: str) -> str:
    """Return the card as XML text with a newline at its end."""
    suites = []
    for topic in TOPICS:
        cells = [cell for cell in card.cells if cell.fault.topic == topic]
        if cells:
            facts = {"command": replay_words.command(card.command)}
            took = sum(cell.seconds for cell in cells)
            suites.append(junit.Suite(topic, [_case(card, cell, again) for cell in cells], took, facts))
    return junit.document("wirecase gauntlet", suites)


def _case(card: Card, cell: Cell, again: str) -> junit.Case:
    case = junit.Case(cell.fault.name, f"wirecase.gauntlet.{cell.fault.topic}")
    more = [
        cell.fault.summary,
        f"expected: {cell.fault.wanted}; reported: {words.reported(cell)}",
        *(f"{one.outcome}  {one.name}: {one.why}" for one in cell.checks),
        words.again(card, cell, again),
    ]
    if cell.known_failing and cell.outcome == "pass":
        case.outcome, case.kind, case.lines = "failure", "known-failing", more
        case.message = "it is known to fail, and passed: take it from the list"
    elif cell.fails:
        case.outcome, case.message, case.kind, case.lines = "failure", cell.why, cell.word, more
    elif cell.outcome == "fail":
        case.outcome, case.message = "skipped", f"known to fail: {cell.why}"
    elif cell.word in ("untold", "void"):
        case.outcome, case.message = "skipped", cell.why
    return case
