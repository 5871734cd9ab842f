"""A file on disk, read ahead of whoever decodes it.

Two threads work beside the decoder, and both let go of the interpreter lock while they do: one reads the file into a
few buffers, the other computes the digest over them (`wirecase.digest.Digest`). Reading begins before the
decoder is even imported, and goes on while it is busy with a window. Their number is fixed.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from queue import SimpleQueue

    from wirecase.digest import Digest, EarlyDigest
    from wirecase.sources.following import FollowedFile
    from wirecase.sources.remote import RemoteFile

PIECE = 4 << 20
"""Bytes that are read at a time."""
HEADROOM = 256 << 10
"""Bytes before each piece that stay free for the beginning of a record that the piece before it cut."""
RING = 3
"""Buffers that go round: the one in use, one that waits, and the one that is being filled. More of them would only push
each other out of the processor's cache before they are used."""
WORTH = 16 << 20
"""Bytes of a file from which on two threads pay."""
SWITCH = 0.0005
"""Seconds after which a thread that wants the interpreter lock is given it. The threads here want it for microseconds
between two pieces and would stand still for 5 ms, the default, each time: longer than a piece takes."""


class Piece(NamedTuple):
    """Bytes that were read: ``buffer[HEADROOM:end]``."""

    buffer: bytearray
    end: int


class ReadAhead:
    """Reads `file` from where it stands to its end. `close` must be called."""

    def __init__(
        self, file: io.FileIO | FollowedFile | RemoteFile, digest: Digest | EarlyDigest | None, head: bytes
    ) -> None:
        """`head` was read from the file before; it comes first."""
        import threading
        from queue import SimpleQueue

        self._file = file
        self._digest = digest
        self._head = head
        self._free: SimpleQueue[bytearray | None] = SimpleQueue()
        self._full: SimpleQueue[Piece] = SimpleQueue()
        self._closing = False
        self.problem: str | None = None
        """Why reading ended before its time."""
        self.size = 0
        """Bytes handed out so far."""
        self._before = sys.getswitchinterval()
        sys.setswitchinterval(min(SWITCH, self._before))
        self._thread = threading.Thread(target=self._work, name="wirecase-reader", daemon=True)
        self._thread.start()

    def take(self) -> Piece | None:
        """Return the next piece, None at the end."""
        piece = self._full.get()
        if piece.end == HEADROOM:
            self._full.put(piece)  # the end stays the end
            return None
        self.size += piece.end - HEADROOM
        return piece

    def give_back(self, buffer: bytearray) -> None:
        """Let the buffer of a piece be filled again."""
        self._free.put(buffer)

    def close(self) -> None:
        """Stop reading and wait until no thread uses the file or a buffer."""
        self._closing = True
        self._free.put(None)
        self._thread.join()
        sys.setswitchinterval(self._before)

    def _work(self) -> None:
        count = 0
        while not self._closing:
            count += 1
            buffer = bytearray(HEADROOM + PIECE) if count <= RING else self._free.get()
            if buffer is None:
                break
            end = self._fill(buffer)
            if self._digest is not None and end > HEADROOM:
                # Waits for the piece before: a buffer that comes back is therefore never one that is being hashed.
                self._digest.update(memoryview(buffer)[HEADROOM:end])
            self._full.put(Piece(buffer, end))
            if end == HEADROOM:
                break
        if self._digest is not None:
            self._digest.settle()

    def _fill(self, buffer: bytearray) -> int:
        """Read into `buffer` until it is full or the file ends; return where the bytes end."""
        head, self._head = self._head, b""
        end = HEADROOM + len(head)
        buffer[HEADROOM:end] = head
        view = memoryview(buffer)
        try:
            while end < len(buffer) and (got := self._file.readinto(view[end:])):
                end += got
        except OSError as error:
            self.problem = f"reading failed: {error.strerror}"
        except ValueError:  # the file was closed meanwhile: an interruption ends it before this thread
            self._closing = True
        return end
