"""The types that all rooms talk in: where bytes were seen, and what a diagnosis consists of.

Times are integers, nanoseconds since 1970-01-01 UTC. Packet numbers are Wireshark's ``frame.number``, from 1, within
their source. Offsets count from 0 in one direction's byte stream. The two directions of a connection are numbered by
the side that *sent* the bytes: `CLIENT` and `SERVER`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray: TypeAlias = NDArray[np.int64]

CLIENT = 0
"""Index of the side that opened the connection."""
SERVER = 1
"""Index of the side that accepted it."""
SIDE_NAMES: tuple[Literal["client"], Literal["server"]] = ("client", "server")

_SHORT_RUN = 8
"""Marks of fewer segments are not worth making smaller."""

Severity = Literal["error", "warning", "info"]
Certainty = Literal["certain", "probable", "possible"]
Who = Literal["server", "proxy", "client", "network", "capture", "unknown"]
RetrySafe = Literal["yes", "no", "unknown"]


class Mark(NamedTuple):
    """A place in a capture: the packet that carried one byte of a direction's stream."""

    source: int
    """Index of the source among `Diagnosis.sources`."""
    packet: int
    """``frame.number`` in the source."""
    time: int
    """Capture time, ns since the epoch."""
    offset: int
    """Offset of the byte in its direction's byte stream (after TLS where TLS was taken off)."""


class Marks:
    """The segments that one run of stream bytes was joined from, so that a byte finds its packet again.

    The three sequences run in parallel and `offsets` ascends; they are never changed once handed out.
    """

    __slots__ = ("offsets", "packets", "source", "times")

    def __init__(self, source: int, offsets: Sequence[int], packets: Sequence[int], times: Sequence[int]) -> None:
        self.source = source
        self.offsets = offsets
        """Stream offset of each segment's first byte."""
        self.packets = packets
        self.times = times

    def at(self, offset: int) -> Mark:
        """Return the mark of the byte at stream `offset` (clamped to the segments held)."""
        i = bisect_right(self.offsets, offset) - 1
        if i < 0:
            i = 0
        return Mark(self.source, self.packets[i], self.times[i], offset)

    def near(self, offset: int, length: int = 1) -> Marks:
        """Return the marks of `length` bytes from `offset` on: for what is kept longer than the run it stood in."""
        offsets = self.offsets
        if len(offsets) < _SHORT_RUN:
            return self
        i = max(bisect_right(offsets, offset) - 1, 0)
        j = max(bisect_left(offsets, offset + length), i + 1)
        return Marks(self.source, offsets[i:j], self.packets[i:j], self.times[i:j])

    def after(self, count: int) -> Marks:
        """Return the marks of the same run without its first `count` bytes."""
        begin = self.offsets[0] + count
        i = max(bisect_right(self.offsets, begin) - 1, 0)
        return Marks(self.source, [begin, *self.offsets[i + 1 :]], self.packets[i:], self.times[i:])


class Excerpt(NamedTuple):
    """A few bytes kept as evidence, with their place."""

    side: int
    """`CLIENT` or `SERVER`: who sent them."""
    mark: Mark
    data: bytes
    """The bytes, at most a few hundred."""
    length: int
    """How many bytes the thing shown has in all; more than ``len(data)`` when it was cut for show."""


@dataclass(slots=True)
class PacketBatch:
    """Consecutive packets of one link type, as a source read them: columns over one shared buffer.

    `data` is valid only until the next batch is asked for: whoever keeps payload bytes copies them.
    """

    source: int
    """Index of the source among the sources of the run."""
    link: int
    """LINKTYPE_ number (https://www.tcpdump.org/linktypes.html)."""
    data: memoryview
    starts: list[int]
    """Where each packet's first captured byte lies in `data`."""
    caplens: list[int]
    """Captured bytes of each packet."""
    lengths: list[int]
    """Bytes of each packet on the wire, at least its captured length."""
    times: list[int]
    """Capture time of each packet, ns since the epoch."""
    first_number: int
    """``frame.number`` of the first packet; the others follow by one."""
    lane: int = -1
    """Sources of one number follow each other in time and share their connections; -1 where nobody has found out."""
    form: FormFacts | None = None
    """Set where the packets were made up from evidence that is no packet capture."""


class Stretch:
    """In-order segments of both sides of one connection, as columns: what a `StreamListener` may take at once.

    Segments that stand next to each other in `raw` and come from the same side are contiguous in that side's stream.
    """

    __slots__ = ("bounds", "offsets", "packets", "raw", "sides", "source", "times")

    def __init__(
        self, source: int, raw: bytes, bounds: IntArray, sides: IntArray, offsets: IntArray, packets: IntArray,
        times: IntArray,
    ) -> None:  # fmt: skip
        self.source = source
        self.raw = raw
        """The payload of all segments, one after the other (and perhaps of others before them)."""
        self.bounds = bounds
        """Where each segment begins in `raw`, and the end of the last: one more than there are segments."""
        self.sides = sides
        """0 or 1, as `StreamListener` numbers them."""
        self.offsets = offsets
        """Stream offset of each segment's first byte."""
        self.packets = packets
        self.times = times

    def __len__(self) -> int:
        """Return the number of segments."""
        return len(self.sides)

    def after(self, count: int) -> Stretch:
        """Return the same without its first `count` segments; their bytes still stand in `raw`."""
        return Stretch(
            self.source, self.raw, self.bounds[count:], self.sides[count:], self.offsets[count:], self.packets[count:],
            self.times[count:],
        )  # fmt: skip

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, bytes, Marks]]:
        """Yield the segments from `start` to `stop` as runs: side, bytes, marks."""
        stop = len(self.sides) if stop is None else stop
        if start >= stop:
            return
        sides = self.sides[start:stop]
        changes = (sides[1:] != sides[:-1]).nonzero()[0] + 1
        edges = [0, *changes.tolist(), stop - start]
        bounds = self.bounds[start : stop + 1].tolist()
        offsets, packets = self.offsets[start:stop].tolist(), self.packets[start:stop].tolist()
        times = self.times[start:stop].tolist()
        for i, j in pairwise(edges):
            marks = Marks(self.source, offsets[i:j], packets[i:j], times[i:j])
            yield int(sides[i]), self.raw[bounds[i] : bounds[j]], marks


class StreamListener(Protocol):
    """What the TCP layer tells about one connection, in capture order per connection.

    ``side`` is 0 for the initiator if a SYN told it, otherwise for the endpoint whose packet came first: who is client
    may become known only from the bytes.
    """

    def run(self, side: int, data: bytes, marks: Marks) -> None:
        """Bytes of one side in stream order; the first byte's offset is ``marks.offsets[0]``."""

    def stretch(self, stretch: Stretch) -> None:
        """Many segments at once; the same as ``for run in stretch.runs(): self.run(*run)``."""

    def gap(self, side: int, length: int, reason: str, mark: Mark) -> None:
        """`length` bytes of one side are not in the capture; `mark` is the place where the stream goes on."""

    def ended(self, side: int, how: Literal["fin", "rst"], mark: Mark) -> None:
        """One side closed (all of its bytes that the capture holds were delivered before)."""

    def closed(self, reason: Literal["closed", "reused", "idle", "capture-end"]) -> None:
        """Nothing more will come for this connection."""


class BodySink(Protocol):
    """Where the walk of HTTP/2 frames puts the bytes of DATA frames of one side of one stream."""

    def feed(self, data: bytes, start: int, stop: int, marks: Marks, offset: int) -> None:
        """Take ``data[start:stop]``; `offset` is the stream offset of ``data[start]`` in the connection's direction."""

    def feed_all(self, data: bytes, places: list[int], marks: Marks, base: int) -> None:
        """Take many parts of `data`, where each begins and ends; `base` is the stream offset of ``data[0]``."""

    def gap(self, length: int | None) -> None:
        """`length` bytes of the body are missing, or an unknown number of them (None)."""

    def ended(self) -> None:
        """The side has ended the stream: more is not expected."""


@dataclass(slots=True)
class UnseenEnd:
    """A call whose end the evidence does not show although it was over."""

    record: int
    """Number of the record that shows it last."""
    time: int
    """When, ns since the epoch; 0 if the evidence has no time."""
    path: str
    text: str
    """What is known of the end, one phrase."""
    severity: Severity = "warning"
    """``error`` where the evidence itself calls it a failure: a reset may as well be a client's own wish."""


@dataclass(slots=True)
class FormFacts:
    """What evidence that is no packet capture cannot show, and how its packets are to be taken."""

    name: str
    """What it is, for a sentence: ``an Envoy tap trace``."""
    level: Literal["bytes", "messages"]
    """``bytes``: byte streams as they were, in made-up TCP packets. ``messages``: headers and bodies, in made-up
    HTTP/2. What was made up is no evidence."""
    limits: tuple[str, ...] = ()
    """What the form cannot show, one phrase each."""
    own_numbers: bool = True
    """True if packet numbers are those of the form's records; False if they are real ``frame.number`` values."""
    ordered: bool = True
    """False if it is not known which side's bytes came first."""
    client_log: bool = False
    """Some statuses stand in a client's own log: its library may have made them up without the server."""
    connections: int = 0
    """Connections whose end the form would tell, and how many of them it said were closed (by whom it does not say)."""
    closed: int = 0
    truncated: int = 0
    """Payloads of which the evidence holds only the beginning."""
    unseen_ends: list[UnseenEnd] = field(default_factory=list)
    """The first 100."""
    unseen_count: int = 0
    untold: int = 0
    """Calls that may well have ended with a status that the form has no place for."""

    def ended_unseen(self, record: int, time: int, path: str, text: str, severity: Severity = "warning") -> None:
        """Note a call whose end is not shown."""
        self.unseen_count += 1
        if len(self.unseen_ends) < 100:
            self.unseen_ends.append(UnseenEnd(record, time, path, text, severity))


@dataclass(slots=True)
class SourceInfo:
    """One input as the report names it."""

    path: str
    sha256: str = ""
    """Hex digest of the input as read (still compressed where it was)."""
    format: str = ""
    """``pcap``, ``pcapng``, with ``+gzip`` or ``+zstd`` where compressed."""
    packets: int = 0
    bytes: int = 0
    """Bytes of the input as read."""
    first: int | None = None
    """Time of the earliest packet, ns since the epoch."""
    last: int | None = None
    """Time of the latest packet."""
    dropped: int | None = None
    """Packets that were lost before they were written, as the capture tool counts them; None where it does not say."""
    engine: str = ""
    """Who took the packets apart down to TCP: ``Wireshark 4.0.17``, or empty for wirecase itself."""
    form: FormFacts | None = None
    """Set for evidence that is no packet capture."""


@dataclass(slots=True)
class Damage:
    """A stretch of an input that could not be read."""

    source: int
    offset: int
    """Byte offset in the (decompressed) input where reading failed."""
    reason: str
    """One plain sentence."""
    packet: int
    """Number of packets read before."""
    bytes: int = 0
    """Bytes given up, where known."""


@dataclass(slots=True, frozen=True)
class ConnectionRef:
    """How a report names a connection."""

    index: int
    client: str
    """``addr:port``, IPv6 in brackets."""
    server: str


@dataclass(slots=True)
class Evidence:
    """Bytes of the capture that a finding rests on."""

    role: str
    """``primary`` for the bytes that prove it, ``context`` for those that explain it."""
    note: str
    """What the reader sees there, one line."""
    source: int | None = None
    direction: Literal["client", "server"] | None = None
    """The side that sent the bytes."""
    packet: int | None = None
    offset: int | None = None
    length: int = 0
    """Length of the thing shown in bytes."""
    data: bytes = b""
    """The bytes themselves, possibly cut short of `length`."""
    time: int | None = None


@dataclass(slots=True)
class ClientSees:
    """What one client logs when it meets the fault."""

    client: str
    """``tonic``, ``grpc-go``, ``grpc-core`` (C++ and Python), ``grpc-java``, ``grpc-js`` …"""
    version: str
    code: str
    """gRPC status name that the application gets, e.g. ``INTERNAL``; ``OK`` where the client notices nothing."""
    text: str
    checked: bool = False
    """True if the text was read in the client's source or printed by the client; False if it was remembered."""


@dataclass(slots=True)
class Occurrence:
    """One place where a finding's fault was met."""

    connection: int | None
    stream: int | None
    call: int | None
    path: str | None
    packet: int | None
    time: int | None


@dataclass(slots=True, frozen=True)
class Leg:
    """One stretch of a call's way: before or behind a proxy, a NAT, a mirror."""

    connection: ConnectionRef
    stream: int
    call: int | None
    """Number of the call, where it has one of its own."""


@dataclass(slots=True)
class Finding:
    """One fault of one kind on one connection, whatever the number of streams that it hit."""

    rule: str
    severity: Severity
    certainty: Certainty
    title: str
    """One line, specific: names the value, the side and the place."""
    explanation: str
    """A short paragraph in plain words: what happened, what is certain and what is inferred."""
    who: list[Who]
    """Who is at fault, the likeliest first."""
    id: str = ""
    """``F1`` …, given when the diagnosis is complete."""
    caused_by: str | None = None
    connection: ConnectionRef | None = None
    stream: int | None = None
    call: int | None = None
    path: str | None = None
    time: int | None = None
    count: int = 1
    occurrences: list[Occurrence] = field(default_factory=list)
    """The first 100."""
    details: dict[str, Any] = field(default_factory=dict)
    """The rule's own typed facts (str, int, float, bool, None and lists of them)."""
    evidence: list[Evidence] = field(default_factory=list)
    client_sees: list[ClientSees] = field(default_factory=list)
    retry_safe: RetrySafe = "unknown"
    retry_why: str = ""
    fix: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    """Correlation ids that the call carried: ``traceparent``, ``x-request-id``, ``cf-ray`` …"""
    references: list[str] = field(default_factory=list)
    legs: list[Leg] = field(default_factory=list)
    """All legs on which its call was captured, from the client on; empty if there is only one."""


@dataclass(slots=True)
class Blast:
    """How far the faults reach."""

    calls: int
    """Calls that an error or warning names."""
    of: int
    """Calls seen."""
    share: float
    paths: list[str]
    first: int | None
    last: int | None


@dataclass(slots=True)
class Verdict:
    """The answer on top of the report."""

    headline: str
    root_causes: list[str]
    """Ids of the findings that nothing else explains, the weightiest first."""
    not_inspected: list[str]
    """What the capture holds and wirecase could not look into, one phrase each."""
    blast: Blast


@dataclass(slots=True)
class CallTotals:
    """Counts over all gRPC calls."""

    total: int = 0
    ok: int = 0
    failed: int = 0
    unfinished: int = 0
    """Still open when the capture ended, or with an end that it does not show; nothing wrong was seen."""
    by_status: dict[str, int] = field(default_factory=dict)
    """Calls by grpc-status name as it stood on the wire; ``none`` where there was no status."""
    legs: int = 0
    """Calls that are in none of these counts, since they are another leg (behind a proxy, a NAT) of one that is."""
    doubtful: int = 0
    """Calls that may be counted twice: a proxy's both sides were captured, and its calls could not be told apart."""


@dataclass(slots=True)
class Unbalanced:
    """A direction whose bytes do not add up: a defect of wirecase, shown instead of hidden."""

    connection: int
    direction: Literal["client", "server"]
    captured: int
    decoded: int
    skipped: int


@dataclass(slots=True)
class Accounting:
    """Where every captured byte went: ``captured == decoded + sum(skipped)``."""

    captured: int = 0
    """Captured bytes of all packets, link header to last byte."""
    decoded: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    """Bytes by reason."""
    unbalanced: list[Unbalanced] = field(default_factory=list)

    def skip(self, reason: str, count: int) -> None:
        """Book `count` bytes as skipped for `reason`."""
        if count:
            self.skipped[reason] = self.skipped.get(reason, 0) + count


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


@dataclass(slots=True)
class Diagnosis:
    """All that `diagnose` found; every report is drawn from this."""

    version: str
    sources: list[SourceInfo]
    verdict: Verdict
    findings: list[Finding]
    calls: CallTotals
    accounting: Accounting
    connections: int = 0
    """TCP connections seen."""
    interrupted: bool = False
    """True if reading was stopped before the end of the input."""
    damaged: list[Damage] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Inputs that could not be read at all, one line each."""
    cross_check: CrossCheck | None = None
    """How Wireshark's counts compare, where that was asked for."""
    log: LogReport | None = None
    """A log beside the capture, where one was given."""
