"""RST_STREAM: by whom, with which code, after how much of the answer."""

from __future__ import annotations

import pytest
from captured import Capture, findings, rules
from h2_bytes import END_STREAM, data, message, rst

RESETS = (
    "rst-midbody",
    "rst-before-headers",
    "rst-refused-stream",
    "rst-enhance-your-calm",
    "rst-flow-control",
    "rst-http11-required",
    "rst-protocol-error",
    "rst-cancel-by-client",
)


def begun() -> tuple:
    capture = Capture()
    connection = capture.connect().hello().request()
    return capture, connection


@pytest.mark.parametrize("code", [0, 2, 8])
def test_a_reset_in_the_middle_of_a_message_says_how_far_it_came(code: int) -> None:
    _, connection = begun()
    connection.headers().server(data(1, message(b"one") + message(b"x" * 100)[:50])).server(rst(1, code)).close()
    (found,) = findings(connection, "rst-midbody")
    assert found.severity == "error"
    assert found.details["error_code"] == code
    assert found.details["by"] == "server"
    assert (found.details["after_messages"], found.details["got"], found.details["declared"]) == (1, 45, 100)
    assert found.stream == 1
    assert found.evidence[0].data[3] == 3  # the RST_STREAM itself
    assert found.retry_safe == "no"
    assert found.fix


def test_a_reset_before_headers_is_another_rule() -> None:
    _, connection = begun()
    connection.server(rst(1, 2)).close()
    assert findings(connection, "rst-before-headers")
    assert not findings(connection, "rst-midbody")


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        (7, "rst-refused-stream"),
        (11, "rst-enhance-your-calm"),
        (3, "rst-flow-control"),
        (13, "rst-http11-required"),
        (1, "rst-protocol-error"),
    ],
)
def test_codes_with_a_meaning_of_their_own(code: int, rule: str) -> None:
    _, connection = begun()
    connection.server(rst(1, code)).close()
    (found,) = findings(connection, rule)
    assert found.details["error_code"] == code
    assert not findings(connection, "rst-before-headers")


def test_a_refused_stream_may_be_repeated() -> None:
    _, connection = begun()
    connection.server(rst(1, 7)).close()
    assert findings(connection, "rst-refused-stream")[0].retry_safe == "yes"


def test_a_benign_reset_behind_the_response_is_silent() -> None:
    _, connection = begun()
    connection.answer().server(rst(1, 0)).close()
    assert all(not findings(connection, rule) for rule in RESETS)


def test_a_client_that_cancels_is_information() -> None:
    _, connection = begun()
    connection.headers().client(rst(1, 8)).close()
    (found,) = findings(connection, "rst-cancel-by-client")
    assert found.severity == "info"
    assert not rules(connection)


def test_a_client_that_complains_is_a_warning() -> None:
    _, connection = begun()
    connection.answer().client(rst(1, 2)).close()
    (found,) = findings(connection, "rst-cancel-by-client")
    assert found.severity == "warning"
    assert "after the complete response" in found.title


def test_a_reset_behind_the_other_sides_fin_tells_nothing() -> None:
    _, connection = begun()
    connection.headers().server(data(1, message(b"one"))).fin(1).client(rst(1, 7)).fin(0)
    assert all(not findings(connection, rule) for rule in RESETS)
    assert findings(connection, "body-cut-connection")


def test_the_same_reset_on_many_streams_is_one_finding() -> None:
    capture = Capture()
    connection = capture.connect().hello()
    for stream in (1, 3, 5):
        connection.request(stream).headers(stream).server(rst(stream, 2))
    connection.request(7).headers(7).server(rst(7, 8)).close()
    two, one = sorted(findings(connection, "rst-midbody"), key=lambda f: -f.count)
    assert two.count == 3
    assert [place.stream for place in two.occurrences] == [1, 3, 5]
    assert one.details["error_code"] == 8


def test_a_healthy_call_is_silent() -> None:
    capture = Capture()
    connection = capture.connect().hello().call(1).call(3).close()
    assert not rules(connection)
    assert all(not findings(connection, rule) for rule in RESETS)


def test_end_stream_without_trailers_is_no_reset() -> None:
    _, connection = begun()
    connection.headers().server(data(1, message(b"one"), END_STREAM)).close()
    assert all(not findings(connection, rule) for rule in RESETS)
