"""The pipeline of a session without an end.

Who reads packets calls `feed` with each batch and `pass_time` every half second or so, whether packets came or not, and
then `news` for what is to be told. Times are capture times: whoever captured may have another clock than this machine.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from wirecase.live.board import Board, Tally, open_calls, protocols, windows
from wirecase.live.hints import NS, Hint, Key, Patience, look
from wirecase.model import Diagnosis, Finding, PacketBatch, Severity, StreamListener
from wirecase.pipeline import Closed, Found, Listen, OnCall, Options, Pipeline, Record
from wirecase.rules.legs import LegBook
from wirecase.session.call import Call
from wirecase.session.decoder import ConnectionDecoder
from wirecase.session.session import Session
from wirecase.sources import Source

IDLE_NS = 3600 * NS
"""After so long without a packet a connection is let go."""
KEPT = 1000
"""Findings that are kept; older ones are counted and let go."""
_SLACK = 250
_LATE = NS
"""By how much packets may come late through the tools before us: time passes behind them."""
_IN_FLIGHT = 400_000_000
"""How long a stream has been closed at least, ns of capture time, before its call is judged."""
_MOST_HINTS = 1000


@dataclass(frozen=True, slots=True)
class News:
    """Something to tell."""

    what: Literal["finding", "more", "hint", "over"]
    """A new finding; one that was told and happened again; what stands still; and that it no longer does."""
    finding: Finding | None = None
    hint: Hint | None = None
    count: int = 1
    """How often the finding was met by now."""
    seconds: float = 0.0
    """How long a hint's thing has stood still, up to now or in all."""


class LivePipeline:
    """A `Pipeline` that can be asked at any time."""

    def __init__(
        self,
        options: Options,
        *,
        idle: int = IDLE_NS,
        patience: Patience | None = None,
        kept: int = KEPT,
        clock: Callable[[], int] = time.monotonic_ns,
        record: Record | None = None,
        on_call: OnCall | None = None,
        closed: Closed | None = None,
        listen: Listen | None = None,
        found: Found | None = None,
    ) -> None:
        """The hooks hear what `wirecase.pipeline.Pipeline` would tell them; `clock` is a steady one."""
        self.pipeline = Pipeline(options, record, self._call, self._closed, listen=self._opened, found=found)
        self._on_opened = listen
        self._idle = idle
        self._patience = patience or Patience()
        self._kept = kept
        self._clock = clock
        self._on_call = on_call
        self._on_closed = closed
        self._open: dict[int, tuple[Session, ConnectionDecoder]] = {}
        self._tally = Tally()
        self._told: dict[int, tuple[Finding, int]] = {}
        """The count that each finding was told with, by ``id()``; the finding is held so that the number stays its."""
        self._hints: dict[Key, Hint] = {}
        """Told and not withdrawn."""
        self._standing: dict[Key, Hint] = {}
        """As of the last look."""
        self._errors: Counter[tuple[str, Severity]] = Counter()
        self.forgotten: Counter[str] = Counter()
        """Findings that were let go, by rule."""
        self._handed = 0
        """When closed calls were handed on last, capture time."""
        self._newest = 0
        self._came = 0
        self.first: int | None = None
        self.packets = 0

    # ---- packets and time --------------------------------------------------------------------------------------

    def feed(self, batch: PacketBatch) -> None:
        """Take packets."""
        if batch.times:
            self.packets += len(batch.times)
            if self.first is None:
                self.first = batch.times[0]
            newest = batch.span[1]
            if newest >= self._newest:
                self._newest = newest
                self._came = self._clock()
        self.pipeline.feed(batch)

    @property
    def now(self) -> int:
        """The capture's clock: time of the newest packet and what has passed since, ns. 0 before the first packet."""
        return self._newest + (self._clock() - self._came) if self._newest else 0

    def pass_time(self, behind: float = 0.0) -> None:
        """Let time pass; `behind` is how many seconds of packets wait to be fed, if that is known."""
        if not self._newest:
            return
        now = max(self.now - _LATE - int(behind * NS), self._newest)
        if now - self._handed >= _IN_FLIGHT:
            self._handed = now
            for _, decoder in self._open.values():
                decoder.hand_on()
                decoder.give_up(now - self._idle)
        self.pipeline.pass_time(now, self._idle)
        self._look(now)
        self._let_go()

    def _look(self, now: int) -> None:
        """See what stands still."""
        found: dict[Key, Hint] = {}
        for session, _ in self._open.values():
            if session.h2.streams or session.h2.pings_open or session.protocol in ("empty", "tls"):
                for key, hint in look(session, now, self._patience):
                    if len(found) < _MOST_HINTS:
                        found[key] = hint
        self._standing = found

    def _let_go(self) -> None:
        """Bound what is kept of findings."""
        if len(self.pipeline.so_far) <= self._kept + _SLACK:
            return
        for old in self.pipeline.forget(self._kept):
            self.forgotten[old.rule] += 1
            self._errors[(old.rule, old.severity)] += old.count
            self._told.pop(id(old), None)

    # ---- what is heard -----------------------------------------------------------------------------------------

    def _opened(self, session: Session, decoder: ConnectionDecoder) -> StreamListener:
        self._open[session.index] = (session, decoder)
        return decoder if self._on_opened is None else self._on_opened(session, decoder)

    def _closed(self, session: Session) -> None:
        self._open.pop(session.index, None)
        if self._on_closed is not None:
            self._on_closed(session)

    def _call(self, call: Call, findings: list[Finding]) -> None:
        fine = call.grpc_status == 0 and not any(one.severity != "info" for one in findings)
        self._tally.call(call, fine=fine)
        if self._on_call is not None:
            self._on_call(call, findings)

    # ---- what can be asked -------------------------------------------------------------------------------------

    def news(self) -> list[News]:
        """Return what has come up since the last time, each thing once."""
        found: list[News] = []
        for finding in self.pipeline.so_far:
            _, told = self._told.get(id(finding), (finding, 0))
            if finding.count > told:
                self._told[id(finding)] = (finding, finding.count)
                found.append(News("more" if told else "finding", finding, count=finding.count))
        now = self.now
        for key, hint in self._standing.items():
            if key not in self._hints:
                self._hints[key] = hint
                found.append(News("hint", hint=hint, seconds=(now - hint.since) / NS))
        for key in [key for key in self._hints if key not in self._standing]:
            hint = self._hints.pop(key)
            found.append(News("over", hint=hint, seconds=(now - hint.since) / NS))
        return found

    def met(self) -> Counter[tuple[str, Severity]]:
        """Return how often faults were met, by rule and severity."""
        errors = Counter(self._errors)
        for one in self.pipeline.so_far:
            errors[(one.rule, one.severity)] += one.count
        return errors

    def board(self) -> Board:
        """Return the counters of this moment."""
        now = self.now
        sessions = [session for session, _ in self._open.values()]
        spoken = [session for session in sessions if session.protocol == "h2"]
        rate, failing = self._tally.rates(now)
        errors = self.met()
        totals = self.pipeline.log.totals
        return Board(
            now=now, began=self.first, packets=self.packets, bytes=self.pipeline.accounting.captured,
            connections=len(sessions), protocols=protocols(sessions), seen=self.pipeline.connections_seen,
            streams=sum(len(session.h2.streams) for session in spoken), calls=totals.total, ok=totals.ok,
            failed=totals.failed, rate=rate, failing=failing,
            missing=sum(side.missing for session in sessions for side in session.tcp.sides),
            errors=[(rule, severity, count) for (rule, severity), count in errors.most_common()],
            windows=windows(spoken), slow=self._tally.slowest(now), open=open_calls(spoken, now),
            hints=list(self._hints.values()),
        )  # fmt: skip

    # ---- the end -----------------------------------------------------------------------------------------------

    def settle(self) -> LegBook:
        """No more packets: end what is open, and judge it. `news` can be asked once more."""
        return self.pipeline.settle()

    def finish(self, sources: list[Source], *, interrupted: bool) -> Diagnosis:
        """Draw the conclusions over what was kept."""
        return self.pipeline.finish(sources, [], interrupted=interrupted)
