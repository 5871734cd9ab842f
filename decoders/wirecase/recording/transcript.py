"""From what the proxy tells of its connections to TCP packets that any reader follows.

A connection is shown as if the client had spoken with the server directly: the bytes of either side at the time when
the proxy read them, its FIN and RST when the proxy met them. What a side has acknowledged is what its TCP has
acknowledged to the proxy, which looks several times a second and whenever that side says something: never made up.
Bytes that were passed on and not recorded are missing from the packets as well: a hole, as after a drop in a capture.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Protocol

from wirecase.sources.live.ring import Kind, Record

LONGEST = 8960
"""Payload bytes of one packet at most, as with jumbo frames."""
_MASK = 0xFFFFFFFF
_WINDOW = 0xFFFF
_OPTIONS = bytes((2, 4)) + (LONGEST).to_bytes(2, "big") + bytes((1, 3, 3, 7))
"""MSS and window scale (RFC 9293 §3.2, RFC 7323 §2.2)."""
_FIN, _SYN, _RST, _PSH, _ACK = 0x01, 0x02, 0x04, 0x08, 0x10
_TCP_HEAD = struct.Struct(">HHIIBBHHH")


_MOST_SYNS = 100
"""SYNs that are written at once."""


class Sink(Protocol):
    """Takes packets."""

    def packet(self, time: int, head: bytes, payload: memoryview | bytes) -> None:
        """Take one IP packet: its headers and its payload, at a time in ns since the epoch."""


class Flow:
    """One connection as packets. Times never go back."""

    __slots__ = ("_acked", "_ends", "_fin", "_ident", "_isn", "_ports", "_pseudo", "_reset", "_sent", "_sink", "_syns",
                 "_time")  # fmt: skip

    def __init__(self, sink: Sink, client: str, server: str) -> None:
        self._sink = sink
        hosts, self._ports = _both(client, server)
        self._ends = (hosts[0] + hosts[1], hosts[1] + hosts[0])
        self._pseudo = _sum(hosts[0] + hosts[1] + b"\0\6")
        first = int.from_bytes(os.urandom(8), "big")
        self._isn = [first & _MASK, first >> 32]
        self._syns = [0, 0]
        self._sent = [0, 0]
        """Bytes that each side has sent."""
        self._fin = [0, 0]
        self._acked = [0, 0]
        """How many of the *other* side's bytes, and its FIN, each side has acknowledged."""
        self._ident = 0
        self._time = 0
        self._reset = False

    def opened(self, time: int) -> None:
        """The client's SYN."""
        self._packet(0, time, _SYN, options=_OPTIONS)
        self._syns[0] = 1

    def again(self, time: int, count: int) -> None:
        """The client's SYN, sent `count` times more."""
        if self._syns[0] and not self._syns[1]:
            self._syns[0] = 0
            for _ in range(count):
                self._packet(0, time, _SYN, options=_OPTIONS)
            self._syns[0] = 1

    def established(self, time: int) -> None:
        """The server's SYN, and the client's answer."""
        self._packet(1, time, _SYN | _ACK, options=_OPTIONS)
        self._syns[1] = 1
        self._packet(0, time, _ACK)

    def refused(self, time: int) -> None:
        """The server's RST in answer to the SYN (RFC 9293 §3.10.7.1)."""
        self._isn[1] = 0
        self._packet(1, time, _RST | _ACK, window=0)
        self._reset = True

    def data(self, side: int, time: int, payload: memoryview) -> None:
        """Bytes of one side."""
        for at in range(0, len(payload), LONGEST):
            piece = payload[at : at + LONGEST]
            self._packet(side, time, _PSH | _ACK, payload=piece)
            self._sent[side] += len(piece)

    def lost(self, side: int, count: int) -> None:
        """Bytes of one side that were not recorded."""
        self._sent[side] += count

    def acked(self, side: int, count: int, time: int | None) -> None:
        """One side has acknowledged `count` bytes of the other (modulo 2**32); with a time, by a packet of its own."""
        sent = self._sent[1 - side] + self._fin[1 - side]
        behind = (sent - count) & _MASK
        if behind <= sent and sent - behind > self._acked[side]:
            self._acked[side] = sent - behind
            if time is not None:
                self._packet(side, time, _ACK)

    def acknowledge(self, side: int, time: int) -> None:
        """One side has acknowledged everything that the other has sent."""
        self.acked(side, self._sent[1 - side] + self._fin[1 - side], time)

    def fin(self, side: int, time: int) -> None:
        """One side has closed."""
        self._packet(side, time, _FIN | _ACK)
        self._fin[side] = 1

    def rst(self, side: int, time: int) -> None:
        """One side has reset; a client that is not connected yet gives up without a packet (RFC 9293 §3.10.4)."""
        if self._syns[0] and not self._syns[1] and not any(self._sent):
            return
        self._packet(side, time, _RST | _ACK, window=0)
        self._reset = True

    def blocked(self, side: int, time: int) -> None:
        """One side takes no bytes: its window is closed."""
        self._packet(side, time, _ACK, window=0)

    def _packet(
        self, side: int, time: int, flags: int, *, window: int = _WINDOW, payload: memoryview | bytes = b"",
        options: bytes = b"",
    ) -> None:  # fmt: skip
        if self._reset:
            return
        self._time = time = max(self._time, time)
        self._ident = ident = (self._ident + 1) & 0xFFFF
        peer = 1 - side
        seq = self._isn[side] + self._syns[side] + self._sent[side] + self._fin[side] & _MASK
        acked = self._isn[peer] + self._syns[peer] + self._acked[side] & _MASK if flags & _ACK else 0
        size = 20 + len(options) + len(payload)
        ports = self._ports
        fields = (ports[side], ports[peer], seq, acked, (20 + len(options)) << 2, flags, window)
        head = _TCP_HEAD.pack(*fields, 0, 0)
        total = (self._pseudo + size + _sum(head) + _sum(options) + _sum(payload)) % 0xFFFF
        head = _TCP_HEAD.pack(*fields, 0xFFFF - total if total else 0, 0)
        ends = self._ends[side]
        if len(ends) == 32:
            packet = struct.pack(">IHBB", 6 << 28, size, 6, 64) + ends
        else:
            packet = struct.pack(">BBHHHBBH", 0x45, 0, 20 + size, ident, 0x4000, 64, 6, 0)
            check = (_sum(packet) + _sum(ends)) % 0xFFFF
            packet = packet[:10] + (0xFFFF - check if check else 0).to_bytes(2, "big") + ends
        self._sink.packet(time, packet + head + options, payload)


def _both(client: str, server: str) -> tuple[tuple[bytes, bytes], tuple[int, int]]:
    """Return the addresses and ports of both ends; where one speaks IPv6, IPv4 is mapped into it (RFC 4291 §2.5.5)."""
    pairs = [text.rpartition(":") for text in (client, server)]
    hosts = [ip_address(host.strip("[]")) for host, _, _ in pairs]
    if hosts[0].version != hosts[1].version:
        hosts = [host if host.version == 6 else IPv6Address(f"::ffff:{host}") for host in hosts]
    return (hosts[0].packed, hosts[1].packed), (int(pairs[0][2]), int(pairs[1][2]))


_FEW = 2048
"""Bytes up to which a number is faster than columns."""


def _sum(data: bytes | memoryview) -> int:
    """Return the ones' complement sum of the 16-bit words (RFC 1071), not folded."""
    if len(data) <= _FEW:
        whole = int.from_bytes(data, "big")
        return (whole << 8 if len(data) & 1 else whole) % 0xFFFF
    import numpy as np

    even = len(data) & ~3
    total = int(np.frombuffer(data[:even], dtype="<u4").sum(dtype=np.uint64)) % 0xFFFF
    return ((total & 0xFF) << 8 | total >> 8) + _sum(data[even:])


class Transcript:
    """Takes the records of a proxy's ring, in order, and tells `sink` the packets."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._flows: dict[int, Flow] = {}
        self.failed = 0
        """Connections for which TLS could not be set up."""
        self.on_failed: Callable[[str], None] | None = None
        """Told why."""

    def __len__(self) -> int:
        """Return how many connections are open."""
        return len(self._flows)

    def take(self, record: Record) -> None:
        """Take one record."""
        kind, side, number, time, acked, data = record
        flow = self._flows.get(number)
        if flow is None:
            if kind == Kind.opened:
                client, _, server = bytes(data).decode("ascii").partition(" ")
                flow = self._flows[number] = Flow(self._sink, client, server)
                flow.opened(time)
            return
        if acked is not None:
            flow.acked(side, acked, time if kind == Kind.acked else None)
        if kind == Kind.data:
            flow.data(side, time, data)
        elif kind == Kind.established:
            flow.established(time)
        elif kind == Kind.fin:
            flow.fin(side, time)
        elif kind == Kind.rst:
            flow.rst(side, time)
        elif kind == Kind.lost:
            flow.lost(side, int.from_bytes(data, "little"))
        elif kind == Kind.refused:
            flow.refused(time)
        elif kind == Kind.again:
            flow.again(time, min(int.from_bytes(data, "little"), _MOST_SYNS))
        elif kind == Kind.blocked:
            flow.blocked(side, time)
        elif kind == Kind.failed:
            self.failed += 1
            if self.on_failed is not None:
                self.on_failed(bytes(data).decode("utf-8", "replace"))
        elif kind == Kind.closed:
            del self._flows[number]
