"""Thinning: few of many, with all extremes, and nothing lost from the sums."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wirecase.picturing.model import FrameMark, Point
from wirecase.picturing.thinning import SMALLEST_LIMIT, MarkBundler, PointThinner

STEPS = st.lists(
    st.tuples(st.integers(-10_000, 10**12), st.one_of(st.none(), st.integers(-(2**31), 2**31))),
    min_size=1,
    max_size=600,
)


def points_of(steps: list[tuple[int, int | None]]) -> list[Point]:
    time, made = 10**18, []
    for step, value in steps:
        time += step
        made.append(Point(time, value, "DATA"))
    return made


@given(STEPS, st.integers(0, 400))
def test_points_keep_both_ends_and_both_extremes_in_order(steps: list[tuple[int, int | None]], limit: int) -> None:
    given_points = points_of(steps)
    thinner = PointThinner(limit)
    for point in given_points:
        thinner.add(point)
    kept = thinner.points()
    assert len(kept) <= max(limit, SMALLEST_LIMIT)
    assert thinner.seen == len(given_points)
    places = {id(point): place for place, point in enumerate(given_points)}
    order = [places[id(point)] for point in kept]
    assert order == sorted(set(order))
    assert kept[0] is given_points[0]
    assert kept[-1] is given_points[-1]
    values = [point.value for point in given_points if point.value is not None]
    if values:
        assert min(values) == min(point.value for point in kept if point.value is not None)
        assert max(values) == max(point.value for point in kept if point.value is not None)
        assert thinner.lowest is not None
        assert thinner.lowest.value == min(values)
        assert thinner.highest is not None
        assert thinner.highest.value == max(values)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(-100, 10**6)), min_size=1, max_size=600))
def test_every_stretch_of_time_shows_the_range_that_it_had(steps: list[tuple[int, int]]) -> None:
    given_points = points_of([*steps])
    thinner = PointThinner(SMALLEST_LIMIT)
    for point in given_points:
        thinner.add(point)
    begin, width = given_points[0].time, thinner._width if thinner.seen > SMALLEST_LIMIT else 1

    def ranges(points: list[Point]) -> dict[int, tuple[int, int]]:
        found: dict[int, list[int]] = {}
        for point in points:
            assert point.value is not None
            found.setdefault((point.time - begin) // width, []).append(point.value)
        return {place: (min(values), max(values)) for place, values in found.items()}

    assert ranges(thinner.points()) == ranges(given_points)


def test_few_points_all_stay() -> None:
    thinner = PointThinner(400)
    for point in points_of([(0, value) for value in range(400)]):  # all in one packet
        thinner.add(point)
    assert [point.value for point in thinner.points()] == list(range(400))
    thinner.add(Point(10**18, 7, "DATA"))
    assert len(thinner.points()) <= 4


NAMES = ("DATA", "WINDOW_UPDATE", "HEADERS", "PING", "type 0x2a", "type 0xfe")


@given(
    st.lists(
        st.tuples(st.integers(0, 10**9), st.sampled_from(NAMES), st.integers(0, 1), st.booleans(), st.booleans()),
        max_size=800,
    ),
    st.integers(0, 300),
)
def test_bundles_lose_no_frame_and_no_byte(frames: list[tuple[int, str, int, bool, bool]], limit: int) -> None:
    bundler = MarkBundler(limit)
    time, proofs = 10**18, 0
    for number, (step, name, side, notable, proof) in enumerate(frames, 1):
        time += step
        found = ("F1",) if proof else ()
        proofs += proof
        mark = FrameMark("frame", name, side, time, 0, number, number * 10, 1, number, findings=found)
        bundler.add(mark, notable=notable)
    marks = list(bundler.marks())
    assert len(marks) <= max(limit, SMALLEST_LIMIT)
    assert bundler.seen == sum(mark.count for mark in marks) == len(frames)
    assert sum(mark.length for mark in marks) == sum(range(1, len(frames) + 1))
    assert [mark.time for mark in marks] == sorted(mark.time for mark in marks)
    assert all(mark.time <= mark.until for mark in marks)
    if proofs:
        assert any(mark.findings for mark in marks)
    if proofs <= SMALLEST_LIMIT // 2:
        assert sum(1 for mark in marks if mark.findings and mark.count == 1) == proofs


def test_what_proves_something_stands_alone() -> None:
    bundler = MarkBundler(SMALLEST_LIMIT)
    for number in range(5_000):
        proof = ("F1",) if number == 4_321 else ()
        mark = FrameMark("frame", "DATA", 0, 10**18 + number * 1_000, 0, number, number, 1, 10, findings=proof)
        bundler.add(mark, notable=False)
    (alone,) = [mark for mark in bundler.marks() if mark.findings]
    assert (alone.packet, alone.count, alone.until) == (4_321, 1, alone.time)
