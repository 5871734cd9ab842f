"""Against the `hpack` package as the oracle: random lists, tables, size updates, and random bytes."""

from __future__ import annotations

import contextlib

import hpack
from hypothesis import given, settings
from hypothesis import strategies as st

from wirecase.http2.hpack import DecodedInfo, HeaderDecoder, HpackError
from wirecase.http2.hpack_static import Field

Decoded = tuple[tuple[Field, ...], DecodedInfo]

names = st.one_of(
    st.sampled_from([b":status", b":path", b"te", b"grpc-status", b"content-type", b"traceparent", b""]),
    st.binary(max_size=12),
)
values = st.one_of(st.sampled_from([b"", b"0", b"200", b"trailers", b"application/grpc"]), st.binary(max_size=60))
headers = st.tuples(names, values, st.booleans())
steps = st.lists(
    st.tuples(
        st.lists(headers, max_size=10),
        st.booleans(),
        st.one_of(st.none(), st.sampled_from([0, 33, 64, 200, 4096, 70_000])),
    ),
    max_size=15,
)


def decoder() -> HeaderDecoder[Decoded]:
    return HeaderDecoder(lambda fields, info: (fields, info))


@given(steps)
def test_what_the_oracle_encodes_is_decoded(
    steps: list[tuple[list[tuple[bytes, bytes, bool]], bool, int | None]],
) -> None:
    encoder, target = hpack.Encoder(), decoder()
    for fields, huffman, size in steps:
        if size is not None:
            encoder.header_table_size = size
            target.set_limit(size)
        wire = encoder.encode(fields, huffman=huffman)
        for _ in range(2):  # the second time without what changes the table, and then from the memo
            decoded, info = target.decode(wire)
            assert decoded == tuple((name, value) for name, value, _ in fields)
            assert info.fields == len(fields)
            assert info.list_size == sum(32 + len(name) + len(value) for name, value, _ in fields)
            if info.never_indexed:  # sensitive fields that are in the static table are indexed all the same
                assert any(sensitive for _, _, sensitive in fields)
            assert not info.missed_size_update
            wire = encoder.encode(fields, huffman=huffman)
        decoded, _ = target.decode(wire)
        assert decoded == tuple((name, value) for name, value, _ in fields)


def wire_strings(huffman: bool) -> st.SearchStrategy[bytes]:
    def coded(text: bytes) -> bytes:
        data = hpack.hpack.Encoder().huffman_coder.encode(text) if huffman else text
        prefix = hpack.hpack.encode_integer(len(data), 7)
        prefix[0] |= 0x80 if huffman else 0
        return bytes(prefix) + data

    return st.binary(max_size=30).map(coded)


def prefixed(value: int, bits: int, first: int) -> bytes:
    data = hpack.hpack.encode_integer(value, bits)
    data[0] |= first
    return bytes(data)


any_string = st.one_of(wire_strings(False), wire_strings(True))
kinds = st.sampled_from([(6, 0x40), (4, 0x10), (4, 0x00)])
representations = st.one_of(
    st.integers(1, 70).map(lambda index: prefixed(index, 7, 0x80)),
    st.tuples(kinds, st.integers(1, 70), any_string).map(lambda t: prefixed(t[1], *t[0]) + t[2]),
    st.tuples(kinds, any_string, any_string).map(lambda t: bytes((t[0][1],)) + t[1] + t[2]),
)
updates = st.lists(st.sampled_from([0, 40, 100, 300, 4096]).map(lambda size: prefixed(size, 5, 0x20)), max_size=2)
written_blocks = st.tuples(updates, st.lists(representations, max_size=12)).map(lambda t: b"".join(t[0] + t[1]))
blocks = st.lists(st.one_of(written_blocks, written_blocks, st.binary(max_size=30)), max_size=12)


@settings(max_examples=400)
@given(blocks)
def test_any_blocks_decode_as_the_oracle_decodes_them(blocks: list[bytes]) -> None:
    oracle, target = hpack.Decoder(), decoder()
    for block in blocks:
        try:
            expected = tuple((bytes(name), bytes(value)) for name, value in oracle.decode(block, raw=True))
        except hpack.HPACKError:
            expected = None
        try:
            decoded, _ = target.decode(block)
        except HpackError as error:
            assert expected is None, error.text  # noqa: PT017 - the other decoder decides whether it may be raised
            return
        assert decoded == expected


@given(st.lists(st.binary(max_size=200), max_size=10), st.booleans())
def test_any_bytes_give_fields_or_the_declared_failure(blocks: list[bytes], late: bool) -> None:
    target: HeaderDecoder[Decoded] = HeaderDecoder(lambda fields, info: (fields, info), late=late)
    for block in blocks:
        with contextlib.suppress(HpackError):
            fields, info = target.decode(block)
            assert info.fields == len(fields)
            assert info.unknown == any(None in field for field in fields)
