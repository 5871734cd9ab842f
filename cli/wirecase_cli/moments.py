"""Points in time as a person types them on the command line."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

from wirecase.errors import UsageError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORMS = "2025-06-01T12:00:00Z, 1748779200.5 (seconds since 1970) or -15m (before now; s, m, h, d)"
_ABSOLUTE = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt _](\d{2}:\d{2})(?::(\d{2})(?:[.,](\d{1,9})\d*)?)?\s*([Zz]|[+-]\d{2}:?\d{2})?"
)
_SECONDS = re.compile(r"(\d{1,11})(?:\.(\d{1,9})\d*)?")
_BEFORE_NOW = re.compile(r"-(\d{1,9})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse(text: str, option: str, *, now: int | None = None) -> int:
    """Return the point in time that `text` names, in ns since 1970-01-01 UTC.

    A date without a zone is UTC, as in the reports. `now` (ns) stands in for the clock. Raises UsageError, naming the
    `option`, if no form fits.
    """
    text = text.strip()
    if found := _BEFORE_NOW.fullmatch(text):
        now = time.time_ns() if now is None else now
        return now - int(found[1]) * _UNITS[found[2]] * 1_000_000_000
    if found := _SECONDS.fullmatch(text):
        return int(found[1]) * 1_000_000_000 + _fraction(found[2])
    if found := _ABSOLUTE.fullmatch(text):
        zone = "+00:00" if found[5] is None or found[5] in "Zz" else found[5]
        try:
            moment = datetime.fromisoformat(f"{found[1]}T{found[2]}:{found[3] or '00'}{zone}")
        except ValueError as error:
            raise UsageError(f"{option} {text}: {error}") from error
        return (moment - _EPOCH) // timedelta(seconds=1) * 1_000_000_000 + _fraction(found[4])
    raise UsageError(f"{option} {text} is not a time that wirecase knows: write {_FORMS}")


def _fraction(digits: str | None) -> int:
    return int((digits or "0").ljust(9, "0"))
