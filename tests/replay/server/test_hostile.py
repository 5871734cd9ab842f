"""Clients that mean harm, or do not know better: the server survives them, says what they did, and stops when told."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from h2_bytes import GOAWAY, PING, REQUEST, RST_STREAM, SETTINGS, frame, settings, window_update
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from made import Session, plan_of
from wires import Bare, ask, channel

from wirecase.replay.server import ReplayServer

Serve = Callable[..., ReplayServer]
A = "/demo.Echo/A"


@pytest.fixture
def server(serve: Serve, tmp_path: Path) -> ReplayServer:
    """A server with one reset and a large sound answer."""
    big = [bytes(16_000)] * 200
    made = Session().ask(1, A).reset(1, 2).ask(3, "/demo.Echo/Big").answer(3, *big)
    return serve(plan_of(tmp_path, made))


def _still_serves(server: ReplayServer) -> None:
    with channel(server.target) as made:
        assert ask(made, "/not.In/It", [b"x"]).code.name == "UNIMPLEMENTED"
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 2


def test_one_that_never_reads(server: ReplayServer) -> None:
    client = Bare(server.address, greet=False)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    wide = settings((4, (1 << 31) - 1)) + window_update(0, (1 << 31) - 1 - 65535)
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", wide)
    for stream in range(1, 41, 2):
        client.request(stream, "/demo.Echo/Big", b"x")
    time.sleep(0.3)
    connection = server.trace().connections[0]
    assert connection.closed is None
    _still_serves(server)
    stopped = server.stop().connections[0]
    assert stopped.closed_by == "stopped"
    assert 0 < stopped.unread < 4_000_000


def test_one_that_connects_and_leaves(server: ReplayServer) -> None:
    for _ in range(50):
        socket.create_connection(server.address).close()
    client = socket.create_connection(server.address)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    _still_serves(server)
    assert {one.closed_by for one in server.stop().connections[:50]} <= {"client-fin", "client-rst"}


@pytest.mark.parametrize(
    "first",
    [b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"\0" * 64, b"PRI * HTTP/1.0\r\n\r\n"],
)
def test_one_that_speaks_something_else(server: ReplayServer, first: bytes) -> None:
    client = Bare(server.address, greet=False)
    client.send(first)
    assert client.end() in ("fin", "rst")
    _still_serves(server)
    trace = server.stop()
    assert trace.connections[0].not_http2 == first
    assert "not-http2" in {one.what for one in trace.deviations}


def test_one_that_stays_in_mid_preface(server: ReplayServer) -> None:
    Bare(server.address, greet=False).send(b"PRI * HT")
    _still_serves(server)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(0, 0, 0, b"x"), 1),
        (frame(6, 0, 0, b"short"), 6),
        (frame(1, 4, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 9),
        (b"\xff\xff\xff\x00\x00\x00\x00\x00\x01", 6),
        (frame(9, 0, 1, b"x"), 1),
        (frame(1, 0, 1, b"x") + frame(6, 0, 0, bytes(8)), 1),
        (frame(1, 0, 1, bytes(16_000)) + frame(9, 0, 1, bytes(16_000)) * 20, 11),
    ],
)
def test_one_that_breaks_http2(server: ReplayServer, sent: bytes, code: int) -> None:
    client = Bare(server.address)
    client.send(sent)
    found = client.until(GOAWAY)
    assert found is not None and int.from_bytes(found[3][4:8], "big") == code
    assert client.end() is not None
    _still_serves(server)
    assert "client-error" in {one.what for one in server.stop().deviations}


def test_floods_of_pings_and_settings(server: ReplayServer) -> None:
    client = Bare(server.address)
    client.send((frame(PING, 0, 0, bytes(8)) + settings()) * 20_000)
    assert client.until(SETTINGS) is not None
    _still_serves(server)


def test_a_flood_of_pings_by_one_that_never_reads(server: ReplayServer) -> None:
    client = Bare(server.address)
    client.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):  # the server does not read either, once its answers pile up
        client.send(frame(PING, 0, 0, bytes(8)) * 2_000_000)
    _still_serves(server)


def test_a_flood_of_streams(server: ReplayServer) -> None:
    client = Bare(server.address)
    block = client.peer.block(REQUEST)
    client.peer.encoder.header_table_size = 4096
    for stream in range(1, 12_001, 2):
        client.send(frame(1, 4, stream, block if stream == 1 else client.peer.block(REQUEST)))
        if stream % 200 == 1 and not client.read(0.001) and client.ended:
            break
    _still_serves(server)
    trace = server.stop()
    assert len(trace.calls) <= 5_000


def test_rapid_resets_leave_nothing_behind(server: ReplayServer) -> None:
    client = Bare(server.address)
    for stream in range(1, 4_001, 2):
        client.request(stream, A, b"x")
        client.send(frame(RST_STREAM, 0, stream, (8).to_bytes(4, "big")))
        if stream % 100 == 1:
            client.read(0.001)
    client.send(frame(PING, 0, 0, b"12345678"))
    assert client.until(PING) is not None
    assert server.open_streams == 0
    _still_serves(server)


def test_many_connections_at_once(server: ReplayServer) -> None:
    clients = [Bare(server.address) for _ in range(200)]
    for one in clients:
        one.request(1, "/not.In/It", b"x")
    assert [one.fields(1)["grpc-status"] for one in clients] == ["12"] * 200
    assert server.open_connections == 200
    _still_serves(server)
    assert server.open_connections == 0


@examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=4), st.booleans())
def test_garbage(server: ReplayServer, parts: list[bytes], greets: bool) -> None:
    client = Bare(server.address, greet=greets)
    try:
        for part in parts:
            client.send(part)
    except OSError:
        pass
    client.close()
    assert server.trace().ended > 0
