"""What a pasted line or a whole log may mean: candidates, best first, with what to do about each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from wirecase.explaining.matching import Guess, Reading, read
from wirecase.explaining.numbers import Decoded
from wirecase.explaining.page import pages
from wirecase.explaining.records import records
from wirecase.model import Certainty, Who

MOST_CANDIDATES = 12
MOST_LINES = 20
"""Line numbers that a candidate lists."""
_PER_RECORD = 8
_LOUD = 40.0
"""Score by which a candidate may lie behind a record's best one and still be told of."""
_ORDER: dict[Certainty, int] = {"certain": 0, "probable": 1, "possible": 2}


@dataclass(slots=True)
class Candidate:
    """A rule that may stand behind the text."""

    rule: str
    title: str
    certainty: Certainty
    """How sure the text makes it; only a capture can prove it."""
    why: str
    wire: str
    """What it would look like on the wire."""
    who: tuple[Who, ...]
    check: str
    """What to capture or look at next."""
    fix: str
    references: tuple[str, ...]
    clients: list[str] = field(default_factory=list)
    """Who prints such words."""
    lines: list[int] = field(default_factory=list)
    """Numbers of the lines that it may stand behind, the first of them."""
    count: int = 0
    """How many records it may stand behind."""
    leads: int = 0
    """How many of them it explains best."""
    score: float = 0.0


@dataclass(slots=True)
class Explanation:
    """What a text may mean."""

    candidates: list[Candidate]
    """Best first."""
    decoded: list[Decoded]
    """Numbers that are text or codes."""
    records: int = 0
    """Records read: lines with those that continue them."""
    recognised: int = 0
    """Records that some rule may stand behind."""


def explain(lines: Iterable[str]) -> Explanation:
    """Explain a line, a few, or a whole log; memory does not depend on its length."""
    found: dict[str, Candidate] = {}
    decoded: dict[tuple[str, str], Decoded] = {}
    out = Explanation([], [])
    for record in records(lines):
        out.records += 1
        reading = read(record.text)
        for one in reading.decoded:
            if len(decoded) < 24 or (one.what, one.value) in decoded:
                decoded.setdefault((one.what, one.value), one)
        if not reading.guesses:
            continue
        out.recognised += 1
        best = reading.guesses[0].score
        for place, guess in enumerate(reading.guesses[:_PER_RECORD]):
            if best - guess.score <= _LOUD or guess.certainty != "possible":
                _note(found, guess, reading, record.line, leads=place == 0)
    out.candidates = sorted(found.values(), key=lambda one: (-one.leads, -one.score, _ORDER[one.certainty]))
    out.candidates = out.candidates[:MOST_CANDIDATES]
    out.decoded = list(decoded.values())
    return out


def _note(found: dict[str, Candidate], guess: Guess, reading: Reading, line: int, *, leads: bool) -> None:
    page = pages().get(guess.rule)
    if page is None:
        return
    one = found.get(guess.rule)
    if one is None:
        one = found[guess.rule] = Candidate(
            guess.rule, page.title, guess.certainty, why(guess), page.wire, page.who, page.check, page.fix,
            page.references,
        )  # fmt: skip
    elif guess.score > one.score:
        one.why = why(guess)
    one.score = max(one.score, guess.score) if one.count else guess.score
    if _ORDER[guess.certainty] < _ORDER[one.certainty]:
        one.certainty = guess.certainty
    one.count += 1
    one.leads += leads
    if len(one.lines) < MOST_LINES:
        one.lines.append(line)
    for hit in guess.hits:
        if hit.shape.client not in one.clients and len(one.clients) < 8:
            one.clients.append(hit.shape.client)


def why(guess: Guess) -> str:
    """Return why a text may stand for a rule, in a sentence or two."""
    parts = [f"{text[:1].upper()}{text[1:]}".rstrip(".") + "." for text in guess.why]
    if guess.hits:
        hit = max(guess.hits, key=lambda one: one.shape.weight + (0 if one.code is not False else -100))
        shape = hit.shape
        who = f"{shape.client} {shape.version}".rstrip()
        words = " ".join(shape.text.split())
        if shape.note:
            parts.append(shape.note if shape.note.endswith(".") else f"{shape.note}.")
        elif shape.version:
            code = f" with status {shape.code}" if shape.code and hit.code else ""
            parts.append(f'{who} prints "{words}"{code}.')
        else:
            parts.append(f'These are words of {who}: "{words}".')
        if hit.code is False:
            parts.append(f"The status code in the text is not the one that goes with it ({shape.code}).")
    return " ".join(dict.fromkeys(parts))
