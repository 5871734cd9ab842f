"""Small captures made by hand: TCP connections as raw IPv4 packets, sent through the real pipeline."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from h2_bytes import END_STREAM, REQUEST, RESPONSE, TRAILERS, Fields, Peer, data, message, settings, settings_ack

from wirecase.model import CLIENT, SERVER, Diagnosis, Finding, PacketBatch
from wirecase.pipeline import Options, Pipeline

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
RAW_IP = 101
MS = 1_000_000
START = 1_700_000_000_000_000_000


class Capture:
    """Packets in capture order; the clock goes on by a millisecond for each."""

    def __init__(self) -> None:
        self.packets: list[tuple[int, bytes]] = []
        self.now = START
        self.snaplen = 1 << 18

    def add(self, packet: bytes) -> None:
        self.now += MS
        self.packets.append((self.now, packet))

    def ident(self) -> int:
        """The next IP identification: two packets are never copies of each other by accident."""
        return len(self.packets) & 0xFFFF

    def wait(self, seconds: float) -> Capture:
        self.now += int(seconds * 1e9)
        return self

    def connect(self, client: str = "10.0.0.1:40000", server: str = "10.0.0.2:50051", **how: Any) -> Connection:
        return Connection(self, client, server, **how)

    def diagnose(self, options: Options | None = None) -> Diagnosis:
        pipeline = Pipeline(options or Options([]))
        if self.packets:
            pipeline.feed(self.batch())
        return pipeline.finish([], [], interrupted=False)

    def batch(self) -> PacketBatch:
        """All packets."""
        sizes = [min(len(packet), self.snaplen) for _, packet in self.packets]
        blob = b"".join(packet[: self.snaplen] for _, packet in self.packets)
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        times = [time for time, _ in self.packets]
        return PacketBatch(
            0, RAW_IP, memoryview(blob), starts, sizes, [len(packet) for _, packet in self.packets], times, 1
        )


class Connection:
    """One TCP connection. `syn` False begins in the middle; `server_seen` False leaves the server's packets out."""

    def __init__(
        self,
        capture: Capture,
        client: str,
        server: str,
        *,
        syn: bool = True,
        established: bool = True,
        seen: Sequence[int] = (0, 1),
    ) -> None:
        self.capture = capture
        self.ends = [self._end(client), self._end(server)]
        self.seq = [1000, 5000]
        self.seen = seen
        self.peers = (Peer(), Peer())
        if syn and established:
            self.packet(CLIENT, SYN)
            self.packet(SERVER, SYN | ACK)
            self.packet(CLIENT, ACK)

    @staticmethod
    def _end(text: str) -> tuple[bytes, int]:
        host, _, port = text.rpartition(":")
        return bytes(int(part) for part in host.split(".")), int(port)

    def packet(
        self, side: int, flags: int, payload: bytes = b"", *, seq: int | None = None, window: int = 65535
    ) -> None:
        """One packet; SYN and FIN take a sequence number as they should."""
        (source, sport), (target, dport) = self.ends[side], self.ends[1 - side]
        at = self.seq[side] if seq is None else seq
        tcp = struct.pack(">HHIIBBHHH", sport, dport, at, self.seq[1 - side], 5 << 4, flags, window, 0, 0) + payload
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), self.capture.ident(), 0, 64, 6, 0) + source + target
        if seq is None:
            self.seq[side] += len(payload) + bool(flags & SYN) + bool(flags & FIN)
        if side in self.seen:
            self.capture.add(ip + tcp)
        else:
            self.capture.now += MS

    def send(self, side: int, *parts: bytes, acked: bool = True) -> Connection:
        payload = b"".join(parts)
        for at in range(0, len(payload), 16000):
            self.packet(side, PSH | ACK, payload[at : at + 16000])
        if acked:
            self.packet(1 - side, ACK)
        return self

    def client(self, *parts: bytes, acked: bool = True) -> Connection:
        return self.send(CLIENT, *parts, acked=acked)

    def server(self, *parts: bytes, acked: bool = True) -> Connection:
        return self.send(SERVER, *parts, acked=acked)

    def wait(self, seconds: float) -> Connection:
        self.capture.wait(seconds)
        return self

    def fin(self, side: int) -> Connection:
        self.packet(side, FIN | ACK)
        self.packet(1 - side, ACK)
        return self

    def rst(self, side: int) -> Connection:
        self.packet(side, RST | ACK)
        return self

    def close(self) -> Connection:
        return self.fin(CLIENT).fin(SERVER)

    # ---- HTTP/2 ------------------------------------------------------------------------------------------------

    def hello(self, client: Sequence[tuple[int, int]] = (), server: Sequence[tuple[int, int]] = ()) -> Connection:
        self.client(PREFACE, settings(*client))
        self.server(settings(*server), settings_ack())
        return self.client(settings_ack())

    def request(
        self, stream: int = 1, *, extra: Fields = (), end: bool = True, body: bytes | None = None
    ) -> Connection:
        payload = message(b"ask") if body is None else body
        head = self.peers[CLIENT].headers(stream, (*REQUEST, *extra))
        return self.client(head, data(stream, payload, END_STREAM if end else 0))

    def headers(self, stream: int = 1, fields: Fields = RESPONSE, flags: int = 0) -> Connection:
        return self.server(self.peers[SERVER].headers(stream, fields, flags))

    def trailers(self, stream: int = 1, fields: Fields = TRAILERS) -> Connection:
        return self.headers(stream, fields, END_STREAM)

    def answer(self, stream: int = 1, *bodies: bytes) -> Connection:
        self.headers(stream)
        self.server(*(data(stream, message(body)) for body in bodies or (b"told",)))
        return self.trailers(stream)

    def call(self, stream: int = 1) -> Connection:
        return self.request(stream).answer(stream)


def findings(capture: Capture | Connection, rule: str) -> list[Finding]:
    """Diagnose and return the findings of one rule; a rule that crashed fails the test."""
    diagnosis = (capture.capture if isinstance(capture, Connection) else capture).diagnose()
    defects = [f.explanation for f in diagnosis.findings if "defect" in f.details]
    assert not defects, defects
    return [finding for finding in diagnosis.findings if finding.rule == rule]


def rules(capture: Capture | Connection) -> set[str]:
    """The ids of all rules that fired with severity error or warning."""
    diagnosis = (capture.capture if isinstance(capture, Connection) else capture).diagnose()
    return {finding.rule for finding in diagnosis.findings if finding.severity != "info"}
