"""A throwaway certificate authority for replays over TLS, and servers that agree on the right protocol, or do not."""

from __future__ import annotations

import os
import ssl
import tempfile
from dataclasses import dataclass, field
from typing import Literal

from wirecase.sources.authority import Authority

NAMES = ("localhost", "127.0.0.1", "::1")
Alpn = Literal["h2", "http/1.1", "none"]


@dataclass(slots=True)
class Tls:
    """TLS for a replay server. `close` removes the files."""

    alpn: Alpn = "h2"
    """What the server agrees on: ``h2`` as gRPC demands, or ``http/1.1`` or nothing, as misconfigured proxies do."""
    names: tuple[str, ...] = NAMES
    """Names and addresses that the certificate is for."""
    ca: str = ""
    """Path of the authority's certificate (PEM), for the client to trust."""
    context: ssl.SSLContext | None = None
    _folder: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="wirecase-tls-")
        self.ca = os.path.join(self._folder.name, "ca.pem")
        authority = Authority("wirecase replay, a throwaway authority")
        with open(self.ca, "wb") as file:
            file.write(authority.pem)
        context = authority.context(*self.names)
        if self.alpn != "none":
            context.set_alpn_protocols([self.alpn])
        self.context = context

    def close(self) -> None:
        """Remove the certificates."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
