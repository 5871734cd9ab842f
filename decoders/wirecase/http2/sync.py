"""Finding frame boundaries in bytes whose beginning is unknown (after a hole, or where a capture begins in mid-stream).

Nine bytes of an arbitrary stream pass for a frame header once in some hundred positions; a *chain* of them, each
beginning where the last one ended and the last one ending exactly where a segment does, practically never. That is
what is asked for here.
"""

from __future__ import annotations

import re
from collections.abc import Container
from struct import Struct

from wirecase.http2.facts import (
    CONTINUATION,
    DATA,
    FRAME_NAMES,
    GOAWAY,
    HEADERS,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)
from wirecase.model import CLIENT, SERVER

FRAME_HEADER = Struct(">HBBBI")
"""Length (16 high bits, 8 low bits), type, flags, stream id (RFC 9113 §4.1)."""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

_FIXED_SIZE = {PRIORITY: 5, RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}
_KNOWN_FLAGS = (0x09, 0x2D, 0, 0, 0x01, 0x0C, 0x01, 0, 0, 0x04)
_ON_CONNECTION = {SETTINGS, PING, GOAWAY}
_ON_STREAM = {DATA, HEADERS, PRIORITY, RST_STREAM, PUSH_PROMISE, CONTINUATION}
_LARGEST_BEFORE_SETTINGS = 1 << 20
"""A peer may have raised MAX_FRAME_SIZE out of sight; beyond this a length is taken for chance."""
_SEARCHED = 64 * 1024
_CHAIN = 4
_ODD_BYTE = b"[" + b"".join(b"\\x%02x" % value for value in range(1, 256, 2)) + b"]"
_CANDIDATE = re.compile(
    rb"(?s)[\x00-\x10](?=..(?:[\x00-\x03\x05\x08\x09].[\x00-\x3f].." + _ODD_BYTE + rb"|[\x04\x06-\x08].\x00{4}))"
)
"""Where a convincing header may begin: what `_convincing` is asked about, at the speed of a regular expression."""
_BELIEVED_UNSEEN = 16384
"""Longest frame that is believed although its end is not at hand; a longer one only behind another of its stream."""


def plausible_header(length: int, kind: int, flags: int, stream: int) -> bool:
    """Tell whether nine bytes can be the header of a frame that RFC 9113 §6 defines."""
    if kind >= len(FRAME_NAMES) or stream >> 31 or length > _LARGEST_BEFORE_SETTINGS or flags & ~_KNOWN_FLAGS[kind]:
        return False
    if (stream != 0 and kind in _ON_CONNECTION) or (stream == 0 and kind in _ON_STREAM):
        return False
    if kind in _FIXED_SIZE:
        return length == _FIXED_SIZE[kind]
    if kind == SETTINGS:
        return length % 6 == 0 and length <= 6 * 64 and not (flags & 1 and length)
    if kind == GOAWAY:
        return length >= 8
    return stream < 1 << 30


def _convincing(length: int, kind: int, flags: int, stream: int) -> bool:
    """Tell whether a header is worth believing where nothing says that there is one.

    Columns of small numbers and zeros, which bodies are full of, make short frames and even streams; real ones have
    neither (nobody pushes in gRPC, and an empty DATA frame says END_STREAM).
    """
    if stream and stream % 2 == 0:
        return False
    if kind == DATA and not length and not flags & 1:
        return False
    if kind in (HEADERS, CONTINUATION, PUSH_PROMISE) and not length:
        return False
    return plausible_header(length, kind, flags, stream)


def _chain_from(data: bytes, pos: int, ends: frozenset[int], known_streams: Container[int]) -> bool:
    """Tell whether convincing frames follow one another from `pos`: four of them, or up to the end of a segment."""
    end = len(data)
    found = previous = 0
    unpack = FRAME_HEADER.unpack_from
    while pos + 9 <= end:
        high, low, kind, flags, stream = unpack(data, pos)
        length = high << 8 | low
        if not _convincing(length, kind, flags, stream):
            return False
        pos += 9 + length
        found += 1
        if found == _CHAIN or pos == end or pos in ends:
            return True
        if pos > end:  # only believed behind a whole frame, or on a stream that is open
            known = found > 1 or (kind <= HEADERS and stream in known_streams)
            return known and (length <= _BELIEVED_UNSEEN or stream == previous != 0)
        previous = stream
    return found > 1


def find_frames(
    data: bytes, ends: frozenset[int] = frozenset(), known_streams: Container[int] = frozenset()
) -> int | None:
    """Return the first position at which a chain of frames begins, or None.

    `ends` are positions in `data` at which TCP segments end: senders rarely begin a frame in the middle of nowhere, so
    a single frame that ends there is believed. So is one of `known_streams`, the streams open now, that goes on behind
    the bytes at hand.
    """
    for candidate in _CANDIDATE.finditer(data, 0, _SEARCHED + FRAME_HEADER.size - 1):
        if _chain_from(data, candidate.start(), ends, known_streams):
            return candidate.start()
    return None


_REQUEST_INDEXES = frozenset(range(1, 8))
"""Static table: :authority, :method, :path, :scheme (RFC 7541 Appendix A)."""
_RESPONSE_INDEXES = frozenset(range(8, 15))
"""Static table: :status."""


def _sender_of_block(block: bytes) -> int | None:
    """Tell who sends a header block, from the pseudo-header fields at its front; None if an index hides them."""
    pos = 0
    while pos < len(block):
        first = block[pos]
        if first & 0x80:
            index = first & 0x7F
            pos += 1
        elif first & 0xE0 == 0x20:  # size update
            if first & 0x1F == 0x1F:
                return None
            pos += 1
            continue
        else:
            index = first & (0x3F if first & 0x40 else 0x0F)
            if not index and len(block) > pos + 2:
                # A name in full: ":" stands alone or as the Huffman code 1011100 (RFC 7541 Appendix B).
                coded = block[pos + 1] & 0x80
                pseudo = block[pos + 2] & 0xFE == 0xB8 if coded else block[pos + 2] == 0x3A
                return None if pseudo else SERVER
            pos = len(block)
        if index in _REQUEST_INDEXES:
            return CLIENT
        if index in _RESPONSE_INDEXES:
            return SERVER
        if 15 <= index <= 61:  # an ordinary field: pseudo-header fields come first, so this is a block of trailers
            return SERVER
    return None


def sender_of_frames(data: bytes, pos: int) -> int | None:
    """Tell from the frames at `pos` whether a client or a server wrote them; None if they do not say."""
    unpack = FRAME_HEADER.unpack_from
    while pos + 9 <= len(data):
        high, low, kind, flags, _stream = unpack(data, pos)
        body = pos + 9
        pos = body + (high << 8 | low)
        if kind == PUSH_PROMISE:
            return SERVER
        if kind == HEADERS:
            start = body + (1 if flags & 0x8 else 0) + (5 if flags & 0x20 else 0)
            sender = _sender_of_block(data[start : min(pos, start + 64)])
            if sender is not None:
                return sender
    return None
