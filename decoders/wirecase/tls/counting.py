"""Records that nobody opens: their types, sizes and times are counted all the same."""

from __future__ import annotations

from wirecase.tls.names import CHANGE_CIPHER_SPEC, HANDSHAKE
from wirecase.tls.records import Records, is_header
from wirecase.tls.stream import Stream


class Counting(Records):
    """Notes records, and counts those of sides that cannot be read."""

    def settle(self, stream: Stream) -> None:
        """Count what is left in the buffer of a side that cannot be read."""
        if stream.facts.problem is not None and stream.queue is None and stream.buffer:
            rest = bytes(stream.buffer)
            stream.buffer.clear()
            self._count(stream, rest)

    def _note(self, stream: Stream, data: bytes, at: int) -> None:
        facts = stream.facts
        facts.last = stream.mark(at)
        if facts.first is None:
            facts.first = facts.last if at == 0 else stream.mark(0)
        facts.last_type, facts.last_length = data[at], data[at + 3] << 8 | data[at + 4]

    def _count(self, stream: Stream, data: bytes) -> None:
        """Count records without opening them."""
        facts = stream.facts
        facts.undecrypted += len(data)
        if stream.left < 0:
            return
        pos, end = 0, len(data)
        while pos < end:
            if stream.left:
                count = min(stream.left, end - pos)
                stream.left -= count
                pos += count
                continue
            if end - pos < 5:
                stream.buffer += data[pos:]
                stream.base += pos
                facts.undecrypted -= end - pos
                return
            if not is_header(data, pos):
                stream.left = -1
                return
            self._note(stream, data, pos)
            facts.records += 1
            facts.largest = max(facts.largest, facts.last_length)
            if facts.last_type == CHANGE_CIPHER_SPEC and not self._messages.tls13:
                stream.epoch = "traffic"
            elif facts.last_type == HANDSHAKE and stream.epoch == "traffic" and facts.finished is None:
                facts.finished = facts.last
            stream.left = 5 + facts.last_length
