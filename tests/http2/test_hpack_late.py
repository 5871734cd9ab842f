"""Joining late: what was inserted since resolves exactly, the rest is unknown, and nothing is made up."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecase.http2.hpack import DecodedInfo, HeaderDecoder, HpackError
from wirecase.http2.hpack_static import Field

Decoded = tuple[tuple[Field, ...], DecodedInfo]
STORIES = sorted((Path(__file__).parent / "data" / "hpack-test-case").glob("*.json.gz"))


def decoder(late: bool = True) -> HeaderDecoder[Decoded]:
    return HeaderDecoder(lambda fields, info: (fields, info), late=late)


def agrees(seen: tuple[Field, ...], truth: tuple[Field, ...]) -> bool:
    """Tell whether `seen` has as many fields as `truth` and every part that is known is right."""
    return len(seen) == len(truth) and all(
        part is None or part == true
        for field, true_field in zip(seen, truth, strict=True)
        for part, true in zip(field, true_field, strict=True)
    )


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.name.removesuffix(".json.gz"))
def test_a_story_joined_after_any_block_never_shows_what_is_not_true(path: Path) -> None:
    cases = json.loads(gzip.decompress(path.read_bytes()))["cases"]
    truths = [tuple((k.encode(), v.encode()) for f in case["headers"] for k, v in f.items()) for case in cases]
    wires = [bytes.fromhex(case["wire"]) for case in cases]
    for join in sorted({1, 2, 3, len(cases) // 2, len(cases) - 1}):
        late = decoder()
        for case, wire, truth in list(zip(cases, wires, truths, strict=True))[join:]:
            if case.get("header_table_size") is not None:
                late.set_limit(case["header_table_size"])
            fields, info = late.decode(wire)
            assert agrees(fields, truth)
            assert info.fields == len(truth)
            assert info.unknown == any(None in field for field in fields)


def test_indexes_older_than_the_join_are_unknown_and_newer_ones_exact() -> None:
    target = decoder()
    fields, info = target.decode(b"\x82\xbe\x40\x01a\x01b\xbe\xbf\x7f\x00\x01v\xbe\x0f\x30\x01w\xc1")
    assert fields == (
        (b":method", b"GET"),
        (None, None),  # 62 before the first insertion
        (b"a", b"b"),
        (b"a", b"b"),
        (None, None),
        (None, b"v"),  # named by 63, older than the join, and inserted
        (None, b"v"),
        (b"a", b"w"),
        (None, None),
    )
    assert info.unknown
    assert not target.decode(b"\x82\xbf")[1].unknown
    assert target.decode(b"\x82\xbe")[1].unknown


def test_a_late_decoder_refuses_what_no_join_explains() -> None:
    for block, kind in (
        (b"\x80", "index"),
        (hpack.hpack.encode_integer(62 + (16 << 20) // 32, 7), "index"),
        (b"\x44\x81\x00", "huffman"),
        (hpack.hpack.encode_integer(2**32, 5), "table-size"),
    ):
        wire = bytes(block)
        if kind != "huffman" and len(wire) > 1:
            wire = bytes((wire[0] | (0x80 if kind == "index" else 0x20),)) + wire[1:]
        with pytest.raises(HpackError) as caught:
            decoder().decode(wire)
        assert caught.value.kind == kind


def test_a_size_beyond_the_default_is_believed_late() -> None:
    update = hpack.hpack.encode_integer(1 << 20, 5)
    wire = bytes((update[0] | 0x20,)) + bytes(update[1:])
    assert decoder().decode(wire)[1].size_updates == (1 << 20,)
    target = decoder()
    target.set_limit(4096)
    with pytest.raises(HpackError, match="at most 4096"):
        target.decode(wire)


def test_a_size_update_bounds_what_may_be_unknown() -> None:
    target = decoder()
    target.decode(b"\x3f\x21")  # 64: room for two entries of the least size
    assert target.decode(b"\xbf")[0] == ((None, None),)
    assert target.decode(b"\x40\x00\x00\xbf")[0] == ((b"", b""), (None, None))
    assert target.decode(b"\x40\x01x\x00\xbe")[0] == ((b"x", b""), (b"x", b""))
    with pytest.raises(HpackError, match="index 63"):
        target.decode(b"\xbf")


def test_an_emptied_table_is_exact_again() -> None:
    target = decoder()
    assert target.late
    target.decode(b"\x20\x3f\xe1\x1f")  # 0, then 4096
    assert not target.late
    target.decode(b"\x40\x01a\x01b")
    assert target.decode(b"\xbe")[0] == ((b"a", b"b"),)
    with pytest.raises(HpackError):
        target.decode(b"\xbf")
    assert target.late


def test_a_join_forgets_blocks_that_were_seen() -> None:
    target = decoder(late=False)
    target.decode(b"\x40\x01a\x01b")
    assert target.decode(b"\xbe")[0] == ((b"a", b"b"),)
    target.join_late()
    assert target.decode(b"\xbe")[0] == ((None, None),)
    target.decode(b"\x40\x01c\x01d")
    target.join_late()
    assert target.decode(b"\xbe")[0] == ((None, None),)


def test_a_lowered_limit_is_not_held_against_an_encoder_of_unknown_table_size() -> None:
    target = decoder()
    target.set_limit(0)
    assert not target.decode(b"\x82")[1].missed_size_update


def test_a_limit_set_before_the_join_is_not_owed_after_it() -> None:
    target = decoder(late=False)
    target.set_limit(0)
    target.join_late()
    assert not target.decode(b"\x82")[1].missed_size_update


@pytest.mark.parametrize(("size", "late"), [(0, False), (30, False), (31, False), (32, True), (33, True)])
def test_only_a_size_in_which_no_entry_fits_makes_exact(size: int, late: bool) -> None:
    target = decoder()
    update = hpack.hpack.encode_integer(size, 5)
    target.decode(bytes((update[0] | 0x20,)) + bytes(update[1:]))
    assert target.late == late


def test_evictions_after_a_join_concern_what_was_inserted_since() -> None:
    target = decoder(late=False)
    target.decode(b"\x40\x01a\x01b" * 5)
    target.join_late()
    target.decode(b"\x40\x01c\x01d\x40\x01e\x01f")
    assert target.decode(b"\x3f\x25\xbe\xbf")[0] == ((b"e", b"f"), (b"c", b"d"))  # 68: room for both
    assert target.decode(b"\x3f\x24\xbe\xbf")[0] == ((b"e", b"f"), (None, None))  # 67, and 33 left


def test_a_table_larger_than_the_default_resolves_late() -> None:
    target = decoder()
    for number in range(400):
        target.decode(b"\x40\x04%04d\x64" % number + b"v" * 100)
    assert target.decode(b"\xff\xeb\x01")[0] == ((b"0099", b"v" * 100),)  # index 362, the 301st newest


tokens = st.binary(max_size=40)
header_lists = st.lists(
    st.lists(st.tuples(st.sampled_from([b":path", b"a", b"bb", b"grpc-status", b"x" * 20]), tokens), max_size=8),
    min_size=2,
    max_size=12,
)


@given(
    lists=header_lists,
    repeats=st.lists(st.integers(0, 11), max_size=12),
    size=st.sampled_from([0, 64, 150, 4096]),
    join=st.integers(0, 12),
    gap=st.integers(0, 12),
    huffman=st.booleans(),
)
def test_whatever_is_lost_every_known_part_is_true(
    lists: list[list[tuple[bytes, bytes]]], repeats: list[int], size: int, join: int, gap: int, huffman: bool
) -> None:
    encoder = hpack.Encoder()
    encoder.header_table_size = size
    lists = lists + [lists[n % len(lists)] for n in repeats]
    target = decoder(late=join > 0)
    for number, headers in enumerate(lists):
        wire = encoder.encode(headers, huffman=huffman)
        if number < join:
            continue
        if number == join + gap and gap:
            target.join_late()
            continue
        fields, info = target.decode(wire)
        assert agrees(fields, tuple(headers))
        assert info.unknown == any(None in field for field in fields)
        if not target.late:
            assert fields == tuple(headers)
