"""Captures that lie compressed: gzip (RFC 1952, any number of members) and zstd (RFC 8878, any number of frames).

Both hand on what can be read before damage, byte for byte, and say why they stop. What one step may produce is bounded,
so that a small input cannot ask for much memory. Both satisfy `ByteStream`.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from importlib import import_module
from typing import Any

from wirecase.errors import InputError
from wirecase.sources.formats import GZIP, ZSTD, ZSTD_SKIPPABLE
from wirecase.sources.raw import RawInput, shown

CHUNK = 1 << 18
"""Compressed bytes read at a time."""
CUT_ZSTD = "the zstd data ends before its end: the file is cut"


class _Decompressor(ABC):
    """What both formats share: `_pieces` yields decompressed bytes, `readinto` cuts them to the caller's measure.

    Each time before it reads on, `_pieces` yields an empty piece, so that a caller who must not wait can look first.
    """

    def __init__(self, raw: RawInput) -> None:
        self._raw = raw
        self._rest = memoryview(b"")
        self._steps = self._pieces()
        self._ended = False
        self.problem: str | None = None

    def readinto(self, view: memoryview) -> int:
        """See `ByteStream.readinto`."""
        while not self._rest and not self._ended:
            self._step()
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def ready(self) -> bool:
        """See `ByteStream.ready`."""
        while not self._rest and not self._ended:
            self._step()
            if not self._rest and not self._ended and not self._raw.ready():
                return False
        return True

    def settle(self) -> None:  # noqa: B027 - nothing to do is the answer for all
        """See `ByteStream.settle`: what is handed out here is nobody else's."""

    def took(self, piece: memoryview) -> None:  # noqa: B027
        """See `ByteStream.took`: the digest is of the compressed bytes."""

    def _step(self) -> None:
        piece = next(self._steps, None)
        if piece is None:
            self._ended = True
            self.problem = self._raw.problem or self.problem
        else:
            self._rest = memoryview(piece)

    def _read(self) -> bytes:
        piece = self._raw.read(CHUNK)
        if piece:
            self._raw.took(piece)
        return piece

    @abstractmethod
    def _pieces(self) -> Iterator[bytes]:
        """Yield decompressed bytes."""


class GzipInput(_Decompressor):
    """A gzip file, decompressed as it is read."""

    OUTPUT = 1 << 18
    """Decompressed bytes asked for at a time."""
    FIRST_STEP = 1 << 12
    """Compressed bytes that a new member is fed first; then twice as many each time. What zlib does not use it copies,
    so that a file of many tiny members would cost a whole chunk's copy for each of them."""

    def __init__(self, raw: RawInput) -> None:
        super().__init__(raw)
        self._input = memoryview(b"")

    def _pieces(self) -> Iterator[bytes]:
        another = True
        while another:
            inflate = zlib.decompressobj(31)
            step = self.FIRST_STEP
            while not inflate.eof:
                if not self._input:
                    yield b""
                    self._input = memoryview(self._read())
                if not self._input:
                    self.problem = "the gzip data ends before its end: the file is cut"
                    return
                part = self._input[:step]
                before = inflate.copy()
                try:
                    piece = inflate.decompress(part, self.OUTPUT)
                except zlib.error as error:
                    self.problem = f"the gzip data is damaged ({_plain(error)})"
                    yield from _salvage(before, part)
                    return
                self._input = self._input[len(part) - len(inflate.unconsumed_tail) - len(inflate.unused_data) :]
                step = min(step * 2, CHUNK)
                if piece:
                    yield piece
            another = yield from self._next_member()

    def _next_member(self) -> Generator[bytes, None, bool]:
        """Tell if another member follows; zeros up to the end are padding (RFC 1952 leaves it to the tools)."""
        while True:
            if bytes(self._input[:1]) == b"\0":
                self._input = memoryview(bytes(self._input).lstrip(b"\0"))
            if len(self._input) >= len(GZIP):
                break
            yield b""
            more = self._read()
            if not more:
                break
            self._input = memoryview(bytes(self._input) + more)
        if bytes(self._input[: len(GZIP)]) == GZIP:
            return True
        if self._input:
            self.problem = "something that is not gzip data follows the gzip data and was not read"
        return False


def _salvage(inflate: Any, data: memoryview) -> Iterator[bytes]:
    """Yield what `data` gives before the byte at which it is damaged: feed it in halves, then halves of the half."""
    step = len(data)
    while step and data:
        before = inflate.copy()
        part = data[:step]
        try:
            piece = inflate.decompress(part, GzipInput.OUTPUT)
        except zlib.error:
            inflate, step = before, step // 2
            continue
        data = data[len(part) - len(inflate.unconsumed_tail) :]
        if piece:
            yield piece


class ZstdInput(_Decompressor):
    """A zstd file, fed to the decoder block by block: a block holds at most 128 KiB, and a cut or damage is exact."""

    def __init__(self, raw: RawInput) -> None:
        try:
            self._decoder, self._error = _zstd_decoder()
        except ImportError:
            what = "this is packed with zstd; pip install zstandard, or: zstd -dc FILE | wirecase diagnose -"
            raise InputError(f"{shown(raw.path)}: {what}") from None
        super().__init__(raw)
        self._held = bytearray()

    def _pieces(self) -> Iterator[bytes]:
        while (yield from self._want(4)):
            magic = bytes(self._held[:4])
            if magic[1:] == ZSTD_SKIPPABLE and 0x50 <= magic[0] <= 0x5F:
                if not (yield from self._skip_frame()):
                    self.problem = CUT_ZSTD
                    return
                continue
            if magic != ZSTD:
                self.problem = "something that is not zstd data follows the zstd data and was not read"
                return
            decode = self._decoder()
            for part in self._frame():
                try:
                    yield decode(part) if part else b""
                except self._error as error:
                    self.problem = f"the zstd data is damaged ({_plain(error)})"
                    return
            if self.problem:
                return
        if self._held:
            self.problem = CUT_ZSTD

    def _frame(self) -> Iterator[bytes]:
        """Yield one frame in parts: header, each block, checksum (RFC 8878 §3.1.1); empty ones before reading on."""
        if not (yield from self._want(5)):
            self.problem = CUT_ZSTD
            return
        flags = self._held[4]
        single = flags >> 5 & 1
        content_size = (single, 2, 4, 8)[flags >> 6]
        yield from self._part(5 + (1 - single) + (0, 1, 2, 4)[flags & 3] + content_size)
        last = False
        while not last and not self.problem:
            if not (yield from self._want(3)):
                self.problem = CUT_ZSTD
                return
            header = int.from_bytes(self._held[:3], "little")
            last = bool(header & 1)
            length = 1 if header >> 1 & 3 == 1 else header >> 3  # type 1 repeats one byte
            yield from self._part(3 + length)
        if flags & 4 and not self.problem:
            yield from self._part(4)

    def _part(self, count: int) -> Iterator[bytes]:
        if (yield from self._want(count)):
            part = bytes(self._held[:count])
            del self._held[:count]
            yield part
        else:
            self.problem = CUT_ZSTD

    def _want(self, count: int) -> Generator[bytes, None, bool]:
        """Read until `count` bytes are held; return False if the input ends before."""
        while len(self._held) < count:
            yield b""
            more = self._read()
            if not more:
                return False
            self._held += more
        return True

    def _skip_frame(self) -> Generator[bytes, None, bool]:
        if not (yield from self._want(8)):
            return False
        count = 8 + int.from_bytes(self._held[4:8], "little")
        while count > len(self._held):
            count -= len(self._held)
            self._held.clear()
            if not (yield from self._want(1)):
                return False
        del self._held[:count]
        return True


def _zstd_decoder() -> tuple[Callable[[], Callable[[bytes], bytes]], type[Exception]]:
    """Return what makes a decoder for one frame (bytes in, bytes out), and its error; the standard library's first."""
    try:
        zstd = import_module("compression.zstd")  # since Python 3.14
    except ImportError:
        zstandard = import_module("zstandard")
        context = zstandard.ZstdDecompressor()
        return lambda: context.decompressobj().decompress, zstandard.ZstdError
    return lambda: zstd.ZstdDecompressor().decompress, zstd.ZstdError


def _plain(error: Exception) -> str:
    return str(error).rpartition(": ")[2] or type(error).__name__
