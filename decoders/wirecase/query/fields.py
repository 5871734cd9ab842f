"""The fields that a filter may ask for: where each stands in a row, and how its values are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from wirecase.query import values
from wirecase.query.rows import CallRow
from wirecase.session.call import How

Value = int | str


@dataclass(slots=True, frozen=True)
class Field:
    """One field."""

    get: Callable[[CallRow], tuple[Value | None, ...]]
    """Its values; one of them None where the row has none. ``=`` holds if any of them is equal."""
    parse: Callable[[str], Value]
    """What a typed value means; raises `values.ValueProblem`."""
    about: str
    """One line for the guide."""
    ordered: bool = True
    """``<`` and the like may be used."""
    text: bool = False
    """``~`` may be used."""


def _number(name: str, about: str, parse: Callable[[str], int] = values.number) -> Field:
    return Field(lambda row: (getattr(row, name),), parse, about)


def _text(name: str, about: str) -> Field:
    return Field(lambda row: (getattr(row, name),), str, about, ordered=False, text=True)


def _choice(name: str, names: tuple[str, ...], about: str) -> Field:
    about = f"{about}: {', '.join(names)}"
    return Field(lambda row: (getattr(row, name),), lambda text: values.choice(text, names), about, ordered=False)


def _address(*addresses: str) -> tuple[str, ...]:
    """Return each ``addr:port``, with and without its port."""
    hosts = [address.rpartition(":")[0] for address in addresses]
    return (*addresses, *hosts, *(host.strip("[]") for host in hosts if host.startswith("[")))


def _service(row: CallRow) -> tuple[str | None, ...]:
    return (None if row.path is None else row.path.rpartition("/")[0].lstrip("/"),)


def _method(row: CallRow) -> tuple[str | None, ...]:
    return (None if row.path is None else row.path.rpartition("/")[2],)


def _findings(row: CallRow) -> tuple[str | None, ...]:
    return (*row.rules, *row.findings) or (None,)


def _finding(text: str) -> str:
    return text.upper() if text[:1] in "fF" and text[1:].isdigit() else text


def _words(get: Callable[[CallRow], tuple[str | None, ...]], about: str, parse: Callable[[str], str] = str) -> Field:
    return Field(get, parse, about, ordered=False, text=True)


FIELDS: dict[str, Field] = {
    "call": _number("call", "number of the call, from 0 in the order of request headers"),
    "kind": _choice("kind", ("grpc", "grpc-web", "connect", "unknown"), "what it speaks"),
    "path": _text("path", "`:path`, `/package.Service/Method`"),
    "service": _words(_service, "the path without its last part"),
    "method": _words(_method, "the last part of the path"),
    "authority": _text("authority", "`:authority`"),
    "status": _number("status", "grpc-status, as a number or a name", values.status),
    "http": _number("http", "`:status` of the response"),
    "content-type": _text("content_type", "content-type of the response"),
    "started": _number("started", "time of its first frame", values.time),
    "ended": _number("ended", "time of what ended it", values.time),
    "duration": _number("duration", "how long it took; of an open call, as long as it was seen", values.duration),
    "messages.sent": _number("messages_sent", "whole messages from the client"),
    "messages.received": _number("messages_received", "whole messages from the server"),
    "bytes.sent": _number("bytes_sent", "DATA bytes from the client", values.size),
    "bytes.received": _number("bytes_received", "DATA bytes from the server", values.size),
    "by": _choice("by", ("client", "server"), "who ended it"),
    "how": _choice("how", get_args(How), "what ended it"),
    "error": _number("error", "HTTP/2 error code of its reset or GOAWAY, as a number or a name", values.error_code),
    "flag": _number("flag", "the compression flag, where it is neither 0 nor 1"),
    "finding": _words(_findings, "rules that it breaks (`rst-midbody`), findings that it is part of (`F1`)", _finding),
    "connection": _number("connection", "number of its connection, from 0"),
    "stream": _number("stream", "HTTP/2 stream"),
    "client": _words(lambda row: _address(row.client), "the client's address, with or without its port"),
    "server": _words(lambda row: _address(row.server), "the server's address, with or without its port"),
    "host": _words(lambda row: _address(row.client, row.server), "the address of either"),
}  # fmt: skip
"""By name, in the order in which they are documented."""
