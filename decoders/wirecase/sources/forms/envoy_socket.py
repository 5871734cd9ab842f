"""Traces of Envoy's tap transport socket: reads and writes of one connection, as bytes above TLS.

A trace does not say which side Envoy is; the bytes do. That the connection was closed is told, by whom is not: no FIN
is made of it, except where a write says that it was the last (``end_stream``).
"""

from __future__ import annotations

from typing import Any

from wirecase.model import FormFacts
from wirecase.sources.forms import tap_values
from wirecase.sources.forms.byte_streams import ByteConnection
from wirecase.sources.forms.segments import UNKNOWN, Segments

LIMITS = (
    "TCP itself: handshakes, retransmissions, resets, windows",
    "how a connection was closed, and by which side",
    "TLS: the bytes are those inside of it",
)
_MOST = 10_000
"""Connections of one input that are followed at the same time."""
READ, WRITE = 0, 1


class SocketTap:
    """Takes the traces of the transport socket, whole or in segments."""

    def __init__(self, segments: Segments, facts: FormFacts) -> None:
        self._segments = segments
        self._facts = facts
        self._open: dict[int, ByteConnection] = {}

    def buffered(self, trace: dict[str, Any], number: int) -> int:
        """Take a whole trace, each of its events as a record; return their number.

        Envoy hands it over when the connection is closed, and not before.
        """
        tapped = self._make()
        _name(tapped, trace.get("connection"))
        events = tap_values.items(trace.get("events"))
        for event in events:
            self._event(tapped, event, number)
            number += 1
        number -= bool(events)
        for way, name in ((READ, "read_truncated"), (WRITE, "write_truncated")):
            if trace.get(name):
                self._take(tapped, way, b"", number, 0, cut=True)
        tapped.end(number)
        self._facts.closed += not any(isinstance(event, dict) and "closed" in event for event in events)
        return max(len(events), 1)

    def segment(self, segment: dict[str, Any], number: int) -> int:
        """Take one segment of a streamed trace; its events are the records. Return their number."""
        trace = tap_values.number(segment.get("trace_id"))
        tapped = self._open.pop(trace, None)
        if "connection" in segment and tapped is not None:  # ids repeat: another Envoy, or another run of it
            tapped.end(number)
            tapped = None
        if tapped is None:
            if len(self._open) >= _MOST:
                self._open.pop(next(iter(self._open))).end(number)
            tapped = self._make()
        self._open[trace] = tapped
        _name(tapped, segment.get("connection"))
        events = tap_values.items(tap_values.sub(segment, "events").get("events"))
        events = [segment["event"], *events] if "event" in segment else events
        for event in events:
            self._event(tapped, event, number)
            if isinstance(event, dict) and "closed" in event:
                self._open.pop(trace, tapped).end(number)
            number += 1
        return max(len(events), 1)

    def over(self, number: int) -> None:
        """The input has ended."""
        for tapped in self._open.values():
            tapped.end(number)
        self._open.clear()

    def _make(self) -> ByteConnection:
        self._facts.connections += 1
        return ByteConnection(self._segments, UNKNOWN, UNKNOWN)

    def _event(self, tapped: ByteConnection, event: Any, number: int) -> None:
        if not isinstance(event, dict):
            return
        time = tap_values.nanoseconds(event.get("timestamp"))
        _name(tapped, event.get("connection"))
        self._facts.closed += "closed" in event
        for way, name in ((READ, "read"), (WRITE, "write")):
            if name in event:
                did = tap_values.sub(event, name)
                body = tap_values.body(did.get("data"))
                last = way == WRITE and bool(did.get("end_stream"))
                self._take(tapped, way, body.data, number, time, cut=body.truncated, last=last)

    def _take(
        self, tapped: ByteConnection, way: int, data: bytes, number: int, time: int, *, cut: bool, last: bool = False
    ) -> None:
        self._facts.truncated += cut and not tapped.cut[way]
        tapped.take(way, data, number, time, cut=cut, last=last)


def _name(tapped: ByteConnection, connection: Any) -> None:
    """Learn who is at the ends: what Envoy reads is what the remote one sent."""
    if isinstance(connection, dict):
        remote = tap_values.address(connection.get("remote_address"))
        tapped.named(remote, tap_values.address(connection.get("local_address")))
