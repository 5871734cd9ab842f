"""Lists of calls, and a close look at one: the calls of a capture as rows, the frames of a call as a timeline."""

from __future__ import annotations

from wirecase.listing.calls import CallList, list_calls
from wirecase.listing.timeline import Timeline, timelines

__all__ = ["CallList", "Timeline", "list_calls", "timelines"]
