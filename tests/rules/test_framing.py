"""Frames and header blocks that break HTTP/2, and those that only look unusual."""

from __future__ import annotations

import pytest
from captured import PREFACE, Capture, Connection, findings, rules
from h2_bytes import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PUSH_PROMISE,
    RESPONSE,
    SETTINGS,
    data,
    frame,
    goaway,
    message,
    padded,
    rst,
    settings,
    settings_ack,
)

from wirecase.rules.clients.streams import BODY_ERROR, HEAD_ERROR


def begun() -> Connection:
    return Capture().connect().hello().request()


def test_a_frame_over_the_limit() -> None:
    connection = begun().headers().server(data(1, bytes(16385))).close()
    (found,) = findings(connection, "h2-frame-size")
    assert (found.details["declared"], found.details["limit"], found.details["by"]) == (16385, 16384, "server")
    assert (found.severity, found.certainty) == ("error", "certain")


def test_a_frame_within_a_raised_limit() -> None:
    connection = Capture().connect().hello(client=[(5, 1 << 20)]).request().headers()
    assert not findings(connection.server(data(1, message(bytes(20_000)))).trailers().close(), "h2-frame-size")


@pytest.mark.parametrize(
    "wrong",
    [
        frame(PING, 0, 0, bytes(7)),
        frame(GOAWAY, 0, 0, bytes(7)),
        frame(SETTINGS, 0, 0, bytes(5)),
        frame(SETTINGS, ACK, 0, bytes(6)),
        frame(DATA, PADDED, 1, bytes((200,)) + bytes(20)),
        settings((5, 100)),
    ],
)
def test_illegal_sizes(wrong: bytes) -> None:
    (found, *_) = findings(begun().headers().server(wrong).close(), "h2-frame-size")
    assert found.who == ["server"]


PAGE = b"<html><head><title>502 Bad Gateway</title></head></html>"


def test_a_page_between_two_frames() -> None:
    connection = begun().headers().server(PAGE).server(data(1, message(b"x"))).client(goaway(0, 6)).fin(0).fin(1)
    (found,) = findings(connection, "h2-frame-size")
    assert found.title == 'Where a frame is due, the server sent an HTML page "502 Bad Gateway"'
    assert (found.certainty, found.details["looks_like"], found.stream) == ("certain", "html", 1)
    assert found.evidence[0].data.startswith(b"<html><head>")
    (answer,) = findings(connection, "goaway-error")
    assert answer.caused_by == found.id


def test_bytes_of_no_kind_between_two_frames() -> None:
    connection = begun().headers().server(bytes(range(0x80, 0xC0))).close()
    (found,) = findings(connection, "h2-frame-size")
    assert found.title == "Where a frame is due, the server sent bytes that are none"
    assert "looks_like" not in found.details


def test_a_page_that_the_client_waits_for() -> None:
    connection = Capture().connect().hello(client=[(5, 1 << 22)]).request().headers().server(PAGE).wait(5)
    connection.server(data(1, message(b"x"))).trailers().client(rst(1, 8)).close()
    (found,) = findings(connection, "h2-frame-size")
    assert "waits for the rest" in found.explanation
    assert (found.certainty, found.client_sees) == ("probable", [])


def test_a_page_behind_a_hole_is_nobody_s_fault() -> None:
    connection = begun().headers()
    connection.seq[1] += 700
    assert not findings(connection.server(PAGE).close(), "h2-frame-size")


def test_padding_is_legal() -> None:
    connection = begun().headers().server(frame(DATA, PADDED, 1, padded(message(b"x"), 10))).trailers().close()
    assert not rules(connection)


def test_padding_is_remarked_on_a_call_that_went_wrong() -> None:
    connection = begun().headers().server(frame(DATA, PADDED, 1, padded(message(b"x"), 10))).server(rst(1, 2)).close()
    (found,) = findings(connection, "h2-padded-data")
    assert (found.severity, found.details["padded"]) == ("info", 1)


def test_an_orphan_continuation() -> None:
    connection = begun().server(frame(CONTINUATION, END_HEADERS, 1, b"\x88")).close()
    assert findings(connection, "h2-continuation-violation")[0].stream == 1


def test_a_frame_inside_a_header_block() -> None:
    connection = begun()
    block = connection.peers[1].block(RESPONSE)
    connection.server(
        frame(HEADERS, 0, 1, block[:1]), frame(PING, 0, 0, bytes(8)), frame(CONTINUATION, END_HEADERS, 1, block[1:])
    )
    found = findings(connection.close(), "h2-continuation-violation")
    assert any(f.details.get("expected_stream") == 1 for f in found)
    assert {row.text for f in found for row in f.client_sees if row.client == "tonic"} == {HEAD_ERROR}


def test_a_frame_inside_the_trailers() -> None:
    connection = begun().headers()
    block = connection.peers[1].block((("grpc-status", "0"),))
    connection.server(
        frame(HEADERS, END_STREAM, 1, block[:1]), frame(PING, 0, 0, bytes(8)),
        frame(CONTINUATION, END_HEADERS, 1, block[1:]),
    )  # fmt: skip
    found = findings(connection.close(), "h2-continuation-violation")
    assert {row.text for f in found for row in f.client_sees if row.client == "tonic"} == {BODY_ERROR}


def test_a_block_in_three_frames_is_fine() -> None:
    connection = begun()
    connection.server(*connection.peers[1].continued(1, RESPONSE, [1, 3])).server(
        data(1, message(b"x"))
    ).trailers().close()
    assert not rules(connection)


@pytest.mark.parametrize(
    ("side", "wrong", "stream"),
    [
        (1, data(101, b"x"), 101),
        (1, rst(101, 0), 101),
        (0, frame(PUSH_PROMISE, END_HEADERS, 1, bytes((0, 0, 0, 2, 0x88))), 1),
    ],
)
def test_frames_where_none_may_be(side: int, wrong: bytes, stream: int) -> None:
    connection = begun().send(side, wrong).answer().close()
    found = findings(connection, "h2-stream-state-violation")
    assert [f.stream for f in found] == [stream]
    assert found[0].details["by"] == ("client", "server")[side]


def test_even_and_regressing_ids() -> None:
    assert findings(Capture().connect().hello().call(2).close(), "h2-stream-state-violation")[0].stream == 2
    assert (
        findings(Capture().connect().hello().call(5).call(3).close(), "h2-stream-state-violation")[0].details["highest"]
        == 5
    )


def test_frames_in_flight_behind_a_reset_are_fine() -> None:
    connection = begun().headers().client(rst(1, 8)).server(data(1, message(b"late"))).close()
    assert not findings(connection, "h2-stream-state-violation")


def test_nothing_is_said_of_a_connection_joined_in_the_middle() -> None:
    connection = Capture().connect(syn=False).server(data(7, message(b"x" * 30))).request(9).answer(9).close()
    assert not findings(connection, "h2-stream-state-violation")


def test_a_first_frame_that_is_not_settings() -> None:
    connection = (
        Capture().connect().client(PREFACE, settings()).server(frame(PING, 0, 0, bytes(8)), settings()).call().close()
    )
    (found,) = findings(connection, "h2-first-frame-not-settings")
    assert found.details["frame"] == "PING"
    assert found.who == ["server"]
    assert not findings(begun().answer().close(), "h2-first-frame-not-settings")


def test_settings_that_are_never_acknowledged() -> None:
    connection = Capture().connect().client(PREFACE, settings((4, 1 << 20))).server(settings()).client(settings_ack())
    connection.call(1).wait(15).call(3).close()
    (found,) = findings(connection, "h2-settings-not-acked")
    assert (found.details["by"], found.certainty) == ("server", "probable")


def test_settings_whose_ack_is_only_late_are_silent() -> None:
    connection = (
        Capture().connect().client(PREFACE, settings()).server(settings()).client(settings_ack()).call().close()
    )
    assert not findings(connection, "h2-settings-not-acked")


# --- header blocks ---------------------------------------------------------------------------------------------------


def asked(*extra: tuple[str, str]) -> Connection:
    return Capture().connect().hello().request(extra=extra).answer().close()


@pytest.mark.parametrize(
    ("field", "problem", "severity"),
    [
        (("X-Upper", "1"), "uppercase", "error"),
        (("connection", "close"), "connection-specific", "error"),
        (("x-note", "a\nb"), "control-characters", "warning"),
    ],
)
def test_fields_that_http2_forbids(field: tuple[str, str], problem: str, severity: str) -> None:
    (found,) = findings(asked(field), "h2-malformed-headers")
    assert (found.details["problem"], found.details["name"], found.severity) == (problem, field[0], severity)
    assert found.who == ["client"]
    assert found.title.isprintable()


def test_ordinary_fields_are_fine() -> None:
    assert not rules(asked(("x-note", "a b"), ("user-agent", "grpc-go/1.60"), ("te2", "trailers")))


def test_a_block_that_cannot_be_decoded() -> None:
    connection = begun().server(frame(HEADERS, END_HEADERS, 1, bytes((0x80 | 100,)))).client(goaway(0, 9)).close()
    (found,) = findings(connection, "h2-hpack-decode-error")
    assert found.who == ["server"]
    assert findings(connection, "goaway-error")[0].caused_by == found.id


def test_an_entry_from_before_the_capture_is_no_error() -> None:
    connection = Capture().connect(syn=False).server(data(7, message(b"x" * 30)))
    connection.server(frame(HEADERS, END_HEADERS | END_STREAM, 7, bytes((0x80 | 70,)))).request(9).answer(9).close()
    assert not findings(connection, "h2-hpack-decode-error")


def test_a_header_list_over_the_receiver_s_limit() -> None:
    connection = Capture().connect().hello(server=[(6, 200)]).request(extra=[("x-token", "t" * 400)]).answer().close()
    (found,) = findings(connection, "h2-header-list-too-large")
    assert found.details["limit"] == 200
    assert found.severity == "warning"


def test_an_encoder_that_ignores_a_lowered_table() -> None:
    def told(code: int | None) -> Connection:
        connection = Capture().connect().hello(client=[(1, 0)]).request().answer()
        return (connection.client(goaway(0, code)) if code is not None else connection).close()

    assert [f.severity for f in findings(told(None), "h2-hpack-size-ignored")] == ["info"]
    assert [f.severity for f in findings(told(9), "h2-hpack-size-ignored")] == ["error"]


def test_a_body_that_is_not_content_length() -> None:
    connection = begun().headers(1, (*RESPONSE, ("content-length", "100")))
    connection.server(data(1, message(b"x"))).trailers().close()
    (found,) = findings(connection, "h2-content-length-mismatch")
    assert (found.details["declared"], found.details["got"]) == (100, 6)
    right = begun().headers(1, (*RESPONSE, ("content-length", "6"))).server(data(1, message(b"x"))).trailers().close()
    assert not rules(right)


@pytest.mark.parametrize("body", [b"", data(1, message(b"one"))])
def test_a_goaway_that_disowns_a_stream_it_answers(body: bytes) -> None:
    connection = begun().headers().server(body, goaway(0, 0)).fin(0).fin(1)
    (found,) = findings(connection, "h2-stream-state-violation")
    assert (found.details["last_stream"], found.stream, found.severity) == (0, 1, "error")
    assert {row.client: row.code for row in found.client_sees}["grpc-go"] == "UNAVAILABLE"
    (cut,) = findings(connection, "body-cut-connection")
    assert (cut.details["by"], cut.caused_by) == ("client", found.id)


def test_a_goaway_may_name_the_stream_or_come_before_or_after_the_answer() -> None:
    assert not findings(begun().headers().server(goaway(1, 0)).fin(0).fin(1), "h2-stream-state-violation")
    assert not findings(begun().server(goaway(0, 0)).fin(0).fin(1), "h2-stream-state-violation")
    answered = begun().headers().server(data(1, message(b"one"))).trailers().server(goaway(0, 0)).close()
    assert not findings(answered, "h2-stream-state-violation")


def test_more_than_content_length_is_too_much_before_the_end() -> None:
    fields = (*RESPONSE, ("content-length", "4"))
    connection = begun().headers(fields=fields).server(data(1, message(b"twelve"))).client(rst(1, 1)).close()
    (found,) = findings(connection, "h2-content-length-mismatch")
    assert (found.details["declared"], found.details["got"], found.who) == (4, 11, ["server"])
    (reset,) = findings(connection, "rst-protocol-error")
    assert reset.caused_by == found.id


def test_less_than_content_length_is_no_fault_of_a_stream_that_was_reset() -> None:
    fields = (*RESPONSE, ("content-length", "400"))
    connection = begun().headers(fields=fields).server(data(1, message(b"twelve"))).client(rst(1, 8)).close()
    assert not findings(connection, "h2-content-length-mismatch")


def test_headers_of_the_server_on_an_even_stream_below_the_client_s() -> None:
    connection = Capture().connect().hello().request(3).headers(3).headers(2).trailers(3).close()
    (found,) = findings(connection, "h2-stream-state-violation")
    assert (found.stream, found.details["by"]) == (2, "server")


def test_a_long_frame_of_an_unknown_type_may_be_legal() -> None:
    connection = Capture().connect().hello(client=[(5, 1 << 22)]).request().headers()
    connection.server(frame(0xFA, 0, 0, bytes(range(256)) * 8192), data(1, message(b"x"))).trailers().close()
    assert not findings(connection, "h2-frame-size")
    assert connection.capture.diagnose().calls.ok == 1
