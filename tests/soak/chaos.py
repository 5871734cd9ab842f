"""What stands between the recorder and the servers in the soak: a relay that breaks things when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Any

PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"


class Chaos:
    """Relays one port to another; runs in its own event loop."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.paging = False
        """New connections meet a proxy whose backend is gone."""
        self._gate = asyncio.Event()
        self._gate.set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stall(self, seconds: float) -> None:
        """Pass nothing on for a while."""
        self._gate.clear()
        await asyncio.sleep(seconds)
        self._gate.set()

    async def reset(self) -> None:
        """Reset all connections."""
        for writer in list(self._writers):
            self._abort(writer)

    async def page(self, seconds: float) -> None:
        """Answer with a gateway's page for a while, on new connections."""
        self.paging = True
        await self.reset()
        await asyncio.sleep(seconds)
        self.paging = False
        await self.reset()

    def _abort(self, writer: asyncio.StreamWriter) -> None:
        sock: Any = writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self.paging:
                await self._gateway(reader, writer)
                return
            try:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            except OSError:
                self._abort(writer)
                return
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer), return_exceptions=True)
            self._abort(far_writer)
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            self._abort(writer)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 17):
                await self._gate.wait()
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except OSError:
            self._abort(writer)

    async def _gateway(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak HTTP/2 and answer every request with a page."""
        from h2.config import H2Configuration
        from h2.connection import H2Connection
        from h2.events import RequestReceived

        connection = H2Connection(H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        while data := await reader.read(1 << 16):
            for event in connection.receive_data(data):
                if isinstance(event, RequestReceived) and event.stream_id is not None:
                    headers = [(":status", "502"), ("content-type", "text/html"), ("server", "gateway")]
                    connection.send_headers(event.stream_id, headers)
                    connection.send_data(event.stream_id, PAGE, end_stream=True)
            writer.write(connection.data_to_send())
            await writer.drain()
