"""Inflating compressed messages, piece by piece, without ever holding what comes out.

Only whether a message inflates, and to how much, is wanted here. What would be a bomb is stopped: a message counts
against the run's `Budget` once it inflates to over 100 times its size and over 1 MiB.
"""

from __future__ import annotations

import zlib
from typing import Any, Protocol

_PIECE = 256 * 1024
"""Bytes taken out of a decompressor at a time."""
_ZSTD_SLICE = 64
"""Bytes given to zstandard at a time, which has no limit for what comes out: 4 bytes may yield 128 KiB."""
_ZSTD_WINDOW = 8 << 20
"""The window that a zstd decoder should support (RFC 8878 §3.1.1.1.2); it is memory."""
_BOMB_RATIO, _BOMB_FLOOR = 100, 1 << 20
_CUT_FLOOR = 4 << 20
"""Inflated bytes (the limit of most receivers) from which on the beginning of a message is called a bomb."""
BUDGET = 64 << 20
"""Bytes that suspiciously well compressed messages may inflate to in one run."""


class Budget:
    """What is left for bombs in this run."""

    __slots__ = ("left",)

    def __init__(self, left: int = BUDGET) -> None:
        self.left = left


class _Decompressor(Protocol):
    """The part of zlib's and zstandard's objects that is used."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Inflater:
    """One compressed message."""

    __slots__ = ("_budget", "_charged", "_decoder", "_trailing", "consumed", "failure", "inflated")

    def __init__(self, decoder: _Decompressor, budget: Budget) -> None:
        self._decoder = decoder
        self._trailing = 0
        self._budget = budget
        self._charged = 0
        self.consumed = 0
        self.inflated = 0
        self.failure: tuple[str, str] | None = None
        """(kind, text) as in `wirecase.grpc.facts.Inflation`, once it has failed."""

    def feed(self, piece: bytes) -> None:
        """Take the next compressed bytes."""
        if self.failure and not self._trailing:
            return
        self.consumed += len(piece)
        decoder = self._decoder
        if decoder.eof:
            self._trails(len(piece))
            return
        try:
            while True:
                out = len(decoder.decompress(piece, _PIECE))
                self.inflated += out
                if self._is_bomb():
                    return
                piece = decoder.unconsumed_tail
                if not piece and out < _PIECE:
                    break
        except Exception as error:  # noqa: BLE001 - zlib.error, zstandard.ZstdError: the text is what matters
            self.failure = (_kind_of_failure(str(error)), str(error))
            return
        if decoder.eof:
            self._trails(len(decoder.unused_data))

    def _trails(self, count: int) -> None:
        self._trailing += count
        if self._trailing:
            self.failure = ("trailing", f"{self._trailing} bytes behind the end of the compressed data")

    def _is_bomb(self) -> bool:
        if self.inflated < _BOMB_FLOOR or self.inflated < _BOMB_RATIO * self.consumed:
            return False
        self._budget.left -= self.inflated - self._charged
        self._charged = self.inflated
        if self._budget.left >= 0:
            return False
        self.failure = ("bomb", f"{self.consumed} compressed bytes inflate to more than {self.inflated}")
        return True

    def cut(self) -> None:
        """The message will never be whole: what came of it may already be too much."""
        if not self.failure and self.inflated >= max(_CUT_FLOOR, _BOMB_RATIO * self.consumed):
            text = f"{self.consumed} compressed bytes inflate to {self.inflated}, and the message was cut off there"
            self.failure = ("bomb", text)

    def finish(self) -> None:
        """The message is whole: a stream that has not ended is cut short."""
        if not self.failure and not self._decoder.eof:
            self.failure = ("short", "the compressed data end before their end marker")


def _kind_of_failure(text: str) -> str:
    if "incorrect data check" in text or "incorrect length check" in text or "checksum" in text:
        return "crc"
    return "unknown" if "too much memory" in text else "corrupt"


class _ZstdAdapter:
    """zstandard's decompressor behind zlib's words; a frame is inflated as its pieces come."""

    def __init__(self) -> None:
        import zstandard

        self._decoder: Any = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
        self.eof = False
        self.unused_data = b""
        self.unconsumed_tail = b""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Return what comes out of `data`: about `max_length` bytes at most, the rest is left in `unconsumed_tail`."""
        parts: list[bytes] = []
        size = pos = 0
        while pos < len(data) and size < max_length and not self.eof:
            part = self._decoder.decompress(data[pos : pos + _ZSTD_SLICE])
            pos += _ZSTD_SLICE
            parts.append(part)
            size += len(part)
            self.eof = self._decoder.eof
        if self.eof:
            self.unused_data = self._decoder.unused_data + data[pos:]
        self.unconsumed_tail = b"" if self.eof else data[pos:]
        return b"".join(parts)


def open_decoder(encoding: bytes) -> _Decompressor | None:
    """Return a decompressor for a grpc-encoding, or None if it is not one that can be taken off here."""
    if encoding == b"gzip":
        return zlib.decompressobj(31)
    if encoding == b"deflate":  # compression.md: the zlib format of RFC 1950
        return zlib.decompressobj(15)
    if encoding == b"zstd":
        try:
            return _ZstdAdapter()
        except ImportError:
            return None
    return None


def open_inflater(encoding: bytes, budget: Budget) -> Inflater | None:
    """Return an inflater for a grpc-encoding, or None if it is not one that can be checked here."""
    decoder = open_decoder(encoding)
    return None if decoder is None else Inflater(decoder, budget)


def inflate(data: bytes, encoding: bytes | None, limit: int) -> tuple[bytes | None, bool]:
    """Return what a message inflates to, about `limit` bytes of it at most, and whether that is all.

    None instead of the bytes where it cannot be told.
    """
    decoder = open_decoder(encoding) if encoding is not None else None
    if decoder is None:
        return None, False
    try:
        out = decoder.decompress(data, limit)
    except Exception:  # noqa: BLE001 - zlib.error, zstandard.ZstdError: what is wrong is told elsewhere
        return None, False
    return out[:limit], decoder.eof and len(out) <= limit
