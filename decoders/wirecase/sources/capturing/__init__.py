"""Packets as they come: dumpcap or tcpdump as a child, or another program's output in a pipe.

`tools` finds the programs and what they can capture on, `program` runs one of them, `spool` takes its bytes off the
pipe, and `source` makes a `wirecase.sources.Source` of them: the same readers as for files take them apart.
"""

from wirecase.sources.capturing.program import CaptureProgram
from wirecase.sources.capturing.source import LiveSource
from wirecase.sources.capturing.spool import Spool
from wirecase.sources.capturing.tools import CaptureError, CaptureTool, Interface, capture_tool, interfaces

__all__ = [
    "CaptureError", "CaptureProgram", "CaptureTool", "Interface", "LiveSource", "Spool", "capture_tool", "interfaces",
]  # fmt: skip
