"""Points in time as the options take them."""

from __future__ import annotations

import pytest

from wirecase import errors
from wirecase_cli import moments


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0", 0),
        ("1748779200", 1_748_779_200 * 10**9),
        ("1748779200.000000001", 1_748_779_200 * 10**9 + 1),
        ("2025-06-01T12:00:00Z", 1_748_779_200 * 10**9),
        ("2025-06-01 12:00", 1_748_779_200 * 10**9),
        ("2025-06-01T12:00:00.123456789Z", 1_748_779_200_123_456_789),
        ("2025-06-01T14:00:00+02:00", 1_748_779_200 * 10**9),
        ("2025-06-01T08:00:00-0400", 1_748_779_200 * 10**9),
        ("-90s", 10**18 - 90 * 10**9),
        ("-15m", 10**18 - 900 * 10**9),
        ("-2h", 10**18 - 7200 * 10**9),
        ("-1d", 10**18 - 86400 * 10**9),
    ],
)
def test_moments(text: str, ns: int) -> None:
    assert moments.parse(text, "--since", now=10**18) == ns


@pytest.mark.parametrize(
    "text", ["", "x", "12:00", "+5m", "-5x", "2025-13-01T00:00:00Z", "2025-06-01T25:00:00Z", "1e9"]
)
def test_moments_that_are_none(text: str) -> None:
    with pytest.raises(errors.UsageError, match="--since"):
        moments.parse(text, "--since")
