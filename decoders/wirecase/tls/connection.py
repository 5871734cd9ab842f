"""TLS taken off one connection: runs of TCP in, runs of plaintext out, and facts.

Theory. Each side is a chain of records (RFC 8446 §5.1). The handshake's plaintext says which keys are meant: the client
random finds the secrets, the ServerHello the suite. A side whose keys depend on what the other has not shown yet
(packets out of order, early data), or on secrets that have not come yet, waits in a bounded queue. A hole costs the
records that it touches: records are numbered and authenticated, so the next one that opens tells how many were lost.
Where no key fits, records are only counted.
"""

from __future__ import annotations

from operator import sub
from typing import TYPE_CHECKING, Protocol

from wirecase.model import Mark, Marks, Stretch
from wirecase.tls.counting import Counting
from wirecase.tls.facts import Problem, TlsFacts
from wirecase.tls.keylog import KeyStore
from wirecase.tls.names import APPLICATION_DATA
from wirecase.tls.records import is_header
from wirecase.tls.recovery import find_record, lost_plain
from wirecase.tls.stream import Pieces, Queued, Stream

if TYPE_CHECKING:
    from wirecase.tls.protection import Protection

MOST_WAITING = 1 << 20
"""Bytes of a side that wait for the other side or for keys."""
MOST_WAITING_ALL = 24 << 20
"""Bytes of all connections that wait."""


class Plain(Protocol):
    """Takes the plaintext; sides are numbered as TCP numbers them, offsets count bytes of plaintext."""

    def run(self, side: int, data: bytes, marks: Marks) -> None:
        """Bytes of one side."""

    def stretch(self, stretch: Stretch) -> None:
        """Many at once."""

    def gap(self, side: int, length: int, reason: str, mark: Mark) -> None:
        """A hole."""


class TlsConnection(Counting):
    """Takes what TCP tells of a connection that begins with TLS."""

    def __init__(self, facts: TlsFacts, store: KeyStore, sink: Plain, *, flipped: bool) -> None:
        """`flipped` says that TCP's side 1 is the client."""
        super().__init__(facts, store, flipped=flipped)
        self._sink = sink
        self._flipped = flipped
        self._generation = -1

    def stream(self, side: int) -> Stream:
        """Return one direction, by TCP's number of its sender."""
        return self.streams[side ^ self._flipped]

    # ---- told by TCP -------------------------------------------------------------------------------------------

    def run(self, side: int, data: bytes, marks: Marks) -> None:
        """Bytes of one side."""
        stream = self.stream(side)
        stream.facts.bytes += len(data)
        self._look_for_keys()
        self._take(stream, data, marks)
        self._go_on()

    def stretch(self, stretch: Stretch) -> None:
        """Many segments of both sides."""
        self._look_for_keys()
        if self._is_steady() and len(stretch) >= 8:
            from wirecase.tls.columns import take

            take(self, self._sink, stretch)
            self._go_on()
            return
        for side, data, marks in stretch.runs():
            self.run(side, data, marks)

    def gap(self, side: int, length: int, reason: str, mark: Mark) -> None:
        """A hole in one side's bytes."""
        self._take_gap(self.stream(side), length, reason, mark)
        self._go_on()

    def finish(self) -> None:
        """The connection is over."""
        self.final = True
        for _ in range(3):
            for stream in self.streams:
                self._wake(stream)
        for stream in self.streams:
            self._conclude(stream)

    def blind(self, side: int) -> bool:
        """Tell whether nothing that a side sent can be read."""
        facts = self.stream(side).facts
        return facts.problem is not None and not facts.plain

    def offset(self, side: int, tcp: int) -> int:
        """Return the plaintext's offset of a place in TCP's stream; `side` is `CLIENT` or `SERVER`."""
        return self.streams[side].places.plain(tcp)

    # ---- waiting -----------------------------------------------------------------------------------------------

    def _look_for_keys(self) -> None:
        if self._generation != self.store.generation:
            self._generation = self.store.generation
            for stream in self.streams:
                if stream.waits == "keys":
                    self._wake(stream)

    def _go_on(self) -> None:
        """Let a side go on that waited for the other."""
        for _ in range(2):
            for stream in self.streams:
                if stream.waits in ("hello", "early"):
                    self._wake(stream)

    def _wake(self, stream: Stream) -> None:
        queue = stream.queue
        if queue is None:
            return
        self.store.held -= stream.queued
        stream.queue, stream.queued, stream.waits = None, 0, ""
        self._pump(stream)
        for entry in queue:
            if len(entry) == 2:
                self._take(stream, *entry)
            else:
                self._take_gap(stream, *entry)

    def _enqueue(self, stream: Stream, entry: Queued, size: int) -> None:
        assert stream.queue is not None
        stream.queue.append(entry)
        size += 200
        stream.queued += size
        self.store.held += size
        if stream.queued > MOST_WAITING or self.store.held > MOST_WAITING_ALL:
            why: Problem = "no-server-hello" if stream.waits == "hello" else "overflow"
            stream.facts.problem = stream.facts.problem or why
            self._wake(stream)

    # ---- bytes -------------------------------------------------------------------------------------------------

    def _take(self, stream: Stream, data: bytes, marks: Marks) -> None:
        if stream.queue is not None:
            self._enqueue(stream, (data, marks), len(data))
            return
        if stream.skip:
            count = min(stream.skip, len(data))
            stream.skip -= count
            stream.facts.undecrypted += count
            if count == len(data):
                return
            data, marks = data[count:], marks.after(count)
        if stream.facts.problem is not None and not stream.buffer:
            stream.base, stream.source = marks.offsets[0], marks.source
            stream.offsets, stream.packets, stream.times = list(marks.offsets), list(marks.packets), list(marks.times)
            self._count(stream, data)
            return
        stream.add(data, marks)
        self._pump(stream)

    def _pump(self, stream: Stream) -> None:
        """Take the whole records of the buffer."""
        if not stream.synced and not self._resync(stream):
            return
        buffer = stream.buffer
        if len(buffer) < 5 or (len(buffer) < 5 + (buffer[3] << 8 | buffer[4]) and stream.facts.problem is None):
            if len(buffer) < 5 or is_header(buffer, 0):
                return
        data = bytes(buffer)
        pieces = Pieces()
        done = self.walk(stream, data, pieces)
        if pieces:
            self.emit(stream, pieces)
        stream.drop(done)
        self.settle(stream)

    def walk(self, stream: Stream, data: bytes, pieces: Pieces) -> int:
        """Take the whole records of `data`, the plaintext into `pieces`; return how many bytes were taken.

        ``data[0]`` is the byte at `Stream.base`.
        """
        view = memoryview(data)
        facts = stream.facts
        pos, end, last = 0, len(data), -1
        while end - pos >= 5:
            protection = stream.protection if stream.epoch == "traffic" and facts.problem is None else None
            if protection is not None and data[pos] == APPLICATION_DATA:
                taken = self._open_all(stream, protection, data, pos, pieces)
                if taken > pos:
                    last, pos = pieces.ats[-1] - protection.lead - 5, taken
                    continue
            kind = data[pos]
            length = data[pos + 3] << 8 | data[pos + 4]
            stop = pos + 5 + length
            if stop > end or facts.problem is not None:
                if facts.problem is None and not is_header(data, pos):
                    self._derail(stream, pieces, pos)
                break
            if not is_header(data, pos):
                self._derail(stream, pieces, pos)
                break
            if not self._record(stream, kind, view, pos, stop, pieces):
                break
            last = pos
            facts.records += 1
            facts.largest = max(facts.largest, length)
            pos = stop
        if last >= 0:
            self._note(stream, data, last)
        return pos

    def _open_all(self, stream: Stream, protection: Protection, data: bytes, pos: int, pieces: Pieces) -> int:
        """Open records of application data as long as they follow each other; return where the first other one is."""
        facts = stream.facts
        before = len(pieces)
        protection.open_all(stream.seq, data, pos, pieces.datas, pieces.stops)
        stops = pieces.stops[before:]
        if not stops:
            return pos
        starts = [pos, *stops[:-1]]
        lead = 5 + protection.lead
        lengths = list(map(len, pieces.datas[before:]))
        pieces.lengths += lengths
        pieces.ats += [start + lead for start in starts]
        stream.seq += len(stops)
        stream.misses = 0
        facts.records += len(stops)
        facts.framing += stops[-1] - pos - sum(lengths)
        facts.largest = max(facts.largest, max(map(sub, stops, starts)) - 5)
        return stops[-1]

    def emit(self, stream: Stream, pieces: Pieces, first: int = 0, behind: int | None = None) -> None:
        """Hand on the plaintext of records whose bytes stand in the buffer, from row `first` up to `behind`."""
        for hole, start, stop in pieces.groups(first, len(pieces) if behind is None else behind):
            if hole:
                self.hole(stream, pieces.lengths[start], stream.mark(pieces.stops[start]))
            else:
                self._emit_run(stream, pieces, start, stop)

    def hole(self, stream: Stream, length: int, mark: Mark) -> None:
        """Tell of a hole in the plaintext; `mark` counts the bytes of TCP."""
        stream.plain += length
        stream.places.add(mark.offset, stream.plain)
        self._sink.gap(stream.side, length, "gap", mark._replace(offset=stream.plain))

    def _emit_run(self, stream: Stream, pieces: Pieces, start: int, stop: int) -> None:
        marks = stream.marks(pieces, start, stop)
        base, plain = stream.base, stream.plain
        if not plain:
            stream.places.add(base + pieces.ats[start], 0)
        for length, end in zip(pieces.lengths[start:stop], pieces.stops[start:stop], strict=True):
            plain += length
            stream.places.add(base + end, plain)
        stream.facts.plain += plain - stream.plain
        stream.plain = plain
        self._sink.run(stream.side, b"".join(pieces.datas[start:stop]), marks)

    # ---- holes -------------------------------------------------------------------------------------------------

    def _take_gap(self, stream: Stream, length: int, reason: str, mark: Mark) -> None:
        if stream.queue is not None:
            self._enqueue(stream, (length, reason, mark), 0)
            return
        facts = stream.facts
        stream.messages.clear()
        if facts.problem is not None:
            if stream.left >= length:
                stream.left -= length
            else:
                stream.left = -1  # boundaries are lost
            return
        if stream.skip >= length > 0:
            stream.skip -= length
            return
        buffer = stream.buffer
        held = len(buffer)
        facts.undecrypted += held
        if stream.synced and not stream.skip and held >= 5:
            size = 5 + (buffer[3] << 8 | buffer[4])
            if length <= size - held:
                stream.skip = size - held - length
                buffer.clear()
                facts.lost_records += 1
                if stream.protection is not None:
                    stream.seq += 1
                    if stream.epoch == "traffic":
                        self.hole(stream, max(size - 5 - stream.protection.overhead, 1), mark)
                return
        if stream.synced:
            stream.synced = False
            stream.sync_base = mark.offset - length - held
            stream.sync_tries = 0
        stream.skip = 0
        buffer.clear()
        stream.base = mark.offset

    def _resync(self, stream: Stream) -> bool:
        """Find the next record after a hole; False if there is none yet."""
        found = find_record(stream, self.store)
        if found is None:
            return False
        at, lost, given_up = found
        stream.facts.undecrypted += at
        stream.drop(at)
        stream.synced = True
        if given_up:
            pieces = Pieces()
            self._give_up(stream, "lost", pieces, 0)
            self.emit(stream, pieces)
            return True
        if stream.protection is not None:
            missing = lost_plain(stream, lost)
            stream.seq += lost
            stream.facts.lost_records += lost
            if stream.epoch == "traffic":
                self.hole(stream, max(missing, 1), stream.mark(0))
        return True

    def _conclude(self, stream: Stream) -> None:
        facts = stream.facts
        held = len(stream.buffer)
        if stream.seeking and stream.sought and not facts.opened:
            facts.problem = facts.problem or ("partial" if stream.lacks else "wrong-keys")
        if held >= 5 and stream.synced:
            facts.unfinished = (held, 5 + (stream.buffer[3] << 8 | stream.buffer[4]))
        elif held:
            facts.unfinished = (held, held + 1)
        elif stream.left > 0:
            facts.unfinished = (5 + facts.last_length - stream.left, 5 + facts.last_length)
        if not stream.synced and stream.plain:
            self.hole(stream, 1, stream.mark(0))
        facts.undecrypted += held
        stream.buffer.clear()

    def _is_steady(self) -> bool:
        """Tell whether both sides are past their handshakes, so that records can be taken by columns."""
        return all(
            stream.queue is None
            and stream.facts.problem is None
            and stream.epoch == "traffic"
            and stream.protection is not None
            and stream.facts.opened
            and stream.synced
            and not stream.skip
            and not stream.seeking
            for stream in self.streams
        )
