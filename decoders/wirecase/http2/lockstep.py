"""The frames of many segments at once: the first of each, the second of each, and so on.

Where a connection is busy with small calls, nearly every TCP segment begins with a frame and ends with one. A segment
whose chain of frames does not land exactly on its end, or that holds any other frame than plain HEADERS, plain DATA,
WINDOW_UPDATE and PING of a usual size, is *irregular*: nothing is said of it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wirecase.http2.facts import DATA, END_HEADERS, END_STREAM, HEADERS, MAX_WINDOW, PING, WINDOW_UPDATE
from wirecase.http2.ordinary import LARGEST_DATA
from wirecase.model import Stretch

Array: TypeAlias = NDArray[Any]

MOST_FRAMES = 24
"""Frames in a segment that are looked for; a segment with more is irregular."""

_NINE = np.arange(9)
_FOUR = np.arange(4)


def words(raw: Array, at: Array) -> Array:
    """Return the big-endian 32-bit numbers that stand at `at`."""
    four = raw[at[:, None] + _FOUR].astype(np.int64)
    word: Array = four[:, 0] << 24 | four[:, 1] << 16 | four[:, 2] << 8 | four[:, 3]
    return word


class Frames:
    """The frames of the regular segments of a stretch, in capture order, as columns."""

    __slots__ = ("at", "flags", "kind", "length", "raw", "regular", "segment", "stream")

    def __init__(self, stretch: Stretch) -> None:
        self.raw: Array = np.frombuffer(stretch.raw, dtype=np.uint8)
        raw = self.raw
        begins, ends = stretch.bounds[:-1], stretch.bounds[1:]
        at = begins.copy()
        irregular = np.zeros(len(stretch), dtype=bool)
        active = np.arange(len(stretch))
        found: list[Array] = [np.zeros((6, 0), dtype=np.int64)]
        for step in range(MOST_FRAMES):
            fits = at[active] + 9 <= ends[active]
            irregular[active[~fits]] = True
            active = active[fits]
            if not len(active):
                break
            here = at[active]
            head = raw[here[:, None] + _NINE].astype(np.int64)
            length = head[:, 0] << 16 | head[:, 1] << 8 | head[:, 2]
            kind, flags = head[:, 3], head[:, 4]
            stream = head[:, 5] << 24 | head[:, 6] << 16 | head[:, 7] << 8 | head[:, 8]
            after = here + 9 + length
            odd = (stream & 1) != 0
            plain = (
                (odd & (kind == DATA) & (flags <= END_STREAM))
                | (odd & (kind == HEADERS) & (flags | END_STREAM == END_HEADERS | END_STREAM))
                | ((kind == WINDOW_UPDATE) & (length == 4))
                | ((kind == PING) & (length == 8) & (stream == 0))
            )
            plain &= (after <= ends[active]) & (length <= LARGEST_DATA) & (stream <= MAX_WINDOW)
            irregular[active[~plain]] = True
            active = active[plain]
            columns = np.stack((active * MOST_FRAMES + step, here[plain], length[plain], kind[plain], flags[plain],
                                stream[plain]))  # fmt: skip
            found.append(columns)
            at[active] = after[plain]
            active = active[at[active] < ends[active]]
        irregular[active] = True
        self.regular: Array = ~irregular
        """By segment."""
        rows = np.concatenate(found, axis=1)
        rows = rows[:, self.regular[rows[0] // MOST_FRAMES]]
        rows = rows[:, np.argsort(rows[0])]
        self.segment: Array = rows[0] // MOST_FRAMES
        """The segment that each frame stands in; the other columns are the frame's place in `raw` and its header."""
        self.at, self.length, self.kind, self.flags, self.stream = rows[1:]
