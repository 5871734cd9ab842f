"""Captures through Wireshark's dissectors: `TsharkEngine` unwraps what is not unwrapped natively.

`program` finds tshark and runs it, `rows` and `source` make packets of what it tells, `counts` lets it count HTTP/2
frames and gRPC messages for a comparison, `dissect` gives its own words about one packet.
"""

from wirecase.sources.tshark.program import Tshark, TsharkError, install_hint, tshark
from wirecase.sources.tshark.source import TsharkEngine

__all__ = ["Tshark", "TsharkEngine", "TsharkError", "install_hint", "tshark"]
