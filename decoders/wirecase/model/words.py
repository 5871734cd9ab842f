"""The two sides of a connection, and the words that a finding chooses from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CLIENT = 0
"""Index of the side that opened the connection."""
SERVER = 1
"""Index of the side that accepted it."""
SIDE_NAMES: tuple[Literal["client"], Literal["server"]] = ("client", "server")


@dataclass(slots=True, frozen=True)
class ConnectionRef:
    """How a report names a connection."""

    index: int
    client: str
    """``addr:port``, IPv6 in brackets."""
    server: str


Severity = Literal["error", "warning", "info"]
Link = Literal["stream", "connection", "leg", "moment", "server"]
"""What ties a finding to its cause: the same stream or connection; the leg of the same call behind a proxy (or of the
same connection behind a NAT); another connection at the same moment; the same server shortly before. The last two are
inferred from the time."""
Certainty = Literal["certain", "probable", "possible"]
Who = Literal["server", "proxy", "client", "network", "capture", "unknown"]
RetrySafe = Literal["yes", "no", "unknown"]
