"""The filter language that every command shares, and the rows that a filter looks at.

`compile_filter` turns a text such as ``path~Flight and status!=0 and duration>1s`` into a predicate over `CallRow`;
`row_of` draws the row of a call.
"""

from __future__ import annotations

from wirecase.query.filters import Filter, compile_filter
from wirecase.query.rows import CallRow, row_of

__all__ = ["CallRow", "Filter", "compile_filter", "row_of"]
