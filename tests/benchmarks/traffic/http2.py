"""Both ends of one HTTP/2 connection that is written rather than recorded, with windows that are never overrun."""

from __future__ import annotations

import struct

from hpack import Encoder

from traffic.wire import CLIENT, SERVER, Conversation, PcapFile

DATA, HEADERS, SETTINGS, WINDOW_UPDATE = 0, 1, 4, 8
END_STREAM, END_HEADERS, SETTINGS_ACK = 0x1, 0x4, 0x1

WINDOW = 1 << 20
"""Initial window of streams and of the connection, announced by both sides."""
CREDIT_EVERY = 32_768
"""Bytes of DATA after which the receiver gives credit back."""

Headers = list[tuple[str, str]]


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One frame (RFC 9113 section 4.1)."""
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


def message(body: bytes) -> bytes:
    """One gRPC message, not compressed: flag, length, body."""
    return struct.pack(">BI", 0, len(body)) + body


class _Credit:
    """Bytes received on a stream or on the connection, given back one batch late.

    One batch late, because the newest bytes may still wait for their segment to fill up.
    """

    __slots__ = ("gathering", "ready")

    def __init__(self) -> None:
        self.gathering = 0
        self.ready = 0

    def take(self, size: int) -> int:
        """Count *size* bytes; returns what the receiver gives back now, mostly 0."""
        self.gathering += size
        if self.gathering < CREDIT_EVERY:
            return 0
        back, self.ready, self.gathering = self.ready, self.gathering, 0
        return back


class Http2Connection:
    """A connection with its handshake written; the methods write what a side sends."""

    def __init__(self, pcap: PcapFile, client: tuple[str, int], server: tuple[str, int]) -> None:
        self.tcp = Conversation(pcap, client, server)
        self._encoders = (Encoder(), Encoder())
        self._credit: dict[tuple[int, int], _Credit] = {}
        # ENABLE_PUSH 0 from the client alone, MAX_CONCURRENT_STREAMS 100, INITIAL_WINDOW_SIZE
        common = struct.pack(">HIHI", 3, 100, 4, WINDOW)
        grow = frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW - 65_535))
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        self.tcp.write(CLIENT, preface + frame(SETTINGS, 0, 0, b"\0\x02\0\0\0\0" + common) + grow)
        self.tcp.flush(CLIENT)
        self.tcp.write(SERVER, frame(SETTINGS, 0, 0, common) + frame(SETTINGS, SETTINGS_ACK, 0, b"") + grow)
        self.tcp.flush(SERVER)
        self.tcp.write(CLIENT, frame(SETTINGS, SETTINGS_ACK, 0, b""))
        self.tcp.flush(CLIENT)

    def headers(self, side: int, stream: int, headers: Headers, *, end: bool = False) -> None:
        """A header block in one HEADERS frame, Huffman coded, with incremental indexing."""
        block: bytes = self._encoders[side].encode(headers, huffman=True)
        self.tcp.write(side, frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block))

    def data(self, side: int, stream: int, payload: bytes, *, end: bool = False) -> None:
        """One DATA frame, and the receiver's credit when it is due."""
        self.tcp.write(side, frame(DATA, END_STREAM if end else 0, stream, payload))
        for number in (0, stream):
            if number == stream and end:
                self._credit.pop((side, number), None)
                continue
            credit = self._credit.setdefault((side, number), _Credit()).take(len(payload))
            if credit:
                self.tcp.write(1 - side, frame(WINDOW_UPDATE, 0, number, struct.pack(">I", credit)))
                self.tcp.flush(1 - side)

    def flush(self, side: int) -> None:
        """Send what *side* wrote."""
        self.tcp.flush(side)

    def close_stream(self, stream: int) -> None:
        """Forget the credit of a finished stream."""
        for side in (CLIENT, SERVER):
            self._credit.pop((side, stream), None)
