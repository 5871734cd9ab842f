"""Windows over time: what the walk recomputed, read after every frame, as points, stalls and violations.

No window is computed here: the numbers are those that the rules judge by (`wirecase.http2.limits`), in the sender's
favour where the place of the capture leaves a doubt.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from wirecase.http2.facts import ControlFrame
from wirecase.model import Mark
from wirecase.picturing.model import Leak, Limits, Point, Series, Stall, Violation
from wirecase.picturing.thinning import PointThinner

_LEAST_IDLE = 2
"""Idle moments that a trend needs."""


@dataclass(slots=True)
class _Idle:
    """The connection window at a moment when no stream was open."""

    time: int
    streams: int
    window: int


class Watch:
    """One series in the making."""

    def __init__(self, series: Series, limits: Limits) -> None:
        self.series = series
        self._limits = limits
        self._thinner = PointThinner(limits.points)
        self._value: int | None = None
        """What is left; None before it begins, and once it is unknown."""
        self._stall: Stall | None = None
        self._longest: list[tuple[int, int, Stall]] = []
        """A heap: (length, number, stall)."""
        self._idle: list[_Idle] = []
        """The first idle moment and the last."""

    @property
    def value(self) -> int | None:
        """What is left; None before it begins, and once it is unknown."""
        return self._value

    @property
    def known(self) -> bool:
        """It has begun, and its numbers go on."""
        return self._value is not None

    @property
    def begun(self) -> bool:
        """It has a point, be it that nothing is known."""
        return self._thinner.seen > 0

    def open(self, mark: Mark, value: int) -> None:
        """It begins with `value` left."""
        self.series.begin = self.series.end = mark.time
        self._value = value
        self._thinner.add(Point(mark.time, value, "open", 0, mark.source, mark.packet, self.series.stream))
        self._touch(mark, "", value, busy=True)

    def move(self, frame: ControlFrame, mark: Mark, name: str, value: int, *, busy: bool) -> None:
        """A frame has had its effect; `busy`: the sender is not done."""
        before = self._value
        if before is None:
            return
        if mark.time > self.series.end:
            self.series.end = mark.time
        if value != before:
            self._value = value
            change = value - before
            point = Point(
                mark.time, value, name, change, mark.source, mark.packet, frame.stream, mark.offset, frame.side
            )
            self._thinner.add(point)
            if name == "DATA" and value < 0:
                self.series.violations_seen += 1
        elif value > 0:
            return  # no stall can begin or end here
        self._touch(mark, name, value, busy=busy)

    def lose(self, mark: Mark, by: str, why: str) -> None:
        """From here on nothing is known."""
        if self.series.unknown_since is not None:
            return
        self._end_stall(mark.time, "unknown", None)
        if not self._thinner.seen:
            self.series.begin = mark.time
        self.series.end = max(self.series.end, mark.time)
        self._value = None
        self.series.unknown_since, self.series.unknown_why = mark.time, why
        self._thinner.add(Point(mark.time, None, by, 0, mark.source, mark.packet, self.series.stream))

    def violate(self, violation: Violation) -> None:
        """A frame broke the rules; DATA over the window was counted when it moved it."""
        if violation.kind != "over":
            self.series.violations_seen += 1
        if len(self.series.violations) < self._limits.stalls:
            self.series.violations.append(violation)

    def done(self, mark: Mark | None) -> None:
        """The sender has ended the stream: with its last frame at `mark`, where that is known."""
        if mark is not None:
            self._end_stall(mark.time, "stream end", mark.packet)

    def idle(self, time: int, streams: int) -> None:
        """No stream is open."""
        value = self.value
        if value is None:
            return
        moment = _Idle(time, streams, value)
        self._idle = [self._idle[0], moment] if self._idle else [moment]

    # ---- stalls ------------------------------------------------------------------------------------------------

    def _touch(self, mark: Mark, name: str, value: int, *, busy: bool) -> None:
        if value > 0 or not busy:
            how = name if value > 0 else "reset" if name == "RST_STREAM" else "stream end"
            self._end_stall(mark.time, how, mark.packet)
        elif self._stall is None:
            self._stall = Stall(mark.time, mark.time, value, mark.packet, mark.source, "end")
        else:
            self._stall.value = value

    def _end_stall(self, time: int, how: str, packet: int | None) -> None:
        stall, self._stall = self._stall, None
        if stall is None:
            return
        stall.until, stall.ended_by, stall.end_packet = max(time, stall.since), how, packet
        lasted = stall.until - stall.since
        if not lasted:
            return  # within one packet: nobody waited
        self.series.stalls_seen += 1
        self.series.stalled += lasted
        heapq.heappush(self._longest, (lasted, -self.series.stalls_seen, stall))
        if len(self._longest) > self._limits.stalls:
            heapq.heappop(self._longest)

    # ---- the end -----------------------------------------------------------------------------------------------

    def finish(self, end: int) -> Series:
        """Nothing more will come of it; a stall that goes on lasts until `end`."""
        series = self.series
        if self._stall is not None:
            series.end = max(series.end, end)
            self._end_stall(end, "end", None)
        series.points = self._thinner.points()
        series.seen = self._thinner.seen
        series.lowest, series.highest = self._thinner.lowest, self._thinner.highest
        series.stalls = sorted((stall for _, _, stall in self._longest), key=lambda stall: stall.since)
        series.leak = self._leak()
        return series

    def _leak(self) -> Leak | None:
        if len(self._idle) < _LEAST_IDLE:
            return None
        first, last = self._idle
        lost, streams = first.window - last.window, last.streams - first.streams
        if lost <= 0 or streams <= 0:
            return None
        seconds = (last.time - first.time) / 1e9
        return Leak(
            first.time, last.time, first.window, last.window, streams, round(lost / streams, 1),
            round(lost / seconds, 1) if seconds > 0 else 0.0,
        )  # fmt: skip
