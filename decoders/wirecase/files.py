"""Files that appear whole: written under another name beside their place, and renamed once they are complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path


@contextmanager
def appearing(path: Path) -> Iterator[BufferedRandom]:
    """Give a file to write and to read back; when the block ends, it replaces what is at `path`.

    If the block raises, what stood at `path` stays and nothing of the new file remains. Raises OSError.
    """
    import tempfile

    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            os.fchmod(file.fileno(), usual_mode())
        os.replace(name, path)
    except BaseException:
        if os.path.exists(name):
            os.unlink(name)
        raise


def usual_mode(most: int = 0o666) -> int:
    """Return the permissions that a new file has here, a folder with `most` 0o777; temporary ones are their owner's."""
    mask = os.umask(0)
    os.umask(mask)
    return most & ~mask
