"""Feeds conversations to the decoder in every way that a capture can show them, and keeps what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from wirecase.model import Mark, Marks, Stretch
from wirecase.tls.connection import TlsConnection
from wirecase.tls.facts import TlsFacts
from wirecase.tls.keylog import KeyLogReader, KeyStore


@dataclass
class Heard:
    """Takes plaintext (`wirecase.tls.connection.Plain`)."""

    plain: list[bytearray] = field(default_factory=lambda: [bytearray(), bytearray()])
    places: list[list[tuple[int, int]]] = field(default_factory=lambda: [[], []])
    """(offset, packet) of each mark, by side."""
    order: list[tuple[int, int]] = field(default_factory=list)
    """(side, bytes) as they came."""
    gaps: list[tuple[int, int, int]] = field(default_factory=list)
    """(side, length, offset behind it)."""

    def run(self, side: int, data: bytes, marks: Marks) -> None:
        offsets = list(marks.offsets)
        assert offsets == sorted(set(offsets)), offsets
        assert len(data) == len(bytes(data)) > 0
        self.expect(side, offsets[0])
        assert offsets[-1] < offsets[0] + len(data)
        self.plain[side] += data
        self.places[side] += zip(offsets, marks.packets, strict=True)
        self.order.append((side, len(data)))

    def expect(self, side: int, offset: int) -> None:
        missing = sum(length for gap_side, length, _ in self.gaps if gap_side == side)
        assert offset == len(self.plain[side]) + missing

    def stretch(self, stretch: Stretch) -> None:
        for run in stretch.runs():
            self.run(*run)

    def gap(self, side: int, length: int, reason: str, mark: Mark) -> None:
        assert length > 0
        self.gaps.append((side, length, mark.offset))
        self.expect(side, mark.offset)


def store_of(keys: bytes) -> KeyStore:
    store = KeyStore()
    reader = KeyLogReader(store)
    reader.feed(keys)
    reader.finish()
    return store


def segments(flights: list[tuple[int, bytes]], size: int) -> list[tuple[int, bytes]]:
    return [(side, data[i : i + size]) for side, data in flights for i in range(0, len(data), size)]


def read(
    flights: list[tuple[int, bytes]],
    keys: bytes | KeyStore,
    *,
    size: int = 1448,
    lost: frozenset[int] = frozenset(),
    columns: int = 0,
    flipped: bool = False,
) -> tuple[TlsFacts, Heard]:
    """Decode segments of `size` bytes, the `lost` ones as holes; from segment `columns` on (if not 0) as a stretch."""
    store = keys if isinstance(keys, KeyStore) else store_of(keys)
    facts, heard = TlsFacts(), Heard()
    tls = TlsConnection(facts, store, heard, flipped=flipped)
    offsets = [0, 0]
    sent = segments(flights, size)
    missing = [0, 0]
    for number, (sender, data) in enumerate(sent):
        side = sender ^ flipped
        if columns and number == columns:
            tls.stretch(stretch_of(sent[number:], offsets, number, flipped))
            break
        if number in lost:
            missing[side] += len(data)
        else:
            if missing[side]:
                mark = Mark(0, number + 1, number, offsets[side])
                tls.gap(side, missing[side], "gap", mark)
                missing[side] = 0
            tls.run(side, data, Marks(0, [offsets[side]], [number + 1], [number]))
        offsets[side] += len(data)
    tls.finish()
    for one in facts.sides:
        assert one.bytes == one.framing + one.undecrypted + one.plain
    assert tls.store.held == 0
    return facts, heard


def stretch_of(sent: list[tuple[int, bytes]], offsets: list[int], first: int, flipped: bool) -> Stretch:
    at = list(offsets)
    sides, places, bounds = [], [], [0]
    for sender, data in sent:
        side = sender ^ flipped
        sides.append(side)
        places.append(at[side])
        at[side] += len(data)
        bounds.append(bounds[-1] + len(data))
    numbers = np.arange(first + 1, first + 1 + len(sent))
    return Stretch.joined(
        0, b"".join(data for _, data in sent), np.array(bounds), np.array(sides), np.array(places), numbers, numbers - 1
    )
