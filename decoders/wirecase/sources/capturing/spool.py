"""Bytes taken off a pipe as they come, by a thread of their own, so that whoever writes them never waits for us.

A capture tool that has to wait for its pipe leaves packets to the kernel's buffer, and the kernel drops what does not
fit. So up to `SPOOL` bytes wait here for the decoder; and where the capture is kept, they are on disk before that.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import IO

SPOOL = 128 << 20
"""Bytes that wait for the decoder; beyond that the writer waits, and what it cannot hold is lost and counted there."""
_PIECE = 1 << 20
_PIPE = 1 << 20
"""Wanted size of the pipe's buffer."""
_POLL = 0.5


class Spool:
    """Takes the bytes of a descriptor until it ends or `close` is called; the descriptor stays open."""

    def __init__(self, descriptor: int, keep: IO[bytes] | None = None, *, limit: int = SPOOL) -> None:
        """`keep` gets every byte as it is."""
        self._descriptor = descriptor
        self._keep = keep
        self._limit = limit
        self._pieces: deque[memoryview] = deque()
        self._changed = threading.Condition()
        self._over = False
        self._closed = False
        self.waiting = 0
        """Bytes that the decoder has not taken."""
        self.taken = 0
        """Bytes that came."""
        self.full = 0
        """How often the writer had to wait."""
        self.problem: str | None = None
        """Why reading ended before the end."""
        self.keep_problem: str | None = None
        """Why the bytes are no longer kept."""
        _widen(descriptor)
        self._thread = threading.Thread(target=self._work, name="wirecase-spool", daemon=True)
        self._thread.start()

    def read_into(self, view: memoryview, wait: float) -> int | None:
        """Move bytes into `view`; 0 at the end, None if none came within `wait` seconds."""
        with self._changed:
            if not self._pieces and not self._over:
                self._changed.wait(wait)
            if not self._pieces:
                return 0 if self._over else None
            count = 0
            while self._pieces and count < len(view):
                piece = self._pieces[0]
                part = piece[: len(view) - count]
                view[count : count + len(part)] = part
                count += len(part)
                if len(part) == len(piece):
                    self._pieces.popleft()
                else:
                    self._pieces[0] = piece[len(part) :]
            self.waiting -= count
            self._changed.notify_all()
            return count

    def ready(self) -> bool:
        """Tell whether `read_into` would give bytes, or the end, at once."""
        return bool(self._pieces) or self._over

    def close(self) -> None:
        """Take no more; what has come can still be read."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(2)

    def _work(self) -> None:
        try:
            while self._room():
                if not select.select([self._descriptor], [], [], _POLL)[0]:
                    continue
                piece = os.read(self._descriptor, _PIECE)
                if not piece:
                    break
                self._store(piece)
        except (OSError, ValueError) as error:
            self.problem = f"reading failed: {getattr(error, 'strerror', None) or error}"
        finally:
            with contextlib.suppress(OSError):
                if self._keep is not None:
                    self._keep.flush()
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _room(self) -> bool:
        """Wait until more may be taken; False once nothing is wanted any more."""
        with self._changed:
            if self.waiting >= self._limit and not self._closed:
                self.full += 1
                self._changed.wait_for(lambda: self.waiting < self._limit or self._closed)
            return not self._closed

    def _store(self, piece: bytes) -> None:
        if self._keep is not None and self.keep_problem is None:
            try:
                self._keep.write(piece)
                self._keep.flush()
            except OSError as error:
                self.keep_problem = error.strerror or str(error)
        with self._changed:
            self._pieces.append(memoryview(piece))
            self.waiting += len(piece)
            self.taken += len(piece)
            self._changed.notify_all()


def _widen(descriptor: int) -> None:
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE)


Wait = Callable[[], bool]
"""Called whenever nothing came for a moment, and between batches; False ends the reading."""
