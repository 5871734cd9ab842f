"""Healthy captures as tshark sees them: frames by type, header blocks and their fields, gRPC messages."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree  # reads what tshark wrote, nothing from elsewhere

import pytest

from wirecase.http2.facts import HeaderBlock, HeadersFrame, Stream
from wirecase.model import CLIENT, SERVER, Accounting
from wirecase.net import Assembler, TcpConnection
from wirecase.session.calls import CallLog, CallTracker
from wirecase.session.decoder import ConnectionDecoder
from wirecase.session.session import Session
from wirecase.sources import open_sources

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
DATA = Path(__file__).parent / "data"
FIXTURES = Path(__file__).parents[2] / "fixtures"
CAPTURES = [
    *sorted(DATA.glob("*.pcap")),
    *(
        FIXTURES / name / "capture.pcapng"
        for name in (
            "healthy-streaming",
            "healthy-grpcjs-gzip",
            "healthy-web",
            "healthy-legal-grease",
            "healthy-caddy-both-legs",
        )
    ),
]


@dataclass
class Seen:
    """What both see of a capture."""

    frames: Counter[int] = field(default_factory=Counter)
    """By type; unknown types are left out."""
    blocks: Counter[tuple[int, tuple[tuple[str, str], ...]]] = field(default_factory=Counter)
    """(stream, fields) of each header block."""
    messages: int = 0
    ports: set[str] = field(default_factory=set)


class Recorder(CallTracker):
    """Looks closely at every call and writes down what it carries."""

    seen: Seen

    def grade(self, block: HeaderBlock, side: int) -> int:
        return 0

    def headers(self, stream: Stream, frame: HeadersFrame) -> None:
        fields = tuple((_text(name), _text(value)) for name, value in frame.block.fields)
        self.seen.blocks[stream.id, fields] += 1
        super().headers(stream, frame)

    def closed(self, stream: Stream) -> None:
        call = stream.call
        for body in (call.request_body, call.response_body) if call is not None else ():
            self.seen.messages += body.messages if body is not None else 0
        super().closed(stream)


def _text(value: bytes | None) -> str:
    return "?" if value is None else value.decode("latin-1")


def ours(path: Path) -> Seen:
    """Read a capture with wirecase."""
    seen, books, log = Seen(), Accounting(), CallLog()
    sessions: list[Session] = []

    def follow(tcp: TcpConnection) -> ConnectionDecoder:
        session = Session(tcp)
        tracker = Recorder(session, log)
        tracker.seen = seen
        return ConnectionDecoder(session, tracker, books, forced=False, on_closed=sessions.append)

    assembler = Assembler(follow, books)
    for source in open_sources([str(path)]).sources:
        with source:
            for batch in source.batches():
                assembler.feed(batch)
    assembler.finish()
    for session in sessions:
        if session.protocol == "h2":
            seen.ports.add(session.server.address.rpartition(":")[2])
            assert session.h2.violations == []
            assert all(half.skipped == {} for half in session.h2.halves)
        for side in (CLIENT, SERVER):
            seen.frames.update(dict(enumerate(session.h2.halves[side].frames.by_type)))
    seen.frames = +seen.frames
    return seen


def theirs(path: Path, ports: set[str]) -> Seen:
    """Read a capture with tshark."""
    command = ["tshark", "-r", str(path), "-T", "pdml", "-J", "http2 grpc"]
    for port in sorted(ports):
        command += ["-d", f"tcp.port=={port},http2"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    seen = Seen()
    for proto in ElementTree.fromstring(run.stdout).iter("proto"):
        if proto.get("name") == "grpc":
            seen.messages += sum(f.get("name") == "grpc.message_length" for f in proto.iter("field"))
        if proto.get("name") != "http2":
            continue
        for frame in proto.findall("field"):
            if frame.get("name") == "http2.stream":
                _frame(seen, frame)
    return seen


def _frame(seen: Seen, frame: ElementTree.Element) -> None:
    values = {f.get("name"): f.get("show") or "" for f in frame.findall("field")}
    if "http2.type" not in values:
        return  # the connection preface
    if int(values["http2.type"]) < 10:
        seen.frames[int(values["http2.type"])] += 1
    headers = [f for f in frame.iter("field") if f.get("name") == "http2.header"]
    if not headers:
        return
    pairs = []
    for header in headers:
        parts = {f.get("name"): f.get("value") or "" for f in header.findall("field")}
        pairs.append(
            tuple(bytes.fromhex(parts[f"http2.header.{what}"]).decode("latin-1") for what in ("name", "value"))
        )
    seen.blocks[int(values["http2.streamid"]), tuple((name, value) for name, value in pairs)] += 1


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem if path.parent == DATA else path.parent.name)
def test_frames_header_blocks_and_messages(path: Path) -> None:
    mine = ours(path)
    other = theirs(path, mine.ports)
    assert mine.frames == other.frames
    assert mine.frames.total() > 5
    assert mine.blocks == other.blocks
    assert mine.messages == other.messages
    names = {name for _, fields in mine.blocks for name, _ in fields}
    assert ":path" in names
    assert "grpc-status" in names or "web" in str(path)
