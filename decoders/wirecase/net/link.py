"""Link layers: where in a frame the IP packet begins.

Numbers are those of https://www.tcpdump.org/linktypes.html. `network_layer` walks one frame's link header, including
any stack of VLAN tags, and never reads past the captured bytes.
"""

from __future__ import annotations

ETHERNET = 1
NULL = 0
LOOP = 108
PPP = 9
PPP_HDLC = 50
RAW = frozenset((12, 14, 101))
"""Raw IP: LINKTYPE_RAW and the DLT values that some platforms wrote to files."""
IPV4_ONLY = 228
IPV6_ONLY = 229
LINUX_SLL = 113
LINUX_SLL2 = 276
SUPPORTED = RAW | {ETHERNET, NULL, LOOP, PPP, PPP_HDLC, IPV4_ONLY, IPV6_ONLY, LINUX_SLL, LINUX_SLL2}

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_IPV6 = 0x86DD
ETHERTYPE_TEB = 0x6558
"""Transparent Ethernet bridging: an Ethernet frame inside GRE."""
ETHERTYPES_VLAN = frozenset((0x8100, 0x88A8, 0x9100))

_AF_INET = 2
_AF_INET6 = frozenset((10, 24, 28, 30))
"""The value of AF_INET6 on Linux, NetBSD and OpenBSD, FreeBSD, and macOS."""
_PPP_IPV4 = 0x0021
_PPP_IPV6 = 0x0057
_MAX_VLAN_TAGS = 8

NOT_IP = 0
"""Ethertype answered for a frame that carries something else than IP, or too little to tell."""


def network_layer(link: int, data: memoryview | bytes, start: int, end: int) -> tuple[int, int]:
    """Return the ethertype of the network layer (`NOT_IP` for none) and where it begins.

    `data[start:end]` is the captured part of one frame of a `SUPPORTED` link type.
    """
    if link == ETHERNET:
        if end - start < 14:
            return NOT_IP, end
        return ethertype(data, start + 12, end)
    if link in RAW or link in (IPV4_ONLY, IPV6_ONLY):
        return by_version(data, start, end)
    if link == LINUX_SLL:
        return ethertype(data, start + 14, end)
    if link == LINUX_SLL2:
        if end - start < 20:
            return NOT_IP, end
        kind, at = ethertype(data, start, end)
        # The protocol stands first in this header; a tag, if any, follows the whole header.
        if data[start] << 8 | data[start + 1] in ETHERTYPES_VLAN:
            return ethertype(data, start + 22, end)
        return kind, at + 18
    if link in (NULL, LOOP):
        return _loopback(data, start, end)
    return ppp(data, start, end)


def ethertype(data: memoryview | bytes, at: int, end: int) -> tuple[int, int]:
    """Return the ethertype at `at` and where its payload is, past any VLAN tags (802.1Q, 802.1ad, 0x9100)."""
    for _ in range(_MAX_VLAN_TAGS):
        if at + 2 > end:
            return NOT_IP, end
        kind = data[at] << 8 | data[at + 1]
        if kind not in ETHERTYPES_VLAN:
            return kind, at + 2
        at += 4
    return NOT_IP, end


def by_version(data: memoryview | bytes, at: int, end: int) -> tuple[int, int]:
    """Return the ethertype of an IP packet by its first bits, and where it begins."""
    if at < end:
        version = data[at] >> 4
        if version == 4:
            return ETHERTYPE_IPV4, at
        if version == 6:
            return ETHERTYPE_IPV6, at
    return NOT_IP, end


def _loopback(data: memoryview | bytes, start: int, end: int) -> tuple[int, int]:
    """BSD loopback: a 32-bit address family, in the order of the capturing host (NULL) or of the network (LOOP)."""
    if end - start < 4:
        return NOT_IP, end
    little = int.from_bytes(data[start : start + 4], "little")
    family = little if little < 0x10000 else int.from_bytes(data[start : start + 4], "big")
    if family == _AF_INET:
        return ETHERTYPE_IPV4, start + 4
    if family in _AF_INET6:
        return ETHERTYPE_IPV6, start + 4
    return NOT_IP, end


def ppp(data: memoryview | bytes, at: int, end: int) -> tuple[int, int]:
    """PPP (RFC 1661 §2), with or without HDLC address and control; the protocol may be compressed (§6.5)."""
    if at + 2 <= end and data[at] == 0xFF and data[at + 1] == 0x03:
        at += 2
    if at >= end:
        return NOT_IP, end
    if data[at] & 1:
        protocol, at = data[at], at + 1
    elif at + 2 <= end:
        protocol, at = data[at] << 8 | data[at + 1], at + 2
    else:
        return NOT_IP, end
    if protocol == _PPP_IPV4:
        return ETHERTYPE_IPV4, at
    if protocol == _PPP_IPV6:
        return ETHERTYPE_IPV6, at
    return NOT_IP, end
