"""The walk over length-prefixed messages of one side of one call (PH2 Length-Prefixed-Message).

Theory. A body is a chain of messages: one byte of flags (0, or 1 for compressed), four bytes of length, the payload.
The reader is always in one of three modes. *Framed*: inside a prefix or a message, and every byte is accounted for.
*Foreign*: a prefix began with a byte that is neither 0 nor 1, so what follows is no gRPC; it is kept as evidence.
*Lost*: a hole in the capture swallowed an unknown part, so no claim can be made about what follows.
DATA frames and messages have nothing to do with each other's boundaries.
"""

from __future__ import annotations

from struct import Struct
from zlib import crc32

from wirecase.grpc.compression import Budget, Inflater, open_inflater
from wirecase.grpc.facts import FOREIGN_LIMIT, BadPrefix, Inflation, LargestMessage, Pending
from wirecase.model import Excerpt, Marks

_PREFIX = Struct(">BI")
_SHOWN = 96
_LARGE = 4096
"""Messages from this size on are candidates for `MessageReader.largest`."""
_WEB_TRAILERS = (0x80, 0x81)
_RESUME_SEARCHED = 4096
_RESUME_STEPS = 20_000


def are_plain_messages(data: bytes, start: int, stop: int) -> bool:
    """Tell whether ``data[start:stop]`` is nothing but whole, uncompressed messages."""
    unpack = _PREFIX.unpack_from
    while stop - start >= 5:
        flag, length = unpack(data, start)
        if flag:
            return False
        start += 5 + length
    return start == stop


class MessageReader:
    """One side's messages; a `wirecase.model.BodySink`."""

    __slots__ = ("_budget", "_foreign_mode", "_head", "_inflater", "_largest", "_largest_at", "_left", "_message_at",
                 "_prefix", "_prefix_at", "bad", "bytes", "compressed", "digest", "encoding", "first_compressed",
                 "inflations", "lost", "messages", "side", "web")  # fmt: skip

    def __init__(self, side: int, budget: Budget, *, digest: bool = False) -> None:
        self.side = side
        self.digest: int | None = 0 if digest else None
        """CRC-32 of the body bytes seen, where it was asked for."""
        self._budget = budget
        self.messages = 0
        """Whole messages."""
        self.bytes = 0
        """Body bytes seen, prefixes included."""
        self.compressed = 0
        """Messages with flag 1."""
        self.first_compressed: Excerpt | None = None
        """Prefix and first bytes of the first of them."""
        self.bad: BadPrefix | None = None
        self.inflations: list[Inflation] = []
        """Messages that did not inflate, the first 10."""
        self.lost = False
        """A hole hides message boundaries: nothing is certain from there on."""
        self.encoding: bytes | None = None
        """The side's ``grpc-encoding``; None if absent."""
        self.web = False
        """The content-type is gRPC-Web: a trailers frame (flag 0x80) belongs there."""
        self._foreign_mode = False
        self._left = 0
        """Payload bytes still to come of the message in progress."""
        self._message_at: tuple[Marks, int, int, int] | None = None
        """(marks, stream offset of its prefix, flag, length) of that message."""
        self._prefix = b""
        """The beginning of a prefix that is not whole."""
        self._prefix_at: tuple[Marks, int] | None = None
        self._head: bytes = b""
        """First payload bytes of the message in progress."""
        self._inflater: Inflater | None = None
        self._largest = _LARGE
        self._largest_at: tuple[Marks, int, int, int] | None = None
        """(marks, stream offset of its prefix, flag, length) of the largest message."""

    def feed(self, data: bytes, start: int, stop: int, marks: Marks, offset: int) -> None:
        """Take ``data[start:stop]``; `offset` is the stream offset of ``data[start]``."""
        self.bytes += stop - start
        if self.digest is not None:
            self.digest = crc32(memoryview(data)[start:stop], self.digest)
        if self._foreign_mode or self.lost:
            if not self.lost:  # what stands behind a hole is not joined to what stood before it
                self._take_foreign(data, start, stop)
            return
        shift = offset - start
        left = self._left
        if left:
            count = stop - start
            if len(self._head) < _SHOWN:
                self._extend_head(data, start, stop)
            if left > count:
                self._left = left - count
                if self._inflater is not None:
                    self._inflater.feed(data[start:stop])
                return
            if self._inflater is not None:
                self._inflater.feed(data[start : start + left])
                self._inflated()
            self._left = 0
            self.messages += 1
            start += left
        if self._prefix:
            start = self._join_prefix(data, start, stop, marks, shift)
            if start < 0:
                return
        unpack = _PREFIX.unpack_from
        while stop - start >= 5:
            flag, length = unpack(data, start)
            if flag:
                if flag != 1:
                    self._bad(flag, data, start, stop, marks, start + shift)
                    return
                self._compressed(data, start, stop, length, marks, start + shift)
            if length >= self._largest:
                self._largest = length + 1
                self._largest_at = (marks, start + shift, flag, length)
            end = start + 5 + length
            if end > stop:
                self._left = end - stop
                self._message_at = (marks, start + shift, flag, length)
                self._head = data[start + 5 : min(stop, start + 5 + _SHOWN)]
                if self._inflater is not None:
                    self._inflater.feed(data[start + 5 : stop])
                return
            if self._inflater is not None:
                self._inflater.feed(data[start + 5 : end])
                self._message_at = (marks, start + shift, flag, length)
                self._head = data[start + 5 : min(end, start + 5 + _SHOWN)]
                self._inflated()
            self.messages += 1
            start = end
        if start < stop:
            if data[start] > 1:  # no need to wait for the rest: this is no prefix
                self._bad(data[start], data, start, stop, marks, start + shift)
                return
            self._prefix = data[start:stop]
            self._prefix_at = (marks, start + shift)

    def feed_all(self, data: bytes, places: list[int], marks: Marks, base: int) -> None:
        """Take many parts of `data`, where each begins and ends; `base` is the stream offset of ``data[0]``.

        The same as `feed` for each; a part that is one plain message is only counted.
        """
        unpack = _PREFIX.unpack_from
        between = self._is_between_messages() and self.digest is None
        messages = size = 0
        bounds = iter(places)
        for start, stop in zip(bounds, bounds, strict=True):
            if between and stop - start >= 5:
                flag, length = unpack(data, start)
                if not flag and start + 5 + length == stop and length < _LARGE:
                    messages += 1
                    size += 5 + length
                    continue
            self.messages += messages
            self.bytes += size
            messages = size = 0
            self.feed(data, start, stop, marks, base + start)
            between = self._is_between_messages() and self.digest is None
        self.messages += messages
        self.bytes += size

    def _is_between_messages(self) -> bool:
        return not (self._left or self._prefix or self._foreign_mode or self.lost)

    def _join_prefix(self, data: bytes, start: int, stop: int, marks: Marks, shift: int) -> int:
        """Complete a prefix that began in earlier bytes; return where to go on, or -1 if these bytes are used up."""
        had = len(self._prefix)
        prefix = self._prefix + data[start : min(stop, start + 5 - had)]
        at = self._prefix_at or (marks, start + shift)
        if len(prefix) < 5:
            self._prefix = prefix
            return -1
        self._prefix = b""
        start += 5 - had
        flag, length = _PREFIX.unpack(prefix)
        if flag:
            self._compressed(prefix, 0, 5, length, at[0], at[1])
        if length >= self._largest:
            self._largest = length + 1
            self._largest_at = (at[0], at[1], flag, length)
        end: int = start + length
        self._message_at = (at[0], at[1], flag, length)
        self._head = data[start : min(stop, end, start + _SHOWN)]
        if end > stop:
            self._left = end - stop
            if self._inflater is not None:
                self._inflater.feed(data[start:stop])
            return -1
        if self._inflater is not None:
            self._inflater.feed(data[start:end])
            self._inflated()
        self.messages += 1
        return end

    def _extend_head(self, data: bytes, start: int, stop: int) -> None:
        """Add to the first bytes of the message in progress, unless a hole is among them."""
        head = self._head
        if self._message_at is not None and len(head) == self._message_at[3] - self._left:
            self._head = head + data[start : min(stop, start + min(_SHOWN - len(head), self._left))]

    # ---- compressed messages -----------------------------------------------------------------------------------

    def _compressed(self, data: bytes, start: int, stop: int, length: int, marks: Marks, offset: int) -> None:
        self.compressed += 1
        excerpt = None
        if self.first_compressed is None:
            shown = data[start : min(stop, start + 5 + length, start + _SHOWN)]
            excerpt = self.first_compressed = Excerpt(self.side, marks.at(offset), shown, 5 + length)
        encoding = self.encoding
        if encoding is None or encoding == b"identity" or self._budget.left < 0 or not length:
            return
        self._inflater = open_inflater(encoding, self._budget)
        if self._inflater is None and not self.inflations:
            excerpt = excerpt or Excerpt(
                self.side, marks.at(offset), data[start : min(stop, start + _SHOWN)], 5 + length
            )
            text = f"grpc-encoding {encoding.decode('latin-1')!r} cannot be checked here"
            self.inflations.append(Inflation("unknown", text, self.messages, length, 0, excerpt))

    def _inflated(self) -> None:
        """The compressed message in progress is whole."""
        inflater = self._inflater
        self._inflater = None
        if inflater is None:
            return
        inflater.finish()
        self._note_inflation(inflater)

    def _note_inflation(self, inflater: Inflater) -> None:
        if inflater.failure is None or self._message_at is None or len(self.inflations) >= 10:
            return
        kind, text = inflater.failure
        marks, offset, flag, length = self._message_at
        excerpt = Excerpt(self.side, marks.at(offset), _PREFIX.pack(flag, length) + self._head, 5 + length)
        self.inflations.append(Inflation(kind, text, self.messages, length, inflater.inflated, excerpt))

    # ---- what is no gRPC ---------------------------------------------------------------------------------------

    def _bad(self, flag: int, data: bytes, start: int, stop: int, marks: Marks, offset: int) -> None:
        excerpt = Excerpt(self.side, marks.at(offset), data[start : min(stop, start + _SHOWN)], stop - start)
        before = self.bytes - (stop - start)
        self.bad = BadPrefix(flag, self.messages, before, excerpt)
        self._foreign_mode = True
        self._take_foreign(data, start, stop)

    def _take_foreign(self, data: bytes, start: int, stop: int) -> None:
        bad = self.bad
        if bad is None:
            return
        bad.foreign_length += stop - start
        room = FOREIGN_LIMIT - len(bad.foreign)
        if room > 0:
            bad.foreign += data[start : min(stop, start + room)]

    def gap(self, length: int | None) -> None:
        """Part of the body is missing: `length` bytes, or an unknown number (None)."""
        if length is not None and self._left >= length:
            self._left -= length
            self.bytes += length
            self._inflater = None  # cannot be checked any more
            if not self._left:
                self.messages += 1
            return
        self.lost = True
        self._left = 0
        self._prefix = b""
        self._inflater = None

    def ended(self) -> None:
        """The body is over: hold on to no more marks than are needed to say where it stopped, if something is odd."""
        if not self._left and self._inflater is None:
            self._message_at = None
        elif self._message_at is not None:
            marks, offset, flag, length = self._message_at
            self._message_at = (marks.near(offset), offset, flag, length)
        if self._largest_at is not None:
            marks, offset, flag, length = self._largest_at
            self._largest_at = (marks.near(offset), offset, flag, length)
        if self._prefix_at is not None:
            self._prefix_at = (
                (self._prefix_at[0].near(self._prefix_at[1]), self._prefix_at[1]) if self._prefix else None
            )

    # ---- how it ended ------------------------------------------------------------------------------------------

    def pending(self) -> Pending | None:
        """Return where the body stopped, if it stopped inside of a prefix or a message."""
        if self.lost or self._foreign_mode:
            return None
        if self._prefix and self._prefix_at is not None:
            marks, offset = self._prefix_at
            excerpt = Excerpt(self.side, marks.at(offset), self._prefix, len(self._prefix))
            return Pending(self._prefix, None, 0, excerpt)
        if self._left and self._message_at is not None:
            marks, offset, flag, length = self._message_at
            prefix = _PREFIX.pack(flag, length)
            got = length - self._left
            excerpt = Excerpt(self.side, marks.at(offset), prefix + self._head, 5 + got)
            return Pending(prefix, length, got, excerpt)
        return None

    @property
    def largest(self) -> LargestMessage | None:
        """The largest message, if one had 4 KiB or more."""
        if self._largest_at is None:
            return None
        marks, offset, flag, length = self._largest_at
        return LargestMessage(length, Excerpt(self.side, marks.at(offset), _PREFIX.pack(flag, length), 5 + length))

    @property
    def well_typed(self) -> bool:
        """No message is known to be of another type than its method's; nobody looks into payloads here."""
        return True

    @property
    def head(self) -> bytes:
        """First bytes of a body that did not begin with a whole message."""
        if self.bad is not None and not self.bad.after_bytes:
            return bytes(self.bad.foreign[:64])
        if not self.messages and self._prefix:
            return self._prefix
        if not self.messages and self._left and self._message_at is not None:
            return _PREFIX.pack(self._message_at[2], self._message_at[3]) + self._head
        return b""

    @property
    def first(self) -> Excerpt | None:
        """The same bytes with their place."""
        if self.bad is not None and not self.bad.after_bytes:
            return self.bad.excerpt
        pending = self.pending() if not self.messages else None
        return pending.excerpt if pending else None

    def finish(self) -> None:
        """The body is over: read what the foreign part tells, and settle a message that was being inflated."""
        inflater = self._inflater
        if inflater is not None:
            inflater.cut()
            if inflater.failure and inflater.failure[0] in ("bomb", "corrupt"):
                self._note_inflation(inflater)
        self._inflater = None
        bad = self.bad
        if bad is None:
            return
        foreign = bytes(bad.foreign)
        bad.excerpt = bad.excerpt._replace(data=foreign[:_SHOWN], length=bad.foreign_length)
        if bad.flag in _WEB_TRAILERS and len(foreign) >= 5:
            length = int.from_bytes(foreign[1:5], "big")
            if 5 + length <= len(foreign):
                bad.web_trailers = foreign[5 : 5 + length]
        if bad.after_messages and bad.foreign_length == len(foreign) and not self.lost:
            bad.resumed = _find_resumption(foreign)


def _find_resumption(foreign: bytes) -> tuple[int, int] | None:
    """Return (position, messages) where valid messages begin again and end exactly where the body does."""
    end = len(foreign)
    steps = 0
    for begin in range(1, min(end - 5, _RESUME_SEARCHED)):
        if foreign[begin] > 1:
            continue
        pos, messages, payload = begin, 0, 0
        while end - pos >= 5 and foreign[pos] <= 1 and steps < _RESUME_STEPS:
            steps += 1
            length = int.from_bytes(foreign[pos + 1 : pos + 5], "big")
            pos += 5 + length
            messages += 1
            payload += length
            if pos > end:
                break
        if pos == end and payload:
            return begin, messages
    return None
