"""Which findings are about flow-control windows, or about room for streams: reports picture these over time."""

from __future__ import annotations

SLOTS_RULE = "max-concurrent-streams-wait"
WINDOW_RULES = frozenset((
    "fc-stream-stalled", "fc-connection-stalled", "fc-violation", "fc-overflow", "fc-zero-increment", "fc-window-leak",
    "stream-stalled", SLOTS_RULE,
))  # fmt: skip
