from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecase.grpc import status as s
from wirecase.grpc.protobuf import read_fields, read_varint


def test_names_and_mappings() -> None:
    assert s.status_name(14) == "UNAVAILABLE"
    assert s.status_name(99) == "99"
    assert s.status_name(-1) == "-1"
    assert (s.from_http(502), s.from_http(404), s.from_http(418)) == (s.UNAVAILABLE, s.UNIMPLEMENTED, s.UNKNOWN)
    assert (s.from_h2_error(7), s.from_h2_error(8), s.from_h2_error(99)) == (s.UNAVAILABLE, s.CANCELLED, s.UNKNOWN)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain", "plain"),
        (b"a%20b", "a b"),
        (b"%C3%BC", "ü"),
        (b"50%", "50%"),
        (b"%zz%2", "%zz%2"),
        (b"%ff", "\ufffd"),
    ],
)
def test_percent_decoding(raw: bytes, text: str) -> None:
    assert s.percent_decode(raw) == text


@given(st.text(max_size=50))
def test_percent_encoding_is_undone(text: str) -> None:
    raw = "".join(chr(byte) if 32 <= byte < 127 and byte != 37 else f"%{byte:02X}" for byte in text.encode()).encode()
    assert s.percent_decode(raw) == text


@given(st.binary(max_size=60), st.booleans())
def test_binary_metadata_padded_or_not(data: bytes, padded: bool) -> None:
    encoded = base64.b64encode(data)
    assert s.decode_bin(encoded if padded else encoded.rstrip(b"=")) == data


@pytest.mark.parametrize("raw", [b"a", b"ab!d", b"ab==c", b"YWI=YWI=", b"YQ=", b"a b c", b"YWI,*"])
def test_values_that_are_not_base64(raw: bytes) -> None:
    assert s.decode_bin(raw) is None


def test_joined_values_and_true_binary() -> None:
    assert s.decode_bin(b"YWI=, Y2Q=") == b"ab"
    assert s.decode_bin(b"\0\xff\xfe") == b"\xff\xfe"


@pytest.mark.parametrize(
    ("raw", "ns"),
    [(b"1S", 10**9), (b"901m", 901 * 10**6), (b"3997765u", 3997765000), (b"99999999H", 99999999 * 3600 * 10**9),
     (b"7n", 7), (b"2M", 120 * 10**9)],
)  # fmt: skip
def test_timeouts(raw: bytes, ns: int) -> None:
    assert s.parse_timeout(raw) == ns


@pytest.mark.parametrize(
    "raw", [b"", b"S", b"soon", b"100000000S", b"1", b"1s", b"-1S", b"1.5S", b"1S\n", "١S".encode()]
)
def test_malformed_timeouts(raw: bytes) -> None:
    assert s.parse_timeout(raw) is None


@pytest.mark.parametrize(
    ("raw", "fine"), [(b"0", True), (b"16", True), (b"17", False), (b"00", True), (b"", False), (b"OK", False)]
)
def test_well_formed_status(raw: bytes, fine: bool) -> None:
    assert s.is_status(raw) == fine


def test_details_by_the_library_of_the_field() -> None:
    status_pb2 = pytest.importorskip("google.rpc.status_pb2")
    any_pb2 = pytest.importorskip("google.protobuf.any_pb2")
    detail = any_pb2.Any(type_url="type.googleapis.com/google.rpc.RetryInfo", value=b"\x01")
    raw = status_pb2.Status(code=8, message="voll", details=[detail]).SerializeToString()
    found = s.parse_details(base64.b64encode(raw))
    assert found is not None
    assert (found.code, found.message, found.types) == (8, "voll", ["type.googleapis.com/google.rpc.RetryInfo"])


def test_details_by_hand() -> None:
    raw = b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x12\x02no\x1a\x03\x0a\x01x"
    found = s.parse_details(base64.b64encode(raw))
    assert found is not None
    assert (found.code, found.message, found.types) == (-1, "no", ["x"])
    assert s.parse_details(b"!") is None
    assert s.parse_details(base64.b64encode(b"\xff\xff")) is None


@given(st.binary(max_size=80))
def test_any_bytes_as_protobuf(data: bytes) -> None:
    for cut in (False, True):
        fields = read_fields(data, cut=cut)
        assert fields is None or all(1 <= field.number <= 0x1FFF_FFFF for field in fields)


def test_fields_whole_cut_and_with_trailing_bytes() -> None:
    data = b"\x08\x96\x01\x12\x03abc\x1d\x01\x00\x00\x00\x21" + bytes(8)
    whole = read_fields(data)
    assert whole is not None
    assert [(field.number, field.value) for field in whole] == [(1, 150), (2, b"abc"), (3, 1), (4, 0)]
    for cut in range(1, len(data)):
        some = read_fields(data[:cut], cut=True)
        assert some is not None
        assert some == whole[: len(some)]
    assert read_fields(data + b"\x0b") is None
    assert read_varint(b"\x80" * 11, 0) is None
