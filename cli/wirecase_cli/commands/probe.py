"""``wirecase probe``: a live look at one server."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wirecase.errors import UsageError
from wirecase_cli import output, running
from wirecase_cli.commands.options import Force

if TYPE_CHECKING:
    from wirecase.probing import Probe, Request

INTERRUPTED = 130
UNTOLD = 4
TLS_PORTS = frozenset((443, 8443))


class Format(StrEnum):
    """What to print."""

    terminal = "terminal"
    json = "json"


def probe(
    address: Annotated[
        str, typer.Argument(metavar="HOST:PORT", help="The server; nothing else is ever dialled.", show_default=False)
    ],
    method: Annotated[
        str | None,
        typer.Option("--method", metavar="/PKG.SVC/METHOD", help="Make one call of this method.", show_default=False),
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            "--data-hex", metavar="HEX", help="Its request message, as hex; by default an empty one.",
            show_default=False,
        ),
    ] = "",
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata",
            metavar="NAME=VALUE",
            help="Send this field with our calls, e.g. authorization=@FILE, which reads the value from FILE. May be "
            "given several times.",
            show_default=False,
        ),
    ] = None,
    tls: Annotated[
        bool | None,
        typer.Option("--tls/--plaintext", help="By default TLS on ports 443 and 8443 alone.", show_default=False),
    ] = None,
    ca: Annotated[
        str | None,
        typer.Option(
            "--ca", metavar="FILE", help="Authorities to trust instead of the system's, PEM.", show_default=False
        ),
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Take any certificate.")] = False,
    server_name: Annotated[
        str | None,
        typer.Option("--server-name", metavar="NAME", help="The TLS name to ask for and check.", show_default=False),
    ] = None,
    authority: Annotated[
        str | None, typer.Option("--authority", metavar="NAME", help="The :authority to send.", show_default=False)
    ] = None,
    length: Annotated[
        float,
        typer.Option("--for", metavar="SECONDS", min=0, help="Keep a connection for so long, with PINGs on it."),
    ] = 0.0,
    every: Annotated[
        float,
        typer.Option(
            "--ping-every",
            metavar="SECONDS",
            min=0.1,
            help="With --for: seconds between PINGs. By default gRPC servers allow one in 300 without calls.",
        ),
    ] = 300.0,
    idle: Annotated[
        float,
        typer.Option(
            "--idle", metavar="SECONDS", min=0, help="Find out whether connections are cut when idle for up to so long."
        ),
    ] = 0.0,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="For each step.")
    ] = 10.0,
    no_grpcio: Annotated[bool, typer.Option("--no-grpcio", help="Do not let grpcio look, too.")] = False,
    report: Annotated[
        Format, typer.Option("--format", metavar="terminal|json", help="What to print.")
    ] = Format.terminal,
    file: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write the case of the first finding to FILE, redacted; without one the whole recording.",
            show_default=False,
        ),
    ] = None,
    force: Force = False,
) -> int:  # fmt: skip
    """Look at a gRPC server from outside: TLS, HTTP/2, health, reflection, a call, how long connections live.

    Exit status: 0 all is fine, 1 findings, 2 wrong usage, 3 no connection, 4 something asked for could not be told or
    written, 70 a defect of wirecase, 130 interrupted (what is known so far is printed).
    """
    if file is not None:
        output.check_file(file, [], force=force, device=False)
    from wirecase.probing import probe as look

    request = _request(address, method, data, metadata, tls, ca, insecure, server_name)
    request.authority, request.timeout, request.grpcio = authority, timeout, not no_grpcio
    request.hold, request.every, request.idle = length, every, idle
    found, recorder = look(request, _progress())
    try:
        kept, problem = _keep(found, file) if file is not None else ("", "")
        _print(found, report, kept)
    finally:
        recorder.discard()
    if problem:
        running.tell(problem)
    if found.interrupted:
        return INTERRUPTED
    return found.status or (UNTOLD if problem else 0)


def _request(
    address: str, method: str | None, data: str, metadata: list[str] | None, tls: bool | None, ca: str | None,
    insecure: bool, server_name: str | None,
) -> Request:  # fmt: skip
    from wirecase.probing import Request
    from wirecase.replay.caller.address import Tls, look_up_all
    from wirecase_cli.commands.replay_to import metadata_field

    if method is not None and (not method.startswith("/") or method.count("/") != 2 or not method.isprintable()):
        raise UsageError(f"--method {method}: write /package.Service/Method")
    if data and method is None:
        raise UsageError("--data-hex goes with --method")
    try:
        message = bytes.fromhex(data)
    except ValueError as error:
        raise UsageError(f"--data-hex: {error}") from error
    fields = [metadata_field(one) for one in metadata or ()]
    target, *others = look_up_all(address, "")
    secured = target.port in TLS_PORTS if tls is None else tls
    if not secured and (ca or insecure or server_name):
        if tls is False:
            raise UsageError("--ca, --insecure and --server-name are for --tls, not for --plaintext")
        secured = True
    if ca and insecure:
        raise UsageError("--ca and --insecure exclude each other")
    settings = Tls(ca, insecure, server_name) if secured else None
    if settings is not None:
        settings.context()  # the file is looked at before anything is dialled
    return Request(target, others, settings, method=method, data=message, metadata=fields)


def _progress() -> Callable[[str], None] | None:
    """Say on standard error what is done now, if a person looks at it."""
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    from wirecase_cli.reports.escape import line

    return lambda step: running.to_stderr(f"\r\x1b[K{line(step)} …\r\x1b[K")


def _keep(found: Probe, file: Path) -> tuple[str, str]:
    """Write the case; return what was written, and why it is not what was wished."""
    import shutil

    from wirecase.case.extract import Request, extract
    from wirecase.case.redact import Policy, Redactor
    from wirecase.case.select import Selection
    from wirecase.errors import WirecaseError

    if found.diagnosis is None:
        return "", f"nothing was recorded: {file} was not written"
    first = next(iter(found.counted), None)
    problem = ""
    if first is not None:
        masks = Redactor(Policy())
        ports = [found.request.target.port]
        request = Request([found.recording], file, Selection(first.id), ports, command="wirecase probe")
        try:
            made = extract(request, masks)
        except WirecaseError as error:
            problem = f"no case of {first.id} could be made ({error}); {file} holds the whole recording, not redacted"
        else:
            return f"{file} is the case of {first.id} ({made.packets} packets, redacted)", ""
    shutil.copyfile(found.recording, file)
    return f"{file} holds the whole recording, not redacted", problem


def _print(found: Probe, report: Format, kept: str) -> None:
    if report is Format.json:
        from wirecase_cli.reports import probe_json

        output.to_stdout(probe_json.render(found))
        if kept:
            running.tell(kept)
        return
    from wirecase_cli.reports import probe_terminal, screen

    output.to_stdout(probe_terminal.render(found, kept, screen.of_stdout()))
