"""Flow control: stalls, breaches and leaks."""

from __future__ import annotations

import pytest
from captured import Capture, Connection, findings, rules
from h2_bytes import END_STREAM, REQUEST, data, message, rst, settings, window_update

BIG = message(bytes(80_000))


def stalled(scope: str) -> Connection:
    connection = Capture().connect()
    window = 1 << 20 if scope == "connection" else 65535
    connection.hello(client=[(4, window)])
    if scope == "stream":
        connection.client(window_update(0, 1 << 20))
    connection.request().headers()
    return connection.server(*(data(1, BIG[at : min(at + 16000, 65535)]) for at in range(0, 65535, 16000)))


@pytest.mark.parametrize("scope", ["stream", "connection"])
def test_a_window_that_is_never_given_back(scope: str) -> None:
    connection = stalled(scope).wait(3).client(rst(1, 8)).close()
    (found,) = findings(connection, f"fc-{scope}-stalled")
    assert (found.details["blocked"], found.details["by"], found.details["scope"]) == ("server", "client", scope)
    assert found.certainty == "certain"
    other = "fc-connection-stalled" if scope == "stream" else "fc-stream-stalled"
    assert not findings(connection, other)


def test_the_receiver_of_a_request_can_stall_it_too() -> None:
    connection = Capture().connect().hello(server=[(4, 10)]).request(body=message(bytes(50))[:10], end=False)
    connection.wait(3).client(rst(1, 8)).close()
    (found,) = findings(connection, "fc-stream-stalled")
    assert (found.details["blocked"], found.who) == ("client", ["server"])


def test_a_window_given_back_in_time_is_no_stall() -> None:
    connection = stalled("stream").wait(3).client(window_update(1, 100_000), window_update(0, 100_000))
    connection.server(data(1, BIG[65535:])).trailers().close()
    assert not rules(connection)


def test_a_short_wait_is_no_stall() -> None:
    assert not findings(stalled("stream").wait(0.3).client(rst(1, 8)).close(), "fc-stream-stalled")


def test_a_stall_at_the_capture_s_end_needs_a_long_wait() -> None:
    capture = Capture()
    connection = capture.connect().hello(client=[(4, 64)]).request().headers().server(data(1, message(bytes(100))[:64]))
    assert not findings(connection, "fc-stream-stalled")
    capture.wait(30).connect("10.0.0.9:1", "10.0.0.8:2")
    assert findings(connection, "fc-stream-stalled")


def test_nothing_is_recomputed_from_the_middle_of_a_connection() -> None:
    connection = Capture().connect(syn=False)
    connection.client(settings()).server(settings())
    connection.request().headers().server(data(1, BIG[:16000]))
    for at in range(16000, 65535, 16000):
        connection.server(data(1, BIG[at : at + 16000]))
    connection.wait(5).client(rst(1, 8)).close()
    assert not findings(connection, "fc-stream-stalled")
    assert not findings(connection, "fc-violation")


def test_more_data_than_the_window() -> None:
    connection = Capture().connect().hello(client=[(4, 100)]).request().headers()
    connection.server(data(1, message(bytes(200)))).trailers().close()
    (found,) = findings(connection, "fc-violation")
    assert (found.severity, found.details["overrun"], found.details["scope"], found.stream) == (
        "error",
        105,
        "stream",
        1,
    )
    assert found.who == ["server"]


def test_peers_that_never_agreed_on_settings_are_only_remarked() -> None:
    connection = Capture().connect()
    connection.client(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings()).server(settings())
    connection.request().headers().server(
        *(data(1, BIG[at : at + 16000]) for at in range(0, len(BIG), 16000))
    ).trailers().close()
    assert findings(connection, "fc-violation")[0].severity == "info"


def test_a_window_over_the_top() -> None:
    connection = Capture().connect().hello().request().client(window_update(0, 0x7FFFFFFF)).answer().close()
    (found,) = findings(connection, "fc-overflow")
    assert found.details["by"] == "client"
    assert not findings(Capture().connect().hello().client(window_update(0, 1 << 20)).call().close(), "fc-overflow")


def test_an_initial_window_over_the_top_is_an_overflow() -> None:
    connection = Capture().connect().hello(server=[(4, 1 << 31)]).call().close()
    assert findings(connection, "fc-overflow")[0].details["value"] == 1 << 31
    assert not findings(connection, "h2-frame-size")


def test_an_increment_of_zero() -> None:
    connection = Capture().connect().hello().request().client(window_update(1, 0)).answer().close()
    assert findings(connection, "fc-zero-increment")


def calls(given_back: int) -> Connection:
    connection = Capture().connect().hello()
    for stream in range(1, 80, 2):
        connection.request(stream).headers(stream)
        connection.server(data(stream, message(bytes(995)))).trailers(stream).client(window_update(0, given_back))
    return connection.close()


def test_a_connection_window_that_leaks() -> None:
    (found,) = findings(calls(500), "fc-window-leak")
    assert found.details["by"] == "client"
    assert found.certainty == "probable"
    assert found.details["per_stream"] == pytest.approx(500, rel=0.2)


def test_a_connection_window_that_is_given_back_does_not_leak() -> None:
    assert not findings(calls(1000), "fc-window-leak")


def test_a_window_that_is_given_back_in_large_steps_does_not_leak() -> None:
    connection = Capture().connect().hello()
    for stream in range(1, 80, 2):
        connection.request(stream).headers(stream).server(data(stream, message(bytes(995)))).trailers(stream)
        if stream % 20 == 19:
            connection.client(window_update(0, 10_000))
    assert not findings(connection.close(), "fc-window-leak")


def test_end_stream_with_an_empty_window_is_no_stall() -> None:
    connection = Capture().connect().hello(client=[(4, 64)]).request().headers()
    connection.server(data(1, message(bytes(59)), END_STREAM)).wait(3).close()
    assert not findings(connection, "fc-stream-stalled")


def headers_only(connection: Connection) -> Connection:
    head = connection.peers[0].headers(1, (*REQUEST, ("grpc-timeout", "2S")))
    return connection.client(head).wait(2).client(rst(1, 8)).close()


def test_a_window_that_is_0_from_the_start_and_never_opens() -> None:
    connection = headers_only(Capture().connect().hello(server=[(4, 0)]))
    (found,) = findings(connection, "fc-stream-stalled")
    assert (found.details["by"], found.details["blocked"], found.certainty) == ("server", "client", "probable")
    assert found.title.startswith("The server's INITIAL_WINDOW_SIZE is 0")


def test_a_client_with_a_window_and_nothing_to_say_is_not_stalled() -> None:
    connection = headers_only(Capture().connect().hello())
    assert not findings(connection, "fc-stream-stalled")
