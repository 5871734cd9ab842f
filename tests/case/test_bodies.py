"""Bodies masked in place, whatever the pieces they come in."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from wirecase.case.bodies import HELD, BodyMask, Piece
from wirecase.case.redaction import Unmasked


class Marked(Unmasked):
    """Makes visible what was given to it: messages become M, the rest of long ones r, foreign text F."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, bool, bool]] = []

    def message(self, payload, *, path, side, compressed, encoding=None, cut=False):
        self.messages.append((len(payload), compressed, cut))
        return b"M" * len(payload)

    def filler(self, length):
        return b"r" * length

    def foreign(self, body):
        return b"F" * len(body)


def prefix(flag: int, length: int) -> bytes:
    return bytes((flag,)) + length.to_bytes(4, "big")


def masked(data: bytes, cuts: list[int], kind="messages", keep=False) -> tuple[bytes, Marked]:
    masks = Marked()
    body = BodyMask(masks, kind, path="/a/B", side=1, encoding=None, keep=keep)
    pieces = []
    edges = [0, *sorted({min(cut, len(data)) for cut in cuts}), len(data)]
    for start, stop in pairwise(edges):
        piece = Piece(1, 0, bytearray(b"head" + data[start:stop] + b"tail"))
        pieces.append(piece)
        body.feed(piece, 4, 4 + stop - start)
    body.settle()
    assert all(piece.waits == 0 for piece in pieces)
    assert all(piece.data.startswith(b"head") and piece.data.endswith(b"tail") for piece in pieces)
    return b"".join(bytes(piece.data[4:-4]) for piece in pieces), masks


CASES = (
    (prefix(0, 3) + b"abc", prefix(0, 3) + b"MMM"),
    (prefix(0, 0) + prefix(1, 2) + b"xy", prefix(0, 0) + prefix(1, 2) + b"MM"),
    (prefix(0, 9) + b"cut", prefix(0, 9) + b"MMM"),
    (prefix(0, 1)[:3], prefix(0, 1)[:3]),
    (b"<html>no</html>", b"F" * 15),
    (prefix(0, 2) + b"ok" + b"Connection reset", prefix(0, 2) + b"MM" + b"F" * 16),
    (b"\x00\x00", b"\x00\x00"),
)


def test_messages_keep_their_framing():
    for data, wanted in CASES:
        assert masked(data, [])[0] == wanted


def test_byte_by_byte_is_the_same():
    for data, wanted in CASES:
        assert masked(data, list(range(len(data))))[0] == wanted


@given(st.sampled_from(CASES), st.lists(st.integers(0, 40), max_size=6))
def test_cuts_make_no_difference(case, cuts):
    assert masked(case[0], cuts)[0] == case[1]


def test_the_rest_of_a_long_message_is_replaced_as_it_comes():
    data = prefix(0, HELD + 10) + b"a" * (HELD + 10) + prefix(0, 1) + b"b"
    out, masks = masked(data, [7, HELD + 7, HELD + 12])
    assert out == prefix(0, HELD + 10) + b"M" * HELD + b"r" * 10 + prefix(0, 1) + b"M"
    assert masks.messages == [(HELD, False, True), (1, False, False)]


def test_the_rest_of_a_long_message_stays_where_payloads_are_kept():
    data = prefix(0, HELD + 4) + b"a" * (HELD + 4)
    assert masked(data, [], keep=True)[0].endswith(b"Maaaa")


def test_foreign_text_is_masked_in_bounded_parts():
    out, _ = masked(b"t" * (HELD + 5), [100], kind="foreign")
    assert out == b"F" * (HELD + 5)


def test_a_compressed_message_is_told_as_one():
    _, masks = masked(prefix(1, 4) + b"gzip", [])
    assert masks.messages == [(4, True, False)]


def test_behind_a_hole_of_unknown_size_nothing_is_taken_for_a_prefix():
    for length in (None, 96):
        body = BodyMask(Marked(), "messages", path="/a/B", side=0, encoding=None, keep=False)
        piece = Piece(0, 0, bytearray(prefix(0, 100) + b"begun"))
        body.feed(piece, 0, len(piece.data))
        body.lose(length)
        assert piece.waits == 0
        rest = Piece(0, 0, bytearray(b"<rest>"))
        body.feed(rest, 0, 6)
        body.settle()
        assert bytes(rest.data) == b"MMMMMM"


def test_behind_a_hole_within_a_message_the_next_one_is_found():
    body = BodyMask(Marked(), "messages", path="/a/B", side=0, encoding=None, keep=False)
    piece = Piece(0, 0, bytearray(prefix(0, 100) + b"begun"))
    body.feed(piece, 0, len(piece.data))
    body.lose(90)
    rest = Piece(0, 0, bytearray(b"12345" + prefix(0, 1) + b"a<html>"))
    body.feed(rest, 0, len(rest.data))
    body.settle()
    assert bytes(rest.data) == b"rrrrr" + prefix(0, 1) + b"MFFFFFF"
