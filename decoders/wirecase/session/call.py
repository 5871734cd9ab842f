"""One RPC: a stream whose request or response speaks gRPC, and how it ended.

Theory. A call's response is complete when the server has sent END_STREAM; its status is the ``grpc-status`` of the
block that carried it (trailers, or the only HEADERS: trailers-only). Everything else is an abnormal end, and *who ended
it, with what, after how many of how many bytes* is what `Ending` says. A call is closed once both sides have ended,
one of them reset it, or the connection is gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wirecase.grpc.messages import MessageReader
from wirecase.http2.facts import HeaderBlock, HeadersFrame, Reset, Stream, is_informational
from wirecase.model import CLIENT, SERVER, Mark

if TYPE_CHECKING:
    from wirecase.grpc.schema import Method
    from wirecase.session.session import Session

CallKind = Literal["grpc", "grpc-web", "connect", "http", "unknown"]

How = Literal[
    "trailers",  # status in a HEADERS with END_STREAM behind an open response
    "trailers-only",  # one HEADERS with END_STREAM
    "data",  # END_STREAM on a DATA frame: no trailers
    "rst",  # RST_STREAM before the response was complete
    "goaway",  # the id is above a GOAWAY's last_stream_id: never processed
    "fin",  # TCP FIN with the response incomplete
    "tcp-rst",  # TCP RST, the same
    "open",  # still open when the capture ended, or its end fell into a hole
]


@dataclass(slots=True)
class Ending:
    """How a call ended."""

    how: How
    by: int | None
    """Side that ended it: `CLIENT`, `SERVER`; None where nobody did or it cannot be told."""
    mark: Mark | None
    """The frame or packet that ended it."""
    reset: Reset | None = None
    """The first RST_STREAM, also one that followed a complete response."""


class Call:
    """One gRPC call (or an HTTP exchange that stands in its place)."""

    __slots__ = (
        "authority", "ending", "index", "kind", "method", "path", "request_body", "response_body", "session", "stream",
    )  # fmt: skip

    def __init__(self, session: Session, stream: Stream, index: int, kind: CallKind) -> None:
        self.session = session
        self.stream = stream
        self.index = index
        """From 0 over the whole run, in the order of request headers."""
        self.kind: CallKind = kind
        self.path: str | None = None
        """``/package.Service/Method``; None where it is unknown."""
        self.method: Method | None = None
        """What the schema says about its method; None where nobody gave one that knows it."""
        self.authority: str | None = None
        self.request_body: MessageReader | None = None
        self.response_body: MessageReader | None = None
        self.ending: Ending | None = None
        """None while it is open."""

    def _first(self, side: int) -> HeadersFrame | None:
        for frame in self.stream.headers:
            if frame.side == side and not (side == SERVER and is_informational(frame.block)):
                return frame
        return None

    @property
    def request(self) -> HeadersFrame | None:
        """The request's HEADERS."""
        return self._first(CLIENT)

    @property
    def response(self) -> HeadersFrame | None:
        """The response's first HEADERS that is not informational (1xx)."""
        return self._first(SERVER)

    @property
    def trailers(self) -> HeadersFrame | None:
        """The server's last HEADERS with END_STREAM; the same frame as `response` when trailers-only."""
        for frame in reversed(self.stream.headers):
            if frame.side == SERVER:
                return frame if frame.end_stream else None
        return None

    @property
    def request_block(self) -> HeaderBlock | None:
        """The request's header list."""
        frame = self.request
        return frame.block if frame else None

    @property
    def response_block(self) -> HeaderBlock | None:
        """The response's header list."""
        frame = self.response
        return frame.block if frame else None

    @property
    def status_text(self) -> bytes | None:
        """The raw ``grpc-status`` that counts: of the trailers, or of a trailers-only response."""
        trailers = self.trailers
        return trailers.block.get(b"grpc-status") if trailers else None

    @property
    def status_hidden(self) -> bool:
        """The block that should carry the status has entries that a late join or a gap hides."""
        trailers = self.trailers
        return trailers is not None and trailers.block.unknown and trailers.block.get(b"grpc-status") is None

    @property
    def grpc_status(self) -> int | None:
        """The final grpc-status as a number; None if there was none or it is malformed."""
        raw = self.status_text
        return int(raw) if raw is not None and raw.isdigit() and len(raw) < 10 else None

    @property
    def http_status(self) -> int | None:
        """``:status`` of the response, or None."""
        block = self.response_block
        raw = block.status if block else None
        return int(raw) if raw is not None and raw.isdigit() and len(raw) < 10 else None

    @property
    def content_type(self) -> str | None:
        """The response's content-type."""
        block = self.response_block
        return block.text(b"content-type") if block else None

    @property
    def started(self) -> Mark:
        """The stream's first frame."""
        return self.stream.opened

    @property
    def response_complete(self) -> bool:
        """The server has sent END_STREAM."""
        return self.stream.ended[SERVER]

    @property
    def blurred(self) -> bool:
        """A hole in the capture may hide part of this call: nothing is certain that the hole could explain."""
        halves = self.session.h2.halves
        return (
            not self.stream.seen_start
            or any(body.lost for body in (self.request_body, self.response_body) if body)
            or not (halves[CLIENT].synced and halves[SERVER].synced)
        )
