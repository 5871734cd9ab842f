"""The formats that a diagnosis can be written in, listed explicitly: one row each.

A writer is a function from the diagnosis and a `Job` to text. It imports what it needs itself, so that a format costs
nothing where another one is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wirecase.errors import UsageError
from wirecase_cli.reports.job import Job, Listener

if TYPE_CHECKING:
    from wirecase.model import Diagnosis


@dataclass(slots=True, frozen=True)
class Format:
    """One way to write a diagnosis."""

    name: str
    """As ``--format`` takes it."""
    media_type: str
    write: Callable[[Diagnosis, Job], str] = field(compare=False)
    masked: bool
    """What looks like a credential is masked: so in all that is attached to bug reports or kept by CI systems."""
    machine: bool = False
    """Written even where no source could be read: the report says so itself."""
    listener: Callable[[], Listener] | None = field(default=None, compare=False)
    """Makes what hears of every call; None where the diagnosis is enough."""
    again: bool = False
    """Reads the sources a second time, so standard input has to be kept."""


def _terminal(found: Diagnosis, job: Job) -> str:
    from wirecase_cli.reports import screen, terminal, windows

    return terminal.render(found, screen.plain() if job.to_file else screen.of_stdout(), windows.gather(found, job))


def _json(found: Diagnosis, job: Job) -> str:
    from wirecase_cli.reports import json_v1

    return json_v1.render(found)


def _ndjson(found: Diagnosis, job: Job) -> str:
    from wirecase_cli.reports import ndjson

    return ndjson.render(found)


def _csv(found: Diagnosis, job: Job) -> str:
    from wirecase_cli.reports import finding_table

    return finding_table.render(found)


def _markdown(found: Diagnosis, job: Job) -> str:
    from wirecase_cli.reports import case_notes, markdown, windows

    return markdown.render(found, case_notes.gather(found, job.folder), windows.gather(found, job))


def _sarif(found: Diagnosis, job: Job) -> str:
    from wirecase_cli.reports import sarif

    return sarif.render(found, status=job.status)


def _junit(found: Diagnosis, job: Job) -> str:
    from wirecase_cli.reports import diagnosis_junit

    return diagnosis_junit.render(found, fail_on=job.fail_on)


def _html(found: Diagnosis, job: Job) -> str:
    from wirecase_cli.reports import case_notes
    from wirecase_cli.reports.html import page
    from wirecase_cli.reports.html.gather import gather

    return page.render(found, gather(found, job), case_notes.gather(found, job.folder), unmasked=job.unmasked)


def _calls() -> Listener:
    from wirecase_cli.reports.html.gather import Gatherer

    return Gatherer()


FORMATS = (
    Format("terminal", "text/plain", _terminal, masked=False),
    Format("json", "application/json", _json, masked=False, machine=True),
    Format("ndjson", "application/x-ndjson", _ndjson, masked=False, machine=True),
    Format("csv", "text/csv", _csv, masked=False),
    Format("markdown", "text/markdown", _markdown, masked=True),
    Format("html", "text/html", _html, masked=True, listener=_calls, again=True),
    Format("sarif", "application/sarif+json", _sarif, masked=True, machine=True),
    Format("junit", "application/xml", _junit, masked=True, machine=True),
)
"""In the order of the help text."""

NAMES = tuple(one.name for one in FORMATS)


def complete(incomplete: str) -> list[str]:
    """Return the names that begin so, for the shell."""
    return [name for name in NAMES if name.startswith(incomplete)]


def named(name: str) -> Format:
    """Return the format called `name`. Raises UsageError, with the names that there are."""
    for one in FORMATS:
        if one.name == name:
            return one
    raise UsageError(f"--format {name}: write one of {', '.join(NAMES)}")


def write(found: Diagnosis, form: Format, job: Job) -> str:
    """Return the report as text with a newline at its end."""
    job.unmasked = found
    if form.masked:
        from wirecase_cli.reports import masking

        found = masking.diagnosis(found)
    text = form.write(found, job)
    return text if text.endswith("\n") else f"{text}\n"
