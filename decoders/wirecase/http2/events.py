"""What the room above is told of the streams of a connection, and asked about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from wirecase.http2.facts import HeaderBlock, HeadersFrame, Stream
from wirecase.http2.ordinary import Exchange
from wirecase.model import Marks

if TYPE_CHECKING:
    from wirecase.http2.kept import Kept


class StreamEvents(Protocol):
    """What the room above is told."""

    def grade(self, block: HeaderBlock, side: int) -> int:
        """Say which part of an ordinary exchange a block can be (`wirecase.http2.ordinary`)."""

    def weigh(self, name: bytes) -> Callable[[bytes], bytes] | None:
        """Say what of a field's value decides how `grade` grades its block.

        None if nothing does, or a function that returns the same for values that make no difference.
        """

    def is_ordinary_body(self, data: bytes, start: int, stop: int) -> bool:
        """Say whether ``data[start:stop]`` is what a DATA frame of an ordinary exchange carries."""

    def begun(self, exchange: Exchange, marks: Marks, offset: int) -> None:
        """An ordinary exchange began with the HEADERS frame at `offset`."""

    def completed(self, exchange: Exchange) -> None:
        """An exchange was ordinary to its end."""

    def completed_all(self, kept: Kept) -> None:
        """Many exchanges were ordinary from beginning to end."""

    def recalled(self) -> None:
        """One of `completed_all` was not, after all: it will be told as a stream."""

    def headers(self, stream: Stream, frame: HeadersFrame) -> None:
        """A header block arrived, also the first of a new stream; it may set ``stream.bodies``."""

    def ended(self, stream: Stream, side: int) -> None:
        """`side` sent END_STREAM."""

    def closed(self, stream: Stream) -> None:
        """Nothing more will be known of a stream: it closed a while ago, or the connection is over."""
