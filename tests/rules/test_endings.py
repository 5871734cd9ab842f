"""Calls cut by TCP's end, and servers that fell silent: who is blamed, and when nobody may be."""

from __future__ import annotations

import pytest
from captured import ACK, PSH, Capture, findings, rules
from h2_bytes import END_STREAM, data, message, rst

TIMEOUT = (("grpc-timeout", "2S"),)


def begun(**request) -> object:
    return Capture().connect().hello().request(**request)


@pytest.mark.parametrize(("side", "who", "severity"), [(1, "server", "error"), (0, "client", "warning")])
@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_connection_that_ends_in_the_middle_of_a_response(side: int, who: str, severity: str, how: str) -> None:
    connection = begun().headers().server(data(1, message(b"one") + message(bytes(100))[:60]))
    getattr(connection, how)(side)
    (found,) = findings(connection, "body-cut-connection")
    assert (found.severity, found.details["by"], found.details["how"]) == (severity, who, how)
    assert (found.details["after_messages"], found.details["got"], found.details["declared"]) == (1, 55, 100)
    assert found.details["goaway"] is False
    assert found.evidence[0].packet is not None
    assert found.certainty == "certain"


def test_one_event_is_one_root() -> None:
    connection = begun().headers().server(data(1, message(b"one")))
    connection.rst(1)
    assert rules(connection) == {"body-cut-connection"}


def test_many_open_calls_are_one_finding() -> None:
    connection = Capture().connect().hello()
    for stream in (1, 3, 5):
        connection.request(stream).headers(stream).server(data(stream, message(b"one")))
    connection.fin(1)
    (found,) = findings(connection, "body-cut-connection")
    assert found.count == 3
    assert found.details["open_streams"] == 3


def test_a_client_that_cuts_its_own_request_is_at_fault() -> None:
    connection = Capture().connect().hello().request(end=False, body=message(bytes(50))[:20]).fin(0)
    (found,) = findings(connection, "body-cut-connection")
    assert (found.severity, found.details["by"], found.details["got"]) == ("error", "client", 15)


def test_an_answer_to_a_client_that_has_left_does_not_hide_the_cut() -> None:
    connection = Capture().connect().hello().request(end=False, body=message(bytes(50))[:20]).fin(0)
    connection.trailers(1, ((":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "13"))).fin(1)
    assert findings(connection, "body-cut-connection")[0].details["by"] == "client"


def test_a_call_that_is_open_when_the_capture_ends_is_not_cut() -> None:
    connection = begun().headers().server(data(1, message(b"one")))
    assert not rules(connection)


def test_a_finished_call_is_not_cut() -> None:
    connection = begun().answer().close()
    assert not findings(connection, "body-cut-connection")


def test_nothing_is_cut_if_the_server_was_not_captured() -> None:
    connection = Capture().connect(seen=(0,)).hello().request().answer().close()
    assert not rules(connection)


@pytest.mark.parametrize("end", ["rst", "fin"])
def test_no_response_until_the_deadline(end: str) -> None:
    connection = begun(extra=TIMEOUT).wait(2.0)
    connection.client(rst(1, 8)).close() if end == "rst" else connection.fin(0)
    (found,) = findings(connection, "stream-no-response")
    assert (found.severity, found.certainty) == ("warning", "probable")
    assert found.details["seconds"] == pytest.approx(2.0, abs=0.1)
    assert found.who[0] == "server"
    assert not findings(connection, "body-cut-connection")


def test_no_response_without_a_deadline_is_told_with_care() -> None:
    assert findings(begun().wait(1.5).client(rst(1, 8)).close(), "stream-no-response")[0].severity == "info"
    found = findings(begun().wait(9).client(rst(1, 8)).close(), "stream-no-response")[0]
    assert (found.severity, found.certainty) == ("warning", "probable")


def test_a_quick_cancel_is_no_silence() -> None:
    assert not findings(begun().wait(0.2).client(rst(1, 8)).close(), "stream-no-response")


def test_a_server_whose_tcp_did_not_acknowledge_is_not_blamed() -> None:
    connection = Capture().connect().hello()
    connection.client(connection.peers[0].headers(1, (*_request(), *TIMEOUT), END_STREAM), acked=False)
    connection.wait(2.0).client(rst(1, 8), acked=False)
    assert not findings(connection, "stream-no-response")


def _request() -> tuple:
    from h2_bytes import REQUEST

    return REQUEST


def test_a_request_that_is_not_complete_keeps_the_server_waiting() -> None:
    connection = begun(end=False, extra=TIMEOUT).wait(2.0).client(rst(1, 8)).close()
    assert not findings(connection, "stream-no-response")


def test_a_stall_in_the_middle_of_a_message() -> None:
    connection = begun().headers().server(data(1, message(bytes(100))[:50])).wait(3.0).client(rst(1, 8)).close()
    (found,) = findings(connection, "stream-stalled")
    assert found.details["seconds"] == pytest.approx(3.0, abs=0.1)
    assert found.details["got"] == 45


def test_a_stall_between_messages_needs_a_deadline() -> None:
    def until(extra: tuple) -> object:
        return begun(extra=extra).headers().server(data(1, message(b"one"))).wait(2.0).client(rst(1, 8)).close()

    assert findings(until(TIMEOUT), "stream-stalled")
    assert not findings(until(()), "stream-stalled")


def test_a_server_that_ends_a_call_whose_client_has_left_was_not_silent_before() -> None:
    """Its trailers come behind the client's FIN; what counts is the DATA before them."""
    connection = begun(extra=(("grpc-timeout", "20S"),)).headers()
    for _ in range(4):
        connection.wait(0.3).server(data(1, message(b"drop")))
    connection.wait(0.3).fin(0).wait(0.01)
    connection.trailers(1, (("grpc-status", "14"),)).fin(1)
    assert not findings(connection, "stream-stalled")


def test_a_slow_drip_is_no_stall() -> None:
    connection = begun(extra=(("grpc-timeout", "10S"),)).headers()
    for _ in range(8):
        connection.wait(1.2).server(data(1, message(b"drop")))
    connection.wait(1.2).client(rst(1, 8)).close()
    assert not findings(connection, "stream-stalled")


def test_a_server_that_may_not_send_is_not_silent() -> None:
    connection = Capture().connect().hello(client=[(4, 64)]).request(extra=TIMEOUT).headers()
    connection.server(data(1, message(bytes(100))[:64])).wait(2.0).client(rst(1, 8)).close()
    assert not findings(connection, "stream-stalled")
    assert findings(connection, "fc-stream-stalled")


def test_a_client_whose_tcp_window_is_closed_is_not_waited_for() -> None:
    connection = begun(extra=TIMEOUT).headers().server(data(1, message(bytes(100))[:50]))
    connection.packet(0, ACK, window=0)
    connection.wait(2.0).packet(0, PSH | ACK, rst(1, 8), window=0)
    assert not findings(connection, "stream-stalled")
