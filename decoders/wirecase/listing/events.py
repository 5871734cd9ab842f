"""What a timeline is made of: frames, gaps, ends of TCP, and folds that stand for many frames of the same kind."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from wirecase.http2.facts import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PRIORITY_FLAG,
    PUSH_PROMISE,
    RST_STREAM,
    SETTING_NAMES,
    SETTINGS,
    WINDOW_UPDATE,
    ControlFrame,
    error_name,
)
from wirecase.listing.payloads import MessageView
from wirecase.model import Mark, Severity

HEAD, TAIL = 20, 20
"""Frames of a run that are shown at its beginning and its end."""
_NOTABLE = 500
"""Notable events, each of which begins a new run; further ones are folded like any other."""
_EVERYTHING = 200_000
"""Events that are kept where nothing is to be folded."""
_SETTINGS_SHOWN = 32

_FLAGS: dict[int, tuple[tuple[int, str], ...]] = {
    DATA: ((END_STREAM, "END_STREAM"), (PADDED, "PADDED")),
    HEADERS: (
        (END_STREAM, "END_STREAM"), (END_HEADERS, "END_HEADERS"), (PADDED, "PADDED"), (PRIORITY_FLAG, "PRIORITY"),
    ),
    SETTINGS: ((ACK, "ACK"),),
    PING: ((ACK, "ACK"),),
    PUSH_PROMISE: ((END_HEADERS, "END_HEADERS"), (PADDED, "PADDED")),
    CONTINUATION: ((END_HEADERS, "END_HEADERS"),),
}  # fmt: skip


class Message(NamedTuple):
    """A message whose prefix is complete in a DATA frame."""

    number: int
    """From 0 within its side of the stream."""
    flag: int
    length: int


class Mention(NamedTuple):
    """A finding that has evidence in an event."""

    finding: str
    """Its id."""
    severity: Severity
    note: str
    """What it sees there."""


@dataclass(slots=True)
class Body:
    """What a DATA frame carries of the messages of its side."""

    begun: list[Message] = field(default_factory=list)
    """Those that begin in it, the first few."""
    count: int = 0
    """How many begin in it in all."""
    continued: tuple[int, int, int] | None = None
    """(number, bytes of it before this frame, its length) of a message that began in an earlier frame."""
    foreign: bool = False
    """From some byte on this is no chain of messages."""
    lost: bool = False
    """A gap hides where messages begin."""


class Window(NamedTuple):
    """How much a side may still send after an event; None where that cannot be known."""

    stream: int | None
    connection: int | None


NO_FRAME = "bytes that are no frame"


@dataclass(slots=True)
class Event:
    """One thing that happened on the connection."""

    kind: Literal["frame", "gap", "tcp"]
    name: str
    """Frame type, or ``SYN``, ``FIN``, ``RST``, ``zero window``, ``gap``, or `NO_FRAME`."""
    side: int
    """Who sent it; for a gap, whose bytes are missing."""
    mark: Mark
    flags: tuple[str, ...] = ()
    stream: int | None = None
    length: int = 0
    """Payload of a frame; bytes missing in a gap."""
    payload: bytes = b""
    """The first bytes of the payload."""
    headers: tuple[tuple[bytes | None, bytes | None], ...] | None = None
    """The block that begins here, decoded; None where there is none or it could not be decoded."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the payload of a control frame says."""
    body: Body | None = None
    windows: tuple[Window, Window] | None = None
    """Of the client and of the server, after the event."""
    mentions: tuple[Mention, ...] = ()
    """The evidence that stands here."""
    views: list[MessageView] = field(default_factory=list)
    """Messages that end in it, decoded, the first few."""
    fold: Fold | None = None
    """The fold that the event has gone into."""

    @property
    def routine(self) -> bool:
        """It may be folded together with its neighbours."""
        if self.mentions or self.kind != "frame" or self.headers is not None:
            return False
        return self.name not in ("HEADERS", "RST_STREAM", "GOAWAY", "PUSH_PROMISE") and not (
            self.name == "SETTINGS" and "ACK" not in self.flags
        )


@dataclass(slots=True)
class Fold:
    """Frames that are not shown one by one."""

    first: Mark
    last: Mark
    frames: dict[tuple[int, str], list[int]] = field(default_factory=dict)
    """(side, frame type) -> [frames, payload bytes]."""
    messages: list[int] = field(default_factory=lambda: [0, 0])
    """Messages that begin in them, by side."""

    def take(self, event: Event) -> None:
        """Swallow one event."""
        self.last = event.mark
        sums = self.frames.setdefault((event.side, event.name), [0, 0])
        sums[0] += 1
        sums[1] += event.length
        if event.body is not None:
            self.messages[event.side] += event.body.count
        event.fold = self


class Folder:
    """A list of events in which long runs are folded while they come: memory depends on what is shown."""

    def __init__(self, *, everything: bool) -> None:
        self.items: list[Event | Fold] = []
        self._everything = everything
        self._notable = 0
        self._run = 0
        self._fold: Fold | None = None
        self._tail: deque[Event] = deque()

    def add(self, event: Event) -> None:
        """Take the next event."""
        if self._everything and len(self.items) < _EVERYTHING:
            self.items.append(event)
            return
        if not event.routine and self._notable < _NOTABLE:
            self._notable += 1
            self.flush()
            self.items.append(event)
            return
        self._run += 1
        if self._run <= HEAD:
            self.items.append(event)
            return
        self._tail.append(event)
        if len(self._tail) > TAIL:
            oldest = self._tail.popleft()
            if self._fold is None:
                self._fold = Fold(oldest.mark, oldest.mark)
            self._fold.take(oldest)

    def flush(self) -> None:
        """The run is over."""
        if self._fold is not None:
            self.items.append(self._fold)
        self.items.extend(self._tail)
        self._tail.clear()
        self._fold = None
        self._run = 0


def flag_names(kind: int, flags: int) -> tuple[str, ...]:
    """Return the names of the flags that are set; those without a meaning as one number."""
    names = []
    for bit, name in _FLAGS.get(kind, ()):
        if flags & bit:
            names.append(name)
            flags &= ~bit
    if flags:
        names.append(f"{flags:#04x}")
    return tuple(names)


def facts_of(frame: ControlFrame) -> dict[str, Any]:
    """Return what the payload of a control frame says (RFC 9113 §6); empty where it has not its due length."""
    payload, kind = frame.payload, frame.kind
    if kind == RST_STREAM and len(payload) == 4:
        code = int.from_bytes(payload, "big")
        return {"error_code": code, "error": error_name(code)}
    if kind == GOAWAY and len(payload) >= 8:
        code = int.from_bytes(payload[4:8], "big")
        last = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
        facts: dict[str, Any] = {"last_stream": last, "error_code": code, "error": error_name(code)}
        if len(payload) > 8:
            facts["debug"] = payload[8:1032]
        return facts
    if kind == WINDOW_UPDATE and len(payload) == 4:
        return {"increment": int.from_bytes(payload, "big") & 0x7FFFFFFF}
    if kind == SETTINGS:
        pairs = [(payload[at : at + 2], payload[at + 2 : at + 6]) for at in range(0, len(payload) - 5, 6)]
        values = {}
        for identifier, value in pairs[:_SETTINGS_SHOWN]:
            number = int.from_bytes(identifier, "big")
            values[SETTING_NAMES.get(number, f"{number:#x}")] = int.from_bytes(value, "big")
        return {"settings": values} if values else {}
    if kind == PING and len(payload) == 8:
        return {"opaque": payload.hex()}
    if kind == PRIORITY and len(payload) == 5:
        return {"depends_on": int.from_bytes(payload[:4], "big") & 0x7FFFFFFF, "weight": payload[4] + 1}
    return {}
