"""What the judges share: which live calls carried a fault, which answers may be taken for a success, what was said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from wirecase.replay.judge.expectation import Expectation
from wirecase.replay.model import Check, ClientRun, LiveCall, LiveConnection, Outcome, ReportedCall, Trace

TOLERABLE = frozenset(
    (
        "proxy-fingerprint", "grpc-app-status", "grpc-local-reply", "grpc-deadline", "grpc-metadata-bad-bin",
        "grpc-timeout-malformed", "grpc-missing-te", "h2-padded-data", "rst-cancel-by-client", "fc-stream-stalled",
        "fc-connection-stalled", "stream-stalled", "max-concurrent-streams-wait", "client-accepts-broken-bytes",
        "client-rejects-legal-frame", "goaway-race",
    )
)  # fmt: skip
"""Rules that leave the bytes of an answer whole: with grpc-status 0 and trailers it may be taken for a success."""


@dataclass(slots=True, frozen=True)
class Criteria:
    """What the user says about the client."""

    timeout: float = 60.0
    """Seconds after which it is ended."""
    idempotent: tuple[str, ...] = ()
    """Paths whose requests may be sent again after any fault."""
    expectations: tuple[Expectation, ...] = ()
    """What it should report."""
    habits: frozenset[str] = frozenset()
    """Paths of which the recorded client asked the same again after a sound answer: it repeats for its own reasons."""

    plain: bool = False
    """No answer is wrong in itself: what is expected is expected of every call of the recording."""

    alone: bool = False
    """Nothing but the fault makes a call fail: each error that is reported is held against what is expected."""

    def may_repeat(self, path: str) -> bool:
        """Tell whether calls of `path` are idempotent."""
        return any(names(one, path) for one in self.idempotent)


@dataclass(slots=True)
class Scene:
    """One round: what was seen on the wire and, where there was one, the client's process."""

    trace: Trace
    run: ClientRun | None
    criteria: Criteria = field(default_factory=Criteria)
    told: list[ReportedCall] = field(default_factory=list)
    """What a client that is no process of its own said about its calls."""

    @property
    def reported(self) -> list[ReportedCall]:
        """What the client said about its calls."""
        return self.told if self.run is None else [*self.told, *self.run.reported]

    @property
    def broken(self) -> list[LiveCall]:
        """The calls whose answer was faulty, as far as they were served."""
        return [call for call in self.trace.calls if is_broken(call)]

    @property
    def hit(self) -> list[LiveCall]:
        """The calls of which something is expected.

        The faulty ones, else those that a connection's fault met, else those that were given up in a faulty answer.
        """
        problem = [call for call in self.trace.calls if call.role == "problem"]
        if self.criteria.plain:
            return problem
        return self.broken or [call for call in problem if self._met(call)] or [
            call for call in problem if call.faults and call.answered is not None and call.completed is None
        ]  # fmt: skip

    def _met(self, call: LiveCall) -> bool:
        ends = [one for one in (call.completed, call.reset_at) if one is not None]
        return any(
            one.number == call.connection and one.broke_at is not None and call.at <= one.broke_at
            and all(end >= one.broke_at for end in ends)
            for one in self.broken_connections
        )  # fmt: skip

    @property
    def broken_connections(self) -> list[LiveConnection]:
        """The connections that were given a fault of their own."""
        return [one for one in self.trace.connections if one.faults and one.broke_at is not None]

    @property
    def faults_reached(self) -> bool:
        """Some fault of the recording was served."""
        return bool(self.broken or self.broken_connections)

    def connection(self, number: int) -> LiveConnection | None:
        """Return a live connection by its number."""
        return next((one for one in self.trace.connections if one.number == number), None)

    def unreached(self, name: str) -> Check:
        """Return the check for a client to which no fault was served."""
        why = f": {_why_unreached(self.trace)}" if name == "detected" else ""
        return Check(name, "untold", f"no fault was served{why}")


def is_broken(call: LiveCall) -> bool:
    """Tell whether the answer carried a fault and was not a sound one all the same."""
    return call.role == "problem" and call.broke_at is not None and bool(call.faults) and not may_succeed(call)


def may_succeed(call: LiveCall) -> bool:
    """Tell whether the answer is one that a client may take for a success."""
    return call.completed is not None and call.status == 0 and TOLERABLE.issuperset(call.faults)


def is_sound(call: LiveCall) -> bool:
    """Tell whether the answer was whole and without a fault, whatever its status."""
    return not call.faults and call.role != "housekeeping"


def names(said: str, path: str) -> bool:
    """Tell whether `said` names `path`: the whole of it, or its last parts."""
    said = said.strip("/")
    return bool(said) and (path.strip("/") == said or path.endswith(("/" + said, "." + said)))


def place(call: LiveCall, **more: Any) -> dict[str, object]:
    """Return a live call as evidence."""
    return {
        "call": call.number,
        "connection": call.connection,
        "stream": call.stream,
        "path": call.path,
        "recorded": call.recorded,
        "faults": list(call.faults),
        **more,
    }


def where(connection: LiveConnection, **more: Any) -> dict[str, object]:
    """Return a live connection as evidence."""
    return {
        "connection": connection.number,
        "recorded_connection": connection.recorded,
        "faults": list(connection.faults),
        **more,
    }


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return fail if any failed, pass if all passed, else untold."""
    found = set(outcomes)
    if "fail" in found:
        return "fail"
    return "pass" if found == {"pass"} else "untold"


def count(number: int, noun: str) -> str:
    """Return ``1 call``, ``3 calls``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def seconds(value: float) -> str:
    """Return a length of time for a sentence."""
    if value < 0.001:
        return "1 ms"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _why_unreached(trace: Trace) -> str:
    if not trace.connections:
        return "the client never connected"
    strangers = [one for one in trace.connections if one.not_http2]
    if strangers and not trace.calls:
        return "the client does not speak HTTP/2 to it"
    failed = [one for one in trace.connections if one.tls_error]
    if failed and not trace.calls:
        return "no TLS handshake succeeded"
    missed = _not_made(trace.deviations)
    made = count(len(trace.calls), "call")
    if not trace.calls:
        return "the client connected and made no call"
    why = f"the client made {made}, and none of them is one of the recording's faulty calls" + missed
    unknown = next((call.path for call in trace.calls if call.role == "fallback"), None)
    if unknown is not None:
        why += (
            f"; the recording has no answer for {unknown}, with which it began: take neighbours into the case "
            "(wirecase extract --context 5), or serve answers of the whole recording beside it (--healthy RECORDING)"
        )
    return why


def _not_made(deviations: Sequence[Any]) -> str:
    missing = [one for one in deviations if one.what == "call-not-made"]
    return f" ({count(len(missing), 'recorded call')} did not come)" if missing else ""
