"""SHA-256 of all bytes of an input, computed beside the decoder.

The pieces of an input are hashed as they are read, in a second thread (`Digest`): hashlib lets go of the interpreter
lock meanwhile. It is the slowest thing that happens to a capture of large packets, and cannot be divided. So a program
that knows early which file it will read lets a process of its own begin with it, before anything heavy is imported
(`begin`); whoever reads the file later asks for what came of it (`digest_of`).
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from queue import SimpleQueue

THREAD_AFTER = 1 << 20
"""Bytes of an input that are hashed in place before a thread is worth its start."""
THREAD_PIECE = 1 << 18
"""A piece shorter than this is hashed in place: handing it over costs more than it saves."""
WORTH = 64 << 20
"""Bytes of a file from which on a process of its own pays: it takes as long as 20 ms of hashing to start and to end."""
LONGEST = 2 << 30
"""Bytes of a file up to which it is used: in a longer one the head start is lost among the seconds that it takes, and
what was read before an interruption would have to be hashed again."""
_MAPPED = 8 << 20
"""Bytes that the process maps at a time: what it holds in memory."""
_ANSWER = 32
"""Bytes of a SHA-256."""

_begun: dict[tuple[int, int, int], EarlyDigest] = {}
"""By device, inode and size of the file."""


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


class EarlyDigest:
    """The same of a file that a process of its own has begun to hash; `size` counts what its reader has seen of it."""

    def __init__(self, file: int, length: int, answer: int, process: int) -> None:
        """`file` is a descriptor of the file of `length` bytes, `answer` the pipe from `process`."""
        self._file = file
        self._length = length
        self._answer = answer
        self._process = process
        self._hex = ""
        self.size = 0
        """Bytes taken so far."""

    def update(self, piece: memoryview | bytes) -> None:
        """Count the next piece."""
        self.size += len(piece)

    def settle(self) -> None:
        """Nobody looks at the pieces."""

    def hexdigest(self) -> str:
        """Return the digest of all that was taken."""
        if not self._hex:
            answer = os.read(self._answer, _ANSWER)
            os.close(self._answer)
            os.waitpid(self._process, 0)
            whole = len(answer) == _ANSWER and self.size == self._length
            self._hex = answer.hex() if whole else self._again()
            os.close(self._file)
        return self._hex

    def _again(self) -> str:
        """Hash what was taken once more: reading ended early, or the file was cut or grew under the other process."""
        digest, at = hashlib.sha256(), 0
        while at < self.size and (piece := os.pread(self._file, min(self.size - at, 1 << 20), at)):
            digest.update(piece)
            at += len(piece)
        return digest.hexdigest()


def begin(path: str) -> bool:
    """Begin to compute the digest of the file at `path`; call it before there are other threads.

    False, and harmless, for whatever is not a file on disk for which that pays.
    """
    try:
        facts = os.stat(path)
        if not (hasattr(os, "fork") and stat.S_ISREG(facts.st_mode) and WORTH <= facts.st_size <= LONGEST):
            return False
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # what took its place meanwhile must not block
    except (OSError, ValueError):
        return False  # whoever reads it will say so
    facts = os.fstat(file)
    if not stat.S_ISREG(facts.st_mode):
        os.close(file)
        return False
    parent = os.getpid()
    opened = [file]
    try:
        answer, tell = os.pipe()
        opened += answer, tell
        process = os.fork()
    except OSError:  # no more descriptors, or processes: the reader hashes by itself, and complains where it must
        for descriptor in opened:
            os.close(descriptor)
        return False
    if not process:
        _work(file, facts.st_size, tell, parent)
    os.close(tell)
    _begun[facts.st_dev, facts.st_ino, facts.st_size] = EarlyDigest(file, facts.st_size, answer, process)
    return True


def digest_of(facts: os.stat_result) -> Digest | EarlyDigest:
    """Return what computes the digest of a file: what `begin` began, once, or a new one."""
    return _begun.pop((facts.st_dev, facts.st_ino, facts.st_size), None) or Digest()


def _work(file: int, length: int, tell: int, parent: int) -> None:
    """Hash the file, tell the digest, and end this process.

    The file is mapped, which spares a copy of all its bytes. If it is cut meanwhile, this process dies of SIGBUS, and
    its parent reads an end instead of an answer; that is why no other process of ours maps files.
    """
    import mmap
    import signal

    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which goes on to report
        digest = hashlib.sha256()
        populate = getattr(mmap, "MAP_POPULATE", 0)
        for at in range(0, length, _MAPPED):
            if os.getppid() != parent:
                break
            size = min(_MAPPED, length - at)
            with mmap.mmap(file, size, mmap.MAP_SHARED | populate, mmap.PROT_READ, offset=at) as piece:
                digest.update(piece)
        else:
            os.write(tell, digest.digest())
    finally:
        os._exit(0)
