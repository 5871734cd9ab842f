"""Compressed messages: as long as before, inflating to as much as before, or failing as before."""

from __future__ import annotations

import gzip
import hashlib
import zlib

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import TELLING, assert_gone, bare, encode, field, trees

from wirecase.case.redact import Policy, Redactor
from wirecase.case.redact.compressed import guess_encoding, outcome, weigh
from wirecase.grpc.compression import BUDGET
from wirecase.grpc.protobuf import read_fields
from wirecase.model import SERVER

PACKERS = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstandard.compress}
UNPACKERS = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "zstd": lambda raw: zstandard.ZstdDecompressor().decompressobj().decompress(raw),
}
CONTENT = (
    field(1, "a name that nobody may know") + field(2, 150) + field(1, "another name, of someone else: 1234567890")
)


def redact(payload: bytes, encoding: str | None, policy: Policy | None = None) -> tuple[bytes, Redactor]:
    redactor = Redactor(policy or Policy())
    coded = encoding.encode() if encoding else None
    made = redactor.message(payload, path="/a/b", side=SERVER, compressed=True, encoding=coded)
    assert len(made) == len(payload)
    return made, redactor


@pytest.mark.parametrize("encoding", PACKERS)
def test_a_sound_message_stays_sound(encoding: str) -> None:
    payload = PACKERS[encoding](CONTENT)
    made, redactor = redact(payload, encoding)
    content = UNPACKERS[encoding](made)
    plain = redactor.message(CONTENT, path="/a/b", side=SERVER, compressed=False)
    assert content == plain
    assert redact(made, encoding)[0] == made
    assert redact(payload, None)[0] == made
    assert guess_encoding(made) == encoding.encode()
    assert not redactor.manifest()["notes"]


def _damaged() -> dict[str, tuple[str, bytes]]:
    packed = gzip.compress(CONTENT)
    long = gzip.compress(bytes(range(256)) * 8 + CONTENT)
    return {
        "crc": ("gzip", packed[:-8] + bytes(4) + packed[-4:]),
        "length": ("gzip", packed[:-4] + bytes(4)),
        "adler": ("deflate", zlib.compress(CONTENT)[:-4] + bytes(4)),
        "short": ("gzip", packed[:-20]),
        "short-deflate": ("deflate", zlib.compress(CONTENT)[:30]),
        "short-zstd": ("zstd", zstandard.compress(CONTENT)[:-3]),
        "trailing": ("gzip", packed + b"secret-behind"),
        "trailing-deflate": ("deflate", zlib.compress(CONTENT) + b"abc"),
        "trailing-zstd": ("zstd", zstandard.compress(CONTENT) + b"abc"),
        "plain": ("gzip", CONTENT),
        "plain-deflate": ("deflate", CONTENT),
        "plain-zstd": ("zstd", CONTENT),
        "block-type": ("gzip", long[:10] + b"\x07" + long[11:]),
        "stored-lengths": ("gzip", long[:10] + b"\x01\x05\x00\x00\x00" + long[15:]),
        "far-back": ("gzip", packed[:10] + b"\x03\x7a\xff\xff\xff" + packed[15:]),
    }


@pytest.mark.parametrize("name", _damaged())
def test_a_message_that_fails_fails_with_the_same_words(name: str) -> None:
    encoding, payload = _damaged()[name]
    wanted = outcome(payload, encoding.encode())
    assert isinstance(wanted, tuple)
    made, redactor = redact(payload, encoding)
    assert outcome(made, encoding.encode()) == wanted
    assert made != payload and not redactor.manifest()["notes"]
    assert_gone(made, ["a name that nobody", "another name, of", "secret-behind"])
    assert redact(made, encoding)[0] is not None


def test_what_cannot_be_rebuilt_is_kept_and_told() -> None:
    payload = gzip.compress(bytes(range(256)) * 40)
    for at in range(12, len(payload) - 8):
        damaged = payload[:at] + bytes((payload[at] ^ 0x5A,)) + payload[at + 1 :]
        before = outcome(damaged, b"gzip")
        made, redactor = redact(damaged, "gzip")
        assert outcome(made, b"gzip") == before
        assert bool(redactor.manifest()["notes"]) == (made == damaged)


def test_an_encoding_that_nobody_can_check() -> None:
    made, _ = redact(b"\x05\x10" + CONTENT, "snappy")
    assert_gone(made, ["a name that nobody"])


def test_a_bomb_stays_one_and_a_large_message_keeps_its_size() -> None:
    for size in (17 << 20, 66 << 20):
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        payload = b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()
        made, _ = redact(payload, "gzip")
        before, after = outcome(payload, b"gzip"), outcome(made, b"gzip")
        assert before == after or (isinstance(before, tuple) and isinstance(after, tuple) and before[0] == after[0])


def test_keep_masks_shapes_inside() -> None:
    policy = Policy("keep")
    clean = gzip.compress(CONTENT)
    assert redact(clean, "gzip", policy)[0] == clean
    content = CONTENT + field(3, "AKIAIOSFODNN7EXAMPLE")
    made, _ = redact(gzip.compress(content), "gzip", policy)
    assert gzip.decompress(made) == CONTENT + field(3, "x" * 20)


@settings(max_examples=60, deadline=None)
@given(trees(TELLING), TELLING, st.sampled_from(sorted(PACKERS)))
def test_planted_secrets_are_gone(tree: list[tuple[int, object]], secret: str, encoding: str) -> None:
    content = encode([(1, 1), *tree, (2, secret)])
    payload = PACKERS[encoding](content)
    made, redactor = redact(payload, encoding)
    assert_gone(made, [secret])
    if not redactor.manifest()["notes"]:
        inflated = UNPACKERS[encoding](made)
        assert len(inflated) == len(content) and bare(secret) not in inflated
        assert_gone(inflated, [secret])
        assert read_fields(inflated) is not None or not any(inflated)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.sampled_from((*sorted(PACKERS), None)))
def test_any_bytes_pass(payload: bytes, encoding: str | None) -> None:
    made, _ = redact(payload, encoding)
    if encoding:
        assert outcome(made, encoding.encode()) == outcome(payload, encoding.encode())


def test_the_budget_for_bombs_is_one_for_all_messages() -> None:
    """The tenth is a bomb at its first MiB, in the case as in the recording: no more of it has to be made."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    payload = b"".join(packer.compress(bytes(1 << 20)) for _ in range(20)) + packer.flush()
    redactor = Redactor(Policy())
    made = [redactor.message(payload, path="/a.B/C", side=SERVER, compressed=True, encoding=b"gzip") for _ in range(10)]
    left, told = BUDGET, []
    for one in made:
        weighed = weigh(one, b"gzip", left)
        left = weighed.left
        told.append("bomb" if isinstance(weighed.outcome, tuple) else weighed.outcome)
    assert told == [20 << 20] * 3 + ["bomb"] * 7
    assert {len(one) for one in made} == {len(payload)}


def test_what_stands_in_a_bomb_is_gone() -> None:
    secret = b"name of a person 4711, "
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    payload = packer.compress(secret * 100)
    payload += b"".join(packer.compress(bytes(1 << 20)) for _ in range(80)) + packer.flush()
    made, _ = redact(payload, "gzip")
    found = zlib.decompressobj(31).decompress(made, 1 << 20) if made[:2] == b"\x1f\x8b" else made
    assert b"4711" not in found
    outcome_made = outcome(made, b"gzip")
    assert isinstance(outcome_made, tuple) and outcome_made[0] == "bomb"


def test_a_compressed_message_longer_than_what_is_held_of_others() -> None:
    content = b"".join(hashlib.sha256(bytes((i >> 8, i & 255))).hexdigest().encode() for i in range(4000))
    payload = gzip.compress(content)
    assert len(payload) > 100_000
    made, _ = redact(payload, "gzip")
    assert len(made) == len(payload) and len(gzip.decompress(made)) == len(content)
