"""Options that several commands share, so that they mean the same everywhere."""

from __future__ import annotations

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
Keylogs = Annotated[
    list[Path] | None,
    typer.Option(
        "--keylog",
        metavar="FILE",
        help="TLS keys in the SSLKEYLOGFILE format. May be given several times.",
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
