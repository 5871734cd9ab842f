"""What is asked of a server, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from wirecase.model import Diagnosis, Finding
from wirecase.replay.caller.address import Target, Tls

State = Literal["ok", "bad", "note", "untold"]
"""``bad`` counts as a finding; ``note`` is worth knowing; ``untold`` could not be found out."""
UNREACHABLE, FINDINGS, UNTOLD, FINE = 3, 1, 4, 0


@dataclass(slots=True)
class Request:
    """What to look at."""

    target: Target
    """The first of the name's addresses; set to the one that took the connection."""
    others: list[Target] = field(default_factory=list)
    """Its other addresses, tried in turn while none takes a connection."""
    tls: Tls | None = None
    """None for plaintext."""
    authority: str | None = None
    """``:authority`` to send; by default the name that was given."""
    method: str | None = None
    """``/package.Service/Method`` to call."""
    data: bytes = b""
    """Its one request message."""
    metadata: list[tuple[str, str]] = field(default_factory=list)
    hold: float = 0.0
    """Seconds to keep a connection with PINGs on it."""
    every: float = 300.0
    """Seconds between these PINGs."""
    idle: float = 0.0
    """Seconds up to which to find out when idle connections are cut."""
    timeout: float = 10.0
    """Seconds for each step."""
    grpcio: bool = True
    """Let grpcio look, too."""


@dataclass(slots=True)
class Check:
    """One thing looked at."""

    id: str
    """A short name that stays: ``tls``, ``ping``, ``health`` …"""
    state: State
    text: str
    """One line; may hold what the server said, so it is to be escaped."""
    seconds: float | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class TlsFacts:
    """What the TLS handshake told."""

    version: str
    cipher: str
    alpn: str | None
    subject: str = ""
    issuer: str = ""
    names: list[str] = field(default_factory=list)
    not_before: str = ""
    not_after: str = ""
    """RFC 3339."""
    days_left: int | None = None
    trusted: bool = True
    """The certificate was verified."""
    problem: str = ""
    """Why it is not trusted."""
    der: bytes = b""


@dataclass(slots=True)
class Answer:
    """How one call was answered."""

    how: str = "none"
    """``trailers``, ``reset``, ``closed``, ``timeout``, ``refused`` (never processed), or ``none``."""
    http_status: int | None = None
    content_type: str | None = None
    grpc_status: int | None = None
    grpc_message: str = ""
    server: str = ""
    """The ``server`` header."""
    messages: list[bytes] = field(default_factory=list)
    """The first ones."""
    count: int = 0
    """All of them."""
    body: bytes = b""
    """First bytes of a body that is no gRPC."""
    error: str = ""
    """Name of the HTTP/2 error code of a reset."""
    seconds: float = 0.0

    @property
    def is_grpc(self) -> bool:
        """It came from something that speaks gRPC."""
        return self.grpc_status is not None and (self.content_type or "").startswith("application/grpc")


@dataclass(slots=True)
class Probe:
    """All that was found out."""

    request: Request
    started: int
    """ns since the epoch."""
    checks: list[Check] = field(default_factory=list)
    tls: TlsFacts | None = None
    settings: dict[str, int] = field(default_factory=dict)
    """What the server's SETTINGS said, by name."""
    services: list[str] | None = None
    """What the reflection service lists."""
    unreachable: str = ""
    """Why there was no connection."""
    diagnosis: Diagnosis | None = None
    """Of the recording."""
    counted: list[Finding] = field(default_factory=list)
    """Findings of the recording that say something about the server; the others came of our own questions."""
    recording: str = ""
    """The recording, a pcapng file, until the probe is discarded."""
    interrupted: bool = False

    def add(self, check: str, state: State, text: str, seconds: float | None = None, **details: Any) -> Check:
        """Note one thing."""
        made = Check(check, state, text, seconds, details)
        self.checks.append(made)
        return made

    @property
    def status(self) -> int:
        """The exit status."""
        if self.unreachable:
            return UNREACHABLE
        if any(one.state == "bad" for one in self.checks) or any(one.severity == "error" for one in self.counted):
            return FINDINGS
        return UNTOLD if any(one.state == "untold" for one in self.checks) else FINE
