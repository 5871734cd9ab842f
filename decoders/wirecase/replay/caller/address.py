"""The one address that is dialled."""

from __future__ import annotations

import ipaddress
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wirecase.errors import InputError, UsageError

if TYPE_CHECKING:
    import ssl


class CannotConnectError(InputError):
    """The server cannot be reached."""


@dataclass(slots=True, frozen=True)
class Target:
    """Where the requests go. The name was looked up once: nothing else is ever dialled."""

    host: str
    """As it was given, without brackets."""
    port: int
    ip: str
    """The address that is dialled."""
    family: int

    @property
    def name(self) -> str:
        """``host:port``, IPv6 in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def address(self) -> str:
        """``ip:port``, IPv6 in brackets."""
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """The address never leaves this machine."""
        address = ipaddress.ip_address(self.ip)
        mapped = getattr(address, "ipv4_mapped", None)
        return address.is_loopback or (mapped is not None and mapped.is_loopback)


def split(text: str, option: str = "--to ") -> tuple[str, int]:
    """Split ``HOST:PORT``; `option` stands before it in errors. Raises UsageError if it is something else."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"{option}{text}: write HOST:PORT, such as 127.0.0.1:50051 or [::1]:50051")
    return host, int(port)


def look_up(text: str, option: str = "--to ") -> Target:
    """Return what ``HOST:PORT`` stands for. Raises UsageError, or CannotConnectError if nobody knows the host."""
    return look_up_all(text, option)[0]


def look_up_all(text: str, option: str) -> list[Target]:
    """Return all addresses of ``HOST:PORT``, the preferred one first; raises what `look_up` does."""
    host, port = split(text, option)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a host name"
        raise CannotConnectError(f"{option}{text}: the host is not known: {reason}") from error
    return list(
        dict.fromkeys(
            Target(host, port, str(place[0]).partition("%")[0], int(family)) for family, _, _, _, place in found
        )
    )


@dataclass(slots=True, frozen=True)
class Tls:
    """How the server is spoken to over TLS."""

    ca: str | None = None
    """File with the authorities to trust, PEM; None for those of the system."""
    insecure: bool = False
    """Take any certificate."""
    server_name: str | None = None
    """Name to ask for and to check; the target's host by default."""

    def context(self) -> ssl.SSLContext:
        """Return what asyncio takes. Raises InputError if the file cannot be used."""
        import ssl

        if self.ca is not None and not os.path.isfile(self.ca):
            raise InputError(f"{self.ca} cannot be opened: there is no such file")
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError) as error:
            raise InputError(f"{self.ca}: no certificate can be read from it ({type(error).__name__})") from error
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        return context
