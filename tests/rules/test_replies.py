"""What proxies answer in gRPC in a server's place, and what each sentence asks for."""

from __future__ import annotations

import pytest
from captured import Capture, findings

from wirecase.rules.gateway_words import WORDS, known_words

CONNECT = "upstream connect error or disconnect/reset before headers. "
LOCAL = "grpc-local-reply"


def reply(message: str, code: str = "14", **fields: str) -> Capture:
    headers = {"content-type": "application/grpc", "grpc-status": code, "grpc-message": message}
    headers = {name: value for name, value in headers.items() if value} | fields
    connection = Capture().connect().hello().request()
    status = headers.pop("status", "200")
    return connection.trailers(1, ((":status", status), *headers.items())).close().capture


@pytest.mark.parametrize(
    ("message", "retry", "fix"),
    [
        (CONNECT + "reset reason: remote connection failure", "yes", "listens on that port"),
        (CONNECT + "reset reason: connection failure, transport failure reason: TLS_error", "yes", "transport_socket"),
        (CONNECT + "retried and the latest reset reason: connection timeout", "yes", "connect_timeout"),
        (CONNECT + "reset reason: connection termination", "unknown", "max_requests_per_connection"),
        (CONNECT + "reset reason: remote reset", "unknown", "reset the stream"),
        (CONNECT + "reset reason: remote refused stream reset", "yes", "refused-stream"),
        (CONNECT + "reset reason: overflow", "yes", "circuit_breakers"),
        (CONNECT + "reset reason: protocol error", "unknown", "http2_protocol_options"),
        ("upstream connect error or disconnect/reset before headers", "unknown", "response flags"),
        ("no healthy upstream", "yes", "outlier_detection"),
        ("upstream request timeout", "unknown", "grpc_timeout_header_max"),
        ("stream timeout", "unknown", "stream_idle_timeout"),
        ("upstream max stream duration reached", "unknown", "max_stream_duration"),
        ("RBAC: access denied", "yes", "AuthorizationPolicy"),
        ("Jwt is expired", "yes", "jwksUri"),
        ("local_rate_limited", "yes", "token_bucket"),
        ("fault filter abort", "yes", "fault"),
        ("logical service 10.0.0.1:80: route default.http: failed", "yes", "linkerd"),
    ],
)
def test_a_sentence_of_a_proxy(message: str, retry: str, fix: str) -> None:
    (found,) = findings(reply(message), LOCAL)
    assert (found.certainty, found.retry_safe) == ("probable", retry)
    assert fix in found.fix
    assert "No server answered" in found.explanation


@pytest.mark.parametrize(
    "message",
    [
        "the stream timeout was reached by the job",
        "user Jwt is missing",
        "no healthy upstreams were configured by you",
        "database overloaded",
        "backend said: no healthy upstream",
        "order 17 not found",
    ],
)
def test_an_application_s_words_are_its_own(message: str) -> None:
    capture = reply(message)
    assert not findings(capture, LOCAL)
    assert findings(capture, "grpc-app-status")


def test_a_balancer_s_502_with_a_grpc_status() -> None:
    (found,) = findings(reply("unavailable", status="502", server="awselb/2.0"), LOCAL)
    assert "AWS Application Load Balancer" in found.title
    assert ":status is 502" in found.explanation


def test_an_answer_that_may_be_envoy_s() -> None:
    def explained(**fields: str) -> str:
        (found,) = findings(reply("", "12", **fields), "grpc-app-status")
        return found.explanation

    assert "may be Envoy's own" in explained(server="envoy")
    assert "may be Envoy's own" not in explained(server="envoy", **{"x-envoy-upstream-service-time": "3"})
    assert "may be Envoy's own" not in explained()


def test_each_sentence_stands_before_those_that_it_is_part_of() -> None:
    assert len({words.pattern.pattern for words in WORDS}) == len(WORDS)
    for words in WORDS:
        assert words.meaning.endswith((".", ")."))
        assert words.fix
    assert known_words("hello") is None
    assert known_words("x" * 100_000) is None
