"""Notes on the limits of a capture: what they hide, and how to take a better one."""

from __future__ import annotations

from wirecase.explaining.notes.note import Note
from wirecase.model import Who

_NOBODY = "Nothing to mend on the wire: take a better capture."
_WHO: tuple[Who, ...] = ("capture",)


def _limit(wire: str, check: str) -> Note:
    return Note(wire, _WHO, check, _NOBODY)


NOTES = {
    "obs-encrypted": _limit("TLS records without keys.", "Capture with SSLKEYLOGFILE and give it by --keylog."),
    "obs-keylog": _limit("Lines of the key log that are no secrets.", "See which program writes the key log."),
    "obs-midconnection": _limit(
        "No SYN: HPACK table, SETTINGS and windows are unknown.", "Start the capture before the connection."
    ),
    "obs-gap": _limit("Bytes of a stream are missing.", "Capture with a larger buffer (tcpdump -B) or nearer."),
    "obs-snaplen": _limit("Packets are cut short.", "Capture with tcpdump -s 0."),
    "obs-one-direction": _limit("Only one side's packets.", "Capture where both directions pass."),
    "obs-capture-ends": _limit("Calls are open when the capture ends.", "Capture longer."),
    "obs-conflicting-data": _limit("The same bytes with different contents.", "Capture at another place."),
    "obs-bad-reset": _limit("A TCP RST outside of the window.", "Look where it comes from (TTL)."),
    "obs-offload": _limit("Segments longer than the wire carries.", "ethtool -K IFACE gro off tso off, if it matters."),
    "obs-file-damaged": _limit("A part of the file cannot be read.", "Copy the file again, or capture again."),
    "obs-capture-drops": _limit("The capture tool counted lost packets.", "A larger buffer (tcpdump -B), a filter."),
    "obs-form-limits": _limit("Evidence that is no packet capture.", "Capture packets for what it cannot show."),
    "obs-form-truncated": _limit("Payloads are cut.", "Raise the recorder's limit on bodies."),
}
