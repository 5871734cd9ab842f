"""*no_leak*: whether anything grows from round to round.

Samples are taken at the ends of the rounds of one process, at about the same point of its work. The first rounds warm
caches and are left out. A straight line is put through the rest by least squares. It is a leak only if all of this
holds: the line explains most of what is seen (a staircase or a slope, not noise), what it adds over the rounds is more
than an allocator moves by itself, and the second half still grows like the first (a cache that fills comes to rest).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wirecase.replay.model import Check, Sample

FEWEST = 12
"""Samples below which nothing is said."""
WARM_UP = 0.25
"""Share of the rounds that is left out at the beginning."""
EXPLAINED = 0.6
"""Share of the variance that the line must explain (R²)."""
STILL = 0.4
"""The second half must grow by at least this much of the first."""
LEAST_MEMORY = 2 << 20
"""Bytes that memory must grow by, over all rounds, to be called a leak; and 2 % of what there is."""
LEAST_COUNT = 4
"""The same for descriptors, threads, connections and streams."""

_METRICS: tuple[tuple[str, Callable[[Sample], float], bool], ...] = (
    ("memory", lambda one: one.rss, True),
    ("descriptors", lambda one: one.descriptors, False),
    ("threads", lambda one: one.threads, False),
    ("connections", lambda one: one.connections, False),
    ("open streams", lambda one: one.open_streams, False),
)


@dataclass(slots=True, frozen=True)
class Line:
    """A straight line through samples, by least squares."""

    slope: float
    """Per round."""
    first: float
    """Where it begins."""
    explained: float
    """R², 0 to 1; 0 where nothing varies."""


def fit(rounds: Sequence[float], values: Sequence[float]) -> Line:
    """Return the line through `values` at `rounds`; at least two different rounds are needed."""
    n = len(values)
    mean_x, mean_y = sum(rounds) / n, sum(values) / n
    xx = sum((x - mean_x) ** 2 for x in rounds)
    xy = sum((x - mean_x) * (y - mean_y) for x, y in zip(rounds, values, strict=True))
    yy = sum((y - mean_y) ** 2 for y in values)
    slope = xy / xx
    return Line(slope, mean_y + slope * (rounds[0] - mean_x), xy * xy / (xx * yy) if yy else 0.0)


def no_leak(samples: Sequence[tuple[int, Sample]], rounds: int) -> Check:
    """Judge samples of one process, each with how many rounds were over; `rounds` is how many were asked for."""
    if rounds < 2:
        return Check("no_leak", "untold", "asked for with --loop N")
    if len(samples) < FEWEST:
        why = f"{len(samples)} samples at the ends of rounds of one process are too few: {FEWEST} are needed"
        return Check("no_leak", "untold", why)
    warm = list(samples[int(len(samples) * WARM_UP) :])
    numbers = [number for number, _ in warm]
    passed = numbers[-1] - numbers[0]
    evidence: list[dict[str, object]] = []
    growing: list[str] = []
    for name, of, memory in _METRICS:
        values = [float(of(sample)) for _, sample in warm]
        line = fit(numbers, values)
        grows = _grows(numbers, values, line, LEAST_MEMORY + 0.02 * abs(line.first) if memory else LEAST_COUNT)
        evidence.append(
            {
                "metric": name,
                "slope_per_round": round(line.slope, 4),
                "explained": round(line.explained, 3),
                "first": values[0],
                "last": values[-1],
                "rounds": passed,
                "samples": len(values),
                "grows": grows,
            }
        )
        if grows:
            growing.append(f"{name} by {_amount(line.slope, memory=memory)} a round")
    if growing:
        return Check("no_leak", "fail", f"growth over {passed} rounds: {', '.join(growing)}", evidence)
    return Check("no_leak", "pass", f"nothing grew over {passed} rounds", evidence)


def _grows(rounds: list[int], values: list[float], line: Line, least: float) -> bool:
    added = line.slope * (rounds[-1] - rounds[0])
    if added < least or line.explained < EXPLAINED:
        return False
    middle = len(values) // 2
    first, second = fit(rounds[:middle], values[:middle]).slope, fit(rounds[middle:], values[middle:]).slope
    return second > 0 and second >= STILL * first


def _amount(slope: float, *, memory: bool) -> str:
    if not memory:
        return f"{slope:.2g}"
    return f"{slope / 1024:.1f} KiB" if slope < 1 << 20 else f"{slope / (1 << 20):.1f} MiB"
