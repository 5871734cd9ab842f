"""Frames of Zstandard of a wanted length: what they lack is made up by empty raw blocks (RFC 8878 §3.1.1.2)."""

from __future__ import annotations

from collections.abc import Iterator

_MAGIC = b"\x28\xb5\x2f\xfd"
_EMPTY = b"\0\0\0"
_LAST = b"\1\0\0"
_RESERVED = b"\7\0\0"
"""A last block of the reserved type 3: corrupt."""
_RLE = 1 << 1
_BLOCK = 128 * 1024
"""The largest block (RFC 8878 §3.1.1.2.3)."""


def _blocks(content: bytes) -> bytes:
    """Return the blocks of a frame of `content`, none marked as the last."""
    import zstandard

    packer = zstandard.ZstdCompressor(level=9, write_content_size=False, write_checksum=False)
    frame = packer.compress(content)
    descriptor = frame[4]
    single = descriptor & 0x20
    at = 5 + (0 if single else 1) + (1 if single else 0, 2, 4, 8)[descriptor >> 6]
    blocks: list[bytes] = []
    last = 0
    while not last and at + 3 <= len(frame):
        header = int.from_bytes(frame[at : at + 3], "little")
        last = header & 1
        size = 1 if header >> 1 & 3 == 1 else header >> 3
        blocks.append((header & ~1).to_bytes(3, "little") + frame[at + 3 : at + 3 + size])
        at += 3 + size
    return b"".join(blocks)


def _zeros(count: int) -> bytes:
    whole, rest = divmod(count, _BLOCK)
    sizes = [_BLOCK] * whole + ([rest] if rest else [])
    return b"".join((size << 3 | _RLE).to_bytes(3, "little") + b"\0" for size in sizes)


def framed(head: bytes, zeros: int, size: int, kind: str, extra: int) -> Iterator[bytes]:
    """Yield frames of `size` bytes in all that hold `head` and so many zeros.

    They fail as `kind` says (``short``, ``corrupt``; ``trailing`` with `extra` bytes behind them), or not at all.
    """
    blocks = _blocks(head) + _zeros(zeros)
    # window descriptor 0x68: 8 MiB; a content size of 0, 4 or 8 bytes moves the length modulo 3
    for flag, width in ((0, 0), (0x80, 4), (0xC0, 8)):
        start = _MAGIC + bytes((flag, 0x68)) + (len(head) + zeros).to_bytes(8, "little")[:width] + blocks
        room = size - extra - len(start)
        if kind == "short" and room >= 0:
            yield start + _EMPTY * (room // 3) + bytes(room % 3)
        elif room >= 3 and room % 3 == 0:
            yield start + _EMPTY * (room // 3 - 1) + (_RESERVED if kind == "corrupt" else _LAST) + bytes(extra)
    if kind == "corrupt":
        yield bytes(size)
