"""How the client took it: one file for each question, all of them over one `Scene`.

Each answer is pass, fail or untold. Fail needs evidence that leaves no other reading; where the evidence is missing or
has an innocent reading, the answer is untold, and says what would tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wirecase.replay.judge.calls import Criteria, Scene
from wirecase.replay.judge.contained import contained
from wirecase.replay.judge.detected import detected
from wirecase.replay.judge.expectation import Expectation, parse_expectation
from wirecase.replay.judge.expected import as_expected
from wirecase.replay.judge.leak import no_leak
from wirecase.replay.judge.process import not_crashed, not_hung
from wirecase.replay.judge.recovered import recovered
from wirecase.replay.judge.retries import retried_safely
from wirecase.replay.model import Check, Outcome

__all__ = ["Criteria", "Expectation", "Scene", "judge", "no_leak", "overall", "parse_expectation"]

_JUDGES = (detected, contained, recovered, retried_safely, not_hung, not_crashed)


def judge(scene: Scene) -> list[Check]:
    """Return the answers for one round, without *no_leak*, which needs several."""
    checks = [each(scene) for each in _JUDGES]
    if scene.criteria.expectations:
        checks.append(as_expected(scene))
    return checks


def overall(checks: Iterable[Check]) -> Outcome:
    """Return the verdict of all checks together.

    Fail if any failed. Pass if it is told that the fault was noticed, or that the client did what was expected of it.
    Else untold.
    """
    outcomes = {check.name: check.outcome for check in checks}
    if "fail" in outcomes.values():
        return "fail"
    told: Sequence[str] = ("detected", "as_expected")
    return "pass" if any(outcomes.get(name) == "pass" for name in told) else "untold"
