"""What a comparison of the two sides of a proxy consists of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from wirecase.model import ConnectionRef, Damage, Evidence, Excerpt, Mark, Severity, SourceInfo
from wirecase.rules.leg_match import CallPrint
from wirecase.session.call import How

Fields = tuple[tuple[bytes | None, bytes | None], ...]
Hop = Literal["client", "proxy", "server", "unknown"]
"""Who is at fault, as the two legs show it: in front of the proxy, the proxy, or behind it."""
Direction = Literal["request", "response", "end"]
MatchedBy = Literal["ids or request", "ids", "path and time"]


@dataclass(slots=True)
class Block:
    """One header block of a leg."""

    fields: Fields
    """(name, value) in order; None where a late join or a gap hides it."""
    unknown: bool
    excerpt: Excerpt

    def get(self, name: bytes) -> bytes | None:
        """Return the first value of a field, or None."""
        return next((value for key, value in self.fields if key == name), None)


@dataclass(slots=True)
class LegBody:
    """What one side sent in DATA frames."""

    size: int = 0
    """Bytes, prefixes included."""
    messages: int = 0
    compressed: int = 0
    """Messages with flag 1."""
    frames: int = 0
    digest: int | None = None
    """CRC-32 of all of it; None where a hole is in it."""
    complete: bool = False
    """The side has ended its part of the stream in order."""
    foreign: Excerpt | None = None
    """Where bytes begin that are no gRPC message."""


@dataclass(slots=True)
class LegCall:
    """One call on one leg: what is kept of it to be compared."""

    mark: CallPrint
    ref: ConnectionRef
    opened: Mark
    request: Block | None
    response: Block | None
    trailers: Block | None
    """The block that ended the response; the same as `response` where that was all."""
    http_status: int | None
    status: int | None
    """grpc-status."""
    how: How
    by: int | None
    """Side that ended it."""
    ended: Mark | None
    code: int | None
    """HTTP/2 error code of the reset, or of the GOAWAY, that ended it."""
    ending: Excerpt | None
    """The frame that ended it; None where it was a packet of TCP, or nothing."""
    request_body: LegBody
    response_body: LegBody
    asked: int | None
    """When the client ended its request, ns."""
    blurred: bool
    """A hole in the capture may hide part of it."""
    server_faults: tuple[str, ...] = ()
    """Rules that it breaks, and whose fault is the server's as the leg shows it."""

    @property
    def call(self) -> int:
        """Number of the call in its capture."""
        return self.mark.call

    @property
    def stream(self) -> int:
        """Its stream."""
        return self.mark.place[1]

    @property
    def path(self) -> str:
        """``/package.Service/Method``."""
        return self.mark.path

    @property
    def in_order(self) -> bool:
        """It ended as gRPC calls end: with a status."""
        return self.how in ("trailers", "trailers-only") and self.status is not None


@dataclass(slots=True)
class Clock:
    """How the clock of the back leg's capture differs from the front leg's."""

    offset: int = 0
    """ns to take off the back leg's times to have them by the front leg's clock."""
    uncertainty: int | None = 0
    """The true offset lies at most so far away, ns; None where only one direction could be measured."""
    samples: int = 0
    """Frames that were seen on both legs and measured."""
    same: bool = True
    """Both legs are in one capture: there is one clock."""
    consistent: bool = True
    """False if no single offset puts causes before their effects: a clock was set, drifts, or jitters."""


@dataclass(slots=True)
class Pair:
    """The same call on both legs."""

    front: LegCall
    back: LegCall
    matched_by: MatchedBy
    changes: list[str] = field(default_factory=list)
    """Kinds of what differs."""
    breaks: bool = False
    request_equal: bool | None = None
    """The client's bytes are the same on both legs; None where that is not known."""
    response_equal: bool | None = None
    hop: Hop | None = None
    """Who is at fault; None if the call went well."""


@dataclass(slots=True)
class Change:
    """One kind of difference, over all calls that show it."""

    kind: str
    severity: Severity
    """``error`` if it breaks calls."""
    title: str
    text: str
    """A sentence or two about the first call that shows it."""
    front: list[Evidence]
    back: list[Evidence]
    details: dict[str, Any] = field(default_factory=dict)
    count: int = 0
    calls: list[tuple[int | None, int | None]] = field(default_factory=list)
    """(front call, back call) of the first 100."""


@dataclass(slots=True)
class Fault:
    """Calls that failed through one hop."""

    hop: Hop
    certainty: Literal["certain", "probable", "possible"]
    why: str
    front: list[Evidence]
    back: list[Evidence]
    count: int = 0
    calls: list[tuple[int | None, int | None]] = field(default_factory=list)


@dataclass(slots=True)
class Single:
    """A call that was found on one leg only."""

    leg: LegCall
    reason: Literal["no counterpart", "several fit", "outside", "not readable"]
    """``no counterpart``: nothing on the other leg can be it. ``several fit``: more than one call could be.
    ``outside``: the other capture does not cover its time. ``not readable``: it has parts that cannot be read."""
    attempt_of: int | None = None
    """The front call that it repeats, where it is a retry of the proxy."""


@dataclass(slots=True)
class Latency:
    """Time added in one direction, ns, by the front leg's clock."""

    direction: Direction
    calls: int
    least: int
    median: int
    most: int


@dataclass(slots=True)
class Totals:
    """How many calls."""

    front: int = 0
    back: int = 0
    matched: int = 0
    same: int = 0
    """Matched without any difference that matters: at most notes."""
    broken: int = 0
    """Matched, and a difference breaks them."""
    only_front: int = 0
    only_back: int = 0
    retries: int = 0
    """Of those only behind: further attempts of the proxy."""
    ambiguous: int = 0
    """Not told apart from others that are alike."""
    beyond: int = 0
    """Not compared, since there were too many."""


@dataclass(slots=True)
class Comparison:
    """All that `compare` found."""

    version: str
    sources: list[SourceInfo]
    front: list[int]
    """Indexes of `sources` that hold the front leg."""
    back: list[int]
    headline: str
    breaks: bool
    clock: Clock
    totals: Totals
    latency: list[Latency]
    changes: list[Change]
    faults: list[Fault]
    pairs: list[Pair]
    """The first 1,000, those with a fault or a difference first."""
    only_front: list[Single]
    """The first 100."""
    only_back: list[Single]
    interrupted: bool = False
    failures: list[str] = field(default_factory=list)
    damaged: list[Damage] = field(default_factory=list)
