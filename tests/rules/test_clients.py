from __future__ import annotations

import pytest

from wirecase.grpc.status import STATUS_NAMES
from wirecase.model import ClientSees
from wirecase.rules import clients
from wirecase.rules.clients.status import reason


def by_client(rows: list[ClientSees]) -> dict[str, ClientSees]:
    found: dict[str, ClientSees] = {}
    for row in rows:
        found.setdefault(row.client, row)
    return found


def test_flag_in_the_words_of_each_client() -> None:
    rows = by_client(clients.bad_flag(67, 1869508197, 57, on_data=True))
    assert rows["grpc-js"].text == "Received message larger than max (1869508197 vs 4194304)"
    assert rows["grpc-java"].text == "gRPC frame header malformed: reserved bits not zero"
    assert rows["connect-go"].text == (
        "protocol error: promised 1869508197 bytes in enveloped message, got 53 bytes: unexpected EOF"
    )


def test_a_flag_over_a_length_that_fits() -> None:
    rows = by_client(clients.bad_flag(2, 5, 9, status=0))
    assert rows["grpc-go"].text == "grpc: received unexpected payload format 2"
    assert rows["connect-go"].text == "protocol error: invalid envelope flags 2"
    assert rows["grpc-core (C++, Python)"].code == "OK"
    assert [by_client(clients.bad_flag(flag, 5, 9, status=0))["grpc-js"].code for flag in (2, 67)] == ["OK", "OK"]


@pytest.mark.parametrize(("messages", "told"), [(0, True), (1, False), (2, True)])
def test_a_unary_call_of_grpclib_reads_one_message(messages: int, told: bool) -> None:
    assert ("grpclib" in by_client(clients.bad_flag(60, 1752460652, 100, messages=messages))) == told


def test_who_has_no_decoder_does_not_get_as_far_as_broken_bytes() -> None:
    rows = by_client(clients.decompress_failed("zstd", offered=False))
    assert rows["grpc-core (C++, Python)"].text == "Error parsing 'grpc-encoding' metadata"
    assert "not installed" in rows["grpc-go"].text
    rows = by_client(clients.decompress_failed("gzip", offered=False))
    assert rows["grpc-core (C++, Python)"].text == "Decompression failed due to zlib error"
    assert "not installed" in rows["grpc-go"].text
    assert "decompressed data" in by_client(clients.decompress_failed("gzip"))["grpc-go"].text


def test_an_error_page_in_the_words_of_each_client() -> None:
    rows = by_client(clients.http_error(502, "text/html", b"<html>", 150))
    assert "invalid compression flag: 60" in rows["tonic"].text
    assert rows["tonic"].text.endswith("with status: 502 Bad Gateway")
    assert rows["grpc-go"].text.startswith(
        "unexpected HTTP status code received from server: 502 (Bad Gateway); "
        'transport: received unexpected content-type "text/html"'
    )
    assert {rows[name].code for name in ("grpc-go", "grpc-js", "grpc-java")} == {"UNAVAILABLE"}


def test_a_page_that_calls_itself_grpc_is_read_as_grpc_by_grpc_go() -> None:
    assert "grpc-go" not in by_client(clients.http_error(400, "application/grpc", b"Conn", 57))


@pytest.mark.parametrize(
    ("code", "tonic", "go"),
    [(0, "UNKNOWN", "INTERNAL"), (2, "INTERNAL", "INTERNAL"), (3, "INTERNAL", "RESOURCE_EXHAUSTED"),
     (7, "UNAVAILABLE", "UNAVAILABLE"), (8, "CANCELLED", "CANCELLED"),
     (11, "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED")],
)  # fmt: skip
def test_resets_in_the_body(code: int, tonic: str, go: str) -> None:
    rows = by_client(clients.rst_midbody(code))
    assert (rows["tonic"].code, rows["grpc-go"].code) == (tonic, go)


ROWS = [
    *clients.bad_flag(60, 1752460652, 100), *clients.bad_flag(60, None, 2), *clients.body_cut(),
    *clients.body_cut("rst", headers=False), *clients.bomb(), *clients.closed_before_settings(),
    *clients.connect_timeout("10.0.0.1:1"), *clients.deadline(), *clients.decompress_failed("gzip"),
    *clients.encoding_unsupported("snappy"), *clients.first_frame_not_settings("PING"),
    *clients.flag_without_encoding(), *clients.goaway_error(2, "oops"), *clients.goaway_race(0, ""),
    *clients.header_list_too_large(), *clients.http_error(200 + 299, None), *clients.keepalive(),
    *clients.malformed_bin("grpc-status-details-bin"), *clients.malformed_status("x"), *clients.malformed_timeout(""),
    *clients.message_too_large(5, 4), *clients.missing_http_status("text/html"), *clients.missing_status("data"),
    *clients.missing_status("trailers"), *clients.no_message(), *clients.peer_speaks_http1(400),
    *clients.refused("10.0.0.1:1"), *clients.rst_before_headers(99), *clients.rst_midbody(99), *clients.stalled(),
    *clients.status_in_open_headers(None), *clients.too_many_pings(), *clients.trailers_not_final(),
    *clients.truncated(None, 0, None), *clients.truncated(9, 1, 0),
    *clients.wrong_content_type("text/html", b"<html>", 9),
    *clients.wrong_content_type(None),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_every_row_names_a_client_a_version_and_a_code(row: ClientSees) -> None:
    assert row.client
    assert row.version
    special = (  # what a client raises or prints where it makes no status of the fault
        "StreamTerminatedError",
        "NotImplementedError",
        "AssertionError",
        "TimeoutError",
        "panic",
        "undefined",
        "NaN",
        "none",
    )
    assert row.code in STATUS_NAMES or row.code in special or row.code.startswith("Code(")
    assert "None" not in row.text


def test_an_encoding_is_foreign_only_to_clients_that_lack_it() -> None:
    gzip, snappy = by_client(clients.encoding_unsupported("gzip")), by_client(clients.encoding_unsupported("snappy"))
    assert {"grpc-js", "grpc-dotnet", "connect-go"} <= snappy.keys() - gzip.keys()
    assert "isn't supported" in gzip["tonic"].text


def test_grpc_go_goes_by_the_content_type_whatever_the_http_status() -> None:
    rows = by_client(clients.bad_flag(67, 1869508197, 57, http_status=400))
    assert rows["grpc-go"].text == "grpc: received message larger than max (1869508197 vs. 4194304)"
    assert rows.keys() == {"tonic", "grpc-go"}


def test_reason_phrases_do_not_depend_on_the_version_of_python() -> None:
    rows = by_client(clients.http_error(413, "text/html", b"<html>", 150))
    assert rows["tonic"].text.endswith("413 Payload Too Large")
    assert "413 (Request Entity Too Large)" in rows["grpc-go"].text
    assert reason(413) == "Content Too Large"
