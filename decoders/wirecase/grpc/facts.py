"""What is known of the message stream of one side of one gRPC call (PH2: gRPC over HTTP/2, Length-Prefixed-Message)."""

from __future__ import annotations

from typing import NamedTuple

from wirecase.model import Excerpt

FOREIGN_LIMIT = 64 * 1024
"""Bytes of a foreign body that are kept."""


class BadPrefix:
    """A message prefix whose first byte is not 0 or 1, and the body from there on."""

    __slots__ = (
        "after_bytes",
        "after_messages",
        "excerpt",
        "flag",
        "foreign",
        "foreign_length",
        "resumed",
        "web_trailers",
    )

    def __init__(self, flag: int, after_messages: int, after_bytes: int, excerpt: Excerpt) -> None:
        self.flag = flag
        self.after_messages = after_messages
        """Whole valid messages before it on this stream."""
        self.after_bytes = after_bytes
        """Body bytes before it."""
        self.excerpt = excerpt
        self.foreign = bytearray()
        """The body from the bad byte on, at most `FOREIGN_LIMIT`."""
        self.foreign_length = 0
        """How long that body was in all."""
        self.resumed: tuple[int, int] | None = None
        """(bytes after the bad byte, messages) where a chain of valid prefixes begins again and lasts to the end."""
        self.web_trailers: bytes | None = None
        """The payload of a gRPC-Web trailers frame (flag 0x80 or 0x81), where it is one."""


class Inflation(NamedTuple):
    """A compressed message that was not, or not wholly, inflated."""

    kind: str
    """``corrupt``, ``short`` (ends early), ``crc``, ``trailing`` (bytes behind the end), ``bomb``, or ``unknown`` (an
    encoding that is not supported here)."""
    text: str
    """What the decompressor said."""
    message: int
    """Index of the message on its side of the stream, from 0."""
    declared: int
    """Compressed length."""
    inflated: int
    """Bytes that came out before it was stopped."""
    excerpt: Excerpt


class Pending(NamedTuple):
    """Where a body stopped: inside a prefix or inside a message."""

    prefix: bytes
    """The prefix bytes there, 1 to 5 of them."""
    declared: int | None
    """The message's length, once the prefix is whole."""
    got: int
    """Payload bytes there."""
    excerpt: Excerpt
    """The prefix where it stands."""


class LargestMessage(NamedTuple):
    """The largest message of a body, kept from 4 KiB up."""

    declared: int
    excerpt: Excerpt
