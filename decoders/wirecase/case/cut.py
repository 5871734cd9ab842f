"""The second pass: the connections of a plan, read again and written into a packet file as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO

from wirecase.case.addresses import AddressBook
from wirecase.case.headers import Assumed
from wirecase.case.manifest import side_name
from wirecase.case.packets import MARKER, ip
from wirecase.case.pcapng import PacketFile
from wirecase.case.plan import Plan
from wirecase.case.redaction import Masks
from wirecase.case.tape import Tape
from wirecase.model import CLIENT, SERVER, Accounting
from wirecase.net import Assembler
from wirecase.net.facts import TcpConnection
from wirecase.session.calls import CallLog
from wirecase.sources import Open, open_sources
from wirecase.sources.keylogs import KeyLogs

Progress = Callable[[int, int | None], None]
_MARKER_HOST = bytes((192, 0, 2, 255))
"""Documentation range (RFC 5737)."""
_MARKER_TEXT = b"wirecase: the recording went on until here without a packet of these connections"
_MOST_NOTES = 200
_BLOCKS = {
    True: "as recorded",
    False: "written anew without a dynamic table, as something in them had to be masked or cannot be decoded; faulty "
    "fields are the recorded ones",
}
"""Where the fault lies in HPACK: what became of the header blocks of a side."""


@dataclass(slots=True)
class Cut:
    """What the second pass wrote."""

    connections: dict[int, int] = field(default_factory=dict)
    """Connection of the recording -> connection of the case."""
    notes: list[dict[str, object]] = field(default_factory=list)
    """For the manifest: how each connection of the case differs from the recorded one."""
    packets: int = 0
    paths: list[bytes] = field(default_factory=list)
    """Paths of the calls, as they stand in the case."""


class _Cutter:
    def __init__(
        self, plan: Plan, masks: Masks, file: PacketFile, *, ports: list[int], keep: bool, keys: KeyLogs
    ) -> None:
        self.keys = keys
        self._plan = plan
        self._masks = masks
        self._file = file
        self._ports = ports
        self._keep = keep
        self._book = AddressBook(masks)
        self._accounting = Accounting()
        self._log = CallLog()
        self._until = 0
        self._last = 0
        self.notes: dict[int, dict[str, object]] = {}
        self.paths: dict[bytes, None] = {}
        self.assembler = Assembler(self._open, self._accounting)

    def _open(self, tcp: TcpConnection) -> Tape | None:
        plan = self._plan.connections.get(tcp.index)
        if plan is None:
            return None

        def emit(time: int, data: bytes) -> None:
            self._last = max(self._last, time)
            self._file.add(time, tcp.index, data)

        forced = bool(self._ports) and any(int(s.address.rpartition(":")[2]) in self._ports for s in tcp.sides)
        return Tape(
            tcp, plan, self._masks, emit=emit, address=self._book, log=self._log, accounting=self._accounting,
            forced=forced, keep=self._keep, closed=self._closed, keys=self.keys.store,
        )  # fmt: skip

    def batch_done(self) -> None:
        """Number the calls, and forget them: they were judged in the first pass."""
        self._log.number()
        self._log.suspicious.clear()

    def finish(self) -> None:
        self.assembler.finish()
        if self._until > self._last:
            self._file.add(self._until, -1, ip(_MARKER_HOST, _MARKER_HOST, MARKER, _MARKER_TEXT, ident=1))
        self._file.finish()

    def _closed(self, tape: Tape) -> None:
        session = tape.session
        if session.closed_reason == "capture-end" and session.tcp.capture_end is not None:
            self._until = max(self._until, session.tcp.capture_end)
        self.paths.update(tape.frames.paths)
        client, server = tape.addresses
        note: dict[str, object] = {"recorded": session.index, "client": client, "server": server}
        port = self._book.ports.get(server)
        if port is not None:
            note["recorded_server_port"] = port
        if tape.tls_removed:
            note["tls_removed"] = True
        if tape.greeted:
            note["handshake_added"] = True
        late = [side_name(side) for side in (CLIENT, SERVER) if tape.frames.late[side]]
        if late:
            note["joined_late"] = late
        if tape.plan.plain_headers:
            note["header_blocks"] = {side_name(side): _BLOCKS[tape.plan.verbatim[side]] for side in (CLIENT, SERVER)}
        if tape.frames.reframed:
            note["messages_framed_anew"] = tape.frames.reframed
        assumed = tape.frames.assumed
        if assumed:
            note["assumed"] = [_assumed(one) for one in assumed[:_MOST_NOTES]]
        streams = tape.plan.streams
        note["streams"] = "all" if streams is None else sorted(streams)[:_MOST_NOTES]
        self.notes[session.index] = note


def _assumed(one: Assumed) -> dict[str, object]:
    return {"stream": one.stream, "direction": side_name(one.side), "name": one.name, "value": one.value}


def cut(
    sources: list[str],
    plan: Plan,
    masks: Masks,
    target: IO[bytes],
    *,
    ports: list[int],
    keep: bool,
    progress: Progress | None = None,
    opener: Open = open_sources,
    keylogs: Sequence[str] = (),
) -> Cut:
    """Read `sources` again and write the connections of `plan` to `target`.

    TLS is taken off with `keylogs` and what the sources carry; no key gets into the case. `keep` leaves payloads that
    the masks never see (the rest of long messages, compressed ones) as they are.
    """
    file = PacketFile(target)
    cutter = _Cutter(plan, masks, file, ports=ports, keep=keep, keys=KeyLogs(keylogs))
    opened = opener(sources)
    cutter.keys.begin(opened.sources)
    total = opened.total_bytes
    for source, batch in opened.batches():
        cutter.keys.take(source)
        cutter.assembler.feed(batch)
        cutter.batch_done()
        if progress is not None:
            progress(opened.bytes_read, total)
    for source in opened.sources:
        cutter.keys.take(source)
    cutter.finish()
    shown = {recorded: number for number, recorded in enumerate(file.connections)}
    notes = [cutter.notes[recorded] for recorded in file.connections if recorded in cutter.notes]
    return Cut(shown, notes, file.packets, list(cutter.paths))
