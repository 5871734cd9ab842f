"""What tshark tells of each frame, and the plain TCP packets that come of it.

tshark is asked for fields, one line a frame. A field that occurs several times in a frame (addresses of nested IP
headers, the TCP headers of an aggregated 802.11 frame) comes as a list; ``frame.protocols`` says in which order the
headers stand, so each TCP header finds the IP header right before it.

What comes out is what the native path understands without any unwrapping: an IP header and a TCP header made anew from
the recorded values (addresses, identification, ports, sequence numbers, flags, window, checksum, options), and the
payload as it was recorded. Frames without TCP keep their place, so that packet numbers are Wireshark's.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache

from wirecase.model import PacketBatch
from wirecase.sources.reading import MAX_TIME, Columns, Reading

RAW_IP = 101
"""LINKTYPE_RAW: packets begin with an IPv4 or IPv6 header."""
FIELDS = (
    "frame.number", "frame.time_epoch", "frame.cap_len", "frame.protocols", "ip.src", "ip.dst", "ip.id", "ipv6.src",
    "ipv6.dst", "tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.window_size_value",
    "tcp.checksum", "tcp.hdr_len", "tcp.len", "tcp.options", "tcp.payload",
)  # fmt: skip
_FULL = 1 << 20
"""Bytes of a batch from which on it is handed on."""
_MOST = 2048
"""Packets of a batch."""
_LONGEST = 0xFFFF
_MISSING = b"<MISSING>"
_NO_TCP = struct.pack(">BBHHHBBH8x", 0x45, 0, 0, 0, 0, 0, 59, 0)
"""An IPv4 header without a next one (protocol 59) and of unknown length: the stand-in for a frame without TCP."""
_ipv4 = struct.Struct(">BBHHHBBH4s4s").pack
_ipv6 = struct.Struct(">IHBB16s16s").pack
_tcp = struct.Struct(">HHIIBBHHH").pack

Segment = tuple[bytes, int]
"""(IP packet as far as it was captured, its length on the wire)."""


class Rows:
    """Turns lines of tshark into batches."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._columns = Columns(RAW_IP)
        self._data = bytearray()
        self._first = 0
        """Number of the first frame of the batch in the making."""
        self._blank = 0
        """Longest frame without TCP in it."""
        self._without: list[int] = []
        """Rows of frames without TCP."""
        self.frames = 0
        """Frames told so far, those without TCP too."""
        self.captured = 0
        """Captured bytes of them."""
        self.unclear = 0
        """Frames whose TCP header tshark could not take apart."""

    def take(self, line: bytes) -> Iterator[PacketBatch]:
        """Take one line; yield the batch before it where it is full or the numbers do not follow."""
        parts = line.split(b"\t")
        if len(parts) != len(FIELDS):
            return
        try:
            number, caplen = int(parts[0]), int(parts[2])
            time = nanoseconds(parts[1])
        except ValueError:
            return
        self.frames = max(self.frames, number)
        self.captured += caplen
        columns = self._columns
        carried: Sequence[Segment | None] = self._segments(parts)
        for segment in carried or (None,):
            held = len(columns.starts)
            if held and (number != self._first + held or held >= _MOST or len(self._data) >= _FULL):
                yield from self.rest()
                columns = self._columns
            if not columns.starts:
                self._first = number
            columns.times.append(time)
            if segment is None:
                self._without.append(len(columns.starts))
                self._blank = max(self._blank, caplen)
                columns.starts.append(0)
                columns.caplens.append(caplen)
                columns.lengths.append(caplen)
            else:
                packet, length = segment
                columns.starts.append(len(self._data))
                columns.caplens.append(len(packet))
                columns.lengths.append(length)
                self._data += packet

    def rest(self) -> Iterator[PacketBatch]:
        """Yield what was gathered since the last time, if anything was, and begin anew."""
        columns, data, first = self._columns, self._data, self._first
        # All frames without TCP share the same bytes: they only have to be there to be counted.
        for row in self._without:
            columns.starts[row] = len(data)
        if self._without:
            data += _NO_TCP + bytes(max(self._blank - len(_NO_TCP), 0))
        self._columns, self._data, self._without, self._blank = Columns(RAW_IP), bytearray(), [], 0
        if not columns.starts:
            return
        made = columns.batch(self._reading, memoryview(bytes(data)))
        self._reading.packets = self.frames
        made.first_number = first
        yield made

    def _segments(self, parts: list[bytes]) -> list[Segment]:
        layers = parts[3].split(b":")
        if b"tcp" not in layers:
            return []
        try:
            return list(segments(layers, parts))
        except (ValueError, IndexError, OSError, struct.error):
            self.unclear += 1
            return []


def nanoseconds(text: bytes) -> int:
    """Read ``frame.time_epoch``: seconds since 1970 with a fraction; times before that are taken for the beginning."""
    whole, _, fraction = text.partition(b".")
    if whole.startswith(b"-"):
        return 0
    return min(int(whole or b"0") * 1_000_000_000 + int(fraction[:9].ljust(9, b"0")), MAX_TIME)


def segments(layers: list[bytes], parts: list[bytes]) -> Iterator[Segment]:
    """Yield the TCP segments of one frame, those that an ICMP error quotes excepted (they were sent before).

    Raises ValueError, IndexError or OSError where the values do not fit together, e.g. in a header that was cut.
    """
    if b"icmp" in layers or b"icmpv6" in layers:
        return
    four, six = _list(parts[4]), _list(parts[7])
    if layers.count(b"ip") != len(four) or layers.count(b"ipv6") != len(six):
        raise ValueError("addresses and headers differ in number")
    (four_to, idents, six_to, sources, targets, seqs, acks, flags, windows, checksums, heads, lengths, options,
     payloads) = (_list(parts[i]) for i in (5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19))  # fmt: skip
    count = layers.count(b"tcp")
    if any(len(one) != count for one in (sources, targets, seqs, acks, flags, windows, heads, lengths)):
        raise ValueError("a TCP header is not whole")
    with_options = iter(options)
    with_payload = iter(payloads)
    filled = sum(one != b"0" for one in lengths)
    if count > 1 and filled != len(payloads):
        raise ValueError("it is not clear whose the payload is")
    fours = sixes = at = 0
    address: tuple[bytes, bytes, int] | None = None
    for layer in layers:
        if layer == b"ip":
            ident = int(idents[fours], 16) if fours < len(idents) else 0
            address = (_address(four[fours]), _address(four_to[fours]), ident)
            fours += 1
        elif layer == b"ipv6":
            address = (_address(six[sixes]), _address(six_to[sixes]), 0)
            sixes += 1
        elif layer == b"tcp":
            if address is None:
                raise ValueError("TCP without an address")
            length = int(lengths[at])
            size = int(heads[at])
            # A snapshot length may end among the options; what follows is missing then too.
            written = next(with_options, b"") if size > 20 else b""
            extra = b"" if written == _MISSING else bytes.fromhex(written.decode())
            body = bytes.fromhex(next(with_payload, b"").decode()) if length else b""
            header = _tcp(
                int(sources[at]), int(targets[at]), int(seqs[at]), int(acks[at]), size // 4 << 4,
                int(flags[at], 16) & 0xFF, int(windows[at]),
                int(checksums[at], 16) if at < len(checksums) else 0, 0,
            )  # fmt: skip
            yield _packet(address, header + extra + body, size + length)
            at += 1


def _packet(address: tuple[bytes, bytes, int], segment: bytes, size: int) -> Segment:
    """Put an IP header before a TCP segment that had `size` bytes on the wire."""
    source, target, ident = address
    if len(source) == 4:
        # An offloaded packet may be longer than the field; 0 has the length taken from the capture.
        total = size + 20 if size + 20 <= _LONGEST else 0
        start = _ipv4(0x45, 0, total, ident, 0x4000, 64, 6, 0, source, target)
    else:
        start = _ipv6(6 << 28, size if size <= _LONGEST else 0, 6, 64, source, target)
    return start + segment, len(start) + size


def _list(value: bytes) -> list[bytes]:
    return value.split(b",") if value else []


@lru_cache(maxsize=4096)
def _address(text: bytes) -> bytes:
    name = text.decode("ascii", "replace")
    return socket.inet_pton(socket.AF_INET6 if ":" in name else socket.AF_INET, name)
