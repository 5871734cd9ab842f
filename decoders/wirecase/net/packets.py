"""The slow path's front: packets of a batch one by one, from the frame to the connection's table."""

from __future__ import annotations

from wirecase.model import PacketBatch
from wirecase.net.header import parse
from wirecase.net.ip import IpDecoder
from wirecase.net.table import Table

BAD_TCP = "damaged TCP header"


def take_batch(batch: PacketBatch, decoder: IpDecoder, table: Table) -> None:
    """Take every packet of a batch by itself."""
    link, data, source, number = batch.link, batch.data, batch.source, batch.first_number
    decode = decoder.decode
    for start, caplen, length, time in zip(batch.starts, batch.caplens, batch.lengths, batch.times, strict=True):
        segment = decode(link, data, start, start + caplen, start + length, time)
        if segment is not None:
            packet = parse(segment, number, time, source)
            if packet is None:
                decoder.skip(BAD_TCP, segment.captured)
            else:
                headers = segment.captured - segment.padding - len(packet.data)
                table.packet(segment.key, packet, headers, segment.padding)
        number += 1
