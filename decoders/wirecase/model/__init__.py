"""The types that all rooms talk in: where bytes were seen, and what a diagnosis consists of.

Times are integers, nanoseconds since 1970-01-01 UTC. Packet numbers are Wireshark's ``frame.number``, from 1, within
their source. Offsets count from 0 in one direction's byte stream. The two directions of a connection are numbered by
the side that *sent* the bytes: `CLIENT` and `SERVER`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wirecase.model.report import (
    Accounting,
    Blast,
    CallTotals,
    ClientSees,
    Diagnosis,
    Evidence,
    Finding,
    Leg,
    Occurrence,
    Unbalanced,
    Verdict,
)
from wirecase.model.sources import (
    Damage,
    FormFacts,
    SourceInfo,
    UnseenEnd,
)
from wirecase.model.stream import (
    BodySink,
    Excerpt,
    Mark,
    Marks,
    PacketBatch,
    StreamListener,
    Stretch,
)
from wirecase.model.words import (
    CLIENT,
    SERVER,
    SIDE_NAMES,
    Certainty,
    ConnectionRef,
    Link,
    RetrySafe,
    Severity,
    Who,
)

if TYPE_CHECKING:
    from wirecase.model.opinions import (
        Compared,
        CrossCheck,
        Difference,
        LogLine,
        LogReport,
    )
else:

    def __getattr__(name: str) -> Any:
        """Import the opinions of others at their first use: most runs have none."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from wirecase.model import opinions

        return getattr(opinions, name)


__all__ = [
    "CLIENT",
    "SERVER",
    "SIDE_NAMES",
    "Accounting",
    "Blast",
    "BodySink",
    "CallTotals",
    "Certainty",
    "ClientSees",
    "Compared",
    "ConnectionRef",
    "CrossCheck",
    "Damage",
    "Diagnosis",
    "Difference",
    "Evidence",
    "Excerpt",
    "Finding",
    "FormFacts",
    "Leg",
    "Link",
    "LogLine",
    "LogReport",
    "Mark",
    "Marks",
    "Occurrence",
    "PacketBatch",
    "RetrySafe",
    "Severity",
    "SourceInfo",
    "StreamListener",
    "Stretch",
    "Unbalanced",
    "UnseenEnd",
    "Verdict",
    "Who",
]
