"""After a hole: where the next record begins, and how many were lost.

A record's header is only five bytes, but a record that opens proves its place and its number (RFC 8446 §5.3). Between
the least and the largest number of records that the hole can have held, numbers are tried.
"""

from __future__ import annotations

import re

from wirecase.tls.keylog import KeyStore
from wirecase.tls.stream import Stream

_LARGEST = 5 + 16384 + 2048
_ANY = re.compile(rb"[\x14-\x18]\x03[\x00-\x04]")
MOST_CANDIDATES = 8
"""Whole records that look like the next one and do not open, before a side is given up."""
MOST_OPTIONS = 64
"""Numbers that are tried with the keys of a later epoch."""


def find_record(stream: Stream, store: KeyStore) -> tuple[int, int, bool] | None:
    """Look for the next record in a side's buffer.

    Return its place there, the number of records lost before it, and whether the side is to be given up; None if more
    bytes are needed. Bytes that cannot be its beginning are dropped.
    """
    data = bytes(stream.buffer)
    view = memoryview(data)
    end = len(data)
    for match in _ANY.finditer(data):
        at = match.start()
        if end - at < 5:
            break
        stop = at + 5 + (data[at + 3] << 8 | data[at + 4])
        if stop - at > _LARGEST or stop - at == 5:
            continue
        if stop > end:
            _forget(stream, at)
            return None
        if stream.protection is None:
            return at, 0, False
        lost = _number(stream, store, view, at, stop)
        if lost is not None:
            return at, lost, False
        stream.sync_tries += 1
        if stream.sync_tries >= MOST_CANDIDATES:
            return at, 0, True
    _forget(stream, max(end - 4, 0))
    return None


def _forget(stream: Stream, count: int) -> None:
    stream.facts.undecrypted += count
    stream.drop(count)


def _number(stream: Stream, store: KeyStore, view: memoryview, at: int, stop: int) -> int | None:
    """Return how many records were lost before the one at `at`, None if it does not open."""
    protection = stream.protection
    assert protection is not None
    missing = stream.base + at - stream.sync_base
    least, most = missing // _LARGEST, missing // (5 + protection.overhead)
    for lost in range(least, most + 1):
        if store.tries <= 0:
            return None
        store.tries -= 1
        if protection.open(stream.seq + lost, view, at, stop) is not None:
            store.tries += lost - least + 1
            return lost
    for option in stream.options:
        if option.epoch == stream.epoch:
            continue
        for seq in range(min(most, MOST_OPTIONS) + 1):
            if option.protection.open(seq, view, at, stop) is not None:
                stream.epoch, stream.secret, stream.protection = option
                stream.seq = 0
                return seq
    return None


def lost_plain(stream: Stream, lost: int) -> int:
    """Return the bytes of plaintext of `lost` records that stood in the hole before the buffer."""
    assert stream.protection is not None
    return stream.base - stream.sync_base - lost * (5 + stream.protection.overhead)
