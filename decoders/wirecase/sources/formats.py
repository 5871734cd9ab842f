"""What an input is, told by its first bytes and never by its name."""

from __future__ import annotations

from codecs import getincrementaldecoder

from wirecase.sources.pcap import MAGICS
from wirecase.sources.pcapng_blocks import SHB_BYTES

HEAD = 512
"""Bytes that are enough to name what an input is."""
EXPORTED_PDU = 252
"""Link type of PDUs that Wireshark exported (LINKTYPE_WIRESHARK_UPPER_PDU)."""
GZIP = b"\x1f\x8b\x08"
ZSTD = b"\x28\xb5\x2f\xfd"
ZSTD_SKIPPABLE = b"\x2a\x4d\x18"
"""Bytes 1 to 3 of a skippable zstd frame (RFC 8878 §3.1.2); the first is 0x50 to 0x5f. pzstd begins with one."""

CAPTURES: tuple[tuple[bytes, str], ...] = (
    (b"snoop\x00\x00\x00", "a snoop capture"),
    (b"btsnoop\x00", "a Bluetooth snoop capture"),
    (b"RTSS", "a Microsoft Network Monitor 1 capture"),
    (b"GMBU", "a Microsoft Network Monitor 2 capture"),
    (b"TRSNIFF data", "a Sniffer capture"),
    (b"XCP\x00", "a NetXray capture"),
    (b"\x7fver", "an OmniPeek capture"),
    (b"\xaa\xaa\xaa\xaa", "an InfoVista 5View capture"),
    (b"ObserverPktBuffe", "a Viavi Observer capture"),
    (b"iptrace 1.0", "an AIX iptrace capture"),
    (b"iptrace 2.0", "an AIX iptrace capture"),
    (b"EyeSDN", "an EyeSDN capture"),
)
"""Capture formats that editcap can turn into pcapng."""

PACKED: tuple[tuple[bytes, str, str], ...] = (
    (b"\xfd7zXZ\x00", "xz", "xz -dc"),
    (b"BZh", "bzip2", "bzip2 -dc"),
    (b"\x04\x22\x4d\x18", "lz4", "lz4 -dc"),
    (b"\x1f\x9d", "compress", "uncompress -c"),
    (b"PK\x03\x04", "zip", "unzip -p"),
    (b"7z\xbc\xaf\x27\x1c", "7z", "7z x -so"),
)
"""Compressed inputs that are not opened here: magic, name, command that unpacks to standard output."""

KEY_LOG = (b"CLIENT_RANDOM ", b"CLIENT_HANDSHAKE_", b"SERVER_HANDSHAKE_", b"CLIENT_TRAFFIC_", b"SERVER_TRAFFIC_")


def compression(head: bytes) -> str:
    """Return ``gzip``, ``zstd`` or an empty string."""
    if head.startswith(GZIP):
        return "gzip"
    if head.startswith(ZSTD) or (head[1:4] == ZSTD_SKIPPABLE and 0x50 <= head[0] <= 0x5F):
        return "zstd"
    return ""


def capture_format(head: bytes) -> str:
    """Return ``pcap``, ``pcapng`` or an empty string."""
    if head[:4] in MAGICS:
        return "pcap"
    return "pcapng" if head[:4] == SHB_BYTES else ""


def convertible(head: bytes) -> bool:
    """Tell whether an input is a capture of another format, which Wireshark's tools read."""
    return _erf(head) or any(head.startswith(magic) for magic, _ in CAPTURES)


def foreign(head: bytes) -> str:
    """Say what an input is that is neither, and what to do, as the end of a message."""
    if not head:
        return "not a capture: it is empty"
    for magic, name in CAPTURES:
        if head.startswith(magic):
            return f"this is {name}; convert it with: editcap -F pcapng IN OUT"
    if _erf(head):
        return "this looks like an Endace ERF capture; convert it with: editcap -F pcapng IN OUT"
    for magic, name, command in PACKED:
        if head.startswith(magic):
            return f"this is packed with {name}; unpack it first: {command} FILE | wirecase diagnose -"
    if any(line.startswith(KEY_LOG) for line in head.splitlines()):
        return "not a capture: this is a TLS key log; give it with --keylog"
    reads = "wirecase reads pcap and pcapng, plain, gzip or zstd (and more: wirecase guide evidence)"
    return f"not a capture: {_kind(head)}; {reads}"


def _kind(head: bytes) -> str:
    if not head.strip(b"\0"):
        return "it begins with zeros"
    if head.startswith(b"\x7fELF"):
        return "it is an ELF program"
    if head[257:262] == b"ustar":
        return "it is a tar archive"
    try:
        # Incremental: the last character may be cut.
        text = getincrementaldecoder("utf-8")().decode(head)
        plain = not any(c < " " and c not in "\t\n\r\f\x1b" for c in text)
    except UnicodeDecodeError:
        plain = False
    return "it is a text file" if plain else f"it begins with the bytes {head[:8].hex(' ')}"


def _erf(head: bytes) -> bool:
    """Tell if two ERF records follow each other: 8 bytes time, type, flags, length of the record (big endian)."""
    at = 0
    for _ in range(2):
        if at + 16 > len(head) or not 1 <= head[at + 8] & 0x7F <= 48:
            return False
        length = int.from_bytes(head[at + 10 : at + 12], "big")
        if length < 16 or not any(head[at + 4 : at + 8]):
            return False
        at += length
    return True
