"""The Huffman code: against the constants and the coder of the `hpack` package, and what it refuses."""

from __future__ import annotations

import pytest
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hypothesis import given
from hypothesis import strategies as st

from wirecase.http2 import huffman

encode = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH).encode


def from_bits(bits: str) -> bytes:
    assert len(bits) % 8 == 0
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def bits_of(symbol: int) -> str:
    code, length = huffman.codes()[symbol]
    return f"{code:0{length}b}"


def test_the_code_is_that_of_the_rfc() -> None:
    assert huffman.codes() == list(zip(REQUEST_CODES, REQUEST_CODES_LENGTH, strict=True))


@pytest.mark.parametrize("symbol", range(256))
def test_every_symbol_alone_and_at_every_bit_offset(symbol: int) -> None:
    for before in range(8):
        text = b"0" * before + bytes((symbol,)) * 3  # "0" has 5 bits, so eight of them visit every offset
        assert huffman.decode(encode(text)) == text


@given(st.binary(max_size=300))
def test_what_the_oracle_encodes_is_decoded(text: bytes) -> None:
    assert huffman.decode(encode(text)) == text


@given(st.binary(max_size=40))
def test_any_bytes_decode_to_what_encodes_to_them_or_are_refused(data: bytes) -> None:
    try:
        text = huffman.decode(data)
    except huffman.HuffmanError:
        return
    assert encode(text) == data


def test_padding_of_up_to_seven_ones_is_right() -> None:
    for count in range(8):
        text = b"0" * count
        assert huffman.decode(encode(text)) == text
    assert huffman.decode(from_bits(bits_of(ord("x")) + "1")) == b"x"
    assert huffman.decode(from_bits(bits_of(ord("X")))) == b"X"


def test_more_than_seven_bits_of_padding_are_refused() -> None:
    with pytest.raises(huffman.HuffmanError, match="8 bits of padding"):
        huffman.decode(b"\xff")
    with pytest.raises(huffman.HuffmanError, match="11 bits of padding"):
        huffman.decode(from_bits(bits_of(ord("0")) + "1" * 11))
    with pytest.raises(huffman.HuffmanError, match="24 bits of padding"):
        huffman.decode(b"\xff\xff\xff")


@pytest.mark.parametrize("padding", ["000", "110", "011", "101"])
def test_padding_with_a_zero_bit_is_refused(padding: str) -> None:
    with pytest.raises(huffman.HuffmanError, match="not all ones"):
        huffman.decode(from_bits(bits_of(ord("0")) + padding))


def test_a_cut_symbol_is_refused() -> None:
    whole = from_bits(bits_of(0) + "111")  # 13 bits
    assert huffman.decode(whole) == b"\x00"
    with pytest.raises(huffman.HuffmanError, match=r"8 bits of padding|middle of a symbol"):
        huffman.decode(whole[:1])


@pytest.mark.parametrize("after", ["11", "00", "1111111111", "0000011111"])
def test_the_end_of_string_symbol_is_refused(after: str) -> None:
    with pytest.raises(huffman.HuffmanError, match="end-of-string"):
        huffman.decode(from_bits(bits_of(huffman.EOS) + after))
    with pytest.raises(huffman.HuffmanError, match="end-of-string"):
        huffman.decode(from_bits(bits_of(ord("X")) + bits_of(huffman.EOS) + after))
