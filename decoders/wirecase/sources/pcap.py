"""The pcap format (draft-ietf-opsawg-pcap) and its variants, walked record by record.

A file header of 24 bytes is followed by records, each with a header of 16 bytes: seconds, fraction, captured length,
length on the wire. Nothing marks where a record begins, so one wrong length loses the thread; `resync` finds it again.

The variants: nanoseconds (magic a1b23c4d); Ixia's with four more bytes of file header (1c0001ac, 1c0001ab);
Kuznetzov's patches with 8 or 12 more bytes of record header (a1b2cd34, and one of them, like Nokia's 4 more, behind
the ordinary magic: told by where the second record lies); AIX's, with nanoseconds and interface types of its own;
and the order of the two lengths before version 2.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from wirecase.errors import InputError
from wirecase.model import PacketBatch
from wirecase.sources.pcap_resync import RecordShape, find_record
from wirecase.sources.reading import MAX_PACKET, MIN_RECORDS, MIN_WINDOW, SEARCH, USUAL_PACKET, Columns, Reading
from wirecase.sources.window import Window

MICRO, NANO = 1000, 1
AIX_LINKS = {6: 1, 9: 6, 15: 10, 24: 0}
"""AIX writes RFC 1573 ifType numbers: Ethernet, Token Ring, FDDI, loopback."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What a magic number says."""

    header: int
    """Bytes of the file header."""
    unit: int
    """Nanoseconds in one unit of a time's fraction."""
    records: tuple[int, ...]
    """Possible sizes of a record header in bytes, the likeliest first."""


VARIANTS = {
    0xA1B2C3D4: Variant(24, MICRO, (16, 24, 20)),
    0xA1B23C4D: Variant(24, NANO, (16,)),
    0xA1B2CD34: Variant(24, MICRO, (24, 28)),
    0x1C0001AC: Variant(28, NANO, (16,)),
    0x1C0001AB: Variant(28, MICRO, (16,)),
}
MAGICS: dict[bytes, tuple[str, Variant]] = {
    magic.to_bytes(4, "little" if order == "<" else "big"): (order, variant)
    for magic, variant in VARIANTS.items()
    for order in "<>"
}
"""First four bytes of a file: byte order and variant."""


class PcapReader:
    """Packets of one pcap file."""

    def __init__(self, window: Window, reading: Reading) -> None:
        self._window = window
        self._reading = reading

    def batches(self) -> Iterator[PacketBatch]:
        """Yield a batch for each window; raise `InputError` if the file header is cut or of an unknown version."""
        window, reading = self._window, self._reading
        shape = self._file_header()
        while True:
            columns = Columns(self._link)
            stop, fault = self._walk(shape, columns)
            if columns.starts:
                yield columns.batch(reading, window.view[: window.end])
            window.start = stop
            if fault:
                if not self._resync(shape, fault):
                    return
            elif not window.fill():
                break
        yield from self._cut_tail(shape)

    def _file_header(self) -> RecordShape:
        window = self._window
        window.ensure(4)
        order, variant = MAGICS[bytes(window.view[window.start : window.start + 4])]
        if not window.ensure(variant.header):
            there = window.end - window.start
            raise InputError(f"the capture is cut inside its file header ({there} of {variant.header} bytes)")
        major, minor, _, _, snaplen, network = Struct(order + "HHiIII").unpack_from(window.buffer, window.start + 4)
        if major < 2:
            raise InputError(f"pcap version {major}.{minor} is not known; convert it with: editcap -F pcapng IN OUT")
        swapped = (major == 2 and minor <= 3) or major == 543  # DG/UX writes version 543.0
        self._link = network & 0xFFFF
        unit = variant.unit
        if (major, minor) == (2, 2) and variant.records[0] == 16 and self._link in AIX_LINKS:
            self._link, unit = AIX_LINKS[self._link], NANO
        window.start += variant.header
        limit = min(max(snaplen, USUAL_PACKET), MAX_PACKET)
        shape = RecordShape(order, variant.records[0], unit, limit, swapped)
        return self._choose(shape, variant.records)

    def _choose(self, shape: RecordShape, sizes: tuple[int, ...]) -> RecordShape:
        """Tell the record header's size by whether a second record stands behind the first, as far as that is there."""
        window = self._window
        if len(sizes) == 1 or not window.ensure(shape.size):
            return shape
        place = window.buffer, window.start, window.end, window.final, None
        if shape.run_at(*place) is not False:
            return shape
        others = (shape.resized(size) for size in sizes[1:])
        return next((other for other in others if other.run_at(*place)), shape)

    def _walk(self, shape: RecordShape, columns: Columns) -> tuple[int, str]:
        """Take all whole records of the window; return where the walk stopped and what is wrong there, if anything."""
        window = self._window
        buffer, end = window.buffer, window.end
        unpack, size, limit, unit = shape.unpack, shape.size, shape.limit, shape.unit
        at = window.start
        if end - at >= MIN_WINDOW:
            found = _chain(buffer, at, end, shape)
            if len(found) >= MIN_RECORDS:
                from wirecase.sources.record_columns import take_pcap

                at = take_pcap(buffer, found, end, shape, columns)
        starts, caplens = columns.starts.append, columns.caplens.append
        lengths, times = columns.lengths.append, columns.add_time
        last = end - size
        while at <= last:
            seconds, fraction, caplen, length = unpack(buffer, at)
            start = at + size
            after = start + caplen
            if not 0 < caplen <= limit or after > end or caplen > length:
                # Out of the ordinary: an older order of the two lengths, an empty packet, damage, or the window's end.
                if shape.swapped and caplen > length:
                    caplen, length = length, caplen
                    after = start + caplen
                number = self._reading.packets + len(columns.starts) + 1
                if caplen > limit:
                    return at, f"packet {number} claims to hold {caplen} bytes"
                if not (caplen or length or seconds or fraction):
                    return at, f"zeros stand where packet {number} should begin"
                if after > end:
                    break
                if caplen > length:
                    length = caplen
            starts(start)
            caplens(caplen)
            lengths(length)
            times(seconds * 1_000_000_000 + fraction * unit)
            at = after
        return at, ""

    def _resync(self, shape: RecordShape, fault: str) -> bool:
        """Go on at the next plausible packet within reach; note the damage; return False if there is none."""
        window, reading = self._window, self._reading
        bad = window.base + window.start
        reach = bad + SEARCH
        last = None if reading.newest is None else reading.newest // 1_000_000_000
        window.start += 1
        while True:
            final = window.final
            found, certain = find_record(window, shape, last, reach)
            window.start = found
            if certain:
                skipped = window.base + found - bad
                reading.damage(bad, f"{fault}; {skipped} bytes were skipped up to the next packet", skipped)
                return not reading.worn_out
            if final or window.base + found >= reach:
                break
            window.fill()
        reading.damage(bad, f"{fault}; no packet was found behind it and the rest was not read")
        return False

    def _cut_tail(self, shape: RecordShape) -> Iterator[PacketBatch]:
        """Hand on what is there of a last record that the file's end cuts."""
        window, reading = self._window, self._reading
        there = window.end - window.start
        if not there or reading.unfinished():
            return
        at = window.base + window.start
        if there < shape.size:
            reading.damage(at, f"the header of the last packet is cut: {there} of {shape.size} bytes", there)
            return
        seconds, fraction, caplen, length = shape.unpack(window.buffer, window.start)
        if shape.swapped and caplen > length:
            caplen, length = length, caplen
        there -= shape.size
        if there:
            columns = Columns(self._link, [window.start + shape.size], [there], [max(caplen, length)])
            columns.times.append(seconds * 1_000_000_000 + fraction * shape.unit)
            yield columns.batch(reading, window.view[: window.end])
        reading.damage(at, f"the last packet is cut: {there} of {caplen} bytes")


def _chain(buffer: bytearray, at: int, end: int, shape: RecordShape) -> list[int]:
    """Return where records seem to follow each other."""
    length_at, size, last = Struct(shape.order + "I").unpack_from, shape.size, end - shape.size
    found: list[int] = []
    append = found.append
    while at <= last:
        append(at)
        at += size + length_at(buffer, at + 8)[0]
    return found
