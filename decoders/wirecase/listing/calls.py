"""All calls of a capture as rows."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from wirecase import pipeline
from wirecase.errors import UsageError
from wirecase.listing.store import SORT_FIELDS, RowStore
from wirecase.model import Diagnosis, Finding
from wirecase.query import CallRow, Filter, row_of
from wirecase.session.call import Call


@dataclass(slots=True)
class CallList:
    """The calls of a capture, and the diagnosis that was made on the way."""

    diagnosis: Diagnosis
    seen: int
    """Calls in the capture, those that the filter leaves out too."""
    _store: RowStore
    _where: Filter | None
    _sort: str
    _limit: int | None

    def __iter__(self) -> Iterator[CallRow]:
        """Yield the rows, sorted; more than once if asked again."""
        return self._store.rows(self.diagnosis.findings, self._where, self._sort, self._limit)


def check_sort(sort: str) -> None:
    """Raise UsageError if rows cannot be sorted by `sort`."""
    name = sort.removeprefix("-")
    if name not in SORT_FIELDS:
        near = difflib.get_close_matches(name, SORT_FIELDS, 1)
        raise UsageError(f"--sort {name}: {f'did you mean {near[0]}?' if near else 'write ' + ', '.join(SORT_FIELDS)}")


def list_calls(
    options: pipeline.Options,
    *,
    where: Filter | None = None,
    sort: str = "call",
    limit: int | None = None,
    progress: pipeline.Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> CallList:
    """Read the sources and return their calls; raises as `wirecase.pipeline.diagnose` does."""
    check_sort(sort)
    # A filter on findings has to wait until all of them have their ids; any other one keeps rows out from the start.
    late = where is not None and "finding" in where.fields
    store = RowStore()
    seen = 0

    def take(call: Call, named: list[Finding]) -> None:
        nonlocal seen
        seen += 1
        row = row_of(call, named)
        if where is None or late or where(row):
            store.add(row, named)

    diagnosis = pipeline.diagnose(options, progress=progress, stop=stop, on_call=take)
    return CallList(diagnosis, seen, store, where if late else None, sort, limit)
