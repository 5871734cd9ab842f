"""A recording session put together: proxy, diagnosis, flight recorder, metrics, hooks, lines on the screen."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from wirecase.errors import UsageError
from wirecase.model import Diagnosis, Severity
from wirecase.recording.flight import FlightRecorder
from wirecase.recording.session import Hooks as Ears
from wirecase.recording.session import RecordingError, Session, Setup
from wirecase.sources.live.process import Route, TlsOptions, address_of, is_loopback
from wirecase_cli import output, running
from wirecase_cli.reports import record_lines as lines

if TYPE_CHECKING:
    from wirecase.recording.cases import Outcome
    from wirecase.recording.hooks import Hooks
    from wirecase.recording.metrics import Endpoint, Numbers

_STANDING = 1.0
"""Seconds between two lines that say where the session stands, on a terminal."""
_REMIND = 60.0
"""The same where nobody looks, and only if something was lost or is late."""
_REPEAT = 10.0
"""Seconds in which a finding that comes again is told once."""
LOOPBACK = "127.0.0.1"


@dataclass(slots=True)
class TlsWish:
    """TLS is to be taken off."""

    ca_out: Path | None
    server_ca: Path | None
    verify: bool


@dataclass(slots=True)
class CasesWish:
    """Cases are to be written."""

    folder: Path
    keep: float
    keep_bytes: int
    on: Severity
    most: int
    hook: str | None
    webhook: str | None


@dataclass(slots=True)
class Wish:
    """What was asked for."""

    listen: str
    to: str
    output: Path | None
    keylogs: list[str]
    ports: list[int]
    ring_bytes: int
    connections: int
    duration: float | None
    metrics: str | None
    quiet: bool
    wait: bool = False
    tls: TlsWish | None = None
    cases: CasesWish | None = None


@dataclass(slots=True)
class _Screen:
    """What was told, and when."""

    flight: FlightRecorder | None
    hooks: Hooks | None
    index: Path | None
    quiet: bool
    terminal: bool
    stood: float = 0.0
    shown: bool = False
    """The last line on the terminal is the one that says where things stand."""
    told: dict[int, float] = field(default_factory=dict)
    lost: int = 0
    numbers: Numbers | None = None
    """The snapshot that metrics are read from; None where nobody reads them."""

    def tick(self, session: Session) -> None:
        """Tell what has come up."""
        live = session.live
        now = time.monotonic()
        for news in live.news():
            if news.finding is not None and not self.quiet:
                last = self.told.get(id(news.finding), -_REPEAT)
                if news.what == "finding" or now - last >= _REPEAT:
                    self.told[id(news.finding)] = now
                    self.write(lines.finding(news.finding, news.count))
            elif news.hint is not None and not self.quiet:
                self.write(lines.hint(news.hint, live.now, news.seconds, over=news.what == "over"))
        if len(self.told) > 10_000:
            self.told.clear()
        if self.flight is not None:
            for outcome in self.flight.pass_time(live.now):
                self.case(outcome)
        if self.numbers is not None:
            self.numbers = _numbers(session, self.flight, self.hooks)
        self.stand(session, now)

    def case(self, outcome: Outcome) -> None:
        """Tell of a case: here, in the folder's index, and whoever wants to know."""
        if not self.quiet:
            self.write(lines.case(outcome))
        if self.index is not None:
            with self.index.open("a", encoding="ascii") as file:
                file.write(outcome.as_json() + "\n")
        if outcome.case is not None and self.hooks is not None:
            self.hooks.tell(outcome)

    def stand(self, session: Session, now: float) -> None:
        """Say where the session stands."""
        state = session.state()
        worried = state.lost_bytes + state.lost_records > self.lost or state.lag > 5
        if self.quiet or now - self.stood < (_STANDING if self.terminal else _REMIND):
            return
        if not self.terminal and not worried:
            return
        self.stood = now
        self.lost = state.lost_bytes + state.lost_records
        kept = ""
        if self.flight is not None:
            kept = f"{lines.amount(self.flight.size)} kept, {self.flight.written} cases"
        totals = session.live.pipeline.log.totals
        text = lines.standing(state, totals.total, totals.failed, kept)
        if self.terminal:
            width = os.get_terminal_size(sys.stderr.fileno()).columns
            running.to_stderr(f"\r\x1b[2K{text[: width - 1]}")
            self.shown = True
        else:
            running.tell(text)

    def write(self, text: str) -> None:
        """Write a line to standard output, above the one that says where things stand."""
        if self.shown:
            running.to_stderr("\r\x1b[2K")
            self.shown = False
        output.to_stdout(text + "\n")


def run(wish: Wish, stop: Callable[[], bool]) -> tuple[Diagnosis, str | None]:
    """Run a session until `stop` says so; return what was found, and why it ended where nobody asked it to."""
    with ExitStack() as stack:
        route = Route(
            address_of(wish.listen, "--listen", host=LOOPBACK),
            address_of(wish.to, "--to"),
            most=wish.connections,
            wait=wish.wait,
        )
        if wish.tls is not None:
            route.tls = _tls(wish.tls, route.target[0])
        flight, hooks = _flight(wish)
        if flight is not None:
            stack.callback(flight.close)
        ears = Ears() if flight is None else Ears(flight.record, flight.listen, flight.closed, flight.found)
        setup = Setup(
            route, None if wish.output is None else str(wish.output), wish.ring_bytes, wish.keylogs, wish.ports
        )
        session = Session(setup, ears)
        stack.callback(session.proxy.stop)
        screen = _Screen(
            flight, hooks, None if wish.cases is None else wish.cases.folder / "cases.jsonl", wish.quiet,
            terminal=not wish.quiet and sys.stderr is not None and sys.stderr.isatty(),
        )  # fmt: skip
        if wish.metrics is not None:
            screen.numbers = _numbers(session, flight, hooks)
            stack.callback(_metrics(wish.metrics, screen).close)
        _begin(wish, session)
        until = None if wish.duration is None else time.monotonic() + wish.duration
        session.run(lambda: stop() or (until is not None and time.monotonic() >= until), screen.tick)
        found = session.finish()
        screen.tick(session)
        if flight is not None:
            if flight.waiting > 1 and not wish.quiet:
                running.tell(f"{flight.waiting} cases are still being written")
            for outcome in flight.pass_time(session.live.now, final=True):
                screen.case(outcome)
        _end(session, flight, screen)
        if hooks is not None:
            hooks.close()
        return found, session.problem


def report(found: Diagnosis) -> str:
    """Return the verdict as `wirecase diagnose` draws it."""
    from wirecase_cli.reports import screen, terminal

    return terminal.render(found, screen.of_stdout())


def _tls(wish: TlsWish, host: str) -> TlsOptions:
    from wirecase.sources.authority import Authority

    authority = Authority("wirecase record, a throwaway authority", days=30)
    if wish.ca_out is None:
        raise UsageError("--tls terminate needs --ca-out FILE: the client has to trust the authority in it")
    try:
        wish.ca_out.write_bytes(authority.pem)
    except OSError as error:
        raise UsageError(f"--ca-out {wish.ca_out}: {error.strerror}") from error
    server_ca = None if wish.server_ca is None else str(wish.server_ca)
    if server_ca is not None and not os.access(server_ca, os.R_OK):
        raise UsageError(f"--server-ca {server_ca} cannot be read")
    return TlsOptions(authority, host, wish.verify, server_ca)


def _flight(wish: Wish) -> tuple[FlightRecorder | None, Hooks | None]:
    from wirecase.recording.cases import CaseMaker, Making
    from wirecase.recording.flight import Policy
    from wirecase.recording.hooks import Hooks

    asked = wish.cases
    if asked is None:
        return None, None
    try:
        asked.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordingError(f"--cases {asked.folder}: {error.strerror}") from error
    if not os.access(asked.folder, os.W_OK):
        raise UsageError(f"--cases {asked.folder} is not writable")
    hooks = Hooks(asked.hook, asked.webhook)
    policy = Policy(max(asked.keep, 5.0), max(asked.keep_bytes, 1 << 20), asked.on, asked.most)
    return FlightRecorder(policy, CaseMaker(Making(str(asked.folder), wish.keylogs, wish.ports))), hooks


def _metrics(text: str, screen: _Screen) -> Endpoint:
    from wirecase.recording.metrics import Endpoint, Numbers

    address = address_of(text, "--metrics", host=LOOPBACK)
    if not is_loopback(address):
        running.tell(f"--metrics {text}: whoever reaches this address can read the numbers")
    endpoint = Endpoint(address, lambda: screen.numbers or Numbers())
    running.tell(f"metrics at http://{endpoint.address[0]}:{endpoint.address[1]}/metrics")
    return endpoint


def _numbers(session: Session, flight: FlightRecorder | None, hooks: Hooks | None) -> Numbers:
    from wirecase.recording.metrics import Numbers

    state, live = session.state(), session.live
    totals = live.pipeline.log.totals
    numbers = Numbers(
        counters={
            "calls": {("ok",): totals.ok, ("failed",): totals.failed, ("unfinished",): totals.unfinished},
            "findings": {(rule, severity): count for (rule, severity), count in live.met().items()},
            "connections": state.accepted,
            "bytes": {("client",): state.client_bytes, ("server",): state.server_bytes},
            "lost_bytes": state.lost_bytes,
            "lost_records": state.lost_records,
            "refused": state.refused,
            "tls_failed": state.tls_failed,
            "written_bytes": state.written,
            "packets": live.packets,
            "forwarding_cpu_seconds": state.forwarding_cpu,
        },
        gauges={
            "connections_open": state.open,
            "lag_seconds": state.lag,
            "lag_bytes": state.behind,
            "queue_bytes": state.ring,
            "queue_size_bytes": state.ring_size,
        },
    )
    if flight is not None:
        numbers.counters["cases"] = flight.written
        numbers.counters["cases_not_kept"] = {(reason,): count for reason, count in dict(flight.not_kept).items()}
        numbers.gauges["ring_bytes"] = flight.size
        numbers.gauges["ring_connections"] = flight.connections
    if hooks is not None:
        numbers.counters["hooks_failed"] = hooks.failed
    return numbers


def _begin(wish: Wish, session: Session) -> None:
    host, port = session.address
    target = f"[{wish.to}]" if wish.to.count(":") > 1 and not wish.to.startswith("[") else wish.to
    running.tell(f"listening on {host}:{port}, forwarding to {target}; Ctrl-C ends it")
    if not is_loopback(session.address):
        running.tell(f"{host} can be reached from other machines: whoever connects is led to {target}, and is recorded")


def _end(session: Session, flight: FlightRecorder | None, screen: _Screen) -> None:
    totals = session.live.pipeline.log.totals
    if screen.shown:
        running.to_stderr("\r\x1b[2K")
    kept = "" if flight is None else f"{flight.written} cases"
    running.tell(lines.standing(session.state(), totals.total, totals.failed, kept))
    for text in lines.not_kept({} if flight is None else flight.not_kept):
        running.tell(text)
