"""Evidence without packets as packets: the one shape that every reader behind the sources understands.

Each form says who sent which bytes when, and in which of its records that stands. `Segments` writes them as TCP
segments over raw IP, without checksums, and numbers each packet with its record: several packets of one record carry
the same number. What TCP itself would tell (handshakes, acknowledgements, windows) is made up and must not be judged:
`wirecase.model.FormFacts` says so to the rules.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from struct import Struct
from zlib import crc32

from wirecase.model import CLIENT, SERVER, PacketBatch
from wirecase.sources.reading import MAX_TIME, Reading

LINK_RAW = 101
FIN, SYN, ACK = 1, 2, 16
_BATCH = 1 << 18
"""Bytes after which a batch is handed on."""
_UNACKNOWLEDGED = 1 << 18
"""Bytes of one side after which an acknowledgement is made up for the other one."""
_WINDOW = 65535
_IPV4 = Struct(">BBHHHBBH4s4s").pack
_IPV6 = Struct(">IHBB16s16s").pack
_TCP = Struct(">HHIIBBHHH").pack
_MASK = 0xFFFFFFFF

Endpoint = tuple[str, int]
"""Address and port as the evidence names them; an address that is no IP address counts as unknown."""
UNKNOWN: Endpoint = ("", 0)


class Flow:
    """One made-up TCP connection; `ports` and addresses are those of the evidence where it has them."""

    __slots__ = ("_addresses", "_ports", "_seq", "_unacknowledged", "opened")

    def __init__(self, client: Endpoint, server: Endpoint, ordinal: int) -> None:
        """`ordinal` tells connections apart whose endpoints are unknown."""
        self._addresses = _packed(client[0], server[0])
        port = client[1] or 1 + ordinal % 65535
        self._ports = (port & 0xFFFF, server[1] & 0xFFFF)
        # As random as those of real connections: equal ones would make two connections legs of one.
        self._seq = [crc32(b"%d" % (2 * ordinal + side)) for side in (CLIENT, SERVER)]
        self._unacknowledged = [0, 0]
        self.opened = False

    def header(self, side: int, flags: int, ident: int) -> bytes:
        """Return the IP and TCP header of the next packet of `side`; lengths are left to the record around it."""
        source, target = self._addresses[side], self._addresses[1 - side]
        if len(source) == 4:
            network = _IPV4(0x45, 0, 0, ident & 0xFFFF, 0, 64, 6, 0, source, target)
        else:
            network = _IPV6(0x60000000, 0, 6, 64, source, target)
        ports = self._ports
        seq, ack = self._seq[side], self._seq[1 - side]
        return network + _TCP(ports[side], ports[1 - side], seq, ack if flags & ACK else 0, 0x50, flags, _WINDOW, 0, 0)

    def advance(self, side: int, count: int) -> bool:
        """`side` sent `count` bytes; return whether the other side should acknowledge now."""
        self._seq[side] = (self._seq[side] + count) & _MASK
        self._unacknowledged[side] += count
        self._unacknowledged[1 - side] = 0
        return self._unacknowledged[side] > _UNACKNOWLEDGED

    def waiting(self, side: int) -> bool:
        """Tell whether `side` sent what the other one did not acknowledge yet."""
        return self._unacknowledged[side] > 0


class Segments:
    """Writes packets and hands them on as batches."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._ready: list[PacketBatch] = []
        self._ident = 0
        self._ordinal = 1_000_003 * reading.source
        self._begin()

    def ordinal(self) -> int:
        """Return a number for the next connection whose endpoints may be unknown; inputs use different ones."""
        self._ordinal += 1
        return self._ordinal - 1

    def _begin(self) -> None:
        self._buffer = bytearray()
        self._starts: list[int] = []
        self._caplens: list[int] = []
        self._lengths: list[int] = []
        self._times: list[int] = []
        self._first = self._last = 0

    def open(self, flow: Flow, number: int, time: int) -> None:
        """Begin a connection with a handshake: both streams are known from their first byte."""
        flow.opened = True
        self._packet(flow, CLIENT, SYN, b"", 0, number, time)
        flow.advance(CLIENT, 1)
        self._packet(flow, SERVER, SYN | ACK, b"", 0, number, time)
        flow.advance(SERVER, 1)
        self.acknowledge(flow, CLIENT, number, time)

    def join(self, flow: Flow, number: int, time: int) -> None:
        """Begin with a connection that was there before: nothing is said of its handshake."""
        flow.opened = True
        self.acknowledge(flow, CLIENT, number, time)
        self.acknowledge(flow, SERVER, number, time)

    def send(self, flow: Flow, side: int, data: bytes, number: int, time: int, missing: int = 0) -> None:
        """`side` sent `data`, and `missing` bytes after it that the evidence does not hold."""
        if not data and not missing:
            return
        self._packet(flow, side, ACK, data, missing, number, time)
        if flow.advance(side, len(data) + missing):
            self.acknowledge(flow, 1 - side, number, time)

    def finish(self, flow: Flow, side: int, number: int, time: int) -> None:
        """`side` closed its direction."""
        self._packet(flow, side, FIN | ACK, b"", 0, number, time)
        flow.advance(side, 1)
        self.acknowledge(flow, 1 - side, number, time)

    def acknowledge(self, flow: Flow, side: int, number: int, time: int) -> None:
        """`side` has all that the other one sent: whatever is not said of TCP must not look like silence."""
        self._packet(flow, side, ACK, b"", 0, number, time)
        flow.advance(side, 0)

    def settle(self, flow: Flow, number: int, time: int) -> None:
        """Acknowledge what still waits at the end of the evidence."""
        for side in (CLIENT, SERVER):
            if flow.waiting(1 - side):
                self.acknowledge(flow, side, number, time)

    def _packet(self, flow: Flow, side: int, flags: int, data: bytes, missing: int, number: int, time: int) -> None:
        if self._starts and (number != self._last + 1 or len(self._buffer) > _BATCH):
            self.flush()
        time = min(max(time, 0), MAX_TIME)
        self._ident += 1
        header = flow.header(side, flags, self._ident)
        buffer = self._buffer
        if not self._starts:
            self._first = number
        self._last = number
        self._starts.append(len(buffer))
        buffer += header
        buffer += data
        self._caplens.append(len(header) + len(data))
        self._lengths.append(len(header) + len(data) + missing)
        self._times.append(time)
        reading = self._reading
        if time:
            reading.first = time if reading.first is None else min(reading.first, time)
            reading.last = time if reading.last is None else max(reading.last, time)

    def flush(self) -> None:
        """Make a batch of what was written so far."""
        if self._starts:
            batch = PacketBatch(
                self._reading.source, LINK_RAW, memoryview(self._buffer), self._starts, self._caplens, self._lengths,
                self._times, self._first, form=self._reading.form,
            )  # fmt: skip
            self._ready.append(batch)
            self._begin()

    def take(self) -> Iterator[PacketBatch]:
        """Yield the batches that are ready; call it after each record so that little is held."""
        while self._ready:
            ready, self._ready = self._ready, []
            yield from ready

    def rest(self) -> Iterator[PacketBatch]:
        """Yield all that is left."""
        self.flush()
        yield from self.take()


def _packed(client: str, server: str) -> tuple[bytes, bytes]:
    """Return both addresses in binary, of one IP version; unknown ones are all zeros."""
    both = [_address(client), _address(server)]
    if any(isinstance(one, ipaddress.IPv6Address) for one in both):
        six = [
            one.packed if isinstance(one, ipaddress.IPv6Address)
            else b"\0" * 16 if one is None
            else b"\0" * 10 + b"\xff\xff" + one.packed
            for one in both
        ]  # fmt: skip
        return six[0], six[1]
    four = [b"\0" * 4 if one is None else one.packed for one in both]
    return four[0], four[1]


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        return found.ipv4_mapped
    return found


def endpoint(text: str) -> Endpoint:
    """Read ``addr:port``, the IPv6 address in brackets; `UNKNOWN` where it is no such."""
    host, _, port = text.rpartition(":")
    return (host.strip("[]"), int(port)) if port.isdecimal() and len(port) <= 5 and _address(host) else UNKNOWN
