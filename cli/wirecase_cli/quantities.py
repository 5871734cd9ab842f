"""Durations and sizes as people write them: ``5m``, ``256MB``."""

from __future__ import annotations

import re

from wirecase.errors import UsageError

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)?")
_SECONDS = {"ms": 0.001, None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def duration(text: str, option: str) -> float:
    """Return seconds. Raises UsageError, naming the `option`."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{option} {text} is no duration: write 30s, 5m, 2h or 1d")
    return float(found[1]) * _SECONDS[found[2]]


def size(text: str, option: str) -> int:
    """Return bytes; MB are millions, MiB are 1,048,576. Raises UsageError, naming the `option`."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{option} {text} is no size: write 64MB, 1.5GB or 256MiB")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** _POWERS[found[2].lower()])
