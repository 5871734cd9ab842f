"""One TCP connection below HTTP/2: bytes in and out, TLS if asked for, and both ways to end it.

The socket is never read by a blocked thread, so that a close with SO_LINGER 0 really sends a RST. TLS runs over memory
(`ssl.MemoryBIO`): a FIN or RST without close_notify is as easy as in cleartext.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import sys
from typing import Protocol

_LINGER = struct.pack("ii", 1, 0)
_HIGH = 256 * 1024
"""Bytes that may wait for a client that does not read; then nothing more is written, nor read from it."""
_FLUSH_STEPS = 50
_FLUSH_STEP = 0.005
_AFTER_FIN = 5.0
"""Seconds after our FIN in which a client may close; then it is closed for it."""
_SIOCOUTQNSD = 0x894B
"""Linux: how many bytes the kernel has not sent. Those under way arrive before the RST, as the recorded ones did; to
wait for their ACK would let the client read them alone, up to 40 ms before the RST."""


class Owner(Protocol):
    """Whom the bytes are for."""

    def opened(self, alpn: str | None) -> None:
        """The connection stands, TLS too."""

    def received(self, data: bytes) -> None:
        """Bytes of the client, after TLS."""

    def writable(self) -> None:
        """What waited was written."""

    def failed_tls(self, why: str) -> None:
        """The handshake failed."""

    def closed(self, by: str, unread: int) -> None:
        """The connection is over: ``client-fin``, ``client-rst``, ``server-fin``, ``server-rst``."""


class Wire(asyncio.Protocol):
    """Carries bytes between a socket and its owner."""

    def __init__(self, owner: Owner, context: ssl.SSLContext | None) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._by: str | None = None
        self.paused = False
        """Nothing more is to be written for now."""
        self._fin_sent = False
        self._in = ssl.MemoryBIO() if context is not None else None
        self._out = ssl.MemoryBIO() if context is not None else None
        self._tls: ssl.SSLObject | None = None
        if context is not None and self._in is not None and self._out is not None:
            self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._shaken = context is None

    # ---- asyncio.Protocol --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=_HIGH)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is None:
            self._owner.opened(None)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the socket."""
        if self._by is not None:
            return
        if self._fin_sent:
            self._reset("server-fin")  # a closed socket answers data so
            return
        if self._tls is None:
            self._owner.received(data)
            return
        assert self._in is not None
        self._in.write(data)
        if not self._shaken and not self._shake():
            return
        while self._by is None:
            try:
                plain = self._tls.read(1 << 16)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                break
            except ssl.SSLError as error:
                self._owner.failed_tls(str(error.reason or error))
                self.abort()
                return
            if not plain:
                break
            self._owner.received(plain)
        self._push()

    def eof_received(self) -> bool:
        """Take the client's FIN."""
        if self._by is None:
            self._by = "server-fin" if self._fin_sent else "client-fin"
            if not self._shaken:
                self._owner.failed_tls("the client left during the handshake")
        return False

    def pause_writing(self) -> None:
        """The client does not read."""
        self.paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        self.paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        self._owner.writable()

    def connection_lost(self, exc: Exception | None) -> None:
        """Finish."""
        transport = self._transport
        unread = transport.get_write_buffer_size() if transport is not None else 0
        self._owner.closed(self._by or ("client-rst" if exc is not None else "server-fin"), unread)

    # ---- TLS ---------------------------------------------------------------------------------------------------

    def _shake(self) -> bool:
        assert self._tls is not None
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._push()
            return False
        except ssl.SSLError as error:
            self._push()
            self._owner.failed_tls(str(error.reason or error))
            if self._transport is not None:
                self._by = "server-fin"
                self._transport.close()
            return False
        self._shaken = True
        self._push()
        self._owner.opened(self._tls.selected_alpn_protocol())
        return True

    def _push(self) -> None:
        if self._out is not None and self._out.pending and self._transport is not None:
            self._transport.write(self._out.read())

    # ---- the owner's side --------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Bytes that the client has not taken yet."""
        transport = self._transport
        return transport.get_write_buffer_size() if transport is not None else 0

    def write(self, data: bytes) -> None:
        """Send bytes."""
        transport = self._transport
        if transport is None or self._fin_sent or transport.is_closing():
            return
        if self._tls is None:
            transport.write(data)
            return
        try:
            self._tls.write(data)
        except ssl.SSLError:
            self.abort()
            return
        self._push()

    def fin(self) -> None:
        """Close as a process that ends does: what was sent arrives, then FIN; data that still comes gets a RST."""
        transport = self._transport
        if transport is None or self._fin_sent or transport.is_closing():
            return
        self._fin_sent = True
        transport.write_eof()
        asyncio.get_running_loop().call_later(_AFTER_FIN, self._reset, "server-fin")

    def rst(self) -> None:
        """Send what waits, then RST."""
        self._rst_when_flushed(_FLUSH_STEPS)

    def _rst_when_flushed(self, steps: int) -> None:
        if steps and self._unsent():
            asyncio.get_running_loop().call_later(_FLUSH_STEP, self._rst_when_flushed, steps - 1)
            return
        self._reset("server-rst")

    def _unsent(self) -> bool:
        """Tell whether bytes have not left for the client."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size():
            return True
        if sys.platform != "linux":
            return False
        import fcntl

        sock = transport.get_extra_info("socket")
        try:
            left = fcntl.ioctl(sock.fileno(), _SIOCOUTQNSD, b"\0\0\0\0")
        except OSError:
            return False
        return bool(struct.unpack("i", left)[0] > 0)

    def _reset(self, by: str) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._by = self._by or by
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        transport.abort()

    def close(self) -> None:
        """Close in an orderly way."""
        if self._transport is not None and not self._transport.is_closing():
            self._by = self._by or "server-fin"
            self._transport.close()

    def abort(self, by: str = "server-rst") -> None:
        """End it at once."""
        self._reset(by)
