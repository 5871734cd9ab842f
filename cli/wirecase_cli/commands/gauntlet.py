"""``wirecase gauntlet``: a client through every fault that ships, and a score card."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wirecase.errors import UsageError
from wirecase_cli import output, running

if TYPE_CHECKING:
    from wirecase.replay.gauntlet import Card, Fault

STATUS = {"pass": 0, "fail": 1, "untold": 4}
INTERRUPTED = 130
TIMEOUT = 20.0


class Format(StrEnum):
    """What a score card can be drawn as."""

    terminal = "terminal"
    json = "json"
    junit = "junit"
    markdown = "markdown"


class Kind(StrEnum):
    """The calls that a client makes."""

    each = "each"
    unary = "unary"
    server_stream = "server-stream"
    client_stream = "client-stream"
    bidi = "bidi"


def gauntlet(
    client: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- CLIENT...]",
            help="The client's command, run without a shell; in it {target}, {host}, {port}, {url}, and for what the "
            "fault asks for {kind}, {path}, {calls}, {parallel}, {messages}, {deadline} and {fault} are filled in.",
            show_default=False,
        ),
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the faults, and run none.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="NAME",
            help="Only this fault: its name, its topic, a rule, or a pattern (rst-*). May be given several times.",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[
        Kind | None,
        typer.Option(
            "--kind",
            metavar="each|unary|server-stream|client-stream|bidi",
            help="The calls that the client makes: each fault's own (default if {kind} is in its command), or unary "
            "ones (default else), or others.",
            show_default=False,
        ),
    ] = None,
    known_failing: Annotated[
        Path | None,
        typer.Option(
            "--known-failing",
            metavar="FILE",
            help="Names of faults, one a line, that the client is known to fail; one that it passes fails the run.",
            show_default=False,
        ),
    ] = None,
    any_code: Annotated[
        bool, typer.Option("--any-code", help="Any error will do, whatever status gRPC's documents name.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", "-j", metavar="N", min=1, max=64, help="Faults at a time (default: the cores, at most 4).",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="S", min=0.1, help="End the client after S seconds of each fault.")
    ] = TIMEOUT,
    report: Annotated[
        Format, typer.Option("--format", metavar="terminal|json|junit|markdown", help="What to print.")
    ] = Format.terminal,
    file: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the card to FILE instead.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE if it exists.")] = False,
) -> int:  # fmt: skip
    """Run a client through every fault that ships, one replay each, and print its score card.

    Exit status: 0 the client passed, 1 it failed a fault that it is not known to fail (or passed one that it is),
    2 wrong usage, 4 a verdict could not be told, 70 a defect of wirecase, 130 interrupted (what is known so far is
    printed).
    """
    from wirecase.replay.gauntlet.choice import choose

    faults = choose(only or [])
    if file is not None:
        output.check_file(file, [], force=force)
    if listing:
        if client:
            raise UsageError("--list runs no client: leave its command out")
        text = _list(report, faults)
    else:
        card = _run(client or [], faults, kind, known_failing, any_code, jobs, timeout)
        text = _render(card, report, _again(kind, any_code, timeout), to_file=file is not None)
    if file is not None:
        output.to_file(file, text)
    else:
        output.to_stdout(text)
    if listing:
        return 0 if faults else STATUS["untold"]
    return INTERRUPTED if card.interrupted else STATUS[card.outcome]


def _run(
    client: list[str], faults: list[Fault], kind: Kind | None, known: Path | None, any_code: bool, jobs: int | None,
    timeout: float,
) -> Card:  # fmt: skip
    if not client:
        raise UsageError("which client? put its command after --: wirecase gauntlet -- ./client {target}")
    from wirecase.replay.gauntlet import choice
    from wirecase.replay.gauntlet.runner import Gauntlet, one_kind, run

    failing = frozenset() if known is None else choice.known_failing(_lines(known), str(known))
    how = Gauntlet(client, faults, timeout=timeout, any_code=any_code, known_failing=failing)
    if kind is None:
        how.kind = one_kind(client)
    elif kind is not Kind.each:
        how.kind = kind.value  # type: ignore[assignment]
    if jobs is not None:
        how.jobs = jobs
    with running.stoppable() as how.stop, running.round_progress(len(how.faults), "faults") as how.progress:
        return run(how)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--known-failing {path}: {getattr(error, 'strerror', None) or 'no text'}") from error


def _again(kind: Kind | None, any_code: bool, timeout: float) -> str:
    """Return the command that reruns one fault, up to its name."""
    words = ["wirecase", "gauntlet"]
    if kind is not None:
        words += ["--kind", kind.value]
    if any_code:
        words.append("--any-code")
    if timeout != TIMEOUT:
        words += ["--timeout", f"{timeout:g}"]
    return shlex.join([*words, "--only"])


def _list(report: Format, faults: list[Fault]) -> str:
    if report is Format.json:
        from wirecase_cli.reports import gauntlet_json

        return gauntlet_json.listing(faults)
    if report is not Format.terminal:
        raise UsageError("--list is printed as a table or as JSON: --format terminal|json")
    from wirecase_cli.reports import gauntlet_terminal, screen

    return gauntlet_terminal.listing(faults, screen.of_stdout())


def _render(card: Card, report: Format, again: str, *, to_file: bool) -> str:
    if report is Format.json:
        from wirecase_cli.reports import gauntlet_json

        return gauntlet_json.render(card, again)
    if report is Format.junit:
        from wirecase_cli.reports import gauntlet_junit

        return gauntlet_junit.render(card, again)
    if report is Format.markdown:
        from wirecase_cli.reports import gauntlet_markdown

        return gauntlet_markdown.render(card, again)
    from wirecase_cli.reports import gauntlet_terminal, screen

    return gauntlet_terminal.render(card, screen.plain() if to_file else screen.of_stdout(), again)
