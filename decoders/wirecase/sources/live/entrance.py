"""How a connection begins and how it is forgotten: accepting, reaching the server, TLS on both sides.

`forward` goes on from there. Everything runs in one thread, and nothing waits.
"""

from __future__ import annotations

import errno
import socket
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable

from wirecase.sources.live.link import Half, Link, Stage
from wirecase.sources.live.poller import ERR, HUP, IN, OUT, Poller
from wirecase.sources.live.ring import Kind, Ring, Slot
from wirecase.sources.live.secure import Terminator
from wirecase.sources.live.targets import Targets

RECEIVE = 256 << 10
"""Bytes that are received at once at most."""
LEAST = 16 << 10
"""Room in the ring below which it is taken for full."""
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Entrance(ABC):
    """The connections of a proxy, from the client's SYN until bytes flow."""

    def __init__(
        self, listener: socket.socket, ring: Ring, targets: Targets, *, most: int = 4096, wait: bool = False,
        terminator: Terminator | None = None, epoll: bool | None = None,
    ) -> None:  # fmt: skip
        self._listener = listener
        self._ring = ring
        self._slots = ring.slots
        self._targets = targets
        self._most = most
        self._terminator = terminator
        self._wait = wait
        self._starved: set[Half] = set()
        """Those that are not read until there is room in the ring."""
        self._poller = Poller(epoll=epoll)
        self._halves: dict[int, Half] = {}
        self._numbers = 0
        self._open = 0
        self._scratch = memoryview(bytearray(RECEIVE))
        self._accepting = False
        self._blocked: set[Half] = set()
        self._ending: set[Link] = set()
        self._greeting: dict[Link, float] = {}
        self._dialling: dict[Link, int] = {}
        """Links whose server has not answered yet, and how often its SYN was sent again."""
        self._owing: set[Half] = set()
        """Those whose peers have not acknowledged everything that they were sent."""
        self._traffic = [0, 0]
        listener.setblocking(False)

    @abstractmethod
    def _read(self, half: Half) -> None:
        """Take what a side sent."""

    @abstractmethod
    def _reset_by(self, half: Half) -> None:
        """`half` is gone."""

    # ---- beginning ---------------------------------------------------------------------------------------------------

    def _accept_more(self, *, wanted: bool) -> None:
        if wanted and not self._accepting:
            self._poller.register(self._listener.fileno(), IN)
        elif not wanted and self._accepting:
            self._poller.unregister(self._listener.fileno())
            self._slots[Slot.turned_away] += 1
        self._accepting = wanted

    def _accept(self) -> None:
        for _ in range(16):
            try:
                client, address = self._listener.accept()
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._accept_more(wanted=False)  # until the next round
                return
            self._begin(client, address)
            if self._open >= self._most:
                self._accept_more(wanted=False)
                return

    def _begin(self, client: socket.socket, address: tuple[str, int]) -> None:
        client.setblocking(False)
        _tune(client)
        family, target = self._targets.address(0)
        try:
            server = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            client.close()
            self._accept_more(wanted=False)
            return
        server.setblocking(False)
        _tune(server)
        link = Link(0, client, server)
        self._open += 1
        self._slots[Slot.accepted] += 1
        self._halves[link.client.fd] = link.client
        link.name = _named(address)
        self._tell_opened(link, target)
        if self._terminator is not None:
            link.stage = Stage.greeting
            self._greeting[link] = time.monotonic()
            self._ask(link.client, IN)
        else:
            self._ask(link.client, 0)
            self._connect(link)

    def _connect(self, link: Link) -> None:
        link.stage = Stage.connecting
        half = link.server
        self._halves[half.fd] = half
        code = half.sock.connect_ex(link.target)
        if code not in (0, errno.EINPROGRESS):
            self._unreachable(link, code)
            return
        self._dialling[link] = 0
        self._ask(half, OUT)

    def _connecting(self, link: Link, half: Half, events: int) -> None:
        if half is link.client:
            if events & (ERR | HUP):
                self._reset_by(half)
            return
        code = half.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._unreachable(link, code)
            return
        try:
            half.sock.getpeername()
        except OSError:  # an event of the socket that had this number before
            return
        self._dialling.pop(link, None)
        self._targets.reached(link.tries)
        self._tell(link, Kind.established, 1)
        if self._terminator is not None and link.hello is not None:
            link.stage = Stage.securing_server
            self._secure(link)
        else:
            self._establish(link)

    def _establish(self, link: Link) -> None:
        link.stage = Stage.open
        self._ask(link.client, IN)
        self._ask(link.server, IN)
        for half in (link.client, link.server):
            if link.stage is Stage.open and half.buffered:
                self._read(half)

    def _unreachable(self, link: Link, code: int) -> None:
        """Try the server's next address; without one, the client is told what a server that refuses tells: a RST."""
        self._dialling.pop(link, None)
        self._targets.failed()
        if link.tries < len(self._targets):
            family, target = self._targets.address(link.tries)
            link.tries += 1
            old = link.server
            del self._halves[old.fd]
            try:
                server = socket.socket(family, socket.SOCK_STREAM)
            except OSError:
                server = None
            old.close()
            if server is not None:
                server.setblocking(False)
                _tune(server)
                link.server = Half(link, 1, server)
                link.server.peer, link.client.peer = link.client, link.server
                self._tell(link, Kind.closed, 0)  # of that address; nothing is wrong as long as another one answers
                self._tell_opened(link, target)
                self._connect(link)
                return
        self._slots[Slot.refused] += 1
        kind = Kind.refused if code == errno.ECONNREFUSED else Kind.unreached
        self._tell(link, kind, 1, errno.errorcode.get(code, str(code)).encode())
        self._over(link, link.client)

    # ---- TLS ---------------------------------------------------------------------------------------------------------

    def _greet(self, link: Link) -> None:
        """Look at the client's first bytes without taking them."""
        assert self._terminator is not None
        try:
            first = link.client.sock.recv(RECEIVE, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            first = b""
        hello = self._terminator.greeting(first)
        if hello is None and first:
            # More is to come: being asked again at once would be busy waiting, so look again at the next byte.
            self._ask(link.client, IN)
            link.client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(first) + 1)
            return
        link.client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        self._greeting.pop(link, None)
        link.hello = hello if first and hello else None
        self._ask(link.client, 0)
        self._connect(link)

    def _secure(self, link: Link) -> None:
        """Go on with the handshake of whichever side has its turn."""
        assert self._terminator is not None
        try:
            while link.stage in (Stage.securing_server, Stage.securing_client):
                half = link.server if link.stage is Stage.securing_server else link.client
                if half.secure is None:
                    self._forget(half)
                    half.put_on(
                        self._terminator.client_of(half.sock, link.hello)
                        if half is link.server
                        else self._terminator.server_of(half.sock, link.hello, link.server.secure)
                    )
                    self._halves[half.fd] = half
                wanted = self._terminator.step(half.secure)
                if wanted:
                    self._ask(half, OUT if wanted == "write" else IN)
                    return
                self._ask(half, 0)
                link.stage = Stage.securing_client if half is link.server else Stage.open
        except OSError as error:  # of TLS, too
            side = "server" if link.stage is Stage.securing_server else "client"
            self._fail(link, f"TLS with the {side}: {getattr(error, 'reason', None) or error}")
            return
        self._establish(link)

    def _fail(self, link: Link, why: str) -> None:
        """Give a link up before it carried anything."""
        self._greeting.pop(link, None)
        self._slots[Slot.tls_failed] += 1
        self._tell(link, Kind.failed, 0, why.encode()[:400])
        self._over(link, link.client)

    # ---- forgetting --------------------------------------------------------------------------------------------------

    def _over(self, link: Link, half: Half) -> None:
        """Send `half` a RST and forget the link."""
        for one in (link.client, link.server):
            self._forget(one)
        half.abort()
        half.peer.close()
        self._bury(link)

    def _bury(self, link: Link) -> None:
        if link.stage is Stage.over:
            return
        link.stage = Stage.over
        self._ending.discard(link)
        self._dialling.pop(link, None)
        self._blocked.discard(link.client)
        self._blocked.discard(link.server)
        self._owing -= {link.client, link.server}
        self._starved -= {link.client, link.server}
        self._open -= 1
        for side in (0, 1):
            if link.lost[side]:
                self._tell_lost(link, side, force=True)
        self._tell(link, Kind.closed, 0)
        link.unknot()

    # ---- helpers -----------------------------------------------------------------------------------------------------

    def _ask(self, half: Half, mask: int) -> None:
        """Ask the poller for these events of a socket."""
        if mask == half.mask:
            return
        if half.mask < 0:
            self._poller.register(half.fd, mask)
        else:
            self._poller.modify(half.fd, mask)
        half.mask = mask

    def _forget(self, half: Half) -> None:
        if half.mask >= 0:
            self._poller.unregister(half.fd)
            half.mask = -1
        self._halves.pop(half.fd, None)

    def _tell_opened(self, link: Link, target: tuple[str, int]) -> None:
        """Note that a connection to `target` is tried; it has a number of its own."""
        self._numbers += 1
        link.number, link.target = self._numbers, target
        self._tell(link, Kind.opened, 0, f"{link.name} {_named(target)}".encode())

    def _tell_repeated(self) -> None:
        """Note which SYNs the system has sent again."""
        for link, told in self._dialling.items():
            count = _retransmissions(link.server.sock)
            if count > told:
                self._dialling[link] = count
                self._tell(link, Kind.again, 0, (count - told).to_bytes(8, "little"))

    def _tell_acknowledged(self, halves: Iterable[Half]) -> None:
        """Note what peers have acknowledged since."""
        now = time.time_ns()
        for half in halves:
            acked = half.acknowledged()
            if acked is not None and not self._ring.put(Kind.acked, half.side, half.link.number, now, b"", acked):
                self._slots[Slot.lost_records] += 1
            if half.acked == half.sent + half.shut:
                self._owing.discard(half)

    def _tell(
        self, link: Link, kind: Kind, side: int, payload: bytes = b"", at: int | None = None, acked: int | None = None
    ) -> None:
        if link.lost[side]:
            self._tell_lost(link, side, force=True)
        if not self._ring.put(kind, side, link.number, time.time_ns() if at is None else at, payload, acked):
            self._slots[Slot.lost_records] += 1

    def _tell_lost(self, link: Link, side: int, *, force: bool = False) -> bool:
        """Note how many bytes were not noted, once others can be; False if they still cannot."""
        told = (force or self._ring.room(LEAST, LEAST) is not None) and self._ring.put(
            Kind.lost, side, link.number, time.time_ns(), link.lost[side].to_bytes(8, "little")
        )
        if told:
            link.lost[side] = 0
        return told


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


_TCP_INFO_LENGTH = 104
_TOTAL_RETRANSMISSIONS = 100
"""Offset of ``tcpi_total_retrans`` in Linux's ``struct tcp_info`` (linux/tcp.h)."""


def _retransmissions(sock: socket.socket) -> int:
    """Return how many segments the system has sent again; 0 where it does not tell."""
    if not sys.platform.startswith("linux"):
        return 0
    try:
        found = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_LENGTH)
    except OSError:
        return 0
    return int.from_bytes(found[_TOTAL_RETRANSMISSIONS:_TCP_INFO_LENGTH], sys.byteorder)


def _named(address: tuple[str, int]) -> str:
    host, port = address[:2]
    return f"[{host.partition('%')[0]}]:{port}" if ":" in host else f"{host}:{port}"
