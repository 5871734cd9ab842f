"""TLS that is taken off and put on again: the same name, the same protocols, the same ends."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from proxying import Rig, drain, proxy, server

from wirecase.sources.authority import Authority
from wirecase.sources.live.ring import Kind
from wirecase.sources.live.secure import Hello, Terminator

SERVER = Authority("the server's own authority")
OURS = Authority("the recorder's throwaway authority")


@contextlib.contextmanager
def rig(tmp_path: Path, alpn: list[str] | None, *, names: tuple[str, ...] = ("localhost",), verify: bool = True,
        seen: list[tuple[str | None, str | None]] | None = None) -> Iterator[Rig]:  # fmt: skip
    """Run a TLS server that echoes in capitals, and the proxy before it."""
    context = SERVER.context(*names)
    if alpn is not None:
        context.set_alpn_protocols(alpn)
    names_seen: list[str | None] = []
    context.sni_callback = lambda _sock, name, _context: names_seen.append(name)

    def serve(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as secure:
            if seen is not None:
                seen.append((names_seen[-1], secure.selected_alpn_protocol()))
            while piece := secure.recv(1 << 16):
                secure.sendall(piece.upper())

    ca = tmp_path / "server.pem"
    ca.write_bytes(SERVER.pem)
    terminator = Terminator(OURS, "localhost", verify, str(ca))
    with server(serve) as target, proxy(target, terminator=terminator, ring_bytes=32 << 20) as found:
        yield found


def client(found: Rig, alpn: list[str] | None = None, name: str = "localhost") -> ssl.SSLSocket:
    context = ssl.create_default_context(cadata=OURS.pem.decode())
    if alpn is not None:
        context.set_alpn_protocols(alpn)
    return context.wrap_socket(found.connect(), server_hostname=name)


@pytest.mark.parametrize(
    ("offered", "known", "chosen"),
    [
        (["h2"], ["h2"], "h2"),
        (["h2", "http/1.1"], ["http/1.1"], "http/1.1"),
        (None, ["h2"], None),
        (["h2"], None, None),
    ],
)
def test_the_protocol_is_the_one_that_the_server_chose(
    tmp_path: Path, offered: list[str] | None, known: list[str] | None, chosen: str | None
) -> None:
    seen: list[tuple[str | None, str | None]] = []
    with rig(tmp_path, known, seen=seen) as found, client(found, offered) as sock:
        assert sock.selected_alpn_protocol() == chosen
        sock.sendall(b"hello")
        assert sock.recv(100) == b"HELLO"
        assert seen == [("localhost", chosen)]
        found.until(Kind.data, count=2)
        assert (found.stream(0), found.stream(1)) == (b"hello", b"HELLO")


def test_much_passes_unaltered(tmp_path: Path) -> None:
    sent = os.urandom(2_000_000).lower()
    with rig(tmp_path, ["h2"]) as found, client(found, ["h2"]) as sock:
        threading.Thread(target=sock.sendall, args=(sent,)).start()
        got = b""
        while len(got) < len(sent):
            got += sock.recv(1 << 16)
        assert got == sent.upper()
        found.until(Kind.data)
        while len(found.stream(1)) < len(sent):
            found.until(Kind.data)
        assert found.stream(0) == sent


def test_an_end_passes(tmp_path: Path) -> None:
    with rig(tmp_path, ["h2"]) as found, client(found) as sock:
        sock.sendall(b"bye")
        assert sock.recv(10) == b"BYE"
        plain = sock.unwrap()
        assert drain(plain) == b""
        told = found.until(Kind.closed)
        assert next((one.kind, one.side) for one in told if one.kind in (Kind.fin, Kind.rst)) == (Kind.fin, 0)


@pytest.mark.parametrize("verify", [True, False])
def test_a_server_that_is_not_trusted(tmp_path: Path, verify: bool) -> None:
    with rig(tmp_path, ["h2"], names=("other.example",), verify=verify) as found:
        if verify:
            with pytest.raises((ssl.SSLError, OSError)):
                client(found)
            told = found.until(Kind.closed)
            why = [one.data for one in told if one.kind == Kind.failed]
            assert why
            assert why[0].startswith(b"TLS with the server: ")
        else:
            with client(found) as sock:
                sock.sendall(b"x")
                assert sock.recv(1) == b"X"


def test_a_client_that_speaks_no_tls_is_led_on_as_it_is(tmp_path: Path) -> None:
    with rig(tmp_path, ["h2"]) as found, found.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            drain(sock)  # the server's alert, and its end
        found.until(Kind.closed)
        assert found.stream(0) == b"GET / HTTP/1.1\r\n\r\n"


def _hello(alpn: list[str]) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.set_alpn_protocols(alpn)
    secure = context.wrap_bio(incoming, outgoing, server_hostname="a.example")
    with contextlib.suppress(ssl.SSLWantReadError):
        secure.do_handshake()
    return outgoing.read()


def test_a_greeting_is_read_at_any_cut_and_no_garbage_raises() -> None:
    terminator = Terminator(OURS, "localhost")
    data = _hello(["h2", "http/1.1"])
    for size in range(1, len(data)):
        assert terminator.greeting(data[:size]) is None
    wanted = Hello("a.example", ("h2", "http/1.1"))
    assert terminator.greeting(data) == wanted
    assert terminator.greeting(data + b"more") == wanted
    for garbage in (b"", b"x", b"\x16\x03\x01\x00\x05\x02\x00\x00\x01x", os.urandom(500), b"\x16" * 40_000):
        assert not terminator.greeting(garbage)
