"""TLS with a throwaway authority, right and deliberately wrong."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from wires import ask, fixture, requests

import grpc
from wirecase.replay.plan import read_plan
from wirecase.replay.server import ReplayServer
from wirecase.replay.tls import Alpn, Tls

Serve = Callable[..., ReplayServer]


@pytest.fixture
def tls() -> Iterator[Callable[[Alpn], Tls]]:
    made: list[Tls] = []

    def make(alpn: Alpn) -> Tls:
        made.append(Tls(alpn=alpn))
        return made[-1]

    yield make
    for one in made:
        one.close()
        assert not os.path.exists(one.ca)


def _handshake(server: ReplayServer, ca: str, name: str) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context.wrap_socket(socket.create_connection(server.address, timeout=5), server_hostname=name)


def test_grpcio_meets_the_fault_through_it(serve: Serve, tls: Callable[[Alpn], Tls]) -> None:
    ours = tls("h2")
    plan = read_plan(str(fixture("rst-midbody")))
    server = serve(plan, tls=ours, speed=4.0)
    credentials = grpc.ssl_channel_credentials(Path(ours.ca).read_bytes())
    (call,) = plan.calls()
    with grpc.secure_channel(f"localhost:{server.address[1]}", credentials) as channel:
        answer = ask(channel, call.path, requests(call))
    assert (answer.code.name, len(answer.messages)) == ("INTERNAL", 13)
    assert server.stop().connections[0].alpn == "h2"


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize(("alpn", "agreed"), [("h2", "h2"), ("http/1.1", "http/1.1"), ("none", None)])
def test_names_and_alpn(serve: Serve, tls: Callable[[Alpn], Tls], name: str, alpn: Alpn, agreed: str | None) -> None:
    ours = tls(alpn)
    server = serve(fixture("rst-midbody"), tls=ours)
    with _handshake(server, ours.ca, name) as client:
        assert client.selected_alpn_protocol() == agreed
        assert client.version() in ("TLSv1.2", "TLSv1.3")
    assert server.stop().connections[0].alpn == agreed


def test_a_client_that_does_not_trust_it_is_noted(serve: Serve, tls: Callable[[Alpn], Tls]) -> None:
    server = serve(fixture("rst-midbody"), tls=tls("h2"))
    context = ssl.create_default_context()
    with pytest.raises(ssl.SSLError), socket.create_connection(server.address, timeout=5) as plain:
        context.wrap_socket(plain, server_hostname="localhost")
    for _ in range(50):
        if server.open_connections == 0 and server.trace().connections and server.trace().connections[0].tls_error:
            break
    server.stop()
    assert server.trace().connections[0].tls_error


def test_cleartext_on_a_tls_port_is_noted(serve: Serve, tls: Callable[[Alpn], Tls]) -> None:
    server = serve(fixture("rst-midbody"), tls=tls("h2"))
    with socket.create_connection(server.address, timeout=5) as plain:
        plain.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        while plain.recv(100):
            pass
    trace = server.stop()
    assert trace.connections[0].tls_error
    assert "tls-failed" in {one.what for one in trace.deviations}


def test_a_reset_sends_no_close_notify(serve: Serve, tls: Callable[[Alpn], Tls]) -> None:
    ours = tls("h2")
    plan = read_plan(str(fixture("tcp-reset-midstream")))
    server = serve(plan, tls=ours)
    credentials = grpc.ssl_channel_credentials(Path(ours.ca).read_bytes())
    (call,) = plan.calls()
    with grpc.secure_channel(f"localhost:{server.address[1]}", credentials) as channel:
        answer = ask(channel, call.path, requests(call))
    assert answer.code.name == "UNAVAILABLE"
    # A client that was just writing hears of a reset as EPIPE.
    assert any(word in answer.details.lower() for word in ("reset", "broken pipe"))
    assert server.stop().connections[0].closed_by == "server-rst"
