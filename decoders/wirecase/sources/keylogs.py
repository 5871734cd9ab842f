"""Key log files of a run: read once at the start, and read on where they grow while the capture does."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wirecase.errors import InputError
from wirecase.sources.raw import shown
from wirecase.tls.keylog import KeyLogReader, KeyStore

if TYPE_CHECKING:
    from wirecase.sources.source import Source

TLS_KEY_LOG = 0x544C534B
"""Type of a decryption secrets block with a TLS key log (draft-ietf-opsawg-pcapng §4.7)."""
_PIECE = 1 << 20
_MOST_FILES = 1000
_MOST_BYTES = 1 << 30
"""Bytes of one key log that are read."""


@dataclass(slots=True)
class KeyLog:
    """One key log of the run."""

    path: str
    keys: int = 0
    """Lines with a secret."""
    garbage: int = 0
    """Lines that are neither secrets nor comments."""


class _File:
    def __init__(self, log: KeyLog, store: KeyStore) -> None:
        self.log = log
        self.size = 0
        self._store = store
        self._reader = KeyLogReader(store)

    def read_on(self) -> None:
        """Read what was added since; what cannot be read any more is left alone."""
        store, log = self._store, self.log
        keys, garbage = store.keys, store.garbage
        try:
            with open(log.path, "rb") as file:
                file.seek(self.size)
                while self.size < _MOST_BYTES and (piece := file.read(_PIECE)):
                    self.size += len(piece)
                    self._reader.feed(piece)
        except OSError as error:
            if not self.size:
                raise InputError(f"{shown(log.path)}: the key log cannot be read: {error.strerror}") from error
        self._reader.finish()
        log.keys += store.keys - keys
        log.garbage += store.garbage - garbage


class KeyLogs:
    """All that was given to decrypt with."""

    def __init__(self, paths: Sequence[str] = ()) -> None:
        """Read the files, and those in the folders, that `paths` name; raise `InputError` if one cannot be read."""
        self.store = KeyStore()
        self._files = [_File(KeyLog(path), self.store) for path in _expand(paths)]
        for file in self._files:
            file.read_on()
        self._taken: dict[int, int] = {}
        """Secrets blocks taken, by index of their source."""
        self._embedded: dict[int, KeyLog] = {}

    @property
    def logs(self) -> list[KeyLog]:
        """The key logs, those embedded in captures included."""
        return [file.log for file in self._files] + list(self._embedded.values())

    def begin(self, sources: Iterable[Source]) -> None:
        """Say what will be read: captures that may carry secrets, or that are taken while key logs are written."""
        live = any(source.size is None or source.follow is not None for source in sources)
        embedding = any(source.info.format.startswith("pcapng") or not source.info.format for source in sources)
        self.store.growing = embedding or (live and bool(self._files))

    def take(self, source: Source) -> None:
        """Take the secrets that a capture has shown so far, and what was added to the key logs of a live one."""
        taken = self._taken.get(source.index, 0)
        secrets = source.secrets
        if len(secrets) > taken:
            self._taken[source.index] = len(secrets)
            log = self._embedded.setdefault(source.index, KeyLog(source.info.path))
            for kind, data in secrets[taken:]:
                if kind == TLS_KEY_LOG:
                    self._embed(log, data)
        if self._files and (source.size is None or source.follow is not None):
            for file in self._files:
                if _size(file.log.path) > file.size:
                    file.read_on()

    def _embed(self, log: KeyLog, data: bytes) -> None:
        store = self.store
        keys, garbage = store.keys, store.garbage
        reader = KeyLogReader(store)
        reader.feed(data + b"\n")
        log.keys += store.keys - keys
        log.garbage += store.garbage - garbage


def _expand(paths: Sequence[str]) -> list[str]:
    """Return the files that are named, and those in the folders that are; each once."""
    found: dict[str, None] = {}
    for path in paths:
        try:
            mode = os.stat(path).st_mode
            names = sorted(os.listdir(path)) if stat.S_ISDIR(mode) else None
        except OSError as error:
            raise InputError(f"{shown(path)}: the key log cannot be read: {error.strerror}") from error
        if names is None:
            found[path] = None
            continue
        inside = [os.path.join(path, name) for name in names if not name.startswith(".")]
        files = [one for one in inside if os.path.isfile(one)]
        if not files:
            raise InputError(f"{shown(path)}: there is no key log in this folder")
        if len(files) > _MOST_FILES:
            raise InputError(f"{shown(path)}: more than {_MOST_FILES:,} files: name those that are key logs")
        found.update(dict.fromkeys(files))
    return list(found)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
