"""HTTP archives (HAR 1.2) as browsers and proxies export them: what is left there of gRPC-Web calls."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any
from urllib.parse import urlsplit

from wirecase.model import FormFacts
from wirecase.sources.forms import documents, tap_values
from wirecase.sources.forms.http2_writer import Connections, Fields
from wirecase.sources.forms.http_exchange import Exchange
from wirecase.sources.forms.recording import FormReader
from wirecase.sources.forms.segments import UNKNOWN, Endpoint
from wirecase.sources.forms.web_exchange import Message, write
from wirecase.sources.reading import Reading
from wirecase.sources.window import Window

LIMITS = (
    "frames: their boundaries, flow control, resets and GOAWAYs, and the order within a body",
    "HTTP trailers (those of gRPC-Web stand in the body and are there)",
    "request bodies that are no text: browsers write them damaged or not at all",
    "compression of bodies by HTTP: they are shown unpacked",
    "gRPC-Web itself: its calls are shown as the gRPC that they stand for",
    "requests that the browser refused before sending (CORS, mixed content)",
)
_HEAD = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"log"\s*:\s*\{')
_ENTRIES = re.compile(rb'(?<!\\)"entries"\s*:\s*\[')
_REACH = 16 << 20
"""Bytes of a HAR (pages, names of programs) that may stand before its entries."""
_UNPACKED = frozenset((b"content-encoding", b"content-length"))


def recognise(head: bytes) -> bool:
    """Tell whether an input begins as an archive does."""
    return _HEAD.match(head) is not None


class HarReader(FormReader[dict[str, Any]]):
    """Reads the entries of an archive one by one."""

    def __init__(self, window: Window, reading: Reading) -> None:
        super().__init__(window, reading, self._next_entry, FormFacts("an HTTP archive (HAR)", "messages", LIMITS))
        self._connections = Connections(self.segments)
        self._inside = False

    def _next_entry(self, window: Window) -> dict[str, Any] | None:
        if not self._inside:
            self._inside = documents.skip_to(window, _ENTRIES, _REACH)
            if not self._inside:
                reason = "the archive has no list of entries"
                raise documents.DamagedRecordError(reason, window.end - window.start)
        entry = documents.next_json(window)
        if entry is None:
            if not window.ensure(1):
                raise documents.DamagedRecordError("the archive is cut: its list of entries does not end", 0)
            window.start = window.end  # what follows the list is of no interest
            while window.fill():
                window.start = window.end
        return entry

    def take(self, record: dict[str, Any], number: int) -> bool:
        """See `FormReader.take`."""
        request, response = tap_values.sub(record, "request"), tap_values.sub(record, "response")
        began = tap_values.nanoseconds(record.get("startedDateTime"))
        asked = _asked(request)
        if asked is None:
            return bool(request)
        times = tap_values.sub(record, "timings")
        first = began + sum(_milliseconds(times.get(name)) for name in ("blocked", "dns", "connect", "send", "wait"))
        ended = max(began + _milliseconds(record.get("time")), first)
        stream = self._connections.stream(UNKNOWN, _server(record, request), number, began)
        exchange = Exchange(stream, self.facts)
        data, truncated = _request_body(request)
        sent = Message([*asked, *_fields(request.get("headers"))], data, truncated, began=began, ended=began)
        status, words = response.get("status"), response.get("_error") or record.get("_error")
        answer = None
        if isinstance(status, int) and 100 <= status < 1000:
            fields = [field for field in _fields(response.get("headers")) if field[0].lower() not in _UNPACKED]
            data, truncated = _response_body(response)
            fields.insert(0, (b":status", str(status).encode()))
            answer = Message(fields, data, truncated, began=first, ended=ended, whole=not words)
        write(exchange, sent, answer, number, has_trailers=False)
        if words:
            exchange.broken(number, ended, f"the browser says: {words}")
        else:
            exchange.close(number)
        return True

    def over(self, number: int, time: int) -> None:
        """See `FormReader.over`."""
        self._connections.settle(number, time)


def _milliseconds(value: Any) -> int:
    return int(value * 1_000_000) if isinstance(value, (int, float)) and 0 < value < 1e10 else 0


def _fields(value: Any) -> Fields:
    """Return a list of names and values; pseudo-header fields are left out, they are said elsewhere."""
    fields: Fields = []
    for one in tap_values.items(value):
        if isinstance(one, dict):
            name = tap_values.as_bytes(one.get("name"))
            if name and not name.startswith(b":"):
                fields.append((name, tap_values.as_bytes(one.get("value"))))
    return fields


def _asked(request: dict[str, Any]) -> Fields | None:
    url, method = request.get("url"), request.get("method")
    if not isinstance(url, str) or not isinstance(method, str):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return [
        (b":method", tap_values.as_bytes(method)),
        (b":scheme", tap_values.as_bytes(parts.scheme or "http")),
        (b":authority", tap_values.as_bytes(parts.netloc)),
        (b":path", tap_values.as_bytes(path)),
    ]


def _server(record: dict[str, Any], request: dict[str, Any]) -> Endpoint:
    address = record.get("serverIPAddress")
    try:
        parts = urlsplit(str(request.get("url")))
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return UNKNOWN
    return (address, port) if isinstance(address, str) else UNKNOWN


def _request_body(request: dict[str, Any]) -> tuple[bytes, bool]:
    """Return a request's body, and whether it is not (wholly) there: text stands for bytes only if its size says so."""
    text = tap_values.sub(request, "postData").get("text")
    size = request.get("bodySize")
    if not isinstance(text, str) or not text:
        return b"", isinstance(size, int) and size > 0
    if tap_values.sub(request, "postData").get("encoding") == "base64":
        return _base64(text)
    if text.isascii():
        return text.encode(), isinstance(size, int) and size > len(text)
    if all(ord(c) < 256 for c in text) and size == len(text):
        return text.encode("latin-1"), False
    return b"", True


def _response_body(response: dict[str, Any]) -> tuple[bytes, bool]:
    """Return a response's body, and whether it is not (wholly) there; bytes may stand as text, told by the size."""
    content = tap_values.sub(response, "content")
    text, size = content.get("text"), content.get("size")
    if not isinstance(text, str):
        return b"", isinstance(size, int) and size > 0
    if content.get("encoding") == "base64":
        data, damaged = _base64(text)
    elif not text.isascii() and size == len(text) and all(ord(c) < 256 for c in text):
        data, damaged = text.encode("latin-1"), False
    else:
        data, damaged = tap_values.as_bytes(text), "\ufffd" in text
    return (b"", True) if damaged else (data, isinstance(size, int) and size > len(data))


def _base64(text: str) -> tuple[bytes, bool]:
    try:
        return base64.b64decode(text, validate=True), False
    except (binascii.Error, ValueError):
        return b"", True
