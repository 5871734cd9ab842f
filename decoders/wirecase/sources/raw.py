"""Bytes as they lie in a file or come through a pipe, and the SHA-256 of all that was read.

Nothing here knows a capture format. A `RawInput` is read straight into the caller's buffer; the digest is computed over
that same buffer in a second thread while the packets in it are decoded (hashlib lets go of the interpreter lock), so it
must be settled before the buffer is written again: see `Digest.settle`.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from typing import TYPE_CHECKING, Protocol

from wirecase.errors import InputError

if TYPE_CHECKING:
    import threading
    from queue import SimpleQueue

    from wirecase.sources.ahead import ReadAhead
    from wirecase.sources.following import Follow, FollowedFile
    from wirecase.sources.remote import RemoteFile

THREAD_AFTER = 1 << 20
"""Bytes of an input that are hashed in place before a thread is worth its start."""
THREAD_PIECE = 1 << 18
"""A piece shorter than this is hashed in place: handing it over costs more than it saves."""
PIPE_SIZE = 1 << 20
"""Wanted size of a pipe's buffer in bytes, so that a fast writer is not stopped every 64 KiB."""


class NotACaptureError(InputError):
    """The input can be read, but it is no capture that wirecase knows. Not fatal for a file found in a folder."""


def shown(path: str) -> str:
    """Return `path` as it may stand in a one-line message: no control, escape or bidi character in it."""
    if path == "-":
        return "standard input"
    if "://" in path:
        from wirecase.sources.remote import public

        path = public(path)
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in path)


class Digest:
    """SHA-256 over the pieces of an input, in a thread of its own once the input has proved long."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()
        self._thread: threading.Thread | None = None
        self._pieces: SimpleQueue[memoryview | bytes | None]
        self._begun: SimpleQueue[None]
        self._done: SimpleQueue[None]
        self._busy = False
        self.size = 0
        """Bytes taken so far."""

    def update(self, piece: memoryview | bytes) -> None:
        """Take the next piece; a `memoryview` must not change until `settle` returned."""
        self.settle()
        self.size += len(piece)
        if len(piece) < THREAD_PIECE or self.size < THREAD_AFTER:
            self._sha.update(piece)
            return
        if self._thread is None:
            self._start()
        self._busy = True
        self._pieces.put(piece)
        # The thread needs the interpreter lock once before it hashes without it. Waiting here gives it that at once;
        # otherwise it would get its turn only after the switch interval (5 ms), longer than a window takes.
        self._begun.get()

    def settle(self) -> None:
        """Wait until every piece taken so far is hashed. At most one is outstanding, so memory stays bounded."""
        if self._busy:
            self._done.get()
            self._busy = False

    def hexdigest(self) -> str:
        """Return the digest of all pieces so far and let the thread go."""
        self.settle()
        if self._thread is not None:
            self._pieces.put(None)
            self._thread.join()
            self._thread = None
        return self._sha.hexdigest()

    def _start(self) -> None:
        import threading
        from queue import SimpleQueue

        self._pieces, self._begun, self._done = SimpleQueue(), SimpleQueue(), SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="wirecase-sha256", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (piece := self._pieces.get()) is not None:
            self._begun.put(None)
            self._sha.update(piece)
            del piece
            self._done.put(None)


class ByteStream(Protocol):
    """What a `Window` is filled from."""

    problem: str | None
    """Why the stream ended before its time, one plain phrase; None while all is well."""

    def readinto(self, view: memoryview) -> int:
        """Write the next bytes into `view`, wait for the first of them only; 0 at the end."""

    def ready(self) -> bool:
        """Tell if `readinto` would return without waiting."""

    def settle(self) -> None:
        """Return once nobody looks at bytes handed out before: the buffer may be overwritten."""

    def took(self, piece: memoryview) -> None:
        """`piece` of the buffer was filled from this stream and stays as it is until `settle`."""


class RawInput:
    """An open file, FIFO or standard input. Satisfies `ByteStream`."""

    _file: io.FileIO | FollowedFile | RemoteFile

    def __init__(self, path: str, *, digest: bool = True, follow: Follow | None = None) -> None:
        """Open `path` (``-`` is standard input, ``…://`` what fsspec knows); raise `InputError` if that cannot be.

        `follow` says for how long a file is read on as it grows.
        """
        self.path = path
        self.problem: str | None = None
        self.digest = Digest() if digest else None
        self._head = b""
        self._ahead: ReadAhead | None = None
        self._followed: FollowedFile | None = None
        if "://" in path and not os.path.exists(path):
            self._open_remote(path)
            return
        try:
            if follow is not None:
                self._follow(path, follow)
                return
            self._file = io.FileIO(0, closefd=False) if path == "-" else io.FileIO(path)
            mode = os.fstat(self._file.fileno())
        except OSError as error:
            raise InputError(f"{shown(path)}: cannot be opened: {error.strerror}") from error
        except ValueError as error:
            raise InputError(f"{shown(path)}: cannot be opened: {error}") from error
        self.regular = stat.S_ISREG(mode.st_mode)
        """True for a file on disk: it can be read twice and never makes a reader wait."""
        self.size: int | None = mode.st_size if self.regular else None
        """Size in bytes when opened, where it is known."""
        if not self.regular:
            self._widen_pipe()

    def _open_remote(self, path: str) -> None:
        from wirecase.sources.remote import RemoteFile

        self._file = remote = RemoteFile(path, peek=self.digest is None)
        self.regular, self.size = True, remote.size

    def _follow(self, path: str, follow: Follow) -> None:
        from wirecase.sources.following import FollowedFile

        self._file = self._followed = FollowedFile(path, follow)
        self.regular, self.size = False, None

    @property
    def ending(self) -> str:
        """Why following the file came to an end; empty where it was not followed."""
        return self._followed.ended if self._followed else ""

    @property
    def unfinished(self) -> bool:
        """The end is only how far the file's writer has come: what is cut there is no damage."""
        return self._followed is not None and self._followed.unfinished

    def ahead(self) -> ReadAhead | None:
        """Return who reads the file ahead of us, None where that does not pay: what is short, and what may wait."""
        from wirecase.sources.ahead import WORTH, ReadAhead

        if self._ahead is None and self.regular and (self.size or 0) >= WORTH:
            self._ahead = ReadAhead(self._file, self.digest, self.peek(4))
        return self._ahead

    @property
    def taken(self) -> int:
        """Bytes handed out so far, for showing progress."""
        if self._ahead:
            return self._ahead.size
        return self.digest.size if self.digest else 0

    def peek(self, count: int) -> bytes:
        """Return the first `count` bytes (fewer only at the end) without taking them."""
        while len(self._head) < count:
            piece = self.read(count - len(self._head), fresh=True)
            if not piece:
                break
            self._head += piece
        return self._head[:count]

    def read(self, count: int, *, fresh: bool = False) -> bytes:
        """Return up to `count` next bytes, those that `peek` looked at first unless `fresh`."""
        if self._head and not fresh:
            piece, self._head = self._head[:count], self._head[count:]
            return piece
        try:
            return self._file.read(count) or b""
        except OSError as error:
            self.problem = f"reading failed: {error.strerror}"
            return b""

    def readinto(self, view: memoryview) -> int:
        """See `ByteStream.readinto`."""
        if self._head:
            piece = self.read(len(view))
            view[: len(piece)] = piece
            return len(piece)
        try:
            return self._file.readinto(view) or 0
        except OSError as error:
            self.problem = f"reading failed: {error.strerror}"
            return 0

    def ready(self) -> bool:
        """See `ByteStream.ready`."""
        if self.regular or self._head:
            return True
        if self._followed:
            return self._followed.ready()
        import select

        try:
            return bool(select.select([self._file], [], [], 0)[0])  # type: ignore[type-var]
        except (OSError, ValueError):  # not a thing that can be waited for here: be content with each single read
            return False

    def settle(self) -> None:
        """See `ByteStream.settle`."""
        if self.digest:
            self.digest.settle()

    def took(self, piece: memoryview | bytes) -> None:
        """See `ByteStream.took`; also called by a decompressor with each piece that it read."""
        if self.digest:
            self.digest.update(piece)

    def drain(self) -> None:
        """Read a file on disk to its end for the digest's sake; a pipe is left alone, it may never end."""
        if self._ahead:
            while ahead := self._ahead.take():
                self._ahead.give_back(ahead.buffer)
            self.problem = self._ahead.problem
        elif self.digest and self.regular and not self.problem:
            while piece := self.read(1 << 20):
                self.took(piece)

    def close(self) -> None:
        """Let the file go; standard input itself stays open."""
        if self._ahead:
            self._ahead.close()
            self._ahead = None
        self.settle()
        self._file.close()

    def _widen_pipe(self) -> None:
        try:
            import fcntl

            fcntl.fcntl(self._file, fcntl.F_SETPIPE_SZ, PIPE_SIZE)  # type: ignore[arg-type]
        except (ImportError, AttributeError, OSError):  # no such call on this system, or not a pipe
            pass
