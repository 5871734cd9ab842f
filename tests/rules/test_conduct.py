"""Clients that are content with broken bytes, and clients that fail on legal ones."""

from __future__ import annotations

import pytest
from captured import Capture, Connection, findings, rules
from h2_bytes import DATA, END_STREAM, HEADERS, PADDED, data, frame, goaway, message, padded, rst

REJECTS, ACCEPTS = "client-rejects-legal-frame", "client-accepts-broken-bytes"
GREASE = frame(0xFA, 0, 0, b"grease")


def begun() -> Connection:
    return Capture().connect().hello().request()


def test_a_status_of_ok_over_a_broken_body() -> None:
    for broken in (message(b"x", 67), message(b"x" * 50)[:20]):
        (found,) = findings(begun().headers().server(data(1, broken)).trailers().close(), ACCEPTS)
        assert (found.severity, found.certainty, found.who) == ("info", "possible", ["client"])
        assert found.caused_by is not None


@pytest.mark.parametrize(
    ("agent", "broken", "certainty"),
    [
        ("grpc-python/1.85.1 grpc-c/58.0.0 (linux; chttp2)", message(b"x", 67), "probable"),
        ("grpc-python/1.85.1 grpc-c/58.0.0 (linux; chttp2)", b"Connection reset", "probable"),
        ("grpc-python/1.85.1 grpc-c/58.0.0 (linux; chttp2)", message(b"x" * 50)[:20], "probable"),
        ("grpc-c/58.0.0", message(b"ok") + message(b"x", 67), "possible"),
        ("grpc-c/58.0.0", b"\0\xff\0\0\0cut short", None),
        ("app/1 grpc-node-js/1.14.7", message(b"ok") + message(b"x" * 50)[:20], "probable"),
        ("grpc-node-js/1.14.7", message(b"x" * 50)[:20], "possible"),
        ("grpc-node-js/1.14.7", message(b"x", 67), "probable"),
        ("grpc-node-js/1.14.7", message(b"x" * 50, 67)[:20], "possible"),
        ("grpc-node-js/1.14.7", b"Connection reset", None),
        ("grpc-go/1.60.0", message(b"x" * 50)[:20], None),
        ("tonic/0.14.6", message(b"x", 67), None),
        ("tonic/0.14.9", message(b"ok") + message(b"x" * 50)[:20], "probable"),
        ("curl/8", message(b"x", 67), "possible"),
    ],
)
def test_what_a_library_is_known_for(agent: str, broken: bytes, certainty: str | None) -> None:
    connection = Capture().connect().hello().request(extra=(("user-agent", agent),))
    connection.headers().server(data(1, broken)).trailers().close()
    found = findings(connection, ACCEPTS)
    assert [one.certainty for one in found] == ([certainty] if certainty else [])
    headline = connection.capture.diagnose().verdict.headline
    assert headline.startswith("The wire was broken and the client was most likely content") == (
        certainty == "probable"
    )


def test_a_client_that_complains_has_not_accepted() -> None:
    connection = begun().headers().server(data(1, message(b"x", 67))).trailers().client(rst(1, 2)).close()
    assert not findings(connection, ACCEPTS)


def test_a_status_other_than_ok_accepts_nothing() -> None:
    connection = begun().headers().server(data(1, message(b"x", 67))).trailers(1, (("grpc-status", "13"),)).close()
    assert not findings(connection, ACCEPTS)


def test_a_client_that_fails_on_padding() -> None:
    connection = (
        begun().headers().server(frame(DATA, PADDED, 1, padded(message(b"x"), 9))).trailers().client(rst(1, 1)).close()
    )
    (found,) = findings(connection, REJECTS)
    assert (found.severity, found.certainty, found.who) == ("error", "probable", ["client"])
    assert "PADDED" in found.title
    (reset,) = findings(connection, "rst-protocol-error")
    assert reset.caused_by == found.id


def test_a_client_that_fails_on_103() -> None:
    connection = begun().headers(1, ((":status", "103"), ("link", "</x>"))).client(rst(1, 1)).close()
    assert "103" in findings(connection, REJECTS)[0].title


def test_a_client_that_carries_on_is_silent() -> None:
    connection = begun().server(GREASE).headers(1, ((":status", "103"),)).headers()
    connection.server(frame(DATA, PADDED, 1, padded(message(b"x"), 9))).trailers().call(3).close()
    assert not rules(connection)
    assert not findings(connection, REJECTS)


def test_a_client_that_has_a_reason_is_not_blamed() -> None:
    connection = begun().server(GREASE).headers().server(data(1, message(b"x", 67))).client(rst(1, 1)).close()
    assert not findings(connection, REJECTS)
    breach = begun().server(GREASE).server(data(101, b"x")).headers().client(rst(1, 1)).close()
    assert not findings(breach, REJECTS)


def test_a_connection_torn_down_over_unknown_frames() -> None:
    (found,) = findings(begun().answer().server(GREASE).client(goaway(0, 1)).close(), REJECTS)
    assert found.details["error_code"] == 1
    connection = begun().answer().server(GREASE)
    connection.rst(0)
    assert findings(connection, REJECTS)[0].certainty == "possible"


def test_an_orderly_end_after_unknown_frames_is_silent() -> None:
    assert not findings(begun().answer().server(GREASE).close(), REJECTS)


def test_a_reset_without_anything_unusual_is_not_blamed_on_legal_frames() -> None:
    connection = begun().headers().server(frame(HEADERS, 4 | END_STREAM, 1, b"")).client(rst(1, 1)).close()
    assert not findings(connection, REJECTS)


def test_103_that_ends_the_stream_is_not_legal() -> None:
    interim = ((":status", "103"), ("link", "</x>"))
    connection = begun().headers(1, interim, END_STREAM).client(rst(1, 1)).close()
    assert not findings(connection, REJECTS)
    assert findings(connection, "http-1xx-end-stream")
