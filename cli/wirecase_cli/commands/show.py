"""``wirecase show``: one call frame by frame, in both directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from wirecase.errors import InputError, UsageError
from wirecase_cli import output, running
from wirecase_cli.commands.options import Keylogs, Ports, Sources, Where

if TYPE_CHECKING:
    from wirecase.listing import CallList, Timeline
    from wirecase.pipeline import Options
    from wirecase.query import CallRow, Filter

OK = 0
UNREADABLE = 3
_GLIMPSE, _HEX, _HEX_ALL = 256, 1024, 1 << 20
"""Bytes of each payload that are kept: for a few words of it, for ``--hex``, and with ``--all`` too."""


class Format(StrEnum):
    """What timelines can be drawn as."""

    terminal = "terminal"
    json = "json"


def show(
    sources: Sources,
    call: Annotated[
        int | None,
        typer.Option("--call", metavar="N", min=0, help="The call with this number.", show_default=False),
    ] = None,
    connection: Annotated[
        int | None,
        typer.Option(
            "--connection",
            metavar="N",
            min=0,
            help="All frames of this connection.",
            show_default=False,
        ),
    ] = None,
    where: Where = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=1000, help="With --where: show at most N calls.")
    ] = 10,
    payloads: Annotated[bool, typer.Option("--hex", help="Show the payloads of frames in hexadecimal.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Show every frame; otherwise long runs of alike frames are summed up.")
    ] = False,
    secrets: Annotated[bool, typer.Option("--secrets", help="Show credentials, which are masked otherwise.")] = False,
    shape: Annotated[
        Format, typer.Option("--format", metavar="terminal|json", help="What to print.")
    ] = Format.terminal,
    keylogs: Keylogs = None,
    ports: Ports = None,
) -> int:
    """Show a call frame by frame, in both directions.

    A sequence diagram with times, headers, messages and windows; what proves a finding is marked where it stands.

    Exit status: 0 fine, 2 wrong usage (also: there is no such call), 3 an input could not be read, 4 the timeline could
    not be written, 70 a defect of wirecase, 130 interrupted.
    """
    running.check_stdin(sources, "show")
    if sum(one is not None for one in (call, connection, where)) > 1:
        raise UsageError("--call, --connection and --where exclude each other")
    from wirecase import listing, pipeline, query

    wanted = query.compile_filter(where if where is not None else "call>=0" if call is None else f"call={call}")
    with running.rereadable(sources) as names:
        options = pipeline.Options(names, keylogs=[str(one) for one in keylogs or []], ports=list(ports or []))
        with running.interruptible(names) as stop, running.progress() as progress:
            found = _list(options, wanted, limit if call is None else 1, progress, stop)
            if stop():
                raise KeyboardInterrupt
            rows = [] if connection is not None else _chosen(found, call=call, filtered=where is not None)
            kept = (_HEX_ALL if everything else _HEX) if payloads else _GLIMPSE
            timelines = listing.timelines(
                options, rows, found.diagnosis.findings, connections=[] if connection is None else [connection],
                everything=everything, payload=kept, progress=progress, stop=stop,
            )  # fmt: skip
            if stop():
                raise KeyboardInterrupt
    if connection is not None and not timelines:
        raise UsageError(f"there is no connection {connection}: the capture has {found.diagnosis.connections}")
    for source in found.diagnosis.sources:
        source.path = "-" if source.path in names and source.path not in sources else source.path
    for failure in found.diagnosis.failures:
        running.tell(failure)
    output.stream_to_stdout(_drawn(found, timelines, shape, payloads=payloads, secrets=secrets))
    return UNREADABLE if found.diagnosis.failures else OK


def _list(
    options: Options,
    wanted: Filter,
    limit: int,
    progress: Callable[[int, int | None], None] | None,
    stop: Callable[[], bool],
) -> CallList:
    from wirecase import listing

    try:
        return listing.list_calls(options, where=wanted, limit=limit, progress=progress, stop=stop)
    except InputError:
        if stop():
            raise KeyboardInterrupt from None
        raise


def _chosen(found: CallList, *, call: int | None, filtered: bool) -> list[CallRow]:
    """Return the calls to show; without a choice there must be one call only."""
    rows = list(found)
    if not found.seen:
        raise UsageError("no gRPC call was found (wirecase diagnose says what is in the capture)")
    if call is not None and not rows:
        raise UsageError(f"there is no call {call} among the {found.seen:,} of the capture (wirecase calls lists them)")
    if filtered and not rows:
        raise UsageError(f"none of {found.seen:,} calls fits the filter (wirecase calls lists them)")
    if call is None and not filtered and found.seen > 1:
        raise UsageError(
            f"there are {found.seen:,} calls: choose with --call, --where or --connection (wirecase calls)"
        )
    return rows


def _drawn(
    found: CallList, timelines: list[Timeline], shape: Format, *, payloads: bool, secrets: bool
) -> Iterator[str]:
    if shape is Format.json:
        from wirecase_cli.reports import timeline_json

        yield timeline_json.render(timelines, found.diagnosis, payloads=payloads, secrets=secrets)
        return
    from wirecase_cli.reports import screen
    from wirecase_cli.reports.timeline import Diagram

    where = screen.of_stdout()
    for number, one in enumerate(timelines):
        if number:
            yield "\n"
        yield from Diagram(one, where, payloads=payloads, secrets=secrets).lines()
