"""A small writer of TCP conversations into a pcap file.

Only what a well-behaved loopback pair would show: handshake, segments of at most 1448 bytes with timestamps, an
acknowledgement for every second segment, FIN on both sides, correct checksums.
"""

from __future__ import annotations

import random
import socket
import struct
from pathlib import Path
from types import TracebackType

SEGMENT = 1448
"""Payload of a full segment: MTU 1500 less IPv4, TCP and the timestamp option."""

CLIENT, SERVER = 0, 1

FIN, SYN, PSH, ACK = 0x01, 0x02, 0x08, 0x10

_TCP = struct.Struct(">HHIIBBHHH")
_IP = struct.Struct(">BBHHHBBH4s4s")
_RECORD = struct.Struct("<IIII")
_ETHERNET = (bytes.fromhex("02000000000102000000000208 00"), bytes.fromhex("02000000000202000000000108 00"))
"""Ethernet headers of packets from the client and from the server."""


class PcapFile:
    """A classic pcap file with nanosecond times and Ethernet packets, and the clock of the traffic in it."""

    def __init__(self, path: Path, seed: int) -> None:
        self._file = path.open("wb", buffering=1 << 20)
        self._file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))
        self.random = random.Random(seed)
        self.now = 1_700_000_000_000_000_000
        """Nanoseconds since 1970."""
        self.packets = 0

    def write(self, packet: bytes) -> None:
        """Append *packet*, 2 to 30 microseconds after the one before."""
        self.now += self.random.randrange(2_000, 30_000)
        seconds, nanoseconds = divmod(self.now, 1_000_000_000)
        self._file.write(_RECORD.pack(seconds, nanoseconds, len(packet), len(packet)) + packet)
        self.packets += 1

    def __enter__(self) -> PcapFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()


def _sum16(data: bytes) -> int:
    """The ones' complement sum of 16-bit words (RFC 1071): the number modulo 0xFFFF is the same thing."""
    if len(data) % 2:
        data += b"\0"
    return int.from_bytes(data, "big") % 0xFFFF


class Conversation:
    """One TCP connection in a PcapFile; sides are CLIENT and SERVER.

    Bytes written to a side leave as full segments as soon as there are enough, so that frames cross the boundaries;
    ``flush`` sends the rest.
    """

    def __init__(self, pcap: PcapFile, client: tuple[str, int], server: tuple[str, int]) -> None:
        self._pcap = pcap
        self._address = (socket.inet_aton(client[0]), socket.inet_aton(server[0]))
        self._port = (client[1], server[1])
        self._next = [pcap.random.getrandbits(32), pcap.random.getrandbits(32)]
        self._identification = [pcap.random.getrandbits(16), pcap.random.getrandbits(16)]
        self._waiting = (bytearray(), bytearray())
        self._unacknowledged = [0, 0]
        """Segments of this side that the other one has not acknowledged yet."""
        self._emit(CLIENT, SYN)
        self._emit(SERVER, SYN | ACK)
        self._emit(CLIENT, ACK)

    def write(self, side: int, data: bytes) -> None:
        """Let *side* write *data*; full segments leave at once."""
        waiting = self._waiting[side]
        waiting += data
        if len(waiting) >= SEGMENT:
            full = len(waiting) // SEGMENT * SEGMENT
            for start in range(0, full, SEGMENT):
                self._segment(side, bytes(waiting[start : start + SEGMENT]))
            del waiting[:full]

    def flush(self, side: int) -> None:
        """Send what *side* has written and not yet sent."""
        waiting = self._waiting[side]
        if waiting:
            self._segment(side, bytes(waiting))
            waiting.clear()

    def close(self) -> None:
        """Flush both sides and end the connection, the client first."""
        self.flush(CLIENT)
        self.flush(SERVER)
        self._emit(CLIENT, FIN | ACK)
        self._emit(SERVER, FIN | ACK)
        self._emit(CLIENT, ACK)

    def _segment(self, side: int, payload: bytes) -> None:
        other = 1 - side
        self._unacknowledged[other] = 0  # this segment acknowledges what the other side sent
        self._emit(side, ACK | PSH if len(payload) < SEGMENT else ACK, payload)
        self._unacknowledged[side] += 1
        if self._unacknowledged[side] == 2:
            self._unacknowledged[side] = 0
            self._emit(other, ACK)

    def _emit(self, side: int, flags: int, payload: bytes = b"") -> None:
        other = 1 - side
        milliseconds = self._pcap.now // 1_000_000 & 0xFFFFFFFF
        if flags & SYN:
            options = struct.pack(">BBHBBBBIIBBB", 2, 4, 1460, 4, 2, 8, 10, milliseconds, 0, 1, 3, 3) + b"\x07"
        else:
            options = struct.pack(">BBBBII", 1, 1, 8, 10, milliseconds, milliseconds)
        source, target = self._address[side], self._address[other]
        acknowledged = self._next[other] if flags & ACK else 0
        ports = (self._port[side], self._port[other])
        header = (*ports, self._next[side], acknowledged, (20 + len(options)) * 4, flags, 512)
        size = 20 + len(options) + len(payload)
        pseudo = source + target + struct.pack(">HH", 6, size)
        checksum = 0xFFFF - _sum16(pseudo + _TCP.pack(*header, 0, 0) + options + payload)
        self._identification[side] = self._identification[side] + 1 & 0xFFFF
        fields = (0x45, 0, 20 + size, self._identification[side], 0x4000, 64, 6)
        ip_checksum = 0xFFFF - _sum16(_IP.pack(*fields, 0, source, target))
        packet = _ETHERNET[side] + _IP.pack(*fields, ip_checksum, source, target)
        self._pcap.write(packet + _TCP.pack(*header, checksum, 0) + options + payload)
        self._next[side] = self._next[side] + len(payload) + (1 if flags & (SYN | FIN) else 0) & 0xFFFFFFFF
