"""Acts as bytes for a live connection: header blocks encoded afresh, streams by their live numbers.

Header blocks use no dynamic table, so that the same act is the same bytes on every connection and is encoded once; what
the client demands of the table (SETTINGS_HEADER_TABLE_SIZE, RFC 7541 §4.2) is met by announcing a smaller one.
"""

from __future__ import annotations

from hpack import Encoder

from wirecase.http2.facts import GOAWAY, header_bytes
from wirecase.replay.plan import Data, Frame, Headers
from wirecase.replay.plan.acts import Fields, Fragment

_KEPT = 2048
_DEFAULT_TABLE = 4096

Parts = list[tuple[int, int, bytes]]
"""(frame type, flags, payload) of each frame of a header block."""


def encode(fields: Fields, like: int = 0) -> bytes:
    """Return a block that refers to no dynamic table, with Huffman coding if that comes nearer to `like` bytes.

    Clients have limits on the encoded size too, and print it. Fields are indexed, as servers do, and never referred to.
    """
    blocks: list[bytes] = []
    for huffman in (False, True):
        encoder = Encoder()
        encoder.header_table.maxsize = 0
        blocks.append(encoder.encode(list(fields), huffman=huffman))
    return min(blocks, key=lambda block: abs(len(block) - like))


class Blocks:
    """Encoded header blocks by act, as they are the same each time."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Headers, Parts]] = {}

    def parts(self, act: Headers) -> Parts:
        """Return the frames of a block without their streams."""
        known = self._known.get(id(act))
        if known is not None and known[0] is act:
            return known[1]
        like = sum(one.size for one in act.fragments)
        block = act.raw if act.raw is not None else encode(act.fields, like) + act.tail
        parts = _split(act.fragments, block)
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[id(act)] = (act, parts)
        return parts


def _split(fragments: tuple[Fragment, ...], block: bytes) -> Parts:
    """Put a block into frames as they were recorded: as many, with the same flags, padding and priority."""
    parts: Parts = []
    at = 0
    for number, one in enumerate(fragments):
        last = number == len(fragments) - 1
        size = len(block) - at if last else min(one.size, len(block) - at)
        parts.append((one.kind, one.flags, one.before + block[at : at + size] + bytes(one.after)))
        at += size
    return parts


def framed(parts: Parts, stream: int, prefix: bytes = b"") -> bytes:
    """Return the frames on a stream; `prefix` goes before the block where the first frame has nothing before it."""
    out = []
    for number, (kind, flags, payload) in enumerate(parts):
        body = prefix + payload if prefix and not number else payload
        out.append(header_bytes(len(body), kind, flags, stream) + body)
    return b"".join(out)


def size_update(size: int) -> bytes:
    """Return the announcement of a smaller table (RFC 7541 §6.3)."""
    size = min(size, _DEFAULT_TABLE)
    if size < 31:
        return bytes((0x20 | size,))
    out = bytearray((0x3F,))
    size -= 31
    while size >= 128:
        out.append(size % 128 | 0x80)
        size //= 128
    out.append(size)
    return bytes(out)


def data_frame(act: Data, body: bytes, stream: int) -> bytes:
    """Return a DATA frame as it was recorded, or its beginning."""
    if act.pad is None:
        return header_bytes(act.length, 0, act.flags, stream) + body
    padded = bytes((act.pad,)) + body + bytes(act.pad)
    return header_bytes(len(padded), 0, act.flags, stream) + padded


def frame(act: Frame, stream: int) -> bytes:
    """Return any other frame."""
    return header_bytes(len(act.payload), act.kind, act.flags, stream) + act.payload


def goaway(payload: bytes, last: int) -> bytes:
    """Return a GOAWAY with another last stream."""
    body = last.to_bytes(4, "big") + payload[4:]
    return header_bytes(len(body), GOAWAY, 0, 0) + body
