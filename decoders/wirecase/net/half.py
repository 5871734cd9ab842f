"""One direction of a TCP connection: from segments in any order to bytes in stream order.

Sequence numbers wrap at 2^32, so a place in the stream is an *offset* that does not: offset 0 is the first payload byte
after the SYN (or the first byte seen where the capture began later), and ``(base + offset) mod 2^32`` is its sequence
number. What is next in order goes straight to the listener; what is ahead waits in `Half.store`, sorted and without
overlap, until the hole before it is filled or given up as a gap. The copy of a byte that came first is the one used.

A hole in a stream is given up as a gap when the peer acknowledged what lies behind it and `GAP_PACKETS` more packets of
the connection or `GAP_NS` have passed since: captures show an acknowledgement before its data often enough. Where the
other direction was never seen, `ONE_WAY_PACKETS` or `ONE_WAY_NS` have to do.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from wirecase.model import Mark, Marks
from wirecase.net.facts import Conflict, Gap, TcpSide

if TYPE_CHECKING:
    from wirecase.net.tcp import Flow

MASK = 0xFFFFFFFF
MAX_SCALE = 14
"""Largest shift of a window (RFC 7323 §2.2), reckoned with where the scale is not known."""
SIDE_CAP = 8 << 20
"""Bytes that one side may have waiting behind a hole, with `HELD_OVERHEAD` for each segment."""
TOTAL_CAP = 64 << 20
"""The same over all connections."""
HELD_OVERHEAD = 256
GAP_PACKETS = 64
GAP_NS = 1_000_000_000
ONE_WAY_PACKETS = 256
ONE_WAY_NS = 3_000_000_000
RING = 64 << 10
"""How many of the delivered bytes are kept to compare later copies with: conflicts further back stay unseen."""
RING_MANY = 4 << 10
"""The same while very many connections are open."""
MAX_GAPS = 100
MAX_CONFLICTS = 20
MAX_TAIL = 20
MAX_INFLIGHT = 16384
"""Unacknowledged segments remembered per side; a window of 16 MiB holds fewer."""
RECENT = 32
"""Headers remembered per side, to tell a copy made by the capture from one that the sender sent again."""
CONFLICT_BYTES = 32

RETRANSMITTED = "retransmitted copy"
OUTSIDE = "TCP payload outside of the stream"


class Held(NamedTuple):
    """A segment that waits behind a hole."""

    start: int
    end: int
    """Stream offset after it, bytes cut by the capture included."""
    data: bytes
    packet: int
    time: int
    source: int
    ident: int


class Half:
    """What one endpoint sent, and how far the other one acknowledged it."""

    __slots__ = (
        "acked",
        "base",
        "data_at",
        "delivered",
        "ended",
        "expect",
        "facts",
        "fin",
        "flow",
        "hole_count",
        "hole_time",
        "inflight",
        "isn",
        "last_at",
        "next",
        "packets",
        "peer",
        "recent",
        "ring",
        "rst",
        "scale",
        "sent",
        "shift",
        "side",
        "store",
        "store_bytes",
        "window",
    )

    peer: Half
    """The other direction; set right after both were made."""

    def __init__(self, flow: Flow, side: int, facts: TcpSide) -> None:
        self.flow = flow
        self.side = side
        self.facts = facts
        self.isn: int | None = None
        """Sequence number of its SYN."""
        self.base: int | None = None
        """Sequence number of offset 0."""
        self.next = 0
        """Offset up to which everything was delivered or declared missing."""
        self.expect = 0
        """Sequence number of `next`."""
        self.sent = 0
        """Offset after the highest byte seen."""
        self.acked = -1
        """Highest offset that the peer acknowledged, -1 for nothing; a FIN counts as one byte more."""
        self.fin = -1
        """Offset at which its stream ends, once its FIN was seen."""
        self.rst = -1
        """Offset at which its reset stands, once an acceptable one was seen."""
        self.ended = False
        self.packets = 0
        self.delivered = 0
        self.window = -1
        """Receive window that it advertised last, in bytes."""
        self.scale: int | None = None
        """Window scale option of its SYN, -1 if the SYN had none, None if the SYN was not seen."""
        self.shift = 0
        """Shift in force for its window field."""
        self.store: list[Held] = []
        self.store_bytes = 0
        self.hole_count = -1
        """`Flow.count` when the peer was first seen to have what the capture lacks, -1 if there is no such hole."""
        self.hole_time = 0
        self.inflight: list[tuple[int, int, int, int, int]] = []
        """Segments that wait for an acknowledgement: (end, source, packet, time, offset), ascending."""
        self.recent: list[tuple[int, int, int, int, int, int, int, int]] = []
        """Headers of its last packets: (ident, seq, ack, flags, window, length, checksum, time)."""
        self.ring: bytes | bytearray | None = None
        """The bytes delivered last, ending at `next`."""
        self.last_at: tuple[int, int, int, int] | None = None
        """Its last packet, as the fields of a `Mark`."""
        self.data_at: tuple[int, int, int, int] | None = None
        """Its last packet with new payload, likewise."""

    def start_at(self, base: int) -> None:
        """Fix the sequence number of offset 0."""
        self.base = base & MASK
        self.expect = (base + self.next) & MASK

    def offset_of(self, seq: int) -> int:
        """Return the stream offset of a sequence number: the one nearest to `next`."""
        delta = (seq - self.expect) & MASK
        return self.next + (delta if delta < 0x80000000 else delta - 0x100000000)

    def deliver(self, data: bytes, missing: int, packet: int, time: int, source: int) -> None:
        """Hand on the bytes that are next in order; the `missing` ones after them were cut by the capture."""
        offset = self.next
        if data:
            self.next = offset + len(data)
            self.delivered += len(data)
            self.flow.listener.run(self.side, data, Marks(source, [offset], [packet], [time]))
            self.keep(data)
        if missing:
            self.give_up(missing, "snaplen", Mark(source, packet, time, self.next + missing))
        self.expect = (self.base + self.next) & MASK  # type: ignore[operator]  # known once anything is delivered

    def keep(self, data: bytes) -> None:
        """Remember delivered bytes for comparison with later copies."""
        limit = self.flow.shared.ring
        if len(data) >= limit:
            self.ring = data if len(data) <= 2 * limit else data[-limit:]  # shared with whoever else has it, not copied
            return
        ring = self.ring
        if type(ring) is not bytearray:
            ring = self.ring = bytearray(ring[-limit:] if ring else b"")
        ring += data
        if len(ring) > 2 * limit:
            del ring[:-limit]

    def give_up(self, length: int, reason: str, mark: Mark) -> None:
        """Declare the next `length` bytes missing; `mark` is where the stream goes on."""
        facts = self.facts
        offset = self.next
        self.next = offset + length
        self.expect = (self.base + self.next) & MASK  # type: ignore[operator]
        self.ring = None
        facts.missing += length
        if reason == "snaplen":
            facts.cut += length
        if len(facts.gaps) < MAX_GAPS:
            facts.gaps.append(Gap(offset, length, reason, mark))
        self.flow.sync()
        self.flow.listener.gap(self.side, length, reason, mark)

    def accept(self, offset: int, length: int, data: bytes, packet: int, time: int, source: int, ident: int) -> None:
        """Take a segment of `length` bytes, the captured ones of which are `data`, whatever its place."""
        end = offset + length
        if offset < self.next:
            known = min(self.next, end) - offset
            self.compare_delivered(offset, data[:known], packet, time, source)
            self.skip_copy(known, min(known, len(data)), RETRANSMITTED)
            if end <= self.next:
                return
            offset, data = self.next, data[known:]
            length = end - offset
        if offset == self.next and not (self.store and self.store[0].start < end):
            self.deliver(data, length - len(data), packet, time, source)
        else:
            self._hold(offset, end, data, packet, time, source, ident)
        if self.store:
            self.drain()

    def skip_copy(self, length: int, captured: int, reason: str) -> None:
        """Book payload that had come before."""
        self.facts.duplicate += length
        self.flow.shared.accounting.skip(reason, captured)

    def _hold(self, start: int, end: int, data: bytes, packet: int, time: int, source: int, ident: int) -> None:
        """Store the parts of a segment that no earlier one covers."""
        store = self.store
        shared = self.flow.shared
        origin = start
        i = bisect_left(store, (start,))
        if i and store[i - 1].end > start:
            i -= 1
        while start < end:
            if i == len(store) or store[i].start >= end:
                stop = end
            else:
                stop = store[i].start
            if start < stop:
                part = data[start - origin : stop - origin]
                store.insert(i, Held(start, stop, part, packet, time, source, ident))
                self.store_bytes += len(part) + HELD_OVERHEAD
                shared.held += len(part) + HELD_OVERHEAD
                start = stop
                i += 1
            if start < end:
                other = store[i]
                stop = min(end, other.end)
                copy = data[start - origin : stop - origin]
                self._compare(other.data[start - other.start : stop - other.start], copy, start, packet, time, source)
                self.skip_copy(stop - start, len(copy), RETRANSMITTED)
                start = stop
                i += 1
        while self.store and (self.store_bytes > SIDE_CAP or shared.held > TOTAL_CAP):
            self.skip_hole()

    def drain(self) -> None:
        """Deliver the stored segments that are next in order."""
        store = self.store
        done = 0
        freed = 0
        while done < len(store) and store[done].start == self.next:
            held = store[done]
            done += 1
            freed += len(held.data) + HELD_OVERHEAD
            missing = held.end - held.start - len(held.data)
            self.deliver(held.data, missing, held.packet, held.time, held.source)
        if done:
            del store[:done]
            self.store_bytes -= freed
            self.flow.shared.held -= freed
            self.hole_count = -1

    def check_hole(self, count: int, time: int) -> None:
        """Give up the hole before the first stored segment if nothing will fill it any more.

        `count` is the number of the connection's packets so far, `time` that of the last one.
        """
        one_way = not self.peer.packets
        if not one_way and self.acked < self.store[0].start:
            return
        if self.hole_count < 0:
            self.hole_count, self.hole_time = count, time
        elif count - self.hole_count >= (ONE_WAY_PACKETS if one_way else GAP_PACKETS) or (
            time - self.hole_time >= (ONE_WAY_NS if one_way else GAP_NS)
        ):
            self.skip_hole()

    def skip_hole(self) -> None:
        """Declare the hole before the first stored segment a gap and go on behind it."""
        first = self.store[0]
        if first.start > self.next:
            mark = Mark(first.source, first.packet, first.time, first.start)
            self.give_up(first.start - self.next, "gap", mark)
        self.drain()

    def drop_implausible(self) -> None:
        """Forget stored segments that the peer can never have taken: nobody acknowledged them, nor was there window."""
        peer = self.peer
        if not self.store or peer.window < 0:
            return
        window = peer.window << MAX_SCALE if peer.scale is None else peer.window
        limit = max(self.next, self.acked) + 2 * window + RING
        while self.store and self.store[-1].start > limit:
            held = self.store.pop()
            freed = len(held.data) + HELD_OVERHEAD
            self.store_bytes -= freed
            self.flow.shared.held -= freed
            self.facts.outside += held.end - held.start
            self.flow.shared.accounting.skip(OUTSIDE, len(held.data))
            self.sent = max(self.next, self.fin, self.store[-1].end if self.store else 0)
            while self.inflight and self.inflight[-1][0] > self.sent + 1:
                self.inflight.pop()

    def compare_delivered(self, offset: int, copy: bytes, packet: int, time: int, source: int) -> None:
        """Compare a later copy with the delivered bytes as far as they are still kept."""
        ring = self.ring
        if not ring or not copy:
            return
        first = self.next - min(len(ring), self.flow.shared.ring)
        if offset < first:
            copy = copy[first - offset :]
            offset = first
        at = len(ring) - (self.next - offset)
        self._compare(bytes(ring[at : at + len(copy)]), copy, offset, packet, time, source)

    def _compare(self, kept: bytes, other: bytes, offset: int, packet: int, time: int, source: int) -> None:
        size = min(len(kept), len(other))
        if kept[:size] == other[:size] or len(self.facts.conflicts) >= MAX_CONFLICTS:
            return
        at = next(i for i in range(size) if kept[i] != other[i])
        mark = Mark(source, packet, time, offset + at)
        stop = min(size, at + CONFLICT_BYTES)
        self.facts.conflicts.append(Conflict(mark, kept[at:stop], other[at:stop]))
