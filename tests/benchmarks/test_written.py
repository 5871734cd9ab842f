"""The written captures are what they claim to be: sound packets, exact frames, windows kept, the promised numbers."""

from __future__ import annotations

import struct
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest
from hpack import Decoder
from traffic.http2 import WINDOW
from traffic.sidecar import Sidecar, read_sidecars
from traffic.wire import SEGMENT
from traffic.written import WRITTEN_CAPTURES, write

FIRST_WINDOW = 65_535


class Segment(NamedTuple):
    source: tuple[bytes, int]
    target: tuple[bytes, int]
    sequence: int
    flags: int
    payload: bytes


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes


class Direction(NamedTuple):
    connection: frozenset[tuple[bytes, int]]
    source: tuple[bytes, int]


def ones_sum(data: bytes) -> int:
    words = struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2))
    total: int = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def segments(path: Path) -> list[Segment]:
    """All segments of the file, with checksums and lengths checked."""
    data = path.read_bytes()
    assert data[:4] == struct.pack("<I", 0xA1B23C4D)
    found, at, last = [], 24, 0
    while at < len(data):
        seconds, nanoseconds, captured, original = struct.unpack_from("<IIII", data, at)
        frame = data[at + 16 : at + 16 + captured]
        at += 16 + captured
        time = seconds * 1_000_000_000 + nanoseconds
        assert time > last
        last = time
        ip, tcp = frame[14:34], frame[34:]
        assert captured == original == len(frame) == 14 + int.from_bytes(ip[2:4], "big")
        assert ones_sum(ip) == 0xFFFF
        assert ones_sum(ip[12:20] + struct.pack(">HH", 6, len(tcp)) + tcp) == 0xFFFF
        ports = struct.unpack_from(">HH", tcp)
        payload = tcp[(tcp[12] >> 4) * 4 :]
        assert len(payload) <= SEGMENT
        sequence = int.from_bytes(tcp[4:8], "big")
        found.append(Segment((ip[12:16], ports[0]), (ip[16:20], ports[1]), sequence, tcp[13], payload))
    return found


def frames(found: list[Segment]) -> list[tuple[Direction, Frame]]:
    """The frames of all directions in the order of their ends; each segment must begin where the one before ended."""
    following: dict[Direction, int] = {}
    waiting: dict[Direction, bytes] = {}
    complete = []
    for one in found:
        direction = Direction(frozenset((one.source, one.target)), one.source)
        assert following.setdefault(direction, one.sequence) == one.sequence
        following[direction] = one.sequence + len(one.payload) + bool(one.flags & 0x03) & 0xFFFFFFFF
        data = waiting.get(direction, b"") + one.payload
        at = 24 if data.startswith(b"PRI ") else 0
        while len(data) - at >= 9 and len(data) - at >= 9 + int.from_bytes(data[at : at + 3], "big"):
            end = at + 9 + int.from_bytes(data[at : at + 3], "big")
            stream = int.from_bytes(data[at + 5 : at + 9], "big")
            complete.append((direction, Frame(data[at + 3], data[at + 4], stream, data[at + 9 : end])))
            at = end
        waiting[direction] = data[at:]
    assert not any(waiting.values())
    return complete


@pytest.fixture(scope="module", params=WRITTEN_CAPTURES, ids=lambda capture: str(capture.name))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sidecar]:
    folder = tmp_path_factory.mktemp("captures")
    sidecar = write(request.param, folder, 0.01)
    return folder, sidecar


def test_sidecar_tells_the_file(made: tuple[Path, Sidecar]) -> None:
    folder, sidecar = made
    found = segments(folder / sidecar.file)
    assert sidecar.packets == len(found)
    assert sidecar.size == (folder / sidecar.file).stat().st_size
    assert {sidecar.port} == {one.target[1] for one in found if one.flags == 0x02}
    sidecar.write(folder)
    assert read_sidecars(folder) == [sidecar]


def test_calls_and_messages_are_as_many_as_promised(made: tuple[Path, Sidecar]) -> None:
    folder, sidecar = made
    decoders: dict[Direction, Decoder] = defaultdict(Decoder)
    bodies: dict[tuple[Direction, int], bytes] = defaultdict(bytes)
    statuses, traces, pages = [], [], set()
    for direction, frame in frames(segments(folder / sidecar.file)):
        if frame.kind == 1:
            headers = {str(name): str(value) for name, value in decoders[direction].decode(frame.payload)}
            statuses += [headers["grpc-status"]] if "grpc-status" in headers else []
            traces += [headers["traceparent"]] if "traceparent" in headers else []
            if headers.get("content-type") == "text/html":
                pages.add((direction, frame.stream))
        elif frame.kind == 0:
            bodies[direction, frame.stream] += frame.payload
    messages = 0
    for key, body in bodies.items():
        at = 0
        while key not in pages and at < len(body):
            assert body[at] == 0
            at += 5 + int.from_bytes(body[at + 1 : at + 5], "big")
            messages += 1
        assert key in pages or at == len(body)
    assert messages == sidecar.messages
    assert len(traces) == len(set(traces)) == sidecar.calls
    assert statuses == ["0"] * (sidecar.calls - len(pages))


def test_no_window_is_overrun(made: tuple[Path, Sidecar]) -> None:
    folder, sidecar = made
    windows: dict[tuple[Direction, int], int] = {}
    for direction, frame in frames(segments(folder / sidecar.file)):
        (peer,) = direction.connection - {direction.source}
        if frame.kind == 0:
            for stream, first in ((0, FIRST_WINDOW), (frame.stream, WINDOW)):
                left = windows.get((direction, stream), first) - len(frame.payload)
                assert left >= 0
                windows[direction, stream] = left
        elif frame.kind == 8:
            other = Direction(direction.connection, peer)
            before = windows.get((other, frame.stream), FIRST_WINDOW if frame.stream == 0 else WINDOW)
            windows[other, frame.stream] = before + int.from_bytes(frame.payload, "big")
            assert windows[other, frame.stream] <= WINDOW


def test_small_frames_cross_segments(tmp_path: Path) -> None:
    capture = next(one for one in WRITTEN_CAPTURES if one.name == "small-frames")
    sidecar = write(capture, tmp_path, 0.005)
    found = segments(tmp_path / sidecar.file)
    data = [frame.payload for _, frame in frames(found) if frame.kind == 0 and frame.payload]
    assert len(data) >= 4000
    assert max(map(len, data)) < 80
    # A segment that begins with a frame shows its header: length below 256, DATA, no flag, stream below 256.
    full = [one.payload for one in found if len(one.payload) == SEGMENT]
    aligned = [one for one in full if one[:2] == bytes(2) and one[3:8] == bytes(5)]
    assert len(aligned) < len(full) / 4
