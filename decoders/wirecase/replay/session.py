"""One replay from end to end: read the case, serve it, run a client against it, judge.

`serve` is for a client that lives in this process (a test), `replay` for one that is a command.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from wirecase.errors import InputError, UsageError
from wirecase.replay.client import Target
from wirecase.replay.judge import Criteria, parse_expectation
from wirecase.replay.model import Outcome, Trace
from wirecase.replay.plan import Plan, read_plan
from wirecase.replay.result import ReplayedCase, ReplayResult
from wirecase.replay.rounds import Rounds, Settings
from wirecase.replay.served import Served
from wirecase.replay.server import MAX, ReplayServer, ServeOptions
from wirecase.replay.server.rounds import Matching
from wirecase.replay.tls import Alpn, Tls

LOOPBACK = "127.0.0.1"
_MOST_HEALTHY = 16
"""Healthy answers taken for one path."""


@dataclass(slots=True)
class ServeSettings:
    """What is served, and how."""

    path: str
    """A case or a capture."""
    finding: str | None = None
    """``F1`` …; without it and `call` everything that went wrong on the leg that the client saw."""
    call: int | None = None
    listen: tuple[str, int] = (LOOPBACK, 0)
    speed: float = 1.0
    """Recorded delays are divided by this; `MAX` leaves none."""
    match: Matching = "path"
    tls: bool = False
    alpn: Alpn = "h2"
    healthy: str | None = None
    """A capture with sound answers for the time after the problem."""
    keylogs: Sequence[str] = ()
    ports: Sequence[int] = ()


@contextmanager
def serving(settings: ServeSettings, criteria: Criteria | None = None) -> Iterator[Served]:
    """Serve a case until the block ends; what was seen of the client can be judged afterwards too.

    Raises InputError (`CannotReplayError`, `ListenError`) and UsageError, each in one line.
    """
    with ExitStack() as stack:
        plan = read_plan(
            settings.path, settings.finding, settings.call, settings.ports, keylogs=list(settings.keylogs)
        )  # fmt: skip
        stack.callback(plan.close)
        if settings.healthy is not None:
            _add_healthy(plan, settings.healthy, stack)
        tls = Tls(alpn=settings.alpn) if settings.tls else None
        if tls is not None:
            stack.callback(tls.close)
        server = ReplayServer(
            plan, ServeOptions(listen=settings.listen, match=settings.match, speed=settings.speed, tls=tls)
        )
        server.start()
        stack.callback(server.stop)
        host, port = server.address
        target = Target(_reachable(host), port, None if tls is None else tls.ca)
        yield Served(server, target, _case(settings, plan), replace(criteria or Criteria(), habits=_habits(plan)))


@contextmanager
def serve(
    path: str | os.PathLike[str],
    *,
    finding: str | None = None,
    call: int | None = None,
    speed: float | str = 1.0,
    match: Matching = "path",
    tls: bool = False,
    alpn: Alpn = "h2",
    healthy: str | os.PathLike[str] | None = None,
    expect: Sequence[str] = (),
    idempotent: Sequence[str] = (),
) -> Iterator[Served]:
    """Serve the case at `path` on a free port of the loopback until the block ends, and give its `Served`.

    The options are those of ``wirecase replay``; `speed` may be ``"max"``.
    """
    settings = ServeSettings(
        os.fspath(path), finding, call, speed=parse_speed(speed), match=match, tls=tls, alpn=alpn,
        healthy=None if healthy is None else os.fspath(healthy),
    )  # fmt: skip
    criteria = Criteria(idempotent=tuple(idempotent), expectations=tuple(map(parse_expectation, expect)))
    with serving(settings, criteria) as served:
        yield served


def replay(
    settings: ServeSettings,
    command: Sequence[str],
    criteria: Criteria | None = None,
    *,
    rounds: int = 1,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int, Outcome], None] | None = None,
    more: Mapping[str, str] | None = None,
) -> ReplayResult:
    """Serve a case to the client that `command` starts (placeholders and all), and return the verdict on it.

    `more` are further placeholders and what stands for them. `stop` is asked often; once it says yes, the client is
    ended and what is known is judged. Raises as `serving` does, and UsageError for a command that cannot be started.
    """
    with serving(settings, criteria) as served, tempfile.TemporaryDirectory(prefix="wirecase-replay-") as folder:
        report = os.path.join(folder, "report.jsonl")
        how = Settings(command, report, served.criteria, rounds, stop, progress)
        target = Target(served.host, served.port, served.ca, rounds, more or {})
        result = Rounds(_Live(served.server), target, served.case, how).play()
    run = result.run
    if run is not None and run.failed_to_start is not None:
        raise UsageError(f"the client cannot be started: {run.command[0]}: {run.failed_to_start}")
    return result


def parse_speed(text: float | str) -> float:
    """Return a speed: a number above 0, or ``max``. Raises UsageError."""
    if isinstance(text, str) and text.strip().lower() == "max":
        return MAX
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if math.isnan(speed) or speed <= 0:
        raise UsageError(f"--speed {text}: give a number above 0, such as 10, or max")
    return speed


def parse_listen(text: str) -> tuple[str, int]:
    """Return host and port of ``ADDR:PORT``, ``ADDR`` or ``:PORT``. Raises UsageError."""
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")) or text.endswith("]"):
        host, port = text, "0"  # an address alone
    host = host.strip("[]") or LOOPBACK
    if not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"--listen {text}: give ADDR:PORT, such as 127.0.0.1:50051 (port 0 takes a free one)")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches what listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Live:
    """A running server as the rounds see it."""

    def __init__(self, server: ReplayServer) -> None:
        self._server = server

    def trace(self) -> Trace:
        return self._server.trace()

    def problem_over(self) -> bool:
        return self._server.problem_over

    def next_round(self) -> Trace:
        return self._server.next_round()

    def rearm(self, on: bool) -> None:
        self._server.rearm(on)

    def past_rounds(self) -> list[Trace]:
        return self._server.past_rounds()

    def now(self) -> float:
        return self._server.now()

    def counts(self) -> tuple[int, int]:
        return self._server.open_connections, self._server.open_streams


def _reachable(host: str) -> str:
    """Return the address that a client on this machine dials."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return LOOPBACK if address.version == 4 else "::1"


def _add_healthy(plan: Plan, path: str, stack: ExitStack) -> None:
    other = read_plan(path)
    stack.callback(other.close)
    found = [call for calls in other.healthy.values() for call in calls]
    found += [call for call in other.calls() if call.sound]
    if not found:
        raise InputError(f"{path}: holds no whole answer to serve after the problem")
    for call in found:
        kept = plan.healthy.setdefault(call.path, [])
        if call not in kept and len(kept) < _MOST_HEALTHY:
            kept.append(call)


def _habits(plan: Plan) -> frozenset[str]:
    """Return the paths whose requests the recorded client repeated after a sound answer."""
    seen: set[tuple[str, str]] = set()
    found = set()
    healthy = [call for calls in plan.healthy.values() for call in calls]
    for call in sorted({id(one): one for one in [*plan.calls(), *healthy]}.values(), key=lambda one: one.started):
        key = (call.path, call.request_digest)
        if key in seen:
            found.add(call.path)
        if call.sound and call.request_digest:
            seen.add(key)
    return frozenset(found)


def _case(settings: ServeSettings, plan: Plan) -> ReplayedCase:
    return ReplayedCase(
        settings.path, _sha256(settings.path), plan.headline, plan.server, plan.findings, settings.finding,
        settings.call, plan.notes, plan.redacted,
    )  # fmt: skip


def _sha256(path: str) -> str:
    if not os.path.isfile(path):
        return ""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
