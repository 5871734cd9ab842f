"""A case that is being served, as a test or a program sees it."""

from __future__ import annotations

import time

from wirecase.replay.client import Target
from wirecase.replay.client.reported import canonical
from wirecase.replay.judge import Criteria, Scene, judge, no_leak
from wirecase.replay.judge.calls import is_sound
from wirecase.replay.model import ReportedCall, Trace
from wirecase.replay.result import ReplayedCase, ReplayResult, ordered
from wirecase.replay.server import ReplayServer

_STEP = 0.02


class Served:
    """Where to dial, what was seen there, and the verdict."""

    def __init__(self, server: ReplayServer, target: Target, case: ReplayedCase, criteria: Criteria) -> None:
        self.server = server
        self.case = case
        self._target = target
        self.criteria = criteria
        self._told: list[ReportedCall] = []

    @property
    def target(self) -> str:
        """``host:port``."""
        return self._target.target

    @property
    def host(self) -> str:
        """The address to dial."""
        return self._target.host

    @property
    def port(self) -> int:
        """The port to dial."""
        return self._target.port

    @property
    def url(self) -> str:
        """``http://host:port``, or https with TLS."""
        return self._target.url

    @property
    def ca(self) -> str | None:
        """Path of the PEM file of the authority to trust; None without TLS."""
        return self._target.ca

    def report(
        self, code: object, details: str = "", messages: int | None = None, call: int | str | None = None
    ) -> None:
        """Tell what the client under test got for a call: a status by name, number or enumeration (``INTERNAL``).

        `call` is the path of the call, or its number from 0 in the client's own count; by default the next number.
        Raises ValueError for what is no status.
        """
        name = canonical(code if isinstance(code, int | str) else getattr(code, "name", None))
        if name is None:
            raise ValueError(f"no gRPC status: {code!r}")
        self._told.append(ReportedCall(len(self._told) if call is None else call, name, details, messages))

    def trace(self) -> Trace:
        """Return what was seen on the wire so far."""
        return self.server.trace()

    def wait_problem_over(self, timeout: float = 10.0) -> bool:
        """Wait until the recorded problem was served; False if it was not within `timeout` seconds."""
        return self.server.wait_problem_over(timeout)

    def wait_recovered(self, timeout: float = 5.0) -> bool:
        """Wait until a sound call was completed after the problem; False if none was within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not self._recovered():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_STEP)
        return True

    def _recovered(self) -> bool:
        trace = self.trace()
        over = trace.problem_over
        return over is not None and any(
            is_sound(call) and call.completed is not None and call.at >= over for call in trace.calls
        )

    def next_round(self) -> None:
        """Serve the problem again; what was seen and told until now is forgotten."""
        self.server.next_round()
        self._told = []

    def verdict(self) -> ReplayResult:
        """Judge what was seen so far. How a process ended stays untold: the client is none of its own."""
        trace = self.trace()
        checks = judge(Scene(trace, None, self.criteria, list(self._told)))
        return ReplayResult(self.case, trace, None, ordered([*checks, no_leak([], 1)]))

    def assert_passed(self, *, untold_is_fine: bool = False) -> None:
        """Raise AssertionError, with every check in its text, unless the client passed."""
        result = self.verdict()
        if result.outcome == "pass" or (untold_is_fine and result.outcome == "untold"):
            return
        raise AssertionError(result.explain())
