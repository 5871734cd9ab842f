"""From a command's arguments to the sources of a run: files, folders, standard input, each once and in order."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field

from wirecase.errors import InputError, UsageError
from wirecase.model import PacketBatch
from wirecase.sources import remote
from wirecase.sources.byte_pair import BytePair
from wirecase.sources.following import Follow, successor
from wirecase.sources.merging import TimeOrder
from wirecase.sources.raw import NotACaptureError, shown
from wirecase.sources.source import Source

_YOUNG = 4096
"""Bytes below which a file that is being followed may still turn out to be a capture."""


@dataclass(slots=True)
class OpenedSources:
    """What the arguments of a command led to; iterating gives the sources."""

    sources: list[Source] = field(default_factory=list)
    """In the order in which to read them; each one's `index` is its place here."""
    failures: list[InputError] = field(default_factory=list)
    """Inputs that were asked for and cannot be read, one line each. The others are read all the same."""
    notes: list[NotACaptureError] = field(default_factory=list)
    """Files of a folder that are no captures and were passed over without harm, one line each."""
    make: Callable[[str], Source] = Source
    """Makes the source of a path: of a file that appears while another one is followed."""

    @property
    def total_bytes(self) -> int | None:
        """Bytes of all inputs as they lie on disk; None if one of them is a stream, or grows."""
        sizes = [None if source.follow else source.size for source in self.sources]
        return None if None in sizes else sum(size or 0 for size in sizes)

    @property
    def bytes_read(self) -> int:
        """Bytes read of all inputs so far."""
        return sum(source.bytes_read for source in self.sources)

    def batches(self) -> Generator[tuple[Source, PacketBatch], None, None]:
        """Yield all packets in the order of time, each batch with its source; what has no times comes last.

        An input that turns out to be unreadable is added to `failures`; `InputError` is raised if it is all there is.
        A batch is valid only until the next one is asked for.
        """

        def failed(error: InputError) -> None:
            if len(self.sources) == 1 and not self.failures:
                raise error
            self.failures.append(error)

        dated = [source for source in self.sources if source.first is not None]
        others = [source for source in self.sources if source.first is None]
        try:
            if dated:
                yield from TimeOrder(dated, failed, self._successor)
            for source in others:
                following: Source | None = source
                while following is not None:
                    try:
                        for batch in following.batches():
                            yield following, batch
                    except InputError as error:
                        failed(error)
                    following.close()
                    following = self._successor(following)
        finally:
            self.close()

    def _successor(self, source: Source) -> Source | None:
        """Return the file that the writer of a followed one went on with."""
        path = successor(source.path) if source.ending == "rotated" else None
        if path is None:
            return None
        following = self.make(path)
        following.index, following.follow = len(self.sources), source.follow
        self.sources.append(following)
        return following

    def begin(self) -> None:
        """Begin to read the first input, where that can go on while something else is done."""
        if self.sources and self.sources[0].size is not None:
            self.sources[0].begin()

    def __iter__(self) -> Iterator[Source]:
        """Iterate over the sources."""
        return iter(self.sources)

    def close(self) -> None:
        """Close all of them."""
        for source in self.sources:
            source.close()


Open = Callable[[Sequence[str]], OpenedSources]
"""Opens the captures that it is given the names of; raises `InputError` if there is nothing to read."""


def open_sources(
    arguments: Sequence[str], make: Callable[[str], Source] = Source, follow: Follow | None = None
) -> OpenedSources:
    """Find the captures that `arguments` name: files, folders (their files, not those of folders within), ``-``.

    Addresses that fsspec knows are taken, too (``s3://…``); a folder's ends with ``/``, and ``*`` makes a pattern.
    The sources come in the order of their first packets, so that the files of a ring buffer read as one capture. Those
    without packets come after, then what can be read only once (standard input, FIFOs); that is not looked into here,
    so whether it is a capture shows when its batches are asked for. A file named twice is read once. `make` makes the
    source of a path. With `follow`, the newest file is read on as it grows, and so are those that its writer begins.

    Raise `InputError` if there is nothing at all to read, `UsageError` if standard input is asked for twice, or to be
    followed.
    """
    if not arguments:
        raise UsageError("no capture was named: give a file, a folder, or - for standard input")
    if sum(argument == "-" for argument in arguments) > 1:
        raise UsageError("standard input (-) can be read only once: name it once")
    opened = OpenedSources(make=make)
    growing = _newest(arguments) if follow is not None else None
    dated: list[tuple[bool, int, Source]] = []
    streams: list[Source] = []
    for path, in_folder in _files(arguments, opened):
        source = _pair(path) if isinstance(path, BytePair) else make(path)
        if path == "-" or stat.S_ISFIFO(_mode(path)) or stat.S_ISCHR(_mode(path)):
            streams.append(source)
            continue
        if path == growing:
            source.follow = follow
        try:
            source.first = source.peek()
        except InputError as error:
            if path == growing and os.path.getsize(path) < _YOUNG:
                streams.append(source)
            elif in_folder and isinstance(error, NotACaptureError):
                opened.notes.append(error)
            else:
                opened.failures.append(error)
        else:
            dated.append((source.first is None, source.first or 0, source))
    dated.sort(key=lambda entry: entry[:2])
    opened.sources = [source for _, _, source in dated] + streams
    for index, source in enumerate(opened.sources):
        source.index = index
    if not opened.sources:
        raise _nothing(arguments, opened)
    return opened


def _files(arguments: Sequence[str], opened: OpenedSources) -> Iterator[tuple[str, bool]]:
    """Yield each file once, with whether it was found in a folder; a folder's files come sorted by name."""
    seen: set[str] = set()
    for argument in arguments:
        if argument != "-" and stat.S_ISDIR(_mode(argument)):
            try:
                names = sorted(os.listdir(argument))
            except OSError as error:
                opened.failures.append(InputError(f"{shown(argument)}: cannot be opened: {error.strerror}"))
                continue
            paths = [os.path.join(argument, name) for name in names]
            found = [(path, True) for path in paths if stat.S_ISREG(_mode(path))]
        elif "://" in argument and not os.path.exists(argument):
            try:
                members = remote.listed(argument)
            except InputError as error:
                opened.failures.append(error)
                continue
            found = [(argument, False)] if members is None else [(name, True) for name in members]
        else:
            found = [(argument, False)]
        for path, in_folder in found:
            real = path if path == "-" or "\0" in path or "://" in path else os.path.realpath(path)
            if real not in seen:
                seen.add(real)
                yield path, in_folder


def _pair(path: BytePair) -> Source:
    from wirecase.sources.forms.byte_files import BytePairSource

    return BytePairSource(path)


def _newest(arguments: Sequence[str]) -> str:
    """Return the file that was written last: the one to follow. Raise `UsageError` if there is none."""
    files = [path for path, _ in _files(arguments, OpenedSources()) if stat.S_ISREG(_mode(path))]
    if not files:
        raise UsageError("there is no file to follow: name one on this machine (a pipe is read as it comes anyway)")
    return max(files, key=lambda path: os.stat(path).st_mtime_ns)


def _mode(path: str) -> int:
    """Return the file's mode, 0 if there is no such file (opening it will say so)."""
    try:
        return os.stat(path).st_mode
    except (OSError, ValueError):
        return 0


def _nothing(arguments: Sequence[str], opened: OpenedSources) -> InputError:
    """Say in one line why there is nothing to read."""
    if opened.failures:
        first, more = opened.failures[0], len(opened.failures) - 1
        return InputError(f"{first} (and {more} more that cannot be read)") if more else first
    folders = ", ".join(shown(argument) for argument in arguments)
    what = f"none of its {len(opened.notes)} files is one" if opened.notes else "it holds no files"
    return InputError(f"{folders}: no capture in this folder: {what}; name a pcap or pcapng file")
