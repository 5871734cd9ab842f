"""Deflate streams of a wanted length.

What a stream lacks is made up by blocks that hold nothing (RFC 1951 §3.2.3): empty ones with fixed codes take ten
bits, empty stored ones end at a byte's edge. A stored block for the last bytes of the content moves the length by one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_TAIL = 64
"""Last bytes of the content, of which some may have to stand uncompressed to meet the length."""
_LEVELS = (3, 6, 9)
"""Tried in turn: fillers compress so well that the fast one nearly always fits."""
_MANY = 1 << 20
"""Zeros of which only the thorough level makes as little as the stream of a bomb is long."""
_PIECE = bytes(1 << 20)
_EMPTY_STORED = b"\x00\x00\x00\xff\xff"
_PADS = {5: b"\x00\x00\x00\xff\xff", 6: b"\x02\x00\x00\x00\xff\xff", 7: b"\x02\x08\x00\x00\x00\xff\xff"}
"""Blocks that hold nothing, from a byte's edge to a byte's edge: 0, 1 or 2 with fixed codes, then a stored one."""


def _padding(size: int) -> bytes | None:
    if size < 0 or size in (1, 2, 3, 4, 8, 9):
        return None
    rest = size % 5
    if size == 0 or rest == 0:
        return _EMPTY_STORED * (size // 5)
    parts = {1: (6,), 2: (7,), 3: (6, 7), 4: (7, 7)}[rest]
    return b"".join(_PADS[part] for part in parts) + _EMPTY_STORED * ((size - sum(parts)) // 5)


def ending(head: bytes, zeros: int, encoding: bytes) -> bytes:
    """Return the check value (and for gzip the length) of `head` and so many zeros behind it."""
    gzip = encoding == b"gzip"
    add = zlib.crc32 if gzip else zlib.adler32
    check = add(head)
    for at in range(0, zeros, len(_PIECE)):
        check = add(_PIECE[: zeros - at], check)
    if gzip:
        return check.to_bytes(4, "little") + (len(head) + zeros & 0xFFFF_FFFF).to_bytes(4, "little")
    return check.to_bytes(4, "big")


def deflated(head: bytes, zeros: int, room: int, *, final: bool = True) -> Iterator[bytes]:
    """Yield a deflate stream of exactly `room` bytes that holds `head` and so many zeros, if there is one.

    It ends with its last block; without `final` it never ends.
    """
    for level in _LEVELS if zeros < _MANY else _LEVELS[::-1]:
        made = _packed(head, zeros, room, level, final=final) if room >= 2 else None
        if made is not None:
            yield made
            return


def _packed(head: bytes, zeros: int, room: int, level: int, *, final: bool) -> bytes | None:
    base = zlib.compressobj(level, zlib.DEFLATED, -15)
    if zeros > _TAIL:
        parts = [base.compress(head)]
        parts += (base.compress(_PIECE[: zeros - _TAIL - at]) for at in range(0, zeros - _TAIL, len(_PIECE)))
        start, rest = b"".join(parts), bytes(_TAIL)
    else:
        head += bytes(zeros)
        start, rest = base.compress(head[:-_TAIL]), head[-_TAIL:]
    for stored in range(len(rest) + 1):
        packer = base.copy()
        body = start + packer.compress(rest[: len(rest) - stored])
        if final and not stored:
            whole = body + packer.copy().flush()
            if len(whole) == room:
                return whole
        body += packer.flush(zlib.Z_SYNC_FLUSH)
        if len(body) > room + len(rest):
            return None
        tail = rest[len(rest) - stored :]
        block = bytes((int(final),)) + len(tail).to_bytes(2, "little") + (len(tail) ^ 0xFFFF).to_bytes(2, "little")
        ends = [block + tail] if stored else [b"\x03\x00", block] if final else [b""]
        for end in ends:
            padding = _padding(room - len(body) - len(end))
            if padding is not None:
                return body + padding + end
    return None
