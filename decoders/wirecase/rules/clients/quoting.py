"""How Go prints bytes with ``%q``."""

from __future__ import annotations

_NAMED = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\", '"': '\\"',
}  # fmt: skip


def go_quoted(data: bytes) -> str:
    """Return bytes as ``strconv.Quote`` of Go writes them: printable UTF-8 stays, the rest is escaped."""
    return '"' + "".join(map(_escaped, data.decode("utf-8", "surrogateescape"))) + '"'


def _escaped(char: str) -> str:
    if char in _NAMED:
        return _NAMED[char]
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # an octet that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if char.isprintable():
        return char
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
