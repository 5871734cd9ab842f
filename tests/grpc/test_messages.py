"""Length-prefixed messages in any pieces: counts, prefixes that are none, bodies that stop, bodies with holes."""

from __future__ import annotations

import itertools

import pytest
from grpc_bytes import OFFSET, bytewise, cut, read, told
from h2_bytes import message
from hypothesis import given, settings
from hypothesis import strategies as st

from wirecase.grpc.facts import FOREIGN_LIMIT
from wirecase.model import CLIENT, SERVER

PAGE = b"<html><head><title>502 Bad Gateway</title></head></html>\r\n"
BODIES = {
    "empty": b"",
    "one": message(b"hello"),
    "empty-messages": message(b"") * 4,
    "several": message(b"a") + message(b"") + message(b"b" * 300) + message(b"c"),
    "large": message(b"x" * 5000) + message(b"y" * 9000, flag=1) + message(b"z" * 100),
    "page": PAGE,
    "page-behind": message(b"a") + message(b"bc") + PAGE,
    "flag-2": message(b"a") + b"\x02" + bytes(4),
    "web-trailers": message(b"a") + b"\x80" + (15).to_bytes(4, "big") + b"grpc-status:0\r\n",
    "desync": message(b"a" * 40) + b"ABC" + message(b"b" * 7) + message(b"c"),
    "cut-prefix": message(b"abc") + b"\0\0\0",
    "cut-message": message(b"abc") + message(b"0123456789" * 20)[:-7],
    "cut-at-prefix": message(b"abc") + message(b"0123456789")[:5],
    "length-is-text": b"\0HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(100),
    "four-gib": b"\0\xff\xff\xff\xff" + b"only this",
}


def check(body: bytes, pieces: list[bytes], side: int = SERVER) -> None:
    assert b"".join(pieces) == body
    assert told(read(pieces, side=side)) == told(read([body] if body else [], side=side))


@pytest.mark.parametrize("side", [CLIENT, SERVER])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_byte_by_byte(body: bytes, side: int) -> None:
    check(body, bytewise(body), side)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_every_single_split(body: bytes) -> None:
    whole = told(read([body] if body else []))
    # All places near a prefix, and some in the middle of long payloads.
    for place in {*range(min(len(body), 330)), *range(330, len(body), 97)}:
        assert told(read(cut(body, [place]))) == whole, place


@given(st.sampled_from(sorted(BODIES)), st.lists(st.integers(0, 14_500), max_size=12))
@settings(max_examples=150, deadline=None)
def test_random_splits(name: str, places: list[int]) -> None:
    body = BODIES[name]
    check(body, cut(body, sorted(min(p, len(body)) for p in places)))


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
@settings(max_examples=300, deadline=None)
def test_random_bytes(body: bytes, places: list[int]) -> None:
    check(body, cut(body, sorted(min(p, len(body)) for p in places)))


@given(st.lists(st.binary(max_size=40), max_size=12), st.binary(max_size=4))
@settings(max_examples=200, deadline=None)
def test_counts_are_those_of_the_builder(payloads: list[bytes], rest: bytes) -> None:
    rest = rest[:1].translate(bytes(256)) + rest[1:]  # a prefix that has begun: flag 0
    body = b"".join(message(p) for p in payloads) + rest
    reader = read([body] if body else [])
    assert (reader.messages, reader.bytes) == (len(payloads), len(body))
    assert reader.bad is None
    pending = reader.pending()
    assert (pending.prefix if pending else b"") == rest


# --- what is no prefix -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", [2, 3, 0x20, 60, 67, 101, 0x7F, 0x80, 0x81, 0xFE, 0xFF])
def test_flag_that_is_neither_0_nor_1(flag: int) -> None:
    good = message(b"one") + message(b"")
    reader = read([good + bytes((flag,)) + b"\0\0\0\1x"])
    bad = reader.bad
    assert bad is not None
    assert (bad.flag, bad.after_messages, bad.after_bytes) == (flag, 2, len(good))
    assert bytes(bad.foreign) == bytes((flag,)) + b"\0\0\0\1x"
    assert bad.excerpt.mark.offset == OFFSET + len(good)
    assert reader.pending() is None


def test_one_byte_is_enough_to_know() -> None:
    reader = read([message(b"one"), b"C"])
    assert reader.bad is not None
    assert reader.bad.flag == ord("C")
    assert reader.bad.excerpt.mark.packet == 2


def test_the_bad_byte_is_in_the_packet_that_carried_it() -> None:
    body = message(b"abc") + PAGE
    for place in range(1, len(body)):
        bad = read(cut(body, [place])).bad
        assert bad is not None
        assert bad.excerpt.mark.packet == (1 if place > 8 else 2)


def test_a_long_foreign_body_is_cut_but_counted() -> None:
    pieces = [b"<" + bytes(1000)] * 100
    bad = read(pieces).bad
    assert bad is not None
    assert len(bad.foreign) == FOREIGN_LIMIT
    assert bad.foreign_length == 100_100
    assert bad.resumed is None


def test_web_trailers() -> None:
    payload = b"grpc-status:5\r\ngrpc-message:none\r\n"
    for flag in (0x80, 0x81):
        bad = read([message(b"a") + bytes((flag,)) + len(payload).to_bytes(4, "big") + payload], web=True).bad
        assert bad is not None
        assert bad.web_trailers == payload
    cut_short = read([b"\x80\0\0\1\0" + payload]).bad
    assert cut_short is not None
    assert cut_short.web_trailers is None
    page = read([PAGE]).bad
    assert page is not None
    assert page.web_trailers is None


# --- reading again behind bytes too many -----------------------------------------------------------------------------


@pytest.mark.parametrize("extra", [b"A", b"ABCDEFG", PAGE, b"\x02\x02\x02\x02\x02"])
def test_resumption_is_found(extra: bytes) -> None:
    tail = message(b"q" * 50) + message(b"") + message(b"r" * 300)
    bad = read([message(b"first") + extra + tail]).bad
    assert bad is not None
    assert bad.resumed == (len(extra), 3)


def test_no_resumption_without_messages_before_or_with_a_tail_that_does_not_fit() -> None:
    tail = message(b"q" * 50)
    for body in (b"ABC" + tail, message(b"a") + b"ABC" + tail + b"x", message(b"a") + b"ABC" + tail[:-1]):
        bad = read([body]).bad
        assert bad is not None
        assert bad.resumed is None
    # Empty messages alone are no sign: a run of zeros would be one.
    zeros = read([message(b"a") + b"C" + bytes(500)]).bad
    assert zeros is not None
    assert zeros.resumed is None


def test_the_search_for_a_resumption_ends() -> None:
    # Every position begins a long chain of empty messages that does not reach the end.
    bad = read([message(b"a") + b"C" + bytes(60_000) + b"\1"]).bad
    assert bad is not None
    assert bad.resumed is None


# --- where a body stops ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_pending_inside_of_a_prefix(count: int) -> None:
    body = message(b"abc")
    pending = read([body + message(b"next")[:count]]).pending()
    assert pending is not None
    assert (pending.prefix, pending.declared, pending.got) == (message(b"next")[:count], None, 0)
    assert pending.excerpt.mark.offset == OFFSET + len(body)


@pytest.mark.parametrize("got", [0, 1, 99])
def test_pending_inside_of_a_message(got: int) -> None:
    body = message(b"abc")
    for pieces in ([body + message(b"n" * 100)[: 5 + got]], bytewise(body + message(b"n" * 100)[: 5 + got])):
        reader = read(pieces)
        pending = reader.pending()
        assert pending is not None
        assert (pending.declared, pending.got, reader.messages) == (100, got, 1)
        assert pending.excerpt.data == message(b"n" * 100)[: 5 + min(got, 96)]


def test_nothing_is_pending_between_messages() -> None:
    assert read([]).pending() is None
    assert read([message(b"abc"), message(b"")]).pending() is None


@pytest.mark.parametrize("places", list(itertools.combinations(range(1, 8), 2)))
def test_head_is_the_first_bytes_however_they_came(places: tuple[int, int]) -> None:
    body = b"\0HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    reader = read(cut(body, places))
    assert reader.head[:40] == body[:40]
    assert reader.first is not None
    assert reader.first.data[:40] == body[:40]
    assert reader.first.mark.offset == OFFSET


def test_four_gib_is_only_a_number() -> None:
    reader = read([b"\0\xff\xff\xff\xff"] + [bytes(10_000)] * 20)
    pending = reader.pending()
    assert pending is not None
    assert (pending.declared, pending.got) == (0xFFFFFFFF, 200_000)
    assert reader.largest is not None
    assert reader.largest.declared == 0xFFFFFFFF


def test_largest() -> None:
    sizes = [10, 5000, 4999, 70_000, 69_999, 70_000]
    reader = read([message(b"x" * size, flag=1 if size == 70_000 else 0) for size in sizes])
    assert reader.largest is not None
    assert reader.largest.declared == 70_000
    assert reader.largest.excerpt.mark.packet == 4
    assert reader.largest.excerpt.data[0] == 1  # the byte that is there
    assert read([message(b"x" * 4000)]).largest is None


# --- holes -----------------------------------------------------------------------------------------------------------


def test_hole_inside_of_a_message_is_stepped_over() -> None:
    reader = read([message(b"a"), message(b"n" * 100)[:20], 50, b"n" * 35, message(b"b")])
    assert not reader.lost
    assert (reader.messages, reader.bytes) == (3, 6 + 105 + 6)
    assert reader.bad is None
    assert reader.pending() is None


def test_hole_up_to_the_end_of_a_message() -> None:
    reader = read([message(b"n" * 100)[:20], 85, message(b"b")])
    assert (reader.lost, reader.messages) == (False, 2)


def test_bytes_behind_a_hole_are_not_joined_to_the_head() -> None:
    reader = read([message(b"n" * 500)[:20], 50, b"m" * 200])
    pending = reader.pending()
    assert pending is not None
    assert pending.excerpt.data == message(b"n" * 500)[:20]
    assert pending.got == 15 + 50 + 200


@pytest.mark.parametrize("hole", [86, 1000, -1])
def test_hole_over_a_boundary_loses_the_body(hole: int) -> None:
    reader = read([message(b"a") + message(b"n" * 100)[:20], hole, PAGE])
    assert reader.lost
    assert (reader.bad, reader.pending(), reader.messages) == (None, None, 1)


def test_hole_between_messages_or_inside_of_a_prefix_loses_the_body() -> None:
    for begin in (message(b"a"), message(b"a") + b"\0\0"):
        reader = read([begin, 3, PAGE])
        assert reader.lost
        assert reader.bad is None
        assert reader.pending() is None


def test_foreign_bytes_behind_a_hole_are_not_joined() -> None:
    bad = read([message(b"a") + b"<html>", 10, b"</html>"]).bad
    assert bad is not None
    assert bytes(bad.foreign) == b"<html>"
    assert bad.resumed is None
