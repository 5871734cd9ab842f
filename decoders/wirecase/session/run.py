"""What is known of the whole run once all sources are read, for the rules that look at more than one connection."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from wirecase.model import CallTotals, Damage, Finding, SourceInfo


@dataclass(slots=True)
class Run:
    """All that was read."""

    sources: list[SourceInfo]
    damages: list[Damage]
    protocols: Counter[str]
    """Connections by `Session.protocol`."""
    calls: CallTotals
    findings: list[Finding]
    """Findings of calls and sessions so far."""
    first: int | None = None
    """Time of the earliest packet, ns."""
    last: int | None = None
    unsupported_links: dict[int, int] = field(default_factory=dict)
    """Link type -> packets that could not be unwrapped."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Bytes skipped by reason."""
    encrypted_peers: Counter[str] = field(default_factory=Counter)
    """Server ``addr:port`` of TLS connections without keys -> connections."""
    other_calls: Counter[str] = field(default_factory=Counter)
    """Calls of ``grpc-web`` and ``connect``, which are named and not judged."""
