"""One TCP connection and what it carried."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from wirecase.http2.facts import Http2Facts
from wirecase.model import CLIENT, SERVER, ConnectionRef, Excerpt, Mark
from wirecase.net.facts import TcpConnection, TcpSide

if TYPE_CHECKING:
    from wirecase.tls.connection import TlsConnection
    from wirecase.tls.facts import TlsFacts

Protocol = Literal["h2", "tls", "http1", "other", "empty"]


class Session:
    """A connection as the rules see it.

    `tcp` numbers its sides by who was seen first; everything here is numbered by `CLIENT` and `SERVER`. Use `side` to
    get the TCP facts of one.
    """

    __slots__ = (
        "_taken_off", "_translated", "calls_failed", "calls_matched", "calls_ok", "calls_seen", "closed_reason",
        "first_bytes", "flipped", "h2", "paths", "protocol", "roles", "rules_fired", "statuses", "tcp", "tls",
    )  # fmt: skip

    def __init__(self, tcp: TcpConnection) -> None:
        self.tcp = tcp
        self.h2 = Http2Facts()
        self.protocol: Protocol = "empty"
        """What the bytes are, after TLS where it was taken off; ``empty`` if none were seen."""
        self.tls: TlsFacts | None = None
        """Set if the connection began with TLS."""
        self._taken_off: TlsConnection | None = None
        self._translated: list[tuple[Any, TcpSide] | None] = [None, None]
        """TCP facts with offsets of the plaintext, with what they were made from."""
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
        self.paths: set[str] = set()
        """Paths of its calls, those of calls that were alike perhaps only once; at most 64."""
        self.statuses: dict[bytes | str | None, int] = {}
        """Calls that were not healthy, by raw grpc-status as `CallLog.statuses` counts them."""
        self.closed_reason = ""
        """``closed``, ``reused``, ``idle`` or ``capture-end``."""
        self.rules_fired: dict[str, int] = {}
        """Findings of this connection's calls so far: rule id -> occurrences."""

    def side(self, side: int) -> TcpSide:
        """Return the TCP facts of `CLIENT` or `SERVER`; their offsets are those of the bytes after TLS."""
        facts = self.tcp.sides[side ^ self.flipped]
        if self._taken_off is None:
            return facts
        state = (facts.packets, facts.acked, facts.sent, facts.fin, facts.rst, facts.last, facts.retransmissions)
        held = self._translated[side]
        if held is None or held[0] != state:
            held = self._translated[side] = (state, self._translate(side, facts, self._taken_off))
        return held[1]

    def take_off(self, tls: TlsConnection) -> None:
        """TLS is taken off from here on."""
        self.tls = tls.facts
        self._taken_off = tls

    def _translate(self, side: int, facts: TcpSide, tls: TlsConnection) -> TcpSide:
        """Turn TCP's offsets into those of the plaintext: all evidence counts these."""

        def offset(tcp: int) -> int:
            return tls.offset(side, tcp)

        def mark(one: Mark | None) -> Mark | None:
            return None if one is None else one._replace(offset=offset(one.offset))

        beyond = max((facts.acked or 0) - facts.sent, 0)
        return replace(
            facts,
            acked=None if facts.acked is None else offset(facts.acked - beyond) + beyond,
            sent=offset(facts.sent),
            fin=mark(facts.fin),
            rst=mark(facts.rst),
            tail_since=mark(facts.tail_since),
            last=mark(facts.last),
            last_data=mark(facts.last_data),
            zero_window=mark(facts.zero_window),
        )

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
        sides = self.tcp.sides
        return bool(sides[0].missing or sides[1].missing) or (self.tls is not None and self.tls.torn)

    @property
    def one_direction(self) -> bool:
        """Only one side's bytes can be read although the other must have answered."""
        sides = self.tcp.sides
        return (sides[0].packets == 0) != (sides[1].packets == 0) or (self.tls is not None and self.tls.one_sided)

    def can_be_read(self, side: int) -> bool:
        """Tell whether anything of a side was captured, and is not hidden by TLS while the other side is open."""
        if self.tls is not None and self.tls.one_sided and self.tls.sides[side].problem is not None:
            return False
        return bool(self.tcp.sides[side ^ self.flipped].packets)

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
