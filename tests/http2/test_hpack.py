"""`HeaderDecoder`: the examples of RFC 7541, size updates, errors, the memo and the bounds."""

from __future__ import annotations

import tracemalloc

import hpack
import pytest
from hpack.table import HeaderTable

from wirecase.http2.hpack import KEPT_FIELDS, KEPT_UPDATES, DecodedInfo, HeaderDecoder, HpackError
from wirecase.http2.hpack_static import STATIC, Field

Decoded = tuple[tuple[Field, ...], DecodedInfo]


def decoder(late: bool = False, limit: int = 4096) -> HeaderDecoder[Decoded]:
    return HeaderDecoder(lambda fields, info: (fields, info), late=late, limit=limit)


def literal(name: bytes, value: bytes, first: int = 0x40) -> bytes:
    """Return a literal field with a new name; lengths below 127."""
    return bytes((first, len(name))) + name + bytes((len(value),)) + value


def integer(value: int, bits: int, first: int) -> bytes:
    return bytes((hpack.hpack.encode_integer(value, bits)[0] | first,)) + bytes(
        hpack.hpack.encode_integer(value, bits)[1:]
    )


def size_update(size: int) -> bytes:
    return integer(size, 5, 0x20)


def fails(target: HeaderDecoder[Decoded], block: bytes) -> HpackError:
    with pytest.raises(HpackError) as caught:
        target.decode(block)
    assert str(caught.value) == caught.value.text
    assert 0 <= caught.value.offset <= len(block)
    return caught.value


def test_the_static_table_is_that_of_the_rfc() -> None:
    assert tuple(field for field, _ in STATIC[1:]) == HeaderTable.STATIC_TABLE
    assert all(size == 32 + len(name or b"") + len(value or b"") for (name, value), size in STATIC[1:])


# RFC 7541 Appendix C. The responses of C.5 and C.6 use a table of 256 bytes.
REQUESTS = (
    ((":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")),
    (
        *((":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")),
        ("cache-control", "no-cache"),
    ),
    (
        *((":method", "GET"), (":scheme", "https"), (":path", "/index.html"), (":authority", "www.example.com")),
        ("custom-key", "custom-value"),
    ),
)
DATE = "Mon, 21 Oct 2013 20:13:21 GMT"
RESPONSES = (
    (
        *((":status", "302"), ("cache-control", "private"), ("date", DATE)),
        ("location", "https://www.example.com"),
    ),
    (
        *((":status", "307"), ("cache-control", "private"), ("date", DATE)),
        ("location", "https://www.example.com"),
    ),
    (
        *((":status", "200"), ("cache-control", "private"), ("date", "Mon, 21 Oct 2013 20:13:22 GMT")),
        *(("location", "https://www.example.com"), ("content-encoding", "gzip")),
        ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
    ),
)
C_2 = {
    "400a637573746f6d2d6b65790d637573746f6d2d686561646572": (b"custom-key", b"custom-header"),
    "040c2f73616d706c652f70617468": (b":path", b"/sample/path"),
    "100870617373776f726406736563726574": (b"password", b"secret"),
    "82": (b":method", b"GET"),
}
C_3 = (
    "828684410f7777772e6578616d706c652e636f6d",
    "828684be58086e6f2d6361636865",
    "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
)
C_4 = (
    "828684418cf1e3c2e5f23a6ba0ab90f4ff",
    "828684be5886a8eb10649cbf",
    "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
)
C_5 = (
    (
        "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54"
        "6e1768747470733a2f2f7777772e6578616d706c652e636f6d"
    ),
    "4803333037c1c0bf",
    (
        "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d"
        "4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31"
    ),
)
C_6 = (
    "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
    "4883640effc1c0bf",
    (
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab"
        "77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007"
    ),
)


@pytest.mark.parametrize("wire", C_2)
def test_appendix_c_2(wire: str) -> None:
    fields, info = decoder().decode(bytes.fromhex(wire))
    assert fields == (C_2[wire],)
    assert info.never_indexed == wire.startswith("10")
    assert info.fields == 1


@pytest.mark.parametrize(
    ("blocks", "lists", "limit"),
    [(C_3, REQUESTS, 4096), (C_4, REQUESTS, 4096), (C_5, RESPONSES, 256), (C_6, RESPONSES, 256)],
    ids=["C.3", "C.4", "C.5", "C.6"],
)
def test_appendix_c_sequences(
    blocks: tuple[str, ...], lists: tuple[tuple[tuple[str, str], ...], ...], limit: int
) -> None:
    target = decoder(limit=limit)
    for block, expected in zip(blocks, lists, strict=True):
        fields, info = target.decode(bytes.fromhex(block))
        assert fields == tuple((name.encode(), value.encode()) for name, value in expected)
        assert info == DecodedInfo(sum(32 + len(n) + len(v) for n, v in expected), len(expected))


@pytest.mark.parametrize("blocks", [C_3, C_4, C_5, C_6], ids=["C.3", "C.4", "C.5", "C.6"])
def test_a_block_cut_anywhere_gives_its_first_fields_or_the_declared_failure(blocks: tuple[str, ...]) -> None:
    limit = 256 if blocks in (C_5, C_6) else 4096
    for nth, block in enumerate(map(bytes.fromhex, blocks)):
        for cut in range(len(block)):
            target = decoder(limit=limit)
            for before in blocks[:nth]:
                target.decode(bytes.fromhex(before))
            whole, _ = decoder_after(blocks[:nth], limit).decode(block)
            failure: HpackError | None = None
            try:
                fields = target.decode(block[:cut])[0]
            except HpackError as error:
                failure = error
                fields = error.fields
            assert target.late == (failure is not None)
            if failure:
                assert failure.kind in ("truncated", "string-length")
                assert failure.offset <= cut
            assert fields == whole[: len(fields)]
            assert len(fields) < len(whole)


def decoder_after(blocks: tuple[str, ...], limit: int) -> HeaderDecoder[Decoded]:
    target = decoder(limit=limit)
    for block in blocks:
        target.decode(bytes.fromhex(block))
    return target


def test_an_empty_block_has_no_fields() -> None:
    assert decoder().decode(b"") == ((), DecodedInfo(0, 0))


@pytest.mark.parametrize(
    ("block", "kind", "offset", "text"),
    [
        (b"\x80", "index", 0, "index 0, which"),
        (b"\x82\xbe", "index", 1, "index 62, but the dynamic table has 0 entries"),
        (literal(b"a", b"b") + b"\xbf", "index", 5, "index 63, but the dynamic table has 1 entry"),
        (b"\x82\xff\x80\x01", "index", 1, "index 255,"),
        (b"\x7e\x00", "index", 0, "index 62"),
        (b"\x0f\x2f\x00", "index", 0, "index 62"),
        (b"\xff", "truncated", 0, "middle of an integer"),
        (b"\x82\xff\x80\x80", "truncated", 1, "middle of an integer"),
        (b"\x40", "truncated", 1, "where a string should begin"),
        (b"\x40\x01a", "truncated", 3, "where a string should begin"),
        (b"\x40\x05abc", "string-length", 1, "declares 5 bytes, but the block has 3 left"),
        (b"\x44\x85abc", "string-length", 1, "declares 5 bytes, but the block has 3 left"),
        (b"\x40" + integer(2**62, 7, 0), "string-length", 1, "declares 4611686018427387904 bytes"),
        (b"\x40" + integer(2**62 + 1, 7, 0), "integer", 1, "4611686018427387905, more than 2^62"),
        (b"\xff" + b"\x80" * 10 + b"\x00", "integer", 0, "more than 10 bytes"),
        (b"\x44\x81\xff", "huffman", 1, "8 bits of padding"),
        (b"\x44\x81\x00", "huffman", 1, "not all ones"),
        (b"\x44\x84\xff\xff\xff\xff", "huffman", 1, "end-of-string symbol"),
        (b"\x82\x20", "table-size", 1, "after a header field"),
        (literal(b"a", b"b") + b"\x3f\x00", "table-size", 5, "after a header field"),
        (size_update(4097), "table-size", 0, "sets 4097 bytes, but at most 4096 are accepted"),
        (b"\x20" + size_update(2**32), "table-size", 1, "sets 4294967296 bytes, but at most 4096 are accepted"),
    ],
)
def test_errors_name_kind_place_and_values(block: bytes, kind: str, offset: int, text: str) -> None:
    error = fails(decoder(), block)
    assert (error.kind, error.offset) == (kind, offset)
    assert text in error.text


def test_an_integer_with_ten_continuation_bytes_is_read() -> None:
    assert decoder().decode(b"\x0f" + b"\x80" * 9 + b"\x00" + b"\x01x")[0] == ((b"accept-charset", b"x"),)


def test_an_error_brings_the_fields_before_it_and_loses_the_table() -> None:
    target = decoder()
    target.decode(literal(b"a", b"b"))
    assert target.decode(b"\xbe")[0] == ((b"a", b"b"),)
    error = fails(target, b"\x82" + literal(b"c", b"d") + b"\x80")
    assert error.fields == ((b":method", b"GET"), (b"c", b"d"))
    assert target.late
    fields, info = target.decode(b"\xbe\x82")
    assert fields == ((None, None), (b":method", b"GET"))
    assert info.unknown


def test_an_entry_larger_than_the_table_empties_it() -> None:
    target = decoder(limit=64)
    target.decode(literal(b"a", b"b"))
    assert target.decode(literal(b"name", b"v" * 40))[0] == ((b"name", b"v" * 40),)
    assert fails(target, b"\xbe").kind == "index"


def test_a_name_may_come_from_the_entry_that_its_own_insertion_evicts() -> None:
    target = decoder(limit=64)  # RFC 7541 §4.4
    target.decode(literal(b"name", b"first"))
    assert target.decode(b"\x7e\x06second\xbe")[0] == ((b"name", b"second"), (b"name", b"second"))
    assert fails(target, b"\xbf").kind == "index"


def test_size_updates_evict_and_are_told() -> None:
    target = decoder()
    target.decode(literal(b"a", b"1") + literal(b"b", b"2"))
    fields, info = target.decode(size_update(34) + b"\xbe")
    assert fields == ((b"b", b"2"),)
    assert info.size_updates == (34,)
    assert fails(target, b"\xbf").kind == "index"

    target = decoder()
    target.decode(literal(b"a", b"1"))
    assert target.decode(b"\x20" + size_update(4096))[1].size_updates == (0, 4096)
    assert fails(target, b"\xbe").kind == "index"


def test_a_raised_limit_may_be_used_and_need_not_be() -> None:
    target = decoder()
    target.set_limit(65536)
    assert not target.decode(b"\x82")[1].missed_size_update
    assert target.decode(size_update(65536))[1].size_updates == (65536,)
    target.decode(b"".join(literal(b"%04d" % n, b"v" * 100) for n in range(200)))
    assert target.decode(integer(62 + 199, 7, 0x80))[0] == ((b"0000", b"v" * 100),)
    assert fails(target, size_update(65537)).kind == "table-size"


def test_an_ignored_lower_limit_is_told_once_and_the_table_kept() -> None:
    target = decoder()
    target.decode(literal(b"a", b"1"))
    assert target.decode(b"\xbe\x82")[1] == DecodedInfo(34 + 42, 2)
    target.set_limit(0)
    fields, info = target.decode(b"\xbe\x82")
    assert fields[0] == (b"a", b"1")
    assert (info.missed_size_update, info.owed_size) == (True, 0)
    assert not target.decode(b"\xbe\x82")[1].missed_size_update
    assert target.decode(literal(b"b", b"2") + b"\xbf")[0][1] == (b"a", b"1")


@pytest.mark.parametrize("block", [b"", b"\x82", literal(b"a", b"b"), b"\x3f\xe1\x1f"])
def test_every_kind_of_block_misses_a_size_update(block: bytes) -> None:
    target = decoder()
    target.decode(b"\x82")
    target.decode(b"")
    target.set_limit(100)
    target.set_limit(4096)  # the lowest of the limits is owed (§4.2)
    assert target.decode(block)[1].owed_size == 100


def test_an_obeyed_lower_limit_is_in_order() -> None:
    target = decoder()
    target.set_limit(100)
    target.set_limit(4096)
    info = target.decode(size_update(100) + size_update(4096) + b"\x82")[1]
    assert info == DecodedInfo(42, 1, (100, 4096))
    target.set_limit(40)
    target.set_limit(50)
    assert target.decode(size_update(50) + b"\x82")[1].owed_size == 40
    target.set_limit(20)
    assert not target.decode(size_update(10) + b"\x82")[1].missed_size_update
    target.set_limit(10)
    assert not target.decode(b"\x82")[1].missed_size_update


def test_equal_blocks_share_one_result_until_the_table_changes() -> None:
    made: list[tuple[Field, ...]] = []
    target: HeaderDecoder[int] = HeaderDecoder(lambda fields, info: made.append(fields) or len(made))  # type: ignore[func-returns-value]
    target.decode(literal(b"a", b"1"))
    assert [target.decode(b"\xbe\x82") for _ in range(3)] == [2, 2, 2]
    assert [target.decode(b"\x83\x84") for _ in range(3)] == [3, 3, 3]
    target.decode(literal(b"b", b"2"))
    assert target.decode(b"\xbe\x82") == 5
    assert made[-1][0] == (b"b", b"2")
    assert target.decode(b"\x83\x84") == 3  # does not depend on the table
    target.decode(b"\x20")
    with pytest.raises(HpackError):
        target.decode(b"\xbe\x82")
    assert target.decode(b"\xbe\x82") == 7
    assert made[-1][0][0] is None


def test_a_block_that_inserts_is_never_answered_from_the_memo() -> None:
    target = decoder()
    block = literal(b"a", b"1")
    for _ in range(3):
        target.decode(block)
    assert target.decode(b"\xbe\xbf\xc0")[0] == ((b"a", b"1"),) * 3


def test_a_literal_named_by_the_table_is_not_answered_from_a_memo_of_an_older_table() -> None:
    target = decoder()
    target.decode(literal(b"a", b"1"))
    block = b"\x0f\x2f\x01v"  # without indexing, named by entry 62
    assert target.decode(block)[0] == ((b"a", b"v"),)
    target.decode(literal(b"b", b"1"))
    assert target.decode(block)[0] == ((b"b", b"v"),)


def test_a_size_update_takes_effect_each_time_that_its_block_comes() -> None:
    target = decoder()
    block = b"\x20" + size_update(4096) + b"\x82"
    for _ in range(2):
        target.decode(literal(b"a", b"1"))
        assert target.decode(block)[1].size_updates == (0, 4096)
    assert fails(target, b"\xbe").kind == "index"


def test_many_different_blocks_do_not_grow_the_memo_without_bound() -> None:
    target = decoder()
    target.decode(literal(b"a", b"1"))
    for first in (0x00, 0x7E - 0x6F):  # a new name, and the name of the dynamic entry
        for number in range(3000):
            text = b"%d" % number
            block = literal(b"n", text, 0) if not first else b"\x0f\x2f" + bytes((len(text),)) + text
            assert target.decode(block)[0][0][1] == text
    assert len(target._memo) <= 512
    assert len(target._stable) <= 512


def test_a_bomb_is_counted_exactly_and_kept_short() -> None:
    target = decoder()
    name, value = b"n", b"v" * (4096 - 33)
    target.decode(b"\x40\x01n" + integer(len(value), 7, 0) + value)
    block = b"\xbe" * 16384
    tracemalloc.start()
    fields, info = target.decode(block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert info == DecodedInfo(4096 * 16384, 16384, truncated=True)
    assert fields == ((name, value),) * KEPT_FIELDS
    assert peak < 1 << 20


def test_a_list_of_very_many_fields_is_counted_exactly_and_kept_short() -> None:
    count = 600_000
    tracemalloc.start()
    fields, info = decoder().decode(b"\x82" * count)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (info.fields, info.list_size, info.truncated) == (count, 42 * count, True)
    assert fields == ((b":method", b"GET"),) * KEPT_FIELDS
    assert peak < 4 << 20  # a list of all would be larger


def test_a_list_just_within_the_bound_is_whole() -> None:
    fields, info = decoder().decode(b"\x82" * 65536)
    assert (len(fields), info.truncated) == (65536, False)
    fields, info = decoder().decode(b"\x82" * 65537)
    assert (len(fields), info.fields, info.truncated) == (KEPT_FIELDS, 65537, True)
    fields, info = decoder().decode(b"\x82" * (2 * 65536 + 10))
    assert (len(fields), info.fields, info.truncated) == (KEPT_FIELDS, 2 * 65536 + 10, True)


def test_a_flood_of_size_updates_is_bounded() -> None:
    info = decoder().decode(b"\x20" * 100_000)[1]
    assert info.size_updates == (0,) * KEPT_UPDATES


def test_a_huge_table_is_kept_in_part_and_the_rest_is_unknown() -> None:
    target = decoder()
    target.set_limit(2**32 - 1)
    target.decode(size_update(2**32 - 1))
    value = b"v" * 100
    for number in range(12_000):
        target.decode(literal(b"%06d" % number, value))
    assert len(target._entries) * 138 <= 1 << 20
    kept = len(target._entries)
    fields, info = target.decode(integer(62 + kept - 1, 7, 0x80) + integer(62 + kept, 7, 0x80))
    assert fields == ((b"%06d" % (12_000 - kept), value), (None, None))
    assert info.unknown
    assert target.late
