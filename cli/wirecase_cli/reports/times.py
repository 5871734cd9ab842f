"""Times as reports write them. All times are integers, nanoseconds since 1970-01-01 UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000_000
_LAST_SECOND = int((datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - _EPOCH).total_seconds())
_FIRST_SECOND = int((datetime(1, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())


def rfc3339(ns: int) -> str:
    """Write a time as RFC 3339 with nanoseconds: ``2025-06-01T12:00:00.123456789Z``.

    A broken clock or a damaged file may give a time outside of the years 1 to 9999, which RFC 3339 cannot write: such
    a time is written as the nearest one that it can.
    """
    seconds, fraction = divmod(ns, _SECOND)
    return f"{_moment(seconds).isoformat(timespec='seconds')}.{fraction:09d}Z"


def clock(ns: int) -> str:
    """Write the time of day (UTC) with milliseconds: ``12:00:00.123``."""
    seconds, fraction = divmod(ns, _SECOND)
    return f"{_moment(seconds):%H:%M:%S}.{fraction // 1_000_000:03d}"


def day(ns: int) -> str:
    """Write the day (UTC): ``2025-06-01``."""
    return _moment(ns // _SECOND).date().isoformat()


def duration(ns: int) -> str:
    """Write a length of time in the two units that matter: ``850 ms``, ``12.5 s``, ``3 min 10 s``, ``2 h 5 min``."""
    ms = ns // 1_000_000
    if ms < 1000:
        return f"{ms} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    seconds = ms // 1000
    for size, name, below, below_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            rest = seconds % size // below
            return f"{seconds // size} {name}" + (f" {rest} {below_name}" if rest else "")
    return f"{seconds} s"


def _moment(seconds: int) -> datetime:
    """Return UTC without a zone, as it is written."""
    moment = _EPOCH + timedelta(seconds=min(max(seconds, _FIRST_SECOND), _LAST_SECOND))
    return moment.replace(tzinfo=None)
