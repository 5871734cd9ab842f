"""A server that does to its clients what a recorded one did; then it is healthy.

It runs on an event loop in a thread of its own. After the problem session, and for calls that it does not hold, it
gives recorded sound answers of the same path where there are any, else the fallback.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from wirecase.errors import InputError
from wirecase.replay.model import Trace
from wirecase.replay.plan import Plan
from wirecase.replay.server.endpoints import Endpoints
from wirecase.replay.server.ledger import Ledger
from wirecase.replay.server.options import ServeOptions
from wirecase.replay.server.stage import Stage

T = TypeVar("T")
_BACKLOG = 512
_STOP = 1.0
"""Seconds for the loop to end."""


class ListenError(InputError):
    """The address cannot be listened on."""


class ReplayServer:
    """Serves a plan; every method may be called from any thread."""

    def __init__(self, plan: Plan, options: ServeOptions | None = None) -> None:
        self.plan = plan
        self.options = options or ServeOptions()
        self.address: tuple[str, int] = self.options.listen
        """Host and port, once it listens."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stage: Stage | None = None
        self._server: asyncio.Server | None = None
        self._last: Trace | None = None

    @property
    def target(self) -> str:
        """``host:port``, as a client takes it."""
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def start(self) -> None:
        """Listen and serve; raises ListenError if the address is taken or not this machine's."""
        started: threading.Event = threading.Event()
        failure: list[OSError] = []
        self._thread = threading.Thread(target=self._run, args=(started, failure), name="wirecase-replay", daemon=True)
        self._thread.start()
        started.wait()
        if failure:
            self._thread.join()
            self._thread = None
            host, port = self.options.listen
            raise ListenError(f"cannot listen on {host}:{port}: {failure[0].strerror or failure[0]}")

    def _run(self, started: threading.Event, failure: list[OSError]) -> None:
        loop = asyncio.new_event_loop()
        try:
            asyncio.set_event_loop(loop)
            loop.run_until_complete(self._listen(loop))
        except OSError as error:
            failure.append(error)
            loop.close()
            return
        finally:
            started.set()
        try:
            loop.run_forever()
        finally:
            if self._server is not None:
                self._server.close()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()

    async def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        host, port = self.options.listen
        ledger = Ledger("")
        stage = Stage(self.plan, self.options, loop, ledger)
        self._server = await loop.create_server(stage.accept, host, port, backlog=_BACKLOG)
        name = self._server.sockets[0].getsockname()
        self.address = (name[0], name[1])
        ledger.trace.target = self.target
        shown = "127.0.0.1" if name[0] in ("0.0.0.0", "::") else name[0]  # noqa: S104 - compared, not bound
        stage.endpoints = Endpoints(shown, name[1], tls=self.options.tls is not None)
        self._loop, self._stage = loop, stage

    def _ask(self, question: Callable[[Stage], T]) -> T:
        """Ask the stage, in its own thread while that runs."""
        stage, loop, thread = self._stage, self._loop, self._thread
        if stage is None:
            raise RuntimeError("the replay server was not started")
        if loop is None or thread is None or not thread.is_alive() or thread is threading.current_thread():
            return question(stage)

        async def asked() -> T:
            return question(stage)

        return asyncio.run_coroutine_threadsafe(asked(), loop).result(timeout=10)

    def trace(self) -> Trace:
        """Return a copy of what is known of this round."""
        if self._last is not None:
            return self._last
        return self._ask(lambda stage: stage.ledger.copy())

    def now(self) -> float:
        """Return the time by the clock of the traces: seconds since the replay began."""
        return 0.0 if self._stage is None else self._stage.ledger.now()

    @property
    def open_connections(self) -> int:
        """Connections that are open now."""
        return 0 if self._stage is None else len(self._stage.connections)

    @property
    def open_streams(self) -> int:
        """Streams that clients have open now."""
        if self._stage is None or self._last is not None:
            return 0
        return self._ask(lambda stage: sum(len(one.streams) for one in stage.connections))

    @property
    def problem_over(self) -> bool:
        """The problem session of this round was served."""
        return self._stage is not None and self._stage.over.is_set()

    def wait_problem_over(self, timeout: float | None = None) -> bool:
        """Wait until the problem session was served; False if it was not within `timeout` seconds."""
        return self._stage is not None and self._stage.over.wait(timeout)

    def next_round(self) -> Trace:
        """Begin the problem session anew; return the trace of the round that is over.

        The new round's trace begins with the connections that are still open; they get healthy answers only, so a
        client has to dial again to meet the problem session again.
        """
        return self._ask(lambda stage: stage.turn())

    def rearm(self, on: bool) -> None:
        """Let each round be followed by the next as soon as a call after the problem has its sound answer, or not."""

        def change(stage: Stage) -> None:
            stage.rearming = on

        self._ask(change)

    def past_rounds(self) -> list[Trace]:
        """Return the rounds that came to their end by themselves since this was asked last."""

        def taken(stage: Stage) -> list[Trace]:
            found = list(stage.past)
            stage.past.clear()
            return found

        return self._ask(taken)

    def stop(self) -> Trace:
        """End all connections and the loop; return the trace of this round."""
        if self._last is not None:
            return self._last
        self._last = self._ask(lambda stage: stage.close())
        loop, thread = self._loop, self._thread
        if loop is not None and thread is not None and thread.is_alive():
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_STOP)
        return self._last

    def __enter__(self) -> ReplayServer:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()
