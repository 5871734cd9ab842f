"""A live connection as bytes: opened, written to, read from, closed; what is seen goes to the tape and the scanner."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable

from wirecase.model import CLIENT, SERVER
from wirecase.replay.caller.address import Target, Tls
from wirecase.replay.caller.scanner import Scanner
from wirecase.replay.caller.tap import Tape, TooMuchError

_CONNECT = 10.0
"""Seconds for TCP and TLS to be set up."""


async def dial(target: Target, tls: Tls | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the one address. Raises OSError or TimeoutError; `reason_of` says it in words."""
    name = (tls.server_name or target.host) if tls is not None else None
    async with asyncio.timeout(_CONNECT):
        return await asyncio.open_connection(
            target.ip, target.port, limit=1 << 20, ssl=tls.context() if tls is not None else None, server_hostname=name
        )


def reason_of(error: Exception) -> str:
    """Return why a connection could not be opened, in a few words."""
    import ssl

    if isinstance(error, TimeoutError):
        return f"no answer within {_CONNECT:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: the certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or 'the handshake failed').replace('_', ' ').lower()}"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


class LiveWire:
    """One connection that is open."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tape: Tape, scanner: Scanner,
        changed: Callable[[], None],
    ) -> None:  # fmt: skip
        self._reader = reader
        self._writer = writer
        self.tape = tape
        self._scanner = scanner
        self._changed = changed
        """Told when bytes have come, or the end."""
        self.lost = False
        """The server has closed the connection, or it was reset."""
        self.mute = False
        """Nothing can be sent any more: our side is closed, or a frame was begun and never finished."""
        self.flooded = False
        self._pulse = asyncio.Event()

    async def listen(self) -> None:
        """Take what the server sends, until the end."""
        try:
            while data := await self._reader.read(1 << 16):
                self.tape.took(SERVER, data)
                self._scanner.feed(data)
                self._changed()
                self.pulse()
            self.tape.ended(SERVER, "fin")
        except TooMuchError:
            self.flooded = True
        except (ConnectionError, TimeoutError):
            self.tape.ended(SERVER, "rst")
        except OSError:  # among them what TLS says of its peer
            self.tape.ended(SERVER, "fin")
        self.lost = True
        self._changed()
        self.pulse()

    def pulse(self) -> None:
        """Have everybody who waits look again."""
        self._pulse.set()
        self._pulse = asyncio.Event()

    async def until(self, ready: Callable[[], bool], seconds: float) -> bool:
        """Wait until something holds, the connection is lost, or the time is over; return whether it holds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not ready() and not self.lost:
                    await self._pulse.wait()
        return ready()

    def write(self, data: bytes) -> None:
        """Send bytes, unless nothing can be sent any more."""
        if self.lost or self.mute or not data:
            return
        self.tape.took(CLIENT, data)
        self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the server has taken most of what was sent."""
        if not self.lost:
            with contextlib.suppress(OSError):
                await self._writer.drain()

    def half_close(self) -> None:
        """Say that nothing more will be sent (TCP FIN), where that can be said alone."""
        if self._writer.can_write_eof():
            self.tape.ended(CLIENT, "fin")
            self.mute = True
            with contextlib.suppress(OSError):
                self._writer.write_eof()

    def abort(self) -> None:
        """Reset the connection (TCP RST)."""
        self.tape.ended(CLIENT, "rst")
        self.mute = True
        raw = self._writer.get_extra_info("socket")
        if raw is not None:
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def close(self) -> None:
        """Close the connection."""
        self.tape.ended(CLIENT, "fin")
        self.mute = True
        # what a server that does not read has left unsent would keep the transport open
        if self._writer.transport.get_write_buffer_size():
            self._writer.transport.abort()
        else:
            self._writer.close()
