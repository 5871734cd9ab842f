"""Exchanges that go as they should, kept as thin as possible.

Theory. Nearly every stream of a healthy connection is the same: request headers, a little DATA, END_STREAM, response
headers, a little DATA, trailers that say success. Such an exchange is kept as the list of its frames and nothing else.
If it comes to its ordinary end, it is counted. If anything else happens - any other frame, order, size or content - it
is *unfolded*: its frames are told again to the ordinary path, which alone knows what a fault is. So this file decides
nothing but what is not worth a closer look.
"""

from __future__ import annotations

from typing import Any

from wirecase.http2.facts import ControlFrame, HeaderBlock

UNGRADED, ODD, REQUEST, RESPONSE, TRAILERS = -1, 0, 1, 2, 3
"""Grades of a header block: which part of an ordinary exchange it can be."""

LARGEST_DATA = 4096
"""Payload of a DATA frame that is kept; larger ones are worth a stream of their own."""
MOST_FRAMES = 8
LARGEST_INCREMENT = 1 << 24
"""WINDOW_UPDATE up to this size does not let a window overflow."""
LARGEST_LIST = 4096
"""Header lists up to this size can be ordinary; a peer that allows less gets the closer look."""
SMALLEST_WINDOW = 65535
"""Initial windows from this size on cannot be exhausted by an ordinary exchange."""


class Exchange:
    """One exchange that has been ordinary so far."""

    __slots__ = ("answered", "call", "frames", "id", "index", "stage")

    def __init__(self, stream_id: int) -> None:
        self.id = stream_id
        self.frames: list[tuple[ControlFrame, HeaderBlock | None]] = []
        """In order of arrival, each HEADERS frame with its block."""
        self.stage = 0
        """0: the request is open; 1: it has ended; 2: response headers have come; 3: complete."""
        self.answered = False
        """There was a message in the response: without one, the call is worth a closer look."""
        self.index = -1
        """Number of the call, once it has one."""
        self.call: Any = None
        """The call that it was unfolded into."""
