"""What a shape of a log line is: a pattern, who prints it, and which rules it may stand for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wirecase.model import Certainty

Rules = tuple[tuple[str, Certainty], ...]
"""Rule ids with how sure the line makes them, the likeliest first."""


@dataclass(slots=True, frozen=True)
class Shape:
    """A kind of log line. Patterns are matched against `normal` text."""

    pattern: re.Pattern[str]
    hint: str
    """Literal text that every match holds: asked for first, since it costs less than the pattern."""
    client: str
    """Who prints it: a client of `wirecase.rules.clients`, ``Envoy``, ``nginx`` …"""
    version: str
    code: str
    """gRPC status that comes with it, empty where the line does not depend on it."""
    text: str
    """What the line looks like, for a reader; what varies stands in angle brackets."""
    rules: Rules
    weight: int
    """How much of the line the shape explains: characters that do not vary."""
    checked: bool
    """False where the words were remembered, not read in a source or an output."""
    note: str = ""
    """What the words mean, where the rule's title does not say it."""
    cased: bool = False
    """Matched against `plain` text: capitals matter."""


_SPACE = re.compile(r"\s+|\\+[nrt](?![a-z])")
_QUOTE = re.compile(r"\\+([\"'])")
LONGEST = 16_384
"""Characters of one record that are looked at."""


def plain(text: str) -> str:
    r"""Return `text` with single spaces, and quotes without the backslashes of JSON or Rust."""
    return _SPACE.sub(" ", _QUOTE.sub(r"\1", text[:LONGEST])).strip()


def normal(text: str) -> str:
    """Return `text` as most shapes see it: `plain` and in lower case."""
    return plain(text).lower()


def longest_literal(parts: list[str]) -> str:
    """Return the longest of the literal `parts` of a pattern, for use as a hint."""
    return max(parts, key=len, default="")
