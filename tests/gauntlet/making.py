"""How the recordings of the gauntlet are made: ``python tests/gauntlet/making.py`` writes those that ship.

Run as a program only, as it lets the faults' texts stand in another field; ``--check`` names recordings that are stale.

The faults are those of the live fault server (`livebench`): here its answers write into a conversation made by hand, so
each recording is the same on every run, to the byte. A recorded client asks and meets the fault; nothing of the time
after it is there, as replay has healthy answers for that. Messages have one field that no schema has, so that any
client of protobuf decodes them.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "support"))
sys.path.append(str(Path(__file__).parents[1] / "fidelity"))
sys.path.append(str(Path(__file__).parents[2] / "fixtures" / "make"))

import neutral  # noqa: F401  # isort: skip
import peer as hand
from captures import Conversation, pcap
from livebench.faults import BY_NAME as LIVE
from livebench.faults import resets
from livebench.faults.frames import inside, padded
from livebench.faults.messages import GZIP, ONE, TWO, body, gzipped
from livebench.faults.status import literal
from livebench.server import Answer, Fin, Line, Reset
from livebench.server import Fault as LiveFault
from peer import ACK, DATA, DONE, END_STREAM, HEADERS, PREFACE, SETTINGS, frame, message, settings

from wirecase.model import CLIENT, SERVER
from wirecase.replay.gauntlet import FAULTS, Fault

CASES = Path(__file__).resolve().parents[2] / "decoders" / "wirecase" / "replay" / "gauntlet" / "cases"
NEUTRAL = hand.TEXT_TAG + b"\x05hello"
PACKED = message(gzipped(NEUTRAL), 1)
HALF = b"\0\0\0\0\x40" + hand.TEXT_TAG + b"\x3ahalf"
WINDOW_UPDATE = hand.WINDOW_UPDATE


class Recorder(Line):
    """Stands where the fault server has its socket, and plays the client too."""

    def __init__(self, talk: Conversation) -> None:
        self.talk = talk
        self.number = self.asked = 0
        self.is_client = False
        self.encoder, self.requests = hand.Encoder(), hand.Encoder()
        self.buffer = b""

    def send(self, *frames: bytes) -> None:
        self.talk.send(SERVER, b"".join(frames))

    def exactly(self, count: int) -> bytes:
        """The client's preface, which was sent before."""
        return PREFACE[:count]

    def pause(self, seconds: float = 0.1) -> None:
        self.talk.wait(seconds)

    def begin_connection(self, opening: Callable[[Line], None]) -> None:
        """What both sides send before any call."""
        self.talk.open()
        self.talk.send(CLIENT, PREFACE + settings({2: 0, 3: 0, 4: 4 << 20}) + self.update(0, 4 << 20))
        opening(self)

    def settled(self) -> None:
        """Both sides acknowledge the other's SETTINGS."""
        self.talk.send(SERVER, frame(SETTINGS, ACK, 0))
        self.talk.send(CLIENT, frame(SETTINGS, ACK, 0))

    @staticmethod
    def update(stream: int, increment: int) -> bytes:
        return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))

    def ask(self, stream: int, fault: Fault, *, data: bytes | None = None) -> None:
        """A request; `data` in place of its messages, none of them and no end where it is empty."""
        fields = [
            (":method", "POST"), (":scheme", "http"), (":path", fault.path), (":authority", "127.0.0.1:50051"),
            ("content-type", "application/grpc"), ("te", "trailers"), ("grpc-accept-encoding", "identity,gzip"),
        ]  # fmt: skip
        if fault.expect == ("DEADLINE_EXCEEDED",):
            fields.append(("grpc-timeout", f"{fault.deadline:g}S"))
        block = bytes(self.requests.encode(fields))
        self.asked += 1
        head = frame(HEADERS, hand.END_HEADERS, stream, block)
        if data is not None:
            self.talk.send(CLIENT, head + (frame(DATA, 0, stream, data) if data else b""))
            return
        asked = [hand.text_message(f"call {stream}")] * (fault.messages if fault.kind != "server-stream" else 1)
        frames = [frame(DATA, 0, stream, one) for one in asked]
        self.talk.send(CLIENT, head + b"".join(frames) + frame(DATA, END_STREAM, stream))

    def give_up(self, stream: int) -> None:
        """The client's deadline is over."""
        self.talk.wait(3.0).send(CLIENT, frame(hand.RST_STREAM, 0, stream, struct.pack(">I", 8)))


@dataclass(frozen=True)
class Recipe:
    """What the server does."""

    answer: Answer = lambda line, stream, number: line.healthy(stream)
    opening: Callable[[Line], None] | None = None
    faulty: int = 1
    """So many calls meet it; `EVERY` for all that are made."""
    silent: bool = False
    """The client gives the call up."""
    withheld: bytes | None = None
    """The part of the request that windows let through."""


def stall_mid_message(line: Line, stream: int, number: int) -> None:
    line.begin(stream, "one")
    line.send(line.data(stream, HALF))


def reset_after_the_message(line: Line, stream: int, number: int) -> None:
    line.begin(stream, "one")
    line.send(resets.reset(stream, 2))


def reset_beside(line: Line, stream: int, number: int) -> None:
    """Answers stream 1 and stream 3, which is open beside it."""
    line.begin(stream, "one")
    line.begin(stream + 2, "one")
    line.send(resets.reset(stream, 2))
    finish(line, stream + 2)


def flag_beside(line: Line, stream: int, number: int) -> None:
    line.begin(stream, "one")
    line.begin(stream + 2, "one")
    line.send(line.data(stream, b"Connection reset by upstream"), line.headers(stream, DONE, end=True))
    finish(line, stream + 2)


def finish(line: Line, stream: int) -> None:
    """Two more messages at leisure, then the trailers."""
    for _ in range(2):
        line.pause(0.3)
        line.send(line.data(stream, TWO))
    line.send(line.headers(stream, DONE, end=True))


def of(name: str, **more: object) -> Recipe:
    """A fault of the live server."""
    live: LiveFault = LIVE[name]
    opening = None if live.opening is LIVE["healthy-unary"].opening else live.opening
    return Recipe(live.answer, opening, **more)  # type: ignore[arg-type]


def tls_alert(line: Line) -> None:
    line.send(b"\x15\x03\x01\x00\x02\x02\x46")
    raise Fin


def malformed(octets: bytes) -> Recipe:
    """A good answer whose headers are these octets of HPACK."""

    def answer(line: Line, stream: int, number: int) -> None:
        line.send(frame(HEADERS, hand.END_HEADERS, stream, octets), line.data(stream, ONE))
        line.pause()
        line.send(line.headers(stream, DONE, end=True))

    return Recipe(answer)


TYPE = literal(b"content-type", b"application/grpc")


def streaming(*words: str) -> Answer:
    return lambda line, stream, number: line.healthy(stream, *words)


LARGE = hand.TEXT_TAG + b"\xb8\x17" + bytes(3_000)
EVERY = 1_000
SAME = {
    "flag-67-status-0": "flag-67-status-0", "flag-67-streaming": "flag-67-stream",
    "flag-60-page-midstream": "flag-60-midstream", "flag-2": "flag-2",
    "flag-128-web-trailers": "flag-128-web-trailers", "gzip-garbage": "gzip-garbage",
    "content-encoding-gzip": "content-encoding-gzip", "length-is-text": "length-is-text",
    "length-64-mib": "message-too-large", "cut-mid-message-status-0": "message-truncated",
    "cut-mid-message-second": "message-truncated-second", "cut-mid-message-end": "message-truncated-end",
    "cut-mid-prefix": "prefix-truncated", "stray-bytes": "desync", "unframed-protobuf": "unframed-protobuf",
    "base64-body": "base64-body", "no-message": "no-message",
    "status-missing": "status-missing-trailers", "status-missing-end-on-data": "status-missing-end-on-data",
    "status-missing-streaming": "status-missing-stream", "status-missing-headers-only": "status-missing-headers-only",
    "status-not-a-number": "status-not-a-number", "status-negative": "status-negative", "status-empty": "status-empty",
    "status-99": "status-unknown-99", "status-before-the-body": "status-in-open-headers-0",
    "status-13-before-the-body": "status-in-open-headers-13", "trailers-not-final": "trailers-not-final",
    "trailers-twice": "trailers-twice", "status-app": "app-status", "status-app-only": "app-status-only",
    "status-after-messages": "unavailable-after-message", "status-local-reply": "local-reply",
    "status-message-bad-percent": "message-bad-percent", "status-message-not-ascii": "message-not-ascii",
    "status-message-not-utf8": "message-not-utf8", "status-details-bad": "details-bin-bad",
    "flag-67-proxy-page": "http-502-flag-67", "flag-101-proxy-page": "http-502-flag-101",
    "flag-60-proxy-page": "http-502-html", "flag-60-proxy-page-streaming": "http-502-html-stream",
    "http-403-page": "http-403-html", "http-200-page": "http-200-html", "http1-503-late": "http1-late",
    "rst-mid-message": "rst-half-message",
    "goaway-midbody": "goaway-mid-call", "tcp-reset-before-settings": "rst-before-settings",
    "tcp-reset-before-headers": "tcp-rst-before-headers", "fin-midbody": "fin-after-messages",
    "tcp-reset-midbody": "tcp-rst-after-messages", "tcp-reset-mid-message": "tcp-rst-mid-message",
    "window-overflow-stream": "fc-overflow-stream", "window-overflow-connection": "fc-overflow-connection",
    "window-update-0-stream": "fc-zero-stream", "window-update-0-connection": "fc-zero-connection",
    "window-update-length-3": "update-length-3",
}  # fmt: skip
"""Fault -> the live server's, where that has another name."""

OWN: dict[str, Recipe] = {
    "healthy-unary": Recipe(),
    "healthy-streaming": Recipe(streaming("a", "b", "c"), faulty=EVERY),
    "healthy-upload": Recipe(),
    "healthy-bidi": Recipe(streaming("a", "b"), faulty=EVERY),
    "healthy-parallel": Recipe(),
    "healthy-gzip": Recipe(body(PACKED, extra=GZIP), faulty=EVERY),
    "healthy-gzip-streaming": Recipe(body(PACKED, PACKED, extra=GZIP), faulty=EVERY),
    "healthy-large": Recipe(body(message(LARGE)[:2000], message(LARGE)[2000:]), faulty=EVERY),
    "healthy-split": of("healthy-split", faulty=EVERY),
    "healthy-slow": of("healthy-slow", faulty=EVERY),
    "healthy-metadata": of("healthy-metadata", faulty=EVERY),
    "healthy-padding": Recipe(inside(padded(ONE, 10)), faulty=EVERY),
    "healthy-continuation": of("continuation-legal", faulty=EVERY),
    "healthy-unknown-frame": of("frame-unknown-type", faulty=EVERY),
    "healthy-early-hints": of("http-103-then-ok", faulty=EVERY),
    "healthy-reset-after-end": of("rst-after-trailers", faulty=EVERY),
    "healthy-goaway": of("goaway-graceful", faulty=EVERY),
    "flag-1-no-encoding": Recipe(body(PACKED)),
    "flag-1-identity": Recipe(body(PACKED, extra=[("grpc-encoding", "identity")])),
    "encoding-unknown": Recipe(body(PACKED, extra=[("grpc-encoding", "snappy")])),
    "gzip-cut": Recipe(body(message(PACKED[5:-6], 1), extra=GZIP)),
    "two-messages": of("two-messages"),
    "rst-after-the-message": Recipe(reset_after_the_message),
    "rst-refused-once": Recipe(resets.at_once(7)),
    "headers-uppercase": malformed(b"\x88" + literal(b"Content-Type", b"application/grpc")),
    "headers-pseudo-late": malformed(TYPE + b"\x88"),
    "headers-status-twice": malformed(b"\x88\x88" + TYPE),
    "headers-newline": malformed(b"\x88" + TYPE + literal(b"x-a", b"one\ntwo")),
    "headers-empty-name": malformed(b"\x88" + TYPE + literal(b"", b"value")),
    "tls-alert-in-cleartext": Recipe(opening=tls_alert),
    "contained-reset": Recipe(reset_beside),
    "contained-flag-67": Recipe(flag_beside),
    "goaway-race": Recipe(LIVE["goaway-unprocessed-always"].answer),
    "stall-at-once": Recipe(lambda line, stream, number: None, silent=True),
    "stall-after-headers": Recipe(resets.stall_headers, silent=True),
    "stall-midbody": Recipe(resets.stall, silent=True),
    "stall-mid-message": Recipe(stall_mid_message, silent=True),
    "window-never-opened": Recipe(lambda *_: None, lambda line: line.open({4: 1}), silent=True, withheld=b"\0"),
}


def recipe(fault: Fault) -> Recipe:
    """What the server does in a fault."""
    if fault.name in OWN:
        return OWN[fault.name]
    name = fault.name
    if name.startswith("rst-at-once-"):
        return Recipe(resets.at_once(resets.CODES[_code(name.removeprefix("rst-at-once-"))]))
    if name.startswith("rst-midbody-"):
        return Recipe(resets.midbody(resets.CODES[_code(name.removeprefix("rst-midbody-"))]))
    return of(SAME.get(name, name))


def _code(name: str) -> str:
    return "internal-error" if name == "internal" else name


def record(fault: Fault) -> bytes:
    """The capture of a fault as its calls meet it, a pcap file; nothing of the time after it."""
    how = recipe(fault)
    talks: list[Conversation] = []
    left = fault.calls if how.faulty == EVERY or fault.control else how.faulty
    while left > 0:
        talk = Conversation((40_000 + len(talks), 50_051))
        talk.wait((talks[-1].time - talk.time) / 1e9 + 0.2 if talks else 0.0)
        talks.append(talk)
        left -= connection(Recorder(talk), fault, how, left)
    return pcap(sorted((packet for talk in talks for packet in talk.packets), key=lambda packet: packet[0]))


def connection(line: Recorder, fault: Fault, how: Recipe, calls: int) -> int:
    """One connection from its opening to its end; returns how many calls were made, or had been made."""
    try:
        line.begin_connection(how.opening or LIVE["healthy-unary"].opening)
        if how.opening is not None and not how.silent:
            line.pause(0.5)
            line.talk.fin(CLIENT, SERVER)  # the client cannot go on with what it was told
            return calls
        line.settled()
        for call in range(calls):
            converse(line, 1 + 2 * call, fault, how)
    except (Fin, Reset) as end:
        closed(line.talk, end)
        return calls if how.opening is not None else max(line.asked, 1)
    line.talk.wait(0.05).fin(CLIENT, SERVER)
    return calls


def converse(line: Recorder, stream: int, fault: Fault, how: Recipe) -> None:
    """One call, or two side by side."""
    line.ask(stream, fault, data=how.withheld)
    if fault.parallel > 1 and not fault.control:
        line.ask(stream + 2, fault)
    line.talk.wait(0.02)
    how.answer(line, stream, 0)
    if how.silent:
        line.give_up(stream)


def closed(talk: Conversation, end: BaseException) -> None:
    """The end of a connection, begun by the server."""
    if isinstance(end, Reset):
        talk.reset(SERVER)
    else:
        talk.fin(SERVER, CLIENT)


def write(names: Iterable[str] = ()) -> None:
    """Write the recordings that ship."""
    CASES.mkdir(exist_ok=True)
    wanted = set(names)
    for fault in FAULTS:
        if not wanted or fault.name in wanted:
            (CASES / f"{fault.name}.pcap").write_bytes(record(fault))
    known = {f"{fault.name}.pcap" for fault in FAULTS}
    for stray in CASES.iterdir():
        if stray.name not in known:
            stray.unlink()


def stale() -> list[str]:
    """Faults whose recording is not what its recipe makes."""
    return [fault.name for fault in FAULTS if (CASES / f"{fault.name}.pcap").read_bytes() != record(fault)]


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        print("\n".join(stale()), end="")
    else:
        write(sys.argv[1:])
