"""Bytes as they lie in a file or come through a pipe.

Nothing here knows a capture format. A `RawInput` is read straight into the caller's buffer; its digest may be computed
over that same buffer while the packets in it are decoded, so it must be settled before the buffer is written again: see
`wirecase.digest.Digest.settle`.
"""

from __future__ import annotations

import io
import os
import stat
from typing import TYPE_CHECKING, Protocol

from wirecase.digest import Digest, EarlyDigest, digest_of
from wirecase.errors import InputError

if TYPE_CHECKING:
    from wirecase.sources.ahead import ReadAhead
    from wirecase.sources.following import Follow, FollowedFile
    from wirecase.sources.remote import RemoteFile

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
        self.digest: Digest | EarlyDigest | None = Digest() if digest else None
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
        elif digest:
            self.digest = digest_of(mode)

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
