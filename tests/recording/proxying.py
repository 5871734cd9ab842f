"""A forwarding loop in a thread, with a server behind it and the ring that it writes into."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from wirecase.sources.live.forward import Forwarder
from wirecase.sources.live.process import listen
from wirecase.sources.live.ring import Kind, Ring, make_file
from wirecase.sources.live.secure import Terminator
from wirecase.sources.live.targets import Targets

PATIENCE = 10.0


@dataclass
class Told:
    """One record, with its bytes."""

    kind: int
    side: int
    connection: int
    time: int
    acked: int | None
    data: bytes


@dataclass
class Rig:
    """The proxy under test."""

    address: tuple[str, int]
    ring: Ring
    told: list[Told] = field(default_factory=list)

    def read(self) -> list[Told]:
        """Return all records so far."""
        for one in self.ring.read(1 << 30):
            self.told.append(Told(*one[:5], bytes(one.data)))
        self.ring.release()
        return self.told

    def until(self, *kinds: Kind, count: int = 1) -> list[Told]:
        """Wait until so many records of these kinds were told."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if sum(one.kind in kinds for one in self.read()) >= count:
                return self.told
            time.sleep(0.005)
        raise AssertionError(f"{kinds} did not come: {[(Kind(one.kind).name, one.side) for one in self.told]}")

    def stream(self, side: int, connection: int = 1) -> bytes:
        """Return what one side sent, as it was told."""
        found = [one for one in self.read() if (one.kind, one.side, one.connection) == (Kind.data, side, connection)]
        return b"".join(one.data for one in found)

    def connect(self) -> socket.socket:
        """Return a client's socket."""
        sock = socket.create_connection(self.address, PATIENCE)
        sock.settimeout(PATIENCE)
        return sock


@contextlib.contextmanager
def proxy(
    target: tuple[str, int], *, ring_bytes: int = 8 << 20, terminator: Terminator | None = None, most: int = 100,
    epoll: bool | None = None,
    wait: bool = False,
) -> Iterator[Rig]:  # fmt: skip
    """Run a forwarding loop in a thread."""
    ring = Ring(make_file(ring_bytes))
    listener = listen(("127.0.0.1", 0))
    rig = Rig(listener.getsockname()[:2], ring)
    forwarder = Forwarder(listener, ring, Targets(*target), most=most, terminator=terminator, epoll=epoll, wait=wait)
    stop = threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            forwarder.run(stop.is_set)
        except BaseException as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield rig
    finally:
        stop.set()
        thread.join(PATIENCE)
        forwarder.close()
        rig.read()
        if failures:
            raise failures[0]


@contextlib.contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[tuple[str, int]]:
    """Run `serve` for each connection, in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def handle(sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        with contextlib.suppress(OSError), sock:
            serve(sock)

    def accept() -> None:
        while not over.is_set():
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(sock,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[:2]
    finally:
        over.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def reset(sock: socket.socket) -> None:
    """Close with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def drain(sock: socket.socket) -> bytes:
    """Read to the end."""
    found = bytearray()
    while piece := sock.recv(1 << 16):
        found += piece
    return bytes(found)


def echo(sock: socket.socket) -> None:
    """Send everything back."""
    while piece := sock.recv(1 << 16):
        sock.sendall(piece)
