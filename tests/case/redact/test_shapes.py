"""Secrets told by their shape, and what must not be taken for one."""

from __future__ import annotations

import base64
import random
import string

import pytest
from hypothesis import given, settings
from planted import BY_SHAPE, PEM

from wirecase.case.redact import find_shapes
from wirecase.case.redact.fill import opaque

KNOWN = {
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "aws-key": "AKIAIOSFODNN7EXAMPLE",
    "gcp-key": "AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY",
    "gcp-token": "ya29.a0AfH6SMBx1234567890abcdefghij",
    "github-token": "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "gitlab-token": "glpat-ABCdef123456789012_-",
    "slack-token": "xoxb-123456789012-abcdefGHIJKL",
    "stripe-key": "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "openai-key": "sk-proj-abcdefghij0123456789ABCD",
    "npm-token": "npm_abcdefghijklmnopqrstuvwxyz0123456789",
    "sendgrid-key": "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",
    "vault-token": "hvs.CAESIJ0123456789abcdefghij",
    "random": "q8Zr2Lw0Xc7Vb5Nm1Kj9Hg3F",
}


@pytest.mark.parametrize(("kind", "secret"), KNOWN.items())
def test_known_tokens(kind: str, secret: str) -> None:
    for text in ("{}", "error ({}) here", '"{}"', "Bearer {}", "a={}&b", "token: {},", "%20{}%20", "\n{}\n"):
        data = text.format(secret).encode()
        shapes = find_shapes(data)
        assert shapes, text
        masked = bytearray(data)
        for shape in shapes:
            masked[shape.start : shape.stop] = opaque(data[shape.start : shape.stop])
        assert secret.encode() not in masked and not find_shapes(bytes(masked))
    assert find_shapes(secret.encode())[0].kind == kind


@pytest.mark.parametrize(
    "text",
    [
        "password=hunter2", "PASSWORD: p4ss!word", '"api_key": "a1b2c3"', "pwd=abcd;",
        "?sig=a%2Fb12",
        "client_secret='zz99'",
        "AccountKey=abcd1234==;", "Authorization: Basic dXNlcjpwYXNz", "authorization=Bearer%20abc.def-9",
        "token%3Dabcd9",
        "postgres://ann:s3cr@db/x", "x-amz-credential=abc/def",
        "https://hooks.slack.com/services/T00000000/B00000000/XXabXXcd",
    ],
)  # fmt: skip
def test_secrets_beside_their_name(text: str) -> None:
    assert len(find_shapes(text.encode())) == 1


@pytest.mark.parametrize(
    "text",
    [
        "StatusRuntimeExceptionHandlerFactoryBeanV2", "io.grpc.internal.ManagedChannelImpl$RealChannel",
        "/arrow.flight.protocol.FlightService/DoExchange", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "7f3a1b2c-9d4e-4f60-8a1b-2c3d4e5f6071", "invalid token: expired", "token: 42", "Bearer realm=x",
        "bearer authentication",
        "upstream_reset_before_response_started", "d41d8cd98f00b204e9800998ecf8427e", "x" * 64,
        "aaaa-bbbb-cccc-dddd-eeee-ffff-1111",
        "2024-01-02T03:04:05.678901234Z", "/usr/local/lib/python3.11/site-packages/grpc/_channel.py",
        "eyJ", "eyJ" * 30,
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko)",
        "-----BEGIN PRIVATE KEY-----",
        "application/grpc-web-text+proto;charset=utf-8", "0123456789012345678901234567890123456789"[:36],
        "StreamingRecognizeLongRunningV2beta1", "password=xxxxxxx", "max-connection-idle-timeout-seconds",
        "h2-first-frame-not-settings", "h2-hpack-decode-error", "TOO_MANY_PINGS_IN_A_ROW_42",
    ],
)  # fmt: skip
def test_what_is_no_secret(text: str) -> None:
    assert find_shapes(text.encode()) == []


@settings(max_examples=200, deadline=None)
@given(BY_SHAPE)
def test_all_of_what_is_planted_is_found(secret: str) -> None:
    data = f"no such thing as {secret}, sorry".encode()
    covered = set[int]()
    for shape in find_shapes(data):
        covered.update(range(shape.start, shape.stop))
    assert covered >= set(range(17, 17 + len(secret)))


@given(PEM)
def test_pem_in_text_and_in_json(pem: str) -> None:
    for text in (
        pem,
        pem.replace("\n", "\\n"),
        pem.replace("-----\n", "-----\nProc-Type: 4,ENCRYPTED\n\n", 1),
        pem[:-30],
    ):
        shapes = find_shapes(text.encode())
        body = pem.split("\n")[1][:100]
        assert any(s.kind == "pem" and body in text[s.start : s.stop] for s in shapes)


def test_random_tokens_are_nearly_always_found() -> None:
    drawn = random.Random(7)
    for alphabet in (
        string.ascii_letters + string.digits,
        string.hexdigits[:16],
        string.ascii_letters + string.digits + "_-",
    ):
        tokens = ["".join(drawn.choices(alphabet, k=43)) for _ in range(500)]
        assert sum(bool(find_shapes(token.encode())) for token in tokens) >= 497
    coded = [base64.b64encode(drawn.randbytes(32)) for _ in range(500)]
    assert sum(any(s.stop - s.start >= 20 for s in find_shapes(token)) for token in coded) >= 495
