"""From a command's arguments to the sources of a run: files, folders, standard input, each once and in order."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from wirecase.errors import InputError, UsageError
from wirecase.sources.raw import NotACaptureError, shown
from wirecase.sources.source import Source


@dataclass(slots=True)
class OpenedSources:
    """What the arguments of a command led to; iterating gives the sources."""

    sources: list[Source] = field(default_factory=list)
    """In the order in which to read them; each one's `index` is its place here."""
    failures: list[InputError] = field(default_factory=list)
    """Inputs that were asked for and cannot be read, one line each. The others are read all the same."""
    notes: list[NotACaptureError] = field(default_factory=list)
    """Files of a folder that are no captures and were passed over without harm, one line each."""

    @property
    def total_bytes(self) -> int | None:
        """Bytes of all inputs as they lie on disk; None if one of them is a stream."""
        sizes = [source.size for source in self.sources]
        return None if None in sizes else sum(size or 0 for size in sizes)

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


def open_sources(arguments: Sequence[str], make: Callable[[str], Source] = Source) -> OpenedSources:
    """Find the captures that `arguments` name: files, folders (their files, not those of folders within), ``-``.

    They come in the order of their first packets, so that the files of a ring buffer read as one capture (one after the
    other: the packets of files that overlap in time are not merged). Those without packets come after, then what can be
    read only once (standard input, FIFOs); that is not looked into here, so whether it is a capture shows when its
    batches are asked for. A file named twice is read once. `make` makes the source of a path.

    Raise `InputError` if there is nothing at all to read, `UsageError` if standard input is asked for twice.
    """
    if not arguments:
        raise UsageError("no capture was named: give a file, a folder, or - for standard input")
    if sum(argument == "-" for argument in arguments) > 1:
        raise UsageError("standard input (-) can be read only once: name it once")
    opened = OpenedSources()
    dated: list[tuple[bool, int, Source]] = []
    streams: list[Source] = []
    for path, in_folder in _files(arguments, opened):
        source = make(path)
        if path == "-" or stat.S_ISFIFO(_mode(path)) or stat.S_ISCHR(_mode(path)):
            streams.append(source)
            continue
        try:
            first = source.peek()
        except NotACaptureError as error:
            (opened.notes if in_folder else opened.failures).append(error)
        except InputError as error:
            opened.failures.append(error)
        else:
            dated.append((first is None, first or 0, source))
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
        else:
            found = [(argument, False)]
        for path, in_folder in found:
            real = path if path == "-" or "\0" in path else os.path.realpath(path)
            if real not in seen:
                seen.add(real)
                yield path, in_folder


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
