"""``wirecase record``: a proxy that passes bytes on untouched, records them, and diagnoses beside it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wirecase.errors import UsageError
from wirecase_cli import output, quantities, running
from wirecase_cli.commands.diagnose import status
from wirecase_cli.commands.options import FailingFrom, FailOn, Force, Keylogs, Ports, key_logs

if TYPE_CHECKING:
    from wirecase_cli.recorder import Wish


class Tls(StrEnum):
    """What becomes of TLS."""

    blind = "blind"
    terminate = "terminate"


class On(StrEnum):
    """From which severity on a finding makes a case."""

    error = "error"
    warning = "warning"
    info = "info"


def record(
    listen: Annotated[
        str,
        typer.Option(
            "--listen",
            metavar="ADDR:PORT",
            help="Where clients connect to; a port alone is one of this machine only (127.0.0.1), port 0 a free one.",
            show_default=False,
        ),
    ],
    to: Annotated[
        str, typer.Option("--to", metavar="HOST:PORT", help="The server that they are led to.", show_default=False)
    ],
    file: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Record everything to FILE, a pcapng file.", show_default=False
        ),
    ] = None,
    force: Force = False,
    cases: Annotated[
        Path | None,
        typer.Option(
            "--cases",
            metavar="FOLDER",
            help="Be a flight recorder: write what led to a finding to FOLDER as a case, redacted; forget the rest.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        str, typer.Option("--keep", metavar="T", help="With --cases: for how long what went well is kept.")
    ] = "5m",
    keep_bytes: Annotated[
        str, typer.Option("--keep-bytes", metavar="SIZE", help="With --cases: how much memory it may take.")
    ] = "256MB",
    on: Annotated[
        On,
        typer.Option("--on", metavar="error|warning|info", help="With --cases: which findings make a case."),
    ] = On.error,
    max_cases: Annotated[
        int, typer.Option("--max-cases", metavar="N", min=1, max=1_000_000, help="With --cases: write N at most.")
    ] = 100,
    hook: Annotated[
        str | None,
        typer.Option(
            "--hook",
            metavar="COMMAND",
            help="With --cases: run this for each case, without a shell, with a JSON object on its standard input.",
            show_default=False,
        ),
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(
            "--webhook", metavar="URL", help="With --cases: post that object to this address.", show_default=False
        ),
    ] = None,
    tls: Annotated[
        Tls,
        typer.Option(
            "--tls",
            metavar="blind|terminate",
            help="Pass TLS on as it is (--keylog opens it), or take it off with an authority that is thrown away "
            "afterwards (--ca-out) and put it on again towards the server.",
        ),
    ] = Tls.blind,
    ca_out: Annotated[
        Path | None,
        typer.Option(
            "--ca-out",
            metavar="FILE",
            help="With --tls terminate: write the authority's certificate here, for the client to trust.",
            show_default=False,
        ),
    ] = None,
    server_ca: Annotated[
        Path | None,
        typer.Option(
            "--server-ca",
            metavar="FILE",
            help="With --tls terminate: trust the server by this authority, too.",
            show_default=False,
        ),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="With --tls terminate: take any certificate of the server.")
    ] = False,
    keylogs: Keylogs = None,
    ports: Ports = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            "--metrics",
            metavar="ADDR:PORT",
            help="Answer Prometheus here; a port alone is one of this machine only.",
            show_default=False,
        ),
    ] = None,
    spool: Annotated[
        str,
        typer.Option(
            "--spool",
            metavar="SIZE",
            help="Memory between forwarding and recording; what finds no room there is passed on and not recorded.",
        ),
    ] = "64MB",
    wait: Annotated[
        bool,
        typer.Option(
            "--wait", help="With -o: let traffic wait for room in the spool rather than leave it out of the recording."
        ),
    ] = False,
    connections: Annotated[
        int,
        typer.Option(
            "--connections", metavar="N", min=1, max=1_000_000, help="Take N at a time; further ones wait in line."
        ),
    ] = 4096,
    duration: Annotated[
        str | None,
        typer.Option("--duration", metavar="T", help="End after T (30s, 5m, 2h).", show_default=False),
    ] = None,
    fail_on: FailingFrom = FailOn.never,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the final report only.")] = False,
) -> int:
    """Record what passes between a client and a server, and diagnose beside it.

    Bytes are passed on as they are: nothing is terminated, healed or rewritten, a reset stays a reset. Ctrl-C ends the
    session and prints the verdict.

    Exit status: 0 recorded, 1 findings at or above --fail-on, 2 wrong usage, 3 an address cannot be used, 4 the
    recording could not be written, 70 a defect of wirecase.
    """
    from wirecase_cli import recorder

    if file is None and cases is None:
        raise UsageError("nothing would be kept: name a file with -o, or a folder of cases with --cases")
    if file is not None:
        output.check_file(file, [], force=force, device=False)
    elif wait:
        raise UsageError("--wait goes with -o: a flight recorder lets nobody wait")
    wish: Wish = recorder.Wish(
        listen=listen,
        to=to,
        output=file,
        keylogs=key_logs(keylogs),
        ports=list(ports or []),
        ring_bytes=max(quantities.size(spool, "--spool"), 1 << 20),
        connections=connections,
        duration=None if duration is None else quantities.duration(duration, "--duration"),
        metrics=metrics,
        quiet=quiet,
        wait=wait,
    )
    if tls is Tls.terminate:
        wish.tls = recorder.TlsWish(ca_out, server_ca, verify=not insecure)
    elif ca_out is not None or server_ca is not None or insecure:
        raise UsageError("--ca-out, --server-ca and --insecure go with --tls terminate")
    if cases is not None:
        wish.cases = recorder.CasesWish(
            cases,
            keep=quantities.duration(keep, "--keep"),
            keep_bytes=quantities.size(keep_bytes, "--keep-bytes"),
            on=on.value,
            most=max_cases,
            hook=hook,
            webhook=webhook,
        )
    elif hook is not None or webhook is not None:
        raise UsageError("--hook and --webhook go with --cases")
    with running.stoppable() as stop:
        found, problem = recorder.run(wish, stop)
    if problem is not None:
        running.tell(problem)
    text = recorder.report(found)
    output.to_stdout(text)
    return 4 if problem is not None else status(found, fail_on)
