"""Servers to send requests to: real ones (grpcio), and one that sends whatever bytes a test wants."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from captured import Capture
from captures import pcap
from h2_bytes import END_STREAM, RESPONSE, TRAILERS, Peer, data, message, settings, settings_ack

import grpc

ROOT = Path(__file__).parents[3]


def fixture(name: str) -> str:
    return str(ROOT / "fixtures" / name / "capture.pcapng")


def write(capture: Capture, folder: Path) -> str:
    path = folder / "recorded.pcap"
    path.write_bytes(pcap(capture.packets))
    return str(path)


class Echo(grpc.GenericRpcHandler):
    """Answers each request message with `answer` (or itself), whatever the path; keeps what it saw."""

    def __init__(self, answer: bytes | None = None, status: grpc.StatusCode = grpc.StatusCode.OK) -> None:
        self.answer = answer
        self.status = status
        self.seen: list[tuple[str, list[bytes], dict[str, Any]]] = []

    def service(self, details: Any) -> Any:
        def handle(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            held: list[bytes] = []
            self.seen.append((details.method, held, dict(context.invocation_metadata())))
            if self.status is not grpc.StatusCode.OK:
                context.abort(self.status, "not today")
            for one in requests:
                held.append(one)
                yield one if self.answer is None else self.answer

        return grpc.stream_stream_rpc_method_handler(handle)


@contextmanager
def grpc_server(handler: Echo, credentials: Any = None) -> Iterator[str]:
    """Serve with grpcio; yield ``127.0.0.1:port``."""
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((handler,))
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


class Conversation:
    """One accepted connection of a `raw_server`."""

    def __init__(self, connection: socket.socket, got: bytearray) -> None:
        self.connection = connection
        self.got = got
        """All bytes of the client."""
        self.peer = Peer()

    def send(self, *parts: bytes) -> None:
        self.connection.sendall(b"".join(parts))

    def until(self, ready: Callable[[bytes], bool]) -> bytes:
        """Read until something holds of all that came, or the client closes."""
        while not ready(bytes(self.got)):
            more = self.connection.recv(65_536)
            if not more:
                break
            self.got += more
        return bytes(self.got)

    def request(self, count: int = 1) -> None:
        """Read until so many frames with END_STREAM have come, and answer the SETTINGS first."""
        self.send(settings(), settings_ack())
        self.until(lambda got: sum(1 for kind, flags, _, _ in frames(got) if kind < 2 and flags & 1) >= count)

    def answer(self, stream: int = 1, payload: bytes = b"told") -> None:
        self.send(
            self.peer.headers(stream, RESPONSE), data(stream, message(payload)),
            self.peer.headers(stream, TRAILERS, END_STREAM),
        )  # fmt: skip

    def rest(self) -> None:
        """Read until the client closes."""
        self.until(lambda got: False)


def frames(got: bytes, *, preface: bool = True) -> list[tuple[int, int, int, bytes]]:
    """The whole frames behind a client's preface: (kind, flags, stream, payload)."""
    at = 24 if preface else 0
    found = []
    while at + 9 <= len(got):
        length = int.from_bytes(got[at : at + 3], "big")
        if at + 9 + length > len(got):
            break
        stream = int.from_bytes(got[at + 5 : at + 9], "big")
        found.append((got[at + 3], got[at + 4], stream, got[at + 9 : at + 9 + length]))
        at += 9 + length
    return found


@contextmanager
def raw_server(handle: Callable[[Conversation], None]) -> Iterator[tuple[str, list[bytearray]]]:
    """Hand every connection to `handle` in a thread; yield ``127.0.0.1:port`` and what the clients sent."""
    listener = socket.create_server(("127.0.0.1", 0))
    received: list[bytearray] = []
    threads: list[threading.Thread] = []

    def one(connection: socket.socket, got: bytearray) -> None:
        with connection, suppress(OSError):
            handle(Conversation(connection, got))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.settimeout(20)
            got = bytearray()
            received.append(got)
            threads.append(threading.Thread(target=one, args=(connection, got), daemon=True))
            threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}", received
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(5)
        for thread in threads:
            thread.join(5)


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
