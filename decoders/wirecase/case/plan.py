"""What a case is made of: which connections, and which of their streams."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class ConnectionPlan:
    """What is kept of one recorded connection."""

    index: int
    streams: set[int] | None = field(default_factory=set)
    """None keeps all."""
    plain_headers: bool = False
    """Write header blocks without a dynamic table: a fault of HPACK must not be mended by a better table."""
    verbatim: tuple[bool, bool] = (False, False)
    """Sides (client, server) whose header blocks travel as they were recorded."""
    shown: tuple[bool, bool] = (True, True)
    """Which sides (client, server) the recording shows at all."""

    def wants(self, stream: int) -> bool:
        """Tell whether frames of `stream` are kept; those of the connection (stream 0) always are."""
        return not stream or self.streams is None or stream in self.streams


@dataclass(slots=True)
class Plan:
    """What is kept of a recording."""

    connections: dict[int, ConnectionPlan] = field(default_factory=dict)

    def connection(self, index: int) -> ConnectionPlan:
        """Return the plan of a connection, which is kept from now on."""
        plan = self.connections.get(index)
        if plan is None:
            plan = self.connections[index] = ConnectionPlan(index)
        return plan

    def add(self, index: int, stream: int | None) -> None:
        """Keep a connection, and one of its streams."""
        plan = self.connection(index)
        if stream and plan.streams is not None:
            plan.streams.add(stream)

    def keep_all(self, index: int) -> None:
        """Keep all streams of a connection."""
        self.connection(index).streams = None
