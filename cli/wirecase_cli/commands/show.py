"""``wirecase show``: one call frame by frame, in both directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from wirecase.errors import InputError, UsageError
from wirecase_cli import engine, output, running
from wirecase_cli.commands.options import Keylogs, Ports, Raw, Sources, Where, key_logs, named
from wirecase_cli.commands.schemas import Imports, Protos, Protosets, Reflect, schema_of

if TYPE_CHECKING:
    from wirecase.listing import CallList, Timeline
    from wirecase.picturing import Picture
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
    packet: Annotated[
        int | None,
        typer.Option(
            "--dissect",
            metavar="PACKET",
            min=1,
            help="Wireshark's own words about this packet (its frame.number), instead of a call.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=1000, help="With --where: show at most N calls.")
    ] = 10,
    payloads: Annotated[bool, typer.Option("--hex", help="Show the payloads of frames in hexadecimal.")] = False,
    windows: Annotated[
        bool, typer.Option("--windows", help="Draw the flow-control windows over time, of the call and its connection.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Show every frame; otherwise long runs of alike frames are summed up.")
    ] = False,
    secrets: Annotated[bool, typer.Option("--secrets", help="Show credentials, which are masked otherwise.")] = False,
    shape: Annotated[
        Format, typer.Option("--format", metavar="terminal|json", help="What to print.")
    ] = Format.terminal,
    keylogs: Keylogs = None,
    ports: Ports = None,
    raw: Raw = False,
    protosets: Protosets = None,
    protos: Protos = None,
    imports: Imports = None,
    reflect: Reflect = None,
    unwrap: engine.Engine = engine.Name.native,
    preferences: engine.Preferences = None,
) -> int:
    """Show a call frame by frame, in both directions.

    A sequence diagram with times, headers, messages and windows; what proves a finding is marked where it stands.
    Messages are shown field by field, with names where a schema gives them (those of Arrow Flight are known).

    Exit status: 0 fine, 2 wrong usage (also: there is no such call), 3 an input could not be read, 4 the timeline could
    not be written, 70 a defect of wirecase, 130 interrupted.
    """
    running.check_stdin(sources, "show")
    sources = named(sources, raw=raw)
    if sum(one is not None for one in (call, connection, where, packet)) > 1:
        raise UsageError("--call, --connection, --where and --dissect exclude each other")
    if packet is not None:
        from wirecase.pipeline import Options

        engine.check(engine.Name.tshark, preferences)
        with running.rereadable(sources) as names:
            options = Options(names, keylogs=key_logs(keylogs), ports=list(ports or []))
            output.stream_to_stdout(_dissected(options, sources[0], packet, preferences, shape, secrets))
        return OK
    from wirecase import listing, pipeline, query

    wanted = query.compile_filter(where if where is not None else "call>=0" if call is None else f"call={call}")
    engine.check(unwrap, preferences)
    schema = schema_of(protosets, protos, imports, reflect)
    with running.rereadable(sources) as names:
        options = pipeline.Options(names, keylogs=key_logs(keylogs), ports=list(ports or []), schema=schema)
        with running.interruptible(names) as stop, running.progress() as progress:
            options.open = engine.opener(unwrap, preferences, stop)
            found = _list(options, wanted, limit if call is None else 1, progress, stop)
            if stop():
                raise KeyboardInterrupt
            try:
                rows = [] if connection is not None else _chosen(found, call=call, filtered=where is not None)
            except UsageError:
                _tell_failures(found, names, sources)  # such as a call's number given where a file is due
                raise
            kept = (_HEX_ALL if everything else _HEX) if payloads else _GLIMPSE
            timelines = listing.timelines(
                options, rows, found.diagnosis.findings, connections=[] if connection is None else [connection],
                everything=everything, payload=kept, schema=schema, progress=progress, stop=stop,
            )  # fmt: skip
            if stop():
                raise KeyboardInterrupt
            picture = _picture(options, found, rows, connection, progress, stop) if windows else None
    if connection is not None and not timelines:
        raise UsageError(f"there is no connection {connection}: the capture has {found.diagnosis.connections}")
    _tell_failures(found, names, sources)
    output.stream_to_stdout(
        _drawn(found, timelines, picture, shape, payloads=payloads, secrets=secrets, everything=everything)
    )
    return UNREADABLE if found.diagnosis.failures else OK


def _dissected(
    options: Options, name: str, packet: int, preferences: list[str] | None, shape: Format, secrets: bool
) -> Iterator[str]:
    """Let tshark dissect one packet; what runs HTTP/2 is found out by a diagnosis first."""
    from wirecase import pipeline
    from wirecase.crosscheck import http2_ports, one_keylog
    from wirecase.sources.tshark import tshark
    from wirecase.sources.tshark.dissect import dissect
    from wirecase_cli.reports import dissection

    found: set[int] = set(options.ports)
    diagnosis = pipeline.diagnose(options, closed=lambda session: found.update(http2_ports(session)))
    if len(diagnosis.sources) != 1:
        raise UsageError("--dissect takes one capture: packet numbers are counted in each by itself")
    program, source = tshark(), diagnosis.sources[0]
    with one_keylog(options.keylogs) as keylog:
        keys = [f"tls.keylog_file:{keylog}"] if keylog is not None else []
        layers = dissect(program, source.path, packet, ports=found, preferences=[*keys, *(preferences or ())])
    if not layers:
        raise UsageError(f"there is no packet {packet}: the capture has {source.packets:,}")
    if shape is Format.json:
        yield dissection.as_json(layers, program.name, name, packet, secrets=secrets)
    else:
        yield from dissection.text_lines(layers, program.name, packet, secrets=secrets)


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


def _tell_failures(found: CallList, names: list[str], sources: list[str]) -> None:
    engine.rename(found.diagnosis, names, sources)
    for failure in found.diagnosis.failures:
        running.tell(failure)


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


def _picture(
    options: Options,
    found: CallList,
    rows: list[CallRow],
    connection: int | None,
    progress: Callable[[int, int | None], None] | None,
    stop: Callable[[], bool],
) -> Picture:
    """Read the sources once more for the windows of the calls, or of the connection."""
    from wirecase import picturing

    streams = list(dict.fromkeys((row.connection, row.stream) for row in rows))
    limits = picturing.Limits(hops=max(len(streams), 1), neighbours=0, marks=0)
    picture = picturing.picture(
        options, found.diagnosis, connections=[] if connection is None else [connection], streams=streams,
        limits=limits, progress=progress, stop=stop,
    )  # fmt: skip
    if stop():
        raise KeyboardInterrupt
    return picture


def _drawn(
    found: CallList,
    timelines: list[Timeline],
    picture: Picture | None,
    shape: Format,
    *,
    payloads: bool,
    secrets: bool,
    everything: bool,
) -> Iterator[str]:
    if shape is Format.json:
        from wirecase_cli.reports import timeline_json

        yield timeline_json.render(timelines, found.diagnosis, picture, payloads=payloads, secrets=secrets)
        return
    from wirecase_cli.reports import screen
    from wirecase_cli.reports.timeline import Diagram

    where = screen.of_stdout()
    for number, one in enumerate(timelines):
        if number:
            yield "\n"
        yield from Diagram(one, where, payloads=payloads, secrets=secrets, everything=everything).lines()
        if picture is not None:
            from wirecase_cli.reports import windows_listing

            stream = None if one.row is None else one.row.stream
            yield from windows_listing.lines(windows_listing.chosen(picture, one.connection.index, stream), where)
