"""The fast path, first half: header fields of a whole batch at once, through numpy.

Frames of the common shape (Ethernet with at most one VLAN tag, Linux cooked, raw IP or BSD loopback; IPv4 without
options or IPv6 without extension headers, not fragmented; TCP; also in VXLAN or Geneve) are read by columns. The few
others go through `ip.py` one by one and join their connection's packets as *odd* ones. `chunks` takes it from there.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # numpy reads the number of threads when it is imported

from wirecase.model import PacketBatch
from wirecase.net import link as links
from wirecase.net import tunnels
from wirecase.net.header import Packet

Array = np.ndarray[Any, Any]

MIN_BUFFER = 128
"""Batches of fewer bytes cannot be gathered from safely."""
_SMALLEST_TUNNEL = 20 + 8 + 8 + 14 + 40
"""Bytes of the headers of IPv4, UDP, a tunnel, Ethernet, IPv4 and TCP."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
_MIX2 = np.uint64(0xC2B2AE3D27D4EB4F)
_LOOPBACK_IPV4 = tuple(f << s for f in (2,) for s in (0, 24))
_LOOPBACK_IPV6 = tuple(f << s for f in (10, 24, 28, 30) for s in (0, 24))


class Odd(NamedTuple):
    """A packet that was read one by one."""

    key: bytes
    packet: Packet
    headers: int
    padding: int


class Fields:
    """Columns of one batch as int64 arrays, one row a packet; `valid` tells which rows are TCP."""

    __slots__ = (
        "_ip", "_six", "_words", "ack", "checksum", "data", "end", "flags", "headers", "high", "ident", "length", "low",
        "odd", "padding", "payload", "seq", "side", "tcp", "valid", "window",
    )  # fmt: skip

    def __init__(self, batch: PacketBatch) -> None:
        self.odd: dict[int, Odd] = {}
        self.data = batch.data
        starts: Array = np.asarray(batch.starts, dtype=np.int64)
        stops: Array = starts + np.asarray(batch.caplens, dtype=np.int64)
        view8: Array = np.frombuffer(batch.data, dtype=np.uint8)
        view16: Array = np.ndarray((view8.size - 1,), dtype=">u2", buffer=batch.data, strides=(1,))
        view32: Array = np.ndarray((view8.size - 3,), dtype=">u4", buffer=batch.data, strides=(1,))
        ip, four, six = _network(batch.link, starts, stops, view8, view16, view32)
        four &= stops - ip >= 40
        six &= stops - ip >= 60
        # Rows of another shape read from the start of the buffer; what they find there is not used.
        ip = np.where(four | six, ip, 0)
        if (four & (view8[ip + 9] == tunnels.UDP)).any():
            wire = starts + np.asarray(batch.lengths, dtype=np.int64)
            ip, four, six = _unwrap(ip, four, six, np.where(wire == stops, stops, 0), view8, view16)
        first = view8[ip]
        four &= (first == 0x45) & (view8[ip + 9] == 6)
        four &= (view16[ip + 6] & 0x3FFF) == 0
        six &= (first >> 4 == 6) & (view8[ip + 6] == 6)
        any_six = bool(six.any())
        total = view16[ip + 2].astype(np.int64)
        end = ip + total
        tcp = ip + 20
        if any_six:
            behind = view16[ip + 4].astype(np.int64)
            end = np.where(six, ip + 40 + behind, end)
            total = np.where(six, behind, total)
            tcp = np.where(six, ip + 40, tcp)
        if not total.all():
            wire = np.maximum(starts + np.asarray(batch.lengths, dtype=np.int64), stops)
            end = np.where(total == 0, wire, end)
        kept = np.minimum(end, stops)
        words = view16[tcp + 12].astype(np.int64)
        payload = tcp + (words >> 12 << 2)
        self.valid: Array = (four | six) & (words >= 0x5000) & (payload <= end) & (tcp + 20 <= kept)
        self.seq: Array = view32[tcp + 4].astype(np.int64)
        self.ack: Array = view32[tcp + 8].astype(np.int64)
        self.flags: Array = words & 0xFF
        self.window: Array = view16[tcp + 14].astype(np.int64)
        self.checksum: Array = view16[tcp + 16].astype(np.int64)
        self.ident: Array = view16[ip + 4].astype(np.int64)
        self.tcp: Array = tcp
        self.length: Array = end - payload
        self.payload: Array = np.minimum(payload, kept)
        self.end: Array = kept
        self.padding: Array = stops - kept
        self.headers: Array = self.payload - starts
        ports = view32[tcp].astype(np.int64)
        source = view32[ip + 12].astype(np.int64) << 16 | ports >> 16
        target = view32[ip + 16].astype(np.int64) << 16 | ports & 0xFFFF
        self._ip = ip
        self._six = six
        self._words: Array | None = None
        if any_six:
            self.ident[six] = 0
            at = np.where(six, ip + 8, 0)
            groups: Array = np.stack([view32[at + 4 * i].astype(np.uint64) for i in range(8)])
            groups[:, ~six] = 0
            source = np.where(six, _fold(groups[:4], ports >> 16), source)
            target = np.where(six, _fold(groups[4:], ports & 0xFFFF), target)
            self._words = groups
        self.side: Array = source > target
        """Direction within a connection: True from the end with the higher number."""
        self.low: Array = np.minimum(source, target)
        self.high: Array = np.maximum(source, target)
        """With `low`: the connection. Exact for IPv4, hashed for IPv6 (see `collides`)."""

    def add_odd(self, odd: dict[int, Odd]) -> None:
        """Put packets that were read one by one into their rows."""
        self.odd = odd
        at: Array = np.array(list(odd), dtype=np.int64)
        packets = [one.packet for one in odd.values()]
        self.valid[at] = True
        self.seq[at] = [packet.seq for packet in packets]
        self.ack[at] = [packet.ack for packet in packets]
        self.flags[at] = [packet.flags for packet in packets]
        self.window[at] = [packet.window for packet in packets]
        self.length[at] = [packet.length for packet in packets]
        self.ident[at] = [packet.ident for packet in packets]
        # IPv4 addresses take the first 4 bytes of each half, IPv6 ones all 16.
        halves = [_padded(one.key) for one in odd.values()]
        groups: Array = np.frombuffer(b"".join(halves), dtype=">u4").reshape(len(halves), 9).T.astype(np.uint64)
        six: Array = np.array([len(one.key) > 12 for one in odd.values()])
        ports = groups[8].astype(np.int64)
        source = np.where(six, _fold(groups[:4], ports >> 16), groups[0].astype(np.int64) << 16 | ports >> 16)
        target = np.where(six, _fold(groups[4:8], ports & 0xFFFF), groups[4].astype(np.int64) << 16 | ports & 0xFFFF)
        if self._words is None and six.any():
            self._words = np.zeros((8, len(self.valid)), dtype=np.uint64)
        if self._words is not None:
            self._words[:, at] = np.where(six, groups[:8], 0)
        self.side[at], self.low[at], self.high[at] = (
            source > target,
            np.minimum(source, target),
            np.maximum(source, target),
        )

    def key(self, i: int) -> bytes:
        """The 4-tuple of row `i` as `Table` knows it."""
        odd = self.odd.get(i)
        if odd is not None:
            return odd.key
        ip, tcp = int(self._ip[i]), int(self.tcp[i])
        first, stop = (8, 40) if self._six[i] else (12, 20)
        return bytes(self.data[ip + first : ip + stop]) + bytes(self.data[tcp : tcp + 4])

    def collides(self, order: Array, same: Array) -> bool:
        """Tell whether rows that follow each other in `order` and seem to be of one connection (`same`) are not.

        Only hashes of IPv6 addresses can collide, and only by intent.
        """
        if self._words is None:
            return False
        words = self._words[:, order]
        flipped = np.concatenate([words[4:], words[:4]])
        canonical = np.where(self.side[order], flipped, words)
        return bool((same & (canonical[:, 1:] != canonical[:, :-1]).any(axis=0)).any())


def _padded(key: bytes) -> bytes:
    if len(key) > 12:
        return key
    return key[:4] + bytes(12) + key[4:8] + bytes(12) + key[8:]


def _fold(groups: Array, port: Array) -> Array:
    """Hash an IPv6 address, given as four 32-bit columns, and a port to a non-negative int64."""
    high = groups[0] << np.uint64(32) | groups[1]
    low = groups[2] << np.uint64(32) | groups[3]
    mixed = high * _MIX ^ (low + port.astype(np.uint64)) * _MIX2
    mixed ^= mixed >> np.uint64(29)
    folded: Array = (mixed >> np.uint64(1)).astype(np.int64)
    return folded


def _network(
    link: int, starts: Array, stops: Array, view8: Array, view16: Array, view32: Array
) -> tuple[Array, Array, Array]:
    """Return where each frame's IP header would begin, and which frames say that they carry IPv4 and IPv6."""
    fits = stops - starts >= 40
    safe = np.where(fits, starts, 0)
    if link == links.ETHERNET:
        kind = view16[safe + 12]
        ip = starts + 14
        tagged = kind == 0x8100
        if tagged.any():
            kind = np.where(tagged, view16[safe + 16], kind)
            ip = np.where(tagged, ip + 4, ip)
    elif link == links.LINUX_SLL:
        kind, ip = view16[safe + 14], starts + 16
    elif link == links.LINUX_SLL2:
        kind, ip = view16[safe], starts + 20
    elif link in (links.NULL, links.LOOP):
        family = view32[safe]
        return starts + 4, fits & np.isin(family, _LOOPBACK_IPV4), fits & np.isin(family, _LOOPBACK_IPV6)
    elif link in links.RAW or link in (links.IPV4_ONLY, links.IPV6_ONLY):
        version = view8[safe] >> 4
        return starts, fits & (version == 4), fits & (version == 6)
    else:
        nothing: Array = np.zeros(len(starts), dtype=bool)
        return starts, nothing, nothing.copy()
    return ip, fits & (kind == links.ETHERTYPE_IPV4), fits & (kind == links.ETHERTYPE_IPV6)


def _unwrap(
    ip: Array, four: Array, six: Array, stops: Array, view8: Array, view16: Array
) -> tuple[Array, Array, Array]:
    """Step into the commonest tunnels: VXLAN and Geneve over IPv4 with an untagged Ethernet frame in them.

    `stops` is 0 for frames that were cut. Only frames that end where the outer IP header says are stepped into, so that
    nothing but the inner header bounds the payload; all others keep their outer header, and go through `ip.py`.
    """
    whole = four & (ip + view16[ip + 2] == stops) & (stops - ip >= _SMALLEST_TUNNEL) & (view8[ip] == 0x45)
    whole &= (view16[ip + 6] & 0x3FFF == 0) & (view8[ip + 9] == tunnels.UDP)
    at = np.where(whole, ip + 28, 0)
    port, flags = view16[at - 6 * whole], view8[at]
    vxlan = (port == tunnels.VXLAN) & (flags & 0x08 != 0)
    vxlan |= (port == tunnels.VXLAN_LINUX) & (view16[at] == 0x0800) & (view16[at + 2] == 0) & (view8[at + 7] == 0)
    geneve = (port == tunnels.GENEVE) & (flags >> 6 == 0) & (view8[at + 1] & 0x80 == 0)
    geneve &= view16[at + 2] == links.ETHERTYPE_TEB
    inner = at + 8 + np.where(geneve, (flags & 0x3F).astype(np.int64) << 2, 0) + 14
    whole &= (vxlan | geneve) & (stops - inner >= 40)
    kind = view16[np.where(whole, inner - 2, 0)]
    in_four = whole & (kind == links.ETHERTYPE_IPV4)
    in_six = whole & (kind == links.ETHERTYPE_IPV6) & (stops - inner >= 60)
    inside = in_four | in_six
    return np.where(inside, inner, ip), np.where(inside, in_four, four), np.where(inside, in_six, six)
