"""Traces of Envoy's tap filter: requests and responses as Envoy's HTTP codec delivered them."""

from __future__ import annotations

from typing import Any

from wirecase.model import CLIENT, SERVER, FormFacts
from wirecase.sources.forms import tap_values
from wirecase.sources.forms.http2_writer import Connections
from wirecase.sources.forms.http_exchange import Exchange
from wirecase.sources.forms.segments import UNKNOWN, Endpoint, Segments

LIMITS = (
    "frames: their boundaries, padding, priorities, and the order of what the two sides sent",
    "resets and GOAWAYs, their codes, and who sent them",
    "flow control, keepalive and header compression",
    "which calls shared a connection, and the connection's own life",
    "headers that Envoy's codec refused, and what filters before the tap had changed",
)
_MOST = 10_000
"""Exchanges of streamed traces that are followed at the same time."""
_PIECES = (
    ("request_headers", CLIENT, "headers"),
    ("request_body_chunk", CLIENT, "body"),
    ("request_trailers", CLIENT, "trailers"),
    ("response_headers", SERVER, "headers"),
    ("response_body_chunk", SERVER, "body"),
    ("response_trailers", SERVER, "trailers"),
)


class HttpTap:
    """Takes the traces of the HTTP tap filter, whole or in segments."""

    def __init__(self, segments: Segments, facts: FormFacts) -> None:
        self._facts = facts
        self._connections = Connections(segments)
        self._open: dict[int, Exchange] = {}

    def buffered(self, trace: dict[str, Any], number: int) -> int:
        """Take a whole exchange."""
        request, response = tap_values.sub(trace, "request"), tap_values.sub(trace, "response")
        began = tap_values.nanoseconds(request.get("headers_received_time"))
        answered = tap_values.nanoseconds(response.get("headers_received_time")) or began
        exchange = self._exchange(*_ends(trace), number, began)
        for side, message, time in ((CLIENT, request, began), (SERVER, response, answered)):
            fields = tap_values.headers(message.get("headers"))
            if not fields:
                continue
            exchange.headers(side, fields, number, time)
            if "body" in message:
                body = tap_values.body(message["body"])
                exchange.body(side, body.data, number, time, truncated=body.truncated)
            trailers = tap_values.headers(message.get("trailers"))
            if trailers:
                exchange.trailers(side, trailers, number, time)
        exchange.close(number)
        return 1

    def segment(self, segment: dict[str, Any], number: int) -> int:
        """Take one segment of a streamed trace; segments have no times."""
        trace = tap_values.number(segment.get("trace_id"))
        exchange = self._open.pop(trace, None)
        if "request_headers" in segment and exchange is not None:  # ids repeat, but not within one exchange
            exchange.close(number)
            exchange = None
        if exchange is None:
            if len(self._open) >= _MOST:
                self._open.pop(next(iter(self._open))).close(number)
            exchange = self._exchange(UNKNOWN, UNKNOWN, number, 0)
        self._open[trace] = exchange
        for name, side, what in _PIECES:
            if name not in segment:
                continue
            if what == "body":
                body = tap_values.body(segment[name])
                exchange.body(side, body.data, number, 0, truncated=body.truncated)
                continue
            fields = tap_values.headers(tap_values.sub(segment, name).get("headers"))
            if what == "headers":
                exchange.headers(side, fields, number, 0)
            else:
                exchange.trailers(side, fields, number, 0)
                if side == SERVER:
                    self._open.pop(trace, exchange).close(number)
        return 1

    def over(self, number: int, time: int) -> None:
        """The input has ended; exchanges without an end were perhaps still under way."""
        for exchange in self._open.values():
            exchange.finish(number)
        self._open.clear()
        self._connections.settle(number, time)

    def _exchange(self, client: Endpoint, server: Endpoint, number: int, time: int) -> Exchange:
        return Exchange(self._connections.stream(client, server, number, time), self._facts)


def _ends(trace: dict[str, Any]) -> tuple[Endpoint, Endpoint]:
    """Return client and server as Envoy saw them: the downstream connection's ends, else the upstream's."""
    for name, client, server in (
        ("downstream_connection", "remote_address", "local_address"),
        ("upstream_connection", "local_address", "remote_address"),
    ):
        connection = tap_values.sub(trace, name)
        if connection:
            return tap_values.address(connection.get(client)), tap_values.address(connection.get(server))
    return UNKNOWN, UNKNOWN
