"""``wirecase extract``: the smallest session that still shows a fault, safe to attach to a report."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wirecase.errors import UsageError
from wirecase_cli import engine, output, running
from wirecase_cli.commands.options import Keylogs, Ports, Raw, Sources, Where, key_logs, named

if TYPE_CHECKING:
    from wirecase.case.extract import Extracted
    from wirecase.case.select import CallFilter

OK = 0
INTERRUPTED = 130


class Payloads(StrEnum):
    """What becomes of messages."""

    redact = "redact"
    hash = "hash"
    keep = "keep"


def extract(
    sources: Sources,
    file: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Write the case to FILE.", show_default=False)
    ],
    finding: Annotated[
        str | None,
        typer.Option(
            "--finding",
            metavar="F",
            help="The finding to show (F1 …), with its causes and consequences; by default the first root cause.",
            show_default=False,
        ),
    ] = None,
    call: Annotated[
        int | None,
        typer.Option("--call", metavar="N", min=0, help="The call to cut out, by its number.", show_default=False),
    ] = None,
    where: Where = None,
    context: Annotated[
        int,
        typer.Option(
            "--context", metavar="N", min=0, max=1000, help="Keep N calls before and after each one, same connection."
        ),
    ] = 0,
    payloads: Annotated[
        Payloads,
        typer.Option(
            "--payloads",
            metavar="redact|hash|keep",
            help="Messages: replace their values, replace equal ones by equal ones, or keep them.",
        ),
    ] = Payloads.redact,
    keep_secrets: Annotated[
        list[str] | None,
        typer.Option(
            "--keep-secrets",
            metavar="NAME",
            help="Keep what would be masked: a field's name, a kind of secret, addresses, or hosts. May be given "
            "several times.",
            show_default=False,
        ),
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(
            "--markdown",
            metavar="FILE",
            help="Also write a report about the case as Markdown, to paste into an issue tracker beside it.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE if it exists.")] = False,
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
    if sum((finding is not None, call is not None, where is not None)) > 1:
        raise UsageError("--finding, --call and --where exclude each other")
    engine.check(unwrap, preferences)
    output.check_file(file, sources, force=force, device=False)
    if markdown is not None:
        output.check_file(markdown, sources, force=force)
        if os.path.abspath(markdown) == os.path.abspath(file):
            raise UsageError(f"--markdown {markdown} is the case itself")
    sources = named(sources, raw=raw)

    from wirecase.case.extract import Request
    from wirecase.case.extract import extract as write_case
    from wirecase.case.redact import Policy, Redactor, searching
    from wirecase.case.select import Selection

    kept = frozenset(name.lower() for name in keep_secrets or [])
    masks = Redactor(
        Policy(payloads=payloads.value, keep=kept, keep_addresses="addresses" in kept, keep_hosts="hosts" in kept)
    )
    selection = Selection(finding, call, None if where is None else _filter(where), context)
    command = _command(finding, call, where, context, payloads.value, sorted(kept), unwrap)
    try:
        with running.rereadable(sources) as files, running.progress() as progress:
            request = Request(
                files, file, selection, list(ports or []), engine.opener(unwrap, preferences), payloads.value, command,
                key_logs(keylogs),
            )  # fmt: skip
            made = write_case(request, masks, search=searching(masks), progress=progress)
    except KeyboardInterrupt:
        running.tell("interrupted: nothing was written")
        return INTERRUPTED
    if markdown is not None:
        _report(file, markdown, list(ports or []))
    output.to_stdout(_told(made))
    return OK


def _report(case: Path, target: Path, ports: list[int]) -> None:
    """Write the Markdown report about a case that was just written."""
    from wirecase import pipeline
    from wirecase_cli.reports import case_notes
    from wirecase_cli.reports import markdown as page

    found = pipeline.diagnose(pipeline.Options([str(case)], ports=ports))
    output.to_file(target, page.render(found, case_notes.gather(found)))


def _filter(text: str) -> CallFilter:
    from wirecase import query

    wanted = query.compile_filter(text)
    if "finding" in wanted.fields:
        raise UsageError("--where cannot ask for a finding here: use --finding")
    return lambda call, named: wanted(query.row_of(call, named))


def _command(
    finding: str | None, call: int | None, where: str | None, context: int, payloads: str, kept: list[str],
    unwrap: engine.Name,
) -> str:  # fmt: skip
    """Return the command without names of files: those may tell more than the case."""
    parts = ["wirecase extract SOURCE"]
    if finding is not None:
        parts.append(f"--finding {finding}")
    if call is not None:
        parts.append(f"--call {call}")
    if where is not None:
        parts.append("--where FILTER")
    if context:
        parts.append(f"--context {context}")
    parts.append(f"--payloads {payloads}")
    parts += [f"--keep-secrets {name}" for name in kept]
    if unwrap is not engine.Name.native:
        parts.append(f"--engine {unwrap.value}")
    return " ".join(parts)


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
