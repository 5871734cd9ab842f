"""``--expect``: what the user says that the client should report.

============================  ===============================================================================
``error``, ``ok``             every faulty call was reported with an error, or with OK (after a retry)
``CODE``, ``CODE:REGEX``      every faulty call was reported with this status, and with a text that matches
``CODE|CODE``                 with one of these
``exit=N``                    the client ended by itself with this exit status; ``exit=error``: with any but 0
``output=REGEX``              its output matches
============================  ===============================================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from wirecase.errors import UsageError
from wirecase.replay.client.reported import canonical

Kind = Literal["error", "ok", "code", "exit", "output"]


@dataclass(slots=True, frozen=True)
class Expectation:
    """One thing that is expected."""

    text: str
    """As the user wrote it."""
    kind: Kind
    code: str = ""
    """For ``exit`` the number, or ``error``."""
    codes: tuple[str, ...] = ()
    """Names of the statuses, for ``code`` and ``ok``."""
    pattern: re.Pattern[str] | None = None


def parse_expectation(text: str) -> Expectation:
    """Return what `text` says. Raises UsageError, in one line, if it says nothing that is known."""
    lowered = text.strip().lower()
    if lowered == "error":
        return Expectation(text, "error")
    if lowered == "ok":
        return Expectation(text, "ok", codes=("OK",))
    name, sign, value = text.partition("=")
    if sign and name.strip().lower() == "exit":
        wanted = value.strip().lower()
        if wanted != "error" and not (wanted.isdecimal() and int(wanted) < 256):
            raise UsageError(f"--expect {text}: an exit status is a number from 0 to 255, or error")
        return Expectation(text, "exit", wanted)
    if sign and name.strip().lower() == "output":
        return Expectation(text, "output", pattern=_compiled(text, value))
    name, sign, value = text.partition(":")
    codes = [canonical(one) for one in name.split("|")]
    known = tuple(code for code in codes if code is not None)
    if len(known) < len(codes):
        raise UsageError(
            f"--expect {text}: give a status such as UNAVAILABLE or INTERNAL:text, error, ok, exit=N or output=REGEX"
        )
    return Expectation(text, "code", codes=known, pattern=_compiled(text, value) if sign else None)


def _compiled(text: str, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--expect {text}: no regular expression: {error}") from error
