"""HTTP/2: frames, HPACK with late join, streams, windows (RFC 9113, RFC 7541).

The walk is tolerant: it notes what breaks the rules and goes on, for the traffic that breaks them is what it is for.
"""

from wirecase.http2.walk import FrameWalk

__all__ = ["FrameWalk"]
