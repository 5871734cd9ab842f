"""A capture that tshark unwraps: whatever Wireshark can take apart, as plain TCP packets.

Only the unwrapping is tshark's (802.11, GTP-U, IPsec, capture formats that are not read here …); streams, HTTP/2 and
gRPC are followed by the same code as always. Everything above TCP is switched off in tshark, which makes it faster and
lets it hold less.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress

from wirecase.errors import InputError
from wirecase.model import PacketBatch, SourceInfo
from wirecase.sources.formats import HEAD, convertible
from wirecase.sources.opening import OpenedSources, open_sources
from wirecase.sources.raw import NotACaptureError, RawInput, shown
from wirecase.sources.reading import Reading
from wirecase.sources.remote import public
from wirecase.sources.source import Source
from wirecase.sources.tshark.program import Child, Tshark, TsharkError, check_preferences, preference_arguments, tshark
from wirecase.sources.tshark.rows import FIELDS, Rows, nanoseconds

_PREFERENCES = (
    "tcp.analyze_sequence_numbers:FALSE",
    "tcp.try_heuristic_first:FALSE",
    "ip.defragment:TRUE",
    "ipv6.defragment:TRUE",
)


class TsharkSource(Source):
    """Packets of one file as tshark tells them. Behaves as any other source; it needs a file on disk."""

    def __init__(
        self, path: str, program: Tshark, preferences: Sequence[str] = (), stop: Callable[[], bool] | None = None
    ) -> None:
        super().__init__(path)
        self._stop = stop
        self._program = program
        self._preferences = preferences
        self._rows: Rows | None = None

    @property
    def bytes_read(self) -> int:
        """Bytes of the input that stand for the frames read so far, roughly."""
        if self._rows is None:
            return self.info.bytes
        return min(self._rows.captured + 16 * self._rows.frames, self.info.bytes)

    def begin(self) -> None:
        """Do nothing ahead of time: tshark begins when the packets are asked for."""

    def peek(self) -> int | None:
        """See `Source.peek`; a format that only tshark reads is told from others by its first bytes."""
        try:
            return super().peek()
        except NotACaptureError:
            raw = RawInput(self.path, digest=False)
            with closing(raw):
                self.size = raw.size
                if not convertible(raw.peek(HEAD)):
                    raise
        self.info.format = "other"
        with Child(self._program, [*self._arguments(), "-c", "1", "-T", "fields", "-e", "frame.time_epoch"]) as child:
            for line in child.lines():
                if line:
                    with suppress(ValueError):
                        return nanoseconds(line)
            if problem := child.finish():
                raise TsharkError(f"{shown(self.path)}: tshark: {problem}")
        return None

    def batches(self) -> Iterator[PacketBatch]:
        """See `Source.batches`.

        Raise `InputError` if the input cannot be opened or tshark read no packet of it.
        """
        told = self._look()
        if told.form is not None:  # no packets to take apart
            self.info.engine = ""
            yield from super().batches()
            return
        self._reading = reading = Reading(self.index, secrets=told.secrets)
        self._rows = rows = Rows(reading)
        arguments = [*self._arguments(), "-d", "tcp.port==1-65535,data", "-T", "fields", "-E", "separator=/t"]
        arguments += ["-E", "occurrence=a", "-E", "aggregator=,", "-E", "quote=n"]
        for name in FIELDS:
            arguments += ["-e", name]
        try:
            with Child(self._program, arguments) as child:
                for line in child.lines():
                    if line is not None:
                        yield from rows.take(line)
                    elif self._stop is not None and self._stop():
                        return
                    else:
                        yield from rows.rest()
                yield from rows.rest()
                self._end(child.finish(), rows, told)
        finally:
            self._rows = None
            info = self.info
            info.packets, info.first, info.last = rows.frames, reading.first, reading.last

    def _arguments(self) -> list[str]:
        """Name the file, and set what makes tshark quick; the user's own preferences have the last word."""
        return ["-n", "-r", self.path, *preference_arguments([*_PREFERENCES, *self._preferences])]

    def _look(self) -> Reading:
        """Read the file once without tshark: its digest, format, damage, and the secrets that it carries."""
        try:
            for _ in super().batches():
                pass
        except NotACaptureError:
            with closing(RawInput(self.path)) as raw:
                raw.drain()
                assert raw.digest is not None
                self.info = SourceInfo(self.info.path, raw.digest.hexdigest(), "other", bytes=raw.digest.size)
        self.info.engine = self._program.name
        return self._reading

    def _end(self, problem: str, rows: Rows, told: Reading) -> None:
        """Turn what tshark complained about into damage; without any packet it is an error."""
        reading = self._reading
        if problem and not rows.frames:
            raise TsharkError(f"{shown(self.path)}: tshark: {problem}")
        reading.damages += told.damages
        missing = max(told.packets - rows.frames, 0)
        # A file that ends within a packet is told of already; that part of a packet is all that tshark leaves out.
        if missing > 1 or (problem and not told.damages):
            why = problem or "it gave no reason"
            reading.damage(0, f"tshark stopped after packet {rows.frames:,} ({missing:,} packets not read): {why}")


class TsharkEngine:
    """Opens sources through tshark (`wirecase.pipeline.Options.open`)."""

    def __init__(self, preferences: Sequence[str] = (), stop: Callable[[], bool] | None = None) -> None:
        """Find tshark; `stop` is asked while it keeps us waiting.

        Raises `TsharkError` if there is none, UsageError on a preference that is not NAME:VALUE.
        """
        check_preferences(preferences)
        self.preferences = tuple(preferences)
        self.stop = stop
        self.program = tshark()

    def __call__(self, arguments: Sequence[str]) -> OpenedSources:
        """Do as `open_sources` does; raise `InputError` for what can be read only once."""
        opened = open_sources(arguments, make=self._make)
        for source in opened.sources:
            if isinstance(source, TsharkSource) and not os.path.isfile(source.path):
                opened.close()
                raise InputError(f"{public(source.path)}: tshark needs a file on disk: write it to one first")
        return opened

    def _make(self, path: str) -> Source:
        return TsharkSource(path, self.program, self.preferences, self.stop)
