"""All faults of the gauntlet, by topic."""

from __future__ import annotations

from wirecase.replay.gauntlet.fault import TOPICS, Fault
from wirecase.replay.gauntlet.faults import connections, controls, frames, http, messages, resets, statuses

_LISTED = (
    *controls.FAULTS,
    *messages.FAULTS,
    *statuses.FAULTS,
    *http.FAULTS,
    *resets.FAULTS,
    *connections.FAULTS,
    *frames.FAULTS,
)
_ORDER = {topic: place for place, topic in enumerate(TOPICS)}
FAULTS: tuple[Fault, ...] = tuple(sorted(_LISTED, key=lambda fault: _ORDER[fault.topic]))
"""In the order in which they are shown."""
