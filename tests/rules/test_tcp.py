"""TCP: refused, unanswered, silent, reset, retransmitting, closed windows."""

from __future__ import annotations

import pytest
from captured import ACK, FIN, PSH, RST, SYN, Capture, Connection, findings, rules
from h2_bytes import data, goaway, message, rst, window_update

CLIENT, SERVER = 0, 1


def refuse(capture: Capture, port: int, server: str = "10.0.0.3:50051") -> Connection:
    connection = capture.connect(f"10.0.0.2:{port}", server, established=False)
    connection.packet(CLIENT, SYN)
    connection.packet(SERVER, RST | ACK, seq=0)
    return connection


def test_a_refused_connection() -> None:
    (found,) = findings(refuse(Capture(), 40000), "tcp-refused")
    assert (found.severity, found.certainty, found.details["address"]) == ("error", "certain", "10.0.0.3:50051")
    assert found.retry_safe == "yes"


def test_refusals_by_one_server_are_one_finding_that_names_each_connection() -> None:
    capture = Capture()
    for port in (40000, 40001, 40002):
        refuse(capture, port)
    refuse(capture, 40003, "10.0.0.4:50051")
    three, one = sorted(findings(capture, "tcp-refused"), key=lambda f: -f.count)
    assert [place.connection for place in three.occurrences] == [0, 1, 2]
    assert [place.connection for place in one.occurrences] == [3]


def test_a_reset_after_the_handshake_is_no_refusal() -> None:
    connection = Capture().connect()
    connection.rst(SERVER)
    assert not findings(connection, "tcp-refused")


def unanswered(*waits: float) -> Connection:
    connection = Capture().connect(established=False)
    first = connection.seq[CLIENT]
    connection.packet(CLIENT, SYN)
    for wait in waits:
        connection.wait(wait)
        connection.packet(CLIENT, SYN, seq=first)
    return connection


def test_syns_without_an_answer() -> None:
    (found,) = findings(unanswered(1, 2, 4), "tcp-connect-timeout")
    assert found.details["syns"] == 4
    assert found.details["seconds"] == pytest.approx(7, abs=0.1)
    assert found.who[0] == "network"


def test_one_syn_at_the_capture_s_end_is_no_timeout() -> None:
    assert not findings(unanswered(), "tcp-connect-timeout")


def test_a_capture_of_the_client_s_packets_only_is_no_timeout() -> None:
    connection = Capture().connect(seen=(0,)).hello().call().close()
    assert not findings(connection, "tcp-connect-timeout")
    assert not findings(connection, "tcp-peer-silent")


def blackhole(retransmissions: int) -> Connection:
    connection = Capture().connect().hello().request().headers().server(data(1, message(b"x")))
    at, payload = connection.seq[CLIENT], b"\x00\x00\x08\x06\x00\x00\x00\x00\x00" + bytes(8)
    connection.packet(CLIENT, PSH | ACK, payload)
    wait = 0.3
    for _ in range(retransmissions):
        connection.wait(wait)
        connection.packet(CLIENT, PSH | ACK, payload, seq=at)
        wait *= 2
    return connection


def test_a_peer_that_is_gone() -> None:
    (found,) = findings(blackhole(5), "tcp-peer-silent")
    assert found.details["by"] == "server"
    assert found.details["retransmissions"] == 5
    assert found.stream == 1
    assert found.who[0] == "network"


def test_a_retransmission_that_gets_through_is_no_silence() -> None:
    connection = blackhole(4)
    connection.packet(SERVER, ACK)
    connection.trailers().close()
    assert not findings(connection, "tcp-peer-silent")


def test_a_single_retransmission_is_no_silence() -> None:
    assert not findings(blackhole(1), "tcp-peer-silent")


def test_a_reset_with_nothing_open_is_information() -> None:
    connection = Capture().connect().hello().call()
    connection.rst(CLIENT)
    (found,) = findings(connection, "tcp-reset")
    assert (found.severity, found.details["by"]) == ("info", "client")
    assert not rules(connection)


def test_a_reset_of_an_idle_server_that_says_no_goaway_endangers_the_next_call() -> None:
    connection = Capture().connect().hello().call()
    connection.rst(SERVER)
    (found,) = findings(connection, "tcp-reset")
    assert (found.severity, found.details["open_streams"]) == ("warning", 0)
    assert "GOAWAY" in found.explanation


def test_a_reset_of_an_idle_server_behind_its_goaway_is_information() -> None:
    connection = Capture().connect().hello().call()
    connection.server(goaway(1, 0))
    connection.rst(SERVER)
    (found,) = findings(connection, "tcp-reset")
    assert (found.severity, found.details["open_streams"]) == ("info", 0)


def test_a_reset_of_an_idle_server_is_information_where_a_goaway_may_be_missing() -> None:
    connection = Capture().connect().hello().call()
    connection.seq[SERVER] += 17
    connection.server(window_update(0, 1)).rst(SERVER)
    (found,) = findings(connection, "tcp-reset")
    assert found.severity == "info"


def test_a_reset_that_cuts_calls_is_told_by_the_calls() -> None:
    connection = Capture().connect().hello().request().headers()
    connection.rst(SERVER)
    assert not findings(connection, "tcp-reset")
    assert findings(connection, "body-cut-connection")


def test_a_reset_behind_a_fin_is_silent() -> None:
    connection = Capture().connect().hello().call()
    connection.packet(SERVER, FIN | ACK)
    connection.packet(CLIENT, PSH | ACK, b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x01")
    connection.rst(SERVER)
    assert not findings(connection, "tcp-reset")


def resent(times: int, of: int) -> Connection:
    connection = Capture().connect().hello().request().headers()
    for number in range(of):
        at, payload = connection.seq[SERVER], data(1, message(number.to_bytes(4, "big")))
        connection.packet(SERVER, PSH | ACK, payload)
        if number < times:
            connection.wait(0.25)
            connection.packet(SERVER, PSH | ACK, payload, seq=at)
        connection.packet(CLIENT, ACK)
    return connection.trailers().close()


def test_many_retransmissions() -> None:
    (found,) = findings(resent(60, 200), "tcp-retransmission-storm")
    assert found.severity == "info"
    assert found.details["retransmissions"] == 60
    assert not findings(resent(10, 200), "tcp-retransmission-storm")


def test_a_receiver_that_does_not_read() -> None:
    connection = Capture().connect().hello().request().headers().server(data(1, message(bytes(100))[:50]))
    connection.packet(CLIENT, ACK, window=0)
    connection.wait(4).packet(CLIENT, ACK, window=65535)
    connection.server(data(1, message(bytes(100))[50:])).trailers().close()
    (found,) = findings(connection, "tcp-zero-window")
    assert (found.details["by"], found.details["open"]) == ("client", False)
    assert found.details["seconds"] == pytest.approx(4, abs=0.1)


def test_a_window_that_opens_at_once_is_silent() -> None:
    connection = Capture().connect().hello().request().headers()
    connection.packet(CLIENT, ACK, window=0)
    connection.packet(CLIENT, ACK, window=65535)
    assert not findings(connection.client(rst(1, 8)).close(), "tcp-zero-window")


def test_an_ordinary_connection_is_silent() -> None:
    assert not rules(Capture().connect().hello().call().close())
