"""What a fault of the gauntlet is: what stands on the wire, and what a correct client makes of it.

An expectation is a set of statuses. Where gRPC's own documents name the status, that one alone is expected and `basis`
says which document; elsewhere any error will do. DEADLINE_EXCEEDED is an answer to silence only: a client that waits
for its deadline although the stream, or the connection, is over has not noticed the fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from wirecase.grpc.status import STATUS_NAMES

Kind = Literal["unary", "server-stream", "client-stream", "bidi"]
Topic = Literal["control", "message", "status", "http", "reset", "connection", "stall", "window", "frame"]

TOPICS: Mapping[Topic, str] = MappingProxyType(
    {
        "control": "nothing is broken",
        "message": "bodies that are no gRPC messages",
        "status": "the status missing, malformed or out of place",
        "http": "answers of HTTP where gRPC is due",
        "reset": "RST_STREAM",
        "connection": "GOAWAY, FIN and TCP resets",
        "stall": "silence",
        "window": "flow control",
        "frame": "frames and headers that HTTP/2 forbids",
    }
)
"""In the order in which they are shown."""

ERRORS = tuple(name for name in STATUS_NAMES if name not in ("OK", "DEADLINE_EXCEEDED"))
"""What counts as an error that names no status."""

BASES: Mapping[str, str] = MappingProxyType(
    {
        "http": "https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md",
        "status": "https://github.com/grpc/grpc/blob/master/doc/statuscodes.md",
        "wire": "https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md",
        "compression": "https://github.com/grpc/grpc/blob/master/doc/compression.md",
        "h2": "https://www.rfc-editor.org/rfc/rfc9113",
        "hpack": "https://www.rfc-editor.org/rfc/rfc7541",
    }
)
"""Short name -> the document that says what a client has to do."""


def path_of(kind: Kind) -> str:
    """Return the method that the recorded client called with such calls."""
    return "/demo.Echo/Unary" if kind == "unary" else "/demo.Echo/Stream"


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the gauntlet."""

    name: str
    summary: str
    """One sentence: what the server does."""
    topic: Topic
    rule: str = ""
    """The rule of its root cause; empty where the bytes alone do not show a fault."""
    also: tuple[str, ...] = ()
    """Rules of what follows from it."""
    expect: tuple[str, ...] = ERRORS
    """Statuses of which the faulty call has to end with one."""
    basis: str = "h2"
    """A name in `BASES`."""
    kind: Kind = "unary"
    """The kind of call that meets it."""
    strict_kind: bool = False
    """Only a call of this kind can tell: others would be right to do something else."""
    calls: int = 3
    """How many calls the client should make: with those after the first it shows that it recovered."""
    parallel: int = 1
    """How many of them at a time."""
    messages: int = 1
    """How many messages a call that streams them should send."""
    deadline: float = 5.0
    """Seconds that the client should give each call."""
    damaged: bool = True
    """What was sent of the answer is not whole; False: each byte of it is, and the protocol is breached around it."""

    needs: str = ""
    """A content coding that the client has to offer in grpc-accept-encoding: without, the fault says nothing of it."""
    plain: bool = False
    """No part of the answer is wrong in itself, so each recorded call has to end with what is expected."""

    @property
    def control(self) -> bool:
        """Nothing is broken."""
        return self.topic == "control"

    @property
    def path(self) -> str:
        """The method that the recorded client called."""
        return path_of(self.kind)

    @property
    def expectation(self) -> str:
        """The expected statuses, as ``--expect`` of replay reads them."""
        return "|".join(self.expect)

    @property
    def wanted(self) -> str:
        """The expected statuses in words."""
        if self.expect[: len(ERRORS)] == ERRORS:
            return "an error" + (" or OK" if "OK" in self.expect else "")
        return " or ".join(self.expect)

    def placeholders(self, kind: Kind) -> dict[str, str]:
        """Return what the client is told of it, by the name of the placeholder, for a call of this kind."""
        return {
            "fault": self.name,
            "kind": kind,
            "path": path_of(kind),
            "calls": str(self.calls),
            "parallel": str(self.parallel),
            "messages": str(self.messages),
            "deadline": f"{self.deadline:g}",
        }
