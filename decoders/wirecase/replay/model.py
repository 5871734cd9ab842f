"""What a replay leaves behind: what the live client did on the wire and as a process, and how it is judged.

The server (or, in the other direction, the caller) fills a `Trace`; the runner fills a `ClientRun`; the judges read
both and return a `Check` for each question. None of them knows the others.

Times named `at`, `opened`, `ended` and so on are seconds since the replay began, from one monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Role = Literal["problem", "healthy", "fallback", "housekeeping"]
"""What a live call was answered with: the recorded problem session, a recorded healthy answer afterwards, the
documented fallback (UNIMPLEMENTED) for what the recording does not hold, or an answer of the server's own to reflection
and health checks."""
ClosedBy = Literal["client-fin", "client-rst", "server-fin", "server-rst", "stopped"]
"""Who ended a live connection and how; ``stopped``: the replay was over first."""
Outcome = Literal["pass", "fail", "untold"]


@dataclass(slots=True)
class LiveCall:
    """One request of the live client and what became of it."""

    number: int
    """From 0, in the order of request headers."""
    connection: int
    """Number of its `LiveConnection`."""
    stream: int
    path: str
    role: Role
    at: float
    """When its request headers came."""
    recorded: int | None = None
    """Number of the recorded call that it was answered as."""
    faults: list[str] = field(default_factory=list)
    """Rule ids of the recorded call's findings that its answer carries; empty for an answer that is sound."""
    broke_at: float | None = None
    """When the last byte of a faulty answer was written (or withheld, where silence is the fault)."""
    request_ended: float | None = None
    """When the client sent END_STREAM."""
    request_bytes: int = 0
    """DATA bytes of the request."""
    request_messages: int = 0
    request_digest: str = ""
    """SHA-256, hex, of the request's DATA: equal requests are told by it."""
    previous_attempts: int = 0
    """``grpc-previous-rpc-attempts`` of the request."""
    accepts: str = ""
    """``grpc-accept-encoding`` of the request."""
    answered: float | None = None
    """When the first frame of the answer was written."""
    completed: float | None = None
    """When the answer ended with its trailers; None for one that ended otherwise or not at all."""
    ended: float | None = None
    """When the server ended the stream, however: END_STREAM, RST_STREAM, or the end of its connection; None while the
    client has reason to wait."""
    status: int | None = None
    """The grpc-status that was sent, None if there was none."""
    unprocessed: bool = False
    """The answer told the client that the request was not processed: REFUSED_STREAM, or a GOAWAY below its stream."""
    reset_by_client: int | None = None
    """Error code of the client's RST_STREAM."""
    reset_at: float | None = None
    messages_sent: int = 0
    """Whole messages in the answer as it was written."""


@dataclass(slots=True)
class LiveConnection:
    """One TCP connection of the live client."""

    number: int
    """From 0, in the order in which they were accepted."""
    opened: float
    recorded: int | None = None
    """Index of the recorded connection whose server it was given; None where the problem session was over."""
    alpn: str | None = None
    """What TLS agreed on; None in cleartext or without ALPN."""
    tls_error: str | None = None
    """Why the TLS handshake failed."""
    closed: float | None = None
    closed_by: ClosedBy | None = None
    goaway: int | None = None
    """Error code of the client's GOAWAY."""
    goaway_debug: bytes = b""
    faults: list[str] = field(default_factory=list)
    """Rule ids of the findings that stand on the connection itself (GOAWAY, HPACK, TCP end …) and that it was given."""
    broke_at: float | None = None
    """When such a fault was written."""
    survivable: bool = True
    """Streams beside the faulty one can live on: False once a fault ends the whole connection."""
    not_http2: bytes = b""
    """First bytes of a client that does not speak HTTP/2, at most 256."""
    unread: int = 0
    """Bytes that were still waiting for a client that does not read when the connection ended."""


@dataclass(slots=True)
class Deviation:
    """Something that could not be served as it was recorded, or not at that moment, and why."""

    what: str
    """A stable word: ``window-smaller``, ``endpoint-rewritten``, ``call-not-made``, ``late``, ``left-out`` …"""
    why: str
    at: float | None = None
    connection: int | None = None
    """Number of a live connection."""
    call: int | None = None
    """Number of a live call."""
    recorded: int | None = None
    """Number of a recorded call."""


@dataclass(slots=True)
class Trace:
    """All that was seen of the client on the wire."""

    target: str
    """``host:port`` as the client was given it."""
    connections: list[LiveConnection] = field(default_factory=list)
    calls: list[LiveCall] = field(default_factory=list)
    deviations: list[Deviation] = field(default_factory=list)
    problem_over: float | None = None
    """When the last act of the problem session was done; None if it was not."""
    ended: float = 0.0
    """When the server was stopped."""
    forgotten_calls: int = 0
    """Live calls beyond those that are kept."""


@dataclass(slots=True)
class Sample:
    """The client's process (its children included) at one moment."""

    at: float
    rss: int
    """Bytes."""
    cpu: float
    """Seconds of user and system time so far."""
    descriptors: int
    threads: int
    connections: int
    """Open TCP connections to the replay server, as the server counts them."""
    open_streams: int
    """Streams that the client has open there."""


@dataclass(slots=True)
class ReportedCall:
    """One line that the client appended to the file in ``WIRECASE_REPORT``."""

    call: int | str
    code: str
    """Upper-case canonical name, e.g. ``INTERNAL``; ``OK`` for success."""
    details: str = ""
    messages: int | None = None


@dataclass(slots=True)
class ClientRun:
    """One run of the client's command."""

    command: list[str]
    """As it was started, placeholders filled."""
    started: float
    ended: float | None = None
    exit: int | None = None
    """Exit status; None if it was ended by a signal or could not be started."""
    signal: int | None = None
    """Signal that ended it, of its own (11) or ours (see `timed_out`)."""
    timed_out: bool = False
    """It was still running at the time limit and was ended by us."""
    ended_by_us: bool = False
    """It was ended by us: at the time limit, at an interruption, or because every round was done."""
    left_behind: int = 0
    """Children that were still there when it had ended by itself."""
    failed_to_start: str | None = None
    output: bytes = b""
    """Standard output and error together, the last 256 KiB."""
    output_bytes: int = 0
    """How much there was of it."""
    samples: list[Sample] = field(default_factory=list)
    reported: list[ReportedCall] = field(default_factory=list)
    bad_report_lines: int = 0


@dataclass(slots=True)
class Check:
    """One question about the client and its answer."""

    name: str
    """``detected``, ``contained``, ``recovered``, ``retried_safely``, ``not_hung``, ``not_crashed``, ``no_leak``,
    ``as_expected``."""
    outcome: Outcome
    why: str
    """One sentence; nothing in it comes from the client or the capture unescaped."""
    evidence: list[dict[str, object]] = field(default_factory=list)
    """What it rests on: live calls, connections, samples, reported lines, by number, with their figures."""


CHECKS = ("detected", "contained", "recovered", "retried_safely", "not_hung", "not_crashed", "no_leak")
"""The names of the contract, in the order in which they are shown."""
