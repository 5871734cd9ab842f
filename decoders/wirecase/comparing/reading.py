"""One reading of a capture: its calls, each drawn down to what a comparison asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from wirecase import pipeline
from wirecase.comparing.model import Block, LegBody, LegCall
from wirecase.http2.facts import HeadersFrame
from wirecase.model import CLIENT, SERVER, CallTotals, Diagnosis, Excerpt, Finding
from wirecase.rules.legs import MOST_CALLS, LegBook, print_of
from wirecase.session.call import Call
from wirecase.session.session import Session

ROOM = 64 << 20
"""Bytes of header lists that are kept of one capture."""
_FIELDS = 256
_VALUE = 8192


@dataclass(slots=True)
class LegCapture:
    """The calls of one capture."""

    diagnosis: Diagnosis
    calls: list[LegCall] = field(default_factory=list)
    """In the order of their numbers; copies of connections that were captured twice are left out."""
    seen: int = 0
    beyond: int = 0
    """Calls that were not kept, since there were too many."""
    unmatchable: int = 0
    """Calls of which too little is known: their beginning is not in the capture."""

    @property
    def clear(self) -> bool:
        """Nothing hides calls: no holes, nothing that could not be read."""
        skipped = self.diagnosis.accounting.skipped
        hidden = any(name.startswith(("TLS", "no TLS")) for name in skipped)
        lost = any(finding.rule.startswith("obs-gap") for finding in self.diagnosis.findings)
        return not (hidden or lost or self.diagnosis.damaged or self.beyond or self.unmatchable)

    def covers(self, time: int) -> bool:
        """Tell whether the capture ran at `time`, ns by its own clock."""
        firsts = [info.first for info in self.diagnosis.sources if info.first is not None]
        lasts = [info.last for info in self.diagnosis.sources if info.last is not None]
        return bool(firsts) and min(firsts) <= time <= max(lasts)


def read(options: pipeline.Options, progress: pipeline.Progress | None, stop: Callable[[], bool] | None) -> LegCapture:
    """Read a capture; raises as `wirecase.pipeline.diagnose` does."""
    book = LegBook()
    taken: list[LegCall] = []
    counts = Counter[str]()
    room = ROOM

    def on_call(call: Call, named: list[Finding]) -> None:
        nonlocal room
        counts["seen"] += 1
        if len(taken) >= MOST_CALLS or room < 0:
            counts["beyond"] += 1
            return
        leg = draw(call, named)
        if leg is None:
            counts["unmatchable"] += 1
            return
        room -= sum(frame.block.list_size for frame in call.stream.headers)
        taken.append(leg)

    def closed(session: Session) -> None:
        book.session(session)

    diagnosis = pipeline.diagnose(options, progress=progress, stop=stop, on_call=on_call, closed=closed)
    copies = book.conclude(CallTotals(), Counter()).connections
    calls = sorted((one for one in taken if one.ref.index not in copies), key=lambda one: one.call)
    return LegCapture(diagnosis, calls, counts["seen"], counts["beyond"], counts["unmatchable"])


def draw(call: Call, named: Iterable[Finding] = ()) -> LegCall | None:
    """Draw a closed call with the findings that it takes part in; None if too little is known of its request."""
    status = call.grpc_status
    mark = print_of(call, "ok" if status == 0 else "failed")
    ending = call.ending
    if mark is None or ending is None:
        return None
    stream, session = call.stream, call.session
    response, trailers = call.response, call.trailers
    code: int | None = None
    last: Excerpt | None = None
    if ending.how in ("trailers", "trailers-only", "data"):
        last = stream.ending[SERVER]
    elif ending.how == "rst" and ending.reset is not None:
        code, last = ending.reset.code, ending.reset.excerpt
    elif ending.how == "goaway":
        goaway = next((one for one in session.h2.goaways if one.excerpt.mark == ending.mark), None)
        if goaway is not None:
            code, last = goaway.code, goaway.excerpt
    drawn = _block(response)
    asked = stream.ending[CLIENT]
    return LegCall(
        mark, session.ref, call.started, _block(call.request), drawn,
        drawn if trailers is response else _block(trailers), call.http_status, status, ending.how, ending.by,
        ending.mark, code, last, _body(call, CLIENT), _body(call, SERVER), asked.mark.time if asked else None,
        call.blurred, _faults_of_server(named),
    )  # fmt: skip


def _faults_of_server(named: Iterable[Finding]) -> tuple[str, ...]:
    sure = (one for one in named if one.severity == "error" and one.certainty == "certain")
    return tuple(dict.fromkeys(one.rule for one in sure if one.who == ["server"]))


def _block(frame: HeadersFrame | None) -> Block | None:
    if frame is None:
        return None
    fields = tuple((name, None if value is None else value[:_VALUE]) for name, value in frame.block.fields[:_FIELDS])
    return Block(fields, frame.block.unknown or frame.block.truncated, frame.excerpt)


def _body(call: Call, side: int) -> LegBody:
    body = call.request_body if side == CLIENT else call.response_body
    stream = call.stream
    made = LegBody(frames=stream.data_frames[side], complete=stream.ended[side])
    if body is None:
        made.digest = 0 if not stream.data_bytes[side] and not call.blurred else None
        return made
    made.size, made.messages, made.compressed = body.bytes, body.messages, body.compressed
    made.digest = None if body.lost else body.digest
    if body.bad is not None:
        made.foreign = body.bad.excerpt
    return made
