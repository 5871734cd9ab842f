"""``wirecase compare``: the same calls on both sides of a proxy."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from wirecase.errors import InputError, UsageError
from wirecase_cli import engine, output, running
from wirecase_cli.commands.options import CallPath, Force, Keylogs, Ports, ReportFile, key_logs

if TYPE_CHECKING:
    from wirecase.comparing import Comparison

SAME = 0
BROKEN = 1
UNREADABLE = 3
UNTOLD = 4
INTERRUPTED = 130


class Format(StrEnum):
    """What a comparison can be drawn as."""

    terminal = "terminal"
    json = "json"
    markdown = "markdown"


def compare(
    front: Annotated[
        str,
        typer.Argument(metavar="FRONT", help="The capture on the client's side of the proxy.", show_default=False),
    ],
    back: Annotated[
        str | None,
        typer.Argument(
            metavar="[BACK]",
            help="The capture on the server's side; without it FRONT holds both sides.",
            show_default=False,
        ),
    ] = None,
    report: Annotated[
        Format, typer.Option("--format", metavar="terminal|json|markdown", help="What to print.")
    ] = Format.terminal,
    file: ReportFile = None,
    force: Force = False,
    keylogs: Keylogs = None,
    ports: Ports = None,
    path: CallPath = None,
) -> int:
    """Compare both sides of a proxy: what it changed, and which hop is at fault.

    The same call is found on both sides by its path, ids, bytes and time; the offset between the clocks of the captures
    is estimated and told.

    Exit status: 0 nothing that breaks calls, 1 differences that break calls, 2 wrong usage, 3 an input could not be
    read, 4 no call was found on both sides, or the report could not be written, 70 a defect of wirecase,
    130 interrupted (what is known so far is printed).
    """
    inputs = [front] if back is None else [front, back]
    running.check_stdin(inputs, "compare")
    if inputs.count("-") > 1:
        raise UsageError("only one of FRONT and BACK can be standard input")
    if back is not None and "-" not in inputs and _same_file(front, back):
        raise UsageError("FRONT and BACK are the same file: name the captures of both sides, or one that holds both")
    if file is not None:
        output.check_file(file, inputs, force=force)
    with (
        running.rereadable(inputs) as names,
        running.interruptible(names) as stop,
        running.progress() as progress,
    ):
        from wirecase import comparing, pipeline

        options = [
            pipeline.Options([name], keylogs=key_logs(keylogs), ports=list(ports or []), path=path) for name in names
        ]
        try:
            found = comparing.compare(
                options[0], options[1] if back is not None else None, progress=progress, stop=stop
            )
        except InputError:
            if stop():
                raise KeyboardInterrupt from None
            raise
        found.interrupted = found.interrupted or stop()
        engine.rename(found, names, inputs)
    for failure in found.failures:
        running.tell(failure)
    text = _render(found, report, to_file=file is not None)
    if file is not None:
        output.to_file(file, text)
    else:
        output.to_stdout(text)
    return _status(found)


def _same_file(front: str, back: str) -> bool:
    try:
        return os.path.samefile(front, back)
    except OSError:
        return False  # reading it says what is wrong


def _status(found: Comparison) -> int:
    if found.interrupted:
        return INTERRUPTED
    if found.failures:
        return UNREADABLE
    if not found.totals.matched:
        running.tell("no call was found on both sides (wirecase calls lists those of each capture)")
        return UNTOLD
    return BROKEN if found.breaks else SAME


def _render(found: Comparison, report: Format, *, to_file: bool) -> str:
    if report is Format.json:
        from wirecase_cli.reports import compare_json

        return compare_json.render(found)
    if report is Format.markdown:
        from wirecase_cli.reports import compare_markdown

        return compare_markdown.render(found)
    from wirecase_cli.reports import compare_terminal, screen

    return compare_terminal.terminal(found, screen.plain() if to_file else screen.of_stdout())
