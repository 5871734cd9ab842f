"""One HTTP exchange as evidence without frames tells it, written as canonical HTTP/2.

What ends a side is known only where headers, trailers or a length say so. A gRPC response without trailers may have
been reset, cut or ended without a status: the evidence cannot tell, so it stays open on the made-up connection and is
noted as an end that is not shown (`FormFacts.ended_unseen`).
"""

from __future__ import annotations

from wirecase.model import CLIENT, SERVER, FormFacts
from wirecase.sources.forms.grpc_body import BodyLength
from wirecase.sources.forms.http2_writer import Fields, Stream, canonical

_GRPC = b"application/grpc"


def value_of(fields: Fields, name: bytes) -> bytes | None:
    """Return the first value of a field."""
    return next((value for key, value in fields if key == name), None)


def _has_trailers(fields: Fields) -> bool:
    """Tell whether a response is gRPC's over HTTP/2, which ends with trailers; those of gRPC-Web stand in the body."""
    kind = value_of(fields, b"content-type") or b""
    return kind.startswith(_GRPC) and not kind.startswith(b"application/grpc-web")


class Exchange:
    """Writes request and response to a `Stream`, in whatever order they come."""

    def __init__(self, stream: Stream, facts: FormFacts) -> None:
        self._stream = stream
        self._facts = facts
        self._lengths = (BodyLength(), BodyLength())
        self._sent = [0, 0]
        self._heads: list[Fields | None] = [None, None]
        self._ended = [False, False]
        self._hole = [False, False]
        self._held: tuple[Fields, int, int] | None = None
        """Response headers with a grpc-status: alone they are trailers-only and end the stream."""
        self._untold = False
        self.time = 0

    @property
    def path(self) -> str:
        """The request's path for a reader."""
        found = value_of(self._heads[CLIENT] or [], b":path")
        return "" if found is None else found.decode("utf-8", "backslashreplace")

    def headers(self, side: int, fields: Fields, number: int, time: int) -> None:
        """Header fields; a second block of the same side is trailers, unless the first was informational."""
        self.time = time = max(time, self.time)
        if self._ended[side]:
            return
        fields = canonical(fields)
        before = self._heads[side]
        if before is not None and not (value_of(before, b":status") or b"").startswith(b"1"):
            self.trailers(side, fields, number, time)
            return
        self._heads[side] = fields
        if side == SERVER and value_of(fields, b"grpc-status") is not None:
            self._held = (fields, number, time)  # whether they are all of the response shows what comes next
        else:
            self._stream.headers(side, fields, number, time)

    def body(self, side: int, data: bytes, number: int, time: int, *, truncated: bool = False) -> None:
        """Body bytes; `truncated` says that more came than the evidence holds."""
        self.time = time = max(time, self.time)
        if self._ended[side] or self._heads[side] is None or self._hole[side]:
            return
        if data or truncated:
            self._release(side)
        length = self._lengths[side]
        length.feed(data)
        self._sent[side] += len(data)
        self._hole[side] = truncated
        self._facts.truncated += truncated
        self._stream.data(side, data, number, time, missing=length.missing if truncated else 0)

    def trailers(self, side: int, fields: Fields, number: int, time: int) -> None:
        """Trailers: the side has ended."""
        if self._heads[side] is None or self._ended[side]:
            return
        self.time = time = max(time, self.time)
        self._ended[side] = True
        self._release(side)
        self._stream.headers(side, canonical(fields), number, time, end=True)

    def _release(self, side: int, *, end: bool = False) -> bool:
        """Write the response headers that were held back; return False if there were none."""
        if side != SERVER or self._held is None:
            return False
        fields, number, time = self._held
        self._held = None
        self._stream.headers(side, fields, number, time, end=end)
        return True

    def end(self, side: int, number: int, time: int = 0) -> None:
        """The side is known to have ended here."""
        if self._heads[side] is not None and not self._ended[side]:
            self._ended[side] = True
            if not self._release(side, end=True):
                self._stream.end(side, number, max(time, self.time))

    def end_untold(self, number: int, time: int) -> None:
        """The response is over, and the evidence has no place for trailers: a gRPC status may have stood there."""
        answered = self._heads[SERVER]
        if answered is None or self._ended[SERVER]:
            return
        if not _has_trailers(answered) or self._is_complete(answered):
            self.end(SERVER, number, time)
        else:
            self._release(SERVER)
            self._facts.untold += 1
            self._untold = True

    def close(self, number: int, time: int = 0) -> None:
        """The exchange is over, whether or not it is shown how."""
        time = max(time, self.time)
        asked, answered = self._heads
        if asked is None:
            return
        if answered is not None and not self._ended[SERVER] and self._is_complete(answered):
            self.end(SERVER, number, time)
        self._release(SERVER)
        if self._ended[SERVER]:
            self.end(CLIENT, number, time)
        elif self._untold:
            return
        elif answered is None:
            self._facts.ended_unseen(number, time, self.path, "no response")
        else:
            what = "after a part of its body" if self._sent[SERVER] else "after its headers"
            self._facts.ended_unseen(number, time, self.path, f"the response stops {what}")

    def broken(self, number: int, time: int, words: str) -> None:
        """The exchange broke off; `words` is all that the evidence has to say about how."""
        self._release(SERVER)
        self._facts.ended_unseen(number, max(time, self.time), self.path, words)

    def finish(self, number: int) -> None:
        """The evidence is over before the exchange is; a response that is complete by its headers has ended."""
        answered = self._heads[SERVER]
        if answered is not None and not self._ended[SERVER] and self._is_complete(answered):
            self.close(number)

    def _is_complete(self, answered: Fields) -> bool:
        """Tell whether a response without trailers ended as it should, as far as its headers let one know."""
        if self._hole[SERVER]:
            return False
        length = value_of(answered, b"content-length")
        if length is not None and length.isdigit() and len(length) < 19:
            return self._sent[SERVER] >= int(length)
        if _has_trailers(answered):
            return value_of(answered, b"grpc-status") is not None and not self._sent[SERVER]
        return True
