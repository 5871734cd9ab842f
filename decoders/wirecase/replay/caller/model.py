"""What comes of sending recorded requests to a real server: the answers of then and now, side by side.

`Verdict` of one call:

=================== ================================================================================================
fixed               the recorded answer was at fault; the live one is whole, sound and OK
same                nothing was at fault, and status, messages and bytes are the recorded ones
changed             sound, and not the recorded answer: the status or the messages are others
still-broken        the same rule finds the same fault in the live answer
broken-differently  another fault is found, or there was no answer at all
not-sent            the request could not be sent
=================== ================================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

SCHEMA = "wirecase/replay-to/1"
Verdict = Literal["fixed", "same", "changed", "still-broken", "broken-differently", "not-sent"]
Overall = Literal["fine", "broken", "untold"]
Through = Literal["raw", "grpcio"]


@dataclass(slots=True)
class Fault:
    """A finding, as far as a comparison needs it. Texts are not escaped."""

    rule: str
    severity: str
    title: str
    client_side: bool = False
    """It lies in what the client sent: a replay sends it again, and a server cannot mend it."""


@dataclass(slots=True)
class Answer:
    """How one call was answered. Texts are as they stood on the wire."""

    status: int | None = None
    """grpc-status; None if there was none or it is no number."""
    message: str | None = None
    """grpc-message, percent-decoded."""
    http: int | None = None
    """``:status``."""
    messages: int = 0
    """Whole messages of the answer."""
    bytes: int = 0
    """Payload of its DATA frames, without padding."""
    digest: str = ""
    """SHA-256, hex, of those bytes."""
    how: str = "open"
    """How it ended (`wirecase.session.call.How`)."""
    by: str | None = None
    """``client`` or ``server``: who ended it."""
    error: int | None = None
    """HTTP/2 error code of the RST_STREAM or GOAWAY that ended it."""
    seconds: float = 0.0
    """From the first frame of the request to the end of the call."""
    gave_up: bool = False
    """There was no end within the time limit, and the call was cancelled."""
    faults: list[Fault] = field(default_factory=list)
    """What the rules find in it, without limits of the capture."""
    client_code: str | None = None
    """With grpcio: the status code's name that the client was given."""
    client_details: str | None = None

    @property
    def complete(self) -> bool:
        """It ended with a status."""
        return self.how in ("trailers", "trailers-only", "data") and self.status is not None


@dataclass(slots=True)
class CallResult:
    """One recorded call and what became of it."""

    recorded: int
    """Number of the recorded call."""
    path: str
    connection: int
    """Index of its recorded connection."""
    before: Answer
    after: Answer | None
    """None if it was not sent."""
    verdict: Verdict = "same"
    differences: list[str] = field(default_factory=list)
    """One plain phrase for each; texts from the wire are not in them."""
    why: str = ""
    """The verdict in one sentence, without texts from the wire."""


@dataclass(slots=True)
class ConnectionResult:
    """What stands on a connection itself: GOAWAY, SETTINGS, how it ended."""

    recorded: int
    live: int
    """Connections that were opened for it."""
    before: list[Fault] = field(default_factory=list)
    after: list[Fault] = field(default_factory=list)
    verdict: Verdict = "same"
    error: str | None = None
    """Why it could not be opened."""


@dataclass(slots=True)
class Deviation:
    """Something that could not be sent as it was recorded, or not at that moment, and why."""

    what: str
    """A stable word: ``waited-for-streams``, ``frame-split``, ``not-reset`` …"""
    why: str
    """One sentence."""
    connection: int | None = None
    """Index of a recorded connection."""
    call: int | None = None
    """Number of a recorded call."""
    count: int = 1


@dataclass(slots=True)
class Sent:
    """What the sending part leaves behind."""

    capture: str
    """A packet file with the bytes of both sides, after TLS; the comparison reads it."""
    streams: dict[tuple[str, int], int] = field(default_factory=dict)
    """(client endpoint in that file, live stream) -> number of the recorded call. Empty through grpcio."""
    connections: dict[str, int] = field(default_factory=dict)
    """Client endpoint in that file -> index of the recorded connection."""
    errors: dict[int, str] = field(default_factory=dict)
    """Recorded connection -> why it could not be opened."""
    gave_up: set[int] = field(default_factory=set)
    """Recorded calls without an end within the time limit."""
    skipped: dict[int, str] = field(default_factory=dict)
    """Recorded calls that were not sent, and why."""
    told: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Recorded call -> (code's name, details) that grpcio gave."""
    deviations: list[Deviation] = field(default_factory=list)
    interrupted: bool = False
    """The user stopped it before everything was sent."""

    def deviate(self, what: str, why: str, *, connection: int | None = None, call: int | None = None) -> None:
        """Note a deviation; what is said again of the same connection is counted."""
        for one in self.deviations:
            if one.what == what and one.connection == connection and one.why == why:
                one.count += 1
                return
        if len(self.deviations) < 1000:
            self.deviations.append(Deviation(what, why, connection, call))


@dataclass(slots=True)
class Comparison:
    """The whole result."""

    path: str
    target: str
    """``host:port`` that was dialled."""
    address: str
    """The address behind it."""
    through: Through
    tls: bool
    recorded_server: str
    headline: str
    """The verdict on the recording."""
    redacted: bool
    overall: Overall = "fine"
    summary: str = ""
    """One sentence."""
    calls: list[CallResult] = field(default_factory=list)
    connections: list[ConnectionResult] = field(default_factory=list)
    deviations: list[Deviation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What the reader must know, a sentence each."""
    seconds: float = 0.0
    interrupted: bool = False
