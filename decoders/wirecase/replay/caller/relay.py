"""A relay on loopback between a gRPC client in this process and the server: it sees the bytes, and changes none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from wirecase.model import CLIENT, SERVER
from wirecase.replay.caller.address import Target, Tls
from wirecase.replay.caller.tap import Recorder, Tape, TooMuchError
from wirecase.replay.caller.wire import dial, reason_of


class Relay:
    """Listens on a port of its own; every connection to it leads to the one target."""

    def __init__(
        self, target: Target, tls: Tls | None, recorder: Recorder, opened: Callable[[str], None],
        failed: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._target = target
        self._tls = tls
        self._recorder = recorder
        self._opened = opened
        """Told of the client's endpoint of each connection, as it stands in the packet file."""
        self._failed = failed
        """Told why the server could not be reached, or why it was cut off."""
        self._server: asyncio.Server
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        """Listen; return ``127.0.0.1:port``."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    async def stop(self) -> None:
        """Close everything."""
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(asyncio.CancelledError):
            await self._serve(reader, writer)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await dial(self._target, self._tls)
        except (OSError, TimeoutError) as error:
            self._failed(reason_of(error))
            writer.transport.abort()
            return
        tape = self._recorder.open()
        self._opened(tape.client)
        try:
            there = asyncio.create_task(self._pass(CLIENT, reader, far_writer, tape))
            back = asyncio.create_task(self._pass(SERVER, far_reader, writer, tape))
            _, left = await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait(left, timeout=1.0)
            for task in (there, back):
                task.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
        finally:
            far_writer.close()

    async def _pass(self, side: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tape: Tape) -> None:
        """Carry the bytes of one side, and its end."""
        try:
            while data := await reader.read(1 << 16):
                tape.took(side, data)
                writer.write(data)
                await writer.drain()
            tape.ended(side, "fin")
            if writer.can_write_eof():
                writer.write_eof()
            else:
                writer.close()
        except TooMuchError:
            self._failed("the server sent more than is taken: the connection was closed")
            writer.transport.abort()
        except (ConnectionError, TimeoutError):
            tape.ended(side, "rst")
            writer.transport.abort()
        except OSError:
            tape.ended(side, "fin")
            writer.close()
