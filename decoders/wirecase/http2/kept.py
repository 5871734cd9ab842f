"""Ordinary exchanges that were counted at once, kept for a while: one of them can be told again if more of it comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wirecase.http2.facts import ControlFrame, HeaderBlock
from wirecase.http2.ordinary import Exchange

Array: TypeAlias = NDArray[Any]
Tell: TypeAlias = Callable[[int], list[tuple[ControlFrame, HeaderBlock | None]]]
"""Returns the frames of a stream, each HEADERS frame with its block."""


class Kept:
    """The ordinary exchanges of one range of segments.

    Their frames are not made before somebody asks for them, so the range's bytes and columns stay in memory; they are
    let go as soon as no stream may be asked for any more (`release`), or when others need the room (`settle`).
    """

    __slots__ = ("_due", "_indexes", "_live", "_streams", "_tell", "_told", "places", "size", "source")

    def __init__(self, source: int, streams: Array, places: Array, tell: Tell, size: int) -> None:
        self.source = source
        """Index of the source that they were captured in."""
        self._streams = streams
        """Their streams, ascending."""
        self.places: Array = places
        """(packet, stream offset) of each one's request headers: they order the calls of all connections."""
        self._tell: Tell | None = tell
        self.size = size
        """Roughly the bytes of memory that are held; 0 once they are let go."""
        self._live: set[int] = set()
        """Streams that may still be asked for."""
        self._due = len(streams)
        """How many have not closed yet, as the connection is told."""
        self._indexes: Array | None = None
        """Number of each one's call, once they have numbers."""
        self._told: dict[int, Exchange] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._streams)

    def number(self, indexes: Array) -> None:
        """Take the numbers of the calls."""
        self._indexes = indexes
        for stream, exchange in self._told.items():
            exchange.index = self._index(stream)
            if exchange.call is not None:
                exchange.call.index = exchange.index

    def _index(self, stream: int) -> int:
        return -1 if self._indexes is None else int(self._indexes[np.searchsorted(self._streams, stream)])

    def closed(self, count: int, held: list[int]) -> None:
        """The next `count` of them have closed; those `held` may be asked for."""
        self._due -= count
        self._live.update(held)

    def release(self, stream: int) -> None:
        """This one will not be asked for any more."""
        self._live.discard(stream)
        if not self._live and not self._due:
            self._tell, self.size = None, 0

    def settle(self) -> None:
        """Let go of the range: make the exchanges that may be asked for now."""
        for stream in sorted(self._live):
            self.exchange(stream)
        self._tell, self.size = None, 0

    def exchange(self, stream: int) -> Exchange:
        """Return one of those that are held, with its frames."""
        exchange = self._told.get(stream)
        if exchange is None:
            exchange = self._told[stream] = Exchange(stream)
            exchange.stage = 3
            exchange.index = self._index(stream)
            if self._tell is not None:
                exchange.frames = self._tell(stream)
        return exchange
