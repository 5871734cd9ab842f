"""One gRPC connection, written frame by frame and fed through the real decoders, for rules to be asked about."""

from __future__ import annotations

import hpack

from wirecase.http2.facts import ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, SETTINGS
from wirecase.model import CLIENT, SERVER, Accounting, Mark, Marks
from wirecase.net.facts import Gap, TcpConnection, TcpSide
from wirecase.rules import ALL_RULES
from wirecase.rules.base import Match
from wirecase.session.call import Call
from wirecase.session.calls import CallLog, CallTracker
from wirecase.session.decoder import ConnectionDecoder
from wirecase.session.session import Session

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
REQUEST = {
    ":method": "POST", ":scheme": "http", ":path": "/demo.v1.Echo/Unary", ":authority": "demo.test", "te": "trailers",
    "content-type": "application/grpc", "grpc-accept-encoding": "identity,deflate,gzip",
}  # fmt: skip
RESPONSE = {":status": "200", "content-type": "application/grpc"}
MS = 1_000_000
START = 1_700_000_000_000_000_000


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def message(payload: bytes, flag: int = 0, length: int | None = None) -> bytes:
    return bytes((flag,)) + (len(payload) if length is None else length).to_bytes(4, "big") + payload


class Exchange:
    """Writes both sides of one connection; every frame is a packet of its own, a millisecond after the one before."""

    def __init__(self) -> None:
        tcp = TcpConnection(0, (TcpSide("10.0.0.1:40000"), TcpSide("10.0.0.2:50051")), syn_seen=True)
        self.session = Session(tcp)
        self.log = CallLog()
        self.decoder = ConnectionDecoder(
            self.session, CallTracker(self.session, self.log), Accounting(), forced=False, on_closed=lambda _: None
        )
        self.time = START
        self.packet = 0
        self.offsets = [0, 0]
        self._encoders = (hpack.Encoder(), hpack.Encoder())
        self.raw(CLIENT, PREFACE + frame(SETTINGS, 0, 0))
        self.raw(SERVER, frame(SETTINGS, 0, 0) + frame(SETTINGS, ACK, 0))
        self.raw(CLIENT, frame(SETTINGS, ACK, 0))

    def _mark(self, side: int) -> Mark:
        self.packet += 1
        self.time += MS
        mark = Mark(0, self.packet, self.time, self.offsets[side])
        facts = self.session.tcp.sides[side]
        facts.first = facts.first or mark
        facts.last = mark
        facts.packets += 1
        return mark

    def wait(self, milliseconds: float) -> Exchange:
        self.time += int(milliseconds * MS)
        return self

    def raw(self, side: int, data: bytes) -> Exchange:
        mark = self._mark(side)
        self.decoder.run(side, data, Marks(0, [mark.offset], [mark.packet], [mark.time]))
        self.offsets[side] += len(data)
        facts = self.session.tcp.sides[side]
        facts.delivered += len(data)
        facts.sent = self.offsets[side]
        return self

    def lose(self, side: int, length: int) -> Exchange:
        """Leave a hole of `length` bytes."""
        self.offsets[side] += length
        mark = self._mark(side)
        facts = self.session.tcp.sides[side]
        facts.missing += length
        facts.gaps.append(Gap(mark.offset - length, length, "gap", mark))
        self.decoder.gap(side, length, "gap", mark)
        return self

    def headers(self, side: int, fields: dict[str, str | bytes], *, stream: int = 1, end: bool = False) -> Exchange:
        block = self._encoders[side].encode(list(fields.items()))
        return self.raw(side, frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block))

    def data(self, side: int, payload: bytes, *, stream: int = 1, end: bool = False) -> Exchange:
        return self.raw(side, frame(DATA, END_STREAM if end else 0, stream, payload))

    def ask(self, body: bytes = message(b"hello"), *, stream: int = 1, end: bool = True, **fields: str) -> Exchange:
        """Send a request; keyword arguments override fields (``_`` stands for ``-``; an empty value removes one)."""
        changed = REQUEST | {name.replace("_", "-"): value for name, value in fields.items()}
        self.headers(CLIENT, {name: value for name, value in changed.items() if value}, stream=stream)
        return self.data(CLIENT, body, stream=stream, end=end)

    def answer(self, body: bytes = b"", *, stream: int = 1, end: bool = False, **fields: str) -> Exchange:
        """Send response headers and a body; ``status`` is ``:status``."""
        changed: dict[str, str | bytes] = dict(RESPONSE)
        for name, value in fields.items():
            changed[":status" if name == "status" else name.replace("_", "-")] = value
        kept = {name: value for name, value in changed.items() if value}
        self.headers(SERVER, kept, stream=stream, end=end and not body)
        return self.data(SERVER, body, stream=stream, end=end) if body else self

    def trailers(
        self, status: str | None = "0", *, stream: int = 1, end: bool = True, **fields: str | bytes
    ) -> Exchange:
        kept: dict[str, str | bytes] = {} if status is None else {"grpc-status": status}
        kept |= {name.replace("_", "-"): value for name, value in fields.items()}
        return self.headers(SERVER, kept or {"x-trace": "1"}, stream=stream, end=end)

    def reset(self, side: int, code: int, *, stream: int = 1) -> Exchange:
        return self.raw(side, frame(RST_STREAM, 0, stream, code.to_bytes(4, "big")))

    def goaway(self, side: int, last: int, code: int = 0, debug: bytes = b"") -> Exchange:
        return self.raw(side, frame(GOAWAY, 0, 0, last.to_bytes(4, "big") + code.to_bytes(4, "big") + debug))

    def fin(self, side: int) -> Exchange:
        mark = self._mark(side)
        self.session.tcp.sides[side].fin = mark
        self.decoder.ended(side, "fin", mark)
        return self

    def calls(self) -> list[Call]:
        """Close the connection and return the calls that a rule would see."""
        self.session.tcp.capture_end = self.time
        self.session.tcp.end_reason = "capture-end"
        self.decoder.closed("capture-end")
        self.log.number()
        return self.log.suspicious

    def matches(self) -> dict[str, list[Match]]:
        """Close the connection and run every rule on its calls: rule id -> matches."""
        found: dict[str, list[Match]] = {}
        for call in self.calls():
            for rule in ALL_RULES:
                if rule.scope == "call":
                    for match in rule.check(call):
                        found.setdefault(rule.id, []).append(match)
        return found


def serious(found: dict[str, list[Match]]) -> set[str]:
    """Return the ids of the rules that were louder than a note."""
    return {rule for rule, matches in found.items() if any(match.severity != "info" for match in matches)}
