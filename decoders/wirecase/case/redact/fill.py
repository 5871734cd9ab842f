"""What stands in place of what was removed: fillers of the same length."""

from __future__ import annotations


def _table(changes: dict[bytes, bytes], default: int | None = None) -> bytes:
    table = bytearray(range(256) if default is None else [default] * 256)
    for characters, filler in changes.items():
        for character in characters:
            table[character] = character if filler == b"" else filler[0]
    return bytes(table)


_LOWER = b"abcdefghijklmnopqrstuvwxyz"
_DIGITS = b"0123456789"
_HIGH = bytes(range(0x80, 0x100))
_CONTROL = bytes((*range(0x20), 0x7F))
_MARKS = bytes(b for b in range(0x21, 0x7F) if not chr(b).isalnum())

BY_CLASS = _table({_LOWER: b"x", _LOWER.upper(): b"X", _DIGITS: b"0", _HIGH: b"x"})
"""``abc-12`` becomes ``xxx-00``: for metadata, so that lengths and HPACK sizes stay close. Controls and marks stay: a
malformed value stays malformed, base64 that is none stays none."""
PROSE = _table({_LOWER: b"x", _LOWER.upper(): b"x", _DIGITS: b"0", _HIGH: b"x", _MARKS: b"."})
"""For strings in messages: letters, digits and marks become one of each kind, white space stays."""
OPAQUE = _table({b" " + _CONTROL: b""}, ord("x"))
"""For secrets: everything becomes ``x`` but spaces and control characters (those are faults of their own)."""
_BINARY = bytes(b for b in _CONTROL if b not in b"\t\n\r")


def by_class(value: bytes) -> bytes:
    """Return a filler that keeps the class of each character."""
    return value.translate(BY_CLASS)


def opaque(value: bytes) -> bytes:
    """Return a filler that keeps nothing but the length."""
    return value.translate(OPAQUE)


def is_text(value: bytes) -> bool:
    """Tell whether bytes are text: UTF-8 without control characters but tab, LF and CR."""
    if len(value.translate(None, _BINARY)) != len(value):
        return False
    if value.isascii():
        return True
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def varint(value: int, size: int) -> bytes:
    """Return a varint of exactly `size` bytes, padded where the value needs fewer."""
    return bytes((value >> 7 * i & 0x7F) | (0x80 if i < size - 1 else 0) for i in range(size))


_BLANKET_TAG = b"\xfa\x7f"
"""Field 2047, length-delimited: a number that schemas do not use, so that a parser skips it."""


def blanket_head(length: int) -> bytes:
    """Return the first bytes of a field of `length` bytes (at least 3) in all; zeros make it whole."""
    size = 1
    while length - 2 - size >= 1 << 7 * size:
        size += 1
    return _BLANKET_TAG + varint(length - 2 - size, size)


def blanket(length: int) -> bytes:
    """Return `length` bytes that any protobuf parser takes as fields it does not know (one byte cannot)."""
    if length < 3:
        return (b"", b"\0", b"\x78\0")[length]
    return blanket_head(length).ljust(length, b"\0")
