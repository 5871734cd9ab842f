"""The rules, one file per topic; `ALL_RULES` is the explicit list of all of them."""

from __future__ import annotations

from wirecase.rules import (
    compression,
    conduct,
    connection,
    deadline,
    endings,
    floods,
    flow,
    framing,
    goaway,
    headers,
    http_response,
    messages,
    metadata,
    observer,
    peers,
    proxies,
    replies,
    sizes,
    status,
    streams,
    tcp,
    translation,
)
from wirecase.rules.base import Rule

ALL_RULES: tuple[Rule, ...] = (
    *messages.RULES,
    *translation.RULES,
    *compression.RULES,
    *sizes.RULES,
    *status.RULES,
    *replies.RULES,
    *metadata.RULES,
    *deadline.RULES,
    *http_response.RULES,
    *proxies.RULES,
    *streams.RULES,
    *endings.RULES,
    *flow.RULES,
    *goaway.RULES,
    *connection.RULES,
    *peers.RULES,
    *framing.RULES,
    *headers.RULES,
    *floods.RULES,
    *conduct.RULES,
    *tcp.RULES,
    *observer.RULES,
)
"""In the order in which they are run and documented."""
