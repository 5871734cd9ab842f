"""The client's output: read by a thread of its own, so that a full pipe never holds the client up; the end is kept."""

from __future__ import annotations

import os
import threading

KEPT = 256 << 10
"""Bytes of the end that are kept."""
_PIECE = 64 << 10


class Output:
    """Keeps the last `KEPT` bytes of what comes through a pipe."""

    def __init__(self, descriptor: int) -> None:
        """Read from `descriptor` until its end; it is closed then."""
        self._descriptor = descriptor
        self._kept = bytearray()
        self._lock = threading.Lock()
        self.total = 0
        self._thread = threading.Thread(target=self._read, name="wirecase-client-output", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with os.fdopen(self._descriptor, "rb", buffering=0) as pipe:
            while True:
                try:
                    data = pipe.read(_PIECE)
                except OSError:
                    return
                if not data:
                    return
                with self._lock:
                    self.total += len(data)
                    self._kept += data
                    if len(self._kept) > 2 * KEPT:
                        del self._kept[:-KEPT]

    def tail(self) -> bytes:
        """Return the end of what came so far."""
        with self._lock:
            return bytes(self._kept[-KEPT:])

    def wait(self, seconds: float) -> None:
        """Wait for the end, but no longer: a process that outlives the client may hold the pipe open."""
        self._thread.join(seconds)
