"""A log as records: which lines belong together, and when they were written. Memory does not depend on its length."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

LONGEST_LINE = 8192
"""Characters of a line that are kept."""
MOST_LINES = 80
"""Lines of one record that are kept: an error, its causes, some of a stack trace."""


@dataclass(slots=True)
class Record:
    """A line of a log with those that continue it."""

    line: int
    """Number of its first line, from 1."""
    time: int | None
    """ns since the epoch; its own, or that of the record before; None where no time was seen yet."""
    zoned: bool
    """False where the time had no zone and was taken for UTC."""
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All its lines."""
        return "\n".join(self.lines)


_ISO = re.compile(
    r"(\d{4})[-/](\d{2})[-/](\d{2})[T _-](\d{2}):(\d{2}):(\d{2})(?:[.,:](\d{1,9}))?\s?(Z|UTC|[+-]\d{2}:?\d{2})?(?!\d)"
)
_CLF = re.compile(r"(\d{2})/([A-Z][a-z]{2})/(\d{4}):(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?: ([+-]\d{4}))?")
_ABSL = re.compile(r"\b[IWEF]\d{4} \d{2}:\d{2}:\d{2}\.\d{6}:(\d{10})\.(\d{6})|\b[IWEF]0000 00:00:(\d{10})\.(\d{6})")
_EPOCH_FIELD = re.compile(
    r"(?:\"(?:ts|time|timestamp)\"\s?:\s?\"?|^@?|\"created\":\"@)(1[0-9]{9})(?:\.(\d{1,9})|(\d{3}))?(?![\d])"
)
_SYSLOG = re.compile(r"^(?:<\d+>)?([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d{2}):(\d{2}):(\d{2})")
_JUL = re.compile(r"^([A-Z][a-z]{2}) (\d{2}), (\d{4}) (\d{1,2}):(\d{2}):(\d{2}) ([AP]M)")
_MONTHS = {
    "Jan": 1, "Feb": 2, "Mar": 3, "Apr": 4, "May": 5, "Jun": 6, "Jul": 7, "Aug": 8, "Sep": 9, "Oct": 10, "Nov": 11,
    "Dec": 12,
}  # fmt: skip
_START = datetime(1970, 1, 1, tzinfo=UTC)
_WITHIN = 240
"""Characters at a line's beginning in which its time is looked for."""
_GOES_ON = re.compile(
    r"\s|Caused by|at |\d+: |\.\.\. \d+ more|[)}\]>]|--->|debug_error_string|details =|status =|Rst Stream|Received "
    r"|(?:invalid|missing) (?:content-type|GRPC)|(?:trailers|headers): |DATA-|metadata filters"
)


def when(line: str, *, year: int | None = None) -> tuple[int, bool] | None:
    """Return the time at a line's beginning, ns since the epoch, and whether it names its zone; None if it has none.

    `year` completes syslog's dates.
    """
    head = line[:_WITHIN]
    if found := _ISO.search(head):
        y, mo, d, h, mi, s, frac, zone = found.groups()
        return _build(int(y), int(mo), int(d), int(h), int(mi), int(s), frac, zone)
    if found := _CLF.search(head):
        d, name, y, h, mi, s, frac, zone = found.groups()
        return _build(int(y), _MONTHS.get(name, 0), int(d), int(h), int(mi), int(s), frac, zone)
    if found := _ABSL.search(head):
        seconds, micros = (found[1], found[2]) if found[1] else (found[3], found[4])
        return int(seconds) * 10**9 + int(micros) * 1000, True
    if found := _EPOCH_FIELD.search(head):
        frac = (found[2] or found[3] or "0").ljust(9, "0")
        return int(found[1]) * 10**9 + int(frac), True
    if found := _JUL.match(head):
        name, d, y, h, mi, s, half = found.groups()
        hour = int(h) % 12 + (12 if half == "PM" else 0)
        return _build(int(y), _MONTHS.get(name, 0), int(d), hour, int(mi), int(s), None, None)
    if (found := _SYSLOG.match(head)) and year is not None:
        name, d, h, mi, s = found.groups()
        return _build(year, _MONTHS.get(name, 0), int(d), int(h), int(mi), int(s), None, None)
    return None


def _build(
    year: int, month: int, day: int, hour: int, minute: int, second: int, frac: str | None, zone: str | None
) -> tuple[int, bool] | None:
    try:
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None
    shift = 0
    if zone and zone[0] in "+-":
        shift = (1 if zone[0] == "+" else -1) * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60)
    seconds = (moment - _START) // timedelta(seconds=1) - shift
    return seconds * 10**9 + int((frac or "0").ljust(9, "0")), zone is not None


def records(lines: Iterable[str], *, year: int | None = None) -> Iterator[Record]:
    """Join the lines of a log to records: one without a time that reads as if it went on belongs to the one before."""
    current: Record | None = None
    last: tuple[int, bool] | None = None
    for number, raw in enumerate(lines, 1):
        text = raw[:LONGEST_LINE].rstrip("\r\n")
        if not text.strip():
            continue
        time = when(text, year=year)
        if time is None and current is not None and _GOES_ON.match(text):
            if len(current.lines) < MOST_LINES:
                current.lines.append(text)
            continue
        if current is not None:
            yield current
        last = time or last
        current = Record(number, last[0] if last else None, last[1] if last else False, [text])
    if current is not None:
        yield current
