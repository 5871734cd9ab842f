"""What others say of the same traffic: Wireshark's counts, and a log beside the capture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from wirecase.model.words import ConnectionRef


@dataclass(slots=True)
class Compared:
    """One number as wirecase and as Wireshark have it."""

    ours: int
    theirs: int

    def add(self, ours: int, theirs: int) -> None:
        """Add to both."""
        self.ours += ours
        self.theirs += theirs

    @property
    def agrees(self) -> bool:
        """Both have the same number."""
        return self.ours == self.theirs


@dataclass(slots=True)
class Difference:
    """A connection on which wirecase and Wireshark count differently."""

    connection: ConnectionRef | None
    """None if it is HTTP/2 for Wireshark only."""
    source: int
    packet: int
    """Its first packet."""
    what: Literal["frames", "messages"]
    ours: int
    theirs: int
    reason: str
    """Why they may well differ; empty if no reason is known."""


@dataclass(slots=True)
class CrossCheck:
    """How the counts of a diagnosis compare with those of Wireshark's dissectors."""

    engine: str
    """``Wireshark 4.0.17``."""
    connections: Compared
    """TCP connections."""
    frames: Compared
    """HTTP/2 frames."""
    messages: Compared
    """gRPC messages."""
    by_type: dict[str, Compared]
    """HTTP/2 frames by the name of their type, ``other`` for types that RFC 9113 does not define."""
    differences: list[Difference]
    """The first 100."""
    differing: int
    """How many there are in all."""
    unexplained: int
    """How many of them have no known reason."""
    notes: list[str]
    """What tshark complained about, one line each."""

    @property
    def agrees(self) -> bool:
        """Frames and messages are the same on every connection."""
        return not self.differing and self.connections.agrees and not self.notes


@dataclass(slots=True)
class LogLine:
    """Lines of a log that say the same about the same fault."""

    line: int
    """Number of the first one, from 1."""
    first: int | None
    """When the first and the last of them were written, ns since the epoch by the log's clock."""
    last: int | None
    text: str
    """The first one, cut, with secrets masked."""
    rules: list[str]
    """What the words may stand for, best first."""
    findings: list[str]
    """Ids of the findings that explain them; empty if nothing does."""
    by: list[str]
    """What ties them: ``rule``, ``text``, ``grpc-message``, ``flag``, ``HTTP status``, ``path``, ``time``."""
    lines: list[int]
    """Their numbers, the first 20."""
    calls: list[int] = field(default_factory=list)
    """Numbers of the calls that lie nearest in time, the first 20."""
    count: int = 1


@dataclass(slots=True)
class LogReport:
    """A log beside the capture."""

    path: str
    records: int = 0
    """Lines of the log, each with those that continue it."""
    errors: int = 0
    """Of these, the ones that tell of an error."""
    offset: int | None = None
    """ns by which the log's clock is ahead of the capture's, as estimated; None if nothing told."""
    pairs: int = 0
    """Lines that agree on the offset."""
    spread: int = 0
    """ns between the least and the greatest difference among them."""
    matched: list[LogLine] = field(default_factory=list)
    unexplained: list[LogLine] = field(default_factory=list)
    more_matched: int = 0
    """Lines of further kinds that are not listed."""
    more_unexplained: int = 0
    unlogged: list[str] = field(default_factory=list)
    """Ids of findings that no line tells of, nor of their causes or consequences."""
