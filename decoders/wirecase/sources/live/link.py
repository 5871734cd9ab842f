"""One client's way through the proxy: two sockets, and what is on its way from one to the other."""

from __future__ import annotations

import fcntl
import socket
import ssl
import struct
import termios
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto

from wirecase.model import CLIENT, SERVER

_LINGER_NOT = struct.pack("ii", 1, 0)


class Stage(Enum):
    """How far a connection has come."""

    greeting = auto()
    """The client's first bytes are awaited: they say what it wants of TLS."""
    connecting = auto()
    securing_server = auto()
    securing_client = auto()
    open = auto()
    ending = auto()
    """One side has reset it; what it sent before is still on its way to the other."""
    over = auto()


class Half:
    """One socket of a link. `pending` are bytes on their way to it."""

    __slots__ = (
        "acked", "blocked_since", "blocked_told", "ended", "fd", "link", "mask", "peer", "pending", "recv_into",
        "secure", "send", "sent", "shut", "shut_wanted", "side", "sock",
    )  # fmt: skip

    def __init__(self, link: Link, side: int, sock: socket.socket) -> None:
        self.link = link
        self.side = side
        self.sock = sock
        self.fd = sock.fileno()
        self.peer: Half
        self.mask = -1
        """What the poller was asked for; -1 if it does not know the socket."""
        self.pending: memoryview | None = None
        self.sent = 0
        """Bytes that were given to the system for the peer."""
        self.acked = 0
        """How many of them, and our FIN, the peer's TCP is known to have acknowledged."""
        self.ended = False
        """Its FIN was read."""
        self.shut = False
        """It was sent a FIN."""
        self.shut_wanted = False
        self.blocked_since = 0
        """When it ceased to take bytes, ns; 0 if it takes them."""
        self.blocked_told = False
        self.secure: ssl.SSLSocket | None = None
        self.recv_into: Callable[[memoryview], int] = sock.recv_into
        self.send: Callable[[memoryview], int] = sock.send

    def put_on(self, secure: ssl.SSLSocket) -> None:
        """TLS is spoken from here on; `secure` took the socket over."""
        self.sock = self.secure = secure
        self.recv_into = self._recv_secure
        self.send = self._send_secure

    def _recv_secure(self, view: memoryview) -> int:
        assert self.secure is not None
        try:
            return self.secure.recv_into(view)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise BlockingIOError from error
        except ssl.SSLEOFError:
            return 0  # without close_notify: a FIN all the same
        except ssl.SSLError as error:
            raise ConnectionResetError(str(error)) from error

    def _send_secure(self, view: memoryview) -> int:
        """Send as many records as the socket takes."""
        assert self.secure is not None
        sent = 0
        try:
            while sent < len(view):
                sent += self.secure.send(view[sent:])
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            if not sent:
                raise BlockingIOError from error
        except ssl.SSLError as error:
            raise ConnectionResetError(str(error)) from error
        return sent

    @property
    def buffered(self) -> bool:
        """TLS holds bytes that were decrypted already: no event will tell of them."""
        return self.secure is not None and self.secure.pending() > 0

    @property
    def unsent(self) -> int:
        """Bytes that the system still holds for the peer."""
        try:
            return int.from_bytes(fcntl.ioctl(self.fd, termios.TIOCOUTQ, bytes(4)), "little")
        except OSError:
            return 0

    def acknowledged(self) -> int | None:
        """Return how much the peer's TCP has acknowledged by now; None if nothing new is known.

        Under TLS the system's numbers are those of records: only that all of them were acknowledged says something.
        """
        total = self.sent + self.shut
        if self.acked == total:
            return None
        unsent = self.unsent
        now = total - unsent if self.secure is None else self.acked if unsent else total
        if now <= self.acked:
            return None
        self.acked = now
        return now

    def shutdown(self) -> None:
        """Send a FIN, and the close_notify of TLS before it."""
        self.shut, self.shut_wanted = True, False
        if self.secure is not None:
            with suppress(OSError, ValueError):  # the other side's answer is not waited for
                self.secure.unwrap()
        with suppress(OSError):  # gone already: reading will tell
            socket.socket.shutdown(self.sock, socket.SHUT_WR)

    def abort(self) -> None:
        """Send a RST."""
        with suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self.close()

    def close(self) -> None:
        """Close the socket; harmless if it is closed."""
        with suppress(OSError):
            self.sock.close()


class Link:
    """One client and the server connection made for it."""

    __slots__ = ("client", "hello", "lost", "name", "number", "server", "since", "stage", "target",
                 "tries")  # fmt: skip

    def __init__(self, number: int, client: socket.socket, server: socket.socket) -> None:
        self.number = number
        self.name = ""
        """The client's address and port."""
        self.target: tuple[str, int] = ("", 0)
        """The server's address that is tried."""
        self.stage = Stage.connecting
        self.client = Half(self, CLIENT, client)
        self.server = Half(self, SERVER, server)
        self.client.peer, self.server.peer = self.server, self.client
        self.lost = [0, 0]
        """Bytes by sender that were passed on and found no room in the ring, not told yet."""
        self.tries = 1
        """Addresses of the server that were tried."""
        self.since = 0.0
        """When its `ending` began, seconds of the monotonic clock."""
        self.hello: object = None

    def unknot(self) -> None:
        """Leave no reference cycle behind."""
        for half in (self.client, self.server):
            half.pending = None
            del half.peer, half.link, half.recv_into, half.send
