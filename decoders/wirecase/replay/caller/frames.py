"""Recorded requests as frames of a live connection: HPACK afresh, stream ids mapped (RFC 9113, RFC 7541)."""

from __future__ import annotations

from collections.abc import Sequence

from hpack import Encoder

from wirecase.http2.facts import CONTINUATION, END_HEADERS, HEADERS, header_bytes
from wirecase.replay.plan import Fragment, Headers

_TABLE = 4096
Replaced = Sequence[tuple[bytes, bytes]]


class HeaderWriter:
    """Encodes the header blocks of one connection."""

    def __init__(self, *, plain: bool, replaced: Replaced = ()) -> None:
        self._encoder = Encoder()
        self._plain = plain
        self._replaced = {name.lower(): value for name, value in replaced}
        """Fields that are sent with other values than the recorded ones, or in addition to them."""

    def set_table_size(self, size: int | None) -> None:
        """Follow the peer's HEADER_TABLE_SIZE; the next block announces it (RFC 7541 §4.2)."""
        if size is not None and min(size, _TABLE) != self._encoder.header_table_size:
            self._encoder.header_table_size = min(size, _TABLE)

    def block(self, act: Headers) -> bytes:
        """Return the header block of a recorded one."""
        if act.raw is not None:
            return act.raw
        fields = list(act.fields)
        if self._replaced and any(name == b":method" for name, _ in fields):
            fields = replace(fields, self._replaced)
        if self._plain:
            return self._encoder.encode([(name, value, True) for name, value in fields], huffman=False) + act.tail
        return self._encoder.encode(fields) + act.tail

    def frames(self, act: Headers, stream: int, *, largest: int) -> bytes:
        """Return the frames of a recorded header block, split and padded as they were, none above `largest`."""
        block = self.block(act)
        fragments = act.fragments or (Fragment(HEADERS, END_HEADERS | int(act.end_stream), b"", len(block), 0),)
        out = bytearray()
        at = 0
        for number, one in enumerate(fragments):
            last = number == len(fragments) - 1
            size = len(block) - at if last else min(one.size, len(block) - at)
            part = block[at : at + size]
            at += size
            around = len(one.before) + one.after
            if not last or len(part) + around <= largest:
                payload = one.before + part + bytes(one.after)
                out += header_bytes(len(payload), one.kind, one.flags, stream) + payload
                continue
            room = max(largest - around, 1)
            payload = one.before + part[:room] + bytes(one.after)
            out += header_bytes(len(payload), one.kind, one.flags & ~END_HEADERS, stream) + payload
            rest = part[room:]
            for begin in range(0, len(rest), largest):
                piece = rest[begin : begin + largest]
                flags = one.flags & END_HEADERS if begin + largest >= len(rest) else 0
                out += header_bytes(len(piece), CONTINUATION, flags, stream) + piece
        return bytes(out)


def replace(fields: list[tuple[bytes, bytes]], replaced: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """Return a header list with the values of `replaced`; a field that is not there is added."""
    made = [(name, replaced.get(name.lower(), value)) for name, value in fields]
    present = {name.lower() for name, _ in fields}
    return made + [(name, value) for name, value in replaced.items() if name not in present and name[:1] != b":"]
