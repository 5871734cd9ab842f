"""What the notes of a rule hold: the parts of its page that no single finding carries."""

from __future__ import annotations

from typing import NamedTuple

from wirecase.model import Who


class Note(NamedTuple):
    """What stands on a rule's page beside its title, summary and references."""

    wire: str
    """What it looks like on the wire: frames, fields, bytes."""
    who: tuple[Who, ...]
    """Usual culprits, the likeliest first; a finding may know better."""
    check: str
    """What to capture or look at next."""
    fix: str
    """What usually mends it; a finding may know better."""
