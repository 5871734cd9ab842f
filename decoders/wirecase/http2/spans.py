"""Whole plain DATA frames of one run of bytes, gathered by stream and booked together.

Where many small DATA frames follow each other, what each one does to windows and counters is the same; only the order
within a stream matters, to its body. If a window is used up among them, they are booked one by one in their order.
"""

from __future__ import annotations

from collections.abc import Callable

from wirecase.http2.facts import DATA, Http2Facts, Stream
from wirecase.model import Marks

Starved = Callable[[int, Stream, int, bytes, int, Marks, int], None]
"""Told of a frame that uses up a window: side, stream, its length, the bytes and its place in them, marks, offset."""


def book(
    facts: Http2Facts, side: int, spans: dict[int, list[int]], data: bytes, marks: Marks, base: int, starved: Starved
) -> None:
    """Take the payloads that stand in `data` at the places `spans` tells: by stream, where each begins and ends.

    `base` is the stream offset of ``data[0]``. All streams are open for `side`; `spans` is empty afterwards.
    """
    half = facts.halves[side]
    streams = facts.streams
    sizes = {stream_id: sum(places[1::2]) - sum(places[::2]) for stream_id, places in spans.items()}
    total = sum(sizes.values())
    if half.window <= total or any(streams[stream_id].windows[side] <= size for stream_id, size in sizes.items()):
        _book_each(facts, side, spans, data, marks, base, starved)
        return
    half.window -= total
    for stream_id, places in spans.items():
        stream, size, count = streams[stream_id], sizes[stream_id], len(places) >> 1
        half.frames.by_type[DATA] += count
        stream.windows[side] -= size
        stream.data_bytes[side] += size
        stream.data_frames[side] += count
        stream.last[side] = (marks, base + places[-1] - 1)
        body = stream.bodies[side]
        if body is not None:
            body.feed_all(data, places, marks, base)
    spans.clear()


def _book_each(
    facts: Http2Facts, side: int, spans: dict[int, list[int]], data: bytes, marks: Marks, base: int, starved: Starved
) -> None:
    half = facts.halves[side]
    frames = [
        (begin, end, stream_id)
        for stream_id, places in spans.items()
        for begin, end in zip(places[::2], places[1::2], strict=True)
    ]
    for begin, end, stream_id in sorted(frames):
        stream, length = facts.streams[stream_id], end - begin
        half.frames.by_type[DATA] += 1
        half.window -= length
        stream.windows[side] -= length
        stream.data_bytes[side] += length
        stream.data_frames[side] += 1
        stream.last[side] = (marks, base + end - 1)
        if stream.windows[side] <= 0 or half.window <= 0:
            starved(side, stream, length, data, begin - 9, marks, base + begin - 9)
        body = stream.bodies[side]
        if body is not None:
            body.feed(data, begin, end, marks, base + begin)
    spans.clear()
