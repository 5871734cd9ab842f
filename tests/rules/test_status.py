from __future__ import annotations

import base64

import pytest
from captured import Capture, findings, rules
from grpc_exchange import Exchange, message, serious
from h2_bytes import data

from wirecase.model import CLIENT, SERVER


def test_end_stream_on_data() -> None:
    found = Exchange().ask().answer(message(b"x"), end=True).matches()
    assert serious(found) == {"grpc-status-missing"}
    match = found["grpc-status-missing"][0]
    assert match.details["why"] == "data"
    codes = {(row.client, row.version): row.code for row in match.client_sees}
    assert codes[("tonic", "0.14.9")] == "UNKNOWN"
    assert codes[("tonic", "before 0.14.6")] == "OK"


def test_trailers_without_the_field() -> None:
    found = Exchange().ask().answer(message(b"x")).trailers(None).matches()
    assert found["grpc-status-missing"][0].details["why"] == "trailers"
    assert found["grpc-status-missing"][0].details["trailers"] == ["x-trace"]


def test_trailers_only_without_the_field() -> None:
    found = Exchange().ask().answer(end=True).matches()
    assert found["grpc-status-missing"][0].details["why"] == "trailers-only"


@pytest.mark.parametrize(("code", "fires"), [(0, True), (8, True), (2, False)])
def test_resets_that_a_client_takes_for_an_end(code: int, fires: bool) -> None:
    found = Exchange().ask().answer(message(b"x")).reset(SERVER, code).matches()
    assert ("grpc-status-missing" in found) == fires


def test_no_claim_behind_a_hole_nor_while_open() -> None:
    exchange = Exchange().ask().answer(message(b"x")).lose(SERVER, 40)
    assert "grpc-status-missing" not in exchange.data(SERVER, b"", end=True).matches()
    assert "grpc-status-missing" not in Exchange().ask().answer(message(b"x")).matches()


@pytest.mark.parametrize(("value", "severity"), [("OK", "error"), ("", "error"), ("99", "warning"), ("-1", "error")])
def test_malformed_status(value: str, severity: str) -> None:
    found = Exchange().ask().answer(message(b"x")).trailers(value).matches()
    assert serious(found) == {"grpc-status-malformed"}
    match = found["grpc-status-malformed"][0]
    assert match.severity == severity
    assert match.details["value"] == value


def test_a_leading_zero_is_legal() -> None:
    assert serious(Exchange().ask().answer(message(b"x")).trailers("00").matches()) == set()


def test_status_in_open_headers() -> None:
    found = Exchange().ask().answer(message(b"x"), grpc_status="0").trailers().matches()
    assert serious(found) == {"grpc-status-in-open-headers"}
    assert found["grpc-status-in-open-headers"][0].details["grpc_status"] == 0


def test_trailers_that_leave_the_stream_open() -> None:
    exchange = Exchange().ask().answer(message(b"x")).trailers("0", end=False)
    found = exchange.data(SERVER, b"", end=True).matches()
    assert "grpc-trailers-not-final" in serious(found)


def test_an_interim_response_is_no_second_headers() -> None:
    exchange = Exchange().ask().headers(SERVER, {":status": "103", "link": "</x>"})
    assert serious(exchange.answer(message(b"x")).trailers().matches()) == set()


@pytest.mark.parametrize(
    ("value", "bad"), [("aGVsbG8", False), ("aGVsbG8=", False), ("not base64!", True), ("\0raw", False)]
)
def test_binary_metadata(value: str, bad: bool) -> None:
    found = Exchange().ask().answer(message(b"x")).trailers("5", x_thing_bin=value).matches()
    assert ("grpc-metadata-bad-bin" in found) == bad


def test_local_reply_of_a_proxy() -> None:
    words = "upstream connect error or disconnect/reset before headers. reset reason: connection failure"
    found = Exchange().ask().answer(end=True, grpc_status="14", grpc_message=words).matches()
    assert serious(found) == {"grpc-local-reply"}
    match = found["grpc-local-reply"][0]
    assert match.details["proxy"] == "Envoy"
    assert match.retry_safe == "yes"
    assert "grpc-app-status" not in found


def test_an_application_status_is_a_note_with_its_details() -> None:
    kind = b"type.googleapis.com/google.rpc.ErrorInfo"
    inner = b"\x0a" + bytes((len(kind),)) + kind
    details = b"\x08\x05\x12\x04gone\x1a" + bytes((len(inner),)) + inner
    exchange = Exchange().ask().answer(message(b"x"))
    encoded = base64.b64encode(details).rstrip(b"=").decode()
    found = exchange.trailers("5", grpc_message="no%20such%20row %zz", grpc_status_details_bin=encoded).matches()
    assert set(found) == {"grpc-app-status"}
    match = found["grpc-app-status"][0]
    assert match.severity == "info"
    assert match.details["grpc_message"] == "no such row %zz"
    assert match.details["details_message"] == "gone"
    assert match.details["details_types"] == [kind.decode()]


def test_malformed_timeout_and_missing_te() -> None:
    found = Exchange().ask(grpc_timeout="soon").answer(message(b"x")).trailers().matches()
    assert serious(found) == {"grpc-timeout-malformed"}
    assert found["grpc-timeout-malformed"][0].details["value"] == "soon"
    found = Exchange().ask(te="").answer(message(b"x")).trailers().matches()
    assert found["grpc-missing-te"][0].severity == "info"


def test_deadline_by_reset_by_close_and_by_status() -> None:
    by_reset = Exchange().ask(grpc_timeout="500m").wait(500).reset(CLIENT, 8).matches()
    assert by_reset["grpc-deadline"][0].details["by"] == "client"
    by_close = Exchange().ask(grpc_timeout="500m").answer().wait(500).fin(CLIENT).matches()
    assert by_close["grpc-deadline"][0].details["how"] == "fin"
    by_server = Exchange().ask(grpc_timeout="500m").wait(500).answer(end=True, grpc_status="4").matches()
    assert by_server["grpc-deadline"][0].certainty == "certain"
    codes = {row.client: row.code for row in by_server["grpc-deadline"][0].client_sees}
    assert codes["grpclib"] == "TimeoutError", "its own clock runs out at the same time"
    passed_on = Exchange().ask(grpc_timeout="9S").answer(end=True, grpc_status="4").matches()
    assert passed_on["grpc-deadline"][0].certainty == "probable"
    codes = {row.client: row.code for row in passed_on["grpc-deadline"][0].client_sees}
    assert codes["grpclib"] == "DEADLINE_EXCEEDED"


def test_an_answer_behind_the_client_s_reset_is_late_and_no_answer() -> None:
    call = Exchange().ask(grpc_timeout="500m").answer(message(b"one")).wait(500).reset(CLIENT, 8)
    found = call.wait(1500).data(SERVER, message(b"two")).trailers().matches()
    (late,) = found["grpc-deadline"]
    assert late.details["after_messages"] == 1
    assert late.details["late_ms"] == pytest.approx(1500, abs=20)
    assert "late, not lost" in late.explanation


def test_an_early_cancel_is_no_deadline() -> None:
    assert "grpc-deadline" not in Exchange().ask(grpc_timeout="5S").wait(500).reset(CLIENT, 8).matches()
    assert "grpc-deadline" not in Exchange().ask().wait(500).reset(CLIENT, 8).matches()


def test_a_deadline_that_passes_unseen_is_a_note() -> None:
    found = Exchange().ask(grpc_timeout="500m").wait(3000).matches()
    assert "grpc-deadline" not in serious(found)


@pytest.mark.parametrize(("first", "last"), [("0", "13"), ("13", "0"), ("0", "0")])
def test_two_statuses_in_one_block(first: str, last: str) -> None:
    connection = Capture().connect().hello().request().headers().server(data(1, message(b"x")))
    connection.trailers(fields=(("grpc-status", first), ("grpc-status", last))).close()
    (found,) = findings(connection, "grpc-status-malformed")
    assert found.severity == ("warning" if first == last else "error")
    assert found.details["value"] == f"{first}, {last}"
    said = {row.client: row.code for row in found.client_sees}
    names = {"0": "OK", "13": "INTERNAL"}
    assert (said["tonic"], said["grpc-go"], said["grpc-js"]) == (names[first], names[last], "NaN")
    assert rules(connection) == {"grpc-status-malformed"}
    assert connection.capture.diagnose().calls.ok == 0
