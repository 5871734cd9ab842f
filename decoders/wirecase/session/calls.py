"""From streams to calls: what is gRPC, how each call ended, and which calls a rule need not look at.

A healthy call costs one pass through `CallTracker.closed` and is forgotten. To make that cheap, what a header block
says about gRPC is worked out once per distinct block (`RequestView`, `ResponseView`) and kept with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wirecase.grpc.compression import Budget
from wirecase.grpc.messages import MessageReader, are_plain_messages
from wirecase.grpc.status import is_status, status_name
from wirecase.http2.facts import HEADERS, HeaderBlock, HeadersFrame, Stream
from wirecase.http2.ordinary import ODD, REQUEST, RESPONSE, TRAILERS, Exchange
from wirecase.model import CLIENT, SERVER, CallTotals, Marks
from wirecase.session.call import Call, Ending
from wirecase.session.session import Session
from wirecase.session.views import WEIGHTY, RequestView, ResponseView, weigh_binary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wirecase.grpc.schema import Method, Schema
    from wirecase.http2.kept import Kept

_PLAIN = (None, b"identity")
_PATHS = 64
"""Paths of a connection that are kept."""
_BENIGN_AFTER_END = (0, 8)
"""NO_ERROR and CANCEL behind a complete response: how peers say that they are done (RFC 9113 §8.1)."""


@dataclass(slots=True)
class CallLog:
    """What the calls of the whole run share."""

    budget: Budget = field(default_factory=Budget)
    totals: CallTotals = field(default_factory=CallTotals)
    statuses: Counter[bytes | str | None] = field(default_factory=Counter)
    """Raw grpc-status -> calls that ended with it."""
    other_kinds: Counter[str] = field(default_factory=Counter)
    """Calls of gRPC-Web and Connect, which are named and not judged."""
    trackers: list[CallTracker] = field(default_factory=list)
    """Those that hold calls without a number."""
    suspicious: list[Call] = field(default_factory=list)
    """Closed calls that the rules must see."""
    others: list[Call] | None = None
    """All other closed calls, where somebody wants to see every call: no exchange is counted as ordinary then."""
    schema: Schema | None = None
    """Types and methods, where somebody gave them: payloads are then looked into, and no exchange is ordinary."""
    looks: Budget = field(default_factory=Budget)
    """What may be inflated only to be looked at, with a schema."""
    numbered: int = 0
    room: int = 24 << 20
    """Bytes of memory that ranges of ordinary calls may hold between two batches, roughly."""
    _held: list[Kept] = field(default_factory=list)
    """Ranges of ordinary calls whose bytes are still in memory, oldest first."""

    def number(self) -> None:
        """Give the calls opened since the last time their index, in the order of their request headers."""
        trackers, self.trackers = self.trackers, []
        opened: list[Opened] = []
        kept: list[Kept] = []
        for tracker in trackers:
            mine, ranges = tracker.take_opened()
            opened += mine
            kept += ranges
        if kept:
            self._number_many(opened, kept)
            self._make_room(kept)
            return
        opened.sort(key=_place)
        for index, (_, _, call) in enumerate(opened, self.numbered):
            _set_index(call, index)
        self.numbered += len(opened)

    def _number_many(self, opened: list[Opened], kept: list[Kept]) -> None:
        """The same where calls were recognised in columns; all of them stand in the same batch of packets."""
        import numpy as np

        source = kept[0].source
        earlier = sorted((entry for entry in opened if entry[0].source != source), key=_place)
        for index, (_, _, call) in enumerate(earlier, self.numbered):  # held back since the source before
            _set_index(call, index)
        self.numbered += len(earlier)
        opened = [entry for entry in opened if entry[0].source == source]
        places = [_place(entry)[1:] for entry in opened]
        single: NDArray[np.int64] = np.array(places, dtype=np.int64).reshape(-1, 2)
        packets, offsets = np.concatenate([single, *(many.places for many in kept)]).T
        rank = np.empty(len(packets), dtype=np.int64)
        rank[np.lexsort((offsets, packets))] = np.arange(self.numbered, self.numbered + len(packets))
        for (_, _, call), index in zip(opened, rank.tolist(), strict=False):
            _set_index(call, index)
        at = len(opened)
        for many in kept:
            many.number(rank[at : at + len(many)])
            at += len(many)
        self.numbered += len(packets)

    def _make_room(self, kept: list[Kept]) -> None:
        """Bound what ranges hold: of those that may still be asked for, only the newest are kept as they are."""
        held = [many for many in (*self._held, *kept) if many.size]
        room = self.room
        for many in reversed(held):
            room -= many.size
            if room < 0:
                many.settle()
        self._held = [many for many in held if many.size]

    @property
    def held(self) -> int:
        """Bytes of memory that such ranges hold now."""
        return sum(many.size for many in self._held)

    def by_status(self) -> dict[str, int]:
        """Return the calls by the name of their grpc-status."""
        named: Counter[str] = Counter()
        for raw, count in self.statuses.items():
            if raw is None:
                name = "none"
            elif isinstance(raw, str):
                name = raw
            else:
                name = status_name(int(raw)) if is_status(raw) else "malformed"
            named[name] += count
        return {name: count for name, count in sorted(named.items()) if count}


Opened = tuple[Marks, int, "Call | Exchange"]
"""(marks, stream offset of the request's HEADERS, the call)."""


def _place(opened: Opened) -> tuple[int, int, int]:
    mark = opened[0].at(opened[1])
    return (mark.source, mark.packet, mark.offset)


def _set_index(call: Call | Exchange, index: int) -> None:
    call.index = index
    if isinstance(call, Exchange) and call.call is not None:
        call.call.index = index


class CallTracker:
    """The calls of one connection; told of streams by the HTTP/2 walk (`wirecase.http2.streams.StreamEvents`)."""

    def __init__(self, session: Session, log: CallLog, wanted: Callable[[Call], bool] | None = None) -> None:
        self._session = session
        self._log = log
        self._wanted = wanted
        """Says which calls are to be judged; None for all."""
        self._opened: list[Opened] = []
        self._kept: list[Kept] = []

    def take_opened(self) -> tuple[list[Opened], list[Kept]]:
        """Hand over the calls opened since the last time."""
        opened, self._opened = self._opened, []
        kept, self._kept = self._kept, []
        return opened, kept

    def _note_opened(self, marks: Marks, offset: int, call: Call | Exchange) -> None:
        if not self._opened and not self._kept:
            self._log.trackers.append(self)
        self._opened.append((marks, offset, call))
        self._session.calls_seen += 1

    # ---- ordinary exchanges ------------------------------------------------------------------------------------

    is_ordinary_body = staticmethod(are_plain_messages)

    def weigh(self, name: bytes) -> Callable[[bytes], bytes] | None:
        """Say what of a field's value `RequestView` and `ResponseView` look at to tell whether a block is clean."""
        return weigh_binary if name.endswith(b"-bin") else WEIGHTY.get(name)

    def grade(self, block: HeaderBlock, side: int) -> int:
        """Say which part of an ordinary call a block can be."""
        if self._wanted is not None or self._log.others is not None or self._log.schema is not None:
            return ODD
        if side == CLIENT:
            asked = block.view = RequestView(block)
            self._note_path(asked)
            return REQUEST if asked.clean and asked.kind == "grpc" and asked.encoding in _PLAIN else ODD
        told = block.view = ResponseView(block)
        if not told.clean or told.informational:
            return ODD
        if block.status is None:
            return TRAILERS if told.ok else ODD
        return RESPONSE if told.status is None and told.encoding in _PLAIN else ODD

    def begun(self, exchange: Exchange, marks: Marks, offset: int) -> None:
        """Count an ordinary call."""
        self._note_opened(marks, offset, exchange)

    def completed(self, exchange: Exchange) -> None:
        """A call was ordinary to its end."""
        self._count_ok(1)

    def completed_all(self, kept: Kept) -> None:
        """Many calls were ordinary from beginning to end."""
        if not self._opened and not self._kept:
            self._log.trackers.append(self)
        self._kept.append(kept)
        self._session.calls_seen += len(kept)
        self._count_ok(len(kept))

    def recalled(self) -> None:
        """One of them was not, after all."""
        self._count_ok(-1)

    def _count_ok(self, count: int) -> None:
        log, session = self._log, self._session
        log.totals.total += count
        log.totals.ok += count
        log.statuses[b"0"] += count
        session.calls_matched += count
        session.calls_ok += count

    # ---- streams -----------------------------------------------------------------------------------------------

    def headers(self, stream: Stream, frame: HeadersFrame) -> None:
        """Take a header block of `stream`."""
        block = frame.block
        if frame.side == CLIENT:
            if frame is stream.headers[0]:
                view = block.view
                if view is None:
                    view = block.view = RequestView(block)
                if stream.call is not None:  # the response was captured before its request
                    self._set_request(stream.call, view)
                elif view.kind != "http":
                    self._open(stream, view)
            return
        view = block.view
        if view is None:
            view = block.view = ResponseView(block)
        if view.informational:
            return
        call = stream.call
        if call is None:
            if view.kind != "grpc" and not (stream.seen_start is False and block.unknown):
                return
            call = self._open(stream, None)
            call.kind = "grpc" if view.kind == "grpc" else "unknown"
        if call.response_body is None:
            body = call.response_body = self._reader(SERVER, call)
            body.encoding = view.encoding
            body.web = view.kind == "grpc-web"
            if call.kind == "unknown" and view.kind == "grpc":
                call.kind = "grpc"
            stream.bodies[SERVER] = body

    def _open(self, stream: Stream, view: RequestView | None) -> Call:
        call = Call(self._session, stream, -1, view.kind if view else "unknown")
        stream.call = call
        if view is not None:
            self._set_request(call, view)
        else:  # its request headers, and so the beginning of its body, are not in the capture
            body = call.request_body = stream.bodies[CLIENT] = self._reader(CLIENT, call)
            body.lost = True
        exchange = stream.exchange
        if exchange is None:
            first = stream.headers[0].frame
            self._note_opened(first.marks, first.offset, call)
        else:
            call.index = exchange.index
            exchange.call = call
        return call

    def _set_request(self, call: Call, view: RequestView) -> None:
        """Take what a request's headers say."""
        if view.kind not in ("http", "unknown"):
            call.kind = view.kind
        self._note_path(view)
        call.path = view.path
        call.authority = view.authority
        if self._log.schema is not None:
            call.method = self._log.schema.method(view.path)
        body = call.request_body = call.stream.bodies[CLIENT] = self._reader(CLIENT, call)
        body.encoding = view.encoding
        body.web = view.kind == "grpc-web"

    def _reader(self, side: int, call: Call) -> MessageReader:
        if call.method is not None and self._log.schema is not None:
            from wirecase.grpc.checking import CheckedReader

            kind = self._log.schema.type_of(call.path, side)
            if kind is not None:
                digest = self._log.others is not None
                return CheckedReader(side, self._log.budget, self._log.schema, kind, self._log.looks, digest=digest)
        # Where every call is looked at, its bodies are told apart as well.
        return MessageReader(side, self._log.budget, digest=self._log.others is not None)

    def _note_path(self, view: RequestView) -> None:
        paths = self._session.paths
        if view.path is not None and len(paths) < _PATHS:
            paths.add(view.path)

    def ended(self, stream: Stream, side: int) -> None:
        """Make a body small: it is kept until its call is closed, and judged."""
        body = stream.bodies[side]
        if body is not None:
            body.ended()

    def closed(self, stream: Stream) -> None:
        """Judge the call of a stream of which nothing more will be known."""
        call = stream.call
        if call is None:
            return
        stream.call = None  # a call and its stream must not keep each other alive
        log = self._log
        kind = call.kind
        if self._wanted is not None and not self._wanted(call):
            return
        if kind != "grpc" and kind != "unknown":
            log.other_kinds[kind] += 1
            self._show(call)
            return
        totals = log.totals
        totals.total += 1
        self._session.calls_matched += 1
        if self._healthy(call):
            totals.ok += 1
            log.statuses[b"0"] += 1
            self._session.calls_ok += 1
            self._show(call)
            return
        self._conclude(call)
        status = "unknown" if call.status_hidden else call.status_text
        log.statuses[status] += 1
        statuses = self._session.statuses
        statuses[status] = statuses.get(status, 0) + 1
        log.suspicious.append(call)

    def _show(self, call: Call) -> None:
        """Keep a call that no rule looks at for whoever wants to see every call."""
        if self._log.others is not None:
            self._conclude(call)
            self._log.others.append(call)

    def _healthy(self, call: Call) -> bool:
        """Tell whether no rule can have anything to say about a call."""
        stream = call.stream
        blocks = stream.headers
        count = len(blocks)
        if stream.resets and any(reset.code not in _BENIGN_AFTER_END for reset in stream.resets):
            return False
        if not (count == 3 or count == 2) or stream.ended_by[SERVER] != HEADERS or not stream.seen_start:
            return False
        request, last = blocks[0], blocks[-1]
        if request.side != CLIENT or last.side != SERVER or call.kind != "grpc":
            return False
        asked: RequestView = request.block.view
        told: ResponseView = last.block.view
        if not (asked.clean and told.clean and told.ok) or stream.padded[0] or stream.padded[1]:
            return False
        sent, got = call.request_body, call.response_body
        if sent is None or got is None:
            return False
        if call.method is not None and breaks_schema(call.method, sent, got):
            return False
        if got.largest is not None and any(reset.side == CLIENT for reset in stream.resets):
            return False  # a complete answer, thrown away: perhaps for its size
        if not got.bytes and sent.messages == 1:
            return False  # no message: an error for a unary method
        if count == 2:
            if last.block.status is None:  # trailers without response headers, or the request's own trailers
                return False
        else:
            opened = blocks[1]
            view: ResponseView = opened.block.view
            if opened.side != SERVER or opened.end_stream or opened.block.status != b"200" or last.block.status:
                return False
            if not view.clean or view.status is not None:
                return False
            encoding = view.encoding
            if (
                encoding is not None
                and encoding != b"identity"
                and (asked.accept is None or encoding not in asked.accept)
            ):
                return False
        return _sound(sent) and _sound(got) and (stream.ended[CLIENT] or bool(stream.resets))

    def _conclude(self, call: Call) -> None:
        """Settle how a call ended."""
        for body in (call.request_body, call.response_body):
            if body is not None:
                body.finish()
        call.ending = self._ending(call)

    def _ending(self, call: Call) -> Ending:
        stream, session = call.stream, self._session
        reset = stream.resets[0] if stream.resets else None
        answered = call.response is not None
        if stream.ended[SERVER]:
            closing = stream.ending[SERVER]
            mark = closing.mark if closing else stream.last_mark(SERVER)
            if stream.ended_by[SERVER] != HEADERS:
                return Ending("data", SERVER, mark, reset)
            return Ending("trailers-only" if call.response is call.trailers else "trailers", SERVER, mark, reset)
        for goaway in session.h2.goaways:
            if goaway.side != SERVER or stream.id <= goaway.last_stream or answered:
                continue
            if reset is None or goaway.excerpt.mark.packet <= reset.excerpt.mark.packet:
                return Ending("goaway", SERVER, goaway.excerpt.mark, reset)
        end = session.first_end()
        if reset is not None and (end is None or end[0] == reset.side or end[2][:3] > reset.excerpt.mark[:3]):
            return Ending("rst", reset.side, reset.excerpt.mark, reset)
        # A reset behind the other side's FIN or RST of TCP is only the answer to it.
        if end is not None and not session.h2.halves[SERVER].gaps:
            side, how, mark = end
            return Ending("fin" if how == "fin" else "tcp-rst", side, mark, reset)
        return Ending("open", None, None)


def breaks_schema(method: Method, sent: MessageReader, got: MessageReader) -> bool:
    """Tell whether a call that ended well has other messages than its method's: too many, too few, or no such ones."""
    for body, streams in ((sent, method.client_streams), (got, method.server_streams)):
        if not streams and body.messages != 1:
            return True
        if not body.well_typed:
            return True
    return False


def _sound(body: MessageReader) -> bool:
    """Nothing odd in a body, and it ends where a message does."""
    if body.compressed and (body.encoding is None or body.encoding == b"identity"):
        return False
    return body.bad is None and not body.lost and not body.inflations and body.pending() is None
