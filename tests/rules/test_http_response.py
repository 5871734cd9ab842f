from __future__ import annotations

import pytest
from grpc_exchange import Exchange, message, serious

from wirecase.model import SERVER

PAGE = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    b"<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
)
FLAG = "grpc-invalid-compression-flag"


def test_an_error_page_and_the_flag_that_it_is_logged_as() -> None:
    exchange = Exchange().ask()
    found = exchange.answer(PAGE, status="502", content_type="text/html", server="nginx/1.22.1", end=True).matches()
    assert serious(found) == {"http-error-with-body", FLAG}
    match = found["http-error-with-body"][0]
    assert match.details["http_status"] == 502
    assert match.details["maps_to"] == "UNAVAILABLE"
    assert match.details["flag"] == 60
    assert match.details["text"] == PAGE.decode()
    assert match.details["proxy"] == "nginx"
    assert match.who == ["proxy"]
    assert "nginx" in match.title
    assert "502 Bad Gateway" in next(row.text for row in match.client_sees if row.client == "tonic")
    assert found[FLAG][0].details["http_status"] == 502


def test_the_flag_101_of_an_edge() -> None:
    found = Exchange().ask().answer(b"error code: 502", status="502", content_type="text/plain", end=True).matches()
    assert found[FLAG][0].details["flag"] == 101
    assert found["http-error-with-body"][0].details["proxy"] == "Cloudflare"


def test_a_short_body_is_no_flag_to_tonic() -> None:
    found = Exchange().ask().answer(b"bad", status="400", content_type="text/plain", end=True).matches()
    texts = [row.text for row in found["http-error-with-body"][0].client_sees if row.client == "tonic"]
    assert texts == ["Unexpected EOF decoding stream."]


@pytest.mark.parametrize(
    ("status", "code"), [("400", "INTERNAL"), ("401", "UNAUTHENTICATED"), ("404", "UNIMPLEMENTED"), ("418", "UNKNOWN")]
)
def test_an_error_without_a_body(status: str, code: str) -> None:
    found = Exchange().ask().answer(status=status, content_type="", end=True).matches()
    assert serious(found) == {"http-error-empty"}
    match = found["http-error-empty"][0]
    assert match.details["maps_to"] == code
    tonic = next(row for row in match.client_sees if row.client == "tonic")
    assert (tonic.code, tonic.text) == (code, f"grpc-status header missing, mapped from HTTP status code {status}")


def test_an_http_error_with_a_grpc_status_is_grpc() -> None:
    found = Exchange().ask().answer(status="503", end=True, grpc_status="14").matches()
    assert "http-error-empty" not in found
    assert "grpc-app-status" not in found  # a gRPC server says 200
    assert "503" in found["grpc-local-reply"][0].explanation


def test_rate_limits_may_be_retried_and_forbidden_calls_not() -> None:
    limited = Exchange().ask().answer(b"slow down", status="429", content_type="text/plain", end=True).matches()
    assert limited["http-error-with-body"][0].retry_safe == "yes"
    forbidden = Exchange().ask().answer(b"forbidden", status="403", content_type="text/plain", end=True).matches()
    assert forbidden["http-error-with-body"][0].retry_safe == "no"
    unsent = (
        Exchange().ask().answer(b"no healthy upstream", status="503", content_type="text/plain", end=True).matches()
    )
    assert unsent["http-error-with-body"][0].retry_safe == "yes"


def test_a_success_that_is_no_grpc() -> None:
    body = b"<!doctype html><title>Sign in</title>"
    found = Exchange().ask().answer(body, content_type="text/html", end=True).matches()
    assert serious(found) == {"http-200-wrong-content-type", FLAG}
    assert '"Sign in"' in found["http-200-wrong-content-type"][0].title


@pytest.mark.parametrize("content_type", ["application/grpc", "application/grpc+proto", "application/grpc;charset=x"])
def test_content_types_that_are_grpc(content_type: str) -> None:
    assert serious(Exchange().ask().answer(message(b"x"), content_type=content_type).trailers().matches()) == set()


def test_missing_status_and_interim_response_that_ends_the_stream() -> None:
    found = Exchange().ask().answer(message(b"x"), status="").trailers().matches()
    assert "http-missing-status" in serious(found)
    found = Exchange().ask().headers(SERVER, {":status": "103"}, end=True).matches()
    assert "http-1xx-end-stream" in serious(found)


def test_ordinary_web_traffic_is_left_alone() -> None:
    exchange = Exchange().ask(b"{}", content_type="application/json")
    assert exchange.answer(b"not here", status="404", content_type="text/plain", end=True).matches() == {}
