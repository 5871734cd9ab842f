"""Several inputs as one: their packets in the order of time, with a window of each open input in memory.

Two kinds of inputs come together. The files of a *ring* (tcpdump -C, dumpcap -b) follow each other: a connection that
one of them leaves open goes on in the next. Captures taken at the *same time* (at two hosts, on two interfaces)
overlap: they are read side by side, and a connection that both hold is two, since their clocks differ.
Which it is shows only when an input's first packet is due: if another one still has packets then, they overlap - but
for `SLACK_NS`, since packets are not written quite in order.

What belongs together is a *lane*; each batch carries the number of its lane.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from wirecase.errors import InputError
from wirecase.model import PacketBatch
from wirecase.sources.following import family
from wirecase.sources.source import Source

SLACK_NS = 1_000_000_000
"""Files of a ring may overlap by this much, and by a tenth of the time before."""
STEP_NS = 100_000_000
"""How far one input may run ahead of another that is read at the same time: longer parts are read faster."""
MOST_OPEN = 8
"""Inputs read at the same time; what comes on top is read when one of them has ended."""

Batches = Iterator[tuple[Source, PacketBatch]]


@dataclass(slots=True, eq=False)
class _Lane:
    """Inputs that follow each other, of which at most one is being read."""

    number: int
    start: int
    now: int
    kin: str
    """What the names of its files share."""
    source: Source
    batches: Iterator[PacketBatch]
    batch: PacketBatch | None = None
    """The part of the window that was not handed on yet; None once the input has ended."""

    def slack(self) -> int:
        return min((self.now - self.start) // 10, SLACK_NS)

    def head(self) -> int:
        assert self.batch is not None
        return self.batch.times[0]


class TimeOrder:
    """One reading of `sources`, which come in the order of their first packets."""

    def __init__(
        self, sources: list[Source], failed: Callable[[InputError], None], successor: Callable[[Source], Source | None]
    ) -> None:
        """`failed` is told of inputs that turn out to be unreadable, `successor` names the file that follows one."""
        self._waiting = [(source.first or 0, source.index, source) for source in sources]
        self._waiting.sort(key=lambda entry: entry[:2], reverse=True)
        self._failed = failed
        self._successor = successor
        self._lanes: list[_Lane] = []
        self._open: list[_Lane] = []
        self._delayed: set[int] = set()
        """Inputs that were due and wait for the end of the slack."""

    def __iter__(self) -> Batches:
        """Yield the packets; a batch is valid only until the next one is asked for."""
        try:
            yield from self._run()
        finally:
            for lane in self._open:
                lane.source.close()

    def _run(self) -> Batches:
        while self._open or self._waiting:
            lane = min(self._open, key=_Lane.head, default=None)
            if self._waiting and len(self._open) < MOST_OPEN:
                due, index, source = self._waiting[-1]
                if lane is None or due <= lane.head():
                    self._waiting.pop()
                    self._begin(due, index, source)
                    continue
            assert lane is not None
            part = self._part(lane)
            lane.now = max(lane.now, part.times[-1])
            part.lane = lane.number
            yield lane.source, part
            if lane.batch is None:
                self._next(lane)

    def _part(self, lane: _Lane) -> PacketBatch:
        """Take the packets of a lane up to where another one's turn comes."""
        batch = lane.batch
        assert batch is not None
        others = [other.head() for other in self._open if other is not lane]
        if self._waiting and len(self._open) < MOST_OPEN:
            others.append(self._waiting[-1][0])
        count = len(batch.times)
        if others:
            count = max(bisect_right(batch.times, min(others) + STEP_NS), 1)
        lane.batch = None if count >= len(batch.times) else _slice(batch, count, None)
        return batch if lane.batch is None else _slice(batch, 0, count)

    def _begin(self, due: int, index: int, source: Source) -> None:
        """Open an input whose first packet is due, or let it wait until it shows whether another one ends here."""
        if self._open and index not in self._delayed:
            self._delayed.add(index)
            later = source.first or 0
            self._waiting.append((later + max(lane.slack() for lane in self._open), index, source))
            self._waiting.sort(key=lambda entry: entry[:2], reverse=True)
            return
        if self._open:
            source.alone = False
        lane = self._lane_for(source)
        lane.source, lane.batches, lane.kin = source, source.batches(), _kin(source)
        self._open.append(lane)
        self._next(lane)

    def _lane_for(self, source: Source) -> _Lane:
        """Return the lane that a new input goes on with: one that ended before it, best one of the same name."""
        first, kin = source.first or 0, _kin(source)
        ended = [lane for lane in self._lanes if lane not in self._open and lane.now - lane.slack() <= first]
        if ended:
            return max(ended, key=lambda lane: (lane.kin == kin, lane.now))
        lane = _Lane(len(self._lanes), first, first, kin, source, iter(()))
        self._lanes.append(lane)
        return lane

    def _next(self, lane: _Lane) -> None:
        """Read the next window of a lane's input, and go on with the file that follows where there is one."""
        try:
            lane.batch = next(lane.batches, None)
        except InputError as error:
            lane.batch = None
            self._failed(error)
        while lane.batch is None:
            lane.source.close()
            following = self._successor(lane.source)
            if following is None:
                self._open.remove(lane)
                return
            lane.source, lane.batches = following, following.batches()
            try:
                lane.batch = next(lane.batches, None)
            except InputError as error:
                self._failed(error)


def _kin(source: Source) -> str:
    return family(os.path.abspath(source.path)) if "://" not in source.path else family(source.path)


def _slice(batch: PacketBatch, start: int, stop: int | None) -> PacketBatch:
    return replace(
        batch,
        starts=batch.starts[start:stop],
        caplens=batch.caplens[start:stop],
        lengths=batch.lengths[start:stop],
        times=batch.times[start:stop],
        first_number=batch.first_number + start,
    )
