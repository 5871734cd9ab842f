"""The pcapng format (draft-ietf-opsawg-pcapng): sections of blocks, walked block by block.

Every block says its length at both ends. A section begins with a header block that fixes the byte order, then describes
its interfaces (link type, time unit); packets refer to them by number. What carries no packet is passed over and
counted; decryption secrets are kept aside.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from wirecase.errors import InputError
from wirecase.model import Damage, PacketBatch
from wirecase.sources.pcapng_blocks import (
    DSB,
    EPB,
    FRAMES,
    IDB,
    ISB,
    MAX_BLOCK,
    PB,
    SPB,
    Interface,
    find_block,
    lost_packets,
    read_interface,
    section_order,
)
from wirecase.sources.reading import LONG_BLOCK, MIN_RECORDS, MIN_WINDOW, SEARCH, Columns, Reading
from wirecase.sources.window import Window

MAX_INTERFACES = 1 << 16
"""Interfaces of one section that are believed."""
MAX_SECRETS = 32 << 20
"""Bytes of decryption secrets kept in all, each with `SECRET_COST` for its object."""
SECRET_COST = 200


class Stop(NamedTuple):
    """Where a walk over the window stopped, and why."""

    at: int
    need: int = 0
    """Bytes from `at` on that the walk needs to go on; 0 if it only has to hand on what it holds."""
    fault: str = ""
    """What is wrong with the block at `at`."""
    kind: int = 0
    """Its type."""


class PcapngReader:
    """Packets of one pcapng file."""

    def __init__(self, window: Window, reading: Reading) -> None:
        self._window = window
        self._reading = reading
        self._kept = 0
        self._in_section = False
        self._endless = False
        """A recording by wirecase whose end has not come yet."""
        self._set_order("<")

    def batches(self) -> Iterator[PacketBatch]:
        """Yield a batch for each window and link type; raise `InputError` if the first section header is no such."""
        window, reading = self._window, self._reading
        window.ensure(12)
        if not section_order(window.buffer, window.start, window.end):
            raise InputError("the capture is damaged in its first block, the section header")
        while True:
            columns = Columns(-1)
            stop = self._walk(columns)
            if columns.starts:
                yield columns.batch(reading, window.view[: window.end])
            window.start = stop.at
            if stop.fault:
                if not self._resync(stop):
                    return
            elif stop.need and not window.ensure(stop.need):
                break
        yield from self._cut_tail()

    def _enter(self, order: str) -> None:
        """Begin a section in byte order `order`."""
        self._in_section = True
        self._interfaces: list[Interface] = []
        self._lost: dict[int, int] = {}
        """Packets lost on each interface so far."""
        self._orphans: Damage | None = None
        self._set_order(order)

    def _set_order(self, order: str) -> None:
        self._order = order
        self._native = (order == "<") == (sys.byteorder == "little")
        self._unpack_head = Struct(order + "II").unpack_from
        self._unpack_word = Struct(order + "I").unpack_from
        self._unpack_epb = Struct(order + "IIIIIII").unpack_from
        self._unpack_pb = Struct(order + "IIHHIIII").unpack_from

    def _walk(self, columns: Columns) -> Stop:
        """Take the whole blocks of the window until it ends, the link type changes or something is wrong."""
        at, end = self._window.start, self._window.end
        buffer = self._window.buffer
        while True:
            if self._in_section:
                at = self._walk_packets(columns, at)
            if end - at < 12:
                return Stop(at, 12)
            order = section_order(buffer, at, end)
            if order is None and not self._in_section:
                return Stop(at, fault=f"no section header stands at byte {self._window.base + at}")
            head, word = self._unpack_head, self._unpack_word
            if order:
                head, word = Struct(order + "II").unpack_from, Struct(order + "I").unpack_from
            kind, total = head(buffer, at)
            if total < 12 or total & 3 or total > MAX_BLOCK:
                return Stop(at, 0, f"the block at byte {self._window.base + at} claims a length of {total} bytes", kind)
            if end - at < total:
                return Stop(at, total)
            if word(buffer, at + total - 4)[0] != total:
                return Stop(at, 0, f"the two lengths of the block at byte {self._window.base + at} differ", kind)
            if order:
                self._enter(order)
            else:
                stop = self._block(columns, kind, at, total)
                if stop:
                    return stop
            at += total

    def _walk_packets(self, columns: Columns, at: int) -> int:
        """Take enhanced packet blocks, the bulk of every file, while they are in order; return where that ends."""
        buffer, end = self._window.buffer, self._window.end
        if end - at >= MIN_WINDOW and self._native and not at & 3 and (many := _many(buffer, at, end)):
            from wirecase.sources.record_columns import take_pcapng

            at = take_pcapng(buffer, at, end, self._interfaces, columns, long=many >= MIN_RECORDS * LONG_BLOCK)
        unpack, word = self._unpack_epb, self._unpack_word
        interfaces = self._interfaces
        known = len(interfaces)
        starts, caplens = columns.starts.append, columns.caplens.append
        lengths, times = columns.lengths.append, columns.add_time
        current, factor, divisor, offset = -1, 1, 1, 0
        last = end - 32
        while at <= last:
            kind, total, number, high, low, caplen, length = unpack(buffer, at)
            if kind != EPB:
                break
            after = at + total
            if after > end or caplen + 32 > total or total & 3 or word(buffer, after - 4)[0] != total:
                break
            if number != current:
                if number >= known:
                    break
                interface = interfaces[number]
                if interface.link != columns.link:
                    if columns.starts:
                        break
                    columns.link = interface.link
                current, factor, divisor, offset = number, interface.factor, interface.divisor, interface.offset
            if caplen > length:
                length = caplen
            starts(at + 28)
            caplens(caplen)
            lengths(length)
            if divisor == 1:
                times((high << 32 | low) * factor + offset)
            else:
                times((high << 32 | low) * factor // divisor + offset)
            at = after
        return at

    def _block(self, columns: Columns, kind: int, at: int, total: int) -> Stop | None:
        """Take one whole block of sound length that `_walk_packets` left; return a `Stop` if the walk ends there."""
        buffer = self._window.buffer
        if kind in (EPB, PB, SPB):
            return self._packet(columns, kind, at, total)
        if kind == IDB:
            interface = read_interface(buffer, at + 8, at + total - 4, self._order)
            if interface is None or len(self._interfaces) >= MAX_INTERFACES:
                return Stop(at, 0, f"the interface description at byte {self._window.base + at} cannot be read", kind)
            self._interfaces.append(interface)
            self._endless = self._endless or interface.recorded
        elif kind == DSB and total >= 20 and self._kept <= MAX_SECRETS - total:
            secret, length = self._unpack_head(buffer, at + 8)
            self._kept += total + SECRET_COST
            self._reading.secrets.append((secret, bytes(buffer[at + 16 : at + 16 + min(length, total - 20)])))
        else:
            if kind in FRAMES:
                if columns.starts:
                    return Stop(at)  # numbers in a batch follow by one
                self._reading.other_frames += 1
            if kind == ISB:
                self._endless = False
                self._statistics(at, total)
            counts = self._reading.skipped_blocks
            if kind in counts or len(counts) < 1000:
                counts[kind] = counts.get(kind, 0) + 1
        return None

    def _statistics(self, at: int, total: int) -> None:
        """Take an interface statistics block: its counters are those since the capture began."""
        found = lost_packets(self._window.buffer, at + 8, at + total - 4, self._order)
        if found is None or found[0] >= len(self._interfaces):
            return
        number, lost = found
        before = self._lost.get(number, 0)
        self._lost[number] = max(lost, before)
        self._reading.dropped = (self._reading.dropped or 0) + max(lost - before, 0)

    def _packet(self, columns: Columns, kind: int, at: int, total: int) -> Stop | None:
        """Take a packet block of any kind."""
        packet = self._packet_header(kind, at, total - 4)
        if packet is None:
            return Stop(at, 0, f"the packet block at byte {self._window.base + at} is too short", kind)
        start, number, caplen, length, raw = packet
        if start + caplen > at + total - 4:
            return Stop(at, 0, f"the packet block at byte {self._window.base + at} is shorter than its packet", kind)
        if number >= len(self._interfaces):
            self._orphan(number, at, total)
            return None
        interface = self._interfaces[number]
        if columns.starts and interface.link != columns.link:
            return Stop(at)
        columns.link = interface.link
        before = columns.times[-1] if columns.times else self._reading.newest
        columns.starts.append(start)
        columns.caplens.append(caplen)
        columns.lengths.append(max(caplen, length))
        columns.add_time(interface.time(raw, before))
        return None

    def _packet_header(self, kind: int, at: int, room: int) -> tuple[int, int, int, int, int | None] | None:
        """Return start, interface, captured length, length and raw time of a packet block; None if `room` is short."""
        buffer = self._window.buffer
        if kind == SPB:
            if room < 12:
                return None
            length = self._unpack_word(buffer, at + 8)[0]
            snaplen = self._interfaces[0].snaplen if self._interfaces else 0
            return at + 12, 0, min(length, snaplen or length), length, None
        if room < 28:
            return None
        if kind == EPB:
            _, _, number, high, low, caplen, length = self._unpack_epb(buffer, at)
        else:
            _, _, number, _, high, low, caplen, length = self._unpack_pb(buffer, at)
        return at + 28, number, caplen, length, high << 32 | low

    def _orphan(self, number: int, at: int, total: int) -> None:
        """Pass over a packet of an interface that its section never described: one note for all of a section."""
        if self._orphans is None and self._reading.worn_out:
            self._orphans = self._reading.damages[-1]
        elif self._orphans is None:
            what = f"packets refer to interface {number}, which the capture does not describe"
            self._orphans = self._reading.damage(self._window.base + at, what)
        self._orphans.bytes += total

    def _resync(self, stop: Stop) -> bool:
        """Go on at the next sound block within reach; note the damage; return False if there is none.

        Behind a damaged interface description only a new section will do: interfaces are known by their number.
        """
        window, reading = self._window, self._reading
        bad = window.base + window.start
        reach = bad + SEARCH
        order = self._order if self._in_section and stop.kind != IDB else None
        window.start += 4
        while True:
            final = window.final
            found, certain = find_block(window, order, reach)
            window.start = found
            if certain:
                skipped = window.base + found - bad
                reading.damage(bad, f"{stop.fault}; {skipped} bytes were skipped up to the next block", skipped)
                return not reading.worn_out
            if final or window.base + found >= reach:
                break
            window.fill()
        reading.damage(bad, f"{stop.fault}; no sound block was found behind it and the rest was not read")
        return False

    def _cut_tail(self) -> Iterator[PacketBatch]:
        """Hand on what is there of a last packet block that the file's end cuts."""
        window, reading = self._window, self._reading
        there = window.end - window.start
        if reading.unfinished():
            return
        if self._endless:
            what = "the recording was cut off: up to a second of traffic before its last packet's end may be missing"
            reading.damage(window.base + window.end, what)
        if not there:
            return
        at = window.base + window.start
        kind, total = self._unpack_head(window.buffer, window.start) if self._in_section and there >= 8 else (0, 0)
        packet = self._packet_header(kind, window.start, there) if kind in (EPB, PB, SPB) else None
        if packet is None or packet[1] >= len(self._interfaces):
            reading.damage(at, f"the last block is cut: {there} of {total or 'its'} bytes", there)
            return
        start, number, caplen, length, raw = packet
        interface = self._interfaces[number]
        caplen = min(caplen, total)
        held = min(window.end - start, caplen)
        if held:
            time = interface.time(raw, reading.newest)
            columns = Columns(interface.link, [start], [held], [max(caplen, length)], [time])
            yield columns.batch(reading, window.view[: window.end])
        if held < caplen:
            reading.damage(at, f"the last packet is cut: {held} of {caplen} bytes")
        else:
            reading.damage(at, f"the last block is cut behind its packet: {there} of {total} bytes")


def _many(buffer: bytearray, at: int, end: int) -> int:
    """Return the length in bytes of the next `MIN_RECORDS` enhanced packet blocks in this machine's byte order.

    0 if not so many seem to follow each other from `at` on.
    """
    words = memoryview(buffer)[: end & ~3].cast("I")
    i = at >> 2
    try:
        for _ in range(MIN_RECORDS):
            if words[i] != EPB:
                return 0
            i += words[i + 1] >> 2
    except IndexError:  # the window ends
        return 0
    return i * 4 - at
