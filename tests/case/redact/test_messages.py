"""Messages: structure stays, values go."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from planted import TELLING, assert_gone, assert_same_shape, encode, field, trees

from wirecase.case.redact import Policy, Redactor
from wirecase.case.redact.fill import blanket
from wirecase.case.redact.policy import Payloads
from wirecase.case.redact.structure import Filler, Walker
from wirecase.grpc.protobuf import read_fields
from wirecase.model import CLIENT

PATH = "/pkg.Service/Get"


def redact(payload: bytes, payloads: Payloads = "redact", **options: Any) -> bytes:
    return Redactor(Policy(payloads)).message(payload, path=PATH, side=CLIENT, compressed=False, **options)


def test_kinds_of_values() -> None:
    fixed = b"\x31" + b"12345678" + b"\x3d" + b"1234"
    raw = (
        field(1, "Ann Lee, 7")
        + field(2, 300)
        + field(3, 0)
        + field(4, b"\x00\xff\x01")
        + field(5, field(1, "ab"))
        + fixed
    )
    want = field(1, "xxx xxx. 0") + field(2, 128) + field(3, 0) + field(4, bytes(3)) + field(5, field(1, "xx"))
    assert redact(raw) == want + b"\x31" + bytes(8) + b"\x3d" + bytes(4)


def test_what_is_no_protobuf() -> None:
    assert redact(b'{"name": "Ann 7"}') == b"..xxxx.. .xxx 0.."
    assert redact(b"\0\1\2\3") == bytes(4)
    assert redact(b"") == b""


def test_text_that_is_fields_as_well_survives_both_readings() -> None:
    inner = field(4, "a" * 0x21)  # '"!aaa…'
    assert redact(field(9, inner)) == field(9, field(4, "x" * 0x21))


def test_a_message_that_is_cut_keeps_its_structure() -> None:
    raw = field(1, "Ann Lee") + field(1000, b"\1\2\3" * 1000)
    for stop in range(len(raw)):
        made = redact(raw[:stop], cut=True)
        assert len(made) == stop and b"Ann"[: max(stop - 2, 1)] not in made[2:]
        if stop > 14:
            assert made[:12] == field(1, "xxx xxx") + raw[9:12]


@settings(max_examples=80, deadline=None)
@given(trees(TELLING), TELLING)
def test_planted_secrets_are_gone_and_the_structure_stays(tree: list[tuple[int, Any]], secret: str) -> None:
    tree = [(1, 1), *tree, (3, [(1, 1), (7, [(1, 5), (2, secret)])]), (4, secret)]
    raw = encode(tree)
    for payloads in ("redact", "hash"):
        made = redact(raw, payloads)  # type: ignore[arg-type]
        assert len(made) == len(raw)
        assert_gone(made, [secret])
        assert_same_shape(made, tree)
    assert redact(redact(raw)) == redact(raw)
    kept = redact(raw, "keep")
    assert len(kept) == len(raw)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
@example(b"\n\x09hi there!0\t")
@example(b"xxxx")
def test_any_bytes_keep_their_length_and_change_only_once(raw: bytes) -> None:
    for cut in (False, True):
        made = redact(raw, cut=cut)
        assert len(made) == len(raw)
        assert redact(made, cut=cut) == made
        assert len(redact(raw, "hash", cut=cut)) == len(raw)


@settings(max_examples=60, deadline=None)
@given(trees(st.text(max_size=20)), st.integers(0, 12))
def test_behind_the_budget_one_unknown_field_covers_the_rest(tree: list[tuple[int, Any]], budget: int) -> None:
    raw = encode([(1, 1), *tree])
    made = Walker(Filler(), budget).redact(raw)
    assert len(made) == len(raw) and read_fields(made) is not None
    assert Walker(Filler(), budget).redact(made) == made


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 129, 130, 131, 132, 133, 16500])
def test_a_blanket_has_any_length(length: int) -> None:
    assert len(blanket(length)) == length
    if length != 1:
        assert read_fields(blanket(length)) is not None


def test_hash_keeps_what_is_equal_and_forgets_its_key() -> None:
    raw, other = field(1, "Ann Lee") + field(2, 77), field(1, "Bob Lee") + field(2, 77)
    redactor = Redactor(Policy("hash"))
    a, b, c = (redactor.message(r, path=PATH, side=CLIENT, compressed=False) for r in (raw, other, raw))
    assert a == c != b and a[-2:] == b[-2:]
    assert redact(raw, "hash") != a


def test_keep_masks_only_what_looks_like_a_secret() -> None:
    raw = field(1, "Ann Lee ann@acme.com 10.1.2.3") + field(2, "AKIAIOSFODNN7EXAMPLE")
    assert redact(raw, "keep") == field(1, "Ann Lee ann@acme.com 10.1.2.3") + field(2, "x" * 20)


def test_numbers_never_grow_beyond_64_bits() -> None:
    raw = b"\x08" + b"\xff" * 9 + b"\x01"
    for payloads in ("redact", "hash"):
        made = redact(raw, payloads)  # type: ignore[arg-type]
        assert len(made) == 11 and made[10] == 1 and read_fields(made) is not None


def test_deep_nesting_ends() -> None:
    raw = b""
    for _ in range(300):
        raw = field(1, raw + b"\x08\x01")
    made = redact(raw)
    assert len(made) == len(raw) and redact(made) == made


def test_the_rest_of_a_large_message() -> None:
    assert Redactor(Policy()).filler(5) == bytes(5)
