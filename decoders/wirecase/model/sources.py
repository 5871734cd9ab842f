"""The inputs of a run: what they are, what their form cannot show, and where they could not be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from wirecase.model.words import Severity


@dataclass(slots=True)
class UnseenEnd:
    """A call whose end the evidence does not show although it was over."""

    record: int
    """Number of the record that shows it last."""
    time: int
    """When, ns since the epoch; 0 if the evidence has no time."""
    path: str
    text: str
    """What is known of the end, one phrase."""
    severity: Severity = "warning"
    """``error`` where the evidence itself calls it a failure: a reset may as well be a client's own wish."""


@dataclass(slots=True)
class FormFacts:
    """What evidence that is no packet capture cannot show, and how its packets are to be taken."""

    name: str
    """What it is, for a sentence: ``an Envoy tap trace``."""
    level: Literal["bytes", "messages"]
    """``bytes``: byte streams as they were, in made-up TCP packets. ``messages``: headers and bodies, in made-up
    HTTP/2. What was made up is no evidence."""
    limits: tuple[str, ...] = ()
    """What the form cannot show, one phrase each."""
    own_numbers: bool = True
    """True if packet numbers are those of the form's records; False if they are real ``frame.number`` values."""
    ordered: bool = True
    """False if it is not known which side's bytes came first."""
    client_log: bool = False
    """Some statuses stand in a client's own log: its library may have made them up without the server."""
    connections: int = 0
    """Connections whose end the form would tell, and how many of them it said were closed (by whom it does not say)."""
    closed: int = 0
    truncated: int = 0
    """Payloads of which the evidence holds only the beginning."""
    unseen_ends: list[UnseenEnd] = field(default_factory=list)
    """The first 100."""
    unseen_count: int = 0
    untold: int = 0
    """Calls that may well have ended with a status that the form has no place for."""

    def ended_unseen(self, record: int, time: int, path: str, text: str, severity: Severity = "warning") -> None:
        """Note a call whose end is not shown."""
        self.unseen_count += 1
        if len(self.unseen_ends) < 100:
            self.unseen_ends.append(UnseenEnd(record, time, path, text, severity))


@dataclass(slots=True)
class SourceInfo:
    """One input as the report names it."""

    path: str
    digest: str | Callable[[], str] = ""
    """SHA-256 of the input as read (still compressed where it was), in hex; or what will have computed it."""
    format: str = ""
    """``pcap``, ``pcapng``, with ``+gzip`` or ``+zstd`` where compressed."""
    packets: int = 0
    bytes: int = 0
    """Bytes of the input as read."""
    first: int | None = None
    """Time of the earliest packet, ns since the epoch."""
    last: int | None = None
    """Time of the latest packet."""
    dropped: int | None = None
    """Packets that were lost before they were written, as the capture tool counts them; None where it does not say."""
    engine: str = ""
    """Who took the packets apart down to TCP: ``Wireshark 4.0.17``, or empty for wirecase itself."""
    form: FormFacts | None = None
    """Set for evidence that is no packet capture."""

    @property
    def sha256(self) -> str:
        """The digest; waits for it where that must be."""
        if not isinstance(self.digest, str):
            self.digest = self.digest()
        return self.digest


@dataclass(slots=True)
class Damage:
    """A stretch of an input that could not be read."""

    source: int
    offset: int
    """Byte offset in the (decompressed) input where reading failed."""
    reason: str
    """One plain sentence."""
    packet: int
    """Number of packets read before."""
    bytes: int = 0
    """Bytes given up, where known."""
