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
    Violation,
    header_bytes,
)
from wirecase.http2.hpack import HeaderDecoder, HpackError
from wirecase.model import CLIENT

TABLE_SIZE = 4096
MOST_PATHS = 1000
MOST_FIELDS = 100_000
"""Fields of a header list that travel."""
_SHORT = 16
"""Bytes of a faulty field that are enough to show a wrong index, integer or table size."""
_FILLER = 0x82
"""An indexed field (``:method: GET``): in place of a few bytes of a header block that cannot be decoded."""
_MOST_SHOWN = 64 * 1024
"""Bytes of an unfinished header block that are decoded to see what it began with."""
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
        self.saw(told)
        block = self._code(told)
        return block + self._code(told[-1:]) * repeated if repeated else block

    def saw(self, told: Fields) -> None:
        """Remember the path of a request as it travels."""
        if len(self.paths) < MOST_PATHS:
            self.paths.update((value, None) for name, value in told if name == b":path")

    def encode_apart(self, fields: Fields) -> bytes:
        """Return the beginning of a block for `fields`, redacted, that leaves the table alone."""
        told = self._masks.headers(fields, side=self._side)
        return self._encoder.encode([(name, value, True) for name, value in told], huffman=False)

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


def fault_of(violations: Sequence[Violation], frame: ControlFrame) -> tuple[int, str] | None:
    """Return where in its block and how the header block that began with `frame` could not be decoded."""
    for one in reversed(violations[-8:]):
        if one.kind == "hpack" and one.excerpt.mark.offset == frame.offset and one.side == frame.side:
            return int(one.facts["offset"]), str(one.facts["kind"])
    return None


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


def beginning(block: bytes) -> Fields:
    """Return the fields that an unfinished block shows by itself, without what stood in the table."""
    if len(block) > _MOST_SHOWN:
        return []
    fields: tuple[tuple[bytes | None, bytes | None], ...]
    try:
        fields = HeaderDecoder(lambda shown, _: shown, late=True).decode(block)
    except HpackError as error:
        fields = error.fields
    return [(name, value) for name, value in fields if name is not None and value is not None]


def filler(size: int) -> bytes:
    """Return `size` bytes of a header block: one long field as far as possible (a field each would make a flood)."""
    for width in range(1, 6):  # of the length of the value (RFC 7541 §5.1)
        count = size - 3 - width
        if count < 0:
            break
        length = bytes((count,)) if count < 127 else b"\x7f" + _varint(count - 127)
        if len(length) == width:
            return b"\0\x01x" + length + b"x" * count
    return bytes((_FILLER,)) * min(size, 5) + filler(size - 5) if size > 8 else bytes((_FILLER,)) * size


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def blank(frame: ControlFrame) -> bytes:
    """Return a frame whose header block cannot be decoded, with a filler in its place."""
    before, part, after = _split(frame)
    payload = before + filler(len(part)) + after
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
