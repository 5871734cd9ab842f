"""Captures at an address that fsspec knows (``s3://``, ``gs://``, ``https://`` …), read piece by piece as they come."""

from __future__ import annotations

import re
from typing import Any

from wirecase.errors import InputError

PEEK_BLOCK = 1 << 18
"""Bytes fetched at a time for a first look."""
BLOCK = 8 << 20
"""Bytes fetched at a time for reading: few requests, and memory stays bounded."""
EXTRA = "pip install 'wirecase[remote]'"
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*(::[a-z][a-z0-9+.-]*)*://", re.IGNORECASE)
_NETWORK = ("http", "https", "s3", "s3a", "gs", "gcs")
"""What the extra brings; other addresses need a package of their own."""
_TALKATIVE = ("aiobotocore", "aiohttp", "asyncio", "botocore", "fsspec", "gcsfs", "google", "s3fs")
"""Loggers of packages behind it."""


def is_remote(path: str) -> bool:
    """Tell whether `path` is written as an address."""
    return _ADDRESS.match(path) is not None


def public(path: str) -> str:
    """Return an address without what must not stand in a report: passwords, signatures and tokens."""
    if not is_remote(path):
        return path
    from urllib.parse import urlsplit, urlunsplit

    parts = urlsplit(path)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


class RemoteFile:
    """A remote file, open for reading; every failure is an `OSError`, as of a file on disk."""

    def __init__(self, path: str, *, peek: bool = False) -> None:
        """Raise `InputError`, one line that says what to do, if it cannot be opened."""
        system, name = _file_system(path)
        try:
            self._file: Any = system.open(name, "rb", block_size=PEEK_BLOCK if peek else BLOCK)
        except Exception as error:  # each system has failures of its own, and all mean the same here
            raise InputError(f"{public(path)}: cannot be opened: {_plain(error)}") from error
        size = getattr(self._file, "size", None)
        self.size: int | None = size if isinstance(size, int) else None
        """Bytes of the file where the server tells."""

    def readinto(self, view: memoryview | bytearray) -> int:
        """Read the next bytes into `view`; 0 at the end."""
        piece = self.read(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def read(self, count: int) -> bytes:
        """Return up to `count` next bytes."""
        try:
            data: bytes = self._file.read(min(count, BLOCK))
        except Exception as error:
            raise OSError(0, _plain(error)) from error
        return data

    def close(self) -> None:
        """Let it go."""
        self._file.close()


def listed(path: str) -> list[str] | None:
    """Return the addresses that a folder (``…/``) or a pattern (``*``) stands for, sorted; None for a single file."""
    if not path.endswith("/") and "*" not in path:
        return None
    system, name = _file_system(path)
    try:
        if "*" in path:
            found = system.glob(name)
        else:
            found = [entry["name"] for entry in system.ls(name, detail=True) if entry.get("type") == "file"]
    except Exception as error:
        raise InputError(f"{public(path)}: cannot be listed: {_plain(error)}") from error
    return sorted(one if is_remote(one) else system.unstrip_protocol(one) for one in found)


def _file_system(path: str) -> tuple[Any, str]:
    """Return fsspec's file system for an address, and the name in it."""
    scheme = path.partition("://")[0].rpartition("::")[2].lower()
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise InputError(f"{public(path)}: remote captures need fsspec: {EXTRA}") from None
    _hush()
    try:
        found: tuple[Any, str] = url_to_fs(path)
    except ImportError as error:
        what = EXTRA if scheme in _NETWORK else _plain(error)
        raise InputError(f"{public(path)}: a package for {scheme}:// is missing: {what}") from None
    except Exception as error:
        raise InputError(f"{public(path)}: cannot be opened: {_plain(error)}") from error
    return found


def _hush() -> None:
    """Let what fails be told once, by us: without a handler Python prints the warnings of libraries as they come."""
    import logging

    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


def _plain(error: Exception) -> str:
    """Return a failure as the end of a one-line message."""
    if isinstance(error, FileNotFoundError):
        return "no such file (a folder's address ends with /)"
    if isinstance(error, PermissionError):
        return "access denied: check the credentials"
    text = str(error).strip().splitlines()
    line = "".join(c for c in (text[0] if text else "")[:200] if c.isprintable())
    return re.sub(r"\?\S*", "?…", line) or type(error).__name__
