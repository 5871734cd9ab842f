"""``wirecase extract``: the smallest session that still shows a fault, safe to attach to a report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wirecase.errors import UsageError
from wirecase_cli import engine, output, running
from wirecase_cli.commands import cutting
from wirecase_cli.commands.options import Force, Keylogs, Ports, Raw, Sources, Where, key_logs, named

if TYPE_CHECKING:
    from wirecase.case.extract import Extracted

OK = 0
INTERRUPTED = 130


def extract(
    sources: Sources,
    file: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Write the case to FILE.", show_default=False)
    ],
    finding: cutting.Finding = None,
    call: cutting.CallNumber = None,
    where: Where = None,
    context: cutting.Context = 0,
    payloads: cutting.Messages = cutting.Payloads.redact,
    keep_secrets: cutting.KeepSecrets = None,
    markdown: Annotated[
        Path | None,
        typer.Option(
            "--markdown",
            metavar="FILE",
            help="Also write a report about the case as Markdown, to paste into an issue tracker beside it.",
            show_default=False,
        ),
    ] = None,
    force: Force = False,
    keylogs: Keylogs = None,
    ports: Ports = None,
    raw: Raw = False,
    unwrap: engine.Engine = engine.Name.native,
    preferences: engine.Preferences = None,
) -> int:
    """Cut the calls of a finding out of a capture, redacted: a small capture that still shows the fault.

    Exit status: 0 written, 2 wrong usage, 3 an input could not be read or the fault cannot be shown in a case, 4 the
    verdict did not survive (nothing is written), 70 a defect of wirecase, 130 interrupted.
    """
    running.check_stdin(sources, "extract")
    choice = cutting.Choice(finding, call, where, context, payloads, keep_secrets)
    engine.check(unwrap, preferences)
    output.check_file(file, sources, force=force, device=False)
    if markdown is not None:
        output.check_file(markdown, sources, force=force)
        if os.path.abspath(markdown) == os.path.abspath(file):
            raise UsageError(f"--markdown {markdown} is the case itself")
    sources = named(sources, raw=raw)

    reading = cutting.Reading(sources, key_logs(keylogs), list(ports or []), unwrap, preferences)
    try:
        made, _ = cutting.write(choice, reading, file, "extract")
    except KeyboardInterrupt:
        running.tell("interrupted: nothing was written")
        return INTERRUPTED
    if markdown is not None:
        _report(made, markdown)
    output.to_stdout(_told(made))
    return OK


def _report(made: Extracted, target: Path) -> None:
    """Write the Markdown report about a case that was just written."""
    from wirecase_cli.reports import formats
    from wirecase_cli.reports.job import Job

    output.to_file(target, formats.write(made.diagnosis, formats.named("markdown"), Job(to_file=True)))


def _told(made: Extracted) -> str:
    from wirecase_cli.reports.escape import line

    lines = [f"{line(str(made.path))}: {made.packets} packets, {made.size:,} bytes, sha256 {made.sha256}"]
    for match in made.matches:
        if match.shown is not None:
            lines.append(f"  shows {match.shown.id} {match.shown.rule}: {line(match.shown.title)}")
    for match in made.not_carried:
        one = match.recorded
        lines.append(f"  does not show {one.rule} ({one.id} of the capture): {line(match.missing)}")
    for note in made.notes:
        added = [text for key, text in _ADDED if note.get(key)]
        if added:
            lines.append(f"  {note['client']} to {note['server']}: {', '.join(added)}")
    lines.append(f"  payloads: {made.manifest['redaction'].get('payloads')}; check it with: wirecase verify FILE")
    lines.append("  to paste into a report: wirecase diagnose --format markdown FILE")
    lines.append("  to serve it to a client: wirecase replay FILE -- ./client {target}")
    return "\n".join(lines) + "\n"


_ADDED = (
    ("handshake_added", "the handshake was added"),
    ("joined_late", "the beginning of HTTP/2 was added, as the capture joined late"),
    ("assumed", "header fields that the capture does not show were added"),
    ("messages_framed_anew", "messages that began before the capture were framed anew"),
)
