"""A recorded server, live: it serves a plan to real clients, fault for fault, and notes what they do."""

from __future__ import annotations

from wirecase.replay.server.options import MAX, ServeOptions
from wirecase.replay.server.server import ListenError, ReplayServer

__all__ = ["MAX", "ListenError", "ReplayServer", "ServeOptions"]
