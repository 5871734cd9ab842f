"""gRPC-Web bodies as the gRPC that they stand for (gRPC PROTOCOL-WEB): the trailers stand in the body.

A frame whose flag has bit 7 set holds them as lines; ``application/grpc-web-text`` is Base64 of it all, perhaps in
several padded pieces. A body that is not whole is left alone.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import NamedTuple

from wirecase.sources.forms.http2_writer import Fields

_KIND = re.compile(rb"application/grpc-web(-text)?(\+[a-z0-9.-]+)?\s*(?:;.*)?\Z", re.I | re.S)
_PIECE = re.compile(rb"[A-Za-z0-9+/]*={0,2}")


class WebBody(NamedTuple):
    """A body taken apart."""

    messages: bytes
    """Length-prefixed messages, as in gRPC."""
    trailers: Fields | None
    """None where the body has no frame of trailers."""


def content_type(fields: Fields) -> bytes | None:
    """Return the content-type of a gRPC-Web request or response, None for anything else."""
    value = next((value for name, value in fields if name.lower() == b"content-type"), b"")
    return value if _KIND.match(value) else None


def as_grpc(fields: Fields, *, request: bool) -> Fields:
    """Return header fields with gRPC's content-type in place of gRPC-Web's, in a request also what gRPC asks for."""
    found: Fields = [(b"te", b"trailers")] if request else []
    for name, value in fields:
        if name.lower() in (b"te", b"content-length"):
            continue
        match = _KIND.match(value) if name.lower() == b"content-type" else None
        found.append((name, b"application/grpc" + (match[2] or b"")) if match else (name, value))
    return found


def take_apart(kind: bytes, data: bytes) -> WebBody | None:
    """Return the messages and trailers of a body, None if it is damaged or not whole."""
    match = _KIND.match(kind)
    if match and match[1]:
        decoded = _from_text(data)
        if decoded is None:
            return None
        data = decoded
    at, end = 0, len(data)
    while at < end:
        if end - at < 5:
            return None
        flag, size = data[at], int.from_bytes(data[at + 1 : at + 5], "big")
        if size > end - at - 5:
            return None
        if flag & 0x80:
            rest = data[at + 5 + size :]
            return WebBody(data[:at], _lines(data[at + 5 : at + 5 + size])) if not rest and flag == 0x80 else None
        at += 5 + size
    return WebBody(data, None)


def _from_text(data: bytes) -> bytes | None:
    parts: list[bytes] = []
    at, data = 0, b"".join(data.split())
    while at < len(data):
        match = _PIECE.match(data, at)
        if match is None or match.end() == at:
            return None
        try:
            parts.append(base64.b64decode(match.group(), validate=True))
        except binascii.Error:
            return None
        at = match.end()
    return b"".join(parts)


def _lines(data: bytes) -> Fields:
    fields: Fields = []
    for line in data.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon and name.strip():
            fields.append((name.strip().lower(), value.strip()))
    return fields
