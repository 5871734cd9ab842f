"""Handshake messages (RFC 8446 §4, RFC 5246 §7.4), for an onlooker; bytes that do not parse give None."""

from __future__ import annotations

from collections.abc import Iterator

from wirecase.tls.facts import ClientHello, ServerHello
from wirecase.tls.names import OLD_HELLO, TLS12, TLS13

CLIENT_HELLO, SERVER_HELLO, NEW_SESSION_TICKET, END_OF_EARLY_DATA, ENCRYPTED_EXTENSIONS = 1, 2, 4, 5, 8
CERTIFICATE, CERTIFICATE_REQUEST, FINISHED, KEY_UPDATE = 11, 13, 20, 24
KINDS = frozenset((0, 1, 2, 4, 5, 6, 8, 11, 12, 13, 14, 15, 16, 20, 21, 22, 23, 24, 25, 67, 254))
"""Message types that are in use (IANA TLS HandshakeType)."""
RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random of a HelloRetryRequest (RFC 8446 §4.1.3)."""
_SNI, _ALPN, _ETM, _TICKET, _PSK, _EARLY, _VERSIONS = 0, 16, 22, 35, 41, 42, 43
MOST_NAMES = 32
"""Protocols of an offer that are kept."""
_LONGEST_NAME = 255


class _Reader:
    """Cuts vectors off the front of a message; raises `ValueError` where it ends too early."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        part = self.data[self.at : self.at + count]
        if len(part) < count:
            raise ValueError("too short")
        self.at += count
        return part

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        return self.take(self.number(size))

    @property
    def left(self) -> int:
        return len(self.data) - self.at


def client_hello(body: bytes) -> ClientHello | None:
    """Read a ClientHello."""
    try:
        reader = _Reader(body)
        version = reader.number(2)
        random, session_id = reader.take(32), reader.vector(1)
        ciphers = reader.vector(2)
        reader.vector(1)
        extensions = dict(_extensions(reader))
        versions = _Reader(extensions[_VERSIONS]).vector(1) if _VERSIONS in extensions else b""
        offered = [int.from_bytes(versions[i : i + 2], "big") for i in range(0, len(versions) - 1, 2)]
        real = [one for one in offered if one & 0x0F0F != 0x0A0A]  # without GREASE (RFC 8701)
        return ClientHello(
            random=random,
            session_id=session_id,
            version=max(real, default=version),
            sni=_server_name(extensions.get(_SNI)),
            alpn=_protocols(extensions.get(_ALPN)),
            ciphers=tuple(int.from_bytes(ciphers[i : i + 2], "big") for i in range(0, min(len(ciphers), 512) - 1, 2)),
            ticket=extensions.get(_TICKET, b""),
            psk=_PSK in extensions,
            early_data=_EARLY in extensions,
            extensions=tuple(extensions)[:64],
        )
    except ValueError:
        return None


def server_hello(body: bytes) -> ServerHello | None:
    """Read a ServerHello, or a HelloRetryRequest."""
    try:
        reader = _Reader(body)
        version = reader.number(2)
        random = reader.take(32)
        session_id = b"" if version in OLD_HELLO else reader.vector(1)
        cipher = reader.number(2)
        reader.take(version not in OLD_HELLO)
        extensions = dict(_extensions(reader))
        if _VERSIONS in extensions and len(extensions[_VERSIONS]) == 2:
            version = int.from_bytes(extensions[_VERSIONS], "big")
        alpn = _protocols(extensions.get(_ALPN))
        return ServerHello(
            random=random,
            session_id=session_id,
            version=version,
            cipher=cipher,
            alpn=alpn[0] if alpn else None,
            psk=_PSK in extensions,
            encrypt_then_mac=_ETM in extensions,
            retry=random == RETRY_RANDOM and version in (TLS12, TLS13),
        )
    except ValueError:
        return None


def encrypted_extensions(body: bytes) -> tuple[str | None, bool] | None:
    """Return the protocol that the server chose, and whether it takes early data (RFC 8446 §4.3.1)."""
    try:
        extensions = dict(_extensions(_Reader(body)))
        alpn = _protocols(extensions.get(_ALPN))
    except ValueError:
        return None
    return (alpn[0] if alpn else None), _EARLY in extensions


def certificate_is_empty(body: bytes, version: int) -> bool | None:
    """Tell whether a Certificate message has no certificate in it (RFC 8446 §4.4.2, RFC 5246 §7.4.2)."""
    try:
        reader = _Reader(body)
        if version >= TLS13:
            reader.vector(1)
        return not reader.vector(3)
    except ValueError:
        return None


def session_ticket(body: bytes) -> bytes:
    """Return the ticket of TLS 1.2's NewSessionTicket (RFC 5077 §3.3)."""
    try:
        reader = _Reader(body)
        reader.take(4)
        return reader.vector(2)
    except ValueError:
        return b""


def _extensions(reader: _Reader) -> Iterator[tuple[int, bytes]]:
    if not reader.left:
        return
    inner = _Reader(reader.vector(2))
    while inner.left:
        kind = inner.number(2)
        yield kind, inner.vector(2)


def _server_name(data: bytes | None) -> str | None:
    """Return the host name of the server_name extension (RFC 6066 §3)."""
    if not data:
        return None
    names = _Reader(_Reader(data).vector(2))
    while names.left:
        kind, name = names.number(1), names.vector(2)
        if kind == 0:
            return name[:_LONGEST_NAME].decode("latin-1")
    return None


def _protocols(data: bytes | None) -> tuple[str, ...] | None:
    """Return the names of an ALPN extension (RFC 7301 §3.1)."""
    if data is None:
        return None
    names = _Reader(_Reader(data).vector(2))
    found: list[str] = []
    while names.left and len(found) < MOST_NAMES:
        found.append(names.vector(1).decode("latin-1"))
    return tuple(found)
