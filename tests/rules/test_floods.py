"""Floods are one finding with a count; busy but normal traffic is none."""

from __future__ import annotations

import pytest
from captured import PREFACE, Capture, Connection, findings, rules
from h2_bytes import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PRIORITY,
    REQUEST,
    SETTINGS,
    data,
    frame,
    message,
    rst,
    settings,
    settings_ack,
    window_update,
)

PING_FRAME = frame(PING, 0, 0, bytes(8))


def begun() -> Connection:
    return Capture().connect().hello().request()


@pytest.mark.parametrize(
    ("name", "flood"),
    [
        ("PING", PING_FRAME),
        ("SETTINGS", frame(SETTINGS)),
        ("PING ACK", frame(PING, ACK, 0, bytes(8))),
        ("SETTINGS ACK", frame(SETTINGS, ACK)),
        ("PRIORITY", frame(PRIORITY, 0, 1, bytes(5))),
        ("unknown", frame(0xFA, 0, 0, b"x")),
    ],
)
def test_frames_in_masses(name: str, flood: bytes) -> None:
    connection = begun().client(flood * 1200).answer().close()
    (found,) = findings(connection, "h2-flood")
    assert found.details["frame"] == name
    assert found.count == found.details["count"] >= 1199
    assert (found.who, found.severity, found.stream) == (["client"], "error", 1)


def test_empty_data_in_masses() -> None:
    connection = begun().headers().server(frame(DATA, 0, 1) * 1000).server(data(1, message(b"x"))).trailers().close()
    assert findings(connection, "h2-flood")[0].details["frame"] == "empty DATA"


def test_bandwidth_probing_is_no_flood() -> None:
    connection = begun().headers()
    for number in range(800):
        connection.server(data(1, message(b"x")))
        connection.client(frame(PING, 0, 0, number.to_bytes(8, "big")), window_update(1, 6), window_update(0, 6))
        connection.server(frame(PING, ACK, 0, number.to_bytes(8, "big")))
    assert not rules(connection.trailers().close())


def test_keep_alive_over_hours_is_no_flood() -> None:
    connection = begun()
    for number in range(700):
        connection.wait(10).client(frame(PING, 0, 0, number.to_bytes(8, "big"))).server(
            frame(PING, ACK, 0, number.to_bytes(8, "big"))
        )
    assert not findings(connection.answer().close(), "h2-flood")


def test_a_few_acks_that_nothing_asked_for_count_only_if_the_peer_hangs_up() -> None:
    def connection() -> Connection:
        opened = Capture().connect().client(PREFACE, settings(), settings_ack()).server(settings(), settings_ack())
        return opened.wait(0.1).client(settings_ack()).client(settings_ack())

    (found,) = findings(connection().fin(1).fin(0), "h2-flood")
    assert found.severity == "warning"
    assert found.details["count"] == 2
    assert not findings(connection().call().close(), "h2-flood")


def test_rapid_reset() -> None:
    connection = Capture().connect().hello()
    parts = [connection.peers[0].headers(stream, REQUEST, END_STREAM) + rst(stream, 8) for stream in range(1, 200, 2)]
    for at in range(0, len(parts), 10):
        connection.client(*parts[at : at + 10])
    (found,) = findings(connection.close(), "h2-rapid-reset")
    assert found.count == found.details["count"] == 100
    assert (found.stream, found.details["max_open"]) == (1, 1)


def test_a_server_that_hangs_under_deadlines_is_no_rapid_reset() -> None:
    connection = Capture().connect().hello()
    streams = range(1, 120, 2)
    for stream in streams:
        connection.request(stream, extra=(("grpc-timeout", "1S"),))
    connection.wait(1)
    connection.client(*(rst(stream, 8) for stream in streams))
    assert not findings(connection.close(), "h2-rapid-reset")


def test_cancelled_calls_now_and_then_are_no_rapid_reset() -> None:
    connection = Capture().connect().hello()
    for stream in range(1, 200, 2):
        connection.request(stream).wait(0.5).client(rst(stream, 8))
    assert not findings(connection.close(), "h2-rapid-reset")


def test_a_header_block_strung_out_over_continuation() -> None:
    connection = Capture().connect().hello()
    block = connection.peers[0].block(REQUEST)
    connection.client(frame(HEADERS, END_STREAM, 1, block), frame(CONTINUATION, 0, 1) * 300).fin(1).fin(0)
    (found,) = findings(connection, "h2-continuation-flood")
    assert (found.count, found.details["empty"], found.stream) == (300, 300, 1)


def test_large_metadata_in_a_few_frames_is_no_flood() -> None:
    connection = Capture().connect().hello()
    block = connection.peers[0].block((*REQUEST, ("x-token", "t" * 90_000)), huffman=False)
    cuts = [block[at : at + 16_000] for at in range(0, len(block), 16_000)]
    for number, cut in enumerate(cuts):
        flags = END_HEADERS if number == len(cuts) - 1 else 0
        connection.client(frame(CONTINUATION if number else HEADERS, flags | (0 if number else END_STREAM), 1, cut))
    assert not findings(connection.answer().close(), "h2-continuation-flood")


def test_an_hpack_bomb() -> None:
    connection = begun()
    value = b"v" * 4000
    entry = b"\x40\x01x\x7f" + bytes(((4000 - 127) & 0x7F | 0x80, (4000 - 127) >> 7)) + value
    connection.server(frame(HEADERS, END_HEADERS, 1, b"\x88" + entry + b"\xbe" * 12_000)).close()
    (found,) = findings(connection, "hpack-bomb")
    assert found.details["list_size"] > 40_000_000
    assert found.details["wire_size"] < 17_000
    assert found.stream == 1
