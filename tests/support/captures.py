"""TCP conversations made by hand: packets, batches, pcap files, and the layers up to the calls driven over them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from h2_bytes import T0, Script

from wirecase.model import CLIENT, SERVER, Accounting, PacketBatch
from wirecase.net import Assembler, TcpConnection
from wirecase.session.call import Call
from wirecase.session.calls import CallLog, CallTracker
from wirecase.session.decoder import ConnectionDecoder
from wirecase.session.session import Session

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
RAW_IP = 101
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
MILLISECOND = 1_000_000


class Conversation:
    """One TCP connection, packet by packet. Sides are `CLIENT` (who opens it) and `SERVER`."""

    def __init__(self, ports: tuple[int, int] = (40_000, 50_051), *, start: int = T0) -> None:
        self.packets: list[tuple[int, bytes]] = []
        """(time, IP packet)."""
        self.time = start
        self._ports = ports
        self._seq = [1000, 900_000]

    def _packet(self, side: int, flags: int, payload: bytes = b"") -> None:
        other = 1 - side
        segment = struct.pack(
            "!HHIIBBHHH", self._ports[side], self._ports[other], self._seq[side] & 0xFFFFFFFF,
            self._seq[other] & 0xFFFFFFFF if flags & ACK else 0, 5 << 4, flags, 60_000, 0, 0,
        )  # fmt: skip
        addresses = bytes((10, 0, 0, 1 + side, 10, 0, 0, 1 + other))
        whole = segment + payload
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(whole), len(self.packets) & 0xFFFF, 0, 64, 6, 0) + addresses
        self.packets.append((self.time, header + whole))
        self.time += MILLISECOND

    def open(self) -> Conversation:
        """The three packets of the handshake."""
        self._packet(CLIENT, SYN)
        self._seq[CLIENT] += 1
        self._packet(SERVER, SYN | ACK)
        self._seq[SERVER] += 1
        self._packet(CLIENT, ACK)
        return self

    def send(self, side: int, *parts: bytes, size: int = 1400) -> Conversation:
        """Payload of one side, each part in segments of its own, and the other side's ACK."""
        for part in parts:
            for at in range(0, len(part), size):
                piece = part[at : at + size]
                self._packet(side, PSH | ACK, piece)
                self._seq[side] += len(piece)
            self._packet(1 - side, ACK)
        return self

    def lose(self, side: int, count: int) -> Conversation:
        """`count` bytes that are sent and acknowledged, but not captured."""
        self._seq[side] += count
        self._packet(1 - side, ACK)
        return self

    def fin(self, *sides: int) -> Conversation:
        """FIN of the sides, each acknowledged."""
        for side in sides:
            self._packet(side, FIN | ACK)
            self._seq[side] += 1
            self._packet(1 - side, ACK)
        return self

    def reset(self, side: int) -> Conversation:
        """RST of a side."""
        self._packet(side, RST | ACK)
        return self

    def wait(self, seconds: float) -> Conversation:
        """Let time pass."""
        self.time += int(seconds * 1e9)
        return self

    def play(self, script: Script, *, preface: bool = True) -> Conversation:
        """The segments of a script, the client's preface before its first."""
        for side, payload in script.segments:
            if side == CLIENT and preface:
                payload = PREFACE + payload
                preface = False
            self.send(side, payload)
        return self


def http2(script: Script, *sides: int) -> Conversation:
    """A whole connection that plays a script; FIN of `sides` at its end (by default client, then server)."""
    return Conversation().open().play(script).fin(*(sides or (CLIENT, SERVER)))


# --- forms -----------------------------------------------------------------------------------------------------------


def merge(conversations: Iterable[Conversation]) -> list[tuple[int, bytes]]:
    """The packets of several conversations by time."""
    return sorted((packet for talk in conversations for packet in talk.packets), key=lambda packet: packet[0])


def batches(packets: Sequence[tuple[int, bytes]], size: int = 0) -> list[PacketBatch]:
    """Packets as batches of at most `size` (0: all in one)."""
    made = []
    step = size or len(packets) or 1
    for at in range(0, len(packets), step):
        some = packets[at : at + step]
        lengths = [len(packet) for _, packet in some]
        starts = [sum(lengths[:i]) for i in range(len(lengths))]
        joined = memoryview(b"".join(packet for _, packet in some))
        made.append(PacketBatch(0, RAW_IP, joined, starts, lengths, list(lengths), [time for time, _ in some], at + 1))
    return made


def pcap(packets: Sequence[tuple[int, bytes]]) -> bytes:
    """Packets as a pcap file with nanoseconds."""
    out = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, RAW_IP)]
    for time, packet in packets:
        out.append(struct.pack("<IIII", time // 10**9, time % 10**9, len(packet), len(packet)) + packet)
    return b"".join(out)


# --- the layers up to the calls --------------------------------------------------------------------------------------


@dataclass
class Decoded:
    """What came of a capture."""

    accounting: Accounting
    log: CallLog
    sessions: list[Session] = field(default_factory=list)

    @property
    def session(self) -> Session:
        """The only connection."""
        (session,) = self.sessions
        return session

    @property
    def call(self) -> Call:
        """The only call that is not plainly healthy."""
        (call,) = self.log.suspicious
        return call

    def check_books(self) -> None:
        """captured == decoded + skipped."""
        books = self.accounting
        assert books.unbalanced == []
        assert books.captured == books.decoded + sum(books.skipped.values()), books
        assert books.decoded >= 0


def decode(
    packets: Sequence[tuple[int, bytes]] | Conversation,
    *,
    size: int = 0,
    forced: bool = False,
    columns: bool | None = False,
    log: CallLog | None = None,
) -> Decoded:
    """Take packets in batches of `size` through TCP, HTTP/2 and gRPC."""
    packets = packets.packets if isinstance(packets, Conversation) else packets
    done = Decoded(Accounting(), log or CallLog())

    def follow(tcp: TcpConnection) -> ConnectionDecoder:
        session = Session(tcp)
        tracker = CallTracker(session, done.log)
        return ConnectionDecoder(
            session, tracker, done.accounting, forced=forced, on_closed=done.sessions.append, columns=columns
        )

    assembler = Assembler(follow, done.accounting, columns=columns)
    for batch in batches(packets, size):
        assembler.feed(batch)
        done.log.number()
    assembler.finish()
    done.log.number()
    done.check_books()
    return done
