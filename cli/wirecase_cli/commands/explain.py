"""``wirecase explain``: from an error line, a log or a rule's name to what it means on the wire."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from wirecase.errors import InputError, UsageError
from wirecase_cli import logs, output

OK = 0


class Format(StrEnum):
    """What an explanation can be drawn as."""

    terminal = "terminal"
    json = "json"
    markdown = "markdown"


def explain(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT...]",
            help="An error line or a whole log as a client or a proxy printed it, a number out of it, or a rule's "
            "name; - for standard input.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", metavar="LOG", readable=False, help="Read the text from this log file.", show_default=False
        ),
    ] = None,
    shape: Annotated[
        Format,
        typer.Option(
            "--format", metavar="terminal|json|markdown", help="What to print; markdown is for a rule's page."
        ),
    ] = Format.terminal,
) -> int:
    """Say what a log line may mean on the wire.

    Candidates best first: why, what it looks like on the wire, who, what to look at next, what mends it; numbers
    decoded. With a rule's name: its page.

    Exit status: 0 fine (also where nothing is recognised), 2 wrong usage, 3 the log could not be read, 4 the answer
    could not be written, 70 a defect of wirecase, 130 interrupted.
    """
    words = list(words or [])
    if (file is None) == (not words):
        raise UsageError("give a text, a rule's name, - or --file LOG (try: wirecase explain 'flag: 67')")
    from wirecase import explaining
    from wirecase_cli.commands.guide import for_reader
    from wirecase_cli.reports import explained, screen

    name = words[0].strip().lower() if len(words) == 1 else ""
    page = explaining.pages().get(name)
    if page is not None:
        text = explained.page_json(page) if shape is Format.json else explaining.markdown(page)
        output.to_stdout(for_reader(text) if shape is Format.terminal else text)
        return OK
    if shape is Format.markdown:
        raise UsageError(f"there is no rule {name!r}: markdown is for a rule's page (try: wirecase rules)")
    found = explaining.explain(_lines(words, file))
    output.to_stdout(explained.as_json(found) if shape is Format.json else explained.render(found, screen.of_stdout()))
    return OK


def _lines(words: list[str], file: Path | None) -> Iterator[str]:
    """Yield the lines of the text, read as a stream. Raises InputError if there is none to read."""
    if file is not None:
        yield from logs.read_lines(file)
    elif words == ["-"]:
        if sys.stdin is None:
            raise InputError("standard input is closed: nothing to explain")
        yield from logs.decoded(sys.stdin.buffer)
    else:
        yield from " ".join(words).replace("\\n", "\n").splitlines()
