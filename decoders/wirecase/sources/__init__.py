"""Where packets come from: captures on disk and on standard input.

`open_sources` turns a command's arguments into `Source` objects; each yields `wirecase.model.PacketBatch` windows.
"""

from wirecase.sources.following import Follow
from wirecase.sources.opening import Open, OpenedSources, open_sources
from wirecase.sources.raw import NotACaptureError
from wirecase.sources.source import Source

__all__ = ["Follow", "NotACaptureError", "Open", "OpenedSources", "Source", "open_sources"]
