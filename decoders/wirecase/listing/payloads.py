"""What the messages of a call hold, for a close look: each decoded where its last byte stands."""

from __future__ import annotations

from dataclasses import dataclass

from wirecase.grpc.assembly import Assembler, Payload
from wirecase.grpc.flight import flight_schema, is_flight
from wirecase.grpc.schema import MessageType, Schema
from wirecase.grpc.views import View, draw
from wirecase.http2.facts import HeaderBlock
from wirecase.model import CLIENT, Mark, Marks

NODES = 50_000
"""Fields that all timelines of one command together show."""
_HELD = 64 << 10
"""Bytes of each message that are looked into."""
_STREAMS = 1_000


@dataclass(slots=True)
class MessageView:
    """One message as it is shown."""

    number: int
    """From 0 within its side of the stream."""
    length: int
    """Of it on the wire."""
    compressed: bool
    view: View | None
    """None where it is compressed and cannot be inflated, or where the room for views is used up."""


class PayloadWalk:
    """Decodes the messages of one connection while its frames are recorded."""

    def __init__(self, schema: Schema | None, room: list[int]) -> None:
        self._schema = schema
        self._room = room
        self._paths: dict[int, str] = {}
        self._bodies: dict[tuple[int, int], Assembler] = {}
        self._encodings: dict[tuple[int, int], bytes | None] = {}

    def headers(self, stream: int, side: int, block: HeaderBlock) -> None:
        """Take a header block: the path names the types, ``grpc-encoding`` how messages are compressed."""
        if side == CLIENT and stream not in self._paths and len(self._paths) < _STREAMS:
            self._paths[stream] = block.text(b":path") or ""
        encoding = block.get(b"grpc-encoding")
        if encoding is not None and len(self._encodings) < 2 * _STREAMS:
            self._encodings[stream, side] = encoding

    def gap(self, side: int) -> None:
        """Bytes of a side are missing: its messages are not told any more."""
        for (_, sender), body in self._bodies.items():
            if sender == side:
                body.gap()

    def feed(self, stream: int, side: int, data: bytes, mark: Mark) -> list[MessageView]:
        """Take bytes of DATA and return the messages that they complete."""
        body = self._bodies.get((stream, side))
        if body is None:
            if len(self._bodies) >= 2 * _STREAMS:
                return []
            body = self._bodies[stream, side] = Assembler(limit=_HELD)
        body.use(self._encodings.get((stream, side)))
        marks = Marks(mark.source, [mark.offset], [mark.packet], [mark.time])
        return [self._drawn(stream, side, one) for one in body.feed(data, 0, len(data), marks, mark.offset)]

    def _drawn(self, stream: int, side: int, payload: Payload) -> MessageView:
        made = MessageView(payload.number, payload.declared, bool(payload.flag), None)
        if payload.hidden or self._room[0] <= 0:
            return made
        schema, kind = self._type(self._paths.get(stream), side)
        made.view = draw(payload.data, schema, kind, cut=not payload.whole)
        self._room[0] -= 1 + _count(made.view)
        return made

    def _type(self, path: str | None, side: int) -> tuple[Schema | None, MessageType | None]:
        for schema in (self._schema, flight_schema() if is_flight(path) else None):
            if schema is not None and (kind := schema.type_of(path, side)) is not None:
                return schema, kind
        return None, None


def _count(view: View) -> int:
    count, todo = 0, list(view.nodes)
    while todo:
        count += 1
        todo += todo.pop().children
    return count
