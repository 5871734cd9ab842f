"""What a packet is, where its header alone does not tell: questions to which the slow path needs an answer."""

from __future__ import annotations

from wirecase.net.half import MASK, MAX_SCALE, RECENT, Half
from wirecase.net.header import ACK, FIN, RST, Packet

COPY_NS = 1_000_000_000
"""How much later a mirrored copy with the same IP identification may be captured."""
COPY_NS_NO_IDENT = 3_000_000
"""The same for packets without identification: less than any retransmission timer. Checksums must be equal, too."""
REORDER_NS = 3_000_000
"""A segment that fills a hole this soon was overtaken, not sent again (used where IP identifications do not tell)."""
_LATE_SYN = 1 << 24
"""How far behind its SYN a connection may be when the capture shows the SYN late, in bytes."""


def is_copy(half: Half, packet: Packet) -> bool:
    """Tell a copy made by the capture (mirror port, several interfaces, before and after a router)."""
    recent = half.recent
    if not recent:
        return False
    head = (packet.seq, packet.ack, packet.flags, packet.window, packet.length)
    ident = packet.ident
    if not packet.length and not packet.flags & 7:
        # Equal acknowledgements are common; only the identification tells a copy from a second one.
        last = recent[-1]
        return bool(ident) and last[0] == ident and last[1:6] == head
    for one in reversed(recent[-RECENT:]):
        if one[0] == ident and one[1:6] == head:
            if ident:
                return abs(packet.time - one[7]) <= COPY_NS
            return one[6] == packet.checksum and abs(packet.time - one[7]) <= COPY_NS_NO_IDENT
    return False


def is_acceptable_reset(half: Half, packet: Packet, offset: int) -> bool:
    """Judge a reset as its receiver would (RFC 9293 §3.10.7.4, §3.10.7.3 for the answer to a SYN).

    A reset that cannot be judged, because the receiver was not heard yet or not of late (its peer has sent more than
    it is known to take), counts as acceptable.
    """
    peer = half.peer
    if half.isn is None and peer.isn is not None and half.packets == 1 and not peer.next and peer.packets:
        return bool(packet.flags & ACK) and packet.ack == peer.base
    if half.acked < 0 or peer.window < 0:
        return True
    window = peer.window << MAX_SCALE if peer.scale is None else peer.window
    if half.next > half.acked + window:
        return True
    return half.acked <= offset <= half.acked + window or offset in (half.next, half.fin, half.fin + 1)


def was_overtaken(half: Half, packet: Packet) -> bool:
    """Tell whether a segment that fills a hole was overtaken on its way; otherwise it was sent again."""
    last = half.store[-1]
    if packet.ident and last.ident:
        return bool((packet.ident - last.ident) & 0x8000)
    return packet.time - last.time <= REORDER_NS


def is_reuse(half: Half, packet: Packet) -> bool:
    """Tell whether a SYN opens a new connection on the addresses and ports of `half`'s."""
    first = (packet.seq + 1) & MASK
    peer = half.peer
    if packet.flags & RST or half.isn == packet.seq:
        return False
    if half.isn is not None:
        # A second SYN-ACK for the same SYN is odd, but no new connection.
        return not packet.flags & ACK or peer.isn is None or packet.ack != (peer.isn + 1) & MASK
    if half.base is not None:
        return first != half.base and (half.packets > 0 or half.next > 0)
    # Origins are not known yet: a SYN that the capture shows late begins just before what was seen.
    pending = half.flow.pending or []
    mine = [p.seq for sender, p in pending if sender is half]
    return bool(mine) and min((seq - first) & MASK for seq in mine) > _LATE_SYN


def origin(half: Half, pending: list[tuple[Half, Packet]]) -> int:
    """Return the sequence number of offset 0 of a direction whose SYN was not seen.

    It is the lowest payload seen; without payload, the highest place that either side named. Where the peer's SYN was
    seen, this is the connection's start, and nothing can come before the lowest acknowledgement.
    """
    low: int | None = None
    named: int | None = None
    lowest_ack: int | None = None
    for sender, packet in pending:
        if sender is half:
            if packet.length > 1 or (packet.length and named != (packet.seq + 1) & MASK) or packet.flags & FIN:
                if low is None or (packet.seq - low) & MASK > 0x7FFFFFFF:
                    low = packet.seq
            at = packet.seq
        elif packet.flags & ACK:
            at = packet.ack
            if lowest_ack is None or (at - lowest_ack) & MASK > 0x7FFFFFFF:
                lowest_ack = at
        else:
            continue
        if named is None or (at - named) & MASK < 0x80000000:
            named = at
    if half.peer.isn is not None and lowest_ack is not None and (low is None or (low - lowest_ack) & MASK < 0x80000000):
        return lowest_ack
    if low is not None:
        return low
    return named if named is not None else 0
