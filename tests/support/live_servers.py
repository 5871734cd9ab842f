"""Servers on loopback for live tests: over h2 in a thread, well-behaved or not, and sockets that do odd things."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions

Handle = Callable[[socket.socket], None]


@contextlib.contextmanager
def serving(handle: Handle, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Run `handle` for every connection, in a thread each; give the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopped = threading.Event()
    threads: list[threading.Thread] = []

    def one(sock: socket.socket) -> None:
        with contextlib.suppress(OSError, h2.exceptions.ProtocolError):
            if context is not None:
                sock.settimeout(5)
                sock = context.wrap_socket(sock, server_side=True)
            with sock:
                handle(sock)

    def accept() -> None:
        while not stopped.is_set():
            if select.select([listener], [], [], 0.05)[0]:
                sock, _ = listener.accept()
                thread = threading.Thread(target=one, args=(sock,), daemon=True)
                thread.start()
                threads.append(thread)

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stopped.set()
        acceptor.join(5)
        listener.close()


class H2Server:
    """Speaks HTTP/2; `answer` maps a path to (response headers, body, trailers or None)."""

    def __init__(
        self,
        answer: Callable[[str], tuple[list[tuple[str, str]], bytes, list[tuple[str, str]] | None]],
        *,
        ack_pings: bool = True,
        close_after: float | None = None,
        goaway_after: float | None = None,
        reset: bool = False,
    ) -> None:
        self._answer = answer
        self._ack = ack_pings
        self._close_after = close_after
        self._goaway_after = goaway_after
        self._reset = reset
        self.paths: list[str] = []

    def __call__(self, sock: socket.socket) -> None:
        conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        conn.initiate_connection()
        sock.sendall(conn.data_to_send())
        began = time.monotonic()
        said = False
        while True:
            if isinstance(sock, ssl.SSLSocket) and sock.pending():
                readable = True
            else:
                readable = bool(select.select([sock], [], [], 0.02)[0])
            age = time.monotonic() - began
            if self._goaway_after is not None and age > self._goaway_after and not said:
                said = True
                conn.close_connection()
                sock.sendall(conn.data_to_send())
                return
            if self._close_after is not None and age > self._close_after:
                if self._reset:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                return
            if not readable:
                continue
            data = sock.recv(65536)
            if not data:
                return
            for event in conn.receive_data(data):
                self._on(conn, event)
            out = conn.data_to_send()
            if not self._ack:
                out = _without_ping_acks(out)
            sock.sendall(out)

    def _on(self, conn: Any, event: Any) -> None:
        if isinstance(event, h2.events.RequestReceived):
            path = dict(event.headers)[":path"]
            self.paths.append(path)
            headers, body, trailers = self._answer(path)
            only = not body and trailers is None
            conn.send_headers(event.stream_id, headers, end_stream=only)
            if body:
                conn.send_data(event.stream_id, body, end_stream=trailers is None)
            if trailers is not None:
                conn.send_headers(event.stream_id, trailers, end_stream=True)


def _without_ping_acks(data: bytes) -> bytes:
    out, at = b"", 0
    while at + 9 <= len(data):
        size = int.from_bytes(data[at : at + 3], "big") + 9
        if not (data[at + 3] == 6 and data[at + 4] & 1):
            out += data[at : at + size]
        at += size
    return out


def grpc_answer(path: str) -> tuple[list[tuple[str, str]], bytes, list[tuple[str, str]] | None]:
    """What a gRPC server without services answers; ``/demo.Echo/Unary`` says OK."""
    head = [(":status", "200"), ("content-type", "application/grpc")]
    if path == "/demo.Echo/Unary":
        return head, b"\0\0\0\0\x02ok", [("grpc-status", "0")]
    return [*head, ("grpc-status", "12"), ("grpc-message", "no such method")], b"", None


def page(status: int) -> Callable[[str], tuple[list[tuple[str, str]], bytes, list[tuple[str, str]] | None]]:
    """A proxy that answers everything with a page."""
    body = f"<html><title>{status}</title></html>".encode()
    return lambda _path: ([(":status", str(status)), ("content-type", "text/html"), ("server", "nginx")], body, None)
