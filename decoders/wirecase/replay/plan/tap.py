"""Where a tape hears the bytes of its connection."""

from __future__ import annotations

from typing import Literal

from wirecase.model import Mark, Marks, Stretch
from wirecase.replay.plan.tape import Tape
from wirecase.session.decoder import ConnectionDecoder


class Tap:
    """Passes the bytes of a connection on to its decoder, and to a tape (`wirecase.model.StreamListener`)."""

    def __init__(self, tape: Tape, decoder: ConnectionDecoder) -> None:
        self._tape = tape
        self._decoder = decoder
        decoder.hear_inside(_Inside(tape))

    def run(self, side: int, data: bytes, marks: Marks) -> None:
        """Bytes of one side."""
        if not self._tape.opened:
            self._tape.bytes_of(side, data, marks)
        self._decoder.run(side, data, marks)

    def stretch(self, stretch: Stretch) -> None:
        """Many segments at once."""
        for one in stretch.runs():
            self.run(*one)

    def gap(self, side: int, length: int, reason: str, mark: Mark) -> None:
        """A hole."""
        self._decoder.gap(side, length, reason, mark)
        if self._tape.session.protocol not in ("h2", "empty"):
            self._tape.damaged = True

    def ended(self, side: int, how: Literal["fin", "rst"], mark: Mark) -> None:
        """One side closed."""
        self._decoder.ended(side, how, mark)

    def closed(self, reason: Literal["closed", "reused", "idle", "capture-end"]) -> None:
        """The connection is over."""
        self._decoder.closed(reason)
        self._tape.finish()


class _Inside:
    """Hears what comes out of TLS (`wirecase.session.decoder.PlainListener`)."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def run(self, side: int, data: bytes, marks: Marks) -> None:
        """Bytes of one side."""
        self._tape.open()
        self._tape.bytes_of(side, data, marks)

    def gap(self, side: int, length: int, reason: str, mark: Mark) -> None:
        """A hole."""
        self._tape.open()
