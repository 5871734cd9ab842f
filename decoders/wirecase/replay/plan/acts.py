"""What a recorded connection consists of when it is to be served again: the acts of both sides, in order.

An act is the smallest thing that is sent as it was recorded: a header block with the frames that it was split into, a
DATA frame, another frame, bytes that are no frame, the end of a TCP side. Each act of the server carries an `Anchor`:
what had to come from the client, and what had to be sent, before it came.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from wirecase.http2.facts import RST_STREAM, frame_name
from wirecase.model import CLIENT
from wirecase.replay.plan.store import Blob

Fields = list[tuple[bytes, bytes]]


class Need(NamedTuple):
    """How far a call had come."""

    call: int
    """Number of the recorded call."""
    messages: int = 0
    """Whole request messages that had arrived; more must not be waited for once the live request has ended."""
    data: int = 0
    """DATA bytes of the request that had arrived."""
    ended: bool = False
    """The request had ended: END_STREAM or RST_STREAM."""
    acts: int = 0
    """How many acts of the call's answer had been sent."""


@dataclass(slots=True)
class Anchor:
    """What came before an act of the server."""

    needs: tuple[Need, ...] = ()
    """For an act on a stream: its own call. For an act of the connection: every call that was open, the latest one
    first."""
    delay: int = 0
    """ns since the latest of them."""
    what: str = ""
    """The latest of them in words: ``frame 4 of call 2``."""


@dataclass(slots=True)
class Act:
    """Something that one side sent."""

    side: int
    """`CLIENT` or `SERVER`."""
    time: int
    """When its last byte was captured, ns since the epoch."""
    stream: int
    """The recorded stream; 0 for the connection."""
    call: int | None = field(default=None, kw_only=True)
    """Number of the recorded call that the stream belongs to, if it is one that is replayed."""
    anchor: Anchor = field(default_factory=Anchor, kw_only=True)
    order: int = field(default=0, kw_only=True)
    """Its place among the acts of its connection."""
    faulty: bool = field(default=False, kw_only=True)
    """A finding on the connection has its primary evidence in it."""
    at_once: bool = field(default=False, kw_only=True)
    """Credit that the server gave right before a fault or an end, so that the client may have read both at once."""

    def describe(self) -> str:
        """Say what it is, in a few words."""
        return type(self).__name__.lower()


class Fragment(NamedTuple):
    """One frame of a header block."""

    kind: int
    flags: int
    before: bytes
    """Pad length, priority, promised stream: what stands before the block's part."""
    size: int
    """Bytes of the recorded block in it."""
    after: int
    """Bytes of padding."""


@dataclass(slots=True)
class Headers(Act):
    """A header block (HEADERS or PUSH_PROMISE with their CONTINUATION)."""

    fields: Fields = field(default_factory=list)
    fragments: tuple[Fragment, ...] = ()
    end_stream: bool = False
    raw: bytes | None = None
    """The block as it was recorded, where the fault lies in it and it stands alone; it is sent in place of `fields`."""
    tail: bytes = b""
    """A faulty field of HPACK that follows the encoded fields."""
    unknown: bool = False
    """Some fields are not in the recording; those that nothing goes without were put in."""

    def describe(self) -> str:
        """Say what it is, in a few words."""
        return frame_name(self.fragments[0].kind) if self.fragments else "HEADERS"

    def get(self, name: bytes) -> bytes | None:
        """Return the first value of `name`, or None."""
        return next((value for key, value in self.fields if key == name), None)


@dataclass(slots=True)
class Data(Act):
    """A DATA frame, or as much of it as was sent without a pause."""

    flags: int = 0
    length: int = 0
    """Length in the frame's header: more than is in `body` where the frame was cut, or goes on in `More`."""
    body: Blob = field(default_factory=Blob)
    """Payload without padding."""
    pad: int | None = None
    """Pad length of a PADDED frame."""

    def describe(self) -> str:
        """Say what it is, in a few words."""
        return "DATA"


@dataclass(slots=True)
class More(Act):
    """The payload of the last `Data` goes on after a pause."""

    body: Blob = field(default_factory=Blob)


@dataclass(slots=True)
class Frame(Act):
    """Any other frame, and those that are illegal, byte for byte."""

    kind: int = 0
    flags: int = 0
    payload: bytes = b""

    def describe(self) -> str:
        """Say what it is, in a few words."""
        return frame_name(self.kind)


@dataclass(slots=True)
class Raw(Act):
    """Bytes that are no whole frame: the client's preface, HTTP/1, garbage, a frame that was cut."""

    data: bytes = b""

    def describe(self) -> str:
        """Say what it is, in a few words."""
        return f"{len(self.data)} bytes that are no frame"


@dataclass(slots=True)
class End(Act):
    """The side closed its TCP connection."""

    how: Literal["fin", "rst"] = "fin"

    def describe(self) -> str:
        """Say what it is, in a few words."""
        return f"TCP {self.how.upper()}"


@dataclass(slots=True)
class RecordedCall:
    """One call of the recording that is replayed."""

    number: int
    connection: int
    stream: int
    path: str
    started: int
    """ns since the epoch."""
    request: Fields = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    """The acts of its answer."""
    asked: list[Act] = field(default_factory=list)
    """The acts of its request."""
    faults: list[str] = field(default_factory=list)
    """Rule ids of the findings that the server's answer carries, the gravest first."""
    findings: list[str] = field(default_factory=list)
    """Ids of all findings that name the call."""
    status: int | None = None
    ended: bool = False
    """The server sent END_STREAM."""
    unprocessed: bool = False
    """REFUSED_STREAM, or above the last stream of a GOAWAY and never answered."""
    retried_by: int | None = None
    """For an unprocessed call: the recorded call that is its retry."""
    refused: str | None = None
    """Why it cannot be served; None if it can."""
    request_messages: int = 0
    request_digest: str = ""
    """SHA-256 of the request's DATA."""

    @property
    def complete(self) -> bool:
        """Its stream alone shows how it went: the server ended it, or reset it."""
        return self.ended or any(isinstance(act, Frame) and act.kind == RST_STREAM for act in self.acts)

    @property
    def sound(self) -> bool:
        """The answer is whole and carries no fault."""
        return self.ended and not self.faults and self.refused is None


@dataclass(slots=True)
class RecordedConnection:
    """One connection of the recording that is replayed."""

    index: int
    client: str
    server: str
    protocol: str
    started: int
    """ns since the epoch."""
    acts: list[Act] = field(default_factory=list)
    """Everything that both sides sent, in the order of the capture."""
    calls: dict[int, RecordedCall] = field(default_factory=dict)
    """By recorded stream."""
    faults: list[str] = field(default_factory=list)
    """Rule ids of the findings that stand on the connection itself."""
    survivable: bool = True
    """Other streams can live on after its faults."""
    late: tuple[bool, bool] = (False, False)
    """Sides whose beginning is not in the recording."""
    acks_settings: bool = True
    """The server acknowledged the client's SETTINGS."""
    acks_pings: int | None = None
    """How many PINGs of the client the server answered before it stopped to; None if it answered all."""
    recorded_credit: bool = False
    """A fault lies in the server's WINDOW_UPDATEs: they are sent as recorded, and no others."""
    plain_headers: bool = False
    """A fault lies in HPACK: blocks are encoded without a dynamic table."""
    turned_away: bool = False
    """The server ended it before any call was made on it: nobody has to dial again to see it."""
    upgraded: bool = False
    """h2c by Upgrade: stream 1 was opened by a request of HTTP/1.1."""

    @property
    def client_acts(self) -> list[Act]:
        """What the client sent."""
        return [act for act in self.acts if act.side == CLIENT]
