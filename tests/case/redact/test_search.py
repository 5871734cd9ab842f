"""The search finds a secret in whatever encoding it stands."""

from __future__ import annotations

import base64
import os
import urllib.parse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from wirecase.case.redact import Hit, search
from wirecase.http2.huffman import codes

SECRET = b"S3cret: k/9+~%"


def huffman(text: bytes) -> bytes:
    bits = "".join(f"{code:0{width}b}" for code, width in (codes()[byte] for byte in text))
    bits += "1" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


ENCODINGS = {
    "plain": lambda raw: raw,
    "base64": base64.b64encode,
    "base64-url": base64.urlsafe_b64encode,
    "base64-bare": lambda raw: base64.b64encode(raw).rstrip(b"="),
    "hex": lambda raw: raw.hex().encode(),
    "hex-upper": lambda raw: raw.hex().upper().encode(),
    "percent": lambda raw: urllib.parse.quote(raw, safe="").encode(),
    "percent-lower": lambda raw: b"".join(b"%%%02x" % b for b in raw),
    "percent-form": lambda raw: urllib.parse.quote_plus(raw).encode(),
    "huffman": huffman,
}


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("before", [b"", b"a", b"bc", b"def", b"ghijklm", b"0123456789abc"])
@pytest.mark.parametrize("behind", [b"", b"z", b"yx"])
def test_every_encoding_at_every_alignment(name: str, before: bytes, behind: bytes) -> None:
    data = b"\0\xff\1" + ENCODINGS[name](before + SECRET + behind) + b"\0\xff"
    hits = search(data, [b"not there at all", SECRET])
    assert [hit.secret for hit in hits[:1]] == [1]
    assert hits[0].encoding in (name.partition("-")[0], "plain")
    assert not search(ENCODINGS[name](before + SECRET[:7] + b"#" + SECRET[8:] + behind), [SECRET])


def test_grpc_message_encoding() -> None:
    assert search(b"grpc-message: 100%25 of k/9+", [b"100% of k/9+"]) == [Hit(0, "percent", 14)]


@st.composite
def planted(draw: DrawFn) -> tuple[bytes, str, bytes, bytes]:
    secret = draw(st.binary(min_size=8, max_size=40))
    return secret, draw(st.sampled_from(sorted(ENCODINGS))), draw(st.binary(max_size=9)), draw(st.binary(max_size=9))


@settings(max_examples=200, deadline=None)
@given(planted())
def test_random_secrets(case: tuple[bytes, str, bytes, bytes]) -> None:
    secret, name, before, behind = case
    assert search(b"--" + ENCODINGS[name](before + secret + behind) + b"--", [secret])


def test_nothing_is_found_where_nothing_is() -> None:
    secrets = [os.urandom(12) for _ in range(500)]
    assert search(os.urandom(1 << 16), secrets) == []
    assert search(b"", secrets) == search(b"abc", [b"abc"]) == search(b"anything", []) == []


def test_hits_name_secrets_by_number_and_end_somewhere() -> None:
    hits = search(b"hunter22" * 5000, [b"hunter22"])
    assert len(hits) == 1000 and b"hunter22" not in repr(hits).encode()


def test_a_secret_across_the_pieces_of_large_data() -> None:
    for at in (0, (1 << 20) - 5, (1 << 20) - 3, 1 << 20, (1 << 21) - 14):
        data = bytes(at) + SECRET + bytes((1 << 21) - at)
        assert search(data, [SECRET]) == [Hit(0, "plain", at)]
    assert search(bytes(1 << 20) + SECRET, [SECRET]) == [Hit(0, "plain", 1 << 20)]
