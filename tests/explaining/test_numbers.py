from __future__ import annotations

import pytest

from wirecase.explaining import explain
from wirecase.explaining.numbers import as_text, decode
from wirecase.explaining.shape import normal


@pytest.mark.parametrize(
    ("text", "what", "value", "said"),
    [
        ("flag: 67", "compression flag", "67", "'C'"),
        ("invalid compression flag: 101", "compression flag", "101", "'e'"),
        ("flag: 60", "compression flag", "60", "'<'"),
        ("Bad GRPC frame type 0x43", "compression flag", "0x43", "'C'"),
        ("flag: 10", "compression flag", "10", "protobuf"),
        ("1869508197", "message length", "1869508197", "'onne'"),
        ("Received message larger than max (1920102258 vs 4194304)", "message length", "1920102258", "'rror'"),
        ("gRPC message exceeds maximum size 4194304: 1752460652", "message length", "1752460652", "'html'"),
        ("frame length 4740180", "frame length", "4740180", "'HTT'"),
        ("java.io.IOException: FRAME_SIZE_ERROR: 4740180", "frame length", "4740180", "'HTT'"),
        ("frame length 1377027", "frame length", "1377027", "TLS alert"),
        ("frame length 5460808", "frame length", "5460808", "'SSH'"),
        ("got frame type 80", "frame type", "80", "'P'"),
        ("Received RST_STREAM with code 7", "HTTP/2 error code", "7", "REFUSED_STREAM"),
        ("stream error: ENHANCE_YOUR_CALM", "HTTP/2 error code", "ENHANCE_YOUR_CALM", "code 11"),
        ("Error: 14 UNAVAILABLE", "gRPC status", "14", "UNAVAILABLE"),
        ("grpc-status: 4", "gRPC status", "4", "DEADLINE_EXCEEDED"),
        ("UNAVAILABLE", "gRPC status", "UNAVAILABLE", "code 14"),
        ("with status: 502 Bad Gateway", "HTTP status", "502", "Bad Gateway"),
    ],
)
def test_numbers_are_told(text: str, what: str, value: str, said: str) -> None:
    found = [one for one in decode(normal(text)) if (one.what, one.value) == (what, value)]
    assert len(found) == 1
    assert said in found[0].meaning


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("flag: 67", "grpc-invalid-compression-flag"),
        ("1869508197", "grpc-length-is-text"),
        ("4740180", "h2-peer-speaks-http1"),
        ("frame type 80", "h2-peer-speaks-http1"),
        ("frame length 1442561", "tls-plaintext-mismatch"),
        ("REFUSED_STREAM", "rst-refused-stream"),
        ("response flags: UF,URX", "tcp-refused"),
        ("UC", "body-cut-connection"),
    ],
)
def test_a_number_alone_is_enough(text: str, rule: str) -> None:
    assert explain([text]).candidates[0].rule == rule


@pytest.mark.parametrize("text", ["0", "1", "hello", "flag: 0", "flag: 1", "see section 67 of the manual", ""])
def test_other_numbers_accuse_nobody(text: str) -> None:
    assert explain([text]).candidates == []


def test_an_ordinary_length_is_no_text() -> None:
    assert as_text(9_014_796, 4) == ""
    found = explain(["grpc: received message larger than max (9014796 vs. 4194304)"])
    assert found.candidates[0].rule == "grpc-message-too-large"
