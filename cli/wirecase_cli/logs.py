"""Log files as lines, read as a stream: plain or compressed with gzip, of any length."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from wirecase.errors import InputError

_LONGEST = 1 << 16
"""Bytes that are read of a line at once: one without an end cannot fill the memory."""


class Readable(Protocol):
    """What lines are read from."""

    def readline(self, size: int, /) -> bytes:
        """Return the next line, or `size` bytes of it."""


def decoded(stream: Readable) -> Iterator[str]:
    """Yield the lines of a stream; what is not UTF-8 is replaced."""
    for line in iter(lambda: stream.readline(_LONGEST), b""):
        yield line.decode("utf-8", "replace")


def check(path: Path) -> None:
    """Raise InputError if `path` cannot be opened as a log: asked before the work begins."""
    if path.is_dir():
        raise InputError(f"cannot read the log {path}: it is a folder")
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputError(f"cannot read the log {path}: {error.strerror}") from error


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a log file. Raises InputError if it cannot be read."""
    import zlib

    check(path)
    try:
        with path.open("rb") as raw:
            if raw.peek(2)[:2] == b"\x1f\x8b":
                import gzip

                with gzip.open(raw) as inner:
                    yield from decoded(inner)
            else:
                yield from decoded(raw)
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "its gzip data is damaged"
        raise InputError(f"cannot read the log {path}: {reason}") from error
