"""Header blocks written anew, so that they can be read without what went before (RFC 7541)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hpack import Encoder

from wirecase.case.redaction import Fields, Masks
from wirecase.http2.facts import (
    CONTINUATION,
    HEADERS,
    PADDED,
    PRIORITY_FLAG,
    PUSH_PROMISE,
    ControlFrame,
    HeaderBlock,
    header_bytes,
)
from wirecase.model import CLIENT

TABLE_SIZE = 4096
MOST_PATHS = 1000
MOST_FIELDS = 100_000
"""Fields of a header list that travel."""
_SHORT = 16
"""Bytes of a faulty field that are enough to show a wrong index, integer or table size."""
FILLER = 0x82
"""An indexed field (``:method: GET``): in place of bytes of a header block that cannot be decoded."""
UNKNOWN_PATH = b"/unknown.Unknown/Unknown"
REQUEST: Fields = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", UNKNOWN_PATH),
    (b":authority", b"unknown.example"),
    (b"content-type", b"application/grpc"),
    (b"te", b"trailers"),
]
RESPONSE: Fields = [(b":status", b"200"), (b"content-type", b"application/grpc")]
TRAILERS: Fields = [(b"grpc-status", b"0")]


class Assumed(NamedTuple):
    """A field that the recording does not show and the case needs."""

    stream: int
    side: int
    name: str
    value: str


class BlockWriter:
    """Encodes the header blocks of one side."""

    def __init__(self, masks: Masks, side: int, *, plain: bool) -> None:
        self._masks = masks
        self._side = side
        self._plain = plain
        """Keep the table empty: an index that was wrong stays wrong."""
        self._encoder = Encoder()
        self.paths: dict[bytes, None] = {}
        """Paths of requests as they travel, the first `MOST_PATHS`."""

    def set_table_size(self, size: int) -> None:
        """Follow the peer's SETTINGS_HEADER_TABLE_SIZE; the next block announces it (RFC 7541 §4.2)."""
        size = min(size, TABLE_SIZE)
        if not self._plain and size != self._encoder.header_table_size:
            self._encoder.header_table_size = size

    def forget(self) -> None:
        """The reader has lost the table: refer to nothing that stood in it."""
        size = self._encoder.header_table_size
        self._encoder = Encoder()
        if size != TABLE_SIZE:
            self._encoder.header_table.maxsize = size

    def encode(self, fields: Sequence[tuple[bytes, bytes]]) -> bytes:
        """Return the block for `fields`, redacted; names and values keep every byte."""
        repeated = 0
        while repeated < len(fields) - 1 and fields[-1 - repeated] == fields[-2 - repeated]:
            repeated += 1
        told = self._masks.headers(list(fields[: len(fields) - repeated]), side=self._side)
        if len(self.paths) < MOST_PATHS:
            self.paths.update((value, None) for name, value in told if name == b":path")
        block = self._code(told)
        return block + self._code(told[-1:]) * repeated if repeated else block

    def _code(self, fields: Fields) -> bytes:
        if self._plain:
            return self._encoder.encode([(name, value, True) for name, value in fields], huffman=False)
        return self._encoder.encode(fields, huffman=False)


def complete(block: HeaderBlock, side: int, stream: int, *, answered: bool, grpc: bool) -> tuple[Fields, list[Assumed]]:
    """Return a block's known fields, and those that were added in place of the unknown ones it cannot do without."""
    fields: Fields = []
    for name, value in block.fields:
        if name is not None and value is not None:
            fields.append((name, value))
    if block.truncated and fields:
        return _full_length(fields, block.list_size), []
    if not block.unknown:
        return fields, []
    present = {name for name, _ in fields}
    wanted = REQUEST if side == CLIENT else TRAILERS if answered else RESPONSE
    missing = [
        (name, value)
        for name, value in wanted
        if name not in present and (grpc or name.startswith(b":") or name == b"grpc-status")
    ]
    pseudo = [field for field in missing if field[0].startswith(b":")]
    rest = [field for field in missing if not field[0].startswith(b":")]
    notes = [Assumed(stream, side, name.decode(), value.decode()) for name, value in missing]
    return [*pseudo, *fields, *rest], notes


def _full_length(fields: Fields, list_size: int) -> Fields:
    """Return the fields that were kept of a very long list, the last one repeated up to its size (RFC 9113 §6.5.2)."""
    name, value = fields[-1]
    size = sum(len(one) + len(other) + 32 for one, other in fields)
    count = min((list_size - size) // (len(name) + len(value) + 32), MOST_FIELDS)
    return fields + [(name, value)] * max(count, 0)


def faulty_field(block: bytes, offset: int, kind: str) -> bytes:
    """Return a field with the fault that stands at `offset` of `block`, an integer, string or field (RFC 7541 §5, §6).

    A string, or its length, becomes the name of a literal field, so that it can be read without what stood before it.
    """
    rest = block[offset:]
    string = kind in ("huffman", "string-length") or (
        kind in ("integer", "truncated") and (not rest or rest[0] & 0x7F == 0x7F)
    )
    return b"\0" + rest if string else rest[:_SHORT]


def fragments(frames: Sequence[ControlFrame]) -> bytes:
    """Return the header block that a HEADERS or PUSH_PROMISE frame and its CONTINUATION frames carry."""
    return b"".join(_split(frame)[1] for frame in frames)


def reframe(frames: Sequence[ControlFrame], block: bytes) -> bytes:
    """Put another header block into the same frames: as many, with the same flags, padding and priority."""
    parts = [_split(frame) for frame in frames]
    out = bytearray()
    at = 0
    for number, (frame, (before, part, after)) in enumerate(zip(frames, parts, strict=True)):
        last = number == len(frames) - 1
        size = len(block) - at if last else min(len(part), len(block) - at)
        payload = before + block[at : at + size] + after
        at += size
        out += header_bytes(len(payload), frame.kind, frame.flags, frame.stream) + payload
    return bytes(out)


def blank(frame: ControlFrame) -> bytes:
    """Return a frame whose header block cannot be decoded, with a filler in its place."""
    before, part, after = _split(frame)
    payload = before + bytes((FILLER,)) * len(part) + after
    return header_bytes(len(payload), frame.kind, frame.flags, frame.stream) + payload


def _split(frame: ControlFrame) -> tuple[bytes, bytes, bytes]:
    """Return what stands before the block's fragment (pad length, priority, promised stream), it, and the padding."""
    payload = frame.payload
    if frame.kind == CONTINUATION:
        return b"", payload, b""
    start, stop = 0, len(payload)
    if frame.flags & PADDED and payload:
        if payload[0] + 1 > len(payload):
            return payload[:1], payload[1:], b""
        start, stop = 1, len(payload) - payload[0]
    if frame.kind == HEADERS and frame.flags & PRIORITY_FLAG:
        start += 5
    elif frame.kind == PUSH_PROMISE:
        start += 4
    start = min(start, stop)
    return payload[:start], payload[start:stop], bytes(len(payload) - stop)
