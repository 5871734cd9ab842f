"""What is known of one TCP connection, beside its bytes. Filled by the assembler, read by the rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from wirecase.model import Mark


class Gap(NamedTuple):
    """Bytes of one side that the capture does not hold."""

    offset: int
    length: int
    reason: str
    """``gap`` (packets missing), ``snaplen`` (cut by the capture)."""
    mark: Mark
    """The packet after the hole."""


class Conflict(NamedTuple):
    """Two different copies of the same stream bytes."""

    mark: Mark
    """The packet that carried the later copy; ``mark.offset`` is the first byte that differs."""
    kept: bytes
    """The copy that came first and was used (cut to 32 bytes)."""
    other: bytes


@dataclass(slots=True)
class TcpSide:
    """One endpoint and all that it sent. Marks of control packets have the stream offset at which they stand."""

    address: str
    """``addr:port``, IPv6 in brackets."""
    syn: Mark | None = None
    """Its first SYN or SYN-ACK."""
    base: int | None = None
    """Sequence number of its first byte: one more than its SYN's where that was seen."""
    syns: int = 0
    """SYN packets sent, retransmissions included."""
    fin: Mark | None = None
    rst: Mark | None = None
    """A reset that the peer would accept (RFC 9293 §3.10.7.4), or that cannot be judged; also one after its own FIN."""
    bad_rst: Mark | None = None
    """The first reset outside of the peer's window: ignored by it."""
    bad_rsts: int = 0
    packets: int = 0
    delivered: int = 0
    """Payload bytes handed on in stream order."""
    duplicate: int = 0
    """Payload bytes seen again (retransmissions, overlaps, mirrored copies)."""
    outside: int = 0
    """Payload bytes that belong to no place of the stream (keep-alive probes, far outside the window)."""
    missing: int = 0
    """Bytes in gaps."""
    cut: int = 0
    """Bytes missing because of the snaplen (part of `missing`)."""
    gaps: list[Gap] = field(default_factory=list)
    """The first 100."""
    conflicts: list[Conflict] = field(default_factory=list)
    """The first 20."""
    reordered: int = 0
    """Segments that came before an earlier one."""
    retransmissions: int = 0
    """Segments sent again by the sender (mirrored copies are not counted)."""
    mirrored: int = 0
    """Exact copies of a packet: the capture saw it twice."""
    tail_retransmissions: list[Mark] = field(default_factory=list)
    """Retransmissions since the peer was last heard, the last 20."""
    tail_since: Mark | None = None
    """First packet of the unanswered tail: the first segment (or SYN) that the peer never acknowledged."""
    acked: int | None = None
    """Stream offset up to which the peer acknowledged this side's bytes."""
    sent: int = 0
    """Stream offset just after the highest byte seen from this side."""
    window_scale: int | None = None
    """From its SYN; None if the SYN was not seen."""
    window: int | None = None
    """Last receive window that this side advertised, in bytes (unscaled where the scale is unknown)."""
    zero_window: Mark | None = None
    """Where its window went to 0 and has not been opened since."""
    zero_windows: int = 0
    """How often its window went to 0."""
    zero_window_ns: int = 0
    """How long it stood at 0 in all, not counting a time that has not ended (see `zero_window`)."""
    keepalives: int = 0
    first: Mark | None = None
    """Its first packet."""
    last: Mark | None = None
    """Its last packet of any kind."""
    last_data: Mark | None = None
    """Its last packet with new payload."""


@dataclass(slots=True)
class TcpConnection:
    """One TCP connection. ``sides[0]`` is the initiator where a SYN was seen, else the side seen first."""

    index: int
    """From 0, in the order of first packets."""
    sides: tuple[TcpSide, TcpSide]
    syn_seen: bool = False
    offload: bool = False
    """Segments longer than any wire carries were seen: the capture was taken before segmentation."""
    end_reason: str = ""
    """``closed``, ``reused``, ``idle`` or ``capture-end`` once it is over."""
    capture_end: int | None = None
    """Time of the last packet of the whole capture when this connection was let go, ns."""
