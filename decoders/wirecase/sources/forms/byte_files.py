"""Raw byte streams: what client and server of one connection sent, a file each, without times or order.

The client's bytes are read first, then the server's: nothing is known of how they were interleaved, and the rules are
told so (`FormFacts.ordered`). The two files count as one source, whose digest is that of both one after the other.
"""

from __future__ import annotations

from collections.abc import Generator

from wirecase.errors import InputError
from wirecase.model import CLIENT, SERVER, FormFacts, PacketBatch, SourceInfo
from wirecase.sources.byte_pair import BytePair
from wirecase.sources.forms.byte_streams import client_of
from wirecase.sources.forms.segments import UNKNOWN, Flow, Segments
from wirecase.sources.raw import RawInput, shown
from wirecase.sources.reading import Reading
from wirecase.sources.source import Source

LIMITS = (
    "times, and the order of what the two sides sent: nothing about waiting, windows or who came first",
    "packets, and TCP itself: how the connection began and ended, and between whom",
)
_PIECE = 1 << 16


class BytePairSource(Source):
    """Reads a `BytePair` as the packets of one made-up connection. Each piece read is a record."""

    def __init__(self, pair: BytePair, index: int = 0) -> None:
        super().__init__(pair, index)
        self._files = (pair.client, pair.server)

    def begin(self) -> None:
        """Nothing is read ahead."""

    def _read(self, *, digest: bool) -> Generator[PacketBatch, None, None]:
        inputs = [RawInput(path) for path in self._files]
        try:
            yield from self._pieces(inputs, digest=digest)
        finally:
            for raw in inputs:
                raw.close()

    def _pieces(self, inputs: list[RawInput], *, digest: bool) -> Generator[PacketBatch, None, None]:
        import hashlib

        sizes = [raw.size for raw in inputs]
        self.size = None if None in sizes else sum(size or 0 for size in sizes)
        self._reading = reading = Reading(self.index)
        self.info = SourceInfo(self.info.path, format="raw bytes")
        reading.form = self.info.form = FormFacts("a pair of raw byte streams", "bytes", LIMITS, ordered=False)
        segments, sha = Segments(reading), hashlib.sha256()
        flow = Flow(UNKNOWN, UNKNOWN, segments.ordinal())
        first = [inputs[side].peek(64) for side in (CLIENT, SERVER)]
        if not any(first):
            raise InputError(f"{shown(self.path)}: both files are empty")
        if client_of(first[SERVER], b"") == 0 and client_of(first[CLIENT], b"") is None:
            swapped = "the second file begins as a client does: name the client's file first"
            raise InputError(f"{shown(self.path)}: {swapped}")
        begin = segments.open if client_of(first[CLIENT], b"") == 0 else segments.join
        begin(flow, 1, 0)
        for side in (CLIENT, SERVER):
            while piece := inputs[side].read(_PIECE):
                reading.packets += 1
                self.info.bytes += len(piece)
                if digest:
                    sha.update(piece)
                segments.send(flow, side, piece, reading.packets, 0)
                yield from segments.take()
            problem = inputs[side].problem
            if problem:
                reading.damage(self.info.bytes, problem)
        segments.settle(flow, max(reading.packets, 1), 0)
        yield from segments.rest()
        self.info.packets = reading.packets
        self.info.digest = sha.hexdigest() if digest else ""
