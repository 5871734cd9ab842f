"""Who speaks what: HTTP/1, TLS or something else where HTTP/2 is due."""

from __future__ import annotations

import pytest
from captured import PREFACE, Capture, Connection, findings, rules
from h2_bytes import data, goaway, message, settings

from wirecase.rules.clients.streams import BODY_ERROR, HEAD_ERROR

HTTP1 = b"HTTP/1.1 400 Bad Request\r\nServer: nginx/1.22.1\r\nContent-Length: 3\r\n\r\nno\n"
TLS_HELLO = bytes.fromhex("16030100f8010000f40303") + bytes(200)
TLS_ALERT = bytes.fromhex("15030300020246")
SPEAKS = (
    "h2-peer-speaks-http1",
    "h2-bad-preface",
    "h2-not-http2",
    "tls-plaintext-mismatch",
    "h2-first-frame-not-settings",
)


def answered(first: bytes) -> Connection:
    return Capture().connect().client(PREFACE, settings()).server(first).fin(1).fin(0)


def fired(connection: Connection) -> set[str]:
    return {f.rule for f in connection.capture.diagnose().findings if f.severity != "info"}


def test_a_server_that_speaks_http1() -> None:
    connection = answered(HTTP1)
    (found,) = findings(connection, "h2-peer-speaks-http1")
    assert (found.details["http_status"], found.details["server"]) == (400, "nginx/1.22.1")
    assert found.certainty == "certain"
    assert fired(connection) == {"h2-peer-speaks-http1"}


@pytest.mark.parametrize(
    ("greeting", "protocol"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "an SSH server"),
        (b"220 mail ESMTP ready\r\n", "an SMTP or FTP server"),
        (b"J\x00\x00\x00\x0a8.0.35\x00\x08\x00\x00\x00abcdefgh\x00", "a MySQL or MariaDB server"),
        (b"-ERR unknown command 'PRI'\r\n", "a Redis server"),
        (b"\xff\xfe\xfd something odd", None),
    ],
)
def test_a_server_that_speaks_something_else(greeting: bytes, protocol: str | None) -> None:
    connection = answered(greeting)
    (found,) = findings(connection, "h2-not-http2")
    assert found.details["protocol"] == protocol
    assert fired(connection) == {"h2-not-http2"}


def test_a_banner_without_the_client_s_preface_is_nobody_s_fault() -> None:
    connection = Capture().connect().server(b"SSH-2.0-OpenSSH_9.2\r\n").client(b"SSH-2.0-PuTTY\r\n").close()
    assert not rules(connection)


def test_an_http1_request_to_an_http2_server() -> None:
    connection = (
        Capture().connect().server(settings((3, 100))).client(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").fin(1).fin(0)
    )
    (found,) = findings(connection, "h2-bad-preface")
    assert found.details["http1"] is True
    assert "GET /health HTTP/1.1" in found.title
    assert fired(connection) == {"h2-bad-preface"}


def test_an_offer_to_upgrade_is_no_fault() -> None:
    asks = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"
    connection = Capture().connect().server(settings((3, 100))).client(asks).fin(0).fin(1)
    assert not rules(connection)


def test_a_preface_with_wrong_bytes() -> None:
    connection = Capture().connect().server(settings()).client(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + settings())
    connection.server(goaway(0, 1)).fin(1).fin(0)
    (found,) = findings(connection, "h2-bad-preface")
    assert found.details["http1"] is False
    assert findings(connection, "goaway-error")[0].caused_by == found.id


def test_a_hole_behind_the_first_bytes_does_not_hide_a_wrong_preface() -> None:
    connection = Capture().connect().client(b"\xa5" * 100).server(settings())
    connection.seq[0] += 5000
    connection.client(b"\xa5" * 100).server(goaway(0, 1)).fin(1).fin(0)
    (found,) = findings(connection, "h2-bad-preface")
    assert found.certainty == "probable"


def test_a_hole_in_front_of_the_first_bytes_hides_a_wrong_preface() -> None:
    connection = Capture().connect()
    connection.seq[0] += 24
    connection.client(b"\xa5" * 100).server(settings()).fin(1).fin(0)
    assert not findings(connection, "h2-bad-preface")


def test_plaintext_to_a_tls_port() -> None:
    for answer in (TLS_ALERT, b"HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent to HTTPS port"):
        connection = answered(answer)
        (found,) = findings(connection, "tls-plaintext-mismatch")
        assert (found.details["tls"], found.details["plaintext"]) == ("server", "client")
        assert fired(connection) == {"tls-plaintext-mismatch"}


@pytest.mark.parametrize(("answer", "spoken"), [(settings((3, 100)), "HTTP/2"), (HTTP1, "HTTP/1")])
def test_tls_to_a_plaintext_port(answer: bytes, spoken: str) -> None:
    connection = Capture().connect().client(TLS_HELLO).server(answer).fin(1).fin(0)
    (found,) = findings(connection, "tls-plaintext-mismatch")
    assert (found.details["tls"], found.details["protocol"]) == ("client", spoken)


def test_tls_on_both_ends_is_no_mismatch() -> None:
    connection = Capture().connect().client(TLS_HELLO).server(bytes.fromhex("160303007a0200") + bytes(100)).close()
    assert not rules(connection)


def test_http2_on_both_ends_is_silent() -> None:
    connection = Capture().connect().hello().call().close()
    assert all(not findings(connection, rule) for rule in SPEAKS)


def test_http1_on_both_ends_is_no_business_of_ours() -> None:
    connection = Capture().connect().client(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").server(HTTP1).close()
    assert not rules(connection)


HTTP1_503 = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def spoken() -> Connection:
    return Capture().connect().hello().request()


@pytest.mark.parametrize("begun", [False, True])
def test_a_server_that_falls_back_to_http1(begun: bool) -> None:
    connection = spoken()
    if begun:
        connection.headers()
    connection.server(HTTP1_503).fin(1).fin(0)
    (found,) = findings(connection, "h2-peer-speaks-http1")
    assert (found.details["http_status"], found.details["status_line"]) == (503, "HTTP/1.1 503 Service Unavailable")
    assert (found.severity, found.certainty, found.who) == ("error", "certain", ["server", "proxy"])
    assert found.evidence[0].data.startswith(b"HTTP/1.1 503")
    assert found.stream == 1
    rest = [one for one in connection.capture.diagnose().findings if one.rule != "h2-peer-speaks-http1"]
    assert all(one.caused_by == found.id for one in rest)
    said = {row.client: row.text for row in found.client_sees}
    assert said["tonic"] == (BODY_ERROR if begun else HEAD_ERROR)
    assert said["grpc-go"].endswith("the frame header looked like an HTTP/1.1 header")


def test_what_comes_behind_http1_is_read_by_no_client() -> None:
    connection = spoken().headers().server(HTTP1_503).server(data(1, message(b"late"))).trailers().close()
    (found,) = findings(connection, "h2-peer-speaks-http1")
    assert found.details["open_streams"] == 1
    assert connection.capture.diagnose().calls.ok == 0


def test_a_client_that_would_take_so_long_a_frame_waits() -> None:
    connection = Capture().connect().hello(client=[(5, (1 << 24) - 1)]).request().server(HTTP1_503).fin(1).fin(0)
    (found,) = findings(connection, "h2-peer-speaks-http1")
    assert "waits for the rest" in found.explanation
    assert not found.client_sees


def test_http1_behind_a_hole_may_belong_to_anything() -> None:
    connection = spoken().headers()
    connection.seq[1] += 700
    connection.server(HTTP1_503).fin(1).fin(0)
    assert not findings(connection, "h2-peer-speaks-http1")


def test_http1_in_a_message_is_content() -> None:
    connection = spoken().headers().server(data(1, message(HTTP1_503))).trailers().close()
    assert not rules(connection)
