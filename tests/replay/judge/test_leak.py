"""*no_leak*: slopes against noise, warm-up and staircases."""

from __future__ import annotations

import random

import pytest

from wirecase.replay.judge import no_leak
from wirecase.replay.judge.leak import fit
from wirecase.replay.model import Sample

MIB = 1 << 20


def samples(count: int, **of) -> list[tuple[int, Sample]]:
    """Samples whose metrics are functions of the round; others stand still."""
    still = {"rss": 50 * MIB, "cpu": 0.0, "descriptors": 12, "threads": 4, "connections": 1, "open_streams": 0}
    return [
        (i, Sample(at=float(i), **{name: int(of[name](i)) if name in of else value for name, value in still.items()}))
        for i in range(count)
    ]


def test_a_line_is_found():
    line = fit(range(0, 20, 2), [3.0 + 2.0 * x for x in range(0, 20, 2)])
    assert (line.slope, line.first, line.explained) == pytest.approx((2.0, 3.0, 1.0))
    assert fit(range(4), [5.0] * 4).explained == 0.0


@pytest.mark.parametrize(
    "of",
    [
        {"rss": lambda i: 50 * MIB + i * 64 * 1024},
        {"descriptors": lambda i: 12 + i},
        {"descriptors": lambda i: 12 + i // 10},
        {"threads": lambda i: 4 + i // 3},
        {"connections": lambda i: 1 + i},
        {"open_streams": lambda i: i},
        {"rss": lambda i: 50 * MIB + i * 100_000 + (i % 3) * MIB},
    ],
)
def test_growth(of):
    found = no_leak(samples(100, **of), 100)
    assert found.outcome == "fail"
    grown = [one for one in found.evidence if one["grows"]]
    assert len(grown) == 1 and grown[0]["slope_per_round"] > 0


@pytest.mark.parametrize(
    "of",
    [
        {},
        {"rss": lambda i: 50 * MIB + min(i, 20) * MIB},  # a cache that fills
        {"rss": lambda i: 50 * MIB + (i % 7) * 3 * MIB},  # a sawtooth
        {"rss": lambda i: 50 * MIB + i * 4096},  # what an allocator moves by itself
        {"rss": lambda i: 90 * MIB - i * 100_000},
        {"descriptors": lambda i: 12 + i % 5},
        {"descriptors": lambda i: 12 + (i > 50) * 3},
    ],
)
def test_no_growth(of):
    assert no_leak(samples(100, **of), 100).outcome == "pass"


def test_noise_is_no_growth():
    chance = random.Random(1)
    for seed in range(50):
        noisy = samples(
            60, rss=lambda _: 50 * MIB + chance.gauss(0, 4 * MIB), descriptors=lambda _: chance.randint(8, 16)
        )
        assert no_leak(noisy, 60).outcome == "pass", seed


def test_growth_shows_through_noise():
    chance = random.Random(1)
    for seed in range(50):
        noisy = samples(200, rss=lambda i: 50 * MIB + i * 200_000 + chance.gauss(0, 4 * MIB))
        assert no_leak(noisy, 200).outcome == "fail", seed


def test_too_little_to_tell():
    assert no_leak([], 1).outcome == "untold"
    assert no_leak(samples(5), 5).outcome == "untold"
    found = no_leak(samples(1), 50)
    assert found.outcome == "untold" and "one process" in found.why
