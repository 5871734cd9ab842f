"""What a live server sends, as far as its caller must know while it goes on (RFC 9113).

A tolerant walk over frame headers: which streams have ended, how many messages have come, what the peer's settings and
windows are. It never raises and never refuses; whether the bytes are right is judged afterwards, by the rules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from wirecase.http2.facts import (
    ACK,
    CONTINUATION,
    DATA,
    END_STREAM,
    GOAWAY,
    HEADER_TABLE_SIZE,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    MAX_WINDOW,
    PADDED,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    header_bytes,
)
from wirecase.replay.plan import MessageCount

_LONGEST_KEPT = 64 * 1024
"""Bytes of a control frame's payload that are looked at."""


@dataclass(slots=True)
class LiveStream:
    """One stream of the live connection."""

    window: int
    """Bytes that may be sent on it."""
    headers: int = 0
    """Header blocks of the server."""
    data: int = 0
    """DATA bytes of the server."""
    count: MessageCount = field(default_factory=MessageCount)
    ended: bool = False
    """The server has ended or reset it, or will not answer it."""
    owed: int = 0
    """DATA bytes for which no credit was given yet."""


class Scanner:
    """Fed with the server's bytes; `send` takes what has to be answered at once."""

    def __init__(self, send: Callable[[bytes], None], *, acknowledge: bool = True, credit: bool = True) -> None:
        self._send = send
        self._acknowledge = acknowledge
        """SETTINGS and PING are answered."""
        self._credit = credit
        """DATA is given credit for."""
        self.streams: dict[int, LiveStream] = {}
        self.window = 65_535
        """Bytes that may be sent on the connection."""
        self.initial_window = 65_535
        self.max_frame = 16_384
        self.max_streams: int | None = None
        self.table_size: int | None = None
        """The peer's HEADER_TABLE_SIZE, once it was told."""
        self.settings_seen = False
        self.last_stream: int | None = None
        """Of the GOAWAY with the lowest one."""
        self.own_window = 65_535
        """INITIAL_WINDOW_SIZE that our side has announced."""
        self.http1_head = False
        """An HTTP/1.1 response (101) comes before the first frame."""
        self.is_http2 = True
        self._owed = 0
        self._head = b""
        self._left = 0
        """Payload bytes of the frame that are still to come."""
        self._frame = (0, 0, 0, 0)
        """length, kind, flags, stream of that frame."""
        self._payload = bytearray()
        self._pad: int | None = 0
        self._trimmed = 0
        """Payload bytes of a DATA frame that came so far."""

    def open(self, stream: int) -> LiveStream:
        """Return the stream, a new one if it was not opened before."""
        found = self.streams.get(stream)
        if found is None:
            found = self.streams[stream] = LiveStream(self.initial_window)
        return found

    def feed(self, data: bytes) -> None:
        """Take bytes of the server."""
        at, end = 0, len(data)
        if self.http1_head:
            data = self._head + data
            stop = data.find(b"\r\n\r\n")
            if stop < 0:
                self._head = data[-65_536:]
                return
            self._head, self.http1_head = b"", False
            at, end = stop + 4, len(data)
        while at < end and self.is_http2:
            if self._left:
                step = min(self._left, end - at)
                self._body(data[at : at + step])
                at += step
                self._left -= step
                if not self._left:
                    self._done()
                continue
            step = min(9 - len(self._head), end - at)
            self._head += data[at : at + step]
            at += step
            if len(self._head) == 9:
                self._begin(self._head)
                self._head = b""

    def _begin(self, head: bytes) -> None:
        if not self.settings_seen and head[:5] in (b"HTTP/", b"<html", b"<!DOC"):
            self.is_http2 = False
            return
        length = int.from_bytes(head[:3], "big")
        self._frame = (length, head[3], head[4], int.from_bytes(head[5:], "big") & MAX_WINDOW)
        self._payload.clear()
        self._pad = None if head[3] == DATA and head[4] & PADDED else 0
        self._trimmed = 0
        self._left = length
        if not length:
            self._done()

    def _body(self, part: bytes) -> None:
        length, kind, _, number = self._frame
        if kind != DATA:
            room = _LONGEST_KEPT - len(self._payload)
            self._payload += part[: max(room, 0)]
            return
        stream = self.streams.get(number)
        if self._pad is None:
            self._pad, part = part[0], part[1:]
            self._trimmed = 1
        keep = max(length - self._pad - self._trimmed, 0)
        self._trimmed += len(part)
        if stream is not None and keep:
            stream.count.feed(part[:keep])
            stream.data += min(len(part), keep)

    def _done(self) -> None:
        length, kind, flags, number = self._frame
        payload = bytes(self._payload)
        stream = self.streams.get(number)
        if kind == DATA:
            self._give_credit(number, stream, length)
        if kind in (DATA, HEADERS) and stream is not None:
            stream.headers += kind == HEADERS
            stream.ended = stream.ended or bool(flags & END_STREAM)
        elif kind == RST_STREAM and stream is not None:
            stream.ended = True
        elif kind == SETTINGS and not number:
            self._settings(flags, payload)
        elif kind == PING and not flags & ACK and length == 8:
            if self._acknowledge:
                self._send(header_bytes(8, PING, ACK, 0) + payload)
        elif kind == WINDOW_UPDATE and length == 4:
            increment = int.from_bytes(payload, "big") & MAX_WINDOW
            if not number:
                self.window += increment
            elif stream is not None:
                stream.window += increment
        elif kind == GOAWAY and length >= 8:
            last = int.from_bytes(payload[:4], "big") & MAX_WINDOW
            self.last_stream = last if self.last_stream is None else min(last, self.last_stream)
            for one, open_stream in self.streams.items():
                if one > last:
                    open_stream.ended = True
        elif kind == CONTINUATION:
            pass  # END_STREAM stood on the HEADERS frame

    def _settings(self, flags: int, payload: bytes) -> None:
        if flags & ACK:
            return
        self.settings_seen = True
        for at in range(0, len(payload) - 5, 6):
            name = int.from_bytes(payload[at : at + 2], "big")
            value = int.from_bytes(payload[at + 2 : at + 6], "big")
            if name == MAX_CONCURRENT_STREAMS:
                self.max_streams = value
            elif name == INITIAL_WINDOW_SIZE:
                for stream in self.streams.values():
                    stream.window += value - self.initial_window
                self.initial_window = value
            elif name == MAX_FRAME_SIZE and 16_384 <= value < 1 << 24:
                self.max_frame = value
            elif name == HEADER_TABLE_SIZE:
                self.table_size = value
        if self._acknowledge:
            self._send(header_bytes(0, SETTINGS, ACK, 0))

    def _give_credit(self, number: int, stream: LiveStream | None, length: int) -> None:
        """Give back what was taken, early enough that the server never waits for it (RFC 9113 §6.9)."""
        if not self._credit or not length:
            return
        self._owed += length
        if self._owed >= 16_384:
            self._send(header_bytes(4, WINDOW_UPDATE, 0, 0) + self._owed.to_bytes(4, "big"))
            self._owed = 0
        if stream is not None and not stream.ended:
            stream.owed += length
            if stream.owed >= min(16_384, max(self.own_window // 2, 1)):
                self._send(header_bytes(4, WINDOW_UPDATE, 0, number) + stream.owed.to_bytes(4, "big"))
                stream.owed = 0
