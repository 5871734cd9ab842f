"""A recording as what a server does: acts, each anchored to what came before it, and which of them is the fault."""

from __future__ import annotations

from wirecase.replay.plan.acts import (
    Act,
    Anchor,
    Data,
    End,
    Fragment,
    Frame,
    Headers,
    More,
    Need,
    Raw,
    RecordedCall,
    RecordedConnection,
)
from wirecase.replay.plan.messages import MessageCount
from wirecase.replay.plan.plan import CannotReplayError, Plan
from wirecase.replay.plan.reading import read_plan
from wirecase.replay.plan.store import Blob, Store

__all__ = [
    "Act", "Anchor", "Blob", "CannotReplayError", "Data", "End", "Fragment", "Frame", "Headers", "MessageCount", "More",
    "Need", "Plan", "Raw", "RecordedCall", "RecordedConnection", "Store", "read_plan",
]  # fmt: skip
