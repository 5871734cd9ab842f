"""A `Source` whose bytes come from a `Spool`: read once, never at an end of its own while the writer lives."""

from __future__ import annotations

from wirecase.digest import Digest
from wirecase.sources.capturing.spool import Spool, Wait
from wirecase.sources.following import Ending
from wirecase.sources.raw import RawInput
from wirecase.sources.source import Source

TICK = 0.25
"""Seconds without a byte after which `Wait` is asked."""


class SpoolInput(RawInput):
    """The spool as a `RawInput`."""

    def __init__(self, name: str, spool: Spool, wait: Wait) -> None:
        self.path = name
        self.problem: str | None = None
        self.digest = Digest()
        self.regular, self.size = False, None
        self._head = b""
        self._ahead = None
        self._followed = None
        self._spool = spool
        self._wait = wait
        self._stopped = False

    @property
    def ending(self) -> Ending:
        """Whether somebody asked to stop."""
        return "stopped" if self._stopped else ""

    @property
    def unfinished(self) -> bool:
        """We stopped; the writer was not done."""
        return self._stopped

    def read(self, count: int, *, fresh: bool = False) -> bytes:
        """Return up to `count` next bytes, those that `peek` looked at first unless `fresh`."""
        if self._head and not fresh:
            piece, self._head = self._head[:count], self._head[count:]
            return piece
        buffer = bytearray(count)
        return bytes(buffer[: self._take(memoryview(buffer))])

    def readinto(self, view: memoryview) -> int:
        """See `ByteStream.readinto`."""
        if self._head:
            piece = self.read(len(view))
            view[: len(piece)] = piece
            return len(piece)
        return self._take(view)

    def ready(self) -> bool:
        """See `ByteStream.ready`."""
        return bool(self._head) or self._spool.ready()

    def drain(self) -> None:
        """Nothing waits behind the end."""

    def close(self) -> None:
        """Take no more."""
        self._spool.close()
        self.settle()

    def _take(self, view: memoryview) -> int:
        while not self._stopped:
            count = self._spool.read_into(view, TICK)
            if count is not None:
                self.problem = self._spool.problem
                return count
            if not self._wait():
                self._stopped = True
        return 0


class LiveSource(Source):
    """Packets as they come. `wait` is called at every pause; it answers False to stop without the rest."""

    def __init__(self, name: str, spool: Spool, wait: Wait, index: int = 0) -> None:
        super().__init__(name, index)
        self._spool = spool
        self._wait = wait

    def _input(self, *, digest: bool) -> RawInput:
        return SpoolInput(self.path, self._spool, self._wait)
