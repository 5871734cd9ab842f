"""How an explicit shape is written down."""

from __future__ import annotations

import re

from wirecase.explaining.shape import Rules, Shape
from wirecase.model import Certainty

_LEVELS: dict[str, Certainty] = {"certain": "certain", "probable": "probable"}


def rules_of(text: str) -> Rules:
    """Read ``rule=certainty`` pairs; a rule without one is possible."""
    pairs: list[tuple[str, Certainty]] = []
    for part in text.split():
        rule, _, level = part.partition("=")
        pairs.append((rule, _LEVELS.get(level, "possible")))
    return tuple(pairs)


def line(
    hint: str, client: str, rules: str, *, pattern: str = "", text: str = "", note: str = "", weight: int = 0,
    code: str = "", checked: bool = True, cased: bool = False,
) -> Shape:  # fmt: skip
    """Return a shape that is no template; `hint` is literal and lower case, `pattern` more of the line if due."""
    compiled = re.compile(pattern or rf"(?<![a-z0-9_]){re.escape(hint)}(?![a-z0-9_])")
    return Shape(
        pattern=compiled, hint=hint, client=client, version="", code=code, text=text or hint, rules=rules_of(rules),
        weight=weight or len(hint), checked=checked, note=note, cased=cased,
    )  # fmt: skip
