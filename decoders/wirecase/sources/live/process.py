"""The forwarding process: begun with sockets that are open already, ended with whoever began it."""

from __future__ import annotations

import gc
import multiprocessing
import resource
import signal
import socket
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import DupFd
from typing import Any

from wirecase.errors import InputError, UsageError
from wirecase.sources.live.ring import Ring, make_file

_BACKLOG = 1024
_FEW = 64
"""Descriptors that are not for connections."""


@dataclass(slots=True)
class TlsOptions:
    """How TLS is taken off."""

    authority: Any
    """`wirecase.sources.authority.Authority`."""
    server_name: str
    verify: bool = True
    server_ca: str | None = None


@dataclass(slots=True)
class Route:
    """What is forwarded where."""

    listen: tuple[str, int]
    target: tuple[str, int]
    tls: TlsOptions | None = None
    """None passes everything on as it is."""
    most: int = 4096
    """Connections at one time; others wait in the backlog."""
    wait: bool = False
    """Let traffic wait for room in the ring, where it would be left out of the recording otherwise."""


def address_of(text: str, option: str, *, host: str | None = None) -> tuple[str, int]:
    """Read ``HOST:PORT``, IPv6 in brackets; where `host` is given, ``PORT`` and ``:PORT`` mean a port of it."""
    name, _, port = text.rpartition(":")
    name = name.removeprefix("[").removesuffix("]")
    if not port.isdecimal() or int(port) > 65535 or (not name and host is None):
        example = "127.0.0.1:8080 or 8080" if host is not None else "server.example:50051"
        raise UsageError(f"{option} {text} is no address: give {example}")
    return name or host or "", int(port)


def is_loopback(address: tuple[str, int]) -> bool:
    """Tell whether only this machine can reach an address."""
    return address[0] == "localhost" or address[0] == "::1" or address[0].startswith("127.")


def listen(address: tuple[str, int]) -> socket.socket:
    """Open the listening socket. Raises InputError if that is not possible."""
    try:
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, where = found[0]
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise InputError(f"cannot listen on {address[0]}:{address[1]}: {error.strerror or error}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(where)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise InputError(f"cannot listen on {address[0]}:{address[1]}: {error.strerror or error}") from error
    return sock


class Proxy:
    """A forwarding process and the ring that it writes into."""

    def __init__(self, route: Route, *, ring_bytes: int) -> None:
        """Begin to forward. Raises InputError if the address cannot be listened on or the target has none."""
        from wirecase.sources.live.targets import Targets

        Targets(*route.target)  # asked here so that a wrong name is told at once
        listener = listen(route.listen)
        self.address: tuple[str, int] = listener.getsockname()[:2]
        self.handle = make_file(ring_bytes)
        self.ring = Ring(self.handle)
        context = multiprocessing.get_context("spawn")
        far, self._lifeline = context.Pipe(duplex=False)
        self.process: SpawnProcess = context.Process(
            target=_run, args=(listener, _Handle(self.handle), far, route), daemon=True, name="wirecase forwarder"
        )
        self.process.start()
        far.close()
        listener.close()

    @property
    def alive(self) -> bool:
        """The process forwards."""
        return self.process.is_alive()

    def stop(self) -> None:
        """Cease to forward; what the ring holds can still be read."""
        self._lifeline.close()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class _Handle:
    """A descriptor that travels to a process that is being spawned."""

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return _arrive, (DupFd(self.handle),)


def _arrive(travelled: Any) -> _Handle:
    return _Handle(travelled.detach())


Handle = _Handle


def begin_process() -> None:
    """Leave signals to the process that this one belongs to: it ends when that one does."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _run(listener: socket.socket, handle: _Handle, lifeline: Connection, route: Route) -> None:
    from wirecase.sources.live.forward import Forwarder
    from wirecase.sources.live.secure import Terminator
    from wirecase.sources.live.targets import Targets

    begin_process()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = min(hard, 1 << 20) if hard != resource.RLIM_INFINITY else 1 << 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (room, hard))
    most = min(route.most, (room - _FEW) // 2)
    terminator = None
    if route.tls is not None:
        terminator = Terminator(route.tls.authority, route.tls.server_name, route.tls.verify, route.tls.server_ca)
    ring = Ring(handle.handle)
    forwarder = Forwarder(listener, ring, Targets(*route.target), most=most, terminator=terminator, wait=route.wait)
    gc.collect()
    gc.freeze()  # what is here stays; links leave no cycles behind
    gc.set_threshold(50_000, 50, 50)
    try:
        forwarder.run(bool, lifeline.fileno())
    finally:
        forwarder.close()
