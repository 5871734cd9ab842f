"""The bytes of live connections, written as a packet file: what the server answers is judged by the same pipeline."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from typing import IO, Literal

from wirecase.case.packets import Endpoint, address_of, endpoint
from wirecase.case.pcapng import PacketFile
from wirecase.case.wire import Wire
from wirecase.model import CLIENT

LARGEST = 512 << 20
"""Bytes of all answers that are taken."""
_ISN = 0x01000193


class TooMuchError(Exception):
    """The server sends without an end."""


class Tape:
    """One live connection."""

    def __init__(self, recorder: Recorder, wire: Wire, client: str) -> None:
        self._recorder = recorder
        self._wire = wire
        self.client = client
        """The client's endpoint as it stands in the file."""
        self._over = [False, False]
        self._reset = False

    def took(self, side: int, data: bytes) -> None:
        """`side` has sent bytes. Raises TooMuchError when the server's are too many."""
        if self._over[side] or self._reset:
            return
        self._recorder.count(side, len(data))
        self._wire.send(side, time.time_ns(), data)

    def ended(self, side: int, how: Literal["fin", "rst"]) -> None:
        """`side` has closed its half, or reset the connection."""
        if self._over[side] or self._reset:
            return
        self._over[side] = True
        self._reset = how == "rst"
        self._wire.end(side, how, time.time_ns())

    def close(self) -> None:
        """Nothing more will come."""
        self._wire.finish((False, False))


class Recorder:
    """The packet file, which has a name as long as the recorder is open."""

    def __init__(self, server: str) -> None:
        self._file: IO[bytes] = tempfile.NamedTemporaryFile(prefix="wirecase-", suffix=".pcapng")  # noqa: SIM115
        self._packets = PacketFile(self._file)
        self._server = endpoint(server)
        self._count = 0
        self._taken = 0
        self._tapes: list[Tape] = []

    @property
    def path(self) -> str:
        """Where the file lies."""
        return str(self._file.name)

    def count(self, side: int, length: int) -> None:
        """Raise TooMuchError when too many bytes of the server have come."""
        if side != CLIENT:
            self._taken += length
            if self._taken > LARGEST:
                raise TooMuchError

    def open(self, client_address: str | None = None) -> Tape:
        """Begin a connection.

        Where `client_address` is not told, its client gets a port of its own: the kernel may give one twice.
        """
        number = self._count
        self._count += 1
        host = self._server.host
        client = (
            endpoint(client_address)
            if client_address is not None
            else Endpoint(host, 1024 + (number + (number >= self._server.port - 1024)) % 64000)
        )
        wire = Wire(
            lambda at, packet: self._packets.add(at, number, packet), (client, self._server), shown=(True, True),
            isn=(number + 1) * _ISN,
        )  # fmt: skip
        now = time.time_ns()
        wire.handshake(now, now, done=now)
        tape = Tape(self, wire, address_of(client))
        self._tapes.append(tape)
        return tape

    def adopt(self, packets: Iterable[tuple[int, bytes]]) -> None:
        """Take IP packets of connections that somebody else has recorded, with their times."""
        for at, packet in packets:
            self._packets.add(at, -1, packet)

    def finish(self) -> None:
        """Write what waits."""
        for tape in self._tapes:
            tape.close()
        self._packets.finish()
        self._file.flush()

    def discard(self) -> None:
        """Remove the file."""
        self._file.close()
