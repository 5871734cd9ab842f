"""Source -> net -> http2 -> grpc -> rules -> `Diagnosis`.

Packets flow through in batches. What a batch closed is judged at its end: calls get their numbers first (they are
counted in the order of their request headers, whatever connection they are on), then the rules see the suspicious ones
and the connections that are over. Nothing else is kept of what was read.
"""

from __future__ import annotations

import contextlib
import fnmatch
import gc
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wirecase import __version__
from wirecase.errors import InputError
from wirecase.http2.recorder import FrameRecorder
from wirecase.model import Accounting, Damage, Diagnosis, Finding, FormFacts, PacketBatch, StreamListener
from wirecase.net import Assembler
from wirecase.net.facts import TcpConnection
from wirecase.session.call import Call
from wirecase.session.calls import CallLog, CallTracker
from wirecase.session.decoder import ConnectionDecoder
from wirecase.session.run import Hidden, Run
from wirecase.session.session import Session
from wirecase.sources import Open, OpenedSources, Source, open_sources
from wirecase.sources.keylogs import KeyLogs

if TYPE_CHECKING:
    from wirecase.grpc.schema import Schema
    from wirecase.rules.collect import Collector
    from wirecase.rules.legs import LegBook

_COLLECTION = (100_000, 50, 50)
_SHORT = 64 << 20
"""Bytes of input up to which a second reading costs little."""
Progress = Callable[[int, int | None], None]
"""Called with the bytes read so far, and their total where it is known."""
Record = Callable[[Session], FrameRecorder | None]
"""Says who wants the frames of a connection."""
Closed = Callable[[Session], None]
"""Told of each connection when it is over, before it is judged."""
OnCall = Callable[[Call, list[Finding]], None]
"""Told of each closed call, numbered and judged, before it is forgotten, and of the findings that it takes part in."""
Found = Callable[[Finding, Session | None, Call | None, int | None], None]
"""Told of each place where a finding's fault was met, as it is judged: the finding so far, and the stream."""
Listen = Callable[[Session, ConnectionDecoder], StreamListener]
"""Puts somebody between a connection's TCP bytes (TLS is still on them) and its decoder, who passes them on.

Whoever wants the bytes that come out of TLS asks the decoder: `ConnectionDecoder.hear_inside`.
"""


@dataclass(slots=True)
class Options:
    """What to diagnose, and what to look at."""

    sources: list[str]
    """Paths, folders, or ``-`` for standard input."""
    keylogs: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    """TCP ports on which HTTP/2 is taken for granted."""
    since: int | None = None
    """Only calls that began at or after this time, ns since the epoch."""
    until: int | None = None
    """Only calls that began before this time."""
    host: str | None = None
    """Only connections with this address, or ``address:port``, at either end."""
    path: str | None = None
    """Only calls whose path contains this text or matches this pattern (``*``, ``?``)."""
    schema: Schema | None = None
    """Types and methods that payloads are read with; without it they are not looked into."""
    open: Open = open_sources
    """Opens the sources: another engine may take their packets apart."""


class Pipeline:
    """One run over some sources; `diagnose` is the short way to use it."""

    def __init__(
        self,
        options: Options,
        record: Record | None = None,
        on_call: OnCall | None = None,
        closed: Closed | None = None,
        *,
        columns: bool | None = None,
        listen: Listen | None = None,
        keys: KeyLogs | None = None,
        found: Found | None = None,
    ) -> None:
        """`columns` chooses between ways that lead to the same: the fast one, the thorough one, or (None) what pays."""
        self._options = options
        self._record = record
        self._on_call = on_call
        self._closely = on_call is not None or options.schema is not None
        """No exchange may be counted as ordinary."""
        self._on_closed = closed
        self._found = found
        self.accounting = Accounting()
        self.log = CallLog(others=None if on_call is None else [], schema=options.schema)
        self._columns = columns
        self._listen = listen
        self.keys = KeyLogs(options.keylogs) if keys is None else keys
        self._assembler = Assembler(self._open_connection, self.accounting, columns=columns)
        self._closed: list[Session] = []
        self._protocols: Counter[str] = Counter()
        self._left_out = 0
        self._hidden: dict[str, Hidden] = {}
        self._collected: Collector | None = None
        self._forms: dict[int, FormFacts] = {}
        """Sources that are no packet captures."""

    # ---- connections -------------------------------------------------------------------------------------------

    def _open_connection(self, tcp: TcpConnection) -> StreamListener | None:
        options = self._options
        if options.host is not None and not any(_is_host(side.address, options.host) for side in tcp.sides):
            self._left_out += 1
            return None
        session = Session(tcp)
        forced = bool(options.ports) and any(int(s.address.rpartition(":")[2]) in options.ports for s in tcp.sides)
        narrowed = options.since is not None or options.until is not None or options.path is not None
        tracker = CallTracker(session, self.log, self._wanted if narrowed else None)
        # Where no exchange may be counted as ordinary, frames are not worth being taken by columns.
        decoder = ConnectionDecoder(
            session,
            tracker,
            self.accounting,
            forced=forced,
            on_closed=self._closed.append,
            recorder=self._record(session) if self._record is not None else None,
            columns=False if self._columns is None and (narrowed or self._closely) else self._columns,
            keys=self.keys.store,
        )
        return decoder if self._listen is None else self._listen(session, decoder)

    def _wanted(self, call: Call) -> bool:
        options = self._options
        time = call.started.time
        if (options.since is not None and time < options.since) or (
            options.until is not None and time >= options.until
        ):
            return False
        if options.path is None:
            return True
        path = call.path or ""
        return options.path in path or fnmatch.fnmatchcase(path, options.path)

    def _in_scope(self, session: Session) -> bool:
        """Tell whether a connection's own findings belong into a narrowed report."""
        options = self._options
        if options.path is not None and not session.calls_matched:
            return False
        first, last = session.first_time, session.last_time
        return not (
            (options.since is not None and last is not None and last < options.since)
            or (options.until is not None and first is not None and first >= options.until)
        )

    @property
    def _collector(self) -> Collector:
        """The rules at work.

        They are imported when there is something to judge: a large input is being hashed by another thread by then, and
        the import costs no time.
        """
        if self._collected is None:
            from wirecase.rules.collect import Collector

            self._collected = Collector(prints=self.log.others is not None, forms=self._forms, found=self._found)
        return self._collected

    # ---- packets -----------------------------------------------------------------------------------------------

    def feed(self, batch: PacketBatch) -> None:
        """Take one batch of packets."""
        if batch.form is not None:
            self._forms[batch.source] = batch.form
        self._assembler.feed(batch)
        self._judge()

    def _judge(self) -> None:
        log = self.log
        log.number()
        suspicious, log.suspicious = log.suspicious, []
        for call in suspicious:
            named = self._collector.call(call, log.totals)
            if self._on_call is not None:
                self._on_call(call, named)
        if self._on_call is not None and log.others:
            others, log.others = log.others, []
            for call in others:
                self._collector.healthy(call)
                self._on_call(call, [])
        closed = self._closed[:]
        self._closed.clear()  # the decoders hold on to this very list
        for session in closed:
            if self._on_closed is not None:
                self._on_closed(session)
            self._protocols[session.protocol] += 1
            if session.tls is not None and session.tls.hidden is not None:
                self._hidden.setdefault(session.tls.hidden, Hidden()).add(session, session.tls)
            if self._in_scope(session):
                self._collector.session(session)

    def pass_time(self, now: int, patience: int | None = None) -> None:
        """No packet came up to `now` (capture time, ns): end what is over by then, and judge it.

        For live sessions; connections that were silent for `patience` ns are let go.
        """
        self._assembler.pass_time(now, patience)
        self._judge()

    @property
    def so_far(self) -> list[Finding]:
        """The findings up to now: no causes are linked, and none has an id."""
        return [] if self._collected is None else self._collected.so_far

    def forget(self, most: int) -> list[Finding]:
        """Keep the newest `most` findings and return the others: for a run that has no end."""
        return [] if self._collected is None else self._collected.forget(most)

    @property
    def connections_seen(self) -> int:
        """TCP connections met so far."""
        return self._assembler.connections_seen

    def settle(self) -> LegBook:
        """All packets were taken: end what is open, and return what tells the legs of calls."""
        self._assembler.finish()
        self._judge()
        return self._collector.book

    def finish(
        self, sources: list[Source], failures: list[str], *, interrupted: bool, closer: LegBook | None = None
    ) -> Diagnosis:
        """Draw the conclusions; `closer` comes from a reading in which every call was looked at."""
        book = self.settle()
        from wirecase.rules.verdict import verdict

        log, collector = self.log, self._collector
        legs = book.conclude(log.totals, log.statuses, closer)
        log.totals.by_status = log.by_status()
        infos = [source.info for source in sources]
        damages: list[Damage] = [damage for source in sources for damage in source.damages]
        firsts = [info.first for info in infos if info.first is not None]
        lasts = [info.last for info in infos if info.last is not None]
        run = Run(
            sources=infos, damages=damages, protocols=self._protocols, calls=log.totals, findings=[],
            first=min(firsts, default=None), last=max(lasts, default=None),
            unsupported_links=dict(self._assembler.unsupported_links), skipped=self.accounting.skipped,
            hidden=self._hidden, key_logs=self.keys.logs, left_out=self._left_out, other_calls=log.other_kinds,
        )  # fmt: skip
        findings = collector.finish(run, legs)
        return Diagnosis(
            version=__version__, sources=infos, verdict=verdict(findings, run, legs), findings=findings,
            calls=log.totals, accounting=self.accounting, connections=self._assembler.connections_seen,
            interrupted=interrupted, damaged=damages, failures=failures,
        )  # fmt: skip


def _is_host(address: str, wanted: str) -> bool:
    """Tell whether ``addr:port`` is `wanted`, with or without its port."""
    host = address.rpartition(":")[0]
    return wanted in (address, host, host.strip("[]"))


def diagnose(
    options: Options,
    *,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
    record: Record | None = None,
    on_call: OnCall | None = None,
    closed: Closed | None = None,
    opened: OpenedSources | None = None,
    listen: Listen | None = None,
) -> Diagnosis:
    """Read the sources and return what was found.

    `record` is asked for each connection, when its first packet comes, whether somebody wants its frames. `on_call` is
    told of every call once it is closed, `closed` of every connection once it is over, `listen` (where given) hears the
    TCP bytes of every connection before TLS is taken off. `opened` are the sources where they were opened before, so
    that reading could begin while this module was imported. `stop` is asked after every batch; once it says yes, what
    is known so far is returned. Raises `wirecase.errors.InputError` if nothing at all could be read.
    """
    with rare_collection():
        if on_call is None and options.open is not open_sources:
            # Another engine takes far longer than a look at every call does, and reading twice longer still.
            on_call = _ignore
        pipeline = Pipeline(options, record, on_call, closed, listen=listen)
        return _diagnose(options, opened or options.open(options.sources), pipeline, progress, stop)


@contextlib.contextmanager
def rare_collection() -> Iterator[None]:
    """Let the collector of reference cycles run rarely while packets flow.

    What is decoded frees itself by reference counts; the collector would walk over all open calls again and again,
    which costs more than the decoding.
    """
    before = gc.get_threshold()
    gc.set_threshold(*_COLLECTION)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _diagnose(
    options: Options,
    opened: OpenedSources,
    pipeline: Pipeline,
    progress: Progress | None,
    stop: Callable[[], bool] | None,
) -> Diagnosis:
    total = opened.total_bytes
    interrupted = False
    begun = -1
    pipeline.keys.begin(opened.sources)
    with contextlib.closing(opened.batches()) as batches:
        for source, batch in batches:
            begun = max(begun, source.index)
            pipeline.keys.take(source)
            pipeline.feed(batch)
            if progress is not None:
                progress(opened.bytes_read, total)
            if stop is not None and stop():
                interrupted = True
                break
    read = opened.sources[: begun + 1] if interrupted else opened.sources
    for source in read:
        pipeline.keys.take(source)
    book = pipeline.settle()
    closer = None
    seen_all = pipeline.log.others is not None
    doubtful = not (interrupted or seen_all) and book.worth_a_closer_look(pipeline.log.totals.total)
    if doubtful and _is_short(options, opened):
        closer = _look_closer(options, pipeline.keys)
    failures = [str(failure) for failure in opened.failures]
    return pipeline.finish(read, failures, interrupted=interrupted, closer=closer)


def _ignore(_call: Call, _findings: list[Finding]) -> None:
    """Want every call to be looked at, and nothing more."""


def _is_short(options: Options, opened: OpenedSources) -> bool:
    """Tell whether the sources can be read once more, at little cost."""
    total = opened.total_bytes
    return options.open is open_sources and total is not None and total <= _SHORT


def _look_closer(options: Options, keys: KeyLogs) -> LegBook | None:
    """Read the sources again and look at every call, healthy ones too: some may be other legs of each other."""
    pipeline = Pipeline(options, on_call=_ignore, keys=keys)
    try:
        with contextlib.closing(options.open(options.sources).batches()) as batches:
            for _, batch in batches:
                pipeline.feed(batch)
    except InputError:  # gone meanwhile
        return None
    return pipeline.settle()
