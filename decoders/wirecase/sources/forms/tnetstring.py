"""Tnetstrings as mitmproxy writes them (mitmproxy/io/tnetstring.py): ``LENGTH:PAYLOAD TYPE``.

Types: ``,`` bytes, ``;`` text, ``#`` integer, ``^`` float, ``!`` boolean, ``~`` null, ``]`` list, ``}`` dictionary.
"""

from __future__ import annotations

from typing import Any

from wirecase.sources.forms.documents import MAX_RECORD, DamagedRecordError
from wirecase.sources.window import Window

_DIGITS = 12
_DEPTH = 40


def next_tnetstring(window: Window) -> dict[str, Any] | None:
    """Return the next dictionary of the input, None at its end.

    Raise `DamagedRecordError` if it is cut, too long, or something else.
    """
    if not window.ensure(1):
        return None
    window.ensure(_DIGITS + 1)
    held = window.end - window.start
    head = bytes(window.view[window.start : window.start + min(held, _DIGITS + 1)])
    digits, colon, _ = head.partition(b":")
    if not colon or not digits.isdigit():
        raise DamagedRecordError("it does not begin with a length", held)
    size = int(digits)
    if size > MAX_RECORD:
        raise DamagedRecordError(f"it is longer than {MAX_RECORD >> 20} MiB", held)
    whole = len(digits) + 1 + size + 1
    if not window.ensure(whole):
        held = window.end - window.start
        raise DamagedRecordError(f"it is cut: {held} of {whole} bytes", held)
    data = bytes(window.view[window.start : window.start + whole])
    try:
        found = _value(data[len(digits) + 1 : -1], data[-1:], 0)
    except ValueError as error:
        raise DamagedRecordError(str(error), whole) from None
    window.start += whole
    return found if isinstance(found, dict) else {}


def _value(data: bytes, kind: bytes, depth: int) -> Any:
    if kind == b",":
        return data
    if kind == b";":
        return data.decode("utf-8", "replace")
    if kind == b"#":
        return int(data[:40])
    if kind == b"^":
        return float(data[:40])
    if kind == b"!":
        return data == b"true"
    if kind == b"~":
        return None
    if kind not in (b"]", b"}") or depth > _DEPTH:
        raise ValueError("it holds something that is no tnetstring")
    values = _items(data, depth + 1)
    if kind == b"]":
        return values
    return {_name(name): value for name, value in zip(values[::2], values[1::2], strict=False)}


def _items(data: bytes, depth: int) -> list[Any]:
    values: list[Any] = []
    at, end = 0, len(data)
    while at < end:
        colon = data.find(b":", at, at + _DIGITS + 1)
        digits = data[at:colon] if colon > 0 else b""
        if not digits.isdigit():
            raise ValueError("a length in it cannot be read")
        begin, stop = colon + 1, colon + 1 + int(digits)
        if stop >= end:
            raise ValueError("a length in it reaches behind its end")
        values.append(_value(data[begin:stop], data[stop : stop + 1], depth))
        at = stop + 1
    return values


def _name(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
