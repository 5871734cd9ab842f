"""Records out of a window: JSON objects one after the other or in lists, and protobuf messages with their lengths.

A record is handed out whole; one longer than `MAX_RECORD` is damage. Memory holds one record and its decoded form.
"""

from __future__ import annotations

import json
import re
from typing import Any

from wirecase.grpc.protobuf import read_varint
from wirecase.sources.window import Window

MAX_RECORD = 64 << 20
"""Longest record in bytes. A trace of more than that can only be read in its streamed form."""
MAX_DEPTH = 100
"""Levels of nesting that a JSON record may have."""

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+("|\\?\Z)|[{}\[\]]', re.S)
"""A string, cut by the window's end if its group is empty or a backslash, or a bracket."""
_BETWEEN = re.compile(rb"[\s,\x1e\[]*+")


class DamagedRecordError(Exception):
    """A record cannot be read; the text says why. `size` bytes from the window's start on are given up."""

    def __init__(self, reason: str, size: int) -> None:
        super().__init__(reason)
        self.size = size


def next_json(window: Window) -> dict[str, Any] | None:
    """Return the next JSON object, taken from the window; None at the end of the input or of the list around it.

    Raise `DamagedRecordError` if it is cut, too long or no JSON; the window then still stands at its beginning.
    """
    if not _at_object(window):
        return None
    size = _measure(window)
    raw = bytes(window.view[window.start : window.start + size])
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise DamagedRecordError(f"it is no JSON ({_first_line(error)})", size) from None
    window.start += size
    return found if isinstance(found, dict) else {}


def _at_object(window: Window) -> bool:
    """Move the window to the next ``{``; return False where something else stands, or nothing."""
    while True:
        match = _BETWEEN.match(window.buffer, window.start, window.end)
        window.start = match.end() if match else window.start
        if window.start < window.end:
            return window.buffer[window.start] == 0x7B
        if not window.fill():
            return False


def _measure(window: Window) -> int:
    """Return the length of the object at the window's start, reading on as far as it goes."""
    at = depth = 0
    while True:
        held = window.end - window.start
        begin, at = window.start + at, held
        for match in _TOKEN.finditer(window.buffer, begin, window.end):
            first = window.buffer[match.start()]
            if first == 0x22:
                if match[1] != b'"':  # the window's end cuts it: it is looked at again when more has come
                    at = match.start() - window.start
            elif first in b"{[":
                depth += 1
                if depth > MAX_DEPTH:
                    raise DamagedRecordError("it is nested too deeply", held)
            else:
                depth -= 1
                if not depth:
                    return match.end() - window.start
        if held > MAX_RECORD:
            raise DamagedRecordError(f"it is longer than {MAX_RECORD >> 20} MiB", held)
        if not window.fill(held + 1):
            raise DamagedRecordError("it is cut: the input ends in the middle of it", held)


def skip_to(window: Window, pattern: re.Pattern[bytes], reach: int) -> bool:
    """Move the window behind the first match of `pattern` within `reach` bytes; False (and not moved) if there is none.

    A match may not lie across what one `fill` brings unless it fits into the 256 bytes before.
    """
    at = 0
    while True:
        match = pattern.search(window.buffer, window.start + at, window.end)
        if match:
            window.start = match.end()
            return True
        held = window.end - window.start
        at = max(at, held - 256)
        if held > reach or not window.fill(held + 1):
            return False


def next_delimited(window: Window) -> bytes | None:
    """Return the next message behind a varint length (``writeDelimitedTo``); None at the end.

    Raise `DamagedRecordError` if it is cut or too long.
    """
    if not window.ensure(1):
        return None
    window.ensure(10)
    head = bytes(window.view[window.start : min(window.start + 10, window.end)])
    size = read_varint(head, 0)
    if size is None:
        raise DamagedRecordError("its length cannot be read", window.end - window.start)
    return _take(window, size[1], size[0])


def next_prefixed(window: Window) -> bytes | None:
    """Return the next message behind a length of four bytes, big endian; None at the end.

    Raise `DamagedRecordError` if it is cut or too long.
    """
    if not window.ensure(1):
        return None
    if not window.ensure(4):
        raise DamagedRecordError("its length is cut", window.end - window.start)
    size = int.from_bytes(window.view[window.start : window.start + 4], "big")
    return _take(window, 4, size)


def _take(window: Window, header: int, size: int) -> bytes:
    if size > MAX_RECORD:
        raise DamagedRecordError(f"it claims {size} bytes, more than the {MAX_RECORD >> 20} MiB that are read",
                                 window.end - window.start)  # fmt: skip
    if not window.ensure(header + size):
        there = window.end - window.start - header
        raise DamagedRecordError(f"it is cut: {there} of {size} bytes", window.end - window.start)
    begin = window.start + header
    window.start = begin + size
    return bytes(window.view[begin : begin + size])


def whole(window: Window) -> bytes:
    """Return all that is left of the input; raise `DamagedRecordError` if it is too long."""
    while window.end - window.start <= MAX_RECORD:
        if not window.fill(window.end - window.start + 1):
            data = bytes(window.view[window.start : window.end])
            window.start = window.end
            return data
    raise DamagedRecordError(f"it is longer than {MAX_RECORD >> 20} MiB", window.end - window.start)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:100] if str(error) else type(error).__name__
