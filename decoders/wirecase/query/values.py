"""Values as a person types them in a filter: durations, sizes, times, statuses, error codes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from wirecase.grpc.status import STATUS_NAMES
from wirecase.http2.facts import ERROR_NAMES

_NUMBER = re.compile(r"\d{1,18}|0[xX][0-9a-fA-F]{1,15}", re.A)
_AMOUNT = re.compile(r"(\d{1,12})(?:\.(\d{1,9}))?([a-zA-Zµ]*)", re.A)
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[Tt _](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?([Zz]|[+-]\d\d:?\d\d)?", re.A)
_SECONDS = re.compile(r"(\d{1,11})(?:\.(\d{1,9}))?", re.A)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DURATIONS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "min": 60 * 10**9, "h": 3600 * 10**9,
    "d": 86_400 * 10**9,
}  # fmt: skip
_SIZES = {
    "": 1, "b": 1, "k": 10**3, "kb": 10**3, "mb": 10**6, "gb": 10**9, "m": 10**6, "g": 10**9, "kib": 1 << 10,
    "mib": 1 << 20, "gib": 1 << 30,
}  # fmt: skip


class ValueProblem(ValueError):
    """A value does not fit its field; the text says what would."""


def number(text: str) -> int:
    """Return a whole number, decimal or ``0x…``."""
    if not _NUMBER.fullmatch(text):
        raise ValueProblem(f"{_shown(text)} is no whole number")
    return int(text, 16 if text[:2] in ("0x", "0X") else 10)


def duration(text: str) -> int:
    """Return a length of time in ns: ``1.5s``, ``200ms``, ``2m``."""
    return _amount(text, _DURATIONS, "a duration needs a unit: ns, us, ms, s, m, h or d, as in 1.5s")


def size(text: str) -> int:
    """Return a number of bytes: ``512``, ``64kB``, ``4MiB``."""
    return _amount(text.lower(), _SIZES, "a size is a number with B, kB, MB, GB, KiB, MiB, GiB or nothing behind it")


def _amount(text: str, units: dict[str, int], wanted: str) -> int:
    found = _AMOUNT.fullmatch(text)
    if found is None or found[3] not in units:
        raise ValueProblem(f"{_shown(text)}: {wanted}")
    unit, fraction = units[found[3]], found[2] or ""
    return int(found[1]) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)


def time(text: str) -> int:
    """Return a point in time in ns since 1970: ``2025-06-01T12:00:00Z`` (UTC without a zone) or seconds since 1970."""
    if found := _SECONDS.fullmatch(text):
        return int(found[1]) * 10**9 + int((found[2] or "0").ljust(9, "0"))
    if found := _TIME.fullmatch(text):
        zone = "+00:00" if found[5] in (None, "Z", "z") else found[5]
        try:
            moment = datetime.fromisoformat(f"{found[1]}T{found[2] or '00:00'}:{found[3] or '00'}{zone}")
        except ValueError as error:
            raise ValueProblem(f"{_shown(text)}: {error}") from error
        return (moment - _EPOCH) // timedelta(seconds=1) * 10**9 + int((found[4] or "0").ljust(9, "0"))
    raise ValueProblem(f"{_shown(text)}: a time is written 2025-06-01T12:00:00Z, or in seconds since 1970")


def status(text: str) -> int:
    """Return a grpc-status by its number or its name."""
    return _named(text, STATUS_NAMES, "grpc-status")


def error_code(text: str) -> int:
    """Return an HTTP/2 error code by its number or its name."""
    return _named(text, ERROR_NAMES, "HTTP/2 error code")


def _named(text: str, names: tuple[str, ...], what: str) -> int:
    if _NUMBER.fullmatch(text):
        return number(text)
    name = text.upper().replace("-", "_")
    if name not in names:
        wanted = hint(name, names) or f": write its number or its name, such as {names[-1]}"
        raise ValueProblem(f"{_shown(text)} is no {what}{wanted}")
    return names.index(name)


def choice(text: str, names: tuple[str, ...]) -> str:
    """Return which of `names` is meant."""
    if text.lower() not in names:
        raise ValueProblem(f"{_shown(text)} is none of {', '.join(names)}")
    return text.lower()


def hint(text: str, names: Iterable[str]) -> str:
    """Return `` (did you mean …?)`` if a name is near, else nothing."""
    near = difflib.get_close_matches(text[:64], list(names), 1, 0.6)
    return f" (did you mean {near[0]}?)" if near else ""


def _shown(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
