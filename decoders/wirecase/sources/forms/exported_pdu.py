"""Wireshark's exported PDUs (link type 252, WIRESHARK_UPPER_PDU), as ``tshark -U`` and File > Export PDUs write them.

Each packet is a row of tags (epan/exported_pdu.h: type and length of two bytes each, big endian) that name the protocol
and the endpoints, then the payload that a dissector was given: for ``OSI layer 7`` the plaintext inside of TLS, for
``OSI layer 4`` that of TCP. Their numbers are the frame numbers of the file at hand.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import replace

from wirecase.model import FormFacts, PacketBatch
from wirecase.sources.forms.byte_streams import ByteConnection
from wirecase.sources.forms.segments import Endpoint, Segments
from wirecase.sources.reading import Reading

LINK = 252
LIMITS = (
    "TCP itself: handshakes, how connections ended, retransmissions, windows",
    "TLS: the bytes are those inside of it, where they were exported from there",
    "whatever Wireshark could not decode or did not export: a missing PDU is not seen as a gap",
)
_END, _IPV4_SOURCE, _IPV4_TARGET, _IPV6_SOURCE, _IPV6_TARGET = 0, 20, 21, 22, 23
_PORT_TYPE, _SOURCE_PORT, _TARGET_PORT = 24, 25, 26
_TCP = 2
_MOST = 65_536
"""Connections that are followed at the same time."""
_Key = tuple[Endpoint, Endpoint]


class ExportedPdus:
    """Turns packets of link type 252 among the batches of a capture into made-up TCP; all others pass as they are."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._segments: Segments | None = None
        self._open: dict[_Key, ByteConnection] = {}
        self._last = 1

    def batches(self, batches: Iterable[PacketBatch]) -> Iterator[PacketBatch]:
        """Yield what each batch leads to."""
        for batch in batches:
            if batch.link != LINK:
                yield batch
                continue
            yield from self._take(batch)
        if self._segments is not None:
            for connection in self._open.values():
                connection.end(self._last)
            yield from self._segments.rest()

    def _take(self, batch: PacketBatch) -> Iterator[PacketBatch]:
        if self._segments is None:
            self._segments = Segments(self._reading)
            self._reading.form = FormFacts("a file of exported PDUs", "bytes", LIMITS, own_numbers=False)
        rest: list[int] = []
        for i, (start, caplen) in enumerate(zip(batch.starts, batch.caplens, strict=True)):
            self._last = batch.first_number + i
            found = _read_tags(batch.data[start : start + caplen])
            if found is None:
                rest.append(i)
                continue
            key, begin = found
            data = bytes(batch.data[start + begin : start + caplen])
            cut = batch.lengths[i] > caplen
            connection, way = self._connection(key)
            connection.take(way, data, self._last, batch.times[i], cut=cut)
        yield from self._segments.take()
        for i in rest:  # not TCP, or no endpoints: passed on to be booked as a link type that is not read
            yield replace(
                batch, starts=[batch.starts[i]], caplens=[batch.caplens[i]], lengths=[batch.lengths[i]],
                times=[batch.times[i]], first_number=batch.first_number + i,
            )  # fmt: skip

    def _connection(self, key: _Key) -> tuple[ByteConnection, int]:
        """Return the connection of a PDU and which way it went."""
        if self._segments is None:
            raise AssertionError("no PDU was taken before")
        connection = self._open.get(key)
        if connection is not None:
            return connection, 0
        back = (key[1], key[0])
        connection = self._open.get(back)
        if connection is not None:
            return connection, 1
        if len(self._open) >= _MOST:
            self._open.pop(next(iter(self._open))).end(self._last)
        connection = self._open[key] = ByteConnection(self._segments, *key)
        return connection, 0


def _read_tags(data: memoryview) -> tuple[_Key, int] | None:
    """Return the endpoints of a PDU of TCP, the sender's first, and where its payload begins; None if it is no such."""
    at, end = 0, len(data)
    addresses: list[str] = ["", ""]
    ports = [0, 0]
    while at + 4 <= end:
        kind, length = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + 4], "big")
        value = bytes(data[at + 4 : at + 4 + length])
        at += 4 + length
        if kind == _END:
            return (((addresses[0], ports[0]), (addresses[1], ports[1])), at) if ports[0] and ports[1] else None
        if len(value) < length:
            return None
        if kind in (_IPV4_SOURCE, _IPV4_TARGET, _IPV6_SOURCE, _IPV6_TARGET):
            if length == (4 if kind < _IPV6_SOURCE else 16):
                addresses[kind in (_IPV4_TARGET, _IPV6_TARGET)] = str(ipaddress.ip_address(value))
        elif kind == _PORT_TYPE:
            if int.from_bytes(value, "big") != _TCP:
                return None
        elif kind in (_SOURCE_PORT, _TARGET_PORT):
            ports[kind == _TARGET_PORT] = int.from_bytes(value, "big") & 0xFFFF
    return None
