"""``wirecase calls``: the calls of a capture, one a line."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from wirecase.errors import InputError
from wirecase_cli import engine, output, running
from wirecase_cli.commands.options import Keylogs, Ports, Raw, Sources, Where, key_logs, named

if TYPE_CHECKING:
    from wirecase.listing import CallList

OK = 0
UNREADABLE = 3
INTERRUPTED = 130


class Format(StrEnum):
    """What the list can be drawn as."""

    terminal = "terminal"
    json = "json"
    csv = "csv"
    ndjson = "ndjson"


def calls(
    sources: Sources,
    where: Where = None,
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            metavar="FIELD",
            help="Sort by a field of the filter language, also bytes or messages; -FIELD sorts downwards.",
        ),
    ] = "call",
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", min=1, help="List at most N calls.", show_default=False),
    ] = None,
    shape: Annotated[
        Format, typer.Option("--format", metavar="terminal|json|csv|ndjson", help="What to print.")
    ] = Format.terminal,
    keylogs: Keylogs = None,
    ports: Ports = None,
    raw: Raw = False,
    unwrap: engine.Engine = engine.Name.native,
    preferences: engine.Preferences = None,
) -> int:
    """List the calls of a capture, one a line.

    Each with its path, status, duration, messages and bytes in both directions, who ended it with what, and findings.

    Exit status: 0 fine, 2 wrong usage, 3 an input could not be read, 4 the list could not be written, 70 a defect of
    wirecase, 130 interrupted (what is known so far is printed).
    """
    running.check_stdin(sources, "calls")
    sources = named(sources, raw=raw)
    from wirecase import listing, pipeline, query

    wanted = None if where is None else query.compile_filter(where)
    engine.check(unwrap, preferences)
    with (
        engine.readable(sources, unwrap) as names,
        running.interruptible(names) as stop,
        running.progress() as progress,
    ):
        options = pipeline.Options(
            list(names), keylogs=key_logs(keylogs), ports=list(ports or []),
            open=engine.opener(unwrap, preferences, stop),
        )  # fmt: skip
        try:
            found = listing.list_calls(options, where=wanted, sort=sort, limit=limit, progress=progress, stop=stop)
        except InputError:
            if stop():
                raise KeyboardInterrupt from None
            raise
        found.diagnosis.interrupted = found.diagnosis.interrupted or stop()
        engine.rename(found.diagnosis, names, sources)
    diagnosis = found.diagnosis
    for failure in diagnosis.failures:
        running.tell(failure)
    if (
        shape not in (Format.json, Format.ndjson)
        and diagnosis.failures
        and not any(source.packets for source in diagnosis.sources)
    ):
        return UNREADABLE
    output.stream_to_stdout(_drawn(found, shape))
    if diagnosis.interrupted:
        return INTERRUPTED
    return UNREADABLE if diagnosis.failures else OK


def _drawn(found: CallList, shape: Format) -> Iterator[str]:
    from wirecase_cli.reports import call_table, screen

    if shape is Format.json:
        return call_table.json_text(found)
    if shape is Format.csv:
        return call_table.csv_text(found)
    if shape is Format.ndjson:
        from wirecase_cli.reports import ndjson

        return ndjson.calls(found)
    return call_table.terminal(found, screen.of_stdout())
