"""Where the recordings of the faults are: in the package, whether it is installed, a checkout, or inside an archive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from wirecase.replay.gauntlet.fault import Kind

HEALTHY: dict[Kind, str] = {
    "unary": "healthy-unary",
    "server-stream": "healthy-streaming",
    "client-stream": "healthy-upload",
    "bidi": "healthy-bidi",
}
"""The recording whose sound answers are served after the fault."""


def case(name: str) -> Traversable:
    """Return the recording of a fault."""
    return resources.files("wirecase.replay.gauntlet").joinpath("cases", f"{name}.pcap")


@contextmanager
def on_disk(name: str) -> Iterator[Path]:
    """Give the recording of a fault as a file on disk; one in an archive is unpacked for that time."""
    with resources.as_file(case(name)) as path:
        yield path
