"""The bytes of a live client, taken apart: preface, frames, header blocks (RFC 9113).

A library for HTTP/2 keeps both halves of a connection in step and refuses whatever does not fit; it is not told of the
illegal frames that a replay sends, so it would refuse a client's legal answers to them (and every frame that follows a
client's GOAWAY). This walk knows the client's half alone. It believes what a client sends as long as it can be read,
and hands on nothing that costs more than it came with.
"""

from __future__ import annotations

from typing import Protocol

from wirecase.http2.facts import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY_FLAG,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)
from wirecase.http2.hpack import DecodedInfo, HeaderDecoder, HpackError
from wirecase.http2.sync import FRAME_HEADER, PREFACE

Pairs = tuple[tuple[bytes | None, bytes | None], ...]
_LONGEST_BLOCK = 1 << 18
PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 1, 3, 6, 9, 11


class Refused(Exception):
    """The client sent what cannot be read any further."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Handler(Protocol):
    """Who is told."""

    def not_http2(self, data: bytes) -> None:
        """The first bytes are no connection preface."""

    def on_headers(self, stream: int, fields: Pairs, *, end: bool) -> None:
        """A whole header block."""

    def on_data(self, stream: int, data: bytes, length: int, *, end: bool) -> None:
        """DATA; `length` counts its padding too."""

    def on_reset(self, stream: int, code: int) -> None:
        """RST_STREAM."""

    def on_settings(self, values: list[tuple[int, int]]) -> None:
        """SETTINGS, no ACK."""

    def on_ping(self, opaque: bytes) -> None:
        """PING, no ACK."""

    def on_goaway(self, code: int, debug: bytes) -> None:
        """GOAWAY."""

    def on_window(self, stream: int, increment: int) -> None:
        """WINDOW_UPDATE."""


def _pairs(pairs: Pairs, info: DecodedInfo) -> Pairs:
    return pairs


class Inbound:
    """Feed it bytes; it tells its handler, and raises `Refused` where it cannot go on."""

    __slots__ = ("_block", "_buffer", "_decoder", "_greeted", "_handler", "largest")

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._buffer = b""
        self._greeted = False
        self._decoder: HeaderDecoder[Pairs] = HeaderDecoder(_pairs)
        self._block: tuple[int, bool, bytearray] | None = None
        """(stream, END_STREAM, parts) of a header block that goes on."""
        self.largest = 16384
        """SETTINGS_MAX_FRAME_SIZE that the client was told."""

    def set_table_size(self, size: int) -> None:
        """The client was told SETTINGS_HEADER_TABLE_SIZE."""
        self._decoder.set_limit(size)

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        at = 0
        if not self._greeted:
            if len(data) < len(PREFACE) and PREFACE.startswith(data):
                self._buffer = data
                return
            if not data.startswith(PREFACE):
                self._handler.not_http2(data)
                return
            self._greeted = True
            at = len(PREFACE)
        end = len(data)
        unpack = FRAME_HEADER.unpack_from
        while end - at >= 9:
            high, low, kind, flags, stream = unpack(data, at)
            length = high << 8 | low
            if length > self.largest:
                raise Refused(FRAME_SIZE_ERROR, f"a frame of {length} bytes where {self.largest} were allowed")
            if at + 9 + length > end:
                break
            payload = data[at + 9 : at + 9 + length]
            at += 9 + length
            self._frame(kind, flags, stream & 0x7FFFFFFF, payload)
        if at < end:
            self._buffer = bytes(data[at:])

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        handler = self._handler
        if self._block is not None and kind != CONTINUATION:
            raise Refused(PROTOCOL_ERROR, "a header block was interrupted by another frame")
        if kind == DATA:
            length = len(payload)
            if flags & PADDED:
                payload = _unpad(payload)
            if not stream:
                raise Refused(PROTOCOL_ERROR, "DATA on stream 0")
            handler.on_data(stream, payload, length, end=bool(flags & END_STREAM))
        elif kind == HEADERS:
            if flags & PADDED:
                payload = _unpad(payload)
            if flags & PRIORITY_FLAG:
                payload = payload[5:]
            if not stream:
                raise Refused(PROTOCOL_ERROR, "HEADERS on stream 0")
            self._take_block(stream, bool(flags & END_STREAM), bytearray(payload), flags)
        elif kind == CONTINUATION:
            block = self._block
            if block is None or block[0] != stream:
                raise Refused(PROTOCOL_ERROR, "CONTINUATION without its HEADERS")
            block[2].extend(payload)
            self._take_block(*block, flags)
        elif kind == RST_STREAM and _length_is(payload, 4):
            handler.on_reset(stream, int.from_bytes(payload, "big"))
        elif kind == SETTINGS:
            if not flags & ACK:
                handler.on_settings([
                    (int.from_bytes(payload[i : i + 2], "big"), int.from_bytes(payload[i + 2 : i + 6], "big"))
                    for i in range(0, len(payload) - 5, 6)
                ])  # fmt: skip
        elif kind == PING and _length_is(payload, 8):
            if not flags & ACK:
                handler.on_ping(payload)
        elif kind == GOAWAY and len(payload) >= 8:
            handler.on_goaway(int.from_bytes(payload[4:8], "big"), payload[8:])
        elif kind == WINDOW_UPDATE and _length_is(payload, 4):
            handler.on_window(stream, int.from_bytes(payload, "big") & 0x7FFFFFFF)

    def _take_block(self, stream: int, end: bool, parts: bytearray, flags: int) -> None:
        if len(parts) > _LONGEST_BLOCK:
            raise Refused(ENHANCE_YOUR_CALM, f"a header block of more than {_LONGEST_BLOCK} bytes")
        if not flags & END_HEADERS:
            self._block = (stream, end, parts)
            return
        self._block = None
        try:
            fields = self._decoder.decode(bytes(parts))
        except HpackError as error:
            raise Refused(COMPRESSION_ERROR, f"a header block that cannot be decoded: {error.text}") from error
        self._handler.on_headers(stream, fields, end=end)


def _length_is(payload: bytes, wanted: int) -> bool:
    """Tell whether a frame has its due length. Raises `Refused` if not (RFC 9113 §4.2)."""
    if len(payload) != wanted:
        raise Refused(FRAME_SIZE_ERROR, f"a frame of {len(payload)} bytes where {wanted} are due")
    return True


def _unpad(payload: bytes) -> bytes:
    if not payload or payload[0] >= len(payload):
        raise Refused(PROTOCOL_ERROR, "padding that is longer than its frame")
    return payload[1 : len(payload) - payload[0]]
