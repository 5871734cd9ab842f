from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecase.explaining.records import LONGEST_LINE, MOST_LINES, records, when

NOON = 1_748_779_200 * 10**9  # 2025-06-01T12:00:00Z


@pytest.mark.parametrize(
    ("line", "after", "zoned"),
    [
        ("2025-06-01T12:00:00Z x", 0, True),
        ("2025-06-01T12:00:00.250Z x", 250_000_000, True),
        ("[2025-06-01T12:00:00.123456789Z ERROR a] x", 123_456_789, True),
        ("2025-06-01 14:00:00,5 +0200 x", 500_000_000, True),
        ("2025-06-01 12:00:00.5 x", 500_000_000, False),
        ("2025/06/01 12:00:00 [error] 30#30: x", 0, False),
        ('1.2.3.4 - - [01/Jun/2025:12:00:00 +0000] "POST /"', 0, True),
        ("1.2.3.4:5 [01/Jun/2025:12:00:00.776] fe~ be/s", 776_000_000, False),
        ("I0000 00:00:1748779200.250000    1008 chttp2_transport.cc:1] x", 250_000_000, True),
        ('{"level":"error","ts":1748779200.5,"msg":"x"}', 500_000_000, True),
        ('{"ts":1748779200123}', 123_000_000, True),
        ("Jun 1 12:00:00 host app[1]: x", 0, False),
        ("Jun 01, 2025 12:00:00 PM io.grpc.X fail", 0, False),
    ],
)
def test_times_in_common_formats(line: str, after: int, zoned: bool) -> None:
    assert when(line, year=2025) == (NOON + after, zoned)


@pytest.mark.parametrize(
    "line", ["", "no time here", "2025-13-41T25:61:61Z", "port 1748", "Jun 1 12:00:00 without year"]
)
def test_what_is_no_time(line: str) -> None:
    assert when(line) is None


def test_lines_that_go_on_belong_to_the_record_before() -> None:
    log = [
        "2025-06-01T12:00:00Z ERROR a",
        "  at b",
        "Caused by:",
        "    0: c",
        "2025-06-01T12:00:01Z INFO d",
        "no time e",
    ]
    found = list(records(log))
    assert [(one.line, len(one.lines)) for one in found] == [(1, 4), (5, 1), (6, 1)]
    assert found[2].time == found[1].time == NOON + 10**9


def test_a_log_is_read_as_it_comes_and_kept_in_bounds() -> None:
    taken = 0

    def lines() -> object:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield f"2025-06-01T12:00:00Z {number}" + "x" * 100_000

    first = next(records(lines()))  # type: ignore[arg-type]
    assert taken <= 3
    assert len(first.text) <= LONGEST_LINE
    endless = list(records(["2025-06-01T12:00:00Z a", *["  at b"] * 10_000]))
    assert len(endless) == 1
    assert len(endless[0].lines) == MOST_LINES


@given(st.lists(st.text(max_size=80), max_size=20))
def test_any_lines_are_records(lines: list[str]) -> None:
    found = list(records(lines))
    assert sum(len(one.lines) for one in found) <= len(lines)
