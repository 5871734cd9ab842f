"""Key logs in the SSLKEYLOGFILE format (RFC 9850), and the secrets that they hold.

A line is a label, the client random of a connection, and a secret. Lines of other kinds are counted, not refused: key
logs are written by several processes at once, cut, concatenated and copied through terminals. What OpenSSL's and
Netty's older tools write (``RSA Session-ID:… Master-Key:…``) is understood too.
"""

from __future__ import annotations

import re

MAX_CONNECTIONS = 150_000
"""Connections whose secrets are kept: those logged first are forgotten for later ones."""
MAX_SESSIONS = 20_000
"""Session ids and tickets whose master secrets are kept."""
LONGEST_LINE = 4096
MOST_SECRETS = 24
"""Different secrets of one connection that are kept: a key log that repeats itself must not cost more."""

EARLY, CLIENT_HANDSHAKE, SERVER_HANDSHAKE, CLIENT_TRAFFIC, SERVER_TRAFFIC, MASTER = range(6)
_LABELS = {
    b"CLIENT_EARLY_TRAFFIC_SECRET": EARLY,
    b"CLIENT_HANDSHAKE_TRAFFIC_SECRET": CLIENT_HANDSHAKE,
    b"SERVER_HANDSHAKE_TRAFFIC_SECRET": SERVER_HANDSHAKE,
    b"CLIENT_TRAFFIC_SECRET_0": CLIENT_TRAFFIC,
    b"SERVER_TRAFFIC_SECRET_0": SERVER_TRAFFIC,
    b"CLIENT_RANDOM": MASTER,
}
_OTHER_LABELS = frozenset((
    b"EXPORTER_SECRET", b"EARLY_EXPORTER_SECRET", b"EARLY_EXPORTER_MASTER_SECRET", b"ECH_SECRET", b"ECH_CONFIG", b"RSA",
    b"PMS_CLIENT_RANDOM",
    *(b"QUIC_" + label for label in _LABELS),
))  # fmt: skip
"""Labels of secrets that are of no use here."""
_SESSION = re.compile(rb"\ARSA Session-ID:([0-9A-Fa-f]{2,64}) Master-Key:([0-9A-Fa-f]{96})\Z")
_LATER = re.compile(rb"\A(?:CLIENT|SERVER)_TRAFFIC_SECRET_\w+\Z")
"""Secrets after a KeyUpdate: they follow from those before."""
_HEX = re.compile(rb"\A(?:[0-9A-Fa-f]{2})+\Z")
_SIZES = {MASTER: (48,)}
_TRAFFIC_SIZES = (32, 48, 64)


class KeyStore:
    """All secrets known so far."""

    def __init__(self) -> None:
        self._secrets: dict[bytes, bytes] = {}
        """Client random -> its secrets, each as kind, length and bytes: one object instead of many."""
        self._sessions: dict[bytes, bytes] = {}
        self.generation = 0
        """Grows with every new secret."""
        self.growing = False
        """More secrets may come: from a capture that carries them, or a key log that is still written."""
        self.keys = 0
        """Lines with a secret."""
        self.garbage = 0
        """Lines that are neither secrets nor comments."""
        self.forgotten = 0
        """Connections whose secrets were let go because there were too many."""
        self.tries = 400_000
        """Records that may be tried in search of a place in the stream, over all connections."""
        self.held = 0
        """Bytes of connections that wait for keys."""

    @property
    def empty(self) -> bool:
        """Nothing was given that could be a key."""
        return not self._secrets and not self._sessions

    def __len__(self) -> int:
        """Return the number of connections with secrets."""
        return len(self._secrets)

    def knows(self, random: bytes) -> bool:
        """Tell whether any secret of the connection with this client random is known."""
        return random in self._secrets

    def secrets(self, random: bytes, kind: int) -> list[bytes]:
        """Return the secrets of one kind of a connection, usually one, the latest first."""
        found: list[bytes] = []
        held = self._secrets.get(random, b"")
        at = 0
        while at < len(held):
            size = held[at + 1]
            if held[at] == kind:
                found.append(held[at + 2 : at + 2 + size])
            at += 2 + size
        return found[::-1]

    def add(self, kind: int, random: bytes, secret: bytes) -> None:
        """Keep a secret."""
        held = self._secrets.get(random, b"")
        entry = bytes((kind, len(secret))) + secret
        if entry in held or len(held) > MOST_SECRETS * 50:
            return
        if not held and len(self._secrets) >= MAX_CONNECTIONS:
            del self._secrets[next(iter(self._secrets))]
            self.forgotten += 1
        self._secrets[random] = held + entry
        self.generation += 1

    def remember(self, session: bytes, master: bytes) -> None:
        """Keep the master secret of a session that may be resumed by this id or ticket (RFC 5246 §7.3, RFC 5077)."""
        if not session or self._sessions.get(session) == master:
            return
        if len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[session] = master
        self.generation += 1

    def master(self, session: bytes) -> bytes | None:
        """Return the master secret of a session id or ticket."""
        return self._sessions.get(session) if session else None

    def take_line(self, line: bytes) -> None:
        """Take one line of a key log, without its end."""
        line = line.strip(b" \t\r\0")
        if not line or line.startswith(b"#"):
            return
        parts = line.split(maxsplit=3)
        kind = _LABELS.get(parts[0])
        if kind is not None and len(parts) == 3:
            random, secret = _unhex(parts[1]), _unhex(parts[2])
            if random is not None and secret is not None and len(random) == 32:
                if len(secret) in _SIZES.get(kind, _TRAFFIC_SIZES):
                    self.keys += 1
                    self.add(kind, random, secret)
                    return
        elif parts[0] in _OTHER_LABELS or _LATER.match(parts[0]):
            session = _SESSION.match(line)
            if session:
                self.keys += 1
                self.remember(bytes.fromhex(session[1].decode()), bytes.fromhex(session[2].decode()))
                return
            if len(parts) == 3 and _HEX.match(parts[1]) and _HEX.match(parts[2]):
                return
        self.garbage += 1


class KeyLogReader:
    """Splits the bytes of a key log into lines, however they come."""

    __slots__ = ("_rest", "_skipping", "_store")

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._rest = b""
        self._skipping = False
        """The line under way is too long to be one."""

    def feed(self, data: bytes) -> None:
        """Take more bytes."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if self._skipping:
                self._skipping = False
            elif len(line) > LONGEST_LINE:
                self._store.garbage += 1
            else:
                self._store.take_line(line)
        if len(self._rest) > LONGEST_LINE:
            if not self._skipping:
                self._store.garbage += 1
            self._skipping, self._rest = True, b""

    def finish(self) -> None:
        """Take the last line, which may lack its end; more may still follow it in a file that grows."""
        if self._rest and not self._skipping:
            before = self._store.garbage
            self._store.take_line(self._rest)
            self._store.garbage = before  # it may be written just now


def _unhex(text: bytes) -> bytes | None:
    return bytes.fromhex(text.decode("ascii")) if len(text) <= 256 and _HEX.match(text) else None
