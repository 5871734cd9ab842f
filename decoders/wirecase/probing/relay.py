"""A recording proxy of our own on loopback, through which grpcio speaks with the server.

grpcio shows nobody its bytes, so they are taken where they pass: this is the forwarding loop of a recording session in
a thread, which leads to the one address that was looked up and to no other.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import Any

from wirecase.recording.transcript import Transcript
from wirecase.replay.caller.address import Target
from wirecase.sources.live.forward import Forwarder
from wirecase.sources.live.process import listen
from wirecase.sources.live.ring import Ring, Slot, make_file
from wirecase.sources.live.targets import Targets

_RING = 4 << 20
_AT_ONCE = 1 << 20
_PAUSE = 0.02
_MOST = 16
"""Connections at one time: grpcio makes one, and another one where that is lost."""
_LAST = 2.0
"""Seconds in which connections that grpcio has let go of may come to their end."""
LARGEST = 64 << 20
"""Bytes that are kept of what passes; beyond it the recording ends, as a capture that was ended does."""


class Relay:
    """Forwards from `address` to `target` until it is closed; `packets` are what passed."""

    def __init__(self, target: Target, terminator: Any = None) -> None:
        """Begin. `terminator` takes TLS off (`wirecase.sources.live.secure.Terminator`)."""
        self.packets: list[tuple[int, bytes]] = []
        """Time, and an IP packet."""
        self._held = 0
        self._stop = threading.Event()
        self._handle = make_file(_RING)
        self._ring = Ring(self._handle)
        listener = listen(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{listener.getsockname()[1]}"
        targets = Targets(target.ip, target.port)
        self._forwarder = Forwarder(listener, self._ring, targets, most=_MOST, terminator=terminator, wait=True)
        self._transcript = Transcript(self)
        self._transcript.on_failed = self._note
        self.problem = ""
        """Why TLS with the server could not be set up."""
        self._threads = [
            threading.Thread(target=work, name=f"wirecase relay {name}", daemon=True)
            for name, work in (("forward", self._forward), ("record", self._record))
        ]
        for thread in self._threads:
            thread.start()

    def packet(self, time: int, head: bytes, payload: memoryview | bytes) -> None:
        """Take a packet (`wirecase.recording.transcript.Sink`)."""
        self.packets.append((time, head + bytes(payload)))
        self._held += len(head) + len(payload)

    def close(self) -> None:
        """End it, once what is open has come to its end; `packets` are all of them afterwards."""
        until = time.monotonic() + _LAST
        while self._ring.slots[Slot.open] and time.monotonic() < until:
            time.sleep(_PAUSE)
        self._stop.set()
        for thread in self._threads:
            thread.join()
        with contextlib.suppress(BufferError):
            self._ring.close()
        os.close(self._handle)

    def _note(self, why: str) -> None:
        self.problem = why

    def _forward(self) -> None:
        try:
            self._forwarder.run(self._stop.is_set)
        finally:
            self._forwarder.close()

    def _record(self) -> None:
        slots = self._ring.slots
        while True:
            over = bool(slots[Slot.ended])
            for record in self._ring.read(_AT_ONCE):
                if self._held < LARGEST:
                    self._transcript.take(record)
            self._ring.release()
            if not self._ring.waiting:
                if over:
                    return
                time.sleep(_PAUSE)
