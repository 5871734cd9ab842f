"""IP: from a captured frame to the TCP segment inside, through extension headers, fragments and tunnels.

The result is a `Segment`: where the TCP header lies, how much of the segment was captured, and how much there was.
Lengths come from the IP header, so that padding of short Ethernet frames is no payload; an IP length of 0 (a capture
taken before segmentation offload cut the packet) is replaced by the length on the wire. Everything that is not TCP is
booked as skipped, with its reason.
"""

from __future__ import annotations

from typing import NamedTuple

from wirecase.model import Accounting
from wirecase.net import link as links
from wirecase.net import tunnels
from wirecase.net.fragments import Fragments

TCP = 6
_HOP_BY_HOP = 0
_ROUTING = 43
_FRAGMENT = 44
_AUTHENTICATION = 51
_DESTINATION = 60
_MOBILITY = 135
_HIP = 139
_SHIM6 = 140
_EXTENSIONS = frozenset((_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _DESTINATION, _MOBILITY, _HIP, _SHIM6))
MAX_TUNNELS = 8
"""How many tunnels may be nested, shims as MPLS and PPPoE among them."""
_MAX_EXTENSIONS = 16

NOT_IP = "not IP"
NOT_TCP = "not TCP"
DAMAGED = "damaged IP header"
CUT_IP = "cut before the IP header's end"
CUT_TCP = "cut before the TCP header"
NESTED = "tunnels nested too deeply"

Buffer = memoryview | bytes


class Segment(NamedTuple):
    """A TCP segment in a buffer: captured up to `end`, and by its IP header up to `wire_end`."""

    key: bytes
    """Source address, destination address, source port, destination port, as on the wire (12 or 36 bytes)."""
    data: Buffer
    at: int
    """First byte of the TCP header."""
    end: int
    wire_end: int
    """At least `end`."""
    ident: int
    """The IPv4 identification, 0 for IPv6."""
    captured: int
    """Captured bytes that came with it, link header to padding."""
    padding: int
    """Bytes of `captured` behind the IP packet."""


class IpDecoder:
    """Finds the TCP segment in a frame. Keeps the IP fragments that wait for others."""

    def __init__(self, accounting: Accounting) -> None:
        self._accounting = accounting
        self._fragments = Fragments(accounting)
        self.notes: dict[str, int] = {}
        """Packets that held no TCP segment, by reason."""

    def decode(self, link: int, data: Buffer, start: int, end: int, wire_end: int, time: int) -> Segment | None:
        """Return the TCP segment in the frame ``data[start:end]``, or None if it has none (or not yet all).

        `link` must be supported; `wire_end` is where the frame would end had all of it been captured.
        """
        kind, at = links.network_layer(link, data, start, end)
        captured = end - start
        for _ in range(MAX_TUNNELS + 1):
            if kind == links.ETHERTYPE_IPV4:
                found = self._ipv4(data, at, end, wire_end, captured, time)
            elif kind == links.ETHERTYPE_IPV6:
                found = self._ipv6(data, at, end, wire_end, captured, time)
            else:
                kind, at = tunnels.below(kind, data, at, end)
                if kind == links.NOT_IP:
                    self.skip(NOT_IP, captured)
                    return None
                continue
            if found is None:
                return None
            protocol, addresses, data, at, inner_end, wire_end, ident, captured, padding = found
            end = inner_end
            if protocol == TCP:
                if end - at < 20:
                    self.skip(CUT_TCP if wire_end - at >= 20 else NOT_TCP, captured)
                    return None
                key = addresses + bytes(data[at : at + 4])
                return Segment(key, data, at, end, wire_end, ident, captured, padding)
            kind, at = tunnels.behind(protocol, data, at, end)
            if kind == links.NOT_IP:
                self.skip(NOT_TCP, captured)
                return None
        self.skip(NESTED, captured)
        return None

    def finish(self) -> None:
        """The capture is over: give up fragments that still wait."""
        self._fragments.finish()

    def skip(self, reason: str, count: int) -> None:
        """Book `count` bytes of one packet that holds no TCP segment that can be read."""
        self._accounting.skip(reason, count)
        self.notes[reason] = self.notes.get(reason, 0) + 1

    def _ipv4(
        self, data: Buffer, at: int, end: int, wire_end: int, captured: int, time: int
    ) -> tuple[int, bytes, Buffer, int, int, int, int, int, int] | None:
        """Read an IPv4 header (RFC 791 §3.1): protocol, addresses, payload's place, identification, booking."""
        if end - at < 20:
            self.skip(CUT_IP, captured)
            return None
        header = (data[at] & 0x0F) << 2
        total = data[at + 2] << 8 | data[at + 3]
        if total == 0:
            total = wire_end - at
        if data[at] >> 4 != 4 or header < 20 or total < header:
            self.skip(DAMAGED, captured)
            return None
        stop = at + total
        kept = min(stop, end)
        if at + header > kept:
            self.skip(CUT_IP, captured)
            return None
        ident = data[at + 4] << 8 | data[at + 5]
        fragment = (data[at + 6] << 8 | data[at + 7]) & 0x3FFF
        protocol = data[at + 9]
        addresses = bytes(data[at + 12 : at + 20])
        if not fragment:
            return protocol, addresses, data, at + header, kept, stop, ident, captured, end - kept
        payload = bytes(data[at + header : kept])
        key = (addresses + bytes((protocol,)), ident)
        return self._fragment(key, (fragment & 0x1FFF) << 3, fragment & 0x2000, payload, captured, time, stop > kept)

    def _ipv6(
        self, data: Buffer, at: int, end: int, wire_end: int, captured: int, time: int
    ) -> tuple[int, bytes, Buffer, int, int, int, int, int, int] | None:
        """Read an IPv6 header and its extension headers (RFC 8200 §3, §4; RFC 4302 §2.2)."""
        if end - at < 40:
            self.skip(CUT_IP, captured)
            return None
        if data[at] >> 4 != 6:
            self.skip(DAMAGED, captured)
            return None
        length = data[at + 4] << 8 | data[at + 5]
        # A length of 0 stands for a jumbogram (RFC 2675) or for a packet that offload had still to cut.
        stop = at + 40 + length if length else max(wire_end, end)
        kept = min(stop, end)
        protocol = data[at + 6]
        addresses = bytes(data[at + 8 : at + 40])
        here = at + 40
        for _ in range(_MAX_EXTENSIONS):
            if protocol not in _EXTENSIONS:
                return protocol, addresses, data, here, kept, stop, 0, captured, end - kept
            if here + 8 > kept:
                self.skip(CUT_IP, captured)
                return None
            following = data[here]
            if protocol == _FRAGMENT:
                place = data[here + 2] << 8 | data[here + 3]
                ident = int.from_bytes(data[here + 4 : here + 8], "big")
                if place & 0xFFF9:
                    key = (addresses + bytes((following,)), ident)
                    payload = bytes(data[here + 8 : kept])
                    return self._fragment(key, place & 0xFFF8, place & 1, payload, captured, time, stop > kept)
                here += 8
            elif protocol == _AUTHENTICATION:
                here += (data[here + 1] + 2) << 2
            else:
                here += (data[here + 1] + 1) << 3
            protocol = following
            if here > kept:
                self.skip(CUT_IP, captured)
                return None
        self.skip(DAMAGED, captured)
        return None

    def _fragment(
        self, key: tuple[bytes, int], offset: int, more: int, payload: bytes, captured: int, time: int, cut: bool
    ) -> tuple[int, bytes, Buffer, int, int, int, int, int, int] | None:
        if cut or not payload:
            self.skip("IP fragment cut by the capture" if cut else DAMAGED, captured)
            return None
        whole = self._fragments.add(key, offset, bool(more), payload, captured, time)
        if whole is None:
            return None
        named, ident = key
        size = len(whole.payload)
        # Extension headers inside of a fragmented IPv6 packet are too rare to be followed: they end as "not TCP".
        return named[-1], named[:-1], whole.payload, 0, size, size, ident & 0xFFFF, whole.captured, 0
