"""Recorded requests against servers that answer well, badly, or not at all."""

from __future__ import annotations

import socket
import struct

import pytest
from captured import Capture
from h2_bytes import END_STREAM, RESPONSE, TRAILERS, data, goaway, message, rst, settings
from servers import Conversation, Echo, fixture, free_port, grpc_server, raw_server, write

import grpc
from wirecase.replay.caller import FULL_SPEED, CannotConnectError, Request, call_again, look_up, tap

PAGE = b"Connection refused by upstream"


def play(path: str, target: str, **options):
    return call_again(Request(path, look_up(target), **{"speed": FULL_SPEED, "timeout": 5.0, **options}))


def flag67(folder) -> str:
    """A unary call that was answered with text in place of gRPC."""
    capture = Capture()
    connection = capture.connect().hello()
    connection.request(1, body=message(b"ask")).headers(1).server(data(1, PAGE)).trailers(1).close()
    return write(capture, folder)


def healthy(folder, answer: bytes = b"told") -> str:
    capture = Capture()
    capture.connect().hello().request(1, body=message(b"ask")).answer(1, answer).close()
    return write(capture, folder)


@pytest.mark.parametrize("through", ["raw", "grpcio"])
def test_a_patched_server_mends_it(through, tmp_path):
    handler = Echo()
    with grpc_server(handler) as target:
        made = play(flag67(tmp_path), target, through=through)
    assert made.overall == "fine" and "gone" in made.summary
    assert [one.verdict for one in made.calls] == ["fixed"]
    assert made.calls[0].after.status == 0 and made.calls[0].after.messages == 1
    assert [one[1] for one in handler.seen] == [[b"ask"]]
    if through == "grpcio":
        assert made.calls[0].after.client_code == "OK"


@pytest.mark.parametrize("through", ["raw", "grpcio"])
def test_the_same_answer_is_told_to_be_the_same(through, tmp_path):
    with grpc_server(Echo(b"told")) as target:
        made = play(healthy(tmp_path), target, through=through)
    assert (made.overall, [one.verdict for one in made.calls]) == ("fine", ["same"])
    with grpc_server(Echo(b"TOLD")) as target:
        made = play(healthy(tmp_path), target, through=through)
    assert (made.overall, [one.verdict for one in made.calls]) == ("fine", ["changed"])
    assert "as many bytes, but others" in made.calls[0].differences


@pytest.mark.parametrize("through", ["raw", "grpcio"])
def test_a_server_that_still_does_it_is_found_out(through, tmp_path):
    def handle(one: Conversation) -> None:
        one.request()
        one.send(one.peer.headers(1, RESPONSE), data(1, PAGE), one.peer.headers(1, TRAILERS, END_STREAM))
        one.rest()

    with raw_server(handle) as (target, _):
        made = play(flag67(tmp_path), target, through=through)
    assert made.overall == "broken"
    assert [one.verdict for one in made.calls] == ["still-broken"]
    assert "grpc-invalid-compression-flag" in made.calls[0].why


def test_another_fault_is_another_fault(tmp_path):
    def handle(one: Conversation) -> None:
        one.request()
        one.send(one.peer.headers(1, RESPONSE), data(1, message(b"half")), rst(1, 2))
        one.rest()

    with raw_server(handle) as (target, _):
        made = play(flag67(tmp_path), target)
        assert [one.verdict for one in made.calls] == ["broken-differently"]
        assert "rst-midbody" in made.calls[0].why
        assert play(healthy(tmp_path), target).overall == "broken"


def test_an_error_status_leaves_it_untold(tmp_path):
    with grpc_server(Echo(status=grpc.StatusCode.UNAUTHENTICATED)) as target:
        made = play(flag67(tmp_path), target)
    assert made.overall == "untold"
    assert made.calls[0].verdict == "changed" and made.calls[0].after.message == "not today"
    assert any("refused" in note for note in made.notes)


@pytest.mark.parametrize("through", ["raw", "grpcio"])
def test_a_server_that_hangs_is_given_up(through, tmp_path):
    def handle(one: Conversation) -> None:
        one.request()
        one.rest()

    with raw_server(handle) as (target, _):
        made = play(healthy(tmp_path), target, through=through, timeout=0.5)
    assert made.calls[0].verdict == "broken-differently" and made.calls[0].after.gave_up
    assert made.overall == "broken"


def test_a_hang_that_was_recorded_is_the_same_hang(tmp_path):
    capture = Capture()
    capture.connect().hello().request(1).wait(60)
    capture.connect("10.0.0.1:40001").hello().call(1)

    def handle(one: Conversation) -> None:
        one.request()
        one.rest()

    with raw_server(handle) as (target, _):
        made = play(write(capture, tmp_path), target, timeout=0.4, call=0)
    assert made.calls[0].verdict == "still-broken"


def reset(one: Conversation) -> None:
    one.request()
    one.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.connection.close()


def garbage(one: Conversation) -> None:
    one.send(bytes(range(256)) * 64)
    one.rest()


def http1(one: Conversation) -> None:
    one.until(lambda got: len(got) > 24)
    one.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 3\r\nconnection: close\r\n\r\nno\n")


def leave(one: Conversation) -> None:
    one.connection.close()


def half_frame(one: Conversation) -> None:
    one.request()
    one.send(b"\x00\x40\x00\x00\x00\x00\x00\x00\x01" + bytes(100))


def turned_away(one: Conversation) -> None:
    one.request()
    one.send(goaway(0, 11, b"calm down"))


@pytest.mark.parametrize("through", ["raw", "grpcio"])
@pytest.mark.parametrize("handle", [reset, garbage, http1, leave, half_frame, turned_away])
def test_whatever_a_server_does_is_survived(handle, through, tmp_path):
    with raw_server(handle) as (target, _):
        made = play(healthy(tmp_path), target, through=through, timeout=0.8)
    assert made.overall in ("broken", "untold")
    assert made.calls[0].verdict in ("broken-differently", "not-sent")


def test_a_flood_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(tap, "LARGEST", 1 << 20)

    def handle(one: Conversation) -> None:
        one.request()
        while True:
            one.send((settings() + data(1, bytes(16_000))) * 10)

    with raw_server(handle) as (target, _):
        made = play(healthy(tmp_path), target)
    assert made.overall == "broken"
    assert "cut-off" in [one.what for one in made.deviations]


def test_a_server_that_never_reads_is_left(tmp_path):
    capture = Capture()
    connection = capture.connect().hello(server=((4, 1 << 30),))
    connection.client(connection.peers[0].headers(1, (*REQUEST_FIELDS,)))
    for _ in range(40):
        connection.client(data(1, message(bytes(16_000))))
    connection.client(data(1, b"", END_STREAM)).answer(1).close()

    def handle(one: Conversation) -> None:
        one.send(settings((4, (1 << 31) - 1)), b"\0\0\4\x08\0\0\0\0\0\x7f\0\0\0")
        one.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        done.wait(5)

    import threading

    done = threading.Event()
    with raw_server(handle) as (target, _):
        made = play(write(capture, tmp_path), target, timeout=0.5)
        done.set()
    assert made.calls[0].verdict == "broken-differently" and made.calls[0].after.gave_up


REQUEST_FIELDS = (
    (":method", "POST"), (":scheme", "http"), (":path", "/demo.Echo/Client"), (":authority", "demo"),
    ("te", "trailers"), ("content-type", "application/grpc"),
)  # fmt: skip


@pytest.mark.parametrize("through", ["raw", "grpcio"])
def test_nobody_there(through, tmp_path):
    with pytest.raises(CannotConnectError, match="the connection was refused"):
        play(healthy(tmp_path), f"127.0.0.1:{free_port()}", through=through)


@pytest.mark.parametrize("name", ["rst-midbody", "goaway-race", "incident", "healthy-streaming", "grpc-status-missing"])
@pytest.mark.parametrize("through", ["raw", "grpcio"])
def test_real_recordings_against_a_real_server(name, through):
    handler = Echo()
    with grpc_server(handler) as target:
        made = play(fixture(name), target, through=through)
    assert made.overall == "fine", made.summary
    assert all(one.verdict in ("fixed", "same", "changed") for one in made.calls)
    assert len(handler.seen) == len(made.calls)


def test_the_environment_leads_grpcio_nowhere(tmp_path, monkeypatch):
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with grpc_server(Echo()) as target:
        assert play(healthy(tmp_path), target, through="grpcio").calls[0].after.status == 0
