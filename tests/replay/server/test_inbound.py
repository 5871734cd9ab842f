"""A client's bytes: whole, byte by byte, and with trailing data."""

from __future__ import annotations

from typing import Any

import pytest
from captures import PREFACE
from h2_bytes import END_STREAM, PADDED, REQUEST, Peer, data, frame, goaway, padded, rst, settings, window_update
from hypothesis import given
from hypothesis import strategies as st

from wirecase.replay.server.inbound import Inbound, Pairs, Refused


class _Heard:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def not_http2(self, data: bytes) -> None:
        self.told.append(("not-http2", data))

    def on_headers(self, stream: int, fields: Pairs, *, end: bool) -> None:
        self.told.append(("headers", stream, fields, end))

    def on_data(self, stream: int, data: bytes, length: int, *, end: bool) -> None:
        self.told.append(("data", stream, data, length, end))

    def on_reset(self, stream: int, code: int) -> None:
        self.told.append(("reset", stream, code))

    def on_settings(self, values: list[tuple[int, int]]) -> None:
        self.told.append(("settings", values))

    def on_ping(self, opaque: bytes) -> None:
        self.told.append(("ping", opaque))

    def on_goaway(self, code: int, debug: bytes) -> None:
        self.told.append(("goaway", code, debug))

    def on_window(self, stream: int, increment: int) -> None:
        self.told.append(("window", stream, increment))


def _session() -> bytes:
    peer = Peer()
    parts = [
        PREFACE, settings((4, 99), (1, 0)), frame(4, 1), peer.headers(1, REQUEST), data(1, b"abc"),
        frame(0, PADDED | END_STREAM, 1, padded(b"de", 9)), *peer.continued(3, REQUEST, (1, 1), END_STREAM),
        frame(0xBE, 0, 7, b"grease"), frame(2, 0, 3, bytes(5)), rst(3, 8), frame(6, 0, 0, b"12345678"),
        frame(6, 1, 0, b"87654321"), window_update(0, 5), window_update(1, 6), goaway(0, 2, b"bye"), data(1, b"late"),
    ]  # fmt: skip
    return b"".join(parts)


def _fed(*parts: bytes) -> list[Any]:
    heard = _Heard()
    walk = Inbound(heard)
    for part in parts:
        walk.feed(part)
    return heard.told


def test_whole_and_byte_by_byte_are_the_same() -> None:
    whole = _session()
    told = _fed(whole)
    assert told == _fed(*(bytes((byte,)) for byte in whole))
    names = [one[0] for one in told]
    assert names == ["settings", "headers", "data", "data", "headers", "reset", "ping", "window", "window", "goaway",
                     "data"]  # fmt: skip
    assert told[3] == ("data", 1, b"de", 12, True)
    assert told[4][2] == told[1][2]


def test_trailing_bytes_are_held() -> None:
    whole = _session()
    assert _fed(whole + b"\0\0\x08\x06\0\0") == _fed(whole)
    assert _fed(whole + b"\0\0\x08\x06\0\0", b"\0\0\0" + b"abcdefgh")[-1] == ("ping", b"abcdefgh")


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"PRI * HTTP/2.1", b"\0"])
def test_what_is_no_preface_is_told_at_once(first: bytes) -> None:
    assert _fed(first) == [("not-http2", first)]


@given(st.binary(max_size=300))
def test_garbage_is_told_or_refused(noise: bytes) -> None:
    refused: Refused | None = None
    try:
        _fed(PREFACE + noise)
    except Refused as error:
        refused = error
    assert refused is None or (0 < refused.code <= 13 and refused.text)
