"""The other direction: recorded requests against a real server, and its answers held against the recorded ones."""

from __future__ import annotations

from wirecase.replay.caller.address import CannotConnectError, Target, Tls, look_up
from wirecase.replay.caller.model import (
    SCHEMA,
    Answer,
    CallResult,
    Comparison,
    ConnectionResult,
    Deviation,
    Fault,
)
from wirecase.replay.caller.run import FULL_SPEED, Request, call_again

__all__ = [
    "FULL_SPEED", "SCHEMA", "Answer", "CallResult", "CannotConnectError", "Comparison", "ConnectionResult", "Deviation",
    "Fault", "Request", "Target", "Tls", "call_again", "look_up",
]  # fmt: skip
