"""Link types and tunnels, IP, and TCP streams put together per direction."""

from __future__ import annotations

from wirecase.net.assembler import Assembler
from wirecase.net.facts import Conflict, Gap, TcpConnection, TcpSide

__all__ = ["Assembler", "Conflict", "Gap", "TcpConnection", "TcpSide"]
