"""Header blocks decoded by columns against the same blocks decoded one by one."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hpack import Encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from wirecase.http2 import huffman
from wirecase.http2.facts import HeaderBlock, Http2Facts
from wirecase.http2.hpack import HeaderDecoder, HpackError
from wirecase.http2.hpack_columns import HeaderColumns, decode
from wirecase.http2.huffman_columns import measure
from wirecase.http2.streams import StreamTable
from wirecase.model import CLIENT, SERVER
from wirecase.net.facts import TcpConnection, TcpSide
from wirecase.session.calls import CallLog, CallTracker
from wirecase.session.session import Session

NAMES = (
    ":method", ":scheme", ":path", ":authority", ":status", "te", "content-type", "grpc-timeout", "grpc-status",
    "grpc-encoding", "x-request-id", "traceparent", "x-b-bin", "user-agent", "content-length", "X-Upper", "connection",
)  # fmt: skip
VALUES = (
    "POST", "http", "/a.B/C", "200", "trailers", "application/grpc", "application/grpc+proto", "text/html", "5S", "99x",
    "0", "13", "gzip", "identity", "", "YQ", "!", "a\x01b", "\x00x", "\xff\xfe", "v" * 200, "w" * 1100,
)  # fmt: skip
ORDINARY = (
    (":method", "POST"), (":scheme", "http"), (":path", "/demo.Echo/Unary"), (":authority", "demo"), ("te", "trailers"),
    ("content-type", "application/grpc"),
)  # fmt: skip
fields = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), min_size=1, max_size=9)


def make(pairs: tuple[tuple[bytes | None, bytes | None], ...], info: object) -> HeaderBlock:
    """A block as `HeaderBlocks` makes it."""
    block = HeaderBlock(pairs)
    block.list_size = info.list_size  # type: ignore[attr-defined]
    return block


def stream_table() -> StreamTable:
    """What grades blocks in earnest."""
    tcp = TcpConnection(0, (TcpSide("10.0.0.1:1"), TcpSide("10.0.0.2:2")))
    return StreamTable(Http2Facts(), CallTracker(Session(tcp), CallLog()))


def by_columns(decoder: HeaderDecoder[HeaderBlock], blocks: list[bytes]) -> HeaderColumns | None:
    """Decode blocks that stand one behind the other, with something else around them."""
    data = b"\0\0\0" + b"\xff\xff".join(blocks) + b"\x7f"
    sizes = np.array([len(block) for block in blocks])
    begins = 3 + np.cumsum(sizes + 2) - sizes - 2
    return decode(decoder, data, np.frombuffer(data, dtype=np.uint8), begins, begins + sizes, stream_table().weigh)


def check(batches: list[list[bytes]], *, limit: int = 4096) -> int:
    """Compare all that columns say with what one by one says; return how many batches went by columns."""
    one, many = HeaderDecoder(make, limit=limit), HeaderDecoder(make, limit=limit)
    taken = 0
    for blocks in batches:
        columns = by_columns(many, blocks)
        if columns is None:
            for block in blocks:
                outcome = []
                for decoder in (one, many):
                    try:
                        outcome.append(decoder.decode(block).fields)
                    except HpackError as error:
                        outcome.append((error.kind, error.fields))
                assert outcome[0] == outcome[1]
            continue
        taken += 1
        expected = [one.decode(block) for block in blocks]
        got = [columns.block(number) for number in range(len(blocks))]
        assert [(block.fields, block.list_size) for block in got] == [(b.fields, b.list_size) for b in expected]
        assert [block.wire_size for block in got] == [len(block) for block in blocks]
        assert many.entries() == one.entries()
        for side in (CLIENT, SERVER):
            grades = [stream_table().grade(HeaderBlock(block.fields), side) for block in expected]
            assert [grades[i] for i in columns.representatives[columns.alike].tolist()] == grades
    return taken


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(fields, min_size=1, max_size=12), min_size=1, max_size=5), st.integers(0, 1 << 30))
def test_any_lists(batches: list[list[list[tuple[str, str]]]], seed: int) -> None:
    chance = random.Random(seed)
    encoder = Encoder()
    wire = []
    for lists in batches:
        wire.append([])
        for one in lists:
            kinds = [(*field, chance.random() < 0.2) for field in one]
            encoded = [(name.encode(), value.encode("latin-1"), sensitive) for name, value, sensitive in kinds]
            wire[-1].append(encoder.encode(encoded, huffman=chance.random() < 0.7))
        if chance.random() < 0.2:
            encoder.header_table_size = chance.choice((0, 200, 4096))
    check(wire)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=6), max_size=4))
def test_any_bytes(batches: list[list[bytes]]) -> None:
    check(batches)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1 << 30), st.sampled_from((0, 100, 300, 4096)))
def test_spoiled_blocks(seed: int, limit: int) -> None:
    chance = random.Random(seed)
    encoder = Encoder()
    encoder.header_table_size = limit
    blocks = []
    for number in range(40):
        block = bytearray(encoder.encode([*ORDINARY, ("x-request-id", f"{number}-{chance.random()}")]))
        if chance.random() < 0.03:
            block[chance.randrange(len(block))] ^= 1 << chance.randrange(8)
        blocks.append(bytes(block))
    check([blocks[:3], blocks[3:20], blocks[20:]])


def test_unique_values_are_of_one_class() -> None:
    encoder = Encoder()
    blocks = [
        encoder.encode([*ORDINARY, ("grpc-timeout", f"{n}m"), ("traceparent", f"00-{n:032x}-{n:016x}-01"),
                        ("grpc-trace-bin", "AAAA")])
        for n in range(300)
    ]  # fmt: skip
    decoder = HeaderDecoder(make)
    columns = by_columns(decoder, blocks)
    assert columns is not None
    assert len(columns.representatives) == 1
    assert decoder.entries()[-1][0] == (b"traceparent", f"00-{299:032x}-{299:016x}-01".encode())
    assert check([blocks[:100], blocks[100:101], blocks[101:]]) == 3


@pytest.mark.parametrize("value", ["a\x01b", "a\nb", "\x7f"])
def test_a_control_character_stands_alone(value: str) -> None:
    lists = [[*ORDINARY, ("x-request-id", f"id-{n}" if n != 7 else value)] for n in range(20)]
    for huffman_coded in (True, False):
        encoder = Encoder()
        columns = by_columns(HeaderDecoder(make), [encoder.encode(one, huffman=huffman_coded) for one in lists])
        assert columns is not None
        assert len(columns.representatives) == 2
        assert (columns.alike == columns.alike[7]).sum() == 1


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=40), st.booleans()), max_size=60))
def test_measured_strings(strings: list[tuple[bytes, bool]]) -> None:
    data = b"".join(text for text, _ in strings) + b"\0" * 8
    length = np.array([len(text) for text, _ in strings], dtype=np.int64)
    at = np.cumsum(length) - length
    coded = np.array([flag for _, flag in strings], dtype=bool)
    raw = np.frombuffer(data, dtype=np.uint8)
    expected, sound = [], True
    for text, flag in strings:
        try:
            expected.append(huffman.decode(text) if flag else text)
        except huffman.HuffmanError:
            sound = False
    got = measure(raw, data, at, length, coded)
    assert got.sound == sound
    if sound:
        assert got.decoded.tolist() == [len(text) for text in expected]
        control = [any((b < 32 and b != 9) or b == 127 for b in text) for text in expected]
        assert got.control.tolist() == control


def test_not_for_a_table_that_is_not_known() -> None:
    decoder = HeaderDecoder(make, late=True)
    assert by_columns(decoder, [b"\x82"]) is None
    assert decoder.entries() == []


def test_nothing_changes_when_a_later_block_is_odd() -> None:
    encoder = Encoder()
    blocks = [encoder.encode([("x-a", str(number))]) for number in range(5)]
    decoder = HeaderDecoder(make)
    assert by_columns(decoder, [*blocks, b"\xff\xff\x01"]) is None
    assert decoder.entries() == []
    assert by_columns(decoder, blocks) is not None
    assert len(decoder.entries()) == 5


def test_a_control_character_in_the_table_from_before() -> None:
    encoder = Encoder()
    lists = [[*ORDINARY, ("x-request-id", value)] for value in ("a\x01b", "good", "a\x01b", "good")]
    blocks = [encoder.encode(one) for one in lists]
    decoder = HeaderDecoder(make)
    assert by_columns(decoder, blocks[:2]) is not None
    columns = by_columns(decoder, blocks[2:])
    assert columns is not None
    assert len(columns.representatives) == 2
