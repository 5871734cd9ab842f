"""The blocks of pcapng one by one: section headers, interface descriptions, and how the next sound block is found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from struct import Struct

from wirecase.sources.reading import MAX_PACKET
from wirecase.sources.window import Window

SHB, IDB, PB, SPB, NRB, ISB, EPB, DSB = 0x0A0D0D0A, 1, 2, 3, 4, 5, 6, 10
"""Block types: section header, interface description, packet (obsolete), simple packet, name resolution, interface
statistics, enhanced packet, decryption secrets."""
FRAMES = frozenset({0xBAD, 0x40000BAD, 9, 0x204, 0x208, 0x216, 0x217, 0x221, 0x222})
"""Blocks without a packet that Wireshark numbers as a frame: custom, systemd journal, sysdig events (seen with 4.0)."""
MAX_BLOCK = MAX_PACKET + (1 << 16)
"""Longest block that is believed, in bytes."""
SHB_BYTES = b"\x0a\x0d\x0d\x0a"
BYTE_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
IF_NAME, IF_TSRESOL, IF_TSOFFSET = 2, 9, 14
ISB_IFDROP, ISB_OSDROP = 5, 7
RECORDED = b"wirecase-record"
"""Name of the interface of a recording by wirecase: one that was ended in order ends with interface statistics."""
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Interface:
    """What packets of one interface have in common; ``ns = raw * factor // divisor + offset``."""

    link: int
    snaplen: int
    """0 for no limit."""
    factor: int
    divisor: int
    offset: int
    """ns."""
    recorded: bool = False
    """A recording by wirecase, see `RECORDED`."""

    def time(self, raw: int | None, before: int | None) -> int:
        """Return a packet's time in ns; one without (a simple packet block) gets that of the packet `before` it."""
        return before or 0 if raw is None else raw * self.factor // self.divisor + self.offset


def section_order(buffer: bytearray, at: int, end: int) -> str | None:
    """Return the byte order of the section that begins at `at`, ``<`` or ``>``; None if none does."""
    if end - at < 12 or buffer[at : at + 4] != SHB_BYTES:
        return None
    return BYTE_ORDERS.get(bytes(buffer[at + 8 : at + 12]))


def read_interface(buffer: bytearray, at: int, end: int, order: str) -> Interface | None:
    """Read the body ``buffer[at:end]`` of an interface description; None if it is too short to be one.

    Options that do not fit are ignored, as are all but the time unit (§4.2 if_tsresol) and offset (if_tsoffset).
    """
    if end - at < 8:
        return None
    link, _, snaplen = Struct(order + "HHI").unpack_from(buffer, at)
    factor, divisor, offset = 1000, 1, 0
    recorded = False
    option = Struct(order + "HH")
    at += 8
    while at + 4 <= end:
        code, length = option.unpack_from(buffer, at)
        at += 4
        if code == 0 or at + length > end:
            break
        if code == IF_TSRESOL and length:
            factor, divisor = time_unit(buffer[at])
        elif code == IF_NAME:
            recorded = buffer[at : at + length] == RECORDED
        elif code == IF_TSOFFSET and length == 8:
            offset = Struct(order + "q").unpack_from(buffer, at)[0] * NS
        at += length + 3 & ~3
    return Interface(link, snaplen, factor, divisor, offset, recorded)


def lost_packets(buffer: bytearray, at: int, end: int, order: str) -> tuple[int, int] | None:
    """Read the body ``buffer[at:end]`` of an interface statistics block: the interface, and packets lost on it so far.

    None if it does not say (§4.6 isb_ifdrop: for want of room in the interface; isb_osdrop: in the operating system).
    """
    if end - at < 12:
        return None
    number = Struct(order + "I").unpack_from(buffer, at)[0]
    option, counter = Struct(order + "HH"), Struct(order + "Q")
    lost: dict[int, int] = {}
    at += 12
    while at + 4 <= end:
        code, length = option.unpack_from(buffer, at)
        at += 4
        if code == 0 or at + length > end:
            break
        if code in (ISB_IFDROP, ISB_OSDROP) and length == 8:
            lost[code] = counter.unpack_from(buffer, at)[0]
        at += length + 3 & ~3
    return (number, min(sum(lost.values()), 1 << 62)) if lost else None


def time_unit(resolution: int) -> tuple[int, int]:
    """Return factor and divisor that turn units of an if_tsresol byte into nanoseconds.

    The byte is a negative power of 10, or of 2 where its highest bit is set.
    """
    exponent = resolution & 0x7F
    if resolution & 0x80:
        twos = min(exponent, 9)
        return NS >> twos, 1 << exponent - twos
    return (10 ** (9 - exponent), 1) if exponent <= 9 else (1, 10 ** (exponent - 9))


def find_block(window: Window, order: str | None, reach: int) -> tuple[int, bool]:
    """Look for a sound block from ``window.start`` on, before offset `reach` of the stream.

    A section header counts; where `order` is given, so does any block of a usual type whose two lengths agree. Return
    its place in the buffer and True, or the place from which to look again once there are more bytes and False.
    """
    buffer, end = window.buffer, window.end
    kinds = [re.escape(SHB_BYTES)]
    if order:
        kinds += [re.escape(Struct(order + "I").pack(kind)) for kind in (IDB, PB, SPB, NRB, ISB, EPB, DSB)]
    stop = min(end - 11, reach - window.base)
    for match in re.compile(b"(?=" + b"|".join(kinds) + b")").finditer(buffer, window.start, max(stop + 3, 0)):
        at = match.start()
        section = section_order(buffer, at, end)
        if section is None and (order is None or buffer[at : at + 4] == SHB_BYTES):
            continue
        word = Struct((section or order or "<") + "I").unpack_from
        total = word(buffer, at + 4)[0]
        if total < 12 or total & 3 or total > MAX_BLOCK:
            continue
        if at + total > end:
            if window.final:
                continue
            return at, False
        if word(buffer, at + total - 4)[0] == total:
            return at, True
    return max(stop, window.start), False
