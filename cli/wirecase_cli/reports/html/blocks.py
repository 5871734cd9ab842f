"""Which bytes of a header block hold values that are to be masked.

The evidence of a finding is often a HEADERS frame, and the Huffman code (RFC 7541 §5.2) hides a credential from the eye
but from no reader. A block is walked without its dynamic table: a value whose field's name is known and no secret may
be shown, a value whose name only the table knows may not.
"""

from __future__ import annotations

from wirecase.http2.facts import CONTINUATION, HEADERS, PADDED, PRIORITY_FLAG, PUSH_PROMISE
from wirecase.http2.hpack import HpackError, string
from wirecase.http2.hpack_static import FIRST_DYNAMIC, STATIC
from wirecase_cli.reports import masking

FRAME_HEADER = 9
Span = tuple[int, int]
_LONGEST_INTEGER = 5
_HARMLESS = 5
"""Coded bytes of a value, its length among them, that are too few for a secret: a status, a flag."""


def hidden(data: bytes, length: int) -> list[Span]:
    """Return where `data`, one frame of `length` bytes (perhaps cut), holds what is masked; nothing for other bytes."""
    if len(data) < FRAME_HEADER or int.from_bytes(data[:3]) + FRAME_HEADER != length:
        return []
    kind, flags = data[3], data[4]
    if kind == CONTINUATION:  # it begins anywhere in the block
        return [(FRAME_HEADER, len(data))]
    if kind not in (HEADERS, PUSH_PROMISE):
        return []
    start = FRAME_HEADER + bool(flags & PADDED) + (5 if kind == HEADERS and flags & PRIORITY_FLAG else 0)
    if kind == PUSH_PROMISE:
        start += 4
    return list(_walk(data, start))


def _walk(data: bytes, pos: int) -> list[Span]:
    """The representations of RFC 7541 §6, one after the other."""
    spans: list[Span] = []
    while pos < len(data):
        first = data[pos]
        if first & 0x80 or first & 0xE0 == 0x20:  # an index alone, or a size of the table
            after = _integer(data, pos, 7 if first & 0x80 else 5)
            if after is None:
                break
            pos = after[1]
            continue
        index = _integer(data, pos, 6 if first & 0x40 else 4)
        if index is None:
            break
        number, pos = index
        name: bytes | None = None
        if number == 0:
            name, pos = _string(data, pos)
        elif number < FIRST_DYNAMIC:
            name = STATIC[number][0][0]
        begin = pos
        value, pos = _string(data, pos)
        if pos - begin > _HARMLESS and (name is None or value is None or masking.value(name, value)[1]):
            spans.append((begin, min(pos, len(data))))
    return spans


def _string(data: bytes, pos: int) -> tuple[bytes | None, int]:
    """Return a string literal (None if it is cut or damaged) and where it ends."""
    length = _integer(data, pos, 7)
    if length is None:
        return None, len(data)
    stop = length[1] + length[0]
    if stop > len(data):
        return None, len(data)
    try:
        return string(data, pos, len(data))
    except HpackError:
        return None, stop


def _integer(data: bytes, pos: int, prefix: int) -> tuple[int, int] | None:
    """Read an integer (RFC 7541 §5.1): its value, and where it ends."""
    if pos >= len(data):
        return None
    limit = (1 << prefix) - 1
    value = data[pos] & limit
    pos += 1
    if value < limit:
        return value, pos
    for shift in range(0, 7 * _LONGEST_INTEGER, 7):
        if pos >= len(data):
            return None
        byte = data[pos]
        pos += 1
        value += (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, pos
    return None
