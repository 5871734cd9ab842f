"""``WIRECASE_REPORT``: a file to which the client may append one JSON line for each call that it made.

``{"call": "/pkg.Service/Method", "code": "INTERNAL", "details": "…", "messages": 3}``: `call` is the call's path, or
its number in the client's own count (of equal numbers the last line counts); `code` the status that the application was
given, by name or number (what is none of them, an exception's name for example, counts as UNKNOWN); `details` its text;
`messages` how many messages it got before. Unknown fields are ignored, and a line that is none of this is counted and
passed over.
"""

from __future__ import annotations

import json
import os
import re
import stat

from wirecase.grpc.status import STATUS_NAMES
from wirecase.replay.model import ReportedCall

MOST_BYTES = 16 << 20
"""Read from one file in all; a client that writes more is cut off there."""
MOST_LINES = 20_000
"""Kept at once."""
LONGEST_LINE = 1 << 20
LONGEST_DETAILS = 4096

_SPELLINGS = {name.replace("_", ""): name for name in STATUS_NAMES} | {"CANCELED": "CANCELLED"}


def canonical(code: object) -> str | None:
    """Return the upper-case name of a status code, however a library spells it; None for what is none."""
    if isinstance(code, bool) or code is None:
        return None
    if isinstance(code, int):
        return STATUS_NAMES[code] if 0 <= code < len(STATUS_NAMES) else None
    if not isinstance(code, str) or len(code) > 100:
        return None
    text = code.strip()
    if text.isdecimal() and len(text) <= 2:
        return canonical(int(text))
    text = re.split(r"[.:]", text)[-1].strip()
    return _SPELLINGS.get(re.sub(r"[\s_-]", "", text).upper())


def parse(line: bytes, number: int) -> ReportedCall | None:
    """Return what one line says, None if it says nothing; `number` stands in for a call that it does not name."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    said = found.get("code")
    if isinstance(said, bool) or not isinstance(said, int | str):
        return None
    code = canonical(said) or "UNKNOWN"
    call = found.get("call", number)
    if isinstance(call, bool) or not isinstance(call, int | str):
        return None
    if isinstance(call, str) and len(call) > LONGEST_DETAILS:
        return None
    details, messages = found.get("details"), found.get("messages")
    return ReportedCall(
        call,
        code,
        details[:LONGEST_DETAILS] if isinstance(details, str) else "",
        messages if isinstance(messages, int) and not isinstance(messages, bool) and messages >= 0 else None,
    )


class ReportFile:
    """Reads the lines of one file as they come."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.bad_lines = 0
        self._offset = 0
        self._count = 0
        self._rest = b""
        self._too_long = False

    def lines(self, *, last: bool = False) -> list[ReportedCall]:
        """Return what was appended since the last time; with `last` also a line that has no newline yet."""
        found: list[ReportedCall] = []
        for line in self._new_lines(last=last):
            if not line.strip():
                continue
            said = parse(line, self._count) if len(found) < MOST_LINES else None
            self._count += 1
            if said is None:
                self.bad_lines += 1
            else:
                found.append(said)
        return found

    def _new_lines(self, *, last: bool) -> list[bytes]:
        room = MOST_BYTES - self._offset
        data = b""
        if room > 0:
            try:
                # The client may have put anything there: a pipe or a device would not end.
                handle = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
            except OSError:
                return []
            try:
                if stat.S_ISREG(os.fstat(handle).st_mode):
                    data = os.pread(handle, room, self._offset)
            finally:
                os.close(handle)
        self._offset += len(data)
        *whole, rest = (self._rest + data).split(b"\n")
        if last and rest:
            whole.append(rest)
            rest = b""
        if self._too_long and whole:
            whole = whole[1:]
            self._too_long = False
        if len(rest) > LONGEST_LINE:
            rest, self._too_long = b"", True
            self.bad_lines += 1
        self._rest = rest
        return whole
