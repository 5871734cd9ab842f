"""A reader of messages that also looks into them, and tells those that are not of their method's type."""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from wirecase.grpc.assembly import Assembler, Payload
from wirecase.grpc.compression import Budget
from wirecase.grpc.messages import MessageReader
from wirecase.grpc.schema import MessageType, Schema
from wirecase.grpc.views import draw
from wirecase.model import Excerpt, Marks

_PREFIX = Struct(">BI")
_KEPT = 10
_SHOWN = 91


class Undecodable(NamedTuple):
    """A message that is not of its type."""

    message: int
    """Index of the message on its side of the stream, from 0."""
    problem: str
    """Why it cannot be decoded, one phrase."""
    offset: int
    """Where in the message (inflated, where it was compressed)."""
    declared: int
    compressed: bool
    excerpt: Excerpt


class CheckedReader(MessageReader):
    """One side's messages; each is decoded once it is whole."""

    __slots__ = ("_assembler", "_kind", "_schema", "checked", "undecodable", "undecodable_count")

    def __init__(
        self, side: int, budget: Budget, schema: Schema, kind: MessageType, looks: Budget, *, digest: bool = False
    ) -> None:
        """`looks` bounds what is inflated only to be looked at, over the whole run."""
        super().__init__(side, budget, digest=digest)
        self._schema = schema
        self._kind = kind
        self._assembler = Assembler(budget=looks)
        self.checked = 0
        """Messages that were decoded."""
        self.undecodable: list[Undecodable] = []
        """The first 10."""
        self.undecodable_count = 0

    @property
    def type_name(self) -> str:
        """Name of the type that the messages should have."""
        return self._kind.name

    @property
    def well_typed(self) -> bool:
        """Every message that was looked into is of its method's type."""
        return not self.undecodable_count

    def feed(self, data: bytes, start: int, stop: int, marks: Marks, offset: int) -> None:
        """Take ``data[start:stop]``; `offset` is the stream offset of ``data[start]``."""
        super().feed(data, start, stop, marks, offset)
        self._assembler.use(self.encoding)
        for payload in self._assembler.feed(data, start, stop, marks, offset):
            self._check(payload)

    def feed_all(self, data: bytes, places: list[int], marks: Marks, base: int) -> None:
        """Take many parts of `data`, where each begins and ends; `base` is the stream offset of ``data[0]``."""
        bounds = iter(places)
        for start, stop in zip(bounds, bounds, strict=True):
            self.feed(data, start, stop, marks, base + start)

    def gap(self, length: int | None) -> None:
        """Part of the body is missing."""
        super().gap(length)
        self._assembler.gap()

    def _check(self, payload: Payload) -> None:
        if payload.hidden:
            return
        self.checked += 1
        view = draw(payload.data, self._schema, self._kind, cut=not payload.whole)
        if not view.problem:
            return
        self.undecodable_count += 1
        if len(self.undecodable) < _KEPT:
            shown = b"" if payload.flag else payload.data[:_SHOWN]
            excerpt = Excerpt(
                self.side, payload.mark, _PREFIX.pack(payload.flag, payload.declared) + shown, 5 + payload.declared
            )
            self.undecodable.append(
                Undecodable(
                    payload.number, view.problem, view.offset, payload.declared, bool(payload.flag), excerpt
                )
            )  # fmt: skip
