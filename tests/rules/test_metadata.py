"""Binary metadata: base64, gRPC's true binary, and values that are neither."""

from __future__ import annotations

from captured import Capture, findings, rules
from h2_bytes import TRAILERS

from wirecase.model import CLIENT


def answered(value: str) -> Capture:
    capture = Capture()
    connection = capture.connect().hello()
    connection.request().headers().trailers(fields=(*TRAILERS, ("x-detail-bin", value)))
    connection.fin(CLIENT)
    return capture


def test_base_64_with_and_without_padding_is_silent() -> None:
    for value in ("AAEC", "AAE=", "AAE", "AAEC,AAE", ""):
        assert rules(answered(value)) == set()


def test_true_binary_is_agreed_upon_and_no_control_character() -> None:
    assert rules(answered("\0raw \x01\x02 bytes")) == set()


def test_neither_is_a_fault_of_the_server() -> None:
    (found,) = findings(answered("not base64!"), "grpc-metadata-bad-bin")
    assert (found.severity, found.who[0], found.details["name"]) == ("error", "server", "x-detail-bin")


def test_a_control_character_elsewhere_is_told() -> None:
    assert "h2-malformed-headers" in rules(answered("AA\x01EC"))
