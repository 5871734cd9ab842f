from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecase.explaining.matching import codes_of, read
from wirecase.explaining.shape import normal
from wirecase.explaining.templates import shape_of, shapes
from wirecase.model import ClientSees
from wirecase.pipeline import Options, diagnose
from wirecase.rules import clients
from wirecase.rules.clients.streams import BODY_ERROR
from wirecase.rules.clients.table import GO, TONIC, says


def rules(text: str) -> list[str]:
    return [guess.rule for guess in read(text).guesses]


def said(row: ClientSees) -> str:
    return f"{row.code}: {row.text}" if row.code.isupper() else row.text


ROWS = [
    ("grpc-invalid-compression-flag", clients.bad_flag(67, 5, 20)),
    ("http-error-with-body", clients.http_error(502, "text/html", b"<html>", 150)),
    ("http-error-with-body", clients.http_error(413, "text/html", b"<html>", 150)),
    ("http-error-empty", clients.http_error(400, None)),
    ("http-200-wrong-content-type", clients.wrong_content_type("text/html", b"<html>", 9)),
    ("grpc-message-too-large", clients.message_too_large(5_000_000, 4_194_304)),
    ("grpc-encoding-unsupported", clients.encoding_unsupported("snappy")),
    ("grpc-flag-without-encoding", clients.flag_without_encoding()),
    ("grpc-decompress-failed", clients.decompress_failed("gzip", cut=True)),
    ("grpc-status-missing", clients.missing_status("data")),
    ("grpc-status-missing", clients.missing_status("trailers")),
    ("grpc-status-malformed", clients.malformed_status("two")),
    ("grpc-timeout-malformed", clients.malformed_timeout("so soon")),
    ("rst-midbody", clients.rst_midbody(2)),
    ("rst-refused-stream", clients.rst_before_headers(7)),
    ("rst-enhance-your-calm", clients.rst_midbody(11)),
    ("goaway-error", clients.goaway_error(2, "the worker crashed")),
    ("goaway-race", clients.goaway_race(0, "")),
    ("goaway-too-many-pings", clients.too_many_pings()),
    ("tcp-refused", clients.refused("10.0.0.1:50051")),
    ("tcp-connect-timeout", clients.connect_timeout("10.0.0.1:50051")),
    ("keepalive-unanswered", clients.keepalive()),
    ("body-cut-connection", clients.body_cut()),
    ("body-cut-connection", clients.body_cut("rst")),
    ("h2-peer-speaks-http1", clients.peer_speaks_http1(400)),
    ("tls-plaintext-mismatch", clients.tls_to_plaintext()),
    ("tls-no-alpn-h2", clients.no_alpn()),
    ("tls-alert", clients.alert_from_server(48, "unknown_ca", complete=False)),
    ("h2-header-list-too-large", clients.header_list_too_large()),
    ("grpc-trailers-not-final", clients.trailers_not_final()),
    ("grpc-deadline", clients.deadline()),
]


@pytest.mark.parametrize(("rule", "row"), [(rule, row) for rule, rows in ROWS for row in rows if shape_of(row, ())])
def test_the_words_of_a_rule_lead_back_to_it(rule: str, row: ClientSees) -> None:
    assert rule in rules(said(row))


@pytest.mark.parametrize(
    "name", ["http-error-with-body", "rst-midbody", "goaway-race", "grpc-local-reply", "flag67-grpc-go"]
)
def test_findings_of_real_captures_lead_back_to_their_rules(name: str, request: pytest.FixtureRequest) -> None:
    found = diagnose(Options([str(request.config.rootpath / "fixtures" / name / "capture.pcapng")]))
    rows = [(one.rule, row) for one in found.findings for row in one.client_sees if shape_of(row, ())]
    for rule, row in rows:
        assert rule in rules(said(row)), (rule, row)


def test_the_status_code_tells_a_reset_from_a_cut() -> None:
    assert rules(f'Status {{ code: Internal, message: "{BODY_ERROR}" }}')[0] == "rst-midbody"
    assert rules(f'Status {{ code: Unknown, message: "{BODY_ERROR}" }}')[0] == "body-cut-connection"


def test_a_page_behind_a_bad_gateway_is_the_cause_of_the_flag() -> None:
    row = clients.bad_flag(60, 1_752_460_652, 150, http_status=502, content_type="text/html")[0]
    assert rules(row.text)[:2] == ["http-error-with-body", "grpc-invalid-compression-flag"]
    row = clients.bad_flag(67, 1_869_508_197, 57)[0]
    assert rules(row.text)[0] == "grpc-invalid-compression-flag"


def test_grpc_web_is_named_by_its_content_type() -> None:
    assert rules("HTTP status code 200\ninvalid content-type: application/grpc-web+proto")[0] == "grpc-web-on-grpc"


def test_words_that_stand_for_several_rules_make_none_certain() -> None:
    guesses = read("Socket closed").guesses
    assert len(guesses) > 1
    assert all(guess.certainty != "certain" for guess in guesses)


def test_unchecked_words_are_never_certain() -> None:
    row = says(GO, 14, "a sentence that nobody has read in a source", checked=False)
    shape = shape_of(row, (("tcp-refused", "certain"),))
    assert shape is not None
    assert not shape.checked


def test_a_longer_text_wins_over_one_inside_it() -> None:
    text = 'desc = "error reading from server: EOF", received prior goaway: code: NO_ERROR, debug data: "max_age"'
    assert rules(f"closing transport due to: connection error: {text}")[0] == "goaway-max-age"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("Status { code: Unavailable, message: x }", {"UNAVAILABLE"}),
        ("status: Unknown, message: x", {"UNKNOWN"}),
        ("rpc error: code = DeadlineExceeded desc = x", {"DEADLINE_EXCEEDED"}),
        ("status = StatusCode.RESOURCE_EXHAUSTED", {"RESOURCE_EXHAUSTED"}),
        ('Status(StatusCode="PermissionDenied", Detail="x")', {"PERMISSION_DENIED"}),
        ("io.grpc.StatusRuntimeException: INTERNAL: x", {"INTERNAL"}),
        ("Error: 13 INTERNAL: x", {"INTERNAL"}),
        ("the internal network is unavailable to us", set()),
    ],
)
def test_status_codes_in_the_forms_of_the_clients(text: str, codes: set[str]) -> None:
    assert codes_of(normal(text)) == codes


def test_json_and_rust_quoting_hides_nothing() -> None:
    plain = 'received unexpected content-type "text/html"'
    text = f"unexpected HTTP status code received from server: 502 (Bad Gateway); transport: {plain}"
    assert rules(text)[0] == rules(text.replace('"', '\\"'))[0] == rules(text.replace('"', '\\\\\\"'))[0]


@given(st.text(max_size=400))
def test_any_text_is_read(text: str) -> None:
    read(text)


@given(st.sampled_from(shapes()), st.text(max_size=40), st.text(max_size=40))
def test_any_text_around_words_is_read(shape: object, before: str, after: str) -> None:
    read(f"{before} {shape.text} {after}")  # type: ignore[attr-defined]


def test_tonic_says_what_its_table_says() -> None:
    assert {shape.client for shape in shapes()} >= {
        TONIC.name,
        GO.name,
        "grpc-java",
        "grpc-js",
        "grpc-dotnet",
        "grpclib",
    }
