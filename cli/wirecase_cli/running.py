"""What every command that reads captures does around its work: interruption, progress, remarks on standard error."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, TYPE_CHECKING

from wirecase.errors import InputError, UsageError
from wirecase_cli import output

if TYPE_CHECKING:
    from types import FrameType


LARGEST_SPOOL = 8 << 30
"""Bytes of standard input that are kept for a second reading."""


def check_stdin(sources: list[str], command: str) -> None:
    """Raise UsageError if a capture is to be typed by hand."""
    if "-" in sources and sys.stdin is not None and sys.stdin.isatty():
        raise UsageError(f"standard input is a terminal: pipe a capture into it, tcpdump -w - | wirecase {command} -")


def tell(message: str) -> None:
    """Write one harmless line to standard error."""
    from wirecase_cli.reports.escape import line

    if sys.stderr is not None:
        sys.stderr.write(f"wirecase: {line(message)}\n")


@contextmanager
def interruptible(sources: list[str]) -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a request to stop and report; the second one ends the command at once."""
    stopped = False

    def on_interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if "-" in sources:
            # A read of a quiet pipe goes on after this handler (PEP 475), on the same descriptor: give it an end.
            output.lead_nowhere(sys.__stdin__)

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield lambda: stopped
    finally:
        signal.signal(signal.SIGINT, before)


def to_stderr(text: str) -> None:
    """Write harmless text to standard error."""
    if sys.stderr is not None:
        sys.stderr.write(text)
        sys.stderr.flush()


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C (or TERM, or the end of the terminal) into a request to stop and report.

    A second Ctrl-C ends the command at once.
    """
    stopped = False

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, on_signal) for number in numbers]
    try:
        yield lambda: stopped
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def round_progress(rounds: int, what: str = "rounds") -> Iterator[Callable[[int, int, str], None] | None]:
    """Show how many rounds (or what else) are done, on standard error and only if a person looks at it."""
    if rounds < 2 or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[failed]}"),
               TimeRemainingColumn())  # fmt: skip
    failures = 0
    with Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=5) as bar:
        task = bar.add_task("rounds", total=rounds, failed="")

        def update(done: int, total: int, outcome: str) -> None:
            nonlocal failures
            failures += outcome == "fail"
            bar.update(task, completed=done, total=total, failed=f"{failures} failed" if failures else "")

        yield update


@contextmanager
def progress() -> Iterator[Callable[[int, int | None], None] | None]:
    """Show how far reading has come, on standard error and only if a person looks at it."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=5) as bar:
        task = bar.add_task("reading", total=None)

        def update(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield update


@contextmanager
def rereadable(sources: list[str]) -> Iterator[list[str]]:
    """Give sources that can be read twice: standard input and pipes are written to temporary files first.

    Ctrl-C ends a pipe that would go on: what came until then is used. Raises InputError if it is too long to be kept.
    """
    with ExitStack() as stack:
        names = []
        for source in sources:
            if not _is_pipe(source):
                names.append(source)
                continue
            import tempfile

            file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="wirecase-"))
            _spool(source, file)
            file.flush()
            names.append(file.name)
        try:
            yield names
        except InputError as error:
            text = str(error)
            for name, source in zip(names, sources, strict=True):
                text = text.replace(name, source)
            error.args = (text,)
            raise


def _is_pipe(source: str) -> bool:
    if source == "-":
        return sys.stdin is not None
    try:
        return stat.S_ISFIFO(os.stat(source).st_mode)
    except (OSError, ValueError):  # whoever reads it will say so
        return False


def _spool(source: str, file: IO[bytes]) -> None:
    with ExitStack() as stack:
        if source == "-":
            stack.enter_context(interruptible([source]))
            descriptor = sys.stdin.fileno()
        else:
            stack.enter_context(suppress(KeyboardInterrupt))
            try:
                descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise InputError(f"{source}: cannot be opened: {error.strerror}") from error
            stack.callback(os.close, descriptor)
        size = 0
        while piece := os.read(descriptor, 1 << 20):
            size += len(piece)
            if size > LARGEST_SPOOL:
                name = "standard input" if source == "-" else source
                raise InputError(f"{name} is longer than {LARGEST_SPOOL >> 30} GiB: write it to a file first")
            file.write(piece)
