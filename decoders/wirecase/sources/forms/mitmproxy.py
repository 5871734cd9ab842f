"""Flow files of mitmproxy (``mitmdump -w``): one tnetstring per flow, with what the proxy kept of an HTTP exchange."""

from __future__ import annotations

import re
from typing import Any

from wirecase.model import FormFacts
from wirecase.sources.forms.http2_writer import Connections, Fields
from wirecase.sources.forms.http_exchange import Exchange
from wirecase.sources.forms.recording import FormReader
from wirecase.sources.forms.segments import UNKNOWN, Endpoint
from wirecase.sources.forms.tnetstring import next_tnetstring
from wirecase.sources.forms.web_exchange import Message, write
from wirecase.sources.reading import Reading
from wirecase.sources.window import Window

LIMITS = (
    "frames: their boundaries, flow control, keepalive, header compression, and times within a body",
    "resets and GOAWAYs: only mitmproxy's words for them remain",
    "bodies that were streamed through (stream_large_bodies): none of their bytes were kept",
    "gRPC-Web itself: its calls are shown as the gRPC that they stand for",
    "what mitmproxy itself changed on the way: it ends HTTP/2 on both sides, and an HTTP/1 leg looks like HTTP/2 here",
)
_HEAD = re.compile(rb"\d{1,11}:(?:\d{1,3}:[a-z_]{2,24}[;,]\d{1,11}:)")
_KEYS = (b"8:response", b"7:request", b"7:version", b"9:websocket", b"11:client_conn", b"11:server_conn", b"4:type",
         b"2:id", b"5:error", b"11:intercepted", b"6:marked", b"9:is_replay", b"8:modified", b"7:comment",
         b"8:metadata", b"17:timestamp_created", b"6:backup", b"8:messages")  # fmt: skip


def recognise(head: bytes) -> bool:
    """Tell whether an input begins with a flow: a tnetstring whose first name is one of a flow's."""
    match = _HEAD.match(head)
    return match is not None and head[head.index(b":") + 1 :].startswith(_KEYS)


class MitmproxyReader(FormReader[dict[str, Any]]):
    """Reads the HTTP flows of a file; flows of other kinds (TCP, UDP, DNS) carry no HTTP and are passed over."""

    def __init__(self, window: Window, reading: Reading) -> None:
        super().__init__(window, reading, next_tnetstring, FormFacts("a mitmproxy flow file", "messages", LIMITS))
        self._connections = Connections(self.segments)

    def take(self, record: dict[str, Any], number: int) -> bool:
        """See `FormReader.take`."""
        if record.get("type") != "http":
            return "type" in record
        request, response, error = _part(record, "request"), _part(record, "response"), _part(record, "error")
        if not request:
            return False
        began = _time(request.get("timestamp_start"))
        stream = self._connections.stream(*_ends(record), number, began)
        exchange = Exchange(stream, self.facts)
        sent = _message(request, _asked(request))
        answer = None
        if response:
            answer = _message(response, [(b":status", str(_number(response.get("status_code"))).encode())])
            answer.whole = answer.whole and not error
        write(exchange, sent, answer, number, has_trailers=True)
        words = error.get("msg")
        if isinstance(words, str) and words:
            exchange.broken(number, _time(error.get("timestamp")), f"mitmproxy says: {words}")
        else:
            exchange.close(number)
        return True

    def over(self, number: int, time: int) -> None:
        """See `FormReader.over`."""
        self._connections.settle(number, time)


def _message(message: dict[str, Any], pseudo: Fields) -> Message:
    """Read a request or a response; content that mitmproxy did not keep counts as cut."""
    content = message.get("content")
    kept, over = isinstance(content, bytes), message.get("timestamp_end") is not None
    return Message(
        [*pseudo, *_fields(message.get("headers"))],
        content if isinstance(content, bytes) else b"",
        truncated=over and not kept,
        trailers=_fields(message.get("trailers")) or None,
        began=_time(message.get("timestamp_start")),
        ended=_time(message.get("timestamp_end")),
        whole=over,
    )


def _part(record: dict[str, Any], name: str) -> dict[str, Any]:
    found = record.get(name)
    return found if isinstance(found, dict) else {}


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else b""


def _number(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 1000 else 0


def _time(value: Any) -> int:
    """Return seconds since the epoch as ns; 0 where there is none."""
    return int(value * 1_000_000_000) if isinstance(value, (int, float)) and 0 <= value < 9e9 else 0


def _fields(value: Any) -> Fields:
    return [
        (_bytes(one[0]), _bytes(one[1]))
        for one in (value if isinstance(value, list) else [])
        if isinstance(one, list) and len(one) == 2 and _bytes(one[0])
    ]


def _asked(request: dict[str, Any]) -> Fields:
    fields = [(b":" + name.encode(), _bytes(request.get(name))) for name in ("method", "scheme", "path")]
    authority = _bytes(request.get("authority"))
    if not authority and not any(name.lower() == b"host" for name, _ in _fields(request.get("headers"))):
        authority = _bytes(request.get("host"))
    return [*fields, (b":authority", authority)] if authority else fields


def _ends(record: dict[str, Any]) -> tuple[Endpoint, Endpoint]:
    client, server = _part(record, "client_conn"), _part(record, "server_conn")
    return (
        _endpoint(client.get("peername") or client.get("address")),
        _endpoint(server.get("peername") or server.get("ip_address") or server.get("address")),
    )


def _endpoint(value: Any) -> Endpoint:
    if isinstance(value, list) and len(value) >= 2 and isinstance(value[1], int) and 0 <= value[1] < 65536:
        return _bytes(value[0]).decode("ascii", "replace"), value[1]
    return UNKNOWN
