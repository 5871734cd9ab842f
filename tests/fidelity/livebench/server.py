"""A server that breaks in one chosen way: what the live sessions are held against.

It knows nothing of replay: frames come from the fixtures' hand-made peer, and no capture is read. One thread per
connection reads frames, acknowledges what is due, and hands each finished request to the fault.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3] / "fixtures" / "make"))

from peer import (
    ACK,
    DATA,
    DONE,
    END_STREAM,
    HEADERS,
    OPEN,
    PING,
    PREFACE,
    SETTINGS,
    WINDOW_UPDATE,
    Headers,
    Peer,
    frame,
    settings,
    text_message,
)


class Fin(Exception):
    """End the connection with a FIN and read on until the client has gone."""


class Reset(Exception):
    """End the connection with a TCP reset."""


class Line(Peer):
    """The server's side of one connection."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        super().__init__(sock, is_client=False)
        self.number = number
        """From 0, in the order of connections."""

    def open(self, own: dict[int, int] | None = None) -> None:
        """The server's opening: the preface read, SETTINGS sent."""
        self.exactly(len(PREFACE))
        self.send(settings(own or {3: 100}))

    def pause(self, seconds: float = 0.1) -> None:
        """Wait, so that the client has dealt with what came before."""
        time.sleep(seconds)

    def data(self, stream: int, payload: bytes, end: bool = False) -> bytes:
        """A DATA frame."""
        return frame(DATA, END_STREAM if end else 0, stream, payload)

    def begin(self, stream: int, *words: str, extra: Headers = ()) -> None:
        """Response headers and one message for each word, and time for the client to take them in."""
        body = [self.data(stream, text_message(word)) for word in words]
        self.send(self.headers(stream, [*OPEN, *extra]), *body)
        self.pause()

    def healthy(self, stream: int, *words: str) -> None:
        """A whole good answer."""
        body = [self.data(stream, text_message(word)) for word in words or ("fine",)]
        self.send(self.headers(stream, OPEN), *body, self.headers(stream, DONE, end=True))


Answer = Callable[[Line, int, int], None]
"""Answers a finished request: the connection, the stream, and the number of the call over all connections, from 0."""


def plain_opening(line: Line) -> None:
    """What a healthy server does with a new connection."""
    line.open()


def no_answer(line: Line, stream: int, number: int) -> None:
    """Silence."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break, and the call that meets it."""

    name: str
    summary: str
    answer: Answer = no_answer
    opening: Callable[[Line], None] = plain_opening
    kind: str = "unary"
    calls: int = 1
    parallel: int = 1
    messages: int = 1
    size: int = 5
    timeout: float = 4.0
    """The client's deadline in seconds."""
    feeds: bool = True
    """Whether the client's DATA is given back as window."""
    on_headers: bool = False
    """Answer when the request's headers are there, not at its end."""
    control: bool = False
    """Nothing is broken."""

    def arguments(self) -> list[str]:
        """What a driver client is told."""
        return [
            *("--path", "/demo.Echo/Unary" if self.kind == "unary" else "/demo.Echo/Stream", "--kind", self.kind),
            *("--calls", str(self.calls), "--parallel", str(self.parallel), "--messages", str(self.messages)),
            *("--size", str(self.size), "--timeout", str(self.timeout)),
        ]


def first_only(answer: Answer) -> Answer:
    """The fault for the first call, good answers for all that follow."""
    return lambda line, stream, number: line.healthy(stream) if number else answer(line, stream, number)


def _talk(line: Line, fault: Fault, numbers: Iterator[int]) -> None:
    fault.opening(line)
    while True:
        kind, flags, stream, payload = line.read()
        if kind in (SETTINGS, PING) and not flags & ACK:
            line.send(frame(kind, ACK, 0, payload if kind == PING else b""))
        elif kind == DATA and payload and fault.feeds:
            more = struct.pack(">I", len(payload))
            line.send(frame(WINDOW_UPDATE, 0, 0, more), frame(WINDOW_UPDATE, 0, stream, more))
        ended = kind in (HEADERS, DATA) and flags & END_STREAM
        if (kind == HEADERS) if fault.on_headers else ended:
            fault.answer(line, stream, next(numbers))


def _serve(sock: socket.socket, number: int, fault: Fault, numbers: Iterator[int]) -> None:
    sock.settimeout(30)
    line = Line(sock, number)
    with contextlib.suppress(OSError, EOFError):
        try:
            _talk(line, fault, numbers)
        except Fin:
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
        except Reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


@contextlib.contextmanager
def serve(fault: Fault) -> Iterator[int]:
    """Break like this on a port of its own while the block runs; gives the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    stop = threading.Event()
    numbers = itertools.count()
    threads: list[threading.Thread] = []
    sockets: list[socket.socket] = []

    def accept() -> None:
        while not stop.is_set() and len(threads) < 100:
            with contextlib.suppress(TimeoutError):
                sock, _ = listener.accept()
                sockets.append(sock)
                thread = threading.Thread(target=_serve, args=(sock, len(threads), fault, numbers), daemon=True)
                thread.start()
                threads.append(thread)

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        acceptor.join(5)
        listener.close()
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)
