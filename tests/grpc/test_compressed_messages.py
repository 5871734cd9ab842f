"""Compressed messages: whether they inflate, why not, and that bombs cost neither memory nor time."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
import zstandard
from grpc_bytes import OFFSET, bytewise, cut, read, told
from h2_bytes import message
from hypothesis import given, settings
from hypothesis import strategies as st

from wirecase.grpc.compression import BUDGET, Budget, open_inflater

TEXT = b"the quick brown fox jumps over the lazy dog. " * 40


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


ENCODERS: dict[bytes, Callable[[bytes], bytes]] = {b"gzip": gzipped, b"deflate": zlib.compress, b"zstd": zstd}
encodings = pytest.mark.parametrize("encoding", sorted(ENCODERS), ids=lambda name: name.decode())


def test_what_is_no_known_encoding_is_not_inflated() -> None:
    for other in (b"identity", b"snappy", b"br", b"GZIP", b""):
        assert open_inflater(other, Budget()) is None


@encodings
def test_sound_messages(encoding: bytes) -> None:
    pack = ENCODERS[encoding]
    body = (
        message(pack(TEXT), 1)
        + message(b"plain")
        + message(pack(b""), 1)
        + message(pack(TEXT * 30), 1)
        + message(b"", 1)
    )
    for pieces in ([body], bytewise(body)):
        reader = read(pieces, encoding=encoding)
        assert (reader.messages, reader.compressed, reader.inflations) == (5, 4, [])
        assert reader.bad is None
        assert reader.first_compressed is not None
        assert reader.first_compressed.mark.offset == OFFSET


@encodings
@given(places=st.lists(st.integers(0, 400), max_size=8), data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_pieces_tell_the_same(encoding: bytes, places: list[int], data: st.DataObject) -> None:
    good = ENCODERS[encoding](TEXT)
    at = data.draw(st.integers(0, len(good) - 1))
    wrong = good[:at] + bytes((good[at] ^ data.draw(st.integers(1, 255)),)) + good[at + 1 :]
    payload = data.draw(st.sampled_from([good, good[:-3], good + b"tail", wrong]))
    body = message(good, 1) + message(payload, 1) + message(good, 1)
    whole = told(read([body], encoding=encoding))
    pieces = cut(body, sorted(min(p, len(body)) for p in places))
    if payload is wrong:  # how much came out before the wrong byte depends on the pieces
        split = told(read(pieces, encoding=encoding))
        assert [i[0] for i in split["inflations"]] == [i[0] for i in whole["inflations"]]
    else:
        assert told(read(pieces, encoding=encoding)) == whole


@encodings
@pytest.mark.parametrize("pieces", ["whole", "bytes"])
@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("corrupt", lambda good: b"\xff\xff\xff\xff" + good[4:]),
        ("corrupt", lambda good: TEXT),
        ("short", lambda good: good[:-1]),
        ("short", lambda good: good[:10]),
        ("trailing", lambda good: good + b"z"),
        ("trailing", lambda good: good + b"z" * 100),
        ("crc", lambda good: good[:-6] + bytes(b ^ 0x55 for b in good[-6:])),
    ],
)
def test_kinds_of_failure(encoding: bytes, pieces: str, kind: str, spoil: Callable[[bytes], bytes]) -> None:
    good = ENCODERS[encoding](TEXT)
    if kind == "crc" and encoding != b"gzip":
        wrong = good[:-4] + bytes(b ^ 0x55 for b in good[-4:])
    elif kind == "crc":
        wrong = good[:-8] + bytes(b ^ 0x55 for b in good[-8:-4]) + good[-4:]
    else:
        wrong = spoil(good)
    body = message(good, 1) + message(wrong, 1) + message(good, 1)
    reader = read([body] if pieces == "whole" else bytewise(body), encoding=encoding)
    assert reader.messages == 3
    (inflation,) = reader.inflations
    assert inflation.kind == kind, inflation.text
    assert (inflation.message, inflation.declared) == (1, len(wrong))
    at = 5 + len(good)
    assert inflation.excerpt.mark.offset == OFFSET + at
    assert inflation.excerpt.data == body[at : at + 5 + min(96, len(wrong))]
    if kind == "trailing":
        assert inflation.text.startswith(f"{len(wrong) - len(good)} byte")


def test_gzip_length_that_does_not_match() -> None:
    good = gzipped(TEXT)
    (inflation,) = read([message(good[:-4] + b"\0\0\0\1", 1)], encoding=b"gzip").inflations
    assert inflation.kind == "crc"


def test_raw_deflate_is_not_the_zlib_format() -> None:
    packer = zlib.compressobj(wbits=-15)
    raw = packer.compress(TEXT) + packer.flush()
    (inflation,) = read([message(raw, 1)], encoding=b"deflate").inflations
    assert inflation.kind == "corrupt"


def test_without_an_encoding_nothing_is_inflated() -> None:
    for encoding in (None, b"identity"):
        reader = read([message(TEXT, 1)] * 2, encoding=encoding)
        assert (reader.compressed, reader.messages, reader.inflations) == (2, 2, [])


def test_unknown_encoding_is_said_once() -> None:
    reader = read([message(TEXT, 1)] * 3, encoding=b"snappy")
    (inflation,) = reader.inflations
    assert inflation.kind == "unknown"
    assert "snappy" in inflation.text
    assert read([message(TEXT)] * 3, encoding=b"snappy").inflations == []


def test_message_with_a_hole_is_not_judged() -> None:
    good = gzipped(TEXT)
    body = message(good, 1)
    reader = read([body[:30], 10, body[40:], message(good, 1)], encoding=b"gzip")
    assert (reader.messages, reader.inflations, reader.lost) == (2, [], False)


def test_message_that_stops_is_pending_and_not_called_short() -> None:
    body = message(gzipped(TEXT), 1)
    reader = read([body[:-5]], encoding=b"gzip")
    assert reader.inflations == []
    assert reader.pending() is not None


def test_corrupt_message_that_stops_is_told() -> None:
    body = message(b"\x1f\x8b\x08\0" + bytes(6) + b"\xff" * 200, 1)
    (inflation,) = read([body[:-5]], encoding=b"gzip").inflations
    assert inflation.kind == "corrupt"


def test_only_ten_are_kept() -> None:
    reader = read([message(b"junk", 1)] * 50, encoding=b"gzip")
    assert len(reader.inflations) == 10
    assert reader.messages == 50


# --- bombs -----------------------------------------------------------------------------------------------------------


def bomb(encoding: bytes, size: int) -> bytes:
    """A message of zeros, made without ever holding them."""
    if encoding == b"zstd":
        packer = zstandard.ZstdCompressor(level=19).compressobj()
    else:
        packer = zlib.compressobj(9, wbits=31 if encoding == b"gzip" else 15)
    step = bytes(1 << 20)
    return b"".join([packer.compress(step) for _ in range(size >> 20)] + [packer.flush()])


@encodings
def test_a_bomb_is_stopped_in_bounded_memory(encoding: bytes) -> None:
    wire = bomb(encoding, 100 << 20)
    body = message(wire, 1)
    tracemalloc.start()
    reader = read([body], encoding=encoding)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    (inflation,) = reader.inflations
    assert inflation.kind == "bomb"
    assert BUDGET <= inflation.inflated <= BUDGET + (4 << 20)
    assert peak < 8 << 20
    assert reader.messages == 1


@encodings
def test_the_budget_is_for_all_messages_of_a_run(encoding: bytes) -> None:
    budget = Budget(8 << 20)
    wire = bomb(encoding, 3 << 20)
    readers = [read([message(wire, 1)], encoding=encoding, budget=budget) for _ in range(6)]
    kinds = [[i.kind for i in reader.inflations] for reader in readers]
    assert kinds == [[], [], ["bomb"], [], [], []]  # two fit, one is too much, the rest is not inflated any more
    assert all(reader.messages == 1 for reader in readers)


def test_honest_compression_does_not_use_the_budget() -> None:
    budget = Budget(0)
    noise = b"".join(i.to_bytes(4, "big") for i in range(200_000))
    reader = read([message(gzipped(noise), 1)], encoding=b"gzip", budget=budget)
    assert reader.inflations == []
    assert budget.left == 0


def test_a_zstd_frame_with_a_huge_window_is_not_called_corrupt() -> None:
    params = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    packer = zstandard.ZstdCompressor(compression_params=params).compressobj()
    wire = packer.compress(TEXT) + packer.flush()
    kinds = {i.kind for i in read([message(wire, 1)], encoding=b"zstd").inflations}
    assert kinds <= {"unknown"}


@given(st.sampled_from(sorted(ENCODERS)), st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_garbage_never_raises(encoding: bytes, garbage: bytes) -> None:
    inflater = open_inflater(encoding, Budget())
    assert inflater is not None
    inflater.feed(garbage)
    inflater.finish()
    assert inflater.failure is not None or inflater.inflated >= 0
