"""From a capture to a plan: a reading that finds the fault, and a second one that records the connections with it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from wirecase import pipeline
from wirecase.case.carry import HPACK_RULES
from wirecase.case.manifest import read_manifest
from wirecase.errors import InputError
from wirecase.http2.facts import ACK, END_STREAM, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE
from wirecase.http2.recorder import FrameRecorder
from wirecase.http2.sync import PREFACE
from wirecase.model import CLIENT, SERVER, Finding, StreamListener
from wirecase.replay.plan.acts import (
    Act,
    Data,
    End,
    Frame,
    Headers,
    More,
    Raw,
    RecordedCall,
    RecordedConnection,
)
from wirecase.replay.plan.anchors import anchor, mark_credit
from wirecase.replay.plan.messages import MessageCount
from wirecase.replay.plan.plan import CannotReplayError, Plan
from wirecase.replay.plan.scout import CREDIT, NOT_SERVED, Choice, Scout, choose, ends_connection, is_fault
from wirecase.replay.plan.store import Store
from wirecase.replay.plan.tap import Tap
from wirecase.replay.plan.tape import Tape
from wirecase.session.call import Call
from wirecase.session.decoder import ConnectionDecoder
from wirecase.session.session import Session

_QUIET = 1_000_000_000
"""ns without an answer after which a PING counts as unanswered."""
_REFUSED_STREAM = 7


def read_plan(
    path: str,
    finding: str | None = None,
    call: int | None = None,
    ports: Sequence[int] = (),
    *,
    keylogs: Sequence[str] = (),
    serve: bool = True,
) -> Plan:
    """Read the capture or case at `path` and return what a server does to replay it.

    Without `serve` the client's side is wanted: what no server could show is no reason to refuse.

    Without `finding` (``F1`` …) or `call` (a number) it is everything that went wrong on the leg that the client saw;
    where nothing did, all of it. Raises CannotReplayError, in one line, where nothing can be replayed, InputError where
    nothing can be read, UsageError for a finding or call that is not there.
    """
    if path == "-" or (os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)):
        raise CannotReplayError("a replay reads its capture twice: give a file, no pipe")
    options = pipeline.Options([path], keylogs=list(keylogs), ports=list(ports))
    scout = Scout(wanted=call)
    found = pipeline.diagnose(options, on_call=scout.on_call, closed=scout.closed)
    choice = choose(found, scout, finding=finding, call=call, serve=serve)
    wanted: dict[int, frozenset[int] | None] = dict(choice.connections)
    healthy = {key: kept for key, kept in scout.healthy.items() if key[0] == choice.server}
    for kept in healthy.values():
        for one in kept:
            streams = wanted.get(one.connection, frozenset())
            if streams is not None:
                wanted[one.connection] = streams | {one.stream}
    plan = Plan(path, choice.server, [], findings=choice.findings, headline=found.verdict.headline)
    reader = _Reader(options, wanted, plan.store)
    recorded = reader.read()
    # Taken before the problem session is narrowed to what was chosen: they may stand on the same connection.
    held = {index: dict(made.calls) for index, made in recorded.items()}
    _assemble(plan, choice, recorded, reader, scout)
    for kept in healthy.values():
        for one in kept:
            answer = held.get(one.connection, {}).get(one.stream)
            if answer is None or any(act.faulty for act in answer.acts):
                continue  # a fault of its connection lies in it
            if answer.ended and answer.refused is None:
                plan.healthy.setdefault(one.path, []).append(answer)
    plan.redacted = _is_redacted(path)
    if plan.redacted:
        plan.notes.append(("redacted", "the case's payloads are redacted: the client gets fillers where values stood"))
    if serve:
        _check(plan)
    return plan


class _Reader:
    """A second reading, which records some connections."""

    def __init__(self, options: pipeline.Options, wanted: dict[int, frozenset[int] | None], store: Store) -> None:
        self._options = options
        self._wanted = wanted
        """Connection -> the streams to record, None for all."""
        self._store = store
        self.tapes: dict[int, Tape] = {}
        self._calls: dict[tuple[int, int], tuple[int, int | None, bool]] = {}
        """(connection, stream) -> (number, grpc-status, never processed)."""

    def _record(self, session: Session) -> FrameRecorder | None:
        if session.index not in self._wanted:
            return None
        tape = self.tapes[session.index] = Tape(session, self._store, self._wanted[session.index])
        return tape

    def _listen(self, session: Session, decoder: ConnectionDecoder) -> StreamListener:
        tape = self.tapes.get(session.index)
        return decoder if tape is None else Tap(tape, decoder)

    def _on_call(self, call: Call, findings: list[Finding]) -> None:
        if call.session.index in self._wanted:
            above = call.ending is not None and call.ending.how == "goaway"
            self._calls.setdefault((call.session.index, call.stream.id), (call.index, call.grpc_status, above))

    def read(self) -> dict[int, RecordedConnection]:
        """Read the sources again; return the wanted connections."""
        pipeline.diagnose(self._options, record=self._record, on_call=self._on_call, listen=self._listen)
        return {index: self._connection(tape) for index, tape in self.tapes.items()}

    def _connection(self, tape: Tape) -> RecordedConnection:
        session = tape.session
        made = RecordedConnection(
            session.index, session.client.address, session.server.address, session.protocol, session.first_time or 0,
            acts=tape.acts(), late=(_is_late(session, CLIENT), _is_late(session, SERVER)),
            upgraded=session.h2.upgraded,
        )  # fmt: skip
        for act in made.acts:
            if act.side == CLIENT and isinstance(act, Headers) and act.stream not in made.calls:
                place = (session.index, act.stream)
                known = self._calls.get(place)
                if known is not None:
                    path = (act.get(b":path") or b"").decode("latin-1")
                    made.calls[act.stream] = RecordedCall(
                        known[0], session.index, act.stream, path, act.time, request=act.fields
                    )
        if made.late[CLIENT]:
            _keep(made, [act for act in made.acts if not act.stream or act.stream in made.calls])
        anchor(made)
        for call in made.calls.values():
            self._describe(call, tape)
        _habits(made)
        return made

    def _describe(self, call: RecordedCall, tape: Tape) -> None:
        """Say how a call went."""
        _, call.status, above = self._calls[call.connection, call.stream]
        digest, count = hashlib.sha256(), MessageCount()
        for act in call.asked:
            if isinstance(act, Data | More):
                data = act.body.read()
                digest.update(data)
                count.feed(data)
        call.request_messages, call.request_digest = count.whole, digest.hexdigest()
        call.ended = any(_ends(act) for act in call.acts)
        refused = any(
            isinstance(act, Frame) and act.kind == RST_STREAM and act.payload == _REFUSED_STREAM.to_bytes(4, "big")
            for act in call.acts
        )
        silent = all(isinstance(act, Frame) and act.kind == WINDOW_UPDATE for act in call.acts)
        call.unprocessed = refused or (above and silent)
        last = call.acts[-1].time if call.acts else call.started
        if tape.damaged or any(call.started < hole and (not call.ended or hole <= last) for hole in tape.holes):
            call.refused = "a part of its answer is missing from the recording"
        first = call.acts[0] if call.acts else None
        if isinstance(first, Data | More):
            call.refused = call.refused or "the beginning of its answer is not in the recording"


def _speaks(made: RecordedConnection) -> bool:
    """Tell whether the server sent any frame."""
    return any(act.side == SERVER and isinstance(act, Frame | Headers | Data) for act in made.acts)


def _is_late(session: Session, side: int) -> bool:
    """Tell whether the beginning of a side's frames is not in the recording."""
    half = session.h2.halves[side]
    if not half.joined_late or session.tcp.syn_seen:
        return False
    first = half.first_frame
    return half.preface is None and (first is None or first[0] != SETTINGS or first[1].mark.offset > 0)


def _ends(act: Act) -> bool:
    if isinstance(act, Headers):
        return act.end_stream
    return isinstance(act, Data) and bool(act.flags & END_STREAM)


def _habits(made: RecordedConnection) -> None:
    """Note how the server treated SETTINGS and PING, which a live server answers as they come."""
    frames = [act for act in made.acts if isinstance(act, Frame)]
    pings, replies = _asked(frames, PING)
    settings, acks = _asked(frames, SETTINGS)
    whole = any(isinstance(act, Raw) and act.side == CLIENT and PREFACE in act.data for act in made.acts)
    if not whole or any(made.late):
        return
    for surplus in (replies[len(pings) :], acks[len(settings) :]):
        for act in surplus:  # nobody asked for them: a flood
            act.faulty = True
    made.acks_settings = bool(acks) or not settings
    last = made.acts[-1].time
    if len(replies) < len(pings) and last - pings[len(replies)].time > _QUIET:
        made.acks_pings = len(replies)


def _asked(frames: list[Frame], kind: int) -> tuple[list[Frame], list[Frame]]:
    """Return the client's frames of a type that want an ACK, and the server's ACKs."""
    of_kind = [act for act in frames if act.kind == kind]
    asked = [act for act in of_kind if act.side == CLIENT and not act.flags & ACK]
    return asked, [act for act in of_kind if act.side == SERVER and act.flags & ACK]


def _assemble(
    plan: Plan, choice: Choice, recorded: dict[int, RecordedConnection], reader: _Reader, scout: Scout
) -> None:
    """Put the problem session together."""
    offsets = {index: tape.offsets for index, tape in reader.tapes.items()}
    for index, streams in choice.connections.items():
        made = recorded.get(index)
        if made is None:
            continue
        if streams is not None:
            _narrow(made, streams)
        made.turned_away = index in choice.turned_away
        plan.connections.append(made)
        if any(made.late):
            plan.notes.append(
                ("joined-late", f"the recording joined connection {index} late: its beginning is the replay's own")
            )
        for stream in sorted(reader.tapes[index].filled):
            plan.notes.append(
                ("filled", f"zeros stand where bytes of stream {stream} of connection {index} are missing")
            )
        rules = [one.rule for one in choice.findings if any(p.connection == index for p in one.occurrences)]
        made.recorded_credit = bool(CREDIT.intersection(rules))
        made.plain_headers = bool(HPACK_RULES.intersection(rules))
        if _speaks(made):
            made.acks_settings = made.acks_settings or "h2-settings-not-acked" not in rules
        else:
            made.acks_settings, made.acks_pings = False, 0
        made.survivable = not any(ends_connection(rule) for rule in rules)
        for rule in sorted(set(rules) & set(NOT_SERVED)):
            plan.notes.append(("left-out", f"{rule} on connection {index}: {NOT_SERVED[rule]}"))
    _faults(plan, scout, offsets)
    for made in plan.connections:
        mark_credit(made)
    plan.connections.sort(key=lambda one: (one.started, one.index))
    _retries(plan)


def _faults(plan: Plan, scout: Scout, offsets: dict[int, list[tuple[int, int, Act]]]) -> None:
    """Say which findings each call and connection carries."""
    by_identity = {(one.rule, one.connection, one.title): one for one in plan.findings}
    for call in plan.calls():
        named = [
            by_identity.get((one.rule, one.connection, one.title), one) for one in scout.named.get(call.number, [])
        ]
        call.findings = [one.id for one in named]
        call.faults = list(dict.fromkeys(one.rule for one in named if is_fault(one)))
    for made in plan.connections:
        for one in plan.findings:
            places = [place for place in one.occurrences if place.connection == made.index]
            if not places or any(place.call is not None for place in places) or not is_fault(one):
                continue
            if one.rule in NOT_SERVED:
                continue
            hit = [made.calls[place.stream] for place in places if place.stream in made.calls]
            for call in hit:
                if one.rule not in call.faults:
                    call.faults.append(one.rule)
            if one.rule not in made.faults:
                made.faults.append(one.rule)
            _mark(one, made, offsets[made.index])


def _mark(finding: Finding, made: RecordedConnection, offsets: list[tuple[int, int, Act]]) -> None:
    """Mark the acts that a finding on the connection rests on."""
    for shown in finding.evidence:
        if shown.role != "primary" or shown.direction != "server" or shown.offset is None:
            continue
        if not shown.length:  # an end of TCP, not bytes
            for act in made.acts:
                act.faulty = act.faulty or (isinstance(act, End) and act.side == SERVER and act.time == shown.time)
            continue
        for begin, stop, act in offsets:
            if begin <= shown.offset < stop:
                act.faulty = True


def _narrow(made: RecordedConnection, streams: frozenset[int]) -> None:
    """Keep some calls of a connection, and what the connection did until they were over."""
    made.calls = {stream: call for stream, call in made.calls.items() if stream in streams}
    whole = all(call.ended for call in made.calls.values())
    until = max((act.time for call in made.calls.values() for act in call.acts), default=0)
    kept = {call.number for call in made.calls.values()}
    acts = []
    for act in made.acts:
        if act.call is not None and act.call not in kept:
            continue
        if act.call is None and act.side == SERVER and whole and act.time > until:
            continue
        act.anchor.needs = tuple(need for need in act.anchor.needs if need.call in kept)
        acts.append(act)
    _keep(made, acts)


def _keep(made: RecordedConnection, acts: list[Act]) -> None:
    """Keep these acts of a connection, and no others."""
    made.acts = acts
    for number, act in enumerate(acts):
        act.order = number


def _retries(plan: Plan) -> None:
    """Find, for each call that was not processed, the recorded call that is its retry."""
    calls = sorted(plan.calls(), key=lambda call: call.started)
    taken: set[int] = set()
    for place, call in enumerate(calls):
        if not call.unprocessed:
            continue
        cut = not any(_ends(act) for act in call.asked)  # sent away before it had said all
        for later in calls[place + 1 :]:
            same = later.path == call.path and (cut or later.request_digest == call.request_digest)
            if same and later.number not in taken:
                call.retried_by = later.number
                taken.add(later.number)
                break


def _is_redacted(path: str) -> bool:
    try:
        manifest = read_manifest(path)
    except InputError:
        return False
    return bool(manifest.get("redaction", {}).get("payloads") != "keep")


def _check(plan: Plan) -> None:
    """Raise an error if nothing of the plan can be served."""
    shown = [act for made in plan.connections for act in made.acts if act.side == SERVER]
    asked = any(made.calls for made in plan.connections)
    if not shown and not asked:
        raise CannotReplayError("nothing can be replayed: the server's side of the connections is not in the capture")
    if not asked and not any(made.faults for made in plan.connections):
        raise CannotReplayError("nothing can be replayed: no whole request is in the capture")
    protocols = {made.protocol for made in plan.connections}
    if protocols == {"tls"} and not any(isinstance(act, Raw) for made in plan.connections for act in made.acts):
        raise CannotReplayError(
            "nothing can be replayed: the connections are TLS without keys; give a key log with --keylog"
        )
    calls = list(plan.calls())
    refused = [call for call in calls if call.refused is not None]
    for call in refused:
        plan.notes.append(("left-out", f"call {call.number} ({call.path}): {call.refused}"))
    if calls and len(refused) == len(calls):
        raise CannotReplayError(f"nothing can be replayed: call {refused[0].number}: {refused[0].refused}")
    for call in calls:
        unknown = [act for act in call.acts if isinstance(act, Headers) and act.unknown]
        if unknown:
            plan.notes.append(("assumed", f"call {call.number}: some fields of its headers are not in the recording"))
