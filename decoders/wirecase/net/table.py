"""The connections of a capture by their 4-tuple: made at a first packet, replaced on reuse, let go when over.

A connection that is over leaves a *tombstone* behind, so that its late packets (a FIN sent again, a last
acknowledgement) do not look like a new connection. Tombstones are few bytes each and bounded in number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from wirecase.model import StreamListener
from wirecase.net.facts import TcpConnection, TcpSide
from wirecase.net.half import MASK, RING, RING_MANY, Half
from wirecase.net.header import ACK, RST, SYN, Packet
from wirecase.net.judge import is_reuse
from wirecase.net.shared import NotFollowed, Shared
from wirecase.net.tcp import ClosedReason, Flow

MAX_LINGERING = 4096
MAX_TOMBSTONES = 32768
MANY_FLOWS = 256
"""Above this many open connections each keeps fewer delivered bytes."""
CROWDED = 100_000
"""Above this many open connections, those silent for `IDLE_NS` are let go."""
IDLE_NS = 3_600_000_000_000
ONE_SIDED_NS = 180_000_000_000
"""The same for those of which only one side was seen: a flood of SYNs is let go soon."""
IDLE_CHECK_NS = 60_000_000_000
_NEAR = 1 << 26
"""A packet for a connection that is over is a late one if its sequence number is within this distance of the end."""

AFTER_CLOSE = "after the connection was over"


class Tombstone(NamedTuple):
    """What is kept of one direction of a connection that is over."""

    isn: int | None
    expect: int
    """Sequence number after its last byte."""


class Table:
    """Connections of one stretch of capture time; sources that overlap in time have a table each."""

    def __init__(
        self, open_connection: Callable[[TcpConnection], StreamListener | None], shared: Shared, indices: list[int]
    ) -> None:
        self._open_connection = open_connection
        self._shared = shared
        self._indices = indices
        """One number, shared by all tables: the index of the next connection."""
        self.halves: dict[bytes, Half] = {}
        self.flows: dict[Flow, None] = {}
        """Open connections in the order of their first packets."""
        self.tombstones: dict[bytes, Tombstone] = {}
        self.start = 0
        """Time of the first packet."""
        self._idle_checked = 0
        self.now = 0
        """Latest capture time seen."""

    def packet(self, key: bytes, packet: Packet, headers: int, padding: int) -> None:
        """Take one packet of the direction `key`; `headers` and `padding` are its captured bytes beside payload."""
        half = self.halves.get(key)
        accounting = self._shared.accounting
        flags = packet.flags
        if half is not None:
            flow = half.flow
            if flow.deadline and packet.time > flow.deadline:
                self._let_go(flow, "closed", packet.time)
                half = None
            elif flags & SYN and is_reuse(half, packet):
                self._let_go(flow, "closed" if flow.deadline else "reused", packet.time)
                half = None
        if half is None:
            if self._is_late(key, packet):
                accounting.skip(AFTER_CLOSE, headers + len(packet.data))
                accounting.skip("Ethernet padding", padding)
                return
            half = self.create(key, packet)
        if type(half.flow.listener) is NotFollowed:
            accounting.skip("not followed", headers)
        else:
            accounting.decoded += headers
        if padding:
            accounting.skip("Ethernet padding", padding)
        half.flow.segment(half, packet)

    def create(self, key: bytes, packet: Packet) -> Half:
        """Open a connection at its first packet and return the direction that sent it."""
        width = (len(key) - 4) // 2
        source, target = key[:width], key[width : 2 * width]
        back = target + source + key[-2:] + key[-4:-2]
        sender = TcpSide(_address(source, key[-4:-2]))
        receiver = TcpSide(_address(target, key[-2:]))
        # A SYN-ACK comes from the side that accepts.
        answers = packet.flags & (SYN | ACK) == SYN | ACK and not packet.flags & RST
        sides = (receiver, sender) if answers else (sender, receiver)
        connection = TcpConnection(self._indices[0], sides)
        self._indices[0] += 1
        flow = Flow(self._shared, connection, (key, back))
        first = flow.halves[1 if answers else 0]
        self.tombstones.pop(key, None)
        self.tombstones.pop(back, None)
        self.halves[back] = first.peer
        self.halves[key] = first
        self.flows[flow] = None
        flow.listener = self._open_connection(connection) or NotFollowed(self._shared.accounting)
        return first

    def housekeeping(self) -> None:
        """Let go what lingered long enough; called after each batch."""
        if self._shared.closing:
            self._end_lingering()
        if len(self.flows) > CROWDED and self.now - self._idle_checked > IDLE_CHECK_NS:
            self._idle_checked = self.now
            self.expire(IDLE_NS)
        ring = RING if len(self.flows) <= MANY_FLOWS else RING_MANY
        if ring < self._shared.ring:
            for flow in self.flows:
                for half in flow.halves:
                    if half.ring is not None and len(half.ring) > ring:
                        half.ring = half.ring[-ring:]
        self._shared.ring = ring
        tombstones = self.tombstones
        while len(tombstones) > MAX_TOMBSTONES:
            del tombstones[next(iter(tombstones))]

    def pass_time(self, now: int, patience: int | None) -> None:
        """No packet came up to `now`: let go what is over by then, and give up holes; see `Assembler.pass_time`."""
        self.now = max(self.now, now)
        for flow in self.flows:
            flow.pass_time(self.now)
        self.housekeeping()
        if patience is not None:
            self.expire(patience)
        self.refresh()

    def expire(self, patience: int) -> None:
        """Let go what was silent for `patience` ns; what was seen from one side only, after `ONE_SIDED_NS`."""
        one_sided = min(patience, ONE_SIDED_NS)
        for flow in [
            flow
            for flow in self.flows
            if self.now - flow.heard > (patience if all(half.packets for half in flow.halves) else one_sided)
        ]:
            self._let_go(flow, "idle", self.now)

    def is_over(self, key: bytes, time: int) -> bool:
        """Tell whether the connection of `key` was over before `time`, so that a packet then is late or begins anew."""
        if key in self.tombstones:
            return True
        half = self.halves.get(key)
        return half is not None and 0 < half.flow.deadline < time

    def refresh(self) -> None:
        """Bring the facts of the connections touched since the last call up to date."""
        for flow in self._shared.dirty:
            flow.dirty = False
            flow.sync()
        self._shared.dirty.clear()

    def finish(self) -> None:
        """The capture is over: end every connection."""
        for flow in list(self.flows):
            self._let_go(flow, "closed" if flow.deadline else "capture-end", self.now)

    def _end_lingering(self) -> None:
        lingering = [flow for flow in dict.fromkeys(self._shared.closing) if flow.deadline and flow in self.flows]
        lingering.sort(key=lambda flow: flow.deadline)
        kept = next((i for i, flow in enumerate(lingering) if flow.deadline >= self.now), len(lingering))
        kept = max(kept, len(lingering) - MAX_LINGERING)
        for flow in lingering[:kept]:
            self._let_go(flow, "closed", self.now)
        self._shared.closing = lingering[kept:]

    def _let_go(self, flow: Flow, reason: ClosedReason, now: int) -> None:
        del self.flows[flow]
        flow.close(reason, max(now, self.now))
        for key in flow.keys:
            half = self.halves.pop(key, None)
            if half is not None:
                self.tombstones[key] = Tombstone(half.isn, half.expect)

    def _is_late(self, key: bytes, packet: Packet) -> bool:
        """Tell whether a packet belongs to a connection that is over already."""
        tombstone = self.tombstones.get(key)
        if tombstone is None:
            return False
        if packet.flags & SYN:
            return tombstone.isn == packet.seq
        if packet.length <= 1:
            return True
        distance = (packet.seq - tombstone.expect) & MASK
        return distance < _NEAR or distance > MASK - _NEAR


def _address(address: bytes, port: bytes) -> str:
    number = port[0] << 8 | port[1]
    if len(address) == 4:
        return f"{address[0]}.{address[1]}.{address[2]}.{address[3]}:{number}"
    from ipaddress import IPv6Address

    return f"[{IPv6Address(address).compressed}]:{number}"
