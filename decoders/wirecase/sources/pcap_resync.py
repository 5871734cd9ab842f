"""How a pcap record looks, and how the next one is found where a damaged length has lost the thread.

A place counts as a record if a run of three plausible headers starts there, each where the one before says that it
ends, or a shorter run that ends exactly with the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from struct import Struct
from typing import Any

from wirecase.sources.reading import MAX_PACKET
from wirecase.sources.window import Window

RUN = 3
"""Headers in a row that make a place certain."""
DAY = 86400
"""Seconds that neighbouring packets may lie apart to look plausible while searching."""


@dataclass(frozen=True, slots=True)
class RecordShape:
    """How the records of one pcap file are laid out."""

    order: str
    """``<`` or ``>``."""
    size: int
    """Bytes of a record header."""
    unit: int
    """Nanoseconds in one unit of the time's fraction."""
    limit: int
    """Longest captured length that is believed, in bytes."""
    swapped: bool
    """True if the length on the wire may stand before the captured length (versions up to 2.3)."""
    unpack: Callable[..., tuple[Any, ...]] = field(init=False)
    """Seconds, fraction, captured length, length on the wire."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "unpack", Struct(self.order + "IIII").unpack_from)

    def resized(self, size: int) -> RecordShape:
        """Return the same shape with another size of the record header."""
        return replace(self, size=size)

    def run_at(self, buffer: bytearray, at: int, end: int, final: bool, seconds: int | None) -> bool | None:
        """Tell if a run of records begins at `at`; None if ``buffer[:end]`` ends too early to tell.

        `seconds` is the time that the packets should lie near, if one is known; `final` says that nothing follows.
        """
        for count in range(RUN):
            if at + self.size > end:
                return count > (at != end) if final else None
            when, fraction, caplen, length = self.unpack(buffer, at)
            if self.swapped and caplen > length:
                caplen, length = length, caplen
            if not 0 < caplen <= self.limit or not caplen <= length <= MAX_PACKET:
                return False
            if fraction * self.unit >= 1_000_000_000:
                return False
            if seconds is not None and abs(when - seconds) > DAY:
                return False
            seconds = when
            at += self.size + caplen
            if at > end and final:
                return count >= 1
        return True


def find_record(window: Window, shape: RecordShape, seconds: int | None, reach: int) -> tuple[int, bool]:
    """Look for a record from ``window.start`` on, before offset `reach` of the stream.

    Return its place in the buffer and True, or the place from which to look again once there are more bytes and False.
    `seconds` is the time of the last good packet.
    """
    end, final = window.end, window.final
    stop = min(end - shape.size + 1, reach - window.base)
    for match in _header_pattern(shape, seconds).finditer(window.buffer, window.start, max(stop + 15, 0)):
        at = match.start()
        verdict = shape.run_at(window.buffer, at, end, final, seconds)
        if verdict:
            return at, True
        if verdict is None:
            return at, False
    return max(stop, window.start), False


def _header_pattern(shape: RecordShape, seconds: int | None) -> re.Pattern[bytes]:
    """Return what a plausible header looks like byte by byte, so that nearly all places are ruled out at C's speed.

    Big endian: the upper half of a time near `seconds`, a fraction below one second, two lengths up to `MAX_PACKET`.
    """
    time: list[bytes] = [b"."] * 4
    if seconds is not None:
        lowest, highest = max(seconds - DAY, 0) >> 16, min(seconds + DAY, 0xFFFFFFFF) >> 16
        halves = [high.to_bytes(2, "big") for high in range(lowest, highest + 1)]
        time = [b"(?:" + b"|".join(re.escape(half if shape.order == ">" else half[::-1]) for half in halves) + b")"]
        time = [*time, b".", b"."]
    fraction = [b"\\0", b"[\\0-\\x0f]", b".", b"."] if shape.unit > 1 else [b"[\\0-\\x3b]", b".", b".", b"."]
    length = [b"[\\0\\x01]", b".", b".", b"."]
    fields = [time, fraction, length, length]
    if shape.order == "<":
        fields = [field[::-1] for field in fields]
    time_and_fraction, lengths = (b"".join(b"".join(field) for field in half) for half in (fields[:2], fields[2:]))
    return re.compile(b"(?=" + time_and_fraction + b"(?!\\0{4})" + lengths + b")", re.DOTALL)
