"""TLS taken off on the client's side and put on again towards the server, with the same name and protocols.

The client's first flight says which name it asks for and which protocols it offers (RFC 8446 §4.2, RFC 7301 §3.1). The
server is offered the same; what it chooses is what the client is answered.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field
from typing import Any, Literal

from wirecase.sources.authority import Authority
from wirecase.tls.handshake import client_hello

_LONGEST_HELLO = 32 << 10
_HANDSHAKE, _CLIENT_HELLO = 22, 1
_MOST_CONTEXTS = 256


@dataclass(frozen=True, slots=True)
class Hello:
    """What a client asked for."""

    sni: str | None
    alpn: tuple[str, ...]


@dataclass(slots=True)
class Terminator:
    """Makes both sides' TLS."""

    authority: Authority
    server_name: str
    """What the server's certificate is checked against where the client names nothing."""
    verify: bool = True
    server_ca: str | None = None
    """PEM file of authorities to trust beside the system's."""
    _clients: dict[tuple[str, ...], ssl.SSLContext] = field(default_factory=dict)
    _servers: dict[tuple[str, str | None], ssl.SSLContext] = field(default_factory=dict)

    def greeting(self, first: bytes) -> Hello | Literal[False] | None:
        """Return what a client's first bytes ask for; False if they are no TLS, None if more are needed."""
        if not first or first[0] != _HANDSHAKE or len(first) > _LONGEST_HELLO:
            return False
        message = b""
        at = 0
        while at + 5 <= len(first):
            if first[at] != _HANDSHAKE:
                return False
            size = int.from_bytes(first[at + 3 : at + 5], "big")
            message += first[at + 5 : at + 5 + size]
            at += 5 + size
            if len(message) >= 4 and message[0] != _CLIENT_HELLO:
                return False
            if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4], "big"):
                hello = client_hello(message[4 : 4 + int.from_bytes(message[1:4], "big")])
                return Hello(hello.sni, hello.alpn or ()) if hello is not None else False
        return None

    def client_of(self, sock: socket.socket, hello: Any) -> ssl.SSLSocket:
        """Speak TLS to the server as this client would."""
        context = self._clients.get(hello.alpn)
        if context is None:
            context = ssl.create_default_context()
            if self.server_ca is not None:
                context.load_verify_locations(self.server_ca)
            if not self.verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if hello.alpn:
                context.set_alpn_protocols(list(hello.alpn))
            _remember(self._clients, hello.alpn, context)
        return context.wrap_socket(
            sock, server_hostname=hello.sni or self.server_name, do_handshake_on_connect=False,
            suppress_ragged_eofs=False,
        )  # fmt: skip

    def server_of(self, sock: socket.socket, hello: Any, server: ssl.SSLSocket | None) -> ssl.SSLSocket:
        """Answer the client with the protocol that the server chose."""
        chosen = server.selected_alpn_protocol() if server is not None else None
        key = (hello.sni or self.server_name, chosen)
        context = self._servers.get(key)
        if context is None:
            context = self.authority.context(key[0])
            if chosen is not None:
                context.set_alpn_protocols([chosen])
            _remember(self._servers, key, context)
        return context.wrap_socket(
            sock, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )  # fmt: skip

    @staticmethod
    def step(secure: ssl.SSLSocket | None) -> Literal["read", "write"] | None:
        """Go on with a handshake; return what it waits for, None when it is done. Raises OSError if it failed."""
        assert secure is not None
        try:
            secure.do_handshake()
        except ssl.SSLWantReadError:
            return "read"
        except ssl.SSLWantWriteError:
            return "write"
        return None


def _remember(contexts: dict[Any, ssl.SSLContext], key: Any, context: ssl.SSLContext) -> None:
    if len(contexts) >= _MOST_CONTEXTS:
        contexts.clear()
    contexts[key] = context
