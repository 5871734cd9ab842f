"""The streams of one connection on their way into a case; those that have closed are forgotten after a while."""

from __future__ import annotations

from wirecase.case.bodies import BodyMask, Kind
from wirecase.case.credit import Credit

_RECENT = 256
"""Closed streams that are remembered: frames may still be in flight."""
_DONE = 10_000
"""Streams beyond those of which only the number is remembered."""


class Stream:
    """One stream on its way into a case."""

    __slots__ = ("answered", "bodies", "credit", "encodings", "ended", "kinds", "lost", "opened", "path")

    def __init__(self) -> None:
        self.path = ""
        self.opened = False
        """Its request headers are in the case."""
        self.answered = False
        """So are its response headers."""
        self.kinds: list[Kind] = ["opaque", "opaque"]
        self.encodings: list[bytes | None] = [None, None]
        self.bodies: list[BodyMask | None] = [None, None]
        self.credit = (Credit(), Credit())
        self.ended = [False, False]
        self.lost = [False, False]
        """The beginning of the body is not in the recording."""


class Streams:
    """Streams by number."""

    def __init__(self) -> None:
        self._known: dict[int, Stream] = {}
        self._closing: dict[int, None] = {}
        """Those that closed lately, oldest first."""
        self._done: dict[int, None] = {}
        """Those that are forgotten, oldest first."""

    def get(self, stream_id: int) -> Stream:
        """Return a stream, a new one if it was not met before."""
        stream = self._known.get(stream_id)
        if stream is None:
            stream = self._known[stream_id] = Stream()
            stream.opened = stream.answered = stream_id in self._done
        return stream

    def is_done(self, stream_id: int) -> bool:
        """Tell whether a stream is forgotten."""
        return stream_id in self._done and stream_id not in self._known

    def end(self, stream_id: int, side: int) -> None:
        """`side` has ended a stream."""
        stream = self.get(stream_id)
        stream.ended[side] = True
        if stream.ended[1 - side]:
            self.close(stream_id)

    def close(self, stream_id: int) -> None:
        """Nothing, or only what was in flight, will follow on a stream."""
        self._closing[stream_id] = None
        if len(self._closing) > _RECENT:
            old = next(iter(self._closing))
            del self._closing[old]
            _settle(self._known.pop(old, None))
            self._done[old] = None
            if len(self._done) > _DONE:
                del self._done[next(iter(self._done))]

    def settle(self) -> None:
        """Mask everything that is held."""
        for stream in self._known.values():
            _settle(stream)

    def lose(self, side: int) -> None:
        """Bytes of `side` are missing, nobody knows of which bodies."""
        for stream in self._known.values():
            body = stream.bodies[side]
            if body is not None:
                body.lose(None)


def _settle(stream: Stream | None) -> None:
    for body in stream.bodies if stream is not None else ():
        if body is not None:
            body.settle()
