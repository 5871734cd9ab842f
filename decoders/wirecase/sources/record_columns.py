"""Packet records of a whole window at once, their fields read by columns.

Where the records stand is known from a walk over their lengths alone. Both functions take those that are in order, as
far as that goes without a doubt, and say where they stopped. What stands there - the window's end, another kind of
block, damage - is for the formats' own walks, which know everything.
"""

from __future__ import annotations

import os
import sys
from struct import pack
from typing import TYPE_CHECKING, Any, TypeAlias

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # numpy reads the number of threads when it is imported
from numpy.typing import NDArray

from wirecase.sources.pcapng_blocks import EPB
from wirecase.sources.reading import MAX_TIME, Columns

if TYPE_CHECKING:
    from wirecase.sources.pcap_resync import RecordShape
    from wirecase.sources.pcapng_blocks import Interface

Array: TypeAlias = NDArray[Any]
_ALIKE = 128
"""Blocks of one length that are looked at together."""
_STRETCH = 1 << 16
"""32-bit words that are searched for blocks at first."""


def take_pcapng(
    buffer: bytearray, at: int, end: int, interfaces: list[Interface], columns: Columns, *, long: bool
) -> int:
    """Take the enhanced packet blocks of one interface, in this machine's byte order, that follow each other from `at`.

    `long` says that they seem to be so long that stepping over them is cheaper than looking at all their words. Return
    where the first block stands that was not taken.
    """
    word: Array = np.frombuffer(buffer, dtype=np.uint32, count=end >> 2)
    place = _steps(buffer, at, end) if long else _chain(word, at >> 2)
    if not len(place):
        return at
    total, number, high, low, caplen, length = (word[place + field].astype(np.int64) for field in range(1, 7))
    last = place + (total >> 2) - 1
    good = (place * 4 + total <= end) & (total & 3 == 0) & (caplen + 32 <= total) & (number == number[0])
    good &= word.take(last, mode="clip") == total
    count = _leading(good)
    if not count or number[0] >= len(interfaces):
        return at
    interface = interfaces[int(number[0])]
    if columns.starts and interface.link != columns.link:
        return at
    if int(high[:count].max()) >= 1 << 31:
        return at
    units = (high << 32 | low)[:count]
    largest = int(units.max())
    if largest * interface.factor > MAX_TIME or abs(interface.offset) > MAX_TIME - largest * interface.factor:
        return at
    columns.link = interface.link
    columns.extend(
        (place[:count] * 4 + 28).tobytes(),
        caplen[:count].tobytes(),
        np.maximum(caplen, length)[:count].tobytes(),
        _times(units, interface).tobytes(),
    )
    return int(place[count - 1] * 4 + total[count - 1])


def _times(units: Array, interface: Interface) -> Array:
    """Return times of an interface in ns since the epoch."""
    times = units * interface.factor
    if interface.divisor != 1:
        times //= interface.divisor
    times += interface.offset
    return times


def _steps(buffer: bytearray, at: int, end: int) -> Array:
    """Return the same as `_chain`, from one block to the next; blocks alike that follow each other are stepped over."""
    words = memoryview(buffer)[: end & ~3].cast("I")
    found: list[int] = []
    place, last = at >> 2, len(words) - 8
    while place <= last and words[place] == EPB:
        total = words[place + 1]
        step, count = total >> 2, 1
        if step < 8:
            break
        if place + step <= last and words[place + step + 1] == total and not total & 3:
            head = int.from_bytes(pack("=II", EPB, total), sys.byteorder)
            shape = (min(_ALIKE, (last - place) // step + 1),)
            count = _leading(np.ndarray(shape, np.uint64, buffer, place * 4, (total,)) == head) or 1
        found += range(place, place + count * step, step)
        place += count * step
    return np.array(found, dtype=np.int64)


def _chain(word: Array, first: int) -> Array:
    """Return where, in 32-bit words, whole enhanced packet blocks follow each other from `first` on.

    Wherever the type of such a block stands, one may begin; that both its lengths agree sorts out nearly all others. So
    only those are left to step over that lie within a block. Stretches of growing length are looked at, so that the
    end of a short chain costs little.
    """
    chain: list[Array] = []
    stretch = _STRETCH
    while first <= len(word) - 8:
        after = min(first + stretch, len(word) - 7)
        place = np.flatnonzero(word[first:after] == EPB) + first
        length = word[place + 1] >> 2
        last = place + length - 1
        place = place[(length >= 8) & (word.take(last, mode="clip") == word[place + 1]) & (last < len(word))]
        if not len(place) or place[0] != first:
            break
        following = place + (word[place + 1] >> 2)
        breaks = np.flatnonzero(place[1:] != following[:-1]).tolist()
        begin = 0
        for index in (*breaks, len(place) - 1):
            if index < begin:
                continue
            chain.append(place[begin : index + 1])
            begin = int(np.searchsorted(place, following[index]))
            if begin == len(place) or place[begin] != following[index]:
                break
        first = int(following[index])
        if first < after:
            break
        stretch *= 2
    return np.concatenate(chain) if chain else np.empty(0, dtype=np.int64)


def take_pcap(buffer: bytearray, found: list[int], end: int, shape: RecordShape, columns: Columns) -> int:
    """Take the records that begin at `found`; return where the first one stands that was not taken."""
    begin, order, size, limit, unit = found[0], shape.order, shape.size, shape.limit, shape.unit
    view: Array = np.ndarray((end - 3,), dtype=order + "u4", buffer=buffer, strides=(1,))
    place: Array = np.array(found, dtype=np.int64)
    seconds, fraction, caplen, length = (view[place + field].astype(np.int64) for field in range(0, 16, 4))
    good = (caplen > 0) & (caplen <= limit) & (place + size + caplen <= end) & (caplen <= length)
    count = _leading(good)
    if not count:
        return begin
    columns.extend(
        (place[:count] + size).tobytes(),
        caplen[:count].tobytes(),
        length[:count].tobytes(),
        (seconds * 1_000_000_000 + fraction * unit)[:count].tobytes(),
    )
    return int(place[count - 1] + size + caplen[count - 1])


def _leading(good: Array) -> int:
    """Return how many are good before the first that is not."""
    return len(good) if good.all() else int(good.argmin())
