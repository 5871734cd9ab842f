"""Which faults are run: by name, rule, topic or pattern; and which of them a list says to fail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from wirecase.errors import UsageError
from wirecase.replay.gauntlet.fault import Fault
from wirecase.replay.gauntlet.faults import FAULTS


def matches(fault: Fault, pattern: str) -> bool:
    """Tell whether a pattern (``rst-*``) names the fault, one of its rules, or its topic."""
    return any(fnmatchcase(one, pattern) for one in (fault.name, fault.topic, fault.rule, *fault.also) if one)


def choose(patterns: Sequence[str]) -> list[Fault]:
    """Return the faults that one of the patterns names; all without any. Raises UsageError for one that names none."""
    for pattern in patterns:
        if not any(matches(fault, pattern) for fault in FAULTS):
            raise UsageError(f"no fault is named by {pattern!r} (try: wirecase gauntlet --list)")
    return [fault for fault in FAULTS if not patterns or any(matches(fault, one) for one in patterns)]


def known_failing(lines: Iterable[str], where: str) -> frozenset[str]:
    """Return the names that a list of known failures holds: a name or pattern a line, ``#`` begins a comment.

    Raises UsageError, in one line, for a line that names no fault: a list that is not true is of no use.
    """
    found: set[str] = set()
    for number, line in enumerate(lines, 1):
        pattern = line.partition("#")[0].strip()
        if not pattern:
            continue
        named = {fault.name for fault in FAULTS if fnmatchcase(fault.name, pattern)}
        if not named:
            raise UsageError(f"{where}:{number}: no fault has the name {pattern!r} (try: wirecase gauntlet --list)")
        found |= named
    return frozenset(found)
