"""What arrives at a server: the recorded bytes, in the recorded order, as far as the server allows."""

from __future__ import annotations

import contextlib
import time

import pytest
from captured import Capture
from h2_bytes import END_STREAM, RESPONSE, TRAILERS, Peer, data, frame, message, rst, settings, settings_ack
from hypothesis import given
from hypothesis import strategies as st
from servers import Conversation, Echo, fixture, frames, grpc_server, raw_server, write

from wirecase.case.extract import Request as Extraction
from wirecase.case.extract import extract
from wirecase.case.redact import Policy, Redactor
from wirecase.case.select import Selection
from wirecase.http2.hpack import HeaderDecoder
from wirecase.model import CLIENT
from wirecase.replay.caller import FULL_SPEED, Request, call_again, look_up
from wirecase.replay.caller.scanner import Scanner

DATA, HEADERS, RST, SETTINGS, PING, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 8, 9


def play(path: str, target: str, **options):
    return call_again(Request(path, look_up(target), **{"speed": FULL_SPEED, "timeout": 5.0, **options}))


def body(got: bytes, stream: int = 1) -> bytes:
    return b"".join(payload for kind, _, number, payload in frames(got) if kind == DATA and number == stream)


def fields(got: bytes) -> list[list[tuple[bytes, bytes]]]:
    """The header lists of a client, decoded."""
    decoder = HeaderDecoder(lambda shown, _: list(shown))
    held, found = b"", []
    for kind, flags, _, payload in frames(got):
        if kind in (HEADERS, CONTINUATION):
            held += payload
            if flags & 4:
                found.append(decoder.decode(held))
                held = b""
    return found


def one_call(one: Conversation) -> None:
    one.request()
    one.answer()
    one.rest()


def test_frames_keep_their_boundaries(tmp_path):
    capture = Capture()
    connection = capture.connect().hello(client=((4, 100_000), (2, 0)))
    connection.client(connection.peers[CLIENT].headers(1, REQUEST))
    for part in (b"\0\0\0\0\x05he", b"", b"llo"):
        connection.client(data(1, part))
    connection.client(data(1, b"", END_STREAM)).answer(1).close()
    with raw_server(one_call) as (target, received):
        assert play(write(capture, tmp_path), target).overall == "fine"
    got = frames(bytes(received[0]))
    assert [payload for kind, _, _, payload in got if kind == DATA] == [b"\0\0\0\0\x05he", b"", b"llo", b""]
    first = next(payload for kind, _, _, payload in got if kind == SETTINGS)
    assert first == bytes.fromhex("0004000186a0000200000000")
    assert bytes(received[0]).startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")


REQUEST = (
    (":method", "POST"), (":scheme", "http"), (":path", "/demo.Echo/Client"), (":authority", "demo"),
    ("te", "trailers"), ("content-type", "application/grpc"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("request_fields", "payload"),
    [
        (tuple(one for one in REQUEST if one[0] != "te"), message(b"ask")),
        ((*REQUEST, ("grpc-timeout", "10 seconds")), message(b"ask")),
        (REQUEST, b"\x0a\x03ask"),
        (REQUEST, b"GET / HTTP/1.1"),
    ],
)
def test_what_was_odd_is_sent_as_it_was(request_fields, payload, tmp_path):
    capture = Capture()
    connection = capture.connect().hello()
    connection.client(connection.peers[CLIENT].headers(1, request_fields), data(1, payload, END_STREAM))
    connection.answer(1).close()
    with raw_server(one_call) as (target, received):
        play(write(capture, tmp_path), target)
    assert body(bytes(received[0])) == payload
    assert fields(bytes(received[0])) == [[(name.encode(), value.encode()) for name, value in request_fields]]


@pytest.mark.parametrize("name", ["h2-bad-preface", "grpc-unframed-protobuf", "h2-continuation-flood"])
def test_recorded_faults_of_clients_are_found_again_in_what_is_sent(name):
    """The server does not matter: what it got is what the recorded one got."""

    def handle(one: Conversation) -> None:
        one.send(settings(), settings_ack())
        one.rest()

    with raw_server(handle) as (target, received):
        made = play(fixture(name), target, timeout=0.3)
    faults = [fault for one in made.calls if one.after for fault in one.after.faults]
    faults += [fault for one in made.connections for fault in one.after]
    wanted = "grpc-invalid-compression-flag" if name == "grpc-unframed-protobuf" else name
    if name == "grpc-unframed-protobuf":
        assert body(bytes(received[0])) == b"" or received
        assert any(payload[:1] not in (b"\0", b"\1") for kind, _, _, payload in frames(bytes(received[0])) if kind == 0)
    else:
        assert wanted in [fault.rule for fault in faults]
        assert all(fault.client_side for fault in faults if fault.rule == wanted)


def test_a_request_waits_for_as_much_of_the_answer_as_it_had(tmp_path):
    capture = Capture()
    connection = capture.connect().hello()
    connection.client(connection.peers[CLIENT].headers(1, REQUEST), data(1, message(b"one")))
    connection.headers(1).server(data(1, message(b"first")))
    connection.client(data(1, message(b"two"), END_STREAM))
    connection.server(data(1, message(b"second"))).trailers(1).close()
    order: list[str] = []

    def handle(one: Conversation) -> None:
        one.send(settings(), settings_ack())
        one.until(lambda got: body(got) == message(b"one"))
        time.sleep(0.3)
        one.connection.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            one.got += one.connection.recv(65_536)
        one.connection.setblocking(True)
        order.append("early" if b"two" in body(bytes(one.got)) else "waited")
        one.send(one.peer.headers(1, RESPONSE), data(1, message(b"first")))
        one.until(lambda got: b"two" in body(got))
        one.send(data(1, message(b"second")), one.peer.headers(1, TRAILERS, END_STREAM))
        one.rest()

    with raw_server(handle) as (target, _):
        made = play(write(capture, tmp_path), target)
    assert order == ["waited"]
    assert [one.verdict for one in made.calls] == ["same"] and made.deviations == []


def test_calls_overlap_as_they_did(tmp_path):
    """Two at once, then one that came after both."""
    capture = Capture()
    connection = capture.connect().hello()
    connection.request(1).request(3).answer(1).answer(3).request(5).answer(5).close()
    seen: list[set[int]] = []

    def handle(one: Conversation) -> None:
        one.send(settings(), settings_ack())
        for wanted in ({1, 3}, {5}):
            one.until(lambda got, wanted=wanted: wanted <= {n for k, f, n, _ in frames(got) if k == 0 and f & 1})
            time.sleep(0.1)
            seen.append({n for k, _, n, _ in frames(bytes(one.got)) if k == HEADERS})
            for stream in sorted(wanted):
                one.answer(stream)
        one.rest()

    with raw_server(handle) as (target, _):
        made = play(write(capture, tmp_path), target)
    assert seen == [{1, 3}, {1, 3, 5}]
    assert [one.verdict for one in made.calls] == ["same"] * 3


def test_the_servers_limit_of_streams_is_respected(tmp_path):
    capture = Capture()
    connection = capture.connect().hello()
    connection.request(1).request(3).request(5).answer(1).answer(3).answer(5).close()
    most = 0

    def handle(one: Conversation) -> None:
        nonlocal most
        one.send(settings((3, 1)), settings_ack())
        for stream in (1, 3, 5):
            one.until(lambda got, stream=stream: any(n == stream and f & 1 for k, f, n, _ in frames(got) if k == 0))
            time.sleep(0.05)
            opened = sum(kind == HEADERS for kind, _, _, _ in frames(bytes(one.got)))
            most = max(most, opened - (stream - 1) // 2)
            one.answer(stream)
        one.rest()

    with raw_server(handle) as (target, _):
        made = play(write(capture, tmp_path), target)
    assert most == 1
    assert [one.verdict for one in made.calls] == ["same"] * 3
    assert "waited-for-streams" in [one.what for one in made.deviations]


def test_the_servers_windows_are_respected(tmp_path):
    capture = Capture()
    connection = capture.connect().hello()
    connection.client(connection.peers[CLIENT].headers(1, REQUEST), data(1, message(bytes(100)), END_STREAM))
    connection.wait(0.05).answer(1).close()

    def handle(one: Conversation) -> None:
        one.send(settings((4, 30)), settings_ack())
        for count in (30, 60, 90):
            one.until(lambda got, count=count: len(body(got)) >= count)
            assert len(body(bytes(one.got))) == count
            one.send(frame(WINDOW, 0, 1, (30).to_bytes(4, "big")))
        one.until(lambda got: len(body(got)) >= 105)
        one.answer()
        one.rest()

    capture_path = write(capture, tmp_path)
    with raw_server(handle) as (target, received):
        made = play(capture_path, target, speed=0.1)
    assert body(bytes(received[0])) == message(bytes(100))
    assert [one.what for one in made.deviations] == ["frame-split"]
    assert [one.verdict for one in made.calls] == ["same"]


def test_a_recorded_cancel_is_a_cancel(tmp_path):
    capture = Capture()
    connection = capture.connect().hello()
    connection.request(1).headers(1).server(data(1, message(b"one"))).client(rst(1, 8)).close()

    def handle(one: Conversation) -> None:
        one.request()
        one.send(one.peer.headers(1, RESPONSE), data(1, message(b"one")))
        one.rest()

    with raw_server(handle) as (target, received):
        made = play(write(capture, tmp_path), target, call=0)
    assert [payload for kind, _, _, payload in frames(bytes(received[0])) if kind == RST] == [b"\0\0\0\x08"]
    assert made.overall == "fine"


def test_credit_is_given_for_large_answers(tmp_path):
    capture = Capture()
    connection = capture.connect().hello(client=((4, 20_000),))
    connection.request(1).answer(1).close()
    handler = Echo(bytes(300_000))
    with grpc_server(handler) as target:
        made = play(write(capture, tmp_path), target)
    assert made.calls[0].after.status == 0 and made.calls[0].after.bytes == 300_005


def test_a_redacted_case_is_said_to_be_one(tmp_path):
    capture = Capture()
    connection = capture.connect().hello()
    connection.request(1, body=message(b"\x0a\x06secret"), extra=(("authorization", "Bearer 123456789"),))
    connection.headers(1).server(data(1, b"Connection refused")).trailers(1).close()
    case = tmp_path / "case.pcapng"
    extract(Extraction([write(capture, tmp_path)], case, Selection()), Redactor(Policy()))
    handler = Echo()
    with grpc_server(handler) as target:
        made = play(str(case), target, metadata=[("authorization", "Bearer mine")])
    assert made.redacted and any("masked" in note for note in made.notes)
    ((_path, messages, metadata),) = handler.seen
    assert metadata["authorization"] == "Bearer mine"
    assert len(messages[0]) == 8 and b"secret" not in messages[0]
    assert made.calls[0].verdict == "fixed"


def test_the_authority_can_be_another(tmp_path):
    capture = Capture()
    capture.connect().hello().call(1).close()
    with raw_server(one_call) as (target, received):
        play(write(capture, tmp_path), target, authority="api.example:443")
    assert (b":authority", b"api.example:443") in fields(bytes(received[0]))[0]


def test_recorded_delays_are_kept_and_can_be_divided(tmp_path):
    capture = Capture()
    connection = capture.connect().hello()
    connection.call(1).wait(0.5).call(3).close()
    path = write(capture, tmp_path)
    with grpc_server(Echo()) as target:
        assert play(path, target, speed=1.0).seconds > 0.45
        assert play(path, target, speed=100.0).seconds < 0.45


# ---- the scanner ---------------------------------------------------------------------------------------------------


def state(scanner: Scanner) -> object:
    return (
        {n: (s.window, s.headers, s.data, s.count.whole, s.ended) for n, s in scanner.streams.items()}, scanner.window,
        scanner.max_frame, scanner.max_streams, scanner.table_size, scanner.last_stream, scanner.is_http2,
    )  # fmt: skip


def scan(pieces: list[bytes]) -> tuple[object, bytes]:
    sent = bytearray()
    scanner = Scanner(sent.extend)
    for stream in (1, 3):
        scanner.open(stream)
    for piece in pieces:
        scanner.feed(piece)
    return state(scanner), bytes(sent)


PEER = Peer()
ANSWER = b"".join((
    settings((3, 7), (4, 10), (5, 20_000), (1, 0)), settings_ack(), frame(PING, 0, 0, b"12345678"),
    PEER.headers(1, RESPONSE), data(1, message(b"abc")), frame(DATA, 8, 1, b"\x02" + message(b"x") + b"\0\0"),
    frame(WINDOW, 0, 0, (5).to_bytes(4, "big")), frame(WINDOW, 0, 3, (6).to_bytes(4, "big")),
    PEER.headers(1, TRAILERS, END_STREAM), rst(3, 2), frame(7, 0, 0, bytes(3) + b"\x01" + bytes(4)),
))  # fmt: skip


def test_the_scanner_sees_the_same_in_any_pieces():
    whole = scan([ANSWER])
    assert scan([ANSWER[i : i + 1] for i in range(len(ANSWER))]) == whole
    (streams, window, largest, limit, table, last, _), sent = whole
    assert streams[1] == (10, 2, 14, 2, True) and streams[3] == (16, 0, 0, 0, True)
    assert (window, largest, limit, table, last) == (65_540, 20_000, 7, 0, 1)
    assert frames(sent, preface=False)[:2] == [(SETTINGS, 1, 0, b""), (PING, 1, 0, b"12345678")]


@given(st.binary(max_size=300), st.integers(0, 300))
def test_the_scanner_takes_anything(garbage, place):
    broken = ANSWER[:place] + garbage + ANSWER[place:]
    assert scan([broken]) == scan([broken[i : i + 7] for i in range(0, len(broken), 7)])
