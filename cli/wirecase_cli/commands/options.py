"""Options that several commands share, so that they mean the same everywhere."""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        help="Captures: pcap or pcapng files, plain or compressed with gzip or zstd, folders of them, "
        "or - for standard input.",
        show_default=False,
    ),
]
Raw = Annotated[
    bool,
    typer.Option(
        "--raw",
        help="SOURCEs are raw bytes, two files for each connection: what the client sent, then what the server sent.",
    ),
]
Keylogs = Annotated[
    list[Path] | None,
    typer.Option(
        "--keylog",
        metavar="FILE",
        help="TLS keys in the SSLKEYLOGFILE format, or a folder of such files. May be given several times; the file "
        "that the environment's SSLKEYLOGFILE names is read, too.",
        show_default=False,
    ),
]
Ports = Annotated[
    list[int] | None,
    typer.Option(
        "--port",
        metavar="N",
        min=1,
        max=65535,
        help="Take what runs on TCP port N for HTTP/2, even where it does not look like it. May be given several "
        "times; without it HTTP/2 is recognised by content on any port.",
        show_default=False,
    ),
]
Where = Annotated[
    str | None,
    typer.Option(
        "--where",
        metavar="FILTER",
        help="Only calls for which this holds, e.g. 'path~Flight and status!=0 and duration>1s' (wirecase guide "
        "filters).",
        show_default=False,
    ),
]
CallPath = Annotated[
    str | None,
    typer.Option(
        "--path",
        metavar="P",
        help="Only calls whose :path contains P, or matches it if P has * or ?.",
        show_default=False,
    ),
]
ReportFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write the report to FILE instead.", show_default=False),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite FILE if it exists.")]


class FailOn(StrEnum):
    """From which severity on findings make the exit status 1."""

    never = "never"
    info = "info"
    warning = "warning"
    error = "error"


FailingFrom = Annotated[
    FailOn,
    typer.Option("--fail-on", metavar="never|info|warning|error", help="Exit 1 on findings of this severity or worse."),
]


def named(sources: list[str], *, raw: bool) -> list[str]:
    """Return the sources of a command, those of ``--raw`` as pairs. Raise `UsageError` if one has no other half."""
    if not raw:
        return sources
    from wirecase.sources.byte_pair import pairs

    return pairs(sources)


def key_logs(named: Iterable[Path] | None) -> list[str]:
    """Return the key logs to read: those named, and the one of the environment if it is there."""
    found = [str(one) for one in named or ()]
    usual = os.environ.get("SSLKEYLOGFILE", "")
    if usual and usual not in found and os.path.isfile(usual) and os.access(usual, os.R_OK):
        found.append(usual)
    return found
