"""Where the evidence of findings stands in the byte streams of one connection."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from wirecase.listing.events import Mention
from wirecase.model import SIDE_NAMES, Evidence, Finding, Mark


class EvidencePlaces:
    """The evidence that one side of one connection sent."""

    def __init__(self, findings: Iterable[Finding], connection: int, side: int) -> None:
        name = SIDE_NAMES[side]
        self._bytes: list[tuple[int, Mention]] = []
        """(stream offset, what stands there), ascending."""
        self._packets: dict[tuple[int, int], list[Mention]] = {}
        """Evidence that is a packet and no bytes of the stream, by (source, packet)."""
        for finding in findings:
            if finding.connection is None or finding.connection.index != connection:
                continue
            for one in finding.evidence:
                if one.direction == name:
                    self._take(one, Mention(finding.id, finding.severity, one.note))
        self._bytes.sort(key=lambda place: place[0])
        self._offsets = [offset for offset, _ in self._bytes]

    def _take(self, one: Evidence, mention: Mention) -> None:
        if one.offset is not None and (one.length or one.data):
            self._bytes.append((one.offset, mention))
        elif one.source is not None and one.packet is not None:
            self._packets.setdefault((one.source, one.packet), []).append(mention)

    def within(self, start: int, stop: int) -> tuple[Mention, ...]:
        """Return what stands from offset `start` to `stop`."""
        if not self._offsets:
            return ()
        found = self._bytes[bisect_left(self._offsets, start) : bisect_left(self._offsets, stop)]
        return tuple(dict.fromkeys(mention for _, mention in found))

    def at_packet(self, mark: Mark) -> tuple[Mention, ...]:
        """Return the evidence that is this very packet."""
        return tuple(dict.fromkeys(self._packets.get((mark.source, mark.packet), ())))
