"""One TCP connection and what it carried."""

from __future__ import annotations

from typing import Literal

from wirecase.http2.facts import Http2Facts
from wirecase.model import CLIENT, SERVER, ConnectionRef, Excerpt, Mark
from wirecase.net.facts import TcpConnection, TcpSide

Protocol = Literal["h2", "tls", "http1", "other", "empty"]


class Session:
    """A connection as the rules see it.

    `tcp` numbers its sides by who was seen first; everything here is numbered by `CLIENT` and `SERVER`. Use `side` to
    get the TCP facts of one.
    """

    __slots__ = ("calls_failed", "calls_matched", "calls_ok", "calls_seen", "closed_reason", "first_bytes", "flipped",
                 "h2", "protocol", "roles", "rules_fired", "tcp")  # fmt: skip

    def __init__(self, tcp: TcpConnection) -> None:
        self.tcp = tcp
        self.h2 = Http2Facts()
        self.protocol: Protocol = "empty"
        """What the bytes are; ``empty`` if none were seen."""
        self.flipped = False
        """True if ``tcp.sides[1]`` is the client."""
        self.roles: Literal["syn", "preface", "content", "guess"] = "guess"
        """How client and server were told apart."""
        self.first_bytes: list[Excerpt | None] = [None, None]
        """The first bytes of each side, at most 256."""
        self.calls_seen = 0
        self.calls_matched = 0
        """Calls that the report is about; all of them unless it was narrowed by time or path."""
        self.calls_ok = 0
        self.calls_failed = 0
        self.closed_reason = ""
        """``closed``, ``reused``, ``idle`` or ``capture-end``."""
        self.rules_fired: dict[str, int] = {}
        """Findings of this connection's calls so far: rule id -> occurrences."""

    def side(self, side: int) -> TcpSide:
        """Return the TCP facts of `CLIENT` or `SERVER`."""
        return self.tcp.sides[side ^ self.flipped]

    @property
    def client(self) -> TcpSide:
        """TCP facts of the client."""
        return self.side(CLIENT)

    @property
    def server(self) -> TcpSide:
        """TCP facts of the server."""
        return self.side(SERVER)

    @property
    def index(self) -> int:
        """Connection number, from 0 in the order of first packets."""
        return self.tcp.index

    @property
    def ref(self) -> ConnectionRef:
        """How reports name it."""
        return ConnectionRef(self.index, self.client.address, self.server.address)

    @property
    def has_gaps(self) -> bool:
        """Bytes of some side are missing from the capture."""
        return bool(self.client.missing or self.server.missing)

    @property
    def one_direction(self) -> bool:
        """Only one side's packets carry payload although the other must have answered."""
        sides = self.tcp.sides
        return (sides[0].packets == 0) != (sides[1].packets == 0)

    @property
    def from_start(self) -> bool:
        """The connection's first bytes are in the capture (SYN seen, or the client's preface)."""
        return self.tcp.syn_seen or self.h2.halves[CLIENT].preface is not None

    @property
    def first_time(self) -> int | None:
        """Time of the first packet, ns."""
        return min((side.first.time for side in self.tcp.sides if side.first), default=None)

    @property
    def last_time(self) -> int | None:
        """Time of the last packet, ns."""
        return max((side.last.time for side in self.tcp.sides if side.last), default=None)

    def first_end(self) -> tuple[int, Literal["fin", "rst"], Mark] | None:
        """Return (side, how, mark) of whichever FIN or accepted RST came first, or None."""
        found: list[tuple[int, Literal["fin", "rst"], Mark]] = []
        for number in (CLIENT, SERVER):
            facts = self.side(number)
            if facts.fin:
                found.append((number, "fin", facts.fin))
            if facts.rst:
                found.append((number, "rst", facts.rst))
        return min(found, key=lambda end: (end[2].source, end[2].packet)) if found else None
