"""The answers that connectrpc/conformance gives to clients: broken ones get their rule, well-formed ones none."""

from __future__ import annotations

import pytest
from sessions import CASES, diagnosis

from wirecase.grpc.status import STATUS_NAMES
from wirecase.model import Diagnosis

CARDINALITY = "one message is due in a unary or client-streaming answer; only a schema tells the method's kind"
EMPTY_ERROR = "an HTTP error without a body stands where a gRPC response is due"
TWO_STATUSES = "grpc-status stands in headers that leave the stream open; what counts is in the trailers, if any"

# case -> rules that name the fault (the first is the root cause) without the schema, with it, and why
FAULTS: dict[str, tuple[set[str], str, str]] = {
    "client_http_to_rpc_code/bad-request": ({"http-error-empty"}, "http-error-empty", EMPTY_ERROR),
    "client_http_to_rpc_code/unauthorized": ({"http-error-empty"}, "http-error-empty", EMPTY_ERROR),
    "client_http_to_rpc_code/forbidden": ({"http-error-empty"}, "http-error-empty", EMPTY_ERROR),
    "client_http_to_rpc_code/not-found": ({"http-error-empty"}, "http-error-empty", EMPTY_ERROR),
    "client_http_to_rpc_code/conflict": ({"http-error-empty"}, "http-error-empty", EMPTY_ERROR),
    "client_http_to_rpc_code/precondition-failed": ({"http-error-empty"}, "http-error-empty", EMPTY_ERROR),
    "client_http_to_rpc_code/payload-too-large": ({"http-error-empty"}, "http-error-empty", EMPTY_ERROR),
    "client_http_to_rpc_code/unsupported-media-type": ({"http-error-empty"}, "http-error-empty", EMPTY_ERROR),
    "client_http_to_rpc_code/too-many-requests": ({"http-error-empty"}, "http-error-empty", EMPTY_ERROR),
    "client_http_to_rpc_code/request-header-fields-too-large": (
        {"http-error-empty"}, "http-error-empty", EMPTY_ERROR,
    ),
    "client_http_to_rpc_code/bad-gateway": ({"http-error-empty"}, "http-error-empty", EMPTY_ERROR),
    "client_http_to_rpc_code/service-unavailable": ({"http-error-empty"}, "http-error-empty", EMPTY_ERROR),
    "client_http_to_rpc_code/gateway-timeout": ({"http-error-empty"}, "http-error-empty", EMPTY_ERROR),
    "client_http_to_rpc_code/http-version-not-supported": ({"http-error-empty"}, "http-error-empty", EMPTY_ERROR),
    "client_unexpected/unmapped-http-status-code": ({"http-error-empty"}, "http-error-empty", EMPTY_ERROR),
    "client_unexpected/nonexistent-http-status-code": ({"http-error-empty"}, "http-error-empty", EMPTY_ERROR),
    "grpc_client_unexpected/missing-status": (
        {"grpc-status-missing"}, "grpc-status-missing", "the trailers hold a grpc-message and no grpc-status",
    ),
    "grpc_client_unexpected/unary/ok-but-no-response": (set(), "grpc-cardinality", CARDINALITY),
    "grpc_client_unexpected/unary/multiple-responses": (set(), "grpc-cardinality", CARDINALITY),
    "grpc_client_unexpected/client-stream/ok-but-no-response": (set(), "grpc-cardinality", CARDINALITY),
    "grpc_client_unexpected/client-stream/multiple-responses": (set(), "grpc-cardinality", CARDINALITY),
    "grpc_client_unexpected/trailers-only/ignore-header-if-body-present": (
        {"grpc-status-in-open-headers"}, "grpc-status-in-open-headers", TWO_STATUSES,
    ),
    "grpc_client_unexpected/trailers-only/ignore-header-if-trailer-present": (
        {"grpc-status-in-open-headers"}, "grpc-status-in-open-headers", TWO_STATUSES,
    ),
    "grpc_client_unexpected/unexpected-content-type": (
        {"http-200-wrong-content-type"}, "http-200-wrong-content-type", "image/jpeg is no gRPC response",
    ),
    "grpc_client_unexpected/unexpected-codec": (
        set(), "grpc-payload-undecodable", "JSON where protobuf was asked for, framed well: only the schema can tell",
    ),
    "grpc_client_unexpected/unexpected-compression": (
        {"grpc-encoding-unsupported"}, "grpc-encoding-unsupported", "the client offered gzip, the answer is in foo",
    ),
    "grpc_client_unexpected/unexpected-compressed-message": (
        {"grpc-flag-without-encoding"}, "grpc-flag-without-encoding", "flag 1, and the encoding is identity",
    ),
}  # fmt: skip
GRPC = [name for name in CASES if not name.startswith("grpc_web")]
WELL_FORMED = [
    "grpc_client_empty/unary/empty-response",
    "grpc_client_empty/client-stream/empty-response",
    "grpc_client_empty/server-stream/empty-response",
    "grpc_client_empty/bidi-stream/half-duplex/empty-response",
    "grpc_client_proto_subformat/with-proto-sub-format",
    "grpc_client_proto_subformat/without-proto-sub-format",
    "grpc_client_trailers/trailers-at-end/expected",
    "grpc_client_trailers/trailers-at-end/duplicate-metadata",
    "grpc_client_trailers/trailers-only/expected",
    "grpc_client_trailers/trailers-only/duplicate-metadata",
]


def accused(found: Diagnosis) -> set[str]:
    """The rules that fired as error or warning."""
    assert not [one.explanation for one in found.findings if "defect" in one.details]
    return {one.rule for one in found.findings if one.severity != "info"}


def test_every_case_is_in_the_table() -> None:
    assert sorted([*FAULTS, *WELL_FORMED]) == sorted(GRPC)
    assert len(FAULTS) == 27
    assert len([name for name in CASES if name not in GRPC]) == 30


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_gets_its_rule(name: str) -> None:
    bare, known, why = FAULTS[name]
    assert accused(diagnosis(name, known=False)) == bare, why
    found = diagnosis(name, known=True)
    assert known in accused(found) and accused(found) <= {known, *bare}, why


@pytest.mark.parametrize("name", WELL_FORMED)
@pytest.mark.parametrize("known", [False, True])
def test_a_well_formed_answer_accuses_nobody(name: str, known: bool) -> None:
    found = diagnosis(name, known=known)
    assert accused(found) == set()
    assert found.calls.total == 1


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("grpc_web")])
def test_grpc_web_is_another_protocol_and_accuses_nobody(name: str) -> None:
    """Its status stands in the body, behind flag 128, which in gRPC would be a fault: nothing is judged by gRPC."""
    assert accused(diagnosis(name, known=True)) == set()


@pytest.mark.parametrize("name", FAULTS)
def test_what_connect_go_is_said_to_see_is_allowed_by_the_suite(name: str) -> None:
    """connect-go passes the suites, so the codes in its rows are among those that the case allows."""
    codes = CASES[name]["allowed_codes"]
    allowed = {STATUS_NAMES[code] if isinstance(code, int) else code.removeprefix("CODE_") for code in codes}
    rows = [
        row for one in diagnosis(name, known=True).findings for row in one.client_sees if row.client == "connect-go"
    ]
    assert {row.code for row in rows} <= allowed
