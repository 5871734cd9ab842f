"""TCP over IPv4 or IPv6 as bytes (RFC 791, RFC 8200, RFC 9293), with the checksums that belong to them."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import NamedTuple

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
MARKER = 253
"""IP protocol for experiments (RFC 3692): a packet that only says how far the recording went."""
_TCP = 6
_HOPS = 64


class Endpoint(NamedTuple):
    """One end of a connection."""

    host: bytes
    """4 bytes for IPv4, 16 for IPv6."""
    port: int


def endpoint(address: str) -> Endpoint:
    """Read ``addr:port``, IPv6 in brackets."""
    host, _, port = address.rpartition(":")
    return Endpoint(ip_address(host.strip("[]")).packed, int(port))


def address_of(end: Endpoint) -> str:
    """Return ``addr:port``, IPv6 in brackets."""
    host = ip_address(end.host)
    return f"{host}:{end.port}" if host.version == 4 else f"[{host.compressed}]:{end.port}"


def tcp(
    source: Endpoint,
    target: Endpoint,
    seq: int,
    ack: int,
    flags: int,
    window: int,
    payload: bytes,
    *,
    ident: int,
    options: bytes = b"",
) -> bytes:
    """Return one IP packet with a TCP segment; `options` are whole 32-bit words."""
    size = 20 + len(options) + len(payload)
    head = struct.pack(
        ">HHIIBBHHH", source.port, target.port, seq, ack, (20 + len(options)) // 4 << 4, flags, window, 0, 0
    )
    pseudo = source.host + target.host + struct.pack(">II", size, _TCP)
    total = _sum(pseudo) + _sum(head + options) + _sum(payload)
    head = head[:16] + _checksum(total).to_bytes(2, "big") + head[18:]
    return ip(source.host, target.host, _TCP, head + options + payload, ident=ident)


def ip(source: bytes, target: bytes, protocol: int, body: bytes, *, ident: int) -> bytes:
    """Return one IP packet around `body`."""
    if len(source) == 16:
        return struct.pack(">IHBB", 6 << 28, len(body), protocol, _HOPS) + source + target + body
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), ident & 0xFFFF, 0x4000, _HOPS, protocol, 0)
    check = _checksum(_sum(head + source + target))
    return head[:10] + check.to_bytes(2, "big") + source + target + body


def _sum(data: bytes) -> int:
    """Return the ones' complement sum of the 16-bit words (RFC 1071): what is left of the number modulo 65535."""
    if len(data) & 1:
        return (int.from_bytes(data, "big") << 8) % 0xFFFF
    return int.from_bytes(data, "big") % 0xFFFF


def _checksum(total: int) -> int:
    rest = total % 0xFFFF
    return 0xFFFF - rest if rest else 0
