"""Placeholders and environment."""

from __future__ import annotations

import pytest

from wirecase.errors import UsageError
from wirecase.replay.client import Target, environment, fill
from wirecase.replay.client.command import uses

PLAIN = Target("127.0.0.1", 50051)
SECURE = Target("::1", 443, ca="/tmp/ca.pem", rounds=7)


@pytest.mark.parametrize(
    ("argument", "filled"),
    [
        ("{target}", "127.0.0.1:50051"),
        ("--addr={host},{port}", "--addr=127.0.0.1,50051"),
        ("{url}/x", "http://127.0.0.1:50051/x"),
        ("{loop}", "1"),
        ("{{target}}", "{target}"),
        ("{{{target}}}", "{{target}}"),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}}'),
        ("{other} {} {0} {target!r} %s $HOME", "{other} {} {0} {target!r} %s $HOME"),
        ("{tar{target}get}", "{tar127.0.0.1:50051get}"),
    ],
)
def test_placeholders(argument, filled):
    assert fill(["client", argument], PLAIN) == ["client", filled]


def test_ipv6_and_tls():
    assert fill(["{target}", "{host}", "{url}", "{ca}"], SECURE) == [
        "[::1]:443",
        "::1",
        "https://[::1]:443",
        "/tmp/ca.pem",
    ]


def test_no_authority_without_tls():
    with pytest.raises(UsageError, match="--tls"):
        fill(["{ca}"], PLAIN)
    assert fill(["{{ca}}"], PLAIN) == ["{ca}"]


def test_which_placeholders_are_used():
    assert uses(["x", "--n={loop}"], "loop")
    assert not uses(["x", "{{loop}}", "{target}"], "loop")


def test_no_proxy_is_left_in_the_environment():
    base = {
        "http_proxy": "p", "HTTPS_PROXY": "p", "grpc_proxy": "p", "GRPC_PROXY": "p", "All_Proxy": "p", "NO_PROXY": "*",
        "no_grpc_proxy": "*", "PATH": "/bin", "WIRECASE_CA": "of another run", "MY_PROXY_LIKE": "stays",
    }  # fmt: skip
    made = environment(PLAIN, "/tmp/report", base)
    assert made == {
        "PATH": "/bin", "MY_PROXY_LIKE": "stays", "WIRECASE_TARGET": "127.0.0.1:50051", "WIRECASE_LOOP": "1",
        "WIRECASE_URL": "http://127.0.0.1:50051", "WIRECASE_REPORT": "/tmp/report",
    }  # fmt: skip
    made = environment(SECURE, "/tmp/report", {})
    assert made["WIRECASE_CA"] == "/tmp/ca.pem"
    assert made["WIRECASE_LOOP"] == "7"
