"""Header blocks written anew."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecase.case.headers import BlockWriter, blank, complete, faulty_field, reframe
from wirecase.case.redaction import Unmasked
from wirecase.http2.facts import CONTINUATION, HEADERS, PADDED, PRIORITY_FLAG, ControlFrame, HeaderBlock
from wirecase.http2.hpack import HeaderDecoder, HpackError
from wirecase.model import CLIENT, SERVER, Marks

MARKS = Marks(0, [0], [1], [0])
ODD = [(b"X-Upper", b"Value"), (b"ctl\x01", b"a\x00\nb"), (b"", b""), (b"\xff", b"\x80" * 300), (b":status", b"200")]


def decoder():
    return HeaderDecoder(lambda pairs, info: list(pairs))


def frame(payload: bytes, kind=HEADERS, flags=4, stream=1) -> ControlFrame:
    return ControlFrame(SERVER, kind, flags, stream, payload, MARKS, 0)


def test_odd_names_and_values_survive():
    for plain in (False, True):
        writer = BlockWriter(Unmasked(), SERVER, plain=plain)
        reader = decoder()
        for _ in range(3):
            assert reader.decode(writer.encode(ODD)) == ODD


@given(st.lists(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=200)), max_size=8), max_size=8))
def test_any_lists_survive(lists):
    writer, reader = BlockWriter(Unmasked(), CLIENT, plain=False), decoder()
    for fields in lists:
        assert reader.decode(writer.encode(fields)) == fields


def test_a_smaller_table_is_announced():
    writer, reader = BlockWriter(Unmasked(), SERVER, plain=False), decoder()
    assert reader.decode(writer.encode(ODD)) == ODD
    writer.set_table_size(64)
    reader.set_limit(64)
    assert writer.encode(ODD)[0] & 0xE0 == 0x20
    writer.forget()
    reader.join_late()
    assert reader.decode(writer.encode(ODD)) == ODD


def test_without_a_table_every_dynamic_index_is_wrong():
    writer, reader = BlockWriter(Unmasked(), SERVER, plain=True), decoder()
    reader.decode(writer.encode(ODD))
    with pytest.raises(HpackError):
        reader.decode(b"\xbe")


@pytest.mark.parametrize(
    "block",
    [
        b"\x88\xbe",  # an index beyond the table
        b"\x88\x80",  # index 0
        b"\x88\x00\x01a\x85\xff\xff\xff\xff\xff",  # a Huffman code that is none
        b"\x88\x00\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",  # a length without end
        b"\x88\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",  # an index without end
        b"\x88\x00\x05ab",  # a string longer than the block
        b"\x88\x00\x01a",  # no value
        b"\x88\x3f\xe1\x1f",  # a size update behind a field
    ],
)
def test_a_fault_survives_in_another_block(block):
    with pytest.raises(HpackError) as recorded:
        decoder().decode(block)
    error = recorded.value
    before = BlockWriter(Unmasked(), SERVER, plain=True).encode(list(error.fields))
    with pytest.raises(HpackError) as told:
        decoder().decode(before + faulty_field(block, error.offset, error.kind))
    assert told.value.kind == error.kind


def test_frames_keep_their_number_padding_and_priority():
    first = frame(b"\x03" + b"PRIOR" + b"aaaa" + b"pad", flags=PADDED | PRIORITY_FLAG)
    second = frame(b"bbbb", CONTINUATION, 0)
    last = frame(b"", CONTINUATION, 4)
    out = reframe([first, second, last], b"0123456789")
    assert out[:9] == b"\x00\x00\x0d\x01\x28\x00\x00\x00\x01"
    assert out[9:22] == b"\x03PRIOR0123\0\0\0"
    assert out[22:35] == b"\x00\x00\x04\x09\x00\x00\x00\x00\x014567"
    assert out[35:] == b"\x00\x00\x02\x09\x04\x00\x00\x00\x0189"
    assert reframe([frame(b"long enough")], b"x") == b"\x00\x00\x01\x01\x04\x00\x00\x00\x01x"


def test_a_block_that_is_not_decoded_shows_nothing():
    shown = blank(frame(b"\x02secret tokenpp", flags=PADDED))
    assert b"secret" not in shown and len(shown) == 9 + 15


def test_what_a_late_join_hides_is_put_in():
    hidden = HeaderBlock(((None, None), (b":path", b"/a/B"), (None, b"x"), (b"k", None), (b"te", b"trailers")))
    fields, assumed = complete(hidden, CLIENT, 5, answered=False, grpc=True)
    assert fields[0] == (b":method", b"POST") and (b":path", b"/a/B") in fields and (b"te", b"trailers") in fields
    assert (b"content-type", b"application/grpc") in fields
    assert [name for name, _ in fields].count(b":path") == 1
    assert {one.name for one in assumed} == {":method", ":scheme", ":authority", "content-type"}
    trailers, assumed = complete(HeaderBlock(((None, None),)), SERVER, 5, answered=True, grpc=True)
    assert trailers == [(b"grpc-status", b"0")] and assumed


def test_a_block_that_is_known_gets_nothing():
    known = HeaderBlock(((b"x", b"y"),))
    assert complete(known, SERVER, 1, answered=False, grpc=True) == ([(b"x", b"y")], [])


def test_a_field_that_is_repeated_without_end_costs_little():
    writer, reader = BlockWriter(Unmasked(), SERVER, plain=False), decoder()
    fields = [(b":status", b"200"), *[(b"x", b"y" * 3000)] * 50_000]
    block = writer.encode(fields)
    assert len(block) < 54_000
    assert writer.encode(fields[:3]) == b"\x88\xbe\xbe"
    del reader, fields
    large = [(b"large", b"z" * 5000)] * 3
    again = decoder()
    again.decode(block[:3100])
    assert again.decode(writer.encode(large)) == large
