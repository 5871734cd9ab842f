"""Header blocks: HEADERS, PUSH_PROMISE and their CONTINUATION put together and decoded (RFC 9113 §4.3, §6.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wirecase.http2.facts import (
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    MAX_HEADER_LIST_SIZE,
    PADDED,
    PRIORITY_FLAG,
    PUSH_PROMISE,
    ControlFrame,
    HeaderBlock,
    Http2Facts,
    frame_name,
)
from wirecase.http2.hpack import DecodedInfo, HeaderDecoder, HpackError
from wirecase.model import CLIENT

if TYPE_CHECKING:
    from wirecase.http2.hpack_columns import HeaderColumns, Weigh
    from wirecase.http2.lockstep import Array

_ENABLE_PUSH = 2
_BLOCK_LIMIT = 1 << 20
"""Bytes of one header block that are put together; a longer one is not decoded."""
_BOMB_RATIO, _BOMB_SIZE = 50, 1 << 20
"""A header list this many times larger than its block, and this large, is a bomb (CVE-2016-6581)."""


class WholeBlock(NamedTuple):
    """One decoded header block and the frame that it began with."""

    frame: ControlFrame
    block: HeaderBlock
    promised: int | None = None
    """The promised stream of a PUSH_PROMISE, else None."""


class _OpenBlock:
    """A header block whose END_HEADERS has not come (RFC 9113 §6.10)."""

    __slots__ = ("continuations", "frame", "parts", "promised", "size")

    def __init__(self, frame: ControlFrame, part: bytes, *, promised: int | None) -> None:
        self.frame = frame
        self.parts = [part]
        self.size = len(part)
        self.continuations = 0
        self.promised = promised


def unpadded(frame: ControlFrame, facts: Http2Facts) -> bytes | None:
    """Return a payload without its padding, or None (noted) if the padding is longer than the frame."""
    payload = frame.payload
    if not frame.flags & PADDED:
        return payload
    pad = payload[0] if payload else 0
    if not payload or pad + 1 > len(payload):
        facts.violate("padding", frame.side, frame.stream, frame.excerpt(), pad=pad, length=len(payload))
        return None
    return payload[1 : len(payload) - pad]


class HeaderBlocks:
    """The header blocks of both directions and the HPACK tables that they share."""

    def __init__(self, facts: Http2Facts) -> None:
        self._facts = facts
        self._decoders = (HeaderDecoder(_make_block), HeaderDecoder(_make_block))
        """By sender."""
        self._blocks: list[_OpenBlock | None] = [None, None]
        self.open = False
        """A header block of some side waits for its CONTINUATION."""

    def set_table_limit(self, side: int, limit: int) -> None:
        """Bound the table of `side`'s encoder (SETTINGS_HEADER_TABLE_SIZE of the other side)."""
        self._decoders[side].set_limit(limit)

    def join_late(self, side: int) -> None:
        """Forget what a hole in `side`'s bytes makes uncertain."""
        self._facts.halves[side].joined_late = True
        self._decoders[side].join_late()
        self._set_open(side, None)

    def _set_open(self, side: int, block: _OpenBlock | None) -> None:
        self._blocks[side] = block
        self.open = self._blocks[0] is not None or self._blocks[1] is not None

    def interrupt(self, frame: ControlFrame) -> None:
        """Note a frame that stands between the parts of a header block, and give the block up."""
        block = self._blocks[frame.side]
        if block is None or (frame.kind == CONTINUATION and frame.stream == block.frame.stream):
            return
        self._facts.violate(
            "continuation-interleaved", frame.side, block.frame.stream, frame.excerpt(),
            frame=frame_name(frame.kind), expected_stream=block.frame.stream,
            ends_stream=block.frame.flags & END_STREAM != 0,
        )  # fmt: skip
        self.join_late(frame.side)

    def take(self, frame: ControlFrame) -> WholeBlock | None:
        """Take a HEADERS, PUSH_PROMISE or CONTINUATION frame; return the block if it is whole."""
        if frame.stream == 0:
            self._facts.wrong_stream_id(frame)
            return None
        if frame.kind == CONTINUATION:
            return self._continuation(frame)
        part = unpadded(frame, self._facts)
        if part is None:
            self.join_late(frame.side)
            return None
        promised: int | None = None
        if frame.kind == PUSH_PROMISE:
            if len(part) < 4:
                self._facts.wrong_size(frame, "at least 4")
                self.join_late(frame.side)
                return None
            promised = int.from_bytes(part[:4], "big") & 0x7FFFFFFF
            if not promised or promised % 2 or not self._may_push(frame.side):
                self._facts.violate("push", frame.side, frame.stream, frame.excerpt(), promised=promised)
            part = part[4:]
        elif frame.flags & PRIORITY_FLAG:
            if len(part) < 5:
                self._facts.wrong_size(frame, "at least 5 with PRIORITY")
            part = part[5:]
        if not frame.flags & END_HEADERS:
            self._set_open(frame.side, _OpenBlock(frame, part, promised=promised))
            return None
        return WholeBlock(frame, self.decode(frame, part), promised)

    def _may_push(self, side: int) -> bool:
        """Tell whether `side` is a server whose client has not switched pushing off (RFC 9113 §8.4)."""
        client = self._facts.halves[CLIENT]
        off = client.settings.get(_ENABLE_PUSH) == 0
        return side != CLIENT and not (off and not any(_ENABLE_PUSH in s.values for s in client.settings_unacked))

    def _continuation(self, frame: ControlFrame) -> WholeBlock | None:
        half = self._facts.halves[frame.side]
        if not frame.payload:
            half.frames.empty_continuation += 1
        block = self._blocks[frame.side]
        if block is None:
            if half.synced and not half.gaps and not half.joined_late:
                self._facts.violate("continuation-orphan", frame.side, frame.stream, frame.excerpt())
            return None
        block.continuations += 1
        block.size += len(frame.payload)
        if block.size > _BLOCK_LIMIT:
            block.parts.clear()
        elif frame.payload:
            block.parts.append(frame.payload)
        longest = half.longest_block
        if longest is None or block.continuations > longest[0]:
            half.longest_block = (block.continuations, block.size, block.frame.stream, block.frame.excerpt())
        if not frame.flags & END_HEADERS:
            return None
        self._set_open(frame.side, None)
        first = block.frame
        if block.size > _BLOCK_LIMIT:
            limit = self._facts.halves[1 - frame.side].settings.get(MAX_HEADER_LIST_SIZE)
            self._facts.violate(
                "header-list-too-large", frame.side, first.stream, first.excerpt(), list_size=block.size, limit=limit
            )
            self.join_late(frame.side)
            return None
        return WholeBlock(first, self.decode(first, b"".join(block.parts)), block.promised)

    def recall(self, side: int, block: bytes) -> HeaderBlock | None:
        """Return a block that was decoded under the same table and is ordinary; None says nothing."""
        decoded = self._decoders[side].recall(block)
        return decoded if decoded is not None and decoded.grade > 0 else None

    def decode_all(
        self, side: int, data: bytes, raw: Array, begins: Array, ends: Array, weigh: Weigh
    ) -> HeaderColumns | None:
        """Decode many blocks of one side at once (`hpack_columns.decode`)."""
        from wirecase.http2 import hpack_columns

        return hpack_columns.decode(self._decoders[side], data, raw, begins, ends, weigh)

    def decode(self, frame: ControlFrame, block: bytes) -> HeaderBlock:
        """Decode the whole block that began with `frame` and note what is wrong with it.

        What cannot be known is None in its fields.
        """
        side = frame.side
        try:
            decoded = self._decoders[side].decode(block)
        except HpackError as error:
            return self._undecodable(frame, error)
        facts = self._facts
        limit = facts.halves[1 - side].settings.get(MAX_HEADER_LIST_SIZE)
        if limit is not None and decoded.list_size > limit:
            facts.violate(
                "header-list-too-large", side, frame.stream, frame.excerpt(), list_size=decoded.list_size, limit=limit
            )
        if decoded.grade > 0:  # known to be small and sound
            return decoded
        decoded.wire_size = len(block)
        if decoded.list_size > _BOMB_SIZE and decoded.list_size > _BOMB_RATIO * len(block):
            facts.violate(
                "hpack-bomb", side, frame.stream, frame.excerpt(),
                list_size=decoded.list_size, wire_size=len(block), fields=len(decoded.fields),
            )  # fmt: skip
        if decoded.owed_size is not None:
            facts.violate("hpack-size-ignored", side, frame.stream, frame.excerpt(), limit=decoded.owed_size)
        return decoded

    def _undecodable(self, frame: ControlFrame, error: HpackError) -> HeaderBlock:
        half = self._facts.halves[frame.side]
        noted = self._facts.violate(
            "hpack", frame.side, frame.stream, frame.excerpt(), kind=error.kind, text=error.text, offset=error.offset,
            certain=not half.joined_late and not half.gaps,
        )  # fmt: skip
        half.hpack_error = half.hpack_error or noted
        half.joined_late = True
        return HeaderBlock((*error.fields, (None, None)))


def _make_block(pairs: tuple[tuple[bytes | None, bytes | None], ...], info: DecodedInfo) -> HeaderBlock:
    block = HeaderBlock(pairs)
    block.list_size = info.list_size
    block.truncated = info.truncated
    block.owed_size = info.owed_size if info.missed_size_update else None
    block.unknown = block.unknown or info.truncated
    return block
