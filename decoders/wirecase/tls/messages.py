"""What handshake messages and alerts tell, and what of it the keys depend on."""

from __future__ import annotations

from wirecase.model import CLIENT, SERVER, Excerpt, Mark
from wirecase.tls import handshake as hs
from wirecase.tls.facts import MAX_ALERTS, Alert, TlsFacts
from wirecase.tls.keylog import KeyStore
from wirecase.tls.names import CLOSE_NOTIFY, TLS12, TLS13
from wirecase.tls.stream import Stream
from wirecase.tls.suites import SUITES, Suite

MOST_MESSAGE = 1 << 18
"""The longest handshake message that is put together: long chains of certificates."""


class Messages:
    """The handshake of one connection as far as it was read."""

    __slots__ = ("_store", "_ticket", "facts", "suite", "tls13", "version")

    def __init__(self, facts: TlsFacts, store: KeyStore) -> None:
        self.facts = facts
        self._store = store
        self._ticket = b""
        """A session ticket of TLS 1.2 whose master secret is not known yet."""
        self.version: int | None = None
        """Settled by the ServerHello."""
        self.tls13 = False
        self.suite: Suite | None = None
        """The suite chosen, None if it is not known or not supported."""

    def handshake(self, stream: Stream, body: bytes, mark: Mark, shown: bytes) -> None:
        """Take a part of the handshake messages of a side; `shown` is how it stands on the wire."""
        if stream.damaged:
            stream.damaged = False
            stream.messages.clear()
        messages = stream.messages
        messages += body
        at = 0
        while len(messages) - at >= 4:
            kind = messages[at]
            size = int.from_bytes(messages[at + 1 : at + 4], "big")
            if kind not in hs.KINDS or size > MOST_MESSAGE:
                messages.clear()
                return
            if len(messages) - at < 4 + size:
                break
            if kind in (hs.CLIENT_HELLO, hs.SERVER_HELLO) and stream.facts.hello is None:
                stream.facts.hello = Excerpt(stream.number, mark, shown, len(shown))
            self._message(stream, kind, bytes(messages[at + 4 : at + 4 + size]), mark)
            at += 4 + size
        del messages[:at]

    def alert(self, stream: Stream, body: bytes, mark: Mark, *, encrypted: bool) -> None:
        """Take an alert."""
        if len(body) < 2:
            return
        level, code = body[0], body[1]
        if code == CLOSE_NOTIFY:
            stream.facts.close_notify = stream.facts.close_notify or mark
        if len(self.facts.alerts) < MAX_ALERTS:
            self.facts.alerts.append(Alert(stream.number, level, code, mark, encrypted, body[:2]))

    def chosen(self, stream: Stream) -> None:
        """One of several possible keys fits: a handshake that was passed over ended before it."""
        if stream.epoch == "traffic" and stream.facts.finished is None:
            stream.facts.finished = stream.mark(0)

    def fits(self, stream: Stream) -> None:
        """The keys of a side are right: its session may be resumed."""
        server = self.facts.server_hello
        if self.tls13 or server is None or not stream.secret:
            return
        self._store.remember(server.session_id, stream.secret)
        self._store.remember(self._ticket, stream.secret)

    # ---- messages ----------------------------------------------------------------------------------------------

    def _message(self, stream: Stream, kind: int, body: bytes, mark: Mark) -> None:
        facts = self.facts
        number = stream.number
        if kind == hs.CLIENT_HELLO and number == CLIENT:
            self._client_hello(stream, body)
        elif kind == hs.SERVER_HELLO and number == SERVER:
            self._server_hello(body)
        elif kind == hs.ENCRYPTED_EXTENSIONS and number == SERVER:
            chosen = hs.encrypted_extensions(body)
            if chosen is not None:
                facts.alpn, facts.alpn_known = chosen[0], True
                if facts.early_data == "offered":
                    facts.early_data = "accepted" if chosen[1] else "rejected"
        elif kind == hs.CERTIFICATE_REQUEST and number == SERVER:
            facts.certificate_requested = True
        elif kind == hs.CERTIFICATE and number == CLIENT:
            empty = hs.certificate_is_empty(body, self.version or TLS12)
            facts.client_certificate = None if empty is None else not empty
        elif kind == hs.NEW_SESSION_TICKET and number == SERVER and not self.tls13:
            self._ticket = hs.session_ticket(body)
            if stream.secret:
                self._store.remember(self._ticket, stream.secret)
        elif kind == hs.END_OF_EARLY_DATA and number == CLIENT and stream.epoch == "early":
            stream.epoch, stream.protection = "handshake", None
        elif kind == hs.FINISHED:
            stream.facts.finished = mark
            if self.tls13 and stream.epoch == "handshake":
                stream.epoch, stream.protection = "traffic", None
        elif kind == hs.KEY_UPDATE and self.tls13 and stream.epoch == "traffic" and stream.protection is not None:
            from wirecase.tls.secrets import next_generation

            stream.epoch, stream.secret, stream.protection = next_generation(stream, self)
            stream.seq = 0
            stream.facts.key_updates += 1

    def _client_hello(self, stream: Stream, body: bytes) -> None:
        facts = self.facts
        hello = hs.client_hello(body)
        if hello is None:
            return
        if facts.client_hello is None or (stream.epoch == "traffic" and not self.tls13):  # or a renegotiation
            facts.client_hello = hello
            if hello.early_data:
                facts.early_data = "offered"

    def _server_hello(self, body: bytes) -> None:
        facts = self.facts
        hello = hs.server_hello(body)
        if hello is None:
            return
        if hello.retry:
            facts.retried = True
            if facts.early_data == "offered":
                facts.early_data = "rejected"
            return
        facts.server_hello = hello
        facts.version = self.version = hello.version
        facts.cipher = hello.cipher
        self.tls13 = hello.version >= TLS13
        suite = SUITES.get(hello.cipher)
        self.suite = suite if suite is not None and suite.tls13 == self.tls13 else None
        client = facts.client_hello
        if self.tls13:
            facts.resumed = hello.psk
            return
        facts.alpn, facts.alpn_known = hello.alpn, True
        if client is not None:
            facts.resumed = bool(client.session_id) and client.session_id == hello.session_id
