"""The gauntlet: a client through every fault that ships, one replay for each, and a score card.

`FAULTS` lists the faults; `run` takes a client through them and returns its `Card`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from wirecase.replay.gauntlet.fault import Fault
from wirecase.replay.gauntlet.faults import FAULTS

if TYPE_CHECKING:
    from wirecase.replay.gauntlet.runner import Gauntlet, run
    from wirecase.replay.gauntlet.score import Card, Cell

__all__ = ["FAULTS", "Card", "Cell", "Fault", "Gauntlet", "run"]
_HOMES = {"Gauntlet": "runner", "run": "runner", "Card": "score", "Cell": "score"}


def __getattr__(name: str) -> object:
    """Import a public name when it is asked for: what serves and judges takes time to import."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
