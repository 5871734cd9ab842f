"""Envoy's tap traces: `envoy.data.tap.v3.TraceWrapper`, as JSON, protobuf or text, one or many in an input.

The tap filter of HTTP and the tap transport socket write whole exchanges and connections, or segments of them, as
``JSON_BODY_AS_BYTES``, ``JSON_BODY_AS_STRING``, ``PROTO_BINARY``, ``PROTO_BINARY_LENGTH_DELIMITED`` or ``PROTO_TEXT``;
the admin endpoint ``/tap`` writes JSON objects one after the other (Envoy documentation, operations/traffic_tapping).
All of it is read into the same dictionaries, with the schema's names in snake case.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from wirecase.model import FormFacts
from wirecase.sources.forms import documents, envoy_http, envoy_socket, textproto
from wirecase.sources.forms.documents import DamagedRecordError
from wirecase.sources.forms.envoy_schema import TRACE_WRAPPER
from wirecase.sources.forms.recording import FormReader
from wirecase.sources.forms.schema import first_fields, read_message
from wirecase.sources.reading import Reading
from wirecase.sources.window import Window

_KINDS = rb"(http|socket)_?(?:[bB]uffered_?[tT]race|[sS]treamed_?[tT]race_?[sS]egment)"
_JSON = re.compile(rb'[\s\[\x1e]*\{\s*"' + _KINDS + rb'"\s*:')
_TEXT = re.compile(rb"(?:\s|#[^\n]*\n)*" + _KINDS + rb"\s*:?\s*\{")
_NAMES = frozenset(kind.name for kind in TRACE_WRAPPER.values())
_SNAKE = re.compile(r"(?<=[a-z])([A-Z])")
_HTTP = frozenset((1, 2))


def recognise(head: bytes, size: int | None) -> str:
    """Return ``json``, ``text``, ``protobuf`` or ``delimited`` for a tap trace, else an empty string.

    `size` is that of the whole input in bytes where it is known.
    """
    if _JSON.match(head):
        return "json"
    if _TEXT.match(head):
        return "text"
    if _is_wrapper(head, size):
        return "protobuf"
    first = first_fields(b"\x0a" + head, 1)  # a length, read as that of a field
    if first and first[0][2] >= 4 and (size is None or first[0][2] < size):
        begin = next(i for i in range(10) if head[i] < 0x80) + 1
        if _is_wrapper(head[begin : begin + first[0][2]], first[0][2]):
            return "delimited"
    return ""


def _is_wrapper(data: bytes, size: int | None) -> bool:
    """Tell whether bytes begin as a `TraceWrapper` of `size` bytes: one trace, in which a sound message stands."""
    fields = first_fields(data, 2)
    if not fields or fields[0][1] != 2 or not 1 <= fields[0][0] <= 4:
        return False
    number, _, length = fields[0]
    begin = next((i for i in range(1, min(len(data), 11)) if data[i] < 0x80), 0) + 1
    if length < 2 or begin == 1 or (size is not None and begin + length > size):
        return False
    if any(other[0] != 5 for other in fields[1:]):
        return False
    inner = first_fields(data[begin : begin + length], 3)
    known = TRACE_WRAPPER[number].of
    if not inner or any(one not in known for one, _, _ in inner):
        return False
    return all(wire == (0 if known[one].what in ("int", "bool") else 2) for one, wire, _ in inner)


def next_wrapper(window: Window) -> dict[str, Any] | None:
    """Return the one message that the whole input is."""
    if not window.ensure(1):
        return None
    return _decoded(documents.whole(window))


def next_delimited_wrapper(window: Window) -> dict[str, Any] | None:
    """Return the next of several messages with their lengths."""
    raw = documents.next_delimited(window)
    return None if raw is None else _decoded(raw)


def _decoded(raw: bytes) -> dict[str, Any]:
    return read_message(raw, TRACE_WRAPPER) or {}


def next_json_wrapper(window: Window) -> dict[str, Any] | None:
    """Return the next JSON object, its names in snake case."""
    found = documents.next_json(window)
    if found is None or not _NAMES.isdisjoint(found):
        return found
    return {_snake(name): _renamed(value) for name, value in found.items()}


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {_snake(name): _renamed(one) for name, one in value.items()}
    return [_renamed(one) for one in value] if isinstance(value, list) else value


def _snake(name: str) -> str:
    return name if name.islower() else _SNAKE.sub(r"_\1", name).lower()


def next_text_wrapper(window: Window) -> dict[str, Any] | None:
    """Return all of a text's traces as lists."""
    if not window.ensure(1):
        return None
    raw = documents.whole(window)
    try:
        return textproto.read(raw)
    except ValueError as error:
        raise DamagedRecordError(f"its text cannot be read ({error})", len(raw)) from None


_NEXT: dict[str, Callable[[Window], dict[str, Any] | None]] = {
    "json": next_json_wrapper,
    "text": next_text_wrapper,
    "protobuf": next_wrapper,
    "delimited": next_delimited_wrapper,
}


class EnvoyTapReader(FormReader[dict[str, Any]]):
    """Reads tap traces of all kinds; what one input holds is of one kind in practice, and need not be."""

    def __init__(self, window: Window, reading: Reading, encoding: str, head: bytes) -> None:
        """`head` is the beginning of the input, which says whether it holds messages or bytes."""
        found = _JSON.match(head) or _TEXT.match(head)
        socket = found[1] == b"socket" if found else not _begins_with_http(head, encoding)
        facts = FormFacts(
            "an Envoy socket tap trace" if socket else "an Envoy HTTP tap trace", "bytes" if socket else "messages",
            envoy_socket.LIMITS if socket else envoy_http.LIMITS,
        )  # fmt: skip
        super().__init__(window, reading, _NEXT[encoding], facts)
        self._http = envoy_http.HttpTap(self.segments, facts)
        self._socket = envoy_socket.SocketTap(self.segments, facts)
        self._takers: tuple[tuple[str, Callable[[dict[str, Any], int], int]], ...] = (
            ("http_buffered_trace", self._http.buffered),
            ("http_streamed_trace_segment", self._http.segment),
            ("socket_buffered_trace", self._socket.buffered),
            ("socket_streamed_trace_segment", self._socket.segment),
        )

    def take(self, record: dict[str, Any], number: int) -> int:
        """See `FormReader.take`."""
        for name, taker in self._takers:
            trace = record.get(name)
            if isinstance(trace, list):
                taken = 0
                for one in trace:
                    taken += taker(one, number + taken)
                return taken
            if isinstance(trace, dict):
                return taker(trace, number)
        return 0

    def over(self, number: int, time: int) -> None:
        """See `FormReader.over`."""
        self._http.over(number, time)
        self._socket.over(number)


def _begins_with_http(head: bytes, encoding: str) -> bool:
    if encoding == "delimited":
        head = head[next(i for i in range(10) if head[i] < 0x80) + 1 :]
    return head[:1] in (b"\x0a", b"\x12")
