from __future__ import annotations

import gzip
import zlib

import pytest
from grpc_exchange import Exchange, message, serious

from wirecase.model import CLIENT, SERVER

PAGE = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<hr><center>nginx/1.22.1</center></html>"
FLAG = "grpc-invalid-compression-flag"


def test_a_healthy_call_is_not_even_shown_to_the_rules() -> None:
    found = Exchange().ask().answer(message(b"x" * 5000)).trailers().matches()
    assert found == {}


def test_foreign_text_on_a_200_answer() -> None:
    text = b"Connection reset by upstream while reading response header"
    found = Exchange().ask().answer(text).trailers().matches()
    assert serious(found) == {FLAG}
    (match,) = found[FLAG]
    assert (match.details["flag"], match.details["ascii"], match.details["offset"]) == (67, "C", 0)
    assert match.details["declared"] == 1869508197
    assert match.details["length_text"] == "onne"
    assert match.details["text"] == text.decode()
    assert match.details["tonic_polls"] == list(text[:8])
    assert match.evidence[0].data.startswith(b"Connection")
    assert match.evidence[0].direction == "server"
    texts = {row.client: row.text for row in match.client_sees}
    assert texts["tonic"] == (
        "protocol error: received message with invalid compression flag: 67 (valid flags are 0 and 1) "
        "while receiving response with status: 200 OK"
    )
    assert texts["grpc-go"] == "grpc: received message larger than max (1869508197 vs. 4194304)"


def test_a_page_after_valid_messages_is_no_lost_step() -> None:
    body = message(b"one") + message(b"two") + PAGE
    found = Exchange().ask().answer(body, end=True, server="nginx/1.22.1").matches()
    assert serious(found) == {FLAG}
    details = found[FLAG][0].details
    assert (details["after_messages"], details["offset"], details["flag"]) == (2, 16, 60)
    assert details["proxy"] == "nginx"
    assert details["missing_status"] is True
    assert found[FLAG][0].who == ["proxy"]
    assert found["proxy-fingerprint"][0].details["proxy"] == "nginx"


def test_inserted_bytes_are_counted_and_the_chain_behind_them_is_found() -> None:
    body = message(b"one") + b"\x07\xff\xfe" + message(b"three") + message(b"four")
    found = Exchange().ask().answer(body).trailers().matches()
    assert serious(found) == {FLAG, "grpc-desync-midstream"}
    details = found["grpc-desync-midstream"][0].details
    assert (details["resumed_after"], details["resumed_messages"]) == (3, 2)


def test_unframed_protobuf() -> None:
    found = Exchange().ask().answer(b"\x0a\x05hello\x10\x01").trailers().matches()
    assert serious(found) == {FLAG, "grpc-unframed-protobuf"}
    assert found["grpc-unframed-protobuf"][0].certainty == "probable"


def test_a_client_with_a_bad_flag_is_blamed_itself() -> None:
    found = Exchange().ask(message(b"hello", flag=9)).answer(message(b"x")).trailers().matches()
    assert serious(found) == {FLAG}
    match = found[FLAG][0]
    assert match.who == ["client"]
    assert match.details["by"] == "client"
    assert match.client_sees == []
    assert "well-framed" in match.explanation


def test_a_hole_in_the_body_makes_a_note_of_it() -> None:
    exchange = Exchange().ask().answer(message(b"", length=3000))
    exchange.raw(SERVER, (4000).to_bytes(3, "big") + bytes((0, 0)) + (1).to_bytes(4, "big") + b"a" * 100)
    exchange.lose(SERVER, 2000)
    exchange.raw(SERVER, b"a" * 900 + b"error: " + b"b" * 993)
    found = exchange.trailers().matches()
    assert serious(found) == set()
    assert found[FLAG][0].severity == "info"


def test_a_length_that_spells_words() -> None:
    found = Exchange().ask().answer(b"\x00oops").trailers().matches()
    assert serious(found) == {"grpc-length-is-text"}
    assert found["grpc-length-is-text"][0].details["declared"] == int.from_bytes(b"oops", "big")


@pytest.mark.parametrize("flag", [0x80, 0x81])
def test_grpc_web_answer_to_a_native_call(flag: int) -> None:
    body = message(b"x") + message(b"grpc-status: 5\r\n", flag=flag)
    found = Exchange().ask().answer(body, end=True, content_type="application/grpc-web+proto").matches()
    assert serious(found) == {FLAG, "grpc-web-on-grpc"}
    assert "grpc-status: 5" in found["grpc-web-on-grpc"][0].explanation


def test_grpc_web_as_asked_for_is_no_fault() -> None:
    body = message(b"x") + message(b"grpc-status: 0\r\n", flag=0x80)
    web = "application/grpc-web+proto"
    assert Exchange().ask(content_type=web).answer(body, end=True, content_type=web).matches() == {}


def test_http_compression_over_the_whole_body() -> None:
    body = gzip.compress(message(b"hello"))
    found = Exchange().ask().answer(body, content_encoding="gzip").trailers().matches()
    assert serious(found) == {FLAG, "grpc-http-content-encoding"}
    assert found["grpc-http-content-encoding"][0].certainty == "certain"


def test_flag_without_encoding_on_both_sides() -> None:
    found = Exchange().ask().answer(message(b"x", flag=1)).trailers().matches()
    assert serious(found) == {"grpc-flag-without-encoding"}
    assert found["grpc-flag-without-encoding"][0].details["by"] == "server"
    found = Exchange().ask(message(b"x", flag=1)).answer(message(b"x")).trailers("13").matches()
    assert serious(found) == {"grpc-flag-without-encoding"}
    assert found["grpc-flag-without-encoding"][0].who == ["client"]


def test_encoding_that_the_client_did_not_offer() -> None:
    found = Exchange().ask().answer(message(b"x", flag=1), grpc_encoding="snappy").trailers().matches()
    assert serious(found) == {"grpc-encoding-unsupported"}
    assert found["grpc-encoding-unsupported"][0].severity == "error"


def test_request_encoding_that_the_server_refuses() -> None:
    exchange = Exchange().ask(message(b"x"), grpc_encoding="br")
    found = exchange.answer(end=True, grpc_status="12", grpc_accept_encoding="gzip", grpc_message="no").matches()
    assert serious(found) == {"grpc-encoding-unsupported"}
    assert found["grpc-encoding-unsupported"][0].who == ["client"]


def test_payload_that_does_not_inflate() -> None:
    spoiled = bytearray(gzip.compress(b"hello" * 50))
    spoiled[-6] ^= 0xFF
    found = Exchange().ask().answer(message(bytes(spoiled), flag=1), grpc_encoding="gzip").trailers().matches()
    assert serious(found) == {"grpc-decompress-failed"}
    assert found["grpc-decompress-failed"][0].details["encoding"] == "gzip"
    fine = message(gzip.compress(b"hello" * 50), flag=1)
    assert Exchange().ask().answer(fine, grpc_encoding="gzip").trailers().matches() == {}


def test_bomb_and_the_beginning_of_one() -> None:
    packed = zlib.compress(bytes(80 << 20), 9)
    whole = message(packed, flag=1)
    found = Exchange().ask()
    found.answer(grpc_encoding="deflate")
    for at in range(0, len(whole), 16000):
        found.data(SERVER, whole[at : at + 16000])
    assert "grpc-decompression-bomb" in serious(found.trailers().matches())
    cut = Exchange().ask().answer(whole[:16000], grpc_encoding="deflate").reset(CLIENT, 8).matches()
    assert cut["grpc-decompression-bomb"][0].details["by"] == "server"


def test_truncated_messages() -> None:
    found = Exchange().ask().answer(message(b"x") + message(b"y" * 10, length=400)).trailers().matches()
    assert serious(found) == {"grpc-message-truncated"}
    details = found["grpc-message-truncated"][0].details
    assert (details["declared"], details["got"], details["after_messages"]) == (400, 10, 1)
    found = Exchange().ask(message(b"y", length=50)).answer(end=True, grpc_status="12").matches()
    assert serious(found) == {"grpc-message-truncated"}
    assert found["grpc-message-truncated"][0].who == ["client"]


def test_a_message_in_progress_when_the_capture_ends_is_no_fault() -> None:
    found = Exchange().ask().answer(message(b"y" * 10, length=400)).matches()
    assert "grpc-message-truncated" not in found


@pytest.mark.parametrize(("code", "certainty"), [(11, "probable"), (8, "possible"), (0, "possible")])
def test_a_complete_answer_that_the_client_throws_away(code: int, certainty: str) -> None:
    found = Exchange().ask().answer(message(b"x" * 9000)).trailers().reset(CLIENT, code).matches()
    assert serious(found) - {"rst-enhance-your-calm"} == {"grpc-message-too-large"}
    assert found["grpc-message-too-large"][0].certainty == certainty
    small = Exchange().ask().answer(message(b"x" * 90)).trailers().reset(CLIENT, code).matches()
    assert "grpc-message-too-large" not in small


def test_cancel_of_a_stream_whose_request_was_open_is_no_rejection() -> None:
    found = Exchange().ask(end=False).answer(message(b"x" * 9000)).trailers().reset(CLIENT, 8).matches()
    assert "grpc-message-too-large" not in found


@pytest.mark.parametrize(
    ("status", "words", "sizes"),
    [
        ("8", "SERVER: Received message larger than max (5006 vs. 2048)", (5006, 2048)),
        ("11", "Error, decoded message length too large: found 5006 bytes, the limit is: 2048 bytes", (5006, 2048)),
        ("8", "gRPC message exceeds maximum size 2048: 5006", (5006, 2048)),
    ],
)
def test_a_request_that_the_server_finds_too_large(status: str, words: str, sizes: tuple[int, int]) -> None:
    exchange = Exchange().ask(message(b"x" * 5006))
    found = exchange.answer(end=True, grpc_status=status, grpc_message=words).matches()
    assert set(found) == {"grpc-message-too-large"}
    details = found["grpc-message-too-large"][0].details
    assert (details["declared"], details["limit"]) == sizes


def test_a_request_without_a_message() -> None:
    exchange = Exchange().ask(b"")
    found = exchange.answer(end=True, grpc_status="12", grpc_message="requires exactly one request message").matches()
    assert found["grpc-cardinality"][0].who == ["client"]
    assert serious(found) == set()
