"""What is known of one TLS connection, with keys or without. Filled by the decoder, read by the rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from wirecase.model import CLIENT, SERVER, Excerpt, Mark

Problem = Literal[
    "no-keys", "no-match", "partial", "wrong-keys", "no-client-hello", "no-server-hello", "version", "cipher", "lost",
    "overflow", "not-tls",
]  # fmt: skip
"""Why a side's records could not be opened.

``no-keys``: none were given; ``no-match``: none for this client random; ``partial``: for the connection, but not for
this side; ``wrong-keys``: they do not open its records; ``no-client-hello``, ``no-server-hello``: the capture lacks
the message without which keys cannot be chosen; ``version``, ``cipher``: not supported; ``lost``: the place in the
stream of records was lost in a hole; ``overflow``: too much came before its keys;
``not-tls``: what the side sent is no TLS from its first byte on.
"""
MAX_ALERTS = 20


@dataclass(slots=True, frozen=True)
class Alert:
    """An alert that was sent (RFC 8446 §6)."""

    side: int
    """`CLIENT` or `SERVER`."""
    level: int
    """1 warning, 2 fatal."""
    code: int
    mark: Mark
    """The record's first byte; its offset counts the bytes of TCP."""
    encrypted: bool
    data: bytes
    """The two bytes."""


@dataclass(slots=True, frozen=True)
class ClientHello:
    """What the client asked for (RFC 8446 §4.1.2)."""

    random: bytes
    session_id: bytes
    version: int
    """The highest that it offers."""
    sni: str | None
    alpn: tuple[str, ...] | None
    """Protocols offered, None without the extension."""
    ciphers: tuple[int, ...]
    ticket: bytes
    """Session ticket of TLS 1.2, empty without one."""
    psk: bool
    early_data: bool
    extensions: tuple[int, ...]


@dataclass(slots=True, frozen=True)
class ServerHello:
    """What the server chose (RFC 8446 §4.1.3)."""

    random: bytes
    session_id: bytes
    version: int
    cipher: int
    alpn: str | None
    """TLS 1.2 only: TLS 1.3 says it under encryption."""
    psk: bool
    encrypt_then_mac: bool
    retry: bool
    """It is a HelloRetryRequest."""


@dataclass(slots=True)
class TlsSide:
    """What one side sent."""

    bytes: int = 0
    """Bytes of TLS, as TCP carried them."""
    framing: int = 0
    """Bytes of record headers, handshake, alerts, padding and authentication of records that were understood."""
    undecrypted: int = 0
    """Bytes of records that could not be opened."""
    plain: int = 0
    """Bytes of application data handed on."""
    records: int = 0
    problem: Problem | None = None
    """Why its records (or the rest of them) could not be opened."""
    opened: bool = False
    """At least one of its encrypted records was opened."""
    first: Mark | None = None
    """Its first record."""
    last: Mark | None = None
    """Its last record."""
    last_type: int = 0
    """Content type of its last record as it stands on the wire."""
    last_length: int = 0
    """Length field of its last record."""
    largest: int = 0
    """Length field of its longest record."""
    finished: Mark | None = None
    """Its Finished message, where it could be read (or inferred in TLS 1.2: the record after ChangeCipherSpec)."""
    hello: Excerpt | None = None
    close_notify: Mark | None = None
    unfinished: tuple[int, int] | None = None
    """(bytes, of how many) of a record that the end cut short."""
    failed: int = 0
    """Records in the middle of opened ones that did not decrypt."""
    lost_records: int = 0
    """Records that were lost in holes of the capture."""
    key_updates: int = 0


@dataclass(slots=True)
class TlsFacts:
    """One TLS connection."""

    sides: tuple[TlsSide, TlsSide] = field(default_factory=lambda: (TlsSide(), TlsSide()))
    """By `CLIENT` and `SERVER`."""
    client_hello: ClientHello | None = None
    server_hello: ServerHello | None = None
    version: int | None = None
    cipher: int | None = None
    alpn: str | None = None
    """The protocol that the server chose."""
    alpn_known: bool = False
    """What the server chose (or that it chose none) could be read."""
    resumed: bool | None = None
    """By session id, ticket or PSK; None if it is not known."""
    retried: bool = False
    """HelloRetryRequest."""
    early_data: Literal["none", "offered", "accepted", "rejected"] = "none"
    certificate_requested: bool = False
    client_certificate: bool | None = None
    """False if the client answered the request with an empty list."""
    alerts: list[Alert] = field(default_factory=list)
    """The first 20."""

    @property
    def complete(self) -> bool:
        """The handshake came to its end as far as the capture shows."""
        client, server = self.sides
        return client.finished is not None and server.finished is not None

    @property
    def hidden(self) -> Problem | None:
        """Why the connection (or a side of it) was not looked into, None if all of it was."""
        client, server = self.sides
        problems = [side.problem for side in (client, server) if side.problem not in (None, "not-tls")]
        return problems[0] if problems else None

    @property
    def decrypted(self) -> bool:
        """Bytes of the application were read."""
        return bool(self.sides[CLIENT].plain or self.sides[SERVER].plain)

    @property
    def torn(self) -> bool:
        """Records of a side that was read could not be opened."""
        return any(side.failed or (side.problem is not None and side.plain) for side in self.sides)

    @property
    def one_sided(self) -> bool:
        """One side was read, and the other was not."""
        client, server = self.sides
        return (client.opened and server.problem is not None and not server.plain) or (
            server.opened and client.problem is not None and not client.plain
        )
