"""The fast path, second half: each connection's packets of a batch, in stretches.

The packets are grouped by connection, in capture order. A packet that is not plain (a flag other than ACK and PSH, not
next to its predecessor of the same side, a window of 0, cut by the capture, a copy) is *marked*; the stretch between
two marked packets is in order on both sides, and if the connection's state agrees (`_take`), all of it is taken at
once: payload is joined to one run per change of side, and facts are updated from columns. Marked packets and short
stretches go through `Table.packet` one by one. Both ways lead to the same calls on the listener, apart from how runs
are joined, and to the same facts.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import pairwise, repeat

import numpy as np

from wirecase.model import PacketBatch, Stretch
from wirecase.net import columns, packets
from wirecase.net.columns import Array, Fields, Odd
from wirecase.net.half import MASK, MAX_INFLIGHT, RECENT, Half
from wirecase.net.header import SYN, Packet, parse, window_scale
from wirecase.net.ip import IpDecoder
from wirecase.net.packets import BAD_TCP
from wirecase.net.shared import NotFollowed
from wirecase.net.table import Table
from wirecase.net.tcp import LINGER_NS, LONGEST_SEGMENT, Flow

MIN_STRETCH = 12
"""Shorter stretches are cheaper packet by packet."""
RETRY = 16
"""After so many packets it is tried again whether a connection has become regular."""
SHORT_GROUP = 32
"""Packets per connection of a batch below which its columns are converted at once."""
_PLAIN = 0x17
"""The flags FIN, SYN, RST and ACK."""
_ACK_ONLY = 0x10
_NEAR = 1 << 29
_MIX = np.int64(0x1E3779B97F4A7C15)

(
    _NUMBER, _TIME, _SEQ, _ACK, _FLAGS, _WINDOW, _LENGTH, _PAYLOAD, _END, _IDENT, _CHECKSUM, _HEADERS, _PADDING, _TCP,
    _SIDE,
) = range(15)  # fmt: skip


def take_batch(batch: PacketBatch, decoder: IpDecoder, table: Table) -> None:
    """Take a batch by columns; a tiny one goes packet by packet."""
    if len(batch.data) < columns.MIN_BUFFER:
        packets.take_batch(batch, decoder, table)
    else:
        Chunks(batch, _read(batch, decoder), table).run()


def _read(batch: PacketBatch, decoder: IpDecoder) -> Fields:
    """Read a batch by columns, and what columns cannot hold one by one."""
    fields = Fields(batch)
    odd: dict[int, Odd] = {}
    for i in np.flatnonzero(~fields.valid).tolist():
        start, time = batch.starts[i], batch.times[i]
        segment = decoder.decode(
            batch.link, batch.data, start, start + batch.caplens[i], start + batch.lengths[i], time
        )
        if segment is None:
            continue
        packet = parse(segment, batch.first_number + i, time, batch.source)
        if packet is None:
            decoder.skip(BAD_TCP, segment.captured)
            continue
        headers = segment.captured - segment.padding - len(packet.data)
        odd[i] = Odd(segment.key, packet, headers, segment.padding)
    if odd:
        fields.add_odd(odd)
    return fields


class Chunks:
    """The packets of one batch, sorted by connection."""

    def __init__(self, batch: PacketBatch, fields: Fields, table: Table) -> None:
        self._batch = batch
        self._fields = fields
        self._table = table
        order, first = _group(fields)
        f = fields
        numbers: Array = np.arange(batch.first_number, batch.first_number + len(batch.starts), dtype=np.int64)
        times: Array = np.asarray(batch.times, dtype=np.int64)
        rows: Array = np.stack(
            (numbers, times, f.seq, f.ack, f.flags, f.window, f.length, f.payload, f.end, f.ident, f.checksum,
             f.headers, f.padding, f.tcp, f.side)
        )  # fmt: skip
        if len(order) != len(numbers) or not _ascending(order):
            rows = rows[:, order]
        self._rows = rows
        self._side: Array = rows[_SIDE] != 0
        marked, opening = self._inspect(first, order)
        self._marked: list[int] = np.flatnonzero(marked).tolist()
        starts = np.flatnonzero(first | opening)
        bounds = list(pairwise([*starts.tolist(), len(order)]))
        if len(bounds) > 1:
            bounds = [bounds[i] for i in np.argsort(rows[_NUMBER][starts], kind="stable").tolist()]
        keys = [self._key(start) for start, _ in bounds]
        if any(table.is_over(key, int(rows[_TIME, start])) for (start, _), key in zip(bounds, keys, strict=True)):
            # A packet for a connection that is over may open a new one, which shows only when its turn comes.
            bounds = [(i, i + 1) for i in np.argsort(rows[_NUMBER], kind="stable").tolist()]
            keys = [self._key(start) for start, _ in bounds]
        self._groups = list(zip(bounds, keys, strict=True))
        # Many short groups: one conversion for all is cheaper than one for each.
        many = len(bounds) * SHORT_GROUP > len(order)
        self._lists: list[list[int]] | None = [column.tolist() for column in rows] if many else None

    def _key(self, row: int) -> bytes:
        return self._fields.key(int(self._rows[_NUMBER, row]) - self._batch.first_number)

    def _inspect(self, first: Array, order: Array) -> tuple[Array, Array]:
        """Mark the packets that cannot be part of a stretch, and those that may open a connection.

        `first` are the first rows of each group. Connections must be opened in the order of packets: where one may
        begin in the middle of a group (a SYN, or a place far from the last ones after a pause), the group is split.
        """
        rows = self._rows
        count = len(order)
        flags, length, seq = rows[_FLAGS], rows[_LENGTH], rows[_SEQ]
        places = np.arange(count)
        begin = np.maximum.accumulate(np.where(first, places, 0))
        before: Array = np.full(count, -1)
        for side in (False, True):
            mine = self._side == side
            last = np.maximum.accumulate(np.where(mine, places, -1))
            before[1:] = np.where(mine[1:], last[:-1], before[1:])
        known = before >= begin
        before = np.where(known, before, 0)
        after = (seq + length + (flags & 1) + (flags >> 1 & 1)) & MASK
        marked: Array = known & (seq != after[before])
        marked |= (flags & _PLAIN) != _ACK_ONLY
        pauses = np.zeros(count, dtype=bool)
        pauses[1:] = rows[_TIME][1:] - rows[_TIME][:-1] > LINGER_NS
        paused = np.maximum.accumulate(np.where(pauses, places, -1)) > begin
        opening: Array = (flags & SYN != 0) | (paused & (length > 1) & (marked | ~known))
        marked |= rows[_WINDOW] == 0
        marked |= rows[_END] - rows[_PAYLOAD] != length
        pure = known & (length == 0) & (rows[_IDENT] != 0)
        if pure.any():
            for column in (_IDENT, _ACK, _FLAGS, _WINDOW, _LENGTH, _SEQ):
                values = rows[column]
                pure &= values == values[before]
            marked |= pure
        if self._fields.odd:
            odd = np.zeros(len(self._fields.valid), dtype=bool)
            odd[list(self._fields.odd)] = True
            marked |= odd[order]
        return marked, opening

    def run(self) -> None:
        """Take all packets, connection by connection."""
        marked = self._marked
        for (start, stop), key in self._groups:
            width = (len(key) - 4) // 2
            back = key[width : 2 * width] + key[:width] + key[-2:] + key[-4:-2]
            keys = (back, key) if self._side[start] else (key, back)
            at = start
            if stop - start < MIN_STRETCH:
                self._one_by_one(start, stop, keys)
                continue
            place = bisect_left(marked, start)
            while at < stop:
                while place < len(marked) and marked[place] < at:
                    place += 1
                next_marked = marked[place] if place < len(marked) and marked[place] < stop else stop
                if next_marked - at < MIN_STRETCH:
                    upto = min(next_marked + 1, stop)
                    while place + 1 < len(marked) and marked[place + 1] < min(upto + MIN_STRETCH, stop):
                        place += 1
                        upto = marked[place] + 1
                elif self._take(at, next_marked, keys):
                    at = next_marked
                    continue
                else:
                    upto = min(at + RETRY, next_marked)
                self._one_by_one(at, upto, keys)
                at = upto

    def _one_by_one(self, start: int, stop: int, keys: tuple[bytes, bytes]) -> None:
        """Take packets through the path that knows everything."""
        batch = self._batch
        data = batch.data
        odd = self._fields.odd
        deliver = self._table.packet
        if self._lists is None:
            parts = [column.tolist() for column in self._rows[:, start:stop]]
        else:
            parts = [column[start:stop] for column in self._lists]
        for row in zip(*parts, strict=True):
            (number, time, seq, ack, flags, window, length, payload, end, ident, checksum, headers, padding, tcp,
             side) = row  # fmt: skip
            other = odd.get(number - batch.first_number) if odd else None
            if other is not None:
                deliver(other.key, other.packet, other.headers, other.padding)
                continue
            scale = window_scale(bytes(data[tcp + 20 : payload])) if flags & SYN else -1
            packet = Packet(
                seq, ack, flags, window, bytes(data[payload:end]), length, scale, number, time, batch.source, ident,
                checksum,
            )  # fmt: skip
            deliver(keys[side], packet, headers, padding)

    # --- whole stretches --------------------------------------------------------------------------------------------

    def _take(self, start: int, stop: int, keys: tuple[bytes, bytes]) -> bool:
        """Take the stretch of rows at once; False if the connection's state does not allow it."""
        first = self._table.halves.get(keys[0])
        second = self._table.halves.get(keys[1])
        if first is None or second is None or first.peer is not second or not _is_regular(first.flow):
            return False
        flow = first.flow
        side = self._side[start:stop]
        rows = self._rows[:, start:stop]
        offsets: Array = np.empty(stop - start, dtype=np.int64)
        parts: list[tuple[Half, Array, int]] = []
        for half, picked in ((first, np.flatnonzero(~side)), (second, np.flatnonzero(side))):
            if not len(picked):
                continue
            head = int(picked[0])
            if not half.packets or int(rows[_SEQ, head]) != half.expect or _copies_last(half, rows, head):
                return False
            expect = half.peer.expect
            reach = ((rows[_ACK][picked] - expect + 0x80000000) & MASK) - 0x80000000
            if int(reach.max()) >= _NEAR or int(reach.min()) <= -_NEAR:
                return False
            offsets[picked] = ((rows[_SEQ][picked] - half.expect) & MASK) + half.next
            parts.append((half, picked, half.peer.next + int(reach.max())))
        self._book(flow, rows)
        self._deliver(flow, first, second, rows, side, offsets)
        for half, _, reached in parts:
            half.peer.acked = max(half.peer.acked, reached)
        for half, picked, _ in parts:
            self._update(half, rows, offsets, picked)
        for half in (first, second):
            if half.inflight:
                del half.inflight[: bisect_right(half.inflight, half.acked, key=_end_of)]
        if len(parts) == 2:
            first.facts.tail_retransmissions.clear()
            second.facts.tail_retransmissions.clear()
        elif parts[0][0].peer.facts.tail_retransmissions:
            parts[0][0].peer.facts.tail_retransmissions.clear()
        flow.count += stop - start
        flow.time = int(rows[_TIME, -1])
        if int(rows[_LENGTH].max()) > LONGEST_SEGMENT:
            flow.connection.offload = True
        flow.touch()
        return True

    def _book(self, flow: Flow, rows: Array) -> None:
        accounting = flow.shared.accounting
        headers = int(rows[_HEADERS].sum())
        if type(flow.listener) is NotFollowed:
            accounting.skip("not followed", headers)
        else:
            accounting.decoded += headers
        accounting.skip("Ethernet padding", int(rows[_PADDING].sum()))

    def _deliver(self, flow: Flow, first: Half, second: Half, rows: Array, side: Array, offsets: Array) -> None:
        """Hand on the payload, neighbouring packets of one side joined."""
        filled = np.flatnonzero(rows[_LENGTH])
        if not len(filled):
            return
        if type(flow.listener) is NotFollowed:
            flow.shared.accounting.skip("not followed", int(rows[_LENGTH].sum()))
            return
        sides = np.where(side[filled], second.side, first.side)
        stretch = Stretch(
            self._batch.source, self._batch.data, rows[_PAYLOAD][filled], rows[_END][filled], sides, offsets[filled],
            rows[_NUMBER][filled], rows[_TIME][filled],
        )  # fmt: skip
        flow.listener.stretch(stretch)
        for half in (first, second):
            _keep_tail(half, stretch)

    def _update(self, half: Half, rows: Array, offsets: Array, picked: Array) -> None:
        """Bring one direction's state to where it stands after its packets `picked`; `half.acked` is up to date."""
        source = self._batch.source
        tail = rows[:, picked[-RECENT:]].T.tolist()
        last = tail[-1]
        last_at = (source, last[_NUMBER], last[_TIME], int(offsets[picked[-1]]))
        half.packets += len(picked)
        half.last_at = last_at
        half.window = last[_WINDOW] << half.shift
        recent = half.recent
        recent.extend(
            (r[_IDENT], r[_SEQ], r[_ACK], r[_FLAGS], r[_WINDOW], r[_LENGTH], r[_CHECKSUM], r[_TIME]) for r in tail
        )
        if len(recent) > 2 * RECENT:
            del recent[:-RECENT]
        filled = picked[rows[_LENGTH][picked] > 0]
        if not len(filled):
            return
        at = int(filled[-1])
        ends = offsets[filled] + rows[_LENGTH][filled]
        end = int(ends[-1])
        half.delivered += end - half.next
        half.next = half.sent = end
        half.expect = (half.expect + end - int(offsets[filled[0]])) & MASK
        half.data_at = (source, int(rows[_NUMBER, at]), int(rows[_TIME, at]), int(offsets[at]))
        waiting = filled[int(np.searchsorted(ends, half.acked, side="right")) :]
        limit = MAX_INFLIGHT if half.peer.packets else 1
        waiting = waiting[: max(limit - len(half.inflight), 0)]
        begins = offsets[waiting]
        columns = (begins + rows[_LENGTH][waiting], rows[_NUMBER][waiting], rows[_TIME][waiting], begins)
        ends, numbers, times, starts = (column.tolist() for column in columns)
        half.inflight += zip(ends, repeat(source), numbers, times, starts, strict=False)


def _keep_tail(half: Half, stretch: Stretch) -> None:
    """Let a side remember its last bytes."""
    picked = np.flatnonzero(stretch.sides == half.side)[::-1]
    lengths = stretch.ends[picked] - stretch.begins[picked]
    picked = picked[: int(np.searchsorted(np.cumsum(lengths), half.flow.shared.ring)) + 1][::-1]
    begins, ends = stretch.begins[picked].tolist(), stretch.ends[picked].tolist()
    if begins:
        half.keep(b"".join([stretch.data[begin:end] for begin, end in zip(begins, ends, strict=True)]))


def _group(fields: Fields) -> tuple[Array, Array]:
    """Sort the rows by connection: their order, and (in that order) which ones begin a connection."""
    order = np.flatnonzero(fields.valid)
    low, high = fields.low[order], fields.high[order]
    first: Array = np.ones(len(order), dtype=bool)
    if not len(order):
        return order, first
    if not (bool((low == low[0]).all()) and bool((high == high[0]).all())):
        sorting = np.argsort(low * _MIX ^ high, kind="stable")
        order, low, high = order[sorting], low[sorting], high[sorting]
    same = (low[1:] == low[:-1]) & (high[1:] == high[:-1])
    if fields.collides(order, same):
        # Packets of different connections look like one: each goes by itself, in the order of the batch.
        return np.flatnonzero(fields.valid), first
    first[1:] = ~same
    return order, first


def _ascending(order: Array) -> bool:
    return bool((order[1:] > order[:-1]).all())


def _is_regular(flow: Flow) -> bool:
    """Tell whether nothing is known of the connection that a stretch in order would have to heed."""
    if flow.deadline or flow.pending is not None:
        return False
    return all(
        half.base is not None and not half.store and half.fin < 0 and half.rst < 0 and half.facts.zero_window is None
        for half in flow.halves
    )


def _copies_last(half: Half, rows: Array, at: int) -> bool:
    """Tell whether a packet without payload is a copy of the last one that its side sent before the batch."""
    if int(rows[_LENGTH, at]) or not half.recent:
        return False
    last = half.recent[-1]
    return last[0] != 0 and last[:6] == tuple(
        int(rows[column, at]) for column in (_IDENT, _SEQ, _ACK, _FLAGS, _WINDOW, _LENGTH)
    )


def _end_of(entry: tuple[int, int, int, int, int]) -> int:
    return entry[0]
