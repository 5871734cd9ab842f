"""Compressed messages: inflated, redacted, and deflated again to exactly as many bytes.

Theory. A redacted message compresses better than the original, so what is missing to the old length is padded with
blocks that hold nothing: empty blocks with fixed codes and empty stored blocks for deflate (RFC 1951 §3.2.3), empty
raw blocks for zstd (RFC 8878 §3.1.1.2). The inflated length stays as well, so a size limit is still broken where it
was. A message that does not inflate must go on failing with the same words: several ways to fail are tried with
redacted content, and only if none has the same effect the bytes are kept. A result counts only if the decoders that a
receiver might use say the same of it as of the original.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from wirecase.case.redact.deflate import deflated, ending
from wirecase.case.redact.fill import blanket, blanket_head
from wirecase.case.redact.zstd import framed
from wirecase.grpc.compression import BUDGET, Budget, open_inflater

INFLATED_LIMIT = 16 << 20
"""Bytes up to which a message is inflated to redact what is in it."""
_PIECE = 1 << 20
_BOMB_MARGIN = 4 << 20
"""Bytes that the stand-in for a bomb inflates to beyond the point where it was told to be one."""
_BOMB_LEAST = 300_000
"""The same, for one that was told only just: more than what is inflated at a time."""
_BOMB_RATIO = 1000
"""Zeros that surely go into a byte of deflate (which reaches 1032)."""
_BOMB_RATIO_ZSTD = 30_000
"""Zeros that surely go into a byte of zstd: four of them make a block of 128 KiB."""
_LOOKED_AT = 15 * 1024
"""Bytes of a payload that cannot be replaced in which something to be masked is looked for: deflate makes less than
`INFLATED_LIMIT` of them."""
Transform = Callable[[bytes], bytes]
Outcome = tuple[str, str] | int | None
"""How a decoder fails (kind, text), or how long the content is; None if it cannot be checked here."""


class Weighed(NamedTuple):
    """What a decoder makes of a payload."""

    outcome: Outcome
    inflated: int
    """Bytes that came out, until the end or the failure."""
    left: int
    """What is left of the budget for bombs."""


def weigh(payload: bytes, encoding: bytes, left: int = BUDGET) -> Weighed:
    """Inflate a payload to see what comes of it; `left` is what bombs may still inflate to in this run."""
    budget = Budget(left)
    inflater = open_inflater(encoding, budget)
    if inflater is None:
        return Weighed(None, 0, left)
    view = memoryview(payload)
    for at in range(0, len(payload), _PIECE):
        inflater.feed(bytes(view[at : at + _PIECE]))
    inflater.finish()
    return Weighed(inflater.failure or inflater.inflated, inflater.inflated, budget.left)


def outcome(payload: bytes, encoding: bytes, left: int = BUDGET) -> Outcome:
    """Return only how a decoder fails on a payload, or how long its content is."""
    return weigh(payload, encoding, left).outcome


def guess_encoding(payload: bytes) -> bytes | None:
    """Return the encoding that a payload's first bytes tell."""
    if payload[:3] == b"\x1f\x8b\x08":
        return b"gzip"
    if payload[:4] == b"\x28\xb5\x2f\xfd":
        return b"zstd"
    if len(payload) >= 2 and payload[0] & 0x8F == 0x08 and int.from_bytes(payload[:2], "big") % 31 == 0:
        return b"deflate"
    return None


class Content(NamedTuple):
    """What a stream is to hold: bytes, then zeros (which are never held)."""

    head: bytes
    zeros: int = 0

    @property
    def length(self) -> int:
        """Bytes in all."""
        return len(self.head) + self.zeros


def refit(
    payload: bytes, encoding: bytes, transform: Transform, weighed: Weighed | None = None, left: int = BUDGET
) -> bytes | None:
    """Return a stream as long as `payload` with the same outcome, its content put through `transform`.

    `transform` returns as many bytes as it is given; where it changes nothing the payload stays. Content of more than
    16 MiB is replaced by zeros, and that of a bomb by as many as still make it one. None if no such stream is found.
    `weighed` is the payload's own outcome where it is known already, under the budget `left`.
    """
    known = weigh(payload, encoding, left) if weighed is None else weighed
    wanted = known.outcome
    if wanted is None:
        return None
    for made in _contents(payload, encoding, transform, known):
        if made is None:
            return payload
        for candidate in _candidates(payload, made, encoding, wanted):
            if len(candidate) == len(payload) and _same(outcome(candidate, encoding, left), wanted):
                return candidate
    return None


def _same(found: Outcome, wanted: Outcome) -> bool:
    if isinstance(wanted, tuple) and wanted[0] == "bomb":  # its words count bytes
        return isinstance(found, tuple) and found[0] == "bomb"
    return found == wanted


def _contents(payload: bytes, encoding: bytes, transform: Transform, known: Weighed) -> Iterator[Content | None]:
    """Yield what the new stream may hold, best first; None: what it holds now."""
    wanted = known.outcome
    content = _inflate(payload, encoding) if known.inflated <= INFLATED_LIMIT else None
    if content is not None:
        made = transform(content)
        if made == content and isinstance(wanted, int):
            yield None
        yield Content(made)
        yield Content(blanket(len(content)))
        yield Content(b"", len(content))
    elif isinstance(wanted, int):
        yield Content(blanket_head(wanted), wanted - len(blanket_head(wanted)))
        yield Content(b"", wanted)
    elif wanted is not None and wanted[0] == "bomb":
        most = max(len(payload) - 64, 0) * (_BOMB_RATIO if encoding != b"zstd" else _BOMB_RATIO_ZSTD)
        yield Content(b"", min(known.inflated + _BOMB_MARGIN, most))
        yield Content(b"", known.inflated + _BOMB_LEAST)


def tells_nothing(payload: bytes, encoding: bytes, transform: Transform) -> bool:
    """Tell whether what comes out of a payload, as far as it is looked at, would not be changed by `transform`."""
    content = _inflate(payload[:_LOOKED_AT], encoding)
    return content is not None and transform(content) == content


def _inflate(payload: bytes, encoding: bytes) -> bytes | None:
    """Return what comes out until the end or the failure; None if that is too much."""
    if encoding == b"zstd":
        import zstandard

        decoder: Any = zstandard.ZstdDecompressor(max_window_size=8 << 20).decompressobj()
        parts: list[bytes] = []
        size = 0
        for at in range(0, len(payload), 64):
            try:
                parts.append(decoder.decompress(payload[at : at + 64]))
            except zstandard.ZstdError:
                break
            size += len(parts[-1])
            if size > INFLATED_LIMIT:
                return None
            if decoder.eof:
                break
        return b"".join(parts)
    inflater = zlib.decompressobj(31 if encoding == b"gzip" else 15)
    out = bytearray()
    for at in range(0, len(payload), 256):  # small pieces: what came before a failure is wanted
        try:
            out += inflater.decompress(payload[at : at + 256], INFLATED_LIMIT + 1 - len(out))
        except zlib.error:
            break
        if len(out) > INFLATED_LIMIT:
            return None
        if inflater.eof:
            break
    return bytes(out)


def _candidates(payload: bytes, made: Content, encoding: bytes, wanted: Outcome) -> Iterator[bytes]:
    size = len(payload)
    kind, text = wanted if isinstance(wanted, tuple) else ("", "")
    extra = int(text.split(" ", 1)[0]) if kind == "trailing" else 0
    if encoding == b"zstd":
        yield from framed(made.head, made.zeros, size, kind, extra)
        return
    head, foot = _HEADS[encoding], ending(made.head, made.zeros, encoding)
    room = size - len(head) - len(foot) - extra
    if kind == "short":
        for body in deflated(made.head, made.zeros, size - len(head), final=False):
            yield head + body
        yield payload[: len(head)]
    elif kind == "corrupt":
        yield from _corrupt(payload, made, head)
    else:
        for body in deflated(made.head, made.zeros, room):
            # gzip's check value and length are checked one after the other
            for wrong in (_NOT_ALL, _NOT_LENGTH)[: len(foot) // 4] if kind == "crc" else (0,):
                yield head + body + _flipped(foot, wrong) + bytes(extra)


def _flipped(foot: bytes, bits: int) -> bytes:
    return (int.from_bytes(foot, "little") ^ bits & (1 << 8 * len(foot)) - 1).to_bytes(len(foot), "little")


_NOT_ALL, _NOT_LENGTH = (1 << 64) - 1, 0xFFFF_FFFF << 32
_HEADS = {b"gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\xff", b"deflate": b"\x78\x9c"}
_FAULTS = (
    b"\x07" + bytes(8),  # a block of type 3
    b"\x01\x01\x00\x01\x00" + bytes(8),  # a stored block whose lengths disagree
    b"\xfd\xff\xff" + bytes(8),  # a dynamic block with more codes than there are
    b"\x05" + bytes(16),  # a dynamic block with code lengths that are no code
    b"\x03\x7a\xff\xff\xff" + bytes(4),  # fixed codes: back by 32768
    b"\x03\x3e" + bytes(8), b"\x1b\x03" + bytes(8), b"\x03\x78" + bytes(8), b"\xfb\xff\xff" + bytes(8),
)  # fmt: skip


def _corrupt(payload: bytes, made: Content, head: bytes) -> Iterator[bytes]:
    size = len(payload)
    if len(head) < size:
        for fault in _FAULTS:
            for body in deflated(made.head, made.zeros, size - len(head) - len(fault), final=False):
                yield head + body + fault
            if len(fault) <= size - len(head):
                yield head + fault + bytes(size - len(head) - len(fault))
    for kept in (2, 4, 10):  # a bad header is told by its first bytes
        yield payload[:kept] + bytes(max(size - kept, 0))
