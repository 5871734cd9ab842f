"""The frames of http2jp/http2-frame-test-case: every wrong one is noted, no right one is.

The cases are single frames without a connection around them. A frame is put behind what makes it the only fault: the
peers' SETTINGS, and the streams it speaks of.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from h2_bytes import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    GOAWAY,
    HEADERS,
    PING,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Script,
    by_byte,
    frame,
    walk,
)

from wirecase.http2.facts import Http2Facts
from wirecase.model import CLIENT, SERVER

CASES = Path(__file__).parent / "data/http2-frame-test-case"
NORMAL = sorted(str(p.relative_to(CASES)) for p in CASES.glob("*/*.json") if p.parent.name != "error")
ERRORS = sorted(str(p.relative_to(CASES)) for p in CASES.glob("error/*.json"))

NOTED = {
    "data-frame-padding": "padding",
    "data-frame-size": "frame-size",
    "data-frame-stream": "stream-id",
    "goaway-frame-size": "fixed-size",
    "goaway-frame-stream": "stream-id",
    "headers-frame-padding": "padding",
    "headers-frame-stream": "stream-id",
    "ping-frame-size": "fixed-size",
    "ping-frame-stream": "stream-id",
    "priority-frame-size": "fixed-size",
    "priority-frame-stream": "stream-id",
    "push_promise-frame-padding": "padding",
    "push_promise-frame-promised_stream-odd": "push",
    "push_promise-frame-promised_stream-zero": "push",
    "push_promise-frame-stream": "stream-id",
    "rst_stream-frame-size": "fixed-size",
    "rst_stream-frame-stream": "stream-id",
    "settings-frame-ack-size": "fixed-size",
    "settings-frame-size": "fixed-size",
    "settings-frame-stream": "stream-id",
    "window_update-frame-increment": "zero-increment",
    "window_update-frame-size": "fixed-size",
}


def read(name: str) -> tuple[bytes, dict[str, Any]]:
    """Return a case's bytes and the case."""
    case = json.loads((CASES / name).read_text())
    return bytes.fromhex(case["wire"]), case


def around(wire: bytes) -> Script:
    """Open the streams that the case's frame needs, then send it from the side that may."""
    kind, stream = wire[3], int.from_bytes(wire[5:9], "big") & 0x7FFFFFFF
    script = Script().hello()
    sender = SERVER if kind == PUSH_PROMISE or stream % 2 == 0 else CLIENT
    if kind == HEADERS or not stream:
        pass
    elif stream % 2 == 0:  # opened by the server, promised on the client's stream 1
        script.request(1, end=False)
        promise = stream.to_bytes(4, "big") + script.peers[SERVER].block(((":method", "GET"), (":path", "/")))
        script.server(frame(PUSH_PROMISE, END_HEADERS, 1, promise))
        if kind != RST_STREAM:
            script.server(script.peers[SERVER].headers(stream, ((":status", "200"),)))
    else:
        script.request(stream, end=False)
    if kind == CONTINUATION:  # its HEADERS, in place of the ones that are complete
        script.send(sender, frame(HEADERS, 0, stream, b""))
    return script.send(sender, wire)


def test_all_cases_are_here() -> None:
    assert len(NORMAL) == 12
    assert {Path(name).stem for name in ERRORS} == set(NOTED)


@pytest.mark.parametrize("name", ERRORS)
def test_error_is_noted(name: str) -> None:
    wire, case = read(name)
    assert case["error"]
    script = around(wire)
    done = walk(script)
    assert walk(script, by_byte).snapshot() == done.snapshot()
    found = [v for v in done.facts.violations if v.excerpt.mark.packet == len(script.segments)]
    assert NOTED[Path(name).stem] in {v.kind for v in found}
    assert [v for v in done.facts.violations if v not in found] == []


@pytest.mark.parametrize("name", ERRORS)
def test_error_is_noted_on_a_bare_connection(name: str) -> None:
    wire, _ = read(name)
    done = walk([(CLIENT, wire)])
    kinds = {kind for kind, _ in done.kinds()}
    # A PUSH_PROMISE of a client, and a frame on a stream that nobody opened, are wrong before anything inside of them;
    # a window that belongs to no stream is not looked at.
    assert NOTED[Path(name).stem] in kinds or kinds & {"push", "idle-stream"}


@pytest.mark.parametrize("name", NORMAL)
def test_nothing_is_noted_on_normal_frames(name: str) -> None:
    wire, case = read(name)
    kind = wire[3]
    script = around(wire)
    done = walk(script)
    assert walk(script, by_byte).snapshot() == done.snapshot()
    # The header blocks of the cases read "this is dummy", which is no HPACK of a request.
    dummy = {"hpack", "malformed-headers"} if kind in (HEADERS, PUSH_PROMISE, CONTINUATION) else set()
    assert {v.kind for v in done.facts.violations} <= dummy
    check_frame(done.facts, case["frame"], script)


def check_frame(facts: Http2Facts, told: dict[str, Any], script: Script) -> None:
    """Compare what the walk took from the frame with what the case says is in it."""
    sender = script.segments[-1][0]
    half = facts.halves[sender]
    kind, payload = told["type"], told["frame_payload"]
    assert half.frames.by_type[kind] >= 1
    if kind == DATA:
        stream = facts.streams[told["stream_identifier"]]
        assert stream.data_bytes[sender] == len(payload["data"])
        assert stream.padded[sender] == 1
    elif kind == GOAWAY:
        (seen,) = facts.goaways
        assert (seen.last_stream, seen.code) == (payload["last_stream_id"], payload["error_code"])
        assert seen.debug.decode() == payload["additional_debug_data"]
    elif kind == SETTINGS:
        assert half.settings_frames[-1].values == dict(payload["settings"])
    elif kind == WINDOW_UPDATE:
        stream = facts.streams[told["stream_identifier"]]
        assert stream.windows[1 - sender] == 65535 + payload["window_size_increment"]
    elif kind == RST_STREAM:
        assert facts.client_resets == 1
    elif kind == PING:
        assert (sender, payload["opaque_data"].encode()) in facts.pings_open
    elif kind in (HEADERS, PUSH_PROMISE):
        number = payload["promised_stream_id"] if kind == PUSH_PROMISE else told["stream_identifier"]
        assert number in facts.streams
