"""What the score cards have in common: their order, their phrases, and the command that reruns a cell."""

from __future__ import annotations

from collections.abc import Sequence

from wirecase.replay.gauntlet.score import SURPRISES, WORDS, Card, Cell, Word
from wirecase_cli.reports import replay_words

SIGNS: dict[Word, str] = dict.fromkeys(WORDS, "✗") | {"untold": "·", "void": "-", "pass": "✓"}
HEADLINE = {
    "pass": "the client passed",
    "fail": "the client failed",
    "untold": "the verdict could not be told of every fault",
}
_GRAVITY = {word: place for place, word in enumerate(WORDS)}


def failures(card: Card) -> list[Cell]:
    """Return the cells that failed, the gravest first."""
    return sorted((cell for cell in card.cells if cell.outcome == "fail"), key=lambda cell: _GRAVITY[cell.word])


def surprises(card: Card) -> list[Cell]:
    """Return the failures that nobody expects of a client."""
    return [cell for cell in failures(card) if cell.word in SURPRISES]


def lesser(card: Card) -> list[Cell]:
    """Return the other failures."""
    return [cell for cell in failures(card) if cell.word not in SURPRISES]


def untold(card: Card) -> list[Cell]:
    """Return the cells without a verdict."""
    return [cell for cell in card.cells if cell.outcome == "untold"]


def fixed(card: Card) -> list[Cell]:
    """Return the cells that are known to fail and passed."""
    return [cell for cell in card.cells if cell.known_failing and cell.outcome == "pass"]


def reported(cell: Cell) -> str:
    """Return what the client reported of its calls, equal ones that follow each other counted."""
    return runs(cell.codes) or "nothing"


def runs(codes: Sequence[str]) -> str:
    """Return ``INTERNAL, 2 OK`` for INTERNAL, OK, OK."""
    counted: list[tuple[str, int]] = []
    for code in codes:
        if counted and counted[-1][0] == code:
            counted[-1] = (code, counted[-1][1] + 1)
        else:
            counted.append((code, 1))
    return ", ".join(code if number == 1 else f"{number} {code}" for code, number in counted)


def masked(said: str) -> str:
    """Return words of the client as one harmless line, what looks like a credential masked."""
    return replay_words.masked(said.encode("utf-8", "surrogatepass"))


def summary(card: Card) -> str:
    """Return how often each word was said, the gravest first."""
    words = card.words
    return ", ".join(f"{words[word]} {word}" for word in (*reversed(WORDS),) if words[word])


def again(card: Card, cell: Cell, begin: str) -> str:
    """Return the command that reruns one cell."""
    return f"{begin} {cell.fault.name} -- {replay_words.command(card.command)}"
