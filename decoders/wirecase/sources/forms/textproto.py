"""Protobuf's text format, as far as tap traces use it: nested messages, strings with escapes, numbers, booleans.

https://protobuf.dev/reference/protobuf/textformat-spec. Every field becomes an entry; one that stands several times
becomes a list.
"""

from __future__ import annotations

import re
from typing import Any

_TOKEN = re.compile(
    rb"""(?:\s|\#[^\n]*)*+(?:(?P<name>[A-Za-z_][A-Za-z0-9_.]*)|(?P<number>-?[0-9][0-9a-zA-Z.+-]*)"""
    rb"""|"(?P<double>(?:[^"\\]++|\\.)*+)"|'(?P<single>(?:[^'\\]++|\\.)*+)'|(?P<mark>[{}<>:;,\[\]]))""",
    re.S | re.X,
)
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|(.))", re.S)
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_REPEATED = frozenset(("headers", "trailers", "events"))
_DEPTH = 32


def read(text: bytes) -> dict[str, Any]:
    """Return the fields of a message in text format, strings as bytes. Raise ValueError where it is none."""
    tokens = _TOKEN.finditer(text)
    return _message(tokens, b"", len(text), 0)


def _message(tokens: Any, closing: bytes, size: int, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if depth > _DEPTH:
        raise ValueError("nested too deeply")
    for token in tokens:
        if token["mark"]:
            if token["mark"] == closing:
                return found
            if token["mark"] in b";,":
                continue
            raise ValueError(f"unexpected {token['mark'].decode()} at byte {token.start('mark')}")
        if not token["name"]:
            raise ValueError(f"no field name at byte {token.start()}")
        name = token["name"].decode()
        value = _value(tokens, size, depth)
        before = found.get(name)
        if isinstance(before, list):
            before.append(value)
        elif before is not None:
            found[name] = [before, value]
        else:
            found[name] = (
                [value]
                if name in _REPEATED and isinstance(value, dict) and "headers" not in value and ("events" not in value)
                else value
            )
    if closing:
        raise ValueError("cut in the middle of a message")
    return found


def _value(tokens: Any, size: int, depth: int) -> Any:
    for token in tokens:
        mark = token["mark"]
        if mark == b":":
            continue
        if mark in (b"{", b"<"):
            return _message(tokens, b"}" if mark == b"{" else b">", size, depth + 1)
        if token["number"]:
            text = token["number"].decode()
            return int(text, 0) if re.fullmatch(r"-?(?:0|[1-9]\d*|0x[0-9a-fA-F]+)", text) else text
        if token["name"]:
            return {b"true": True, b"false": False}.get(token["name"], token["name"].decode())
        raw = token["double"] if token["double"] is not None else token["single"]
        if raw is None:
            raise ValueError(f"no value at byte {token.start()}")
        return _ESCAPE.sub(_unescape, raw)
    raise ValueError("cut before a value")


def _unescape(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return bytes((int(match[1], 8) & 0xFF,))
    if match[2]:
        return bytes((int(match[2], 16),))
    return _LETTERS.get(match[3], match[3])
