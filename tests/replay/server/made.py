"""Recordings made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from captures import Conversation
from h2_bytes import (
    END_STREAM,
    REQUEST,
    RESPONSE,
    TRAILERS,
    Peer,
    data,
    goaway,
    message,
    rst,
    settings,
    settings_ack,
    window_update,
)
from wires import written

from wirecase.model import CLIENT, SERVER
from wirecase.replay.plan import Plan, read_plan

_WIDE = settings((4, 1 << 24)) + window_update(0, 1 << 24)
"""The recorded client takes much."""


class Session:
    """One connection of a recording, act by act."""

    def __init__(self, port: int = 40_000, *, at: float = 0.0, limits: Sequence[tuple[int, int]] = ()) -> None:
        self.talk = Conversation((port, 50_051)).wait(at).open()
        self.peers = (Peer(), Peer())
        self.talk.send(CLIENT, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _WIDE)
        self.talk.send(SERVER, settings(*limits) + settings_ack()).send(CLIENT, settings_ack())

    def ask(self, stream: int, path: str = "/demo.Echo/Unary", *messages: bytes, end: bool = True) -> Session:
        """A request."""
        fields = tuple((name, path if name == ":path" else value) for name, value in REQUEST)
        body = b"".join(message(one) for one in messages or (b"?",))
        self.talk.send(
            CLIENT, self.peers[CLIENT].headers(stream, fields) + data(stream, body, END_STREAM if end else 0)
        )
        return self

    def answer(self, stream: int, *messages: bytes, status: str = "0", flag: int = 0) -> Session:
        """A whole response."""
        peer = self.peers[SERVER]
        self.talk.send(SERVER, peer.headers(stream, RESPONSE))
        for one in messages:
            self.talk.send(SERVER, data(stream, message(one, flag)))
        self.talk.send(SERVER, peer.headers(stream, (("grpc-status", status), *TRAILERS[1:]), END_STREAM))
        return self

    def reset(self, stream: int, code: int) -> Session:
        """RST_STREAM of the server."""
        self.talk.send(SERVER, rst(stream, code))
        return self

    def goaway(self, last: int, code: int, debug: bytes = b"") -> Session:
        """GOAWAY of the server."""
        self.talk.send(SERVER, goaway(last, code, debug))
        return self

    def raw(self, data_: bytes) -> Session:
        """Anything of the server."""
        self.talk.send(SERVER, data_)
        return self


def plan_of(folder: Path, *sessions: Session) -> Plan:
    """The plan for a recording of some connections."""
    talk = Conversation()
    talk.packets = sorted((packet for one in sessions for packet in one.talk.packets), key=lambda packet: packet[0])
    return read_plan(str(written(folder, talk)))
