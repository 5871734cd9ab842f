"""Flow-control windows where the recorded ones are not known (RFC 9113 §6.9)."""

from __future__ import annotations

from wirecase.http2.facts import MAX_WINDOW

WIDE = 1 << 30
"""A window that is wide enough for all, and far from an overflow."""


class Credit:
    """What one side has given the other to send, where the case began with a window of its own (`WIDE`)."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = WIDE

    def spend(self, length: int) -> None:
        """So many bytes were sent."""
        self._left -= length

    def limited(self, payload: bytes) -> bytes:
        """Return a WINDOW_UPDATE's payload, with no more than the window can take (RFC 9113 §6.9.1)."""
        if len(payload) != 4:
            return payload
        increment = int.from_bytes(payload, "big") & MAX_WINDOW
        increment = min(increment, max(MAX_WINDOW - self._left, 1)) if increment else 0
        self._left += increment
        return increment.to_bytes(4, "big")
