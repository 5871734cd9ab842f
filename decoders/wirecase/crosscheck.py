"""The same capture through Wireshark's dissectors, to see whether both find the same frames and messages.

Three numbers are compared: TCP connections, HTTP/2 frames by type, and gRPC messages; where they differ, connection by
connection, with the reason where one is known. Wireshark and wirecase part ways by design in some places: Wireshark
dissects in the order of packets and gives up on what a capture does not show from the beginning, wirecase follows the
streams across holes. Such a difference is stated as explained, any other one as it is.

The counts on our side come from the thorough path, which sees every call: `Tally` listens to a diagnosis.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from wirecase.errors import InputError
from wirecase.http2.facts import FRAME_NAMES
from wirecase.model import Compared, ConnectionRef, CrossCheck, Diagnosis, Difference, Finding
from wirecase.session.call import Call
from wirecase.session.session import Session
from wirecase.sources.raw import shown
from wirecase.sources.tshark import counts as tshark
from wirecase.sources.tshark.program import Tshark, TsharkError

OTHER = "other"
NAMES = (*FRAME_NAMES, OTHER)
"""Frame types by their place in a count."""
MOST_DIFFERENCES = 100
"""Connections that differ and are listed one by one."""


@dataclass(slots=True)
class Counted:
    """What wirecase counted on one connection."""

    ref: ConnectionRef
    source: int
    first: int
    """``frame.number`` of its first packet in `source`."""
    tls: bool
    """The frames were found under TLS."""
    frames: list[int]
    messages: int = 0
    reasons: tuple[str, ...] = ()
    """Why Wireshark may see it differently, the likeliest first."""
    message_reason: str = ""


@dataclass(slots=True)
class Tally:
    """Counts frames and messages while a diagnosis is made: pass `closed` and `on_call` to it."""

    connections: dict[int, Counted] = field(default_factory=dict)
    """Those that carried HTTP/2, by index."""
    _messages: dict[int, int] = field(default_factory=dict)
    _doubts: dict[int, str] = field(default_factory=dict)

    def on_call(self, call: Call, _findings: list[Finding]) -> None:
        """Count the messages of a call that is over (`wirecase.pipeline.OnCall`)."""
        index = call.session.index
        for body in (call.request_body, call.response_body):
            if body is None:
                continue
            if body.messages:
                self._messages[index] = self._messages.get(index, 0) + body.messages
            if index not in self._doubts and (doubt := _doubt(call, body.bad is not None, body.lost)):
                self._doubts[index] = doubt

    def closed(self, session: Session) -> None:
        """Take the frames of a connection that is over (`wirecase.pipeline.Closed`)."""
        firsts = [side.first for side in session.tcp.sides if side.first is not None]
        if session.protocol != "h2" or not firsts:
            return
        first = min(firsts, key=lambda mark: (mark.source, mark.packet))
        frames = [0] * len(NAMES)
        for half in session.h2.halves:
            for kind, count in enumerate(half.frames.by_type):
                frames[kind] += count
            frames[-1] += half.frames.unknown
        self.connections[session.index] = Counted(
            session.ref, first.source, first.packet, _under_tls(session), frames, reasons=tuple(_reasons(session))
        )

    def finish(self) -> list[Counted]:
        """Return the connections with their messages."""
        for index, one in self.connections.items():
            one.messages = self._messages.get(index, 0)
            one.message_reason = self._doubts.get(index, "")
        return list(self.connections.values())


def _under_tls(session: Session) -> bool:
    """Tell whether HTTP/2 was read out of TLS records."""
    return session.protocol == "h2" and session.tls is not None


def http2_ports(session: Session) -> set[int]:
    """Return the server's port if the connection carries HTTP/2 in cleartext: Wireshark has to be told."""
    clear = session.protocol == "h2" and not _under_tls(session)
    return {int(session.ref.server.rpartition(":")[2])} if clear else set()


def _doubt(call: Call, bad: bool, lost: bool) -> str:
    """Say why Wireshark may count the messages of a call differently."""
    if call.session.has_gaps:
        return "bytes are missing from the capture, and message boundaries may be lost with them"
    if lost:
        return "what came before the capture began hides message boundaries, or header fields that Wireshark needs"
    if bad:
        return "a body is not made of gRPC messages: Wireshark reads lengths out of it"
    return ""


def _reasons(session: Session) -> Iterable[str]:
    if session.has_gaps:
        yield "bytes are missing from the capture, and each finds back into the frames in its own way"
    if not session.from_start:
        yield "the capture begins in the middle of the connection"
    h2 = session.h2
    if any(half.hpack_error for half in h2.halves):
        yield "a header block does not decode"
    if any(half.stray for half in h2.halves):
        yield "the frame boundaries are lost"
    if any(kind in ("frame-size", "fixed-size") for kind, _ in h2.violations_seen):
        yield "a frame has an illegal length"
    if h2.upgraded:
        yield "HTTP/2 began by an upgrade of HTTP/1.1"
    if any(side.retransmissions or side.duplicate or side.mirrored for side in session.tcp.sides):
        yield "segments were captured more than once"
    if any(side.reordered for side in session.tcp.sides):
        yield "segments were captured out of order"
    if any(half.unfinished for half in h2.halves):
        yield "a frame is not whole at the end"
    if h2.violations_seen:
        yield "a peer breaks the rules of HTTP/2, and each goes on behind that in its own way"


def cross_check(
    diagnosis: Diagnosis,
    tally: Tally,
    program: Tshark,
    *,
    keylogs: Sequence[str] = (),
    preferences: Sequence[str] = (),
    stop: Callable[[], bool] | None = None,
) -> CrossCheck:
    """Compare what `tally` counted with Wireshark's counts of the same files.

    A file that tshark cannot read is noted. Raises `wirecase.errors.InputError` if a key log cannot be read.
    """
    counted = [one for one in tally.finish() if diagnosis.sources[one.source].form is None]
    clear = {_port(one) for one in counted if not one.tls}
    theirs: list[tshark.TsharkCounts] = []
    notes: list[str] = []
    with one_keylog(keylogs) as keylog:
        for source in diagnosis.sources:
            if source.form is not None:
                theirs.append(tshark.TsharkCounts())
                notes.append(f"{source.path}: Wireshark does not read {source.form.name}")
                continue
            try:
                told = tshark.count(
                    program, source.path, ports=clear, keylog=keylog, preferences=preferences, stop=stop
                )
            except TsharkError as error:
                told = tshark.TsharkCounts(problem=str(error))
            if told.problem:
                notes.append(told.problem)
            theirs.append(told)
    return _compare(program.name, diagnosis.connections, counted, theirs, notes)


def _port(one: Counted) -> int:
    return int(one.ref.server.rpartition(":")[2])


@contextmanager
def one_keylog(keylogs: Sequence[str]) -> Iterator[str | None]:
    """Give one file with all keys of files and folders, since Wireshark takes only one; None without any.

    Raises `InputError` if one of them cannot be read.
    """
    if len(keylogs) < 2 and not any(map(os.path.isdir, keylogs)):
        yield next(iter(keylogs), None)
        return
    with tempfile.NamedTemporaryFile(prefix="wirecase-keys-") as joined:
        for name in (one for named in keylogs for one in _files(named)):
            try:
                with open(name, "rb") as file:
                    while piece := file.read(1 << 20):
                        joined.write(piece)
            except OSError as error:
                raise InputError(f"{shown(name)}: the key log cannot be read: {error.strerror}") from error
            joined.write(b"\n")
        joined.flush()
        yield joined.name


def _files(name: str) -> list[str]:
    if not os.path.isdir(name):
        return [name]
    inside = [os.path.join(name, one) for one in sorted(os.listdir(name))]
    return [one for one in inside if os.path.isfile(one)]


def _compare(
    engine: str, connections: int, counted: list[Counted], theirs: list[tshark.TsharkCounts], notes: list[str]
) -> CrossCheck:
    streams = {(source, one.first): one for source, told in enumerate(theirs) for one in told.streams.values()}
    frames = [Compared(0, 0) for _ in NAMES]
    messages = Compared(0, 0)
    differences: list[Difference] = []
    for one in counted:
        other = streams.pop((one.source, one.first), None)
        there = other or tshark.StreamCounts(one.first)
        for place, both in enumerate(frames):
            both.add(one.frames[place], there.frames[place])
        messages.add(one.messages, there.messages)
        differences += _differences(one, there, known=other is not None)
    for (source, first), other in streams.items():
        if any(other.frames):
            differences.append(
                Difference(None, source, first, "frames", 0, sum(other.frames), "wirecase does not take it for HTTP/2")
            )
            for place, both in enumerate(frames):
                both.add(0, other.frames[place])
            messages.add(0, other.messages)
    total = Compared(sum(both.ours for both in frames), sum(both.theirs for both in frames))
    return CrossCheck(
        engine,
        Compared(connections, sum(len(told.streams) for told in theirs)),
        total,
        messages,
        {name: both for name, both in zip(NAMES, frames, strict=True) if both.ours or both.theirs},
        differences[:MOST_DIFFERENCES],
        len(differences),
        sum(not one.reason for one in differences),
        notes,
    )


def _differences(one: Counted, there: tshark.StreamCounts, *, known: bool) -> Iterable[Difference]:
    ours, theirs = sum(one.frames), sum(there.frames)
    reason = one.reasons[0] if one.reasons else ""
    if one.tls and not theirs:
        reason = "Wireshark goes by ALPN and reads key logs strictly, and found no HTTP/2 under this TLS"
    if not known:
        reason = reason or "Wireshark has no stream that begins with this packet"
    if one.frames != there.frames:
        yield Difference(one.ref, one.source, one.first, "frames", ours, theirs, reason)
    if one.messages != there.messages:
        yield Difference(
            one.ref, one.source, one.first, "messages", one.messages, there.messages, one.message_reason or reason
        )
