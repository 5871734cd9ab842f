"""Holes, and captures that begin in mid-connection: what is stepped over, what is searched for, what is not claimed."""

from __future__ import annotations

import struct

import pytest
from h2_bytes import (
    END_HEADERS,
    END_STREAM,
    HEADERS,
    REQUEST,
    RESPONSE,
    TRAILERS,
    GapWalk,
    Script,
    Walked,
    data,
    frame,
    message,
    settings,
    settings_ack,
    window_update,
)

from wirecase.http2.sync import find_frames, plausible_header
from wirecase.model import CLIENT, SERVER


def opened(script: Script | None = None) -> tuple[GapWalk, Script]:
    """A connection with requests on streams 1 and 3, and the response headers of 1."""
    made = script or Script()
    made.hello().request(1, message(b"a")).request(3, message(b"b"))
    made.server(made.peers[SERVER].headers(1, RESPONSE))
    walk = GapWalk()
    for side, payload in made.segments:
        walk.send(side, payload)
    return walk, made


def accused(done: Walked) -> list[str]:
    """What a side was charged with."""
    return [violation.kind for violation in done.facts.violations]


# --- inside of DATA --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hole", [1, 100, 500, 991])
def test_hole_inside_of_data_is_stepped_over(hole: int) -> None:
    walk, script = opened()
    wire = data(1, bytes(range(256)) * 3 + bytes(232))  # 1000 bytes
    walk.send(SERVER, wire[:18], hole, wire[18 + hole :])
    done = walk.send(SERVER, script.peers[SERVER].headers(1, TRAILERS, END_STREAM)).finish()
    body = done.events.bodies[1, SERVER]
    assert body.gaps == (hole,)
    assert len(body.data) == 1000 - hole
    assert accused(done) == []
    half = done.facts.halves[SERVER]
    assert (half.synced, half.gaps, half.joined_late, half.skipped) == (True, 1, False, {})
    assert done.events.streams[1].ended[SERVER]
    assert done.events.streams[1].headers[-1].block.get(b"grpc-status") == b"0"


def test_hole_at_the_end_of_data_that_ends_the_stream() -> None:
    walk, _ = opened()
    wire = data(1, bytes(1000), END_STREAM)
    done = walk.send(SERVER, wire[:500], len(wire) - 500).finish()
    assert done.events.streams[1].ended == [True, True]


def test_several_holes_in_one_frame() -> None:
    walk, script = opened()
    wire = data(1, bytes(1000))
    done = walk.send(
        SERVER, wire[:100], 50, wire[150:300], 300, wire[600:], script.peers[SERVER].headers(1, TRAILERS, 1)
    ).finish()
    assert done.events.bodies[1, SERVER].gaps == (50, 300)
    assert done.facts.halves[SERVER].synced


# --- over a boundary -------------------------------------------------------------------------------------------------


def test_hole_over_a_boundary_is_searched_behind() -> None:
    walk, script = opened()
    walk.send(SERVER, data(1, bytes(1000))[:100], 2000)
    rest = bytes(300) + data(1, message(b"x" * 20)) + script.peers[SERVER].headers(1, TRAILERS, END_STREAM)
    done = walk.send(SERVER, rest).finish()
    half = done.facts.halves[SERVER]
    assert half.synced
    assert half.skipped == {"HTTP/2 frame boundaries lost": 300}
    assert half.joined_late
    assert done.facts.windows_known is False
    body = done.events.bodies[1, SERVER]
    assert body.gaps == (None,)
    assert body.data.endswith(message(b"x" * 20))
    assert accused(done) == []


def test_hole_between_frames() -> None:
    walk, script = opened()
    done = walk.send(SERVER, 500, data(1, message(b"x" * 20)), script.peers[SERVER].headers(1, TRAILERS, 1)).finish()
    assert done.facts.halves[SERVER].skipped == {}
    assert accused(done) == []
    assert done.events.streams[1].ended[SERVER]


def test_hole_inside_of_headers() -> None:
    walk, script = opened()
    wire = script.peers[SERVER].headers(3, (*RESPONSE, ("x-new", "value")))
    walk.send(SERVER, wire[:12], len(wire) - 14, wire[-2:])
    # Later blocks refer to entries that the hole swallowed.
    done = walk.segments(
        SERVER, data(3, message(b"x")), script.peers[SERVER].headers(3, (("x-new", "value"), *TRAILERS), 1)
    ).finish()
    assert accused(done) == []
    assert done.facts.halves[SERVER].joined_late
    # The table is lost, so stale entries must not be shown as if they were known.
    ended = [event for event in done.events.log if event[0] == "headers" and event[2] == SERVER and event[4]]
    assert ended, "the trailers behind the hole were not found"
    fields = dict(ended[0][3])
    assert fields.get(b"x-new", b"value") == b"value"


def test_hole_that_swallowed_whole_streams() -> None:
    walk, script = opened()
    script.peers[CLIENT].headers(5, REQUEST)
    walk.send(CLIENT, 400)
    script.segments.clear()
    script.request(7, message(b"c")).response(5, message(b"d")).response(7, message(b"e"))
    for side, payload in script.segments:
        walk.send(side, payload)
    done = walk.finish()
    assert accused(done) == []  # neither idle nor regressing: the hole may hold what is missing
    assert 7 in done.events.streams


def test_a_hole_of_the_client_says_nothing_of_the_server_s_frames() -> None:
    walk, script = opened()
    walk.send(CLIENT, 1000)
    script.segments.clear()
    script.response(1, message(b"d"), (("grpc-status", "5"),))
    done = walk.send(SERVER, script.segments[0][1]).finish()
    assert done.facts.halves[SERVER].joined_late is False
    assert done.events.streams[1].headers[-1].block.get(b"grpc-status") == b"5"


# --- bytes that look like frames -------------------------------------------------------------------------------------

INTEGERS = {
    "zeros": bytes(4000),
    "int64 little": b"".join(struct.pack("<q", i) for i in range(500)),
    "int64 big": b"".join(struct.pack(">q", i) for i in range(500)),
    "int32 little": b"".join(struct.pack("<i", i) for i in range(1000)),
    "int32 big": b"".join(struct.pack(">i", i) for i in range(1000)),
    "int16 little": b"".join(struct.pack("<h", i) for i in range(2000)),
    "int16 big": b"".join(struct.pack(">h", i) for i in range(2000)),
    "doubles": b"".join(struct.pack("<d", i) for i in range(500)),
    "flags": bytes(i % 2 for i in range(4000)),
    "bytes": bytes(range(256)) * 16,
}


@pytest.mark.parametrize("shift", range(0, 17, 3))
@pytest.mark.parametrize("name", INTEGERS)
def test_numbers_in_a_body_are_no_frames(name: str, shift: int) -> None:
    """A hole in a long answer leaves the rest of it without boundaries: columns of numbers must not pass for frames."""
    walk, script = opened()
    body = INTEGERS[name][shift:]
    walk.send(SERVER, data(1, bytes(16_000))[:1000], 30_000)
    walk.send(SERVER, body[:1448], body[1448:2896])
    done = walk.segments(
        SERVER, body[2896:], script.peers[SERVER].headers(1, TRAILERS, END_STREAM), window_update(0, 5)
    ).finish()
    assert accused(done) == []
    assert done.facts.halves[SERVER].frames.by_type[0] == 1
    assert done.events.streams[1].ended[SERVER] or not done.facts.halves[SERVER].synced


@pytest.mark.parametrize("name", INTEGERS)
def test_numbers_alone_are_no_http2(name: str) -> None:
    body = INTEGERS[name]
    for shift in range(9):
        for end in (500, 1448, len(body)):
            assert find_frames(body[shift:end], frozenset((end - shift,))) is None, (shift, end)


def test_chains_are_found_at_any_alignment() -> None:
    peer = Script().peers[SERVER]
    chain = peer.headers(1, RESPONSE) + data(1, message(b"hello")) + peer.headers(1, TRAILERS, END_STREAM)
    for shift in range(12):
        noise = b"\xee" * shift
        assert find_frames(noise + chain) == shift
        assert find_frames(noise + chain + b"\xee" * 50) in (shift, None)
    assert find_frames(b"") is None
    assert find_frames(b"\0" * 9) is None
    assert find_frames(window_update(1, 5)) == 0  # it ends where the bytes do


@pytest.mark.parametrize(
    ("length", "kind", "flags", "stream", "plausible"),
    [
        (0, 0, 1, 1, True), (100, 0, 0, 1, True), (100, 0, 9, 1, True), (100, 0, 0, 0, False), (100, 0, 4, 1, False),
        (20, 1, 4, 1, True), (20, 1, 0x2D, 1, True), (20, 1, 4, 0, False), (20, 1, 2, 1, False), (5, 2, 0, 1, True),
        (4, 2, 0, 1, False), (4, 3, 0, 1, True), (4, 3, 0, 0, False), (0, 4, 1, 0, True), (6, 4, 1, 0, False),
        (6, 4, 0, 0, True), (7, 4, 0, 0, False), (6, 4, 0, 1, False), (8, 6, 0, 0, True), (8, 6, 2, 0, False),
        (8, 7, 0, 0, True), (7, 7, 0, 0, False), (4, 8, 0, 0, True), (4, 8, 0, 5, True), (5, 8, 0, 0, False),
        (3, 9, 4, 1, True), (3, 10, 0, 1, False), (100, 0, 0, 1 << 31, False), (2 << 20, 0, 0, 1, False),
    ],
)  # fmt: skip
def test_plausible_headers(length: int, kind: int, flags: int, stream: int, plausible: bool) -> None:
    assert plausible_header(length, kind, flags, stream) is plausible


# --- mid-connection --------------------------------------------------------------------------------------------------


def middle() -> tuple[GapWalk, Script]:
    """Encoders whose tables were filled out of sight, and a walk that joins late."""
    script = Script()
    for stream in (1, 3):
        script.request(stream, message(b"a")).response(stream, message(b"b"))
    script.segments.clear()
    return GapWalk(late=(CLIENT, SERVER)), script


def test_join_between_calls() -> None:
    walk, script = middle()
    script.request(5, message(b"ask")).response(5, message(b"answer"))
    for side, payload in script.segments:
        walk.send(side, payload)
    done = walk.finish()
    assert accused(done) == []
    stream = done.events.streams[5]
    assert stream.seen_start
    assert stream.closed
    request = stream.headers[0].block
    assert request.unknown
    assert request.method == b"POST"  # of the static table
    assert request.path is None  # of the dynamic table
    assert done.body(5, SERVER) == message(b"answer")
    assert done.facts.windows_known is False


def test_entries_added_after_the_join_are_known() -> None:
    walk, script = middle()
    new = (*REQUEST, ("x-new", "fresh"))
    script.request(5, message(b"ask"), new).request(7, message(b"ask"), new)
    for side, payload in script.segments:
        walk.send(side, payload)
    done = walk.finish()
    for stream in (5, 7):
        assert done.events.streams[stream].headers[0].block.get(b"x-new") == b"fresh"


def test_join_inside_of_a_call() -> None:
    walk, script = middle()
    script.request(5, message(b"ask"))
    script.segments.clear()
    script.response(5, message(b"answer"))
    done = walk.send(SERVER, script.segments[0][1]).finish()
    assert accused(done) == []
    stream = done.events.streams[5]
    assert not stream.seen_start
    assert stream.headers[0].side == SERVER


def test_join_inside_of_a_frame() -> None:
    walk, script = middle()
    script.response(5, message(b"x" * 3000))
    wire = script.segments[0][1]
    done = walk.send(SERVER, wire[500:1500], wire[1500:]).finish()
    assert accused(done) == []
    half = done.facts.halves[SERVER]
    assert half.synced
    assert sum(half.skipped.values()) > 2000
    assert done.events.streams[5].ended[SERVER]


def test_response_before_request_in_mid_connection() -> None:
    walk, script = middle()
    script.request(5, message(b"ask")).response(5, message(b"answer"))
    (_, asked), (_, answered) = script.segments
    done = walk.send(SERVER, answered).send(CLIENT, asked).finish()
    assert accused(done) == []
    assert done.events.streams[5].headers[0].side == CLIENT


def test_old_streams_are_neither_idle_nor_closed() -> None:
    walk, script = middle()
    walk.send(
        SERVER, window_update(3, 100) + data(3, b"rest of it") + frame(3, 0, 1, bytes(4)) + settings() + settings_ack()
    )
    script.request(9, message(b"a"))
    walk.send(CLIENT, script.segments[0][1])
    walk.send(CLIENT, frame(HEADERS, END_HEADERS, 7, script.peers[CLIENT].block(REQUEST)) + window_update(0, 1))
    done = walk.finish()
    assert set(accused(done)) <= {"regressing-stream"}


def test_windows_are_not_recomputed() -> None:
    walk, _ = middle()
    done = walk.send(SERVER, b"".join(data(5, bytes(16_384)) for _ in range(20))).finish()
    assert accused(done) == []
    assert done.facts.halves[SERVER].starved is None
    assert done.facts.streams[5].starved == [None, None]
