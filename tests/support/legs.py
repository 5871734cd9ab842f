"""Captures of one leg: cut out of a capture that holds both sides of a proxy, by port, with another clock."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from wirecase.sources import open_sources

Edit = Callable[[int, bytes], bytes | None]
"""Changes a packet (number, bytes), or leaves it out."""


def leg(source: Path, target: Path, port: int, *, shift: int = 0, edit: Edit | None = None) -> str:
    """Write the packets of one TCP port (Ethernet or Linux cooked, IPv4) of `source` to `target`, `shift` ns later."""
    out = [b""]
    opened = open_sources([str(source)])
    for _, batch in opened.batches():
        at = {1: 14, 113: 16, 276: 20, 101: 0}[batch.link]
        out[0] = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, batch.link)
        for i, start in enumerate(batch.starts):
            packet = bytes(batch.data[start : start + batch.caplens[i]])
            if packet[at] >> 4 != 4 or packet[at + 9] != 6:
                continue
            tcp = at + 4 * (packet[at] & 15)
            if port not in struct.unpack_from(">HH", packet, tcp):
                continue
            changed = packet if edit is None else edit(batch.first_number + i, packet)
            if changed is not None:
                time = batch.times[i] + shift
                out.append(struct.pack("<IIII", *divmod(time, 10**9), len(changed), len(changed)) + changed)
    target.write_bytes(b"".join(out))
    return str(target)
