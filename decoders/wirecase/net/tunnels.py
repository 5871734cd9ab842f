"""Tunnels: what lies under an ethertype that is no IP, or behind an IP header whose protocol is no TCP.

Each function answers the ethertype of what is carried and where it begins, or `links.NOT_IP`; none reads past `end`.
Unwrapped are GRE with Ethernet, IP, MPLS, NVGRE (RFC 7637) and ERSPAN I to III in it, IP in IP, VXLAN, VXLAN-GPE and
Geneve, MPLS (over links, GRE, IP and UDP; IP or an Ethernet pseudowire under it), and PPPoE sessions. `ip.IpDecoder`
nests them and bounds how deep.
"""

from __future__ import annotations

from collections.abc import Callable

from wirecase.net import link as links

Buffer = memoryview | bytes
Carried = tuple[int, int]
"""Ethertype and place of what a tunnel carries."""

ETHERTYPE_MPLS = 0x8847
ETHERTYPE_MPLS_UPSTREAM = 0x8848
ETHERTYPE_PPPOE = 0x8864
"""PPPoE session stage; the discovery stage carries no packets."""
ERSPAN_1_2 = 0x88BE
ERSPAN_3 = 0x22EB

UDP = 17
GRE = 47
IPV4_IN_IP = 4
IPV6_IN_IP = 41
MPLS_IN_IP = 137

VXLAN = 4789
VXLAN_LINUX = 8472
"""What Linux used before IANA gave a number, and flannel and others still do."""
VXLAN_GPE = 4790
GENEVE = 6081
MPLS_IN_UDP = 6635

_MAX_LABELS = 16
_GPE_NEXT = {1: links.ETHERTYPE_IPV4, 2: links.ETHERTYPE_IPV6, 3: links.ETHERTYPE_TEB, 5: ETHERTYPE_MPLS}
"""Next protocol of VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe §3.2)."""
_ERSPAN_ETHERNET, _ERSPAN_IP = 0, 2


def below(kind: int, data: Buffer, at: int, end: int) -> Carried:
    """Return what lies under an ethertype other than IP."""
    if kind in (ETHERTYPE_MPLS, ETHERTYPE_MPLS_UPSTREAM):
        return _mpls(data, at, end)
    if kind == ETHERTYPE_PPPOE:
        return _pppoe(data, at, end)
    return links.NOT_IP, end


def behind(protocol: int, data: Buffer, at: int, end: int) -> Carried:
    """Return what an IP packet of `protocol` carries, if that is a tunnel."""
    if protocol == UDP:
        return _udp(data, at, end)
    if protocol == GRE:
        return _gre(data, at, end)
    if protocol == IPV4_IN_IP:  # RFC 2003, and RFC 2473 in IPv6
        return links.ETHERTYPE_IPV4, at
    if protocol == IPV6_IN_IP:  # RFC 4213, RFC 2473
        return links.ETHERTYPE_IPV6, at
    if protocol == MPLS_IN_IP:  # RFC 4023
        return _mpls(data, at, end)
    return links.NOT_IP, end


def _typed(kind: int, data: Buffer, at: int, end: int) -> Carried:
    """Return what a tunnel's header announces by an ethertype: an Ethernet frame is stepped into."""
    if kind == links.ETHERTYPE_TEB:
        return links.network_layer(links.ETHERNET, data, at, end)
    return (kind, at) if at <= end else (links.NOT_IP, end)


# ---- over UDP ------------------------------------------------------------------------------------------------------


def _udp(data: Buffer, at: int, end: int) -> Carried:
    if end - at < 16:
        return links.NOT_IP, end
    read = _OVER_UDP.get(data[at + 2] << 8 | data[at + 3])
    return read(data, at + 8, end) if read is not None else (links.NOT_IP, end)


def _vxlan(data: Buffer, at: int, end: int) -> Carried:
    """VXLAN (RFC 7348 §5): 8 bytes with the I flag, an Ethernet frame."""
    if not data[at] & 0x08:
        return links.NOT_IP, end
    return links.network_layer(links.ETHERNET, data, at + 8, end)


def _vxlan_linux(data: Buffer, at: int, end: int) -> Carried:
    """VXLAN on a port that others use too: every reserved bit must be 0."""
    if data[at] != 0x08 or data[at + 1] or data[at + 2] or data[at + 3] or data[at + 7]:
        return links.NOT_IP, end
    return links.network_layer(links.ETHERNET, data, at + 8, end)


def _vxlan_gpe(data: Buffer, at: int, end: int) -> Carried:
    """VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe §3): with the P flag, the fourth byte names what is carried."""
    flags = data[at]
    if flags & 0x30 or flags & 0x01:  # another version, or the network's own packets (OAM)
        return links.NOT_IP, end
    if not flags & 0x04:
        return _vxlan(data, at, end)
    kind = _GPE_NEXT.get(data[at + 3])
    return _typed(kind, data, at + 8, end) if kind is not None else (links.NOT_IP, end)


def _geneve(data: Buffer, at: int, end: int) -> Carried:
    """Geneve (RFC 8926 §3.4): version 0, the options' length in words of 4 bytes, an ethertype."""
    if data[at] >> 6 or data[at + 1] & 0x80:  # another version, or a control packet
        return links.NOT_IP, end
    return _typed(data[at + 2] << 8 | data[at + 3], data, at + 8 + ((data[at] & 0x3F) << 2), end)


def _mpls(data: Buffer, at: int, end: int) -> Carried:
    """MPLS (RFC 3032 §2.1): labels up to the bottom of the stack. Nothing says what follows: its first bits tell.

    4 and 6 are IP (RFC 4928 §3), 0 a control word (RFC 4385 §3) before an Ethernet frame. An Ethernet frame without
    one (RFC 4448 §4.6) may begin with anything, and is believed if IP stands in it where it should.
    """
    for _ in range(_MAX_LABELS):
        if at + 4 > end:
            return links.NOT_IP, end
        bottom = data[at + 2] & 1
        at += 4
        if bottom:
            break
    else:
        return links.NOT_IP, end
    if _is_ip(links.ETHERTYPE_IPV4, data, at, end):
        return links.ETHERTYPE_IPV4, at
    if at < end and data[at] >> 4 == 0:
        found = _pseudowire(data, at + 4, end)
        if found[0] != links.NOT_IP:
            return found
    found = _pseudowire(data, at, end)
    if found[0] == links.NOT_IP and _is_ip(links.ETHERTYPE_IPV6, data, at, end):
        return links.ETHERTYPE_IPV6, at
    return found


def _pseudowire(data: Buffer, at: int, end: int) -> Carried:
    """Return what an Ethernet frame at `at` carries, if it is one by all that can be seen."""
    if end - at < 14:
        return links.NOT_IP, end
    kind, place = links.ethertype(data, at + 12, end)
    if _is_ip(kind, data, place, end) or kind in (ETHERTYPE_MPLS, ETHERTYPE_PPPOE):
        return kind, place
    return links.NOT_IP, end


def _is_ip(kind: int, data: Buffer, at: int, end: int) -> bool:
    """Tell whether an IP header of `kind` can stand here."""
    if kind == links.ETHERTYPE_IPV4:
        return end - at >= 20 and data[at] >> 4 == 4 and data[at] & 0x0F >= 5 and bool(data[at + 8])
    return kind == links.ETHERTYPE_IPV6 and end - at >= 40 and data[at] >> 4 == 6


_OVER_UDP: dict[int, Callable[[Buffer, int, int], Carried]] = {
    VXLAN: _vxlan,
    VXLAN_LINUX: _vxlan_linux,
    VXLAN_GPE: _vxlan_gpe,
    GENEVE: _geneve,
    MPLS_IN_UDP: _mpls,
}
"""By destination port; each is given the place behind the UDP header, with at least 8 bytes there."""


# ---- over GRE ------------------------------------------------------------------------------------------------------


def _gre(data: Buffer, at: int, end: int) -> Carried:
    """GRE (RFC 2784, RFC 2890): checksum, key and sequence number; source routes (RFC 1701) are not followed."""
    if end - at < 4 or data[at + 1] & 0x07 or data[at] & 0x40:
        return links.NOT_IP, end
    flags = data[at]
    kind = data[at + 2] << 8 | data[at + 3]
    here = at + 4 + 4 * bool(flags & 0x80) + 4 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
    if kind in (ERSPAN_1_2, ERSPAN_3):
        return _erspan(kind, data, here, end, numbered=bool(flags & 0x10))
    return _typed(kind, data, here, end)


def _erspan(kind: int, data: Buffer, at: int, end: int, *, numbered: bool) -> Carried:
    """A mirror port's copies (draft-foschiano-erspan §4): I has no header, II 8 bytes, III 12 and perhaps 8 more."""
    if kind == ERSPAN_1_2:
        if not numbered:  # type I has no sequence number, which is how the two are told apart
            return _typed(links.ETHERTYPE_TEB, data, at, end)
        return _typed(links.ETHERTYPE_TEB, data, at + 8, end) if _version(data, at, end) == 1 else (links.NOT_IP, end)
    if end - at < 12 or _version(data, at, end) != 2:
        return links.NOT_IP, end
    word = data[at + 10] << 8 | data[at + 11]
    behind_header = at + 12 + 8 * (word & 1)
    frame = word >> 10 & 0x1F
    if frame == _ERSPAN_ETHERNET:
        return _typed(links.ETHERTYPE_TEB, data, behind_header, end)
    return links.by_version(data, behind_header, end) if frame == _ERSPAN_IP else (links.NOT_IP, end)


def _version(data: Buffer, at: int, end: int) -> int:
    return data[at] >> 4 if at < end else -1


# ---- under Ethernet ------------------------------------------------------------------------------------------------


def _pppoe(data: Buffer, at: int, end: int) -> Carried:
    """PPPoE (RFC 2516 §4): version and type 1, code 0 for a session's packets, then PPP from its protocol on."""
    if end - at < 6 or data[at] != 0x11 or data[at + 1]:
        return links.NOT_IP, end
    return links.ppp(data, at + 6, end)
