"""From batches of packets to calls on one listener per TCP connection."""

from __future__ import annotations

from collections.abc import Callable

from wirecase.model import Accounting, PacketBatch, StreamListener
from wirecase.net import link as links
from wirecase.net.facts import TcpConnection
from wirecase.net.ip import IpDecoder
from wirecase.net.packets import take_batch
from wirecase.net.shared import Shared
from wirecase.net.table import Table

COLUMNS_FROM = 256
"""Packets that a batch must have to be worth the fast path (and the import of numpy)."""


_OVERLAP_NS = 1_000_000_000
"""Files of a ring may overlap by this much (and a tenth of the time before): packets are not written quite in order."""


class Assembler:
    """Puts the TCP streams of captures together.

    `open_connection` is called at the first packet of each connection, in the order of first packets; it answers the
    connection's listener, or None if nobody wants to follow it. Facts in `facts.TcpConnection` are complete whenever a
    listener's ``gap``, ``ended`` or ``closed`` is called, and after each `feed`; during ``run`` they may be as old as
    the batch.

    Sources that follow each other in time (a ring of files) share their connections; `PacketBatch.lane` tells which do.
    Where it does not, a source that begins before another one ended was captured elsewhere at the same time, and its
    connections are separate ones.

    `columns` chooses the path: True always the fast one, False never, None as the size of the batch tells.
    """

    def __init__(
        self,
        open_connection: Callable[[TcpConnection], StreamListener | None],
        accounting: Accounting,
        *,
        columns: bool | None = None,
    ) -> None:
        self._open_connection = open_connection
        self._accounting = accounting
        self._columns = columns
        self._decoder = IpDecoder(accounting)
        self._indices = [0]
        self._tables: list[Table] = []
        self._by_source: dict[int, Table] = {}
        self._by_lane: dict[int, Table] = {}
        self.unsupported_links: dict[int, int] = {}
        """Packets skipped by link type that is not supported."""

    @property
    def connections_seen(self) -> int:
        """TCP connections met so far, those not followed included."""
        return self._indices[0]

    @property
    def notes(self) -> dict[str, int]:
        """Packets that held no TCP segment, by reason."""
        return self._decoder.notes

    def feed(self, batch: PacketBatch) -> None:
        """Take the packets of one batch; nothing of its buffer is kept."""
        count = len(batch.starts)
        if not count:
            return
        captured = batch.captured
        self._accounting.captured += captured
        if batch.link not in links.SUPPORTED:
            self.unsupported_links[batch.link] = self.unsupported_links.get(batch.link, 0) + count
            self._accounting.skip(f"unsupported link type {batch.link}", captured)
            return
        table = self._table(batch)
        if self._columns or (self._columns is None and count >= COLUMNS_FROM):
            from wirecase.net import chunks

            chunks.take_batch(batch, self._decoder, table)
        else:
            take_batch(batch, self._decoder, table)
        table.now = max(table.now, batch.span[1])
        table.housekeeping()
        table.refresh()

    def pass_time(self, now: int, patience: int | None = None) -> None:
        """No packet came since, and it is `now` (capture time, ns): let go what is over by then.

        Connections that were silent for `patience` ns are let go, too; those that were seen from one side only earlier.
        """
        for table in self._tables:
            table.pass_time(now, patience)

    def finish(self) -> None:
        """The capture ended: deliver what waits, declare what is missing, and end every connection."""
        self._decoder.finish()
        for table in self._tables:
            table.finish()

    def _table(self, batch: PacketBatch) -> Table:
        table = self._by_source.get(batch.source)
        if table is None:
            last = self._tables[-1] if self._tables else None
            if batch.lane >= 0:
                table = self._by_lane.get(batch.lane)
            elif last is not None and batch.times[0] >= last.now - min((last.now - last.start) // 10, _OVERLAP_NS):
                table = last
            if table is None:
                table = Table(self._open_connection, Shared(self._accounting), self._indices)
                table.start = batch.times[0]
                self._tables.append(table)
            self._by_source[batch.source] = table
            if batch.lane >= 0:
                self._by_lane[batch.lane] = table
        return table
