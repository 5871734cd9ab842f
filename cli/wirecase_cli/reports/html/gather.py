"""What the page shows beside the diagnosis: every call, and a picture of what was found."""

from __future__ import annotations

from dataclasses import dataclass, field

from wirecase.errors import InputError
from wirecase.listing.store import RowStore
from wirecase.model import Diagnosis, Finding
from wirecase.picturing import Picture, picture
from wirecase.query import CallRow, row_of
from wirecase.session.call import Call
from wirecase_cli.reports.html.picture import LIMITS
from wirecase_cli.reports.job import Job

MOST_CALLS = 20_000
"""Calls in the table: 20,000 take 2 MB and open at once. Those with findings come first where there are more."""


@dataclass(slots=True)
class Gathered:
    """What only this page shows."""

    calls: list[CallRow] = field(default_factory=list)
    """By number."""
    seen: int = 0
    """Calls in the capture."""
    picture: Picture | None = None
    """None where no picture could be made: nothing to show, or the sources cannot be read again."""


class Gatherer:
    """Hears of every call while a diagnosis is made."""

    def __init__(self) -> None:
        self._store = RowStore()
        self.seen = 0

    def on_call(self, call: Call, named: list[Finding]) -> None:
        """Take a closed call and the findings that it takes part in (`wirecase.pipeline.OnCall`)."""
        self.seen += 1
        self._store.add(row_of(call, named), named)

    def rows(self, diagnosis: Diagnosis) -> list[CallRow]:
        """Return the calls by number, at most `MOST_CALLS`; `diagnosis` has the very findings that were heard of."""
        sort = "finding" if self.seen > MOST_CALLS else "call"
        return sorted(self._store.rows(diagnosis.findings, None, sort, MOST_CALLS), key=lambda row: row.call)


def gather(found: Diagnosis, job: Job) -> Gathered:
    """Return the calls that the job's listener heard of, and a picture from a second reading of the sources."""
    gathered = Gathered()
    heard = job.unmasked or found
    if isinstance(job.listener, Gatherer):
        gathered.calls, gathered.seen = job.listener.rows(heard), job.listener.seen
    if job.options is None or found.interrupted:
        return gathered
    try:
        made = picture(job.options, heard, limits=LIMITS, stop=job.stop)
    except InputError:  # gone meanwhile
        return gathered
    gathered.picture = made if made.hops else None
    return gathered
