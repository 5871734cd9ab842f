"""The records of a side one by one: which are sealed, with what they open, and what follows if they do not.

Application data under settled keys goes by (`Protection.open_all` takes many records of it at once); here is everything
else.
"""

from __future__ import annotations

from wirecase.model import CLIENT, SERVER
from wirecase.tls.facts import Problem, TlsFacts
from wirecase.tls.keylog import KeyStore
from wirecase.tls.messages import Messages
from wirecase.tls.names import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, HEARTBEAT
from wirecase.tls.secrets import BLOCKED, arm, next_generation
from wirecase.tls.stream import Pieces, Stream

LONGEST_RECORD = 16384 + 2048
"""RFC 5246 §6.2.3; TLS 1.3 allows 256 bytes beyond 2^14 (RFC 8446 §5.2)."""
MOST_MISSES = 8
"""Records in a row that may fail before the side is given up."""
_SEALING = 5 + 1 + 16
"""Bytes of a record of TLS 1.3 beside its plaintext: header, content type, tag."""
_END_OF_EARLY_DATA = 4
MOST_SOUGHT = 4096
"""Records without keys (early data, a handshake) that are passed over in search of the first one that opens."""


class Records:
    """Opens the records of both sides of a connection."""

    def __init__(self, facts: TlsFacts, store: KeyStore, *, flipped: bool) -> None:
        """`flipped` says that TCP's side 1 is the client."""
        self.facts = facts
        self.store = store
        self.streams = tuple(Stream(number, number ^ flipped, facts.sides[number]) for number in (CLIENT, SERVER))
        self._messages = Messages(facts, store)
        self.final = False
        """Nothing more will come: whatever waits is told what it can be told."""

    def _wait(self, stream: Stream, what: str) -> None:
        stream.waits = what
        stream.queue = []

    def _record(
        self, stream: Stream, kind: int, view: memoryview, pos: int, stop: int, pieces: Pieces
    ) -> bool:  # fmt: skip
        """Take one record other than plain application data; False if it has to wait."""
        facts = stream.facts
        tls13 = self._messages.tls13
        sealed = kind == APPLICATION_DATA if tls13 or stream.epoch == "plain" else kind != CHANGE_CIPHER_SPEC
        if stream.epoch == "plain" and kind != APPLICATION_DATA:
            sealed = False
        if kind == CHANGE_CIPHER_SPEC and self._messages.version is None and self._may_be_answered(stream):
            self._wait(stream, "hello")
            return False
        if not sealed:
            facts.framing += stop - pos
            body = bytes(view[pos + 5 : stop])
            if kind == CHANGE_CIPHER_SPEC:
                if not tls13 and self._messages.version is not None:
                    stream.epoch, stream.protection, stream.seq = "traffic", None, 0
            elif kind == HANDSHAKE:
                self._messages.handshake(stream, body, stream.mark(pos), bytes(view[pos : min(stop, pos + 512)]))
            elif kind == ALERT:
                self._messages.alert(stream, body, stream.mark(pos), encrypted=False)
            return True
        if stream.protection is None and not stream.seeking:
            waits = arm(stream, self._messages, self.store, self.streams, final=self.final)
            if waits in BLOCKED:
                self._wait(stream, waits)
                return False
            if facts.problem is not None:
                self._give_up(stream, facts.problem, pieces, pos)
                return False
        plain = self._open(stream, view, pos, stop)
        if plain is None:
            return self._unopened(stream, pos, stop, pieces)
        self._opened(stream, kind, plain, pos, stop, pieces)
        return True

    def _may_be_answered(self, stream: Stream) -> bool:
        """Tell whether the ServerHello may still come."""
        return stream.number == CLIENT and not self.final and self.facts.sides[SERVER].problem is None

    def _open(self, stream: Stream, view: memoryview, pos: int, stop: int) -> bytes | None:
        """Open a record with the present keys, or with those that may be next."""
        if stream.protection is not None:
            plain = stream.protection.open(stream.seq, view, pos, stop)
            if plain is not None:
                return plain
        for option in stream.options:
            plain = option.protection.open(0, view, pos, stop)
            if plain is not None:
                stream.epoch, stream.secret, stream.protection = option
                stream.seq, stream.seeking = 0, False
                self._messages.chosen(stream)
                return plain
        if stream.protection is not None and stream.epoch == "traffic" and stream.seq and self._messages.tls13:
            later = next_generation(stream, self._messages)
            plain = later.protection.open(0, view, pos, stop)
            if plain is not None:  # a KeyUpdate was lost in a hole
                stream.epoch, stream.secret, stream.protection = later
                stream.seq = 0
                return plain
        return None

    def _opened(self, stream: Stream, kind: int, plain: bytes, pos: int, stop: int, pieces: Pieces) -> None:
        facts = stream.facts
        assert stream.protection is not None
        if not facts.opened:
            facts.opened = True
            self._messages.fits(stream)
        lead = stream.protection.lead
        stream.seq += 1
        stream.misses = 0
        stream.seeking = False
        size = len(plain)
        if self._messages.tls13:
            size, kind = content(plain)
        if kind == APPLICATION_DATA:
            facts.framing += stop - pos - size
            if size:
                pieces.add(plain[:size], pos + 5 + lead, stop)
            return
        facts.framing += stop - pos
        if kind == HANDSHAKE:
            self._messages.handshake(stream, plain[:size], stream.mark(pos), b"")
        elif kind == ALERT:
            self._messages.alert(stream, plain[:size], stream.mark(pos), encrypted=True)

    def _unopened(self, stream: Stream, pos: int, stop: int, pieces: Pieces) -> bool:
        """A record did not open: pass it over, or give the side up."""
        facts = stream.facts
        if stream.seeking:
            stream.sought += 1
            if stream.sought > MOST_SOUGHT:
                self._give_up(stream, "wrong-keys", pieces, pos)
                return False
            facts.undecrypted += stop - pos
            missing = stop - pos - _SEALING
            if stream.epoch == "early" and missing > 0 and missing != _END_OF_EARLY_DATA:
                pieces.add_hole(missing, pos, stop)
            return True
        if not facts.opened:
            if stream.epoch == "handshake" and any(option.epoch == "traffic" for option in stream.options):
                stream.protection, stream.seeking = None, True
                stream.sought += 1
                facts.undecrypted += stop - pos
                return True
            self._give_up(stream, "wrong-keys", pieces, pos)
            return False
        stream.misses += 1
        if stream.misses > MOST_MISSES:
            self._give_up(stream, "lost", pieces, pos)
            return False
        facts.failed += 1
        facts.undecrypted += stop - pos
        stream.seq += 1
        if stream.epoch == "traffic":
            assert stream.protection is not None
            pieces.add_hole(max(stop - pos - 5 - stream.protection.overhead, 1), pos, stop)
        return True

    def _give_up(self, stream: Stream, why: Problem, pieces: Pieces, pos: int) -> None:
        """Nothing more of a side can be read, from the record at `pos` on."""
        stream.facts.problem = stream.facts.problem or why
        stream.protection, stream.seeking = None, False
        stream.options.clear()
        if stream.facts.plain or pieces:
            pieces.add_hole(1, pos, pos)

    def _derail(self, stream: Stream, pieces: Pieces, pos: int) -> None:
        self._give_up(stream, "lost" if stream.facts.records else "not-tls", pieces, pos)


def is_header(data: bytes | bytearray, at: int) -> bool:
    """Tell whether a record can begin here."""
    return (
        CHANGE_CIPHER_SPEC <= data[at] <= HEARTBEAT
        and data[at + 1] == 3
        and data[at + 2] <= 4
        and (data[at + 3] << 8 | data[at + 4]) <= LONGEST_RECORD
    )


def content(plain: bytes) -> tuple[int, int]:
    """Return the length and the type of TLS 1.3's inner content: zeros are padding (RFC 8446 §5.4)."""
    size = len(plain.rstrip(b"\0"))
    return (size - 1, plain[size - 1]) if size else (0, 0)
