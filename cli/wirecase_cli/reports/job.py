"""What a report may need beside the diagnosis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from wirecase.model import Diagnosis, Finding
    from wirecase.pipeline import Options
    from wirecase.session.call import Call

SEVERITIES = ("info", "warning", "error")


def failing(fail_on: str) -> frozenset[str]:
    """Return the severities that are at or above `fail_on`; none for ``never``."""
    return frozenset(SEVERITIES[SEVERITIES.index(fail_on) :] if fail_on in SEVERITIES else ())


class Listener(Protocol):
    """Hears of every call while the diagnosis is made, for a report that shows them."""

    def on_call(self, call: Call, named: list[Finding]) -> None:
        """Take a closed call and the findings that it takes part in (`wirecase.pipeline.OnCall`)."""


@dataclass(slots=True)
class Job:
    """How a report was asked for, and what was made for it on the way."""

    status: int = 0
    """The exit status that the command ends with."""
    fail_on: str = "error"
    """From which severity on a finding counts as a failure; ``never`` for none."""
    to_file: bool = False
    """The report goes to a file, not to a screen."""
    options: Options | None = None
    """How the sources were read, for formats that read them again; None where they cannot be."""
    stop: Callable[[], bool] | None = None
    """Asked while sources are read again; says yes once the user wants an end."""
    listener: Listener | None = None
    """What `Format.listener` made before the sources were read."""
    unmasked: Diagnosis | None = None
    """The diagnosis that the listener heard, where the report is given a masked copy of it; set by `formats.write`."""
    folder: Path | None = None
    """Where relative paths of sources start, if not in the working directory."""
