"""Puts the IP packets of a capture into things that wirecase does not unwrap by itself."""

from __future__ import annotations

from pathlib import Path
from struct import pack, unpack

from wirecase.sources import open_sources

ETHERNET = b"\x02" * 6 + b"\x04" * 6 + b"\x08\0"
RADIOTAP = bytes.fromhex("0000080000000000")
SNAP_IPV4 = bytes.fromhex("aaaa030000000800")
ADDRESSES = b"\x02" * 6 + b"\x04" * 6 + b"\x06" * 6

ESP_NULL = "esp.enable_null_encryption_decode_heuristic:TRUE"


def ip_packets(path: Path) -> list[tuple[bytes, int]]:
    """The IP packets of an Ethernet capture, with their times."""
    found: list[tuple[bytes, int]] = []
    for source in open_sources([str(path)]):
        for batch in source.batches():
            for start, caplen, time in zip(batch.starts, batch.caplens, batch.times, strict=True):
                found.append((bytes(batch.data[start + 14 : start + caplen]), time))
    return found


def pcap(path: Path, link: int, frames: list[tuple[bytes, int]]) -> Path:
    """Write a nanosecond pcap."""
    records = [pack("<IIII", time // 10**9, time % 10**9, len(data), len(data)) + data for data, time in frames]
    path.write_bytes(pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, link) + b"".join(records))
    return path


def ipv4(protocol: int, body: bytes) -> bytes:
    head = pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 7, 0, 64, protocol, 0) + bytes((192, 168, 1, 1, 192, 168, 1, 2))
    total = sum(unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + pack(">H", ~(total + (total >> 16)) & 0xFFFF) + head[12:] + body


def wifi(packet: bytes, number: int) -> bytes:
    """An open 802.11 data frame behind a radiotap header."""
    return RADIOTAP + b"\x08\x02\0\0" + ADDRESSES + pack("<H", (number & 0xFFF) << 4) + SNAP_IPV4 + packet


def aggregated(packets: list[bytes], number: int) -> bytes:
    """An 802.11 frame with several packets (A-MSDU, IEEE 802.11-2020 §9.3.2.2)."""
    body = b""
    for packet in packets:
        body += bytes(-len(body) % 4) + b"\x02" * 6 + b"\x04" * 6 + pack(">H", 8 + len(packet)) + SNAP_IPV4 + packet
    return RADIOTAP + b"\x88\x02\0\0" + ADDRESSES + pack("<H", (number & 0xFFF) << 4) + b"\x80\0" + body


def gtp(packet: bytes, _number: int) -> bytes:
    """GTP-U version 1 (3GPP TS 29.281 §5.1) in UDP."""
    tunnel = pack(">BBHI", 0x30, 0xFF, len(packet), 0x1234) + packet
    return ETHERNET + ipv4(17, pack(">HHHH", 2152, 2152, 8 + len(tunnel), 0) + tunnel)


def esp(packet: bytes, number: int) -> bytes:
    """ESP in tunnel mode with NULL encryption (RFC 2410) and 96 bits of authentication."""
    padding = -(len(packet) + 2) % 4
    trailer = bytes(range(1, padding + 1)) + bytes((padding, 4)) + b"\xaa" * 12
    return ETHERNET + ipv4(50, pack(">II", 0x100, number) + packet + trailer)
