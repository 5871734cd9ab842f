"""What is served: the problem session, healthy answers for afterwards, and what had to be said about both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from wirecase.errors import InputError
from wirecase.model import Finding
from wirecase.replay.plan.acts import RecordedCall, RecordedConnection
from wirecase.replay.plan.store import Store


class CannotReplayError(InputError):
    """The fault cannot be shown to a client by a server; its text is one line and says why."""


@dataclass(slots=True)
class Plan:
    """A recording as a server will play it, or a caller its other half."""

    path: str
    server: str
    """Address of the recorded server (``addr:port``) whose part is played."""
    connections: list[RecordedConnection]
    """The problem session, in the order in which the connections began."""
    healthy: dict[str, list[RecordedCall]] = field(default_factory=dict)
    """Sound answers by path, for the time after the problem session; a few of each."""
    findings: list[Finding] = field(default_factory=list)
    """Those of the recording that stand on these connections."""
    notes: list[tuple[str, str]] = field(default_factory=list)
    """(a stable word, one sentence) for each way in which what is served must differ from the recording."""
    redacted: bool = False
    """The source is a case whose payloads were redacted."""
    headline: str = ""
    """Verdict on the recording."""
    store: Store = field(default_factory=Store)
    """Keeps the payloads; closed together with the plan."""

    def calls(self) -> Iterator[RecordedCall]:
        """Yield the calls of the problem session, in the order of their connections and requests."""
        for connection in self.connections:
            yield from connection.calls.values()

    def close(self) -> None:
        """Let go of the payloads."""
        self.store.close()
