"""What one fault came to, in one word, and the score over all of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from wirecase.replay.gauntlet.fault import Fault, Kind
from wirecase.replay.model import Check, Outcome
from wirecase.replay.result import ReplayResult

Word = Literal[
    "success",
    "accepted",
    "crash",
    "hang",
    "refused",
    "lost",
    "resent",
    "stuck",
    "code",
    "leak",
    "untold",
    "void",
    "pass",
]
WORDS: dict[Word, str] = {
    "success": "a damaged answer was reported as OK",
    "crash": "the client crashed",
    "hang": "the client still waited when its time was over",
    "refused": "a sound answer was refused",
    "resent": "a request was sent again that may have been processed, or in a storm",
    "lost": "another stream of the connection was given up",
    "stuck": "no later call worked, though the server was healthy",
    "accepted": "a breach of the protocol around a whole answer was taken for OK",
    "code": "an error was reported, and not the one that gRPC's documents name",
    "leak": "something grew from round to round",
    "untold": "the verdict could not be told",
    "void": "does not apply to the client",
    "pass": "as it should be",
}
"""The gravest first."""
SURPRISES: tuple[Word, ...] = ("success", "crash", "hang", "refused", "resent", "lost", "stuck")
"""What nobody expects of a client: shown before all else."""
_BY_CHECK: dict[str, Word] = {
    "not_crashed": "crash", "not_hung": "hang", "retried_safely": "resent", "contained": "lost", "recovered": "stuck",
    "no_leak": "leak",
}  # fmt: skip


@dataclass(slots=True)
class Cell:
    """One client against one fault."""

    fault: Fault
    kind: Kind
    """The kind of call that it was served to."""
    result: ReplayResult | None
    """None where it was not run: interrupted before."""
    seconds: float = 0.0
    known_failing: bool = False
    again: bool = False
    """Run a second time, alone: the first time, beside others, its time was over."""

    @property
    def void(self) -> str:
        """Why the fault says nothing of this client; empty if it does."""
        needs, calls = self.fault.needs, [] if self.result is None else self.result.trace.calls
        if needs and calls and not any(needs in call.accepts for call in calls):
            return f"the client does not offer {needs} in grpc-accept-encoding"
        return ""

    @property
    def outcome(self) -> Outcome:
        """The verdict; a pass where there is nothing to judge."""
        if self.result is None:
            return "untold"
        return "pass" if self.void else self.result.outcome

    @property
    def checks(self) -> list[Check]:
        """The answers that the replay gave."""
        return [] if self.result is None else self.result.checks

    @property
    def codes(self) -> list[str]:
        """The statuses that the client reported, in the order of its calls."""
        run = None if self.result is None else self.result.run
        return [] if run is None else [line.code for line in run.reported]

    @property
    def details(self) -> str:
        """What the client said of the first call that did not end with OK."""
        run = None if self.result is None else self.result.run
        lines = [] if run is None else run.reported
        return next((line.details for line in lines if line.code != "OK"), "")

    @property
    def word(self) -> Word:
        """What happened, in one word: the gravest of the checks that failed."""
        if self.void:
            return "void"
        if self.outcome != "fail":
            return "pass" if self.outcome == "pass" else "untold"
        found = {self._word_of(one) for one in self.checks if one.outcome == "fail"}
        return next(word for word in WORDS if word in found)

    def _word_of(self, check: Check) -> Word:
        if check.name in _BY_CHECK:
            return _BY_CHECK[check.name]
        if self.fault.control:
            return "refused"
        if check.name == "detected" or _says_ok(check):
            return "success" if self.fault.damaged else "accepted"
        return "code"

    @property
    def why(self) -> str:
        """One sentence: the gravest failure, or what the verdict rests on."""
        if self.result is None:
            return "not run"
        if self.void:
            return self.void
        word = self.word
        failed = [one for one in self.checks if one.outcome == "fail"]
        for one in failed:
            if self._word_of(one) == word:
                return one.why
        return self.result.summary

    @property
    def fails(self) -> bool:
        """It counts against the client: a failure that is not known, or a known one that is none any more."""
        return self.outcome == ("pass" if self.known_failing else "fail")


def _says_ok(check: Check) -> bool:
    """Tell whether an expectation failed because OK was reported where an error was due."""
    for entry in check.evidence:
        on = entry.get("on")
        if entry.get("outcome") == "fail" and isinstance(on, list) and any(one.get("reported") == "OK" for one in on):
            return True
    return False


@dataclass(slots=True)
class Card:
    """The score card of one client."""

    command: list[str]
    """As it was given, placeholders and all."""
    cells: list[Cell]
    left_out: list[Fault] = field(default_factory=list)
    """Faults that calls of the client's only kind cannot show."""
    seconds: float = 0.0
    jobs: int = 1
    timeout: float = 0.0
    interrupted: bool = False

    @property
    def outcome(self) -> Outcome:
        """Fail if anything counts against the client; untold if anything is; else pass."""
        if any(cell.fails for cell in self.cells):
            return "fail"
        return "untold" if any(cell.outcome == "untold" for cell in self.cells) or not self.cells else "pass"

    @property
    def words(self) -> Counter[Word]:
        """How often each word was said."""
        return Counter(cell.word for cell in self.cells)
