"""Header blocks where the fault lies in HPACK: as they were recorded, unless something in them is secret or hidden."""

from __future__ import annotations

import pytest
from captured import Capture, Connection
from captures import pcap
from h2_bytes import data, frame, message, rst

from wirecase.case.extract import Request, extract
from wirecase.case.manifest import read_manifest
from wirecase.case.redact import Policy, Redactor
from wirecase.case.select import Selection
from wirecase.case.verify import verify
from wirecase.http2.facts import ControlFrame
from wirecase.model import CLIENT, SERVER
from wirecase.pipeline import Options, diagnose

BAD = b"\xff\x80\x01"
"""Index 255: nothing stands there."""
HEADERS, END = 1, 4
OPEN = ((":status", "200"), ("content-type", "application/grpc"))


class Blocks:
    """Collects header frames (`wirecase.http2.recorder.FrameRecorder`)."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, bytes]] = []

    def frame(self, frame: ControlFrame) -> None:
        if frame.kind == HEADERS:
            self.seen.append((frame.side, frame.stream, frame.payload))

    def data(self, *_) -> None: ...
    def more(self, *_) -> None: ...
    def block(self, *_) -> None: ...
    def gap(self, *_) -> None: ...


def blocks(path: str) -> list[tuple[int, int, bytes]]:
    found = Blocks()
    diagnose(Options([path]), record=lambda _: found)
    return found.seen


def broken(connection: Connection, **extra) -> Connection:
    """Two sound calls, then a third one whose response block refers to nothing."""
    for stream in (1, 3):
        connection.request(stream, extra=extra.get("request", ())).headers(stream, (*OPEN, *extra.get("answer", ())))
        connection.server(data(stream, message(b"told"))).trailers(stream)
    connection.request(5)
    block = connection.peers[SERVER].headers(5, OPEN)[9:]
    connection.server(frame(HEADERS, END, 5, block + BAD)).client(rst(5, 9))
    return connection.close()


def cut(capture: Capture, folder) -> tuple[list[tuple[int, int, bytes]], list[tuple[int, int, bytes]], dict]:
    source, target = folder / "recorded.pcap", folder / "case.pcapng"
    source.write_bytes(pcap(capture.packets))
    extract(Request([str(source)], target, Selection()), Redactor(Policy()))
    assert verify(str(target)).sound
    note = read_manifest(str(target))["connections"][0]["header_blocks"]
    return blocks(str(source)), blocks(str(target)), note


def of(side: int, found: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    return [one for one in found if one[0] == side]


def test_blocks_without_secrets_are_kept_whole(tmp_path):
    capture = Capture()
    broken(capture.connect("127.0.0.1:40000", "127.0.0.1:50051").hello())
    recorded, shown, note = cut(capture, tmp_path)
    assert of(SERVER, shown) == of(SERVER, recorded) and len(of(SERVER, shown)) == 5
    assert note["server"] == "as recorded"


@pytest.mark.parametrize(
    ("extra", "side"),
    [
        ({"request": (("authorization", "Bearer 0123456789abcdef"),)}, CLIENT),
        ({"answer": (("set-cookie", "sid=0123456789abcdef"),)}, SERVER),
    ],
)
def test_a_side_with_a_secret_is_written_anew(extra, side, tmp_path):
    capture = Capture()
    broken(capture.connect("127.0.0.1:40000", "127.0.0.1:50051").hello(), **extra)
    recorded, shown, note = cut(capture, tmp_path)
    assert of(side, shown) != of(side, recorded)
    assert "written anew" in note["client" if side == CLIENT else "server"]
    assert b"0123456789abcdef" not in (tmp_path / "case.pcapng").read_bytes()


def test_what_stands_behind_the_fault_is_not_vouched_for(tmp_path):
    """Nothing after the fault can be decoded: it may be anything."""
    capture = Capture()
    connection = capture.connect("127.0.0.1:40000", "127.0.0.1:50051").hello()
    behind = b"\0\x01a\x7f\x00" + b"s3cr3t" * 22
    connection.request(1).server(frame(HEADERS, END, 1, BAD + behind)).client(rst(1, 9)).close()
    _, _, note = cut(capture, tmp_path)
    assert "written anew" in note["server"]
    assert b"s3cr3ts3cr3t" * 3 not in (tmp_path / "case.pcapng").read_bytes()
