"""How a recording is to be served."""

from __future__ import annotations

from dataclasses import dataclass

from wirecase.replay.server.rounds import Matching
from wirecase.replay.tls import Tls

MAX = float("inf")
"""A speed at which nothing is waited for; what the recorded server never sent is still never sent."""


@dataclass(slots=True)
class ServeOptions:
    """What can be chosen."""

    listen: tuple[str, int] = ("127.0.0.1", 0)
    """Address and port; port 0 takes a free one."""
    match: Matching = "path"
    """How live calls find their recorded ones: the n-th of a path (``path``), the n-th of all if its path is the same
    (``order``), the next of the path with equal DATA (``message``), or the next one whatever it asks for (``any``)."""
    speed: float = 1.0
    """Recorded delays are divided by this."""
    tls: Tls | None = None
    fallback: tuple[int, str] = (12, "wirecase replay: the recording holds no answer for this call")
    """grpc-status and grpc-message for calls that the recording does not hold."""
    patience: float = 2.0
    """Seconds without a sign of the client after which no more is waited for what the recorded client did and the live
    one does not."""
