"""Frames on streams that nobody has opened so far.

The opening HEADERS may still come, where the capture shows the two directions out of order. What is left at the end was
sent on an idle stream (RFC 9113 §5.1).
"""

from __future__ import annotations

from wirecase.http2.facts import Http2Facts
from wirecase.model import SERVER, Excerpt

_EARLY = 1000
"""Streams without an opener that are remembered."""


class EarlyFrames:
    """The first such frame of each stream of a connection."""

    __slots__ = ("_facts", "frames")

    def __init__(self, facts: Http2Facts) -> None:
        self._facts = facts
        self.frames: dict[int, tuple[int, str, Excerpt]] = {}
        """(sender, frame, its bytes) by stream."""

    def note(self, side: int, stream_id: int, name: str, excerpt: Excerpt) -> None:
        """`side` sent a frame on a stream that is not open."""
        if self._facts.windows_known and len(self.frames) < _EARLY:
            self.frames.setdefault(stream_id, (side, name, excerpt))

    def opened(self, stream_id: int) -> None:
        """The client opens a stream: what the server sent on it before was only captured before."""
        early = self.frames.get(stream_id)
        if early is not None and early[0] == SERVER:
            del self.frames[stream_id]

    def finish(self) -> None:
        """Nobody will open them any more."""
        if self._facts.windows_known:
            for stream_id, (side, name, excerpt) in self.frames.items():
                self._facts.violate("idle-stream", side, stream_id, excerpt, frame=name)
        self.frames.clear()
