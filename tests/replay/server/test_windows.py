"""Flow control and limits of the live client, which are not the recorded one's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from h2_bytes import (
    DATA,
    END_STREAM,
    HEADERS,
    PING,
    RESPONSE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    data,
    frame,
    message,
    settings,
    window_update,
)
from made import Session, plan_of
from wires import Bare, fixture

from wirecase.model import SERVER
from wirecase.replay.server import ReplayServer

Serve = Callable[..., ReplayServer]
A = "/demo.Echo/A"


def _greeted(server: ReplayServer, window: int) -> Bare:
    client = Bare(server.address, greet=False)
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", settings((4, window)))
    return client


def test_credit_comes_with_the_fault_that_it_came_with(serve: Serve, tmp_path: Path) -> None:
    made = Session().ask(1, A, b"123").raw(window_update(1, 8) + window_update(0, 8) + b"HTTP/1.1 503 Gone\r\n\r\n")
    made.talk.fin(SERVER)
    server = serve(plan_of(tmp_path, made))
    client = Bare(server.address)
    client.request(1, A, b"123")
    assert client.end() == "fin"
    assert [(one[2], one[3]) for one in client.frames if one[0] == WINDOW_UPDATE and one[3] == b"\0\0\0\x08"] == [
        (1, b"\0\0\0\x08"), (0, b"\0\0\0\x08"),
    ]  # fmt: skip


def test_credit_that_the_client_has_not_used_is_not_given(serve: Serve, tmp_path: Path) -> None:
    made = Session().ask(1, A, b"a long request").raw(window_update(1, 19) + window_update(0, 19))
    made.talk.reset(SERVER)
    server = serve(plan_of(tmp_path, made))
    client = Bare(server.address)
    client.request(1, A, b"")
    assert client.end() == "rst"
    assert not [one for one in client.frames if one[0] == WINDOW_UPDATE and one[3] == b"\0\0\0\x13"]


def test_a_smaller_window_is_kept_to_and_noted(serve: Serve, tmp_path: Path) -> None:
    body = bytes(range(256)) * 39
    server = serve(plan_of(tmp_path, Session().ask(1, A).answer(1, body)))
    client = _greeted(server, 1000)
    client.request(1, A, b"x")
    got = client.until(DATA, stream=1)
    assert got is not None and len(got[3]) == 1000 and not got[1] & END_STREAM
    assert client.until(DATA, stream=1, wait=0.1) is None
    whole = got[3]
    client.send(window_update(1, 500))
    got = client.until(DATA, stream=1)
    assert got is not None and len(got[3]) == 500
    whole += got[3]
    client.send(settings((4, 30_000)))
    while got is not None and len(whole) < 5 + len(body):
        got = client.until(DATA, stream=1)
        whole += got[3] if got is not None else b""
    assert whole[5:] == body
    assert client.until(HEADERS, stream=1) is not None
    client_trailers = client.until(HEADERS, stream=1)
    assert client_trailers is not None and client_trailers[1] & END_STREAM
    trace = server.stop()
    assert [one.what for one in trace.deviations] == ["window-smaller"]
    assert trace.calls[0].messages_sent == 1
    assert trace.calls[0].status == 0


def test_the_connection_window_counts_too(serve: Serve, tmp_path: Path) -> None:
    server = serve(plan_of(tmp_path, Session().ask(1, A).answer(1, *[bytes(16_000)] * 8)))
    client = _greeted(server, 1 << 20)
    client.request(1, A, b"x")
    got = 0
    while (one := client.until(DATA, stream=1, wait=0.2)) is not None:
        got += len(one[3])
    assert got == 65_535
    client.send(window_update(0, 1 << 20))
    while (one := client.until(DATA, stream=1, wait=0.2)) is not None:
        got += len(one[3])
    assert got == 8 * 16_005


def test_credit_follows_what_the_client_sends(serve: Serve, tmp_path: Path) -> None:
    server = serve(plan_of(tmp_path, Session(limits=[(4, 4096)]).ask(1, A)))
    client = Bare(server.address)
    assert client.until(SETTINGS) is not None
    client.request(1, A, bytes(3000), end=False)
    update = client.until(WINDOW_UPDATE, stream=1)
    assert update is not None and int.from_bytes(update[3], "big") >= 3000
    for _ in range(20):
        client.send(data(1, bytes(2000)))
        client.send(data(1, bytes(100)))
        assert client.until(WINDOW_UPDATE, stream=1) is not None


def test_nothing_is_sent_within_a_frame(serve: Serve, tmp_path: Path) -> None:
    made = Session().ask(1, A)
    made.raw(made.peers[SERVER].headers(1, RESPONSE))
    whole = data(1, message(b"y" * 50))
    made.raw(whole[:30]).talk.wait(0.3)
    made.raw(whole[30:]).reset(1, 2)
    server = serve(plan_of(tmp_path, made), speed=1.0)
    client = Bare(server.address)
    client.request(1, A, b"x")
    assert client.until(HEADERS, stream=1) is not None
    client.send(frame(PING, 0, 0, b"12345678"))
    client.request(3, "/not.In/It", b"x")
    got = client.until(DATA, RST_STREAM, stream=1)
    assert got is not None and got[3] == message(b"y" * 50)
    assert client.until(PING) is not None
    assert client.fields(3)["grpc-status"] == "12"


def test_windows_that_are_too_large_to_be_overrun_are_noted(serve: Serve) -> None:
    server = serve(fixture("fc-violation"))
    client = _greeted(server, 1 << 24)
    client.send(window_update(0, 1 << 24))
    (call,) = server.plan.calls()
    client.request(1, call.path, b"x")
    assert client.until(DATA, stream=1) is not None
    client.until(HEADERS, RST_STREAM, stream=1, wait=0.3)
    assert "fault-not-shown" in {one.what for one in server.stop().deviations}


def test_starvation_is_served_as_recorded(serve: Serve) -> None:
    """The recorded server gave no credit: neither does the replay."""
    server = serve(fixture("fc-zero-increment"))
    client = Bare(server.address)
    client.until(SETTINGS)
    (call,) = server.plan.calls()
    client.request(1, call.path, b"x")
    found = client.until(WINDOW_UPDATE, stream=1)
    assert found is not None and found[3] == bytes(4)
    trace = server.stop()
    assert trace.connections[0].faults == ["fc-zero-increment"]
