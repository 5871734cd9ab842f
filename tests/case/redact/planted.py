"""Secrets to plant, protobuf to plant them in, and the check that nothing of them is left."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from wirecase.case.redact import search
from wirecase.grpc.protobuf import BYTES, read_fields

UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LOWER = UPPER.lower()
DIGITS = "0123456789"


def _drawn(alphabet: str, length: int) -> st.SearchStrategy[str]:
    """Strings in which no character repeats at once, so that what shrinks stays a secret and never becomes filler."""

    def spread(numbers: list[int]) -> str:
        at, out = 0, []
        for number in numbers:
            at = (at + 1 + number) % len(alphabet)
            out.append(alphabet[at])
        return "".join(out)

    return st.lists(st.integers(0, len(alphabet) - 2), min_size=length, max_size=length).map(spread)


def _mixed(length: int) -> st.SearchStrategy[str]:
    """Letters and digits, of changing kind as a generator of tokens would draw them."""
    third = length // 3 + 1
    parts = st.tuples(_drawn(LOWER, third), _drawn(DIGITS, third), _drawn(UPPER, third))
    return parts.map(lambda rows: "".join("".join(column) for column in zip(*rows, strict=True))[:length])


def _part(length: int) -> st.SearchStrategy[str]:
    return _drawn(UPPER + LOWER + DIGITS + "_-", length * 4 // 3)


JWT = st.tuples(_part(12), _part(24)).map(
    lambda p: "eyJhbGciOiJIUzI1NiJ9." + base64.urlsafe_b64encode(b'{"sub":"' + p[0].encode()).decode() + "." + p[1]
)
AWS = _drawn(UPPER + DIGITS, 16).map("AKIA".__add__)
GITHUB = _mixed(36).map("ghp_".__add__)
STRIPE = _mixed(24).map("sk_live_".__add__)
SLACK = _mixed(24).map("xoxb-".__add__)
GOOGLE = _mixed(35).map("AIza".__add__)
TOKEN = _mixed(40)
HEX = _drawn(DIGITS + "abcdef", 64)
PEM = _drawn(UPPER + LOWER + DIGITS + "+/", 120).map(
    lambda body: f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"
)
EMAIL = st.tuples(_drawn(LOWER[:23], 7), _drawn(LOWER[:23], 6)).map(lambda p: f"{p[0]}@{p[1]}.com")
HOST = st.tuples(_drawn(LOWER[:23], 6), _drawn(LOWER[:23], 6), st.sampled_from(("internal", "com", "net", "io"))).map(
    ".".join
)
IP = st.tuples(st.integers(11, 120), *[st.integers(10, 254)] * 3).map(lambda octets: ".".join(map(str, octets)))
BY_SHAPE = st.one_of(JWT, AWS, GITHUB, STRIPE, SLACK, GOOGLE, TOKEN, HEX)
TELLING = st.one_of(BY_SHAPE, PEM, EMAIL, HOST, IP)
"""What is found in any text."""
PASSWORD = _mixed(12)
"""What is found only by the name beside it."""


def bare(secret: str) -> bytes:
    """Return what must not be left of a secret: of PEM only what stands between its lines."""
    return secret.split("\n")[1].encode() if secret.startswith("-----") else secret.encode()


def assert_gone(output: bytes, planted: Iterable[str]) -> None:
    """Nothing of `planted` is left in `output`, in any encoding."""
    hits = search(output, [bare(secret) for secret in planted])
    assert not hits, (hits, output)


def varint(value: int) -> bytes:
    """Return a varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def field(number: int, value: int | bytes | str) -> bytes:
    """Return a field: a varint, or something length-delimited."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | BYTES) + varint(len(raw)) + raw


Tree = list[tuple[int, Any]]
"""(field number, int, str or Tree) in order."""


def encode(tree: Tree) -> bytes:
    """Return the message that a tree stands for."""
    return b"".join(field(number, encode(value) if isinstance(value, list) else value) for number, value in tree)


def assert_same_shape(raw: bytes, tree: Tree) -> None:
    """`raw` parses, with the schema of `tree`, to the same fields in the same sizes."""
    fields = read_fields(raw)
    assert fields is not None
    assert [f.number for f in fields] == [number for number, _ in tree]
    for found, (_, value) in zip(fields, tree, strict=True):
        if isinstance(value, int):
            assert isinstance(found.value, int) and len(varint(found.value)) == len(varint(value))
        elif isinstance(value, str):
            assert isinstance(found.value, bytes) and len(found.value) == len(value.encode())
            assert found.value.decode() or not value
        else:
            assert isinstance(found.value, bytes)
            assert_same_shape(found.value, value)


def trees(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Tree]:
    """Messages of any depth with `leaf` among their strings."""
    numbers = st.integers(1, 40)
    plain = st.one_of(
        leaf, st.integers(0, 2**63), st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")))
    )
    return st.recursive(
        st.lists(st.tuples(numbers, plain), max_size=4),
        lambda inner: st.lists(st.tuples(numbers, st.one_of(plain, inner.map(_marked))), max_size=4),
        max_leaves=8,
    )


def _marked(tree: Tree) -> Tree:
    # a first field of number 1 makes a message that could not be text as well
    return [(1, 1), *tree]
