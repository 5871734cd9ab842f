"""All faults, by topic."""

from __future__ import annotations

from livebench.faults import connections, controls, frames, http, messages, resets, status
from livebench.server import Fault

ALL: tuple[Fault, ...] = (
    *messages.FAULTS,
    *status.FAULTS,
    *http.FAULTS,
    *resets.FAULTS,
    *connections.FAULTS,
    *frames.FAULTS,
    *controls.FAULTS,
)
BY_NAME = {fault.name: fault for fault in ALL}
assert len(BY_NAME) == len(ALL)
