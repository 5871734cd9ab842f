"""Writing a finished report, to standard output or to a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from wirecase.errors import UsageError, WirecaseError

_PIECE = 1 << 16


class OutputError(WirecaseError):
    """The report was made and could not be written."""

    exit_status = 4


def to_stdout(text: str) -> bool:
    """Write `text` to standard output; characters that its encoding lacks are written as escapes.

    A reader that has gone (`| head -1`) has seen what it wanted: that is no error, and the exit status still tells the
    verdict. Return whether more may be written. Raises OutputError if the text cannot be written for another reason.
    """
    stream = sys.stdout
    if stream is None:  # closed by the caller (`>&-`): nobody wants to read it
        return False
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        discard_stdout()
        return False
    except OSError as error:
        discard_stdout()
        raise OutputError(f"cannot write to standard output: {error.strerror}") from error
    return True


def stream_to_stdout(parts: Iterable[str]) -> None:
    """Write `parts` as they come, in pieces of some size; where the reader has gone, ask for no more of them."""
    held: list[str] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= _PIECE:
            if not to_stdout("".join(held)):
                return
            held, size = [], 0
    to_stdout("".join(held))


def discard_stdout() -> None:
    """Lead standard output nowhere: what is still buffered would make the interpreter complain at its exit."""
    lead_nowhere(sys.stdout)


def lead_nowhere(stream: TextIO | None) -> None:
    """Put the null device behind a standard stream, under the descriptor that it has."""
    if stream is None:
        return
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def check_file(path: Path, sources: list[str], *, force: bool, device: bool = True) -> None:
    """Raise UsageError if a report cannot go to `path`: asked before the work begins, not after it.

    `device` allows what is no file on disk and can only be written to, from its beginning to its end.
    """
    if path.is_dir():
        raise UsageError(f"--output {path} is a folder")
    if _is_device(path):
        if device:
            return
        raise UsageError(f"--output {path} is no file on disk")
    if not path.parent.is_dir():
        raise UsageError(f"--output {path}: the folder {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"--output {path}: the folder {path.parent} is not writable")
    if not path.exists():
        return
    for source in sources:
        if source != "-" and os.path.exists(source) and os.path.samefile(path, source):
            raise UsageError(f"--output {path} is one of the inputs")
    if not force:
        raise UsageError(f"--output {path} exists (--force overwrites it)")


def to_file(path: Path, text: str) -> None:
    """Write `text` under a temporary name and rename it: a reader of `path` sees the whole report or none.

    A device or a FIFO (``/dev/null``, ``/dev/stderr``) is written to, never replaced.
    """
    from wirecase.files import appearing

    try:
        if _is_device(path):
            with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
                file.write(text)
            return
        with appearing(path) as whole:
            whole.write(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _is_device(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()
