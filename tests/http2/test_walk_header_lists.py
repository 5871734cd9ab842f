"""Header lists that break RFC 9113 §8 or RFC 7541: what fires, with which facts, and what looks alike and is right."""

from __future__ import annotations

import pytest
from h2_bytes import (
    END_HEADERS,
    END_STREAM,
    HEADERS,
    REQUEST,
    RESPONSE,
    TRAILERS,
    Script,
    data,
    frame,
    message,
    settings,
    settings_ack,
    walk,
)
from violations import asked, check, only

from wirecase.model import CLIENT, SERVER

# --- header lists ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "block", [b"\x80", b"\xff\xff\xff\xff\xff\xff", b"\xff\x01", b"\x40\x8a", b"\x82\x3f\xff\xff\xff\x7f"]
)
def test_hpack(block: bytes) -> None:
    violation = walk(asked().client(frame(HEADERS, END_HEADERS, 3, block))).facts.violations[0]
    assert (violation.kind, violation.side, violation.stream) == ("hpack", CLIENT, 3)
    assert violation.facts["kind"]
    assert violation.facts["text"]
    assert violation.facts["certain"] is True
    assert 0 <= violation.facts["offset"] <= len(block)


def test_hpack_bomb() -> None:
    script = asked()
    block = script.peers[CLIENT].block([("x", "y" * 4000)], huffman=False) + b"\xbe" * 1500
    violation = walk(script.client(frame(HEADERS, END_HEADERS, 3, block))).facts.violations[0]
    assert violation.kind == "hpack-bomb"
    assert violation.facts["wire_size"] == len(block)
    assert violation.facts["list_size"] > 1 << 20


def test_header_list_too_large() -> None:
    script = Script().client(settings()).server(settings((6, 200))).client(settings_ack())
    violation = only(script.request(1), "header-list-too-large", CLIENT)
    assert violation.facts["limit"] == 200
    assert violation.facts["list_size"] > 200
    check(Script().client(settings()).server(settings((6, 2000))).client(settings_ack()).request(1))


def test_hpack_size_ignored() -> None:
    def script(*, obey: bool) -> Script:
        made = Script().client(settings()).server(settings((1, 100)), settings_ack()).client(settings_ack())
        if obey:
            made.peers[CLIENT].encoder.header_table_size = 100
        return made.request(1)

    only(script(obey=False), "hpack-size-ignored", CLIENT)
    check(script(obey=True))


BAD_REQUESTS: dict[str, list[tuple[str, str]]] = {
    "uppercase": [*REQUEST, ("X-Up", "1")],
    "connection-specific": [*REQUEST, ("connection", "close")],
    "pseudo-order": [*REQUEST[:3], ("te", "trailers"), REQUEST[3]],
    "pseudo-unknown": [*REQUEST[:4], (":odd", "1")],
    "pseudo-duplicate": [REQUEST[0], *REQUEST],
    "pseudo-missing": [*REQUEST[:2], *REQUEST[3:]],
    "control-characters": [*REQUEST, ("x-line", "a\r\nb: c")],
    "bad-te": [*REQUEST[:4], ("te", "gzip")],
    "bad-name": [*REQUEST, ("with space", "1")],
}


@pytest.mark.parametrize("problem", BAD_REQUESTS)
def test_malformed_headers_of_a_request(problem: str) -> None:
    script = Script().hello().request(1, fields_=BAD_REQUESTS[problem])
    violation = only(script, "malformed-headers", CLIENT)
    assert violation.facts["problem"] == problem
    # The same block again is as wrong as the first time.
    again = Script().hello().request(1, fields_=BAD_REQUESTS[problem]).request(3, fields_=BAD_REQUESTS[problem])
    again.request(5, fields_=BAD_REQUESTS[problem])
    check(again, *[("malformed-headers", CLIENT)] * 3)


def test_malformed_headers_of_a_response() -> None:
    for fields_, problem in (
        ([("content-type", "application/grpc")], "pseudo-missing"),
        ([*RESPONSE, (":status", "200")], "pseudo-duplicate"),
        ([*RESPONSE, ("transfer-encoding", "chunked")], "connection-specific"),
        ([(":path", "/"), *RESPONSE], "pseudo-unknown"),
    ):
        script = asked()
        found = walk(script.server(script.peers[SERVER].headers(1, fields_))).facts.violations
        assert problem in {v.facts.get("problem") for v in found}


def test_status_in_trailers() -> None:
    script = asked()
    peer = script.peers[SERVER]
    both = (*RESPONSE, *TRAILERS)
    script.server(peer.headers(1, RESPONSE), peer.headers(1, both, END_STREAM))
    assert only(script, "malformed-headers", SERVER).facts["problem"] == "pseudo-in-trailers"


@pytest.mark.parametrize("order", [(True, False, True, False), (False, True, False, True)])
def test_a_block_is_judged_in_its_place_not_where_it_was_met_first(order: tuple[bool, ...]) -> None:
    """The same bytes are right as a trailers-only response and wrong as trailers."""
    script = Script().hello()
    peer = script.peers[SERVER]
    both = (*RESPONSE, *TRAILERS)
    peer.block(both)  # so that every use has the same bytes
    script.server(frame(HEADERS, END_HEADERS | END_STREAM, 2, Script().peers[SERVER].block(both)))
    stream = 1
    for as_trailers in order:
        script.request(stream, message(b"a"))
        wire = [peer.headers(stream, RESPONSE)] if as_trailers else []
        script.server(*wire, peer.headers(stream, both, END_STREAM))
        stream += 2
    done = walk(script)
    wrong = [v.stream for v in done.facts.violations if v.kind == "malformed-headers"]
    assert wrong == [1 + 2 * i for i, as_trailers in enumerate(order) if as_trailers]


def test_informational_responses_are_no_trailers() -> None:
    script = asked(end=True)
    script.server(script.peers[SERVER].headers(1, [(":status", "103"), ("link", "x")]))
    check(script.response(1, message(b"r")))


# --- content-length --------------------------------------------------------------------------------------------------


def lengths(declared: str, got: int, *, method: str = "POST", status: str = "200") -> Script:
    """A response with a content-length."""
    script = Script().hello().request(1, fields_=((":method", method), *REQUEST[1:]))
    peer = script.peers[SERVER]
    return script.server(
        peer.headers(1, ((":status", status), ("content-length", declared))),
        data(1, bytes(got)),
        peer.headers(1, TRAILERS, 1),
    )


def test_content_length() -> None:
    violation = only(lengths("10", 9), "content-length", SERVER)
    assert violation.facts == {"declared": 10, "got": 9}
    only(lengths("10", 11), "content-length", SERVER)
    check(lengths("10", 10))
    check(lengths("10", 0, method="HEAD"))
    check(lengths("10", 0, status="304"))
    check(lengths("ten", 0))


def test_content_length_of_a_request() -> None:
    script = Script().hello().request(1, bytes(9), (*REQUEST, ("content-length", "10")))
    only(script, "content-length", CLIENT)
