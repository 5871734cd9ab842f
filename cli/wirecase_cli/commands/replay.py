"""``wirecase replay``: a recorded fault served again to a client, and the verdict on how the client took it."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wirecase.errors import UsageError
from wirecase_cli import output, running
from wirecase_cli.commands import replay_to
from wirecase_cli.commands.options import Force, Keylogs, Ports, key_logs

if TYPE_CHECKING:
    from wirecase.replay.judge import Criteria
    from wirecase.replay.result import ReplayResult
    from wirecase.replay.session import ServeSettings

STATUS = {"pass": 0, "fail": 1, "untold": 4}
INTERRUPTED = 130
DEFAULT_TIMEOUT = 60.0
LISTEN = "127.0.0.1:0"


class Format(StrEnum):
    """What a verdict can be drawn as."""

    terminal = "terminal"
    json = "json"
    junit = "junit"


class Match(StrEnum):
    """How live calls find their recorded ones."""

    path = "path"
    order = "order"
    message = "message"
    any = "any"


class Alpn(StrEnum):
    """What the server agrees on in TLS."""

    h2 = "h2"
    http1 = "http/1.1"
    none = "none"


def replay(
    case: Annotated[
        str, typer.Argument(metavar="CASE", help="A case, as extract writes it, or a capture.", show_default=False)
    ],
    client: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- CLIENT...]",
            help="The client's command, run without a shell; in it {target} (host:port), {host}, {port}, {url}, {ca} "
            "and {loop} are filled in. Without it the case is served until Ctrl-C, or for --timeout.",
            show_default=False,
        ),
    ] = None,
    finding: Annotated[
        str | None,
        typer.Option("--finding", metavar="F", help="Serve what this finding (F1 …) is about.", show_default=False),
    ] = None,
    call: Annotated[
        int | None,
        typer.Option("--call", metavar="N", min=0, help="Serve the call with this number.", show_default=False),
    ] = None,
    listen: Annotated[
        str, typer.Option("--listen", metavar="ADDR:PORT", help="Where to listen; port 0 takes a free one.")
    ] = LISTEN,
    speed: Annotated[
        str, typer.Option("--speed", metavar="X|max", help="Divide the recorded delays by X, or wait for nothing.")
    ] = "1",
    match: Annotated[
        Match,
        typer.Option(
            "--match",
            metavar="path|order|message|any",
            help="Answer a call as the next recorded one of its path, as the next one in order, as the one with the "
            "same request, or as the next one whatever its path.",
        ),
    ] = Match.path,
    loop: Annotated[
        int, typer.Option("--loop", metavar="N", min=1, max=1_000_000, help="Serve the problem N times.")
    ] = 1,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout", metavar="S", min=0.1, help="End the client after S seconds (default 60).", show_default=False
        ),
    ] = None,
    tls: Annotated[
        bool, typer.Option("--tls", help="Serve TLS, with an authority that is thrown away afterwards ({ca}).")
    ] = False,
    alpn: Annotated[
        Alpn, typer.Option("--alpn", metavar="h2|http/1.1|none", help="With --tls: the protocol that is agreed on.")
    ] = Alpn.h2,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            "--expect",
            metavar="WHAT",
            help="What the client should report: a status, STATUS:REGEX, error, ok, exit=N or output=REGEX. May be "
            "given several times.",
            show_default=False,
        ),
    ] = None,
    idempotent: Annotated[
        list[str] | None,
        typer.Option(
            "--idempotent",
            metavar="PATH",
            help="Calls of this path may be sent again after any fault. May be given several times.",
            show_default=False,
        ),
    ] = None,
    healthy: Annotated[
        str | None,
        typer.Option(
            "--healthy", metavar="FILE", help="A capture with sound answers for after the problem.", show_default=False
        ),
    ] = None,
    before: Annotated[
        str | None,
        typer.Option(
            "--before", metavar="CMD", help="With --after: the old client, in one argument.", show_default=False
        ),
    ] = None,
    after: Annotated[
        str | None,
        typer.Option(
            "--after",
            metavar="CMD",
            help="The new client; both verdicts are shown, the exit status is by this one.",
            show_default=False,
        ),
    ] = None,
    report: Annotated[
        Format, typer.Option("--format", metavar="terminal|json|junit", help="What to print.")
    ] = Format.terminal,
    file: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the verdict to FILE instead.", show_default=False),
    ] = None,
    force: Force = False,
    to: replay_to.To = None,
    through: replay_to.Through = replay_to.Sender.raw,
    yes: replay_to.Yes = False,
    ca: replay_to.Ca = None,
    insecure: replay_to.Insecure = False,
    server_name: replay_to.ServerName = None,
    authority: replay_to.Authority = None,
    metadata: replay_to.Metadata = None,
    keylogs: Keylogs = None,
    ports: Ports = None,
) -> int:
    """Serve the moment a call died to a client, and judge how the client takes it.

    Exit status: 0 the client passed, 1 it failed, 2 wrong usage, 3 the case cannot be read or replayed, 4 the verdict
    could not be told, 70 a defect of wirecase, 130 interrupted (what is known so far is printed).
    """
    sending = {"--through": through != "raw", "--yes": yes, "--ca": ca, "--insecure": insecure,
               "--server-name": server_name, "--authority": authority, "--metadata": metadata}  # fmt: skip
    if to is not None:
        serving = {"a client": client, "--before": before, "--after": after, "--loop": loop > 1, "--expect": expect,
                   "--idempotent": idempotent, "--healthy": healthy, "--match": match != "path",
                   "--alpn": alpn != "h2", "--listen": listen != LISTEN}  # fmt: skip
        if file is not None:
            output.check_file(file, [case], force=force)
        wish = replay_to.Wish(
            case, to, through, yes, tls, ca, insecure, server_name, authority, list(metadata or []), finding, call,
            speed, timeout, key_logs(keylogs), list(ports or []), report.value, file,
        )  # fmt: skip
        return replay_to.send(wish, serving)
    replay_to.check_unused(sending)
    commands = _commands(client, before, after)
    if loop > 1 and not commands:
        raise UsageError("--loop needs a client to run: put its command after --")
    if finding is not None and call is not None:
        raise UsageError("--finding and --call exclude each other")
    if alpn is not Alpn.h2 and not tls:
        raise UsageError("--alpn needs --tls")
    if file is not None:
        output.check_file(file, [case], force=force)

    from wirecase.replay.judge import Criteria, parse_expectation
    from wirecase.replay.session import ServeSettings, is_loopback, parse_listen, parse_speed

    settings = ServeSettings(
        case, finding, call, parse_listen(listen), parse_speed(speed), match.value, tls, alpn.value, healthy,
        key_logs(keylogs), list(ports or []),
    )  # fmt: skip
    limit = DEFAULT_TIMEOUT if timeout is None else timeout
    criteria = Criteria(limit, tuple(idempotent or ()), tuple(map(parse_expectation, expect or ())))
    if not is_loopback(settings.listen[0]):
        running.tell(f"listening on {settings.listen[0]}: whoever reaches this address is served the recording")
    if not commands:
        result = _serve(settings, criteria, timeout, to_stdout=report is Format.terminal and file is None)
        results = [result]
    else:
        results = _run(settings, criteria, commands, loop)
    text = _render(results[-1], results[0] if len(results) > 1 else None, report, to_file=file is not None)
    if file is not None:
        output.to_file(file, text)
    else:
        output.to_stdout(text)
    return INTERRUPTED if results[-1].interrupted else STATUS[results[-1].outcome]


def _commands(client: list[str] | None, before: str | None, after: str | None) -> list[list[str]]:
    """Return the clients to run: none, one, or the one before and the one after."""
    if (before is None) != (after is None):
        raise UsageError("--before and --after go together")
    if before is None or after is None:
        return [client] if client else []
    if client:
        raise UsageError("give a client after --, or --before and --after")
    pair = []
    for name, text in (("--before", before), ("--after", after)):
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise UsageError(f"{name} {text}: {str(error).lower()}") from error
        if not words:
            raise UsageError(f"{name} names no command")
        pair.append(words)
    return pair


def _run(settings: ServeSettings, criteria: Criteria, commands: list[list[str]], loop: int) -> list[ReplayResult]:
    from wirecase.replay.session import replay as play

    results: list[ReplayResult] = []
    with running.stoppable() as stop, running.round_progress(loop) as progress:
        for command in commands:
            results.append(play(settings, command, criteria, rounds=loop, stop=stop, progress=progress))
            if results[-1].interrupted:
                break
    return results


def _serve(settings: ServeSettings, criteria: Criteria, timeout: float | None, *, to_stdout: bool) -> ReplayResult:
    """Serve until Ctrl-C or for `timeout` seconds, telling of each call when it is over; return the verdict."""
    from wirecase.replay.session import serving
    from wirecase_cli.reports.replay_live import Log

    write = output.to_stdout if to_stdout else running.to_stderr
    with running.stoppable() as stop, serving(settings, criteria) as served:
        log = Log(served, write)
        log.begin()
        log.follow(stop, timeout)
        return served.verdict()


def _render(result: ReplayResult, before: ReplayResult | None, report: Format, *, to_file: bool) -> str:
    if report is Format.json:
        from wirecase_cli.reports import replay_json

        return replay_json.render(result, before)
    if report is Format.junit:
        from wirecase_cli.reports import replay_junit

        return replay_junit.render(result, before)
    from wirecase_cli.reports import replay_terminal, screen

    return replay_terminal.render(result, screen.plain() if to_file else screen.of_stdout(), before)
