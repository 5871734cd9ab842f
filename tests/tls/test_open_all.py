"""Many records at once: the loop ends before whatever is not plain data, and opens what each opens alone."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wirecase.tls.kdf import expand_label
from wirecase.tls.protection import Aead13
from wirecase.tls.suites import SUITES

SUITE = SUITES[0x1301]
SECRET = bytes(range(32))
DATA, ALERT = b"\x17", b"\x15"


def sealed(seq: int, inner: bytes) -> bytes:
    key, iv = (expand_label(SECRET, name, size, SUITE.hash) for name, size in (("key", 16), ("iv", 12)))
    header = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
    nonce = (int.from_bytes(iv, "big") ^ seq).to_bytes(12, "big")
    return header + AESGCM(key).encrypt(nonce, inner, header)


def taken(data: bytes, seq: int = 0, pos: int = 0) -> tuple[list[bytes], list[int]]:
    plains: list[bytes | memoryview] = []
    stops: list[int] = []
    Aead13(SUITE, SECRET).open_all(seq, data, pos, plains, stops)
    return [bytes(plain) for plain in plains], stops


def test_small_and_large_ones() -> None:
    texts = [b"a", b"\x17", b"b" * 4095, b"c" * 4096, b"d" * 16384, b"\0", b"e"]
    records = [sealed(number, text + DATA) for number, text in enumerate(texts)]
    wire = b"?" * 3 + b"".join(records)
    plains, stops = taken(wire, pos=3)
    assert plains == texts
    assert stops == [3 + sum(map(len, records[: number + 1])) for number in range(len(texts))]


@pytest.mark.parametrize(
    "inner",
    [DATA, b"x" + DATA + b"\0", b"\x01\0" + ALERT, b"", b"\0\0"],
    ids=["empty", "padded", "alert", "void", "zeros"],
)
def test_others_are_left_alone(inner: bytes) -> None:
    before = sealed(0, b"before" + DATA)
    wire = before + sealed(1, inner) + sealed(2, b"after" + DATA)
    assert taken(wire) == ([b"before"], [len(before)])


def test_damage_wrong_numbers_and_what_is_not_whole() -> None:
    before, after = sealed(0, b"before" + DATA), sealed(1, b"after" + DATA)
    for size in range(len(after)):
        assert taken(before + after[:size]) == ([b"before"], [len(before)])
    for at in range(len(after)):
        damaged = bytearray(after)
        damaged[at] ^= 1
        assert taken(before + bytes(damaged))[0] == [b"before"]
    assert taken(before, seq=1) == ([], [])
    assert taken(b"") == ([], [])
