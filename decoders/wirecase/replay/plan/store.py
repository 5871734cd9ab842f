"""Payloads of a plan: small ones in memory, many or large ones in a temporary file that has no name."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from typing import IO

_SMALL = 4096
"""Bytes of a payload that stays in memory as long as there is room."""
_ROOM = 64 << 20
"""Bytes of payloads that are kept in memory."""


@dataclass(slots=True)
class _Spill:
    file: IO[bytes]
    size: int = 0


@dataclass(slots=True)
class Blob:
    """Bytes that are kept somewhere."""

    size: int = 0
    _data: bytes = b""
    _pieces: list[tuple[int, int, int]] = field(default_factory=list)
    """(file descriptor, offset, length) of what lies in the file."""

    def read(self) -> bytes:
        """Return the bytes."""
        if not self._pieces:
            return self._data
        return self._data + b"".join(os.pread(number, length, offset) for number, offset, length in self._pieces)

    @classmethod
    def of(cls, data: bytes) -> Blob:
        """Return a blob that holds `data` in memory."""
        return cls(len(data), data)


class Store:
    """Makes blobs, and lets them grow."""

    def __init__(self) -> None:
        self._room = _ROOM
        self._spill: _Spill | None = None

    def put(self, data: bytes) -> Blob:
        """Keep `data`."""
        blob = Blob()
        self.add(blob, data)
        return blob

    def add(self, blob: Blob, data: bytes) -> None:
        """Let `blob` grow by `data`."""
        if not data:
            return
        if not blob._pieces and blob.size + len(data) <= _SMALL and len(data) <= self._room:
            blob._data += data
            self._room -= len(data)
        else:
            spill = self._spill
            if spill is None:
                file = tempfile.TemporaryFile(prefix="wirecase-", buffering=0)  # noqa: SIM115 - open as long as the plan
                spill = self._spill = _Spill(file)
            spill.file.write(data)
            blob._pieces.append((spill.file.fileno(), spill.size, len(data)))
            spill.size += len(data)
        blob.size += len(data)

    def close(self) -> None:
        """Let go of the file; blobs that lie in it cannot be read any more."""
        if self._spill is not None:
            self._spill.file.close()
            self._spill = None
