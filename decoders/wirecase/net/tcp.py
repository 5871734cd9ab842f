"""One TCP connection, packet by packet (RFC 9293): the correct path that the fast one must agree with.

The life of a `Flow`:

* *settling*: packets came, but where a stream begins is not known yet (no SYN, or packets of the handshake out of
  order). Up to `SETTLE_PACKETS` packets or `SETTLE_NS` are held, then the origins are fixed and the held packets are
  taken as if they came just now. A handshake in order never settles.
* *open*: every packet is taken by `Flow.segment`.
* *over*: both sides closed and acknowledged it, or one reset it. The flow lingers until `LINGER_NS` have passed
  without a packet, for what the capture reordered; then `Flow.close` ends it. All times are capture times.
"""

from __future__ import annotations

from typing import Literal

from wirecase.model import Mark, StreamListener
from wirecase.net.facts import TcpConnection
from wirecase.net.half import MASK, MAX_INFLIGHT, MAX_TAIL, OUTSIDE, RECENT, Half
from wirecase.net.header import ACK, FIN, RST, SYN, Packet
from wirecase.net.judge import REORDER_NS, is_acceptable_reset, is_copy, origin, was_overtaken
from wirecase.net.shared import Shared

SETTLE_PACKETS = 12
SETTLE_NS = 1_000_000_000
LINGER_NS = 2_000_000_000
DOUBT_NS = 60_000_000_000
"""How long a connection lingers after a reset that stands ahead of all that was captured: it may go on."""
LONGEST_SEGMENT = 9216
"""A jumbo frame's payload; longer ones were captured before segmentation or after reassembly by the network card."""
_HALF_SPACE = 1 << 30
"""Places further off than this are taken for damage."""

MIRRORED = "mirrored copy"
KEEPALIVE = "keep-alive probe"
AFTER_END = "TCP payload after the end of the stream"
IN_RESET = "payload of a reset"

ClosedReason = Literal["closed", "reused", "idle", "capture-end"]


class Flow:
    """A connection's state. `connection` holds what others may read."""

    __slots__ = ("connection", "count", "deadline", "dirty", "halves", "keys", "listener", "pending", "shared", "time")

    def __init__(self, shared: Shared, connection: TcpConnection, keys: tuple[bytes, bytes]) -> None:
        self.shared = shared
        self.connection = connection
        self.keys = keys
        """The keys under which its two directions are found, `halves` order at the time of the first packet."""
        self.listener: StreamListener
        a, b = Half(self, 0, connection.sides[0]), Half(self, 1, connection.sides[1])
        a.peer, b.peer = b, a
        self.halves = (a, b)
        self.count = 0
        """Packets taken, mirrored copies included."""
        self.time = 0
        """Time of the last packet."""
        self.deadline = 0
        """When a connection that is over will be let go, 0 while it is not over."""
        self.pending: list[tuple[Half, Packet]] | None = None
        self.dirty = False

    def segment(self, half: Half, packet: Packet) -> None:
        """Take one packet that `half` sent."""
        peer = half.peer
        if not self.dirty:
            self.touch()
        if half.base is None or peer.base is None or self.pending is not None:
            if not self._settled(half, packet):
                return
        seq, ack, flags, window, data, length, _scale, number, time, source, ident, checksum = packet
        facts = half.facts
        self.count += 1
        self.time = time
        if self.deadline:
            self.deadline = max(self.deadline, time + LINGER_NS)
        delta = (seq - half.expect) & MASK
        plain = not flags & 7
        if not plain or delta or not length:
            if is_copy(half, packet):
                facts.mirrored += 1
                facts.duplicate += length
                self.shared.accounting.skip(MIRRORED, len(data))
                return
        recent = half.recent
        recent.append((ident, seq, ack, flags, window, length, checksum, time))
        if len(recent) > 2 * RECENT:
            del recent[:RECENT]
        offset = half.next + (delta if delta < 0x80000000 else delta - 0x100000000)
        if half.rst > half.next and not flags & RST:
            self._doubt_reset(half, time)
        if flags & SYN:
            # The SYN itself takes a place; payload, if any, begins behind it (TCP Fast Open, RFC 7413).
            offset += 1
        half.packets += 1
        half.last_at = (source, number, time, offset)
        if half.packets == 1:
            facts.first = Mark(source, number, time, offset)
        if peer.facts.tail_retransmissions:
            peer.facts.tail_retransmissions.clear()
        if flags & RST:
            self._reset(half, packet, offset)
            return
        if flags & SYN:
            self._syn(half, packet)
        if flags & ACK:
            self._acknowledge(peer, ack)
            self._window(half, packet, offset)
        if length:
            if delta == 0 and plain and not half.store and half.fin < 0 and half.rst < 0:
                end = offset + length
                if end > half.sent:
                    half.sent = end
                    half.data_at = half.last_at
                    self._in_flight(half, end, source, number, time, offset)
                half.deliver(data, length - len(data), number, time, source)
                if length > LONGEST_SEGMENT:
                    self.connection.offload = True
            else:
                self._irregular(half, packet, offset)
        elif delta == MASK and plain and half.acked >= half.next and half.next > 0:
            # One byte before the next, without payload: a keep-alive, or a probe of a closed window.
            if facts.zero_window is None and peer.facts.zero_window is None:
                facts.keepalives += 1
        if flags & FIN:
            self._finish(half, packet, offset + length)
        if half.store or peer.store:
            for one in self.halves:
                if one.store:
                    one.check_hole(self.count, time)
        if half.fin >= 0 or peer.fin >= 0 or half.rst >= 0 or peer.rst >= 0:
            self._ending()

    @property
    def heard(self) -> int:
        """Time of the last packet, those held included."""
        return max(self.time, self.pending[-1][1].time) if self.pending else self.time

    def pass_time(self, now: int) -> None:
        """No packet came up to `now`: settle, and give up holes that were acknowledged and that nothing will fill."""
        if self.pending and now - self.pending[0][1].time > SETTLE_NS:
            self.touch()
            self.settle()
        if any(half.store for half in self.halves):
            self.touch()
            for half in self.halves:
                if half.store:
                    half.check_hole(self.count, now)
            if any(half.fin >= 0 or half.rst >= 0 for half in self.halves):
                self._ending()

    # --- where the streams begin ------------------------------------------------------------------------------------

    def _settled(self, half: Half, packet: Packet) -> bool:
        """Fix the origins of both streams, or hold the packet until that is possible. True: take the packet now."""
        peer = half.peer
        if packet.flags & SYN:
            self._learn(half, packet)
        if self.pending is None:
            if packet.flags & SYN:
                return True
            if packet.flags & RST:
                if half.base is None:
                    half.start_at(packet.seq)
                if peer.base is None and packet.flags & ACK:
                    peer.start_at(packet.ack)
                return True
            self.pending = []
        pending = self.pending
        pending.append((half, packet))
        known = half.base is not None and peer.base is not None
        if known or len(pending) >= SETTLE_PACKETS or packet.time - pending[0][1].time > SETTLE_NS:
            self.settle()
        return False

    def settle(self) -> None:
        """Fix both origins with what is known, and take the packets held so far."""
        pending = self.pending
        if pending is None:
            return
        self.pending = None
        for half in self.halves:
            if half.base is None:
                half.start_at(origin(half, pending))
        for half, packet in pending:
            self.segment(half, packet)

    def _learn(self, half: Half, packet: Packet) -> None:
        """Take the initial sequence numbers and the direction of the connection from a SYN."""
        peer = half.peer
        connection = self.connection
        if half.isn is None:
            half.isn = packet.seq
            if half.base is None or (not half.packets and not half.next):
                half.start_at(packet.seq + 1)
        answer = packet.flags & ACK
        if answer and peer.base is None:
            peer.start_at(packet.ack)
        if not connection.syn_seen:
            connection.syn_seen = True
            initiator = peer if answer else half
            if initiator.side and not any(h.next or h.ended for h in self.halves):
                initiator.side, initiator.peer.side = 0, 1
                connection.sides = (initiator.facts, initiator.peer.facts)

    # --- control packets --------------------------------------------------------------------------------------------

    def _syn(self, half: Half, packet: Packet) -> None:
        if half.isn is None or not self.connection.syn_seen:
            self._learn(half, packet)
        facts = half.facts
        mark = Mark(packet.source, packet.number, packet.time, 0)
        facts.syns += 1
        if facts.syn is None:
            facts.syn = mark
            half.scale = packet.scale
            facts.window_scale = max(packet.scale, 0)
            for one in self.halves:
                # Scaling is in force only if both SYNs carried the option (RFC 7323 §2.2).
                one.shift = one.scale if one.scale is not None and one.scale >= 0 and one.peer.scale != -1 else 0
            if not half.sent and not half.inflight:
                self._in_flight(half, 0, packet.source, packet.number, packet.time, 0)
        else:
            self._sent_again(half, mark)
        if not packet.flags & ACK:
            half.window = packet.window

    def _reset(self, half: Half, packet: Packet, offset: int) -> None:
        """Note a reset; one that its receiver would ignore changes nothing else."""
        facts = half.facts
        peer = half.peer
        mark = Mark(packet.source, packet.number, packet.time, offset)
        self.shared.accounting.skip(IN_RESET, len(packet.data))
        facts.outside += packet.length
        acceptable = is_acceptable_reset(half, packet, offset)
        if acceptable and packet.flags & ACK and half.packets == 1:
            self._acknowledge(peer, packet.ack)
        if not acceptable:
            facts.bad_rsts += 1
            if facts.bad_rst is None:
                facts.bad_rst = mark
            return
        if facts.rst is None:
            facts.rst = mark
            half.rst = offset
        self._ending()

    def _doubt_reset(self, half: Half, time: int) -> None:
        """A reset ahead of the stream, and its sender goes on: nobody took it (RFC 9293 §3.10.7.4, challenge ACK)."""
        facts = half.facts
        if facts.rst is None or half.ended or time - facts.rst.time <= REORDER_NS:
            return
        facts.bad_rsts += 1
        facts.bad_rst = facts.bad_rst or facts.rst
        facts.rst = None
        half.rst = -1
        self.deadline = 0

    def _acknowledge(self, half: Half, ack: int) -> None:
        """The peer of `half` has everything before `ack`."""
        reached = half.offset_of(ack)
        if reached > half.acked and -_HALF_SPACE < reached - half.next < _HALF_SPACE:
            half.acked = reached
            inflight = half.inflight
            if inflight and inflight[0][0] <= reached:
                done = 1
                while done < len(inflight) and inflight[done][0] <= reached:
                    done += 1
                del inflight[:done]

    def _window(self, half: Half, packet: Packet, offset: int) -> None:
        facts = half.facts
        if packet.window:
            half.window = packet.window if packet.flags & SYN else packet.window << half.shift
            if facts.zero_window is not None:
                facts.zero_window_ns += max(packet.time - facts.zero_window.time, 0)
                facts.zero_window = None
        elif not packet.flags & SYN:
            half.window = 0
            if facts.zero_window is None:
                facts.zero_windows += 1
                facts.zero_window = Mark(packet.source, packet.number, packet.time, offset)

    def _finish(self, half: Half, packet: Packet, end: int) -> None:
        """Note a FIN that stands at offset `end`."""
        mark = Mark(packet.source, packet.number, packet.time, end)
        if half.fin < 0 and end >= half.next and end - half.next < _HALF_SPACE:
            half.fin = end
            half.facts.fin = mark
            half.sent = max(half.sent, end)
            self._in_flight(half, end + 1, packet.source, packet.number, packet.time, end)
        elif half.fin >= 0 and not packet.length:
            self._sent_again(half, mark)

    # --- payload ----------------------------------------------------------------------------------------------------

    def _irregular(self, half: Half, packet: Packet, offset: int) -> None:
        """Payload that is not simply the next: ahead, sent again, or outside of the stream."""
        facts = half.facts
        accounting = self.shared.accounting
        data, length = packet.data, packet.length
        distance = offset - half.next
        if not -_HALF_SPACE < distance < _HALF_SPACE:
            facts.outside += length
            accounting.skip(OUTSIDE, len(data))
            return
        if length == 1 and distance == -1 and half.acked >= half.next:
            if facts.zero_window is None and half.peer.facts.zero_window is None:
                facts.keepalives += 1
            facts.outside += 1
            accounting.skip(KEEPALIVE, len(data))
            return
        limit = half.fin if half.fin >= 0 else half.rst if half.ended else -1
        if 0 <= limit < offset + length:
            excess = min(offset + length - limit, length)
            kept = data[: length - excess]
            facts.outside += excess
            accounting.skip(AFTER_END, len(data) - len(kept))
            data, length = kept, length - excess
            if not length:
                return
        if offset < 0:
            # From before the place where the capture came in: nothing to put it to.
            before = min(-offset, length)
            facts.outside += before
            accounting.skip(OUTSIDE, min(before, len(data)))
            data, length, offset = data[before:], length - before, 0
            if not length:
                return
        end = offset + length
        if length > LONGEST_SEGMENT:
            self.connection.offload = True
        mark = Mark(packet.source, packet.number, packet.time, offset)
        if offset < half.next:
            self._sent_again(half, mark)
        elif half.store and offset < half.store[-1].start:
            if was_overtaken(half, packet):
                facts.reordered += 1
            else:
                self._sent_again(half, mark)
        if end > half.sent:
            half.sent = end
            half.data_at = (packet.source, packet.number, packet.time, offset)
            self._in_flight(half, end, packet.source, packet.number, packet.time, offset)
        half.accept(offset, length, data, packet.number, packet.time, packet.source, packet.ident)

    def _sent_again(self, half: Half, mark: Mark) -> None:
        facts = half.facts
        facts.retransmissions += 1
        facts.tail_retransmissions.append(mark)
        if len(facts.tail_retransmissions) > MAX_TAIL:
            del facts.tail_retransmissions[0]

    @staticmethod
    def _in_flight(half: Half, end: int, source: int, number: int, time: int, offset: int) -> None:
        """Remember a segment until it is acknowledged; only the first one while the peer was never seen."""
        inflight = half.inflight
        if end > half.acked and len(inflight) < (MAX_INFLIGHT if half.peer.packets else 1):
            inflight.append((end, source, number, time, offset))

    # --- holes and the end ------------------------------------------------------------------------------------------

    def _ending(self) -> None:
        """Tell the listener about ends that are reached, and let the connection linger once it is over."""
        over = True
        reset = certain = False
        for half in self.halves:
            if not half.ended:
                if 0 <= half.fin <= half.next:
                    self._end(half, "fin")
                elif 0 <= half.rst <= half.next:
                    self._end(half, "rst")
            reset = reset or half.rst >= 0
            certain = certain or (half.ended and half.rst >= 0)
            over = over and (half.ended or 0 <= half.fin < half.acked)
        if (over or reset) and not self.deadline:
            self.deadline = max(self.time, 0) + (LINGER_NS if over or certain else DOUBT_NS)
            self.shared.closing.append(self)

    def _end(self, half: Half, how: Literal["fin", "rst"]) -> None:
        half.ended = True
        mark = half.facts.fin if how == "fin" else half.facts.rst
        if mark is not None:
            self.sync()
            self.listener.ended(half.side, how, mark)

    def close(self, reason: ClosedReason, now: int) -> None:
        """Deliver what still waits, declare what never came, and end the connection. `now`: time of the last packet."""
        self.settle()
        for half in self.halves:
            half.drop_implausible()
        while waiting := [half for half in self.halves if half.store]:
            min(waiting, key=lambda half: (half.store[0].source, half.store[0].packet)).skip_hole()
        for half in self.halves:
            self._close_half(half)
        self.connection.end_reason = reason
        self.connection.capture_end = now
        self.sync()
        self.listener.closed(reason)

    def _close_half(self, half: Half) -> None:
        """Account for bytes at the end of a stream that were sent, by its FIN or the peer's word, but not captured."""
        if half.ended or half.last_at is None:
            return
        reached = half.fin
        if reached < 0:
            # An acknowledgement of one byte more may be that of a FIN that was not captured.
            reached = half.acked if half.acked > half.next + 1 else half.next
            if half.rst >= 0:
                reached = min(reached, half.rst)
        if reached > half.next:
            source, number, time, _ = half.last_at
            half.give_up(reached - half.next, "gap", Mark(source, number, time, reached))
        if half.fin >= 0:
            self._end(half, "fin")
        elif half.rst >= 0:
            self._end(half, "rst")

    def touch(self) -> None:
        """Have the facts brought up to date at the end of the batch."""
        if not self.dirty:
            self.dirty = True
            self.shared.dirty.append(self)

    def sync(self) -> None:
        """Bring the facts up to date with the counters kept here."""
        for half in self.halves:
            facts = half.facts
            facts.base = half.base
            facts.packets = half.packets
            facts.delivered = half.delivered
            facts.sent = half.sent
            if half.acked >= 0:
                facts.acked = min(half.acked, half.fin) if half.fin >= 0 else half.acked
            if half.window >= 0:
                facts.window = half.window
            if half.last_at is not None:
                facts.last = Mark(*half.last_at)
            if half.data_at is not None:
                facts.last_data = Mark(*half.data_at)
            facts.tail_since = Mark(*half.inflight[0][1:]) if half.inflight else None
