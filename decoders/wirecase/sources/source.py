"""One input of a run: a file or standard input that yields its packets."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import chain
from types import TracebackType

from wirecase.digest import EarlyDigest
from wirecase.errors import InputError
from wirecase.model import Damage, PacketBatch, SourceInfo
from wirecase.sources.compressed import GzipInput, ZstdInput
from wirecase.sources.following import Follow
from wirecase.sources.formats import EXPORTED_PDU, HEAD, capture_format, compression, foreign
from wirecase.sources.pcap import PcapReader
from wirecase.sources.pcapng import PcapngReader
from wirecase.sources.raw import ByteStream, NotACaptureError, RawInput, shown
from wirecase.sources.reading import PacketReader, Reading
from wirecase.sources.remote import public
from wirecase.sources.window import FIRST_WINDOW, WINDOW, Window


class Source:
    """Packets of one file, FIFO or standard input (path ``-``).

    `info`, `damages`, `secrets` and `skipped_blocks` describe the pass under way, or the last one; they are final when
    `batches` is exhausted or closed.
    """

    def __init__(self, path: str, index: int = 0) -> None:
        self.path = path
        self.index = index
        """Place among the sources of the run; stands in every batch and every damage."""
        self.info = SourceInfo(public(path))
        self._reading = Reading(index)
        self.size: int | None = None
        """Bytes of a file on disk as they lie there; None for a stream, and before it was opened."""
        self.first: int | None = None
        """Time of the first packet once `peek` was there, None if it is not known."""
        self.follow: Follow | None = None
        """Set to read the file on as it grows."""
        self.ending = ""
        """Why following it came to an end, see `wirecase.sources.following.Ending`."""
        self.alone = True
        """False where other inputs are read at the same time: none of them may take much memory."""
        self._raw: RawInput | None = None
        self._passes = 0
        self._begun = False

    @property
    def damages(self) -> list[Damage]:
        """What could not be read, in file order."""
        return self._reading.damages

    @property
    def secrets(self) -> list[tuple[int, bytes]]:
        """Type and data of each decryption secrets block met so far (0x544c534b is a TLS key log)."""
        return self._reading.secrets

    @property
    def skipped_blocks(self) -> dict[int, int]:
        """How many pcapng blocks without packets were passed over, by block type."""
        return self._reading.skipped_blocks

    @property
    def bytes_read(self) -> int:
        """Bytes of the input read so far in this pass, as they lie in the file: for showing progress."""
        return self._raw.taken if self._raw else self.info.bytes

    def begin(self) -> None:
        """Open the input and read a large file ahead, until `batches` takes it from there.

        Worth calling before something else takes its time. Raise `InputError` if the input cannot be opened.
        """
        if self.follow is not None:
            return
        self.close()
        self._raw = raw = RawInput(self.path)
        self._begun = True
        if raw.regular and not compression(raw.peek(4)):
            raw.ahead()

    def batches(self) -> Iterator[PacketBatch]:
        """Yield all packets in file order. A file can be read again by a second call, a pipe cannot.

        Raise `InputError` if the input cannot be opened, is not a capture, or is so damaged that not one packet came
        of it. A batch is valid only until the next one is asked for.
        """
        yield from self._read(digest=True)

    def peek(self) -> int | None:
        """Return the time of the first packet of a file on disk, None if it holds no packet.

        Leaves `info.format` behind, nothing else. Raises what `batches` would raise before the first packet.
        """
        with closing(self._read(digest=False)) as batches:
            batch = next(batches, None)
            first = batch.times[0] if batch else None
        self._reading = Reading(self.index)
        self.info = SourceInfo(self.info.path, format=self.info.format)
        self.first = first
        return first

    def close(self) -> None:
        """Stop reading; harmless when nothing is open."""
        self._begun = False
        if self._raw:
            self._raw.close()
            self._raw = None

    def __enter__(self) -> Source:
        """Return the source itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _read(self, *, digest: bool) -> Generator[PacketBatch, None, None]:
        begun, self._begun = self._begun and digest, False
        raw = self._raw if begun and self._raw else self._input(digest=digest)
        if self._passes and (self.path == "-" or not raw.regular):
            raise InputError(f"{shown(self.path)}: can be read only once")
        self._passes += digest
        if self._raw is not raw:
            self.close()
        self._raw, self.size = raw, raw.size
        self._reading = reading = Reading(self.index)
        reading.unfinished = lambda: raw.unfinished
        self.info = SourceInfo(self.info.path, format=self.info.format)
        try:
            stream, reader = self._recognise(raw, reading, WINDOW if digest else FIRST_WINDOW)
            try:
                yield from _unwrapped(reader.batches(), reading)
            except InputError as error:
                raise InputError(f"{shown(self.path)}: {error}") from error
            raw.drain()
            self.ending = raw.ending
            if stream.problem and not raw.unfinished:
                reading.damage(self._offset, stream.problem)
            if reading.damages and not reading.packets:
                raise InputError(f"{shown(self.path)}: no packet could be read: {reading.damages[0].reason}")
        finally:
            raw.close()
            self._conclude(raw, reading)
            if self._raw is raw:
                self._raw = None

    def _input(self, *, digest: bool) -> RawInput:
        """Open what the bytes come from."""
        return RawInput(self.path, digest=digest, follow=self.follow if digest else None)

    def _recognise(self, raw: RawInput, reading: Reading, most: int) -> tuple[ByteStream, PacketReader]:
        """Find out by content how to read `raw`."""
        packed = compression(raw.peek(4))
        stream: ByteStream = raw
        size = FIRST_WINDOW if raw.size is None else min(raw.size + 1, most)
        if packed:
            stream, size = (GzipInput if packed == "gzip" else ZstdInput)(raw), FIRST_WINDOW
        ahead = raw.ahead() if raw.digest and not packed and self.alone else None
        self._window = window = Window(stream, size, ahead)
        window.ensure(4)
        head = bytes(window.view[window.start : min(window.end, window.start + HEAD)])
        kind = capture_format(head)
        if not kind and head:
            from wirecase.sources.forms import form_reader

            found = form_reader(window, reading, None if packed else raw.size)
            if found is not None:
                self.info.format = f"{found[0]}+{packed}" if packed else found[0]
                return stream, found[1]
        if not kind:
            if stream.problem and not head:
                raise InputError(f"{shown(self.path)}: {stream.problem}")
            unpacked = f"{packed} data, unpacked: " if packed else ""
            raise NotACaptureError(f"{shown(self.path)}: {unpacked}{foreign(head)}")
        self.info.format = f"{kind}+{packed}" if packed else kind
        return stream, (PcapReader if kind == "pcap" else PcapngReader)(window, reading)

    @property
    def _offset(self) -> int:
        """Offset in the decompressed input behind all that was read."""
        return self._window.base + self._window.end

    def _conclude(self, raw: RawInput, reading: Reading) -> None:
        """Make `info` final."""
        info = self.info
        info.packets, info.first, info.last = reading.packets, reading.first, reading.last
        info.form, info.dropped = reading.form, reading.dropped
        if raw.digest:
            # Another process may still be busy with the end of the file: conclusions are drawn meanwhile.
            late = isinstance(raw.digest, EarlyDigest)
            info.digest = raw.digest.hexdigest if late else raw.digest.hexdigest()
            info.bytes = raw.digest.size


def _unwrapped(batches: Iterator[PacketBatch], reading: Reading) -> Iterator[PacketBatch]:
    """Yield what was read; from the first packet on that is an exported PDU, what those hold."""
    for batch in batches:
        if batch.link != EXPORTED_PDU:
            yield batch
            continue
        from wirecase.sources.forms.exported_pdu import ExportedPdus

        yield from ExportedPdus(reading).batches(chain((batch,), batches))
        return
