"""What one replay came to: the case, the client, the answers, and what they rest on."""

from __future__ import annotations

from dataclasses import dataclass, field

from wirecase.model import Finding
from wirecase.replay.judge import overall
from wirecase.replay.model import CHECKS, Check, ClientRun, Outcome, Trace


@dataclass(slots=True)
class ReplayedCase:
    """What was served."""

    path: str
    sha256: str
    headline: str
    """Verdict on the recording."""
    server: str
    """The recorded server whose part was played, ``addr:port``."""
    findings: list[Finding] = field(default_factory=list)
    finding: str | None = None
    """The finding that was asked for."""
    call: int | None = None
    """The call that was asked for."""
    notes: list[tuple[str, str]] = field(default_factory=list)
    """(a stable word, one sentence): how what is served differs from the recording whatever the client does."""
    redacted: bool = False


@dataclass(slots=True)
class Tally:
    """How one check came out over the rounds."""

    passed: int = 0
    failed: int = 0
    untold: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count one more round."""
        if outcome == "pass":
            self.passed += 1
        elif outcome == "fail":
            self.failed += 1
        else:
            self.untold += 1


@dataclass(slots=True)
class ReplayResult:
    """The verdict on one client."""

    case: ReplayedCase
    trace: Trace
    """The wire of the round that decides: the first that failed, else the last."""
    run: ClientRun | None
    """The run of the client in that round; None where no command was given."""
    checks: list[Check]
    rounds: int = 1
    """How often the problem was to be served."""
    rounds_done: int = 1
    round_shown: int = 0
    """Number of the round that `trace` and `run` are of, from 0."""
    tallies: dict[str, Tally] = field(default_factory=dict)
    """By the name of the check, over all rounds."""
    interrupted: bool = False

    @property
    def outcome(self) -> Outcome:
        """The verdict: pass, fail or untold."""
        return overall(self.checks)

    def check(self, name: str) -> Check:
        """Return a check by its name. Raises KeyError."""
        for one in self.checks:
            if one.name == name:
                return one
        raise KeyError(name)

    @property
    def summary(self) -> str:
        """Return one sentence: the verdict and what decides it."""
        run = self.run
        if run is not None and run.failed_to_start is not None:
            return "the client could not be started"
        failed = [one for one in self.checks if one.outcome == "fail"]
        if failed:
            return f"{failed[0].name}: {failed[0].why}"
        wanted = "detected" if self.outcome == "untold" else None
        told = [one for one in self.checks if one.outcome == "pass"]
        first = self.check(wanted) if wanted else next(one for one in told if one.name in ("detected", "as_expected"))
        return f"{first.name}: {first.why}"

    def explain(self) -> str:
        """Return the verdict and every check, one a line: what a failing test prints."""
        lines = [f"replay of {self.case.path}: {self.outcome.upper()}"]
        lines += [f"  {one.outcome:<6}  {one.name}: {one.why}" for one in self.checks]
        return "\n".join(lines)


def ordered(checks: list[Check]) -> list[Check]:
    """Return checks in the order in which they are shown."""
    order = {name: number for number, name in enumerate(CHECKS)}
    return sorted(checks, key=lambda one: order.get(one.name, len(order)))
