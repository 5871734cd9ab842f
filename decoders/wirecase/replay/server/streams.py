"""One live call: what came of its request, and how far its answer is."""

from __future__ import annotations

import hashlib
from asyncio import TimerHandle

from wirecase.replay.model import LiveCall
from wirecase.replay.plan import Act, MessageCount, RecordedCall
from wirecase.replay.server.rounds import CallState


class LiveStream:
    """A stream that the client opened."""

    __slots__ = (
        "acts", "body", "call", "count", "data", "decision", "digest", "ended", "finished", "id", "matched", "moved",
        "path", "place", "recorded", "reset", "sent", "state", "timer", "uncredited", "waited",
        "window",
    )  # fmt: skip

    def __init__(self, stream_id: int, call: LiveCall, window: int, now: float) -> None:
        self.id = stream_id
        self.call = call
        self.path = call.path
        self.window = window
        """How much may be sent on it."""
        self.state: CallState | None = None
        """The recorded call of this round that it is answered as."""
        self.recorded: RecordedCall | None = None
        self.acts: list[Act] = []
        """Its answer."""
        self.place = 0
        self.body = 0
        """Bytes of the current DATA act that were sent."""
        self.moved = now
        """When the client or its answer last moved."""
        self.waited = False
        """The current act has waited for the client in vain: it waits no more."""
        self.matched = False
        self.timer: TimerHandle | None = None
        self.decision: TimerHandle | None = None
        """Wakes up where it takes too long to learn which recorded call it is."""
        self.digest = hashlib.sha256()
        self.count = MessageCount()
        self.sent = MessageCount()
        """Messages of the answer."""
        self.data = 0
        self.ended = False
        self.reset = False
        self.finished = False
        """Nothing more will be sent."""
        self.uncredited = 0
        """Bytes of the request that the client was given no new credit for."""

    def spend(self, amount: int) -> bool:
        """Give credit as it was recorded, if the client has used up as much."""
        if not 0 < amount <= self.uncredited:
            return False
        self.uncredited -= amount
        return True

    def cancel_decision(self) -> None:
        """It is settled what it is answered as."""
        if self.decision is not None:
            self.decision.cancel()
            self.decision = None

    def cancel_timer(self) -> None:
        """Wake up no more."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
