"""``wirecase diagnose``: from captures to a verdict with its evidence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wirecase.errors import InputError, UsageError
from wirecase_cli import engine, logs, moments, output, running
from wirecase_cli.commands.options import (
    CallPath,
    FailingFrom,
    FailOn,
    Force,
    Keylogs,
    Ports,
    Raw,
    ReportFile,
    Sources,
    key_logs,
    named,
)
from wirecase_cli.commands.schemas import Imports, Protos, Protosets, Reflect, schema_of
from wirecase_cli.reports import formats
from wirecase_cli.reports.job import Job, failing

if TYPE_CHECKING:
    from wirecase.model import Diagnosis

OK = 0
FINDINGS = 1
UNREADABLE = 3
INTERRUPTED = 130


def diagnose(
    sources: Sources,
    report: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="|".join(formats.NAMES),
            help="What to print (wirecase guide reports).",
            autocompletion=formats.complete,
        ),
    ] = formats.NAMES[0],
    file: ReportFile = None,
    force: Force = False,
    keylogs: Keylogs = None,
    ports: Ports = None,
    raw: Raw = False,
    fail_on: FailingFrom = FailOn.error,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="T",
            help="Only calls that began at T or later: 2025-06-01T12:00:00Z (UTC where no zone is given), 1748779200.5 "
            "(seconds since 1970), or -15m (before now; s, m, h or d).",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="T", help="Only calls that began before T.", show_default=False),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host", metavar="H", help="Only connections from or to this address, or address:port.", show_default=False
        ),
    ] = None,
    path: CallPath = None,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            help="Read the newest file on while it is being written, and those of its ring that come after it, until "
            "Ctrl-C.",
        ),
    ] = False,
    follow_timeout: Annotated[
        float | None,
        typer.Option(
            "--follow-timeout",
            metavar="SECONDS",
            min=0,
            help="With --follow: end when nothing was written for so long.",
            show_default=False,
        ),
    ] = None,
    protosets: Protosets = None,
    protos: Protos = None,
    imports: Imports = None,
    reflect: Reflect = None,
    unwrap: engine.Engine = engine.Name.native,
    preferences: engine.Preferences = None,
    cross_check: Annotated[
        bool,
        typer.Option(
            "--cross-check",
            help="Let Wireshark's dissectors read the same captures, and say whether they see the same frames and "
            "messages.",
        ),
    ] = False,
    log: Annotated[
        Path | None,
        typer.Option(
            "--log",
            metavar="FILE",
            readable=False,  # the attempt to open it says more
            help="A log of a client or a proxy from the same time: its error lines are matched with the findings.",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Say why gRPC calls in a capture failed, and prove it.

    Exit status: 0 no findings at or above --fail-on, 1 findings, 2 wrong usage, 3 an input could not be read,
    4 the report could not be written, 70 a defect of wirecase, 130 interrupted (what is known so far is printed).
    """
    running.check_stdin(sources, "diagnose")
    form = formats.named(report)
    if file is not None:
        output.check_file(file, sources, force=force)
    sources = named(sources, raw=raw)
    begin = None if since is None else moments.parse(since, "--since")
    end = None if until is None else moments.parse(until, "--until")
    if begin is not None and end is not None and end < begin:
        raise UsageError("--until lies before --since")
    if follow_timeout is not None and not follow:
        raise UsageError("--follow-timeout goes with --follow")
    if follow and (cross_check or unwrap is engine.Name.tshark):
        raise UsageError("--follow reads files as they grow, tshark reads whole ones: leave one of them out")
    if cross_check and (since, until, host, path) != (None, None, None, None):
        raise UsageError("--cross-check compares whole captures: leave out --since, --until, --host and --path")
    engine.check(unwrap, preferences, cross_check=cross_check)
    schema = schema_of(protosets, protos, imports, reflect)
    if log is not None:
        logs.check(log)

    with (
        engine.readable(sources, unwrap, again=cross_check or form.again) as names,
        running.interruptible(names) as stop,
        running.progress() as progress,
    ):
        try:
            opener = engine.opener(unwrap, preferences, stop)
            if follow:
                from wirecase.sources import Follow, open_sources

                opened = open_sources(names, follow=Follow(stop, follow_timeout))
            else:
                opened = opener(names)
            opened.begin()  # a large file is read while the rest is imported
            from wirecase import pipeline

            options = pipeline.Options(
                sources=list(names),
                keylogs=key_logs(keylogs),
                ports=list(ports or []),
                since=begin,
                until=end,
                host=host,
                path=path,
                schema=schema,
                open=opener,
            )
            listener = None if form.listener is None else form.listener()
            on_call = None if listener is None else listener.on_call
            if cross_check:
                found = engine.compared(options, opened, preferences, progress, stop, on_call)
            elif on_call is not None:
                found = pipeline.diagnose(options, progress=progress, stop=stop, opened=opened, on_call=on_call)
            else:
                found = pipeline.diagnose(options, progress=progress, stop=stop, opened=opened)
        except InputError:
            if stop():  # so early that nothing was read
                raise KeyboardInterrupt from None
            raise
        found.interrupted = found.interrupted or stop()
        engine.rename(found, names, sources)
        if log is not None:
            from wirecase import explaining

            found.log = explaining.match(found, logs.read_lines(log), str(log))
        ended = status(found, fail_on)
        text = None
        if form.machine or not found.failures or any(source.packets for source in found.sources):
            job = Job(ended, fail_on.value, file is not None, options, stop=stop, listener=listener)
            text = formats.write(found, form, job)
    for failure in found.failures:
        running.tell(failure)
    if text is None:
        return UNREADABLE
    if file is not None:
        output.to_file(file, text)
    else:
        output.to_stdout(text)
    return ended


def status(found: Diagnosis, fail_on: FailOn) -> int:
    """Return the exit status that a diagnosis ends with."""
    if found.interrupted:
        return INTERRUPTED
    if found.failures:
        return UNREADABLE
    return FINDINGS if any(one.severity in failing(fail_on.value) for one in found.findings) else OK
