"""Message bodies made by hand, and a reader driven over them in any pieces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from h2_bytes import T0

from wirecase.grpc.compression import Budget
from wirecase.grpc.messages import MessageReader
from wirecase.model import SERVER, Marks

OFFSET = 1000
"""Stream offset of a body's first byte: a body never begins at 0."""


def read(
    pieces: Iterable[bytes | int],
    *,
    encoding: bytes | None = None,
    side: int = SERVER,
    budget: Budget | None = None,
    web: bool = False,
) -> MessageReader:
    """Feed pieces of a body, an int for so many missing bytes (-1: unknown), and finish.

    Each piece is the payload of a DATA frame in a packet of its own, nine bytes of frame header before it.
    """
    reader = MessageReader(side, budget or Budget())
    reader.encoding = encoding
    reader.web = web
    at = OFFSET
    for packet, piece in enumerate(pieces, 1):
        if isinstance(piece, int):
            reader.gap(None if piece < 0 else piece)
            at += max(piece, 0)
            continue
        # The payload stands inside of a larger buffer, as it does in the walk.
        marks = Marks(0, [at - 9], [packet], [T0 + packet])
        reader.feed(b"\xaa" * 9 + piece + b"\xbb", 9, 9 + len(piece), marks, at)
        at += len(piece)
    reader.finish()
    return reader


def told(reader: MessageReader) -> Any:
    """All that a reader says, but for the packets (they follow the pieces) and how much of an excerpt is shown."""
    bad = reader.bad
    pending = reader.pending()
    return {
        "messages": reader.messages,
        "bytes": reader.bytes,
        "compressed": reader.compressed,
        "lost": reader.lost,
        "bad": bad
        and (
            bad.flag, bad.after_messages, bad.after_bytes, bytes(bad.foreign), bad.foreign_length, bad.resumed,
            bad.web_trailers, bad.excerpt.data, bad.excerpt.length, bad.excerpt.mark.offset,
        ),
        "pending": pending
        and (pending.prefix, pending.declared, pending.got, pending.excerpt.data, pending.excerpt.mark.offset,
             pending.excerpt.length),
        "head": reader.head,
        "first": reader.first and (reader.first.data, reader.first.length, reader.first.mark.offset),
        "largest": reader.largest
        and (reader.largest.declared, reader.largest.excerpt.data, reader.largest.excerpt.mark.offset),
        "first_compressed": reader.first_compressed
        and (reader.first_compressed.mark.offset, reader.first_compressed.length),
        "inflations": [
            (i.kind, i.text, i.message, i.declared, i.inflated, i.excerpt.mark.offset, i.excerpt.length,
             i.excerpt.data[:5])
            for i in reader.inflations
        ],
    }  # fmt: skip


def cut(body: bytes, places: Sequence[int]) -> list[bytes]:
    """Cut a body at `places` (sorted; repeated or outer ones make no piece)."""
    bounds = [0, *places, len(body)]
    return [body[a:b] for a, b in pairwise(bounds) if a < b]


def bytewise(body: bytes) -> list[bytes]:
    """Cut a body into bytes."""
    return [body[i : i + 1] for i in range(len(body))]
