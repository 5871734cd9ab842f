"""The TCP header (RFC 9293 §3.1), as far as following a stream needs it."""

from __future__ import annotations

import struct
from typing import NamedTuple

from wirecase.net.ip import Segment

FIN = 0x01
SYN = 0x02
RST = 0x04
ACK = 0x10

_read = struct.Struct("!4xIIBBHH").unpack_from


class Packet(NamedTuple):
    """A TCP packet as a connection takes it; lengths in bytes."""

    seq: int
    ack: int
    flags: int
    window: int
    """The window field, not scaled."""
    data: bytes
    """The captured payload."""
    length: int
    """Length of the payload on the wire."""
    scale: int
    """Window scale option of a SYN, -1 for none."""
    number: int
    """``frame.number``."""
    time: int
    source: int
    ident: int
    """IPv4 identification, 0 for IPv6."""
    checksum: int


def parse(segment: Segment, number: int, time: int, source: int) -> Packet | None:
    """Read a TCP header (RFC 9293 §3.1); None if it is damaged. Options are read on a SYN only."""
    data, at, end, wire_end = segment.data, segment.at, segment.end, segment.wire_end
    seq, ack, words, flags, window, checksum = _read(data, at)
    first = at + (words >> 4 << 2)
    if words < 0x50 or first > wire_end:
        return None
    scale = window_scale(bytes(data[at + 20 : min(first, end)])) if flags & SYN else -1
    return Packet(
        seq,
        ack,
        flags,
        window,
        bytes(data[first:end]),
        wire_end - first,
        scale,
        number,
        time,
        source,
        segment.ident,
        checksum,
    )


def window_scale(options: bytes) -> int:
    """Return the shift of the window scale option (RFC 7323 §2.2, at most 14), -1 without one."""
    at = 0
    while at + 1 < len(options):
        kind = options[at]
        if kind == 0:
            break
        if kind == 1:
            at += 1
            continue
        size = options[at + 1]
        if size < 2:
            break
        if kind == 3 and size == 3 and at + 2 < len(options):
            return min(options[at + 2], 14)
        at += size
    return -1
