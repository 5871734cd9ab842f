"""The pictures of windows that a report shows: made only where a finding is about windows, by a second reading."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from wirecase.errors import InputError
from wirecase.model import Diagnosis, Finding

if TYPE_CHECKING:
    from wirecase.picturing import Picture
    from wirecase_cli.reports.job import Job

MAX_HOPS = 8
MAX_STREAMS = 16
_ONCE = "No windows are drawn: that takes a second reading, and a pipe can be read once. Write it to a file first."


def gather(found: Diagnosis, job: Job) -> Picture | None:
    """Return the picture of the windows that findings are about; None if there are none, or it was not to be made.

    Of sources that cannot be read again the picture is empty but for a remark. A report without such a finding costs
    nothing here, not even an import; what is no more than a remark is not drawn.
    """
    options = job.options
    if options is None or not found.findings or found.interrupted:
        return None
    from wirecase.rules.windows import WINDOW_RULES

    about = [
        one
        for one in found.findings
        if one.rule in WINDOW_RULES and one.connection is not None and one.severity != "info"
    ]
    if not about:
        return None
    from wirecase import picturing

    if not all(map(_again, options.sources)):
        return picturing.Picture(remarks=[_ONCE])
    connections, streams = _places(about)
    try:
        return picturing.picture(
            options, found, connections=connections, streams=streams, stop=job.stop,
            limits=picturing.Limits(hops=MAX_HOPS, neighbours=0, marks=0),
        )  # fmt: skip
    except InputError:  # gone meanwhile: the report itself is complete
        return None


def _places(findings: list[Finding]) -> tuple[list[int], list[tuple[int, int]]]:
    """Return the connections, and the first streams, that findings name."""
    connections: dict[int, None] = {}
    streams: dict[tuple[int, int], None] = {}
    for one in findings:
        if one.connection is None:
            continue
        connections.setdefault(one.connection.index)
        if one.stream:
            streams.setdefault((one.connection.index, one.stream))
    kept = list(connections)[:MAX_HOPS]
    return kept, [place for place in streams if place[0] in kept][:MAX_STREAMS]


def _again(source: str) -> bool:
    """Tell whether a source can be read a second time: standard input and pipes cannot."""
    if source == "-":
        return False
    try:
        mode = os.stat(source).st_mode
    except OSError:  # an address, or gone
        return "://" in source
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
